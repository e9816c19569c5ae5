"""Autofocus of planar and freehand scans: known errors are found, sharp scans stay, plates are not praised."""

from dataclasses import replace

import numpy as np
import pytest

import mmsar
from mmsar.errors import GeometryError, MmsarError
from mmsar.focus.autofocus import AutofocusOptions, apply_autofocus, autofocus
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import soft_threshold
from mmsar.model import AntennaArray, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa, nufft
from mmsar.simulate.noise import add_noise, smooth_error, white_error
from mmsar.simulate.scene import Scene

CHIRP = mmsar.Chirp(f0=77e9, slope=63e12, fs=1e6, n_samples=24)
BOARD = AntennaArray.iwr1443()
PATH = Trajectory.raster((6, 48), (1.2e-3, 7.6e-3))
POINTS = Scene.points(
    np.array([[0.0, 0.0, 0.2], [0.012, 0.008, 0.2], [-0.016, 0.004, 0.2], [0.004, -0.012, 0.2], [-0.008, -0.014, 0.2]]),
    np.array([1, 0.7j, -0.6, 0.5, 0.4j]),
)
GRID = ImageGrid.from_extent((-0.03, 0.03), (-0.026, 0.026), 0.2, spacing=1e-3)
QUIET = AutofocusOptions(progress=False, iterations=24)


def displaced(path: Trajectory, error: np.ndarray) -> Trajectory:
    return Trajectory(time=path.time, position=path.position + error, rotation=path.rotation)


def wrong(error: np.ndarray, *, scene: Scene = POINTS, snr_db: float = 20.0) -> Scan:
    """A scan along PATH + error that is recorded as along PATH."""
    echo = mmsar.simulate(scene, chirp=CHIRP, array=BOARD, trajectory=displaced(PATH, error))
    noisy = add_noise(echo.read(), snr_db, rng=np.random.default_rng(9))
    return Scan(signal=noisy, chirp=CHIRP, array=BOARD, trajectory=PATH)


def error_of(kind: str, rms: float) -> np.ndarray:
    rng, size = np.random.default_rng(3), np.full(3, rms)
    if kind == "smooth":
        return smooth_error(len(PATH), size, cycles=14, rng=rng)
    return white_error(len(PATH), size, rng=rng)


def likeness(scan: Scan, truth: Scan, grid: ImageGrid = GRID) -> float:
    """Correlation of the magnitudes of two scans' images at the shift that fits best."""
    a, b = (np.abs(nufft.plan(s, grid)(s.signal)).max(axis=0) for s in (scan, truth))
    product = np.fft.irfft2(np.fft.rfft2(a) * np.fft.rfft2(b).conj(), a.shape)
    return float(product.max() / np.sqrt((a**2).sum() * (b**2).sum()))


@pytest.mark.parametrize(("kind", "rms"), [("smooth", 0.3e-3), ("white", 0.4e-3)])
def test_errors_are_found(kind, rms):
    error = error_of(kind, rms)
    scan = wrong(error, snr_db=0.0)
    truth = replace(scan, trajectory=displaced(PATH, error))
    found = autofocus(scan, GRID, options=QUIET)
    focused = apply_autofocus(scan, found)
    assert likeness(scan, truth) < 0.91
    assert likeness(focused, truth) > 0.985
    assert found.improved and found.entropy[1] < found.entropy[0]
    assert found.move.shape == (len(PATH), 3)
    # depth is what the phase tells: what is left of it is less than there was, but for half wavelengths and the gauge
    left = error[:, 2] - found.move[:, 2]
    left -= np.linalg.lstsq(np.c_[np.ones(len(PATH)), PATH.position[:, :2]], left, rcond=None)[0][0]
    half = CHIRP.wavelength / 2
    left -= half * np.round(left / half)
    assert np.median(np.abs(left)) < 0.5 * np.median(np.abs(error[:, 2]))


def test_a_volume_is_focused_too():
    error = error_of("white", 0.3e-3)
    scan = wrong(error)
    grid = ImageGrid.from_extent((-0.03, 0.03), (-0.026, 0.026), (0.17, 0.23), spacing=(1e-3, 1e-3, 15e-3))
    found = autofocus(scan, grid, options=replace(QUIET, smooth=0.0))
    truth = replace(scan, trajectory=displaced(PATH, error))
    assert found.improved
    assert likeness(apply_autofocus(scan, found), truth, grid) > 0.95


def test_a_sharp_scan_stays_sharp():
    scan = wrong(np.zeros((len(PATH), 3)))
    found = autofocus(scan, GRID, options=QUIET)
    assert not found.improved
    assert likeness(apply_autofocus(scan, found), scan) > 0.98


PLATE = Scene.from_mask(np.ones((60, 60)), 1e-3, centre=(0.0, 0.0, 0.2))
WHOLE = ImageGrid.from_extent((-0.04, 0.04), (-0.04, 0.04), 0.2, spacing=1e-3)


def test_a_smooth_plate_focuses():
    """It has no points; thresholds break it into spots, and least squares put it together again."""
    error = error_of("smooth", 0.3e-3)
    scan = wrong(error, scene=PLATE)
    truth = replace(scan, trajectory=displaced(PATH, error))
    found = autofocus(scan, WHOLE, options=QUIET)
    assert found.improved and 1 - found.fit[1] < 0.3 * (1 - found.fit[0])
    assert likeness(scan, truth, WHOLE) < 0.9 < 0.94 < likeness(apply_autofocus(scan, found), truth, WHOLE)


@pytest.mark.parametrize("grid", [WHOLE, GRID], ids=["whole", "rim cut off"])
def test_a_sharp_plate_stays_and_is_not_called_improved(grid):
    scan = wrong(np.zeros((len(PATH), 3)), scene=PLATE)
    found = autofocus(scan, grid, options=QUIET)
    assert not found.improved
    assert likeness(apply_autofocus(scan, found), scan, grid) > 0.99


def test_a_grid_that_cuts_a_plate_is_not_called_improved():
    """Moving poses makes up for what the grid does not hold, and the plate is harmed."""
    cut = ImageGrid.from_extent((-0.04, 0.04), (-0.012, 0.012), 0.2, spacing=1e-3)
    found = autofocus(wrong(np.zeros((len(PATH), 3)), scene=PLATE), cut, options=QUIET)
    assert not found.improved, (found.fit, found.bright)


@pytest.mark.parametrize("snr_db", [-10.0, -20.0])
def test_noise_is_not_called_improved(snr_db):
    """Poses of a single channel, which may be moved to suit their noise."""
    path, array = Trajectory.raster((20, 48), (1.2e-3, 1.2e-3)), AntennaArray.single()
    echo = mmsar.simulate(POINTS, chirp=CHIRP, array=array, trajectory=path)
    noisy = add_noise(echo.read(), snr_db, rng=np.random.default_rng(9))
    scan = Scan(signal=noisy, chirp=CHIRP, array=array, trajectory=path)
    found = autofocus(scan, WHOLE, options=QUIET)
    assert not found.improved, found.fit


@pytest.mark.parametrize("grid", [(0.0, 0.6), (0.09, 0.2)], ids=["behind", "beside"])
def test_a_grid_that_holds_no_target_is_not_called_improved(grid):
    """Moved poses make any speckle bright; what was not there as recorded is none of the scene."""
    x, z = grid
    empty = ImageGrid.from_extent((x - 0.03, x + 0.03), (-0.026, 0.026), z, spacing=1e-3)
    found = autofocus(wrong(error_of("smooth", 0.3e-3)), empty, options=QUIET)
    assert found.bright[1] > 2 * found.bright[0], "too little to be misled by"
    assert not found.held and not found.improved


def test_echo_and_gradient_are_those_of_the_exact_model():
    scan = wrong(error_of("smooth", 0.1e-3))
    field = PoseField(scan.geometry, scan, GRID, reach=2e-3)
    image = np.zeros(GRID.shape, np.complex64)
    image[0, 10, 40], image[0, 30, 20] = 1, 2j
    move = error_of("white", 0.2e-3)

    def exact(d: np.ndarray) -> np.ndarray:
        moved = replace(scan, trajectory=displaced(PATH, d))
        samples = bpa.plan(moved, GRID, options=mmsar.recon.options.ReconOptions(error_db=-60, progress=False))
        return samples.adjoint(image).reshape(len(PATH), -1, CHIRP.n_samples)

    ((_, echo, gradient),) = field.echoes(field.waves(image), move)
    reference = exact(move)
    # compressed alike, the two are one: compare by what each makes of the samples
    data = PoseField(scan.geometry, reference.reshape(scan.shape), GRID, reach=2e-3).samples
    assert np.linalg.norm(echo - data) < 0.03 * np.linalg.norm(data)
    step = 20e-6
    for axis in range(3):
        shift = np.zeros_like(move)
        shift[:, axis] = step
        two = [
            PoseField(scan.geometry, exact(move + s * shift).reshape(scan.shape), GRID, reach=2e-3).samples
            for s in (1, -1)
        ]
        slope = (two[0] - two[1]) / (2 * step)
        assert np.linalg.norm(gradient[..., axis] - slope) < 0.04 * np.linalg.norm(slope), "xyz"[axis]


def test_blocks_of_poses_change_nothing():
    scan = wrong(error_of("smooth", 0.2e-3))
    whole = PoseField(scan.geometry, scan, GRID, reach=2e-3)
    parts = PoseField(scan.geometry, scan, GRID, reach=2e-3)
    parts._block = 100
    move = error_of("white", 0.1e-3)
    image = whole.image(move)
    np.testing.assert_allclose(
        parts.image(move), image, atol=5e-3 * np.abs(image).max()
    )  # the transforms' -35 dB, by other kernels
    ((_, echo, gradient),) = whole.echoes(whole.waves(image), move)
    pieces = list(parts.echoes(parts.waves(image), move))
    assert [p.start for p, _, _ in pieces] == [0, 100, 200]
    joined = np.concatenate([e for _, e, _ in pieces], axis=1)
    np.testing.assert_allclose(joined, echo, atol=2e-2 * np.abs(echo).max())
    assert np.concatenate([g for _, _, g in pieces], axis=1).shape == gradient.shape


def test_lost_channels_do_not_count():
    error = error_of("white", 0.3e-3)
    scan = wrong(error)
    valid = np.ones(scan.shape[:3], dtype=bool)
    valid[::7] = False
    valid[:, 0, 1] = False
    signal = np.where(valid[..., None], scan.signal, 1e6).astype(np.complex64)
    scan = replace(scan, signal=signal, valid=valid)
    found = autofocus(scan, GRID, options=QUIET)
    assert found.improved and np.abs(found.move).max() < 5e-3
    truth = replace(scan, trajectory=displaced(PATH, error))
    assert likeness(apply_autofocus(scan, found), truth) > 0.93


def test_the_same_again():
    scan = wrong(error_of("smooth", 0.2e-3))
    few = replace(QUIET, iterations=2)
    one, two = (autofocus(scan, GRID, options=few).move for _ in range(2))
    np.testing.assert_allclose(one, two, atol=1e-8)


def test_soft_threshold():
    image = np.array([[3 + 4j, 0.1, 0.0, -2.0]], np.complex64)
    np.testing.assert_allclose(soft_threshold(image, 0.2), [[(3 + 4j) * 0.8, 0, 0, -1]], atol=1e-6)


def test_history_says_what_was_done():
    scan = wrong(error_of("smooth", 0.2e-3))
    found = autofocus(scan, GRID, options=replace(QUIET, iterations=1))
    focused = apply_autofocus(scan, found)
    step = focused.attrs["history"][-1]
    assert step["step"] == "align autofocus" and step["iterations"] == 1 and len(step["rms"]) == 3
    np.testing.assert_allclose(focused.trajectory.position, PATH.position + found.move)
    short = Scan(
        signal=scan.signal[:5],
        chirp=CHIRP,
        array=BOARD,
        trajectory=Trajectory(time=PATH.time[:5], position=PATH.position[:5], rotation=PATH.rotation[:5]),
    )
    with pytest.raises(GeometryError, match="wanted 5, one per pose"):
        apply_autofocus(short, found)


def test_what_cannot_be_focused_is_refused(lab):
    scan = wrong(np.zeros((len(PATH), 3)))
    with pytest.raises(GeometryError, match="use --rotation"):
        autofocus(lab.round_scan(n=64), GRID, options=QUIET)
    behind = ImageGrid.from_extent((-0.01, 0.01), (-0.01, 0.01), 0.001, spacing=2e-3)
    with pytest.raises(GeometryError, match="in front of the antennas"):
        autofocus(scan, behind, options=QUIET)
    with pytest.raises(GeometryError, match="image of zeros"):
        autofocus(scan.with_signal(np.zeros(scan.shape, np.complex64)), GRID, options=QUIET)
    with pytest.raises(GeometryError, match="far-field"):
        autofocus(replace(scan, attrs={"far_field": True}), GRID, options=QUIET)
    with pytest.raises(MmsarError, match=r"needs .* wanted at most"):
        autofocus(scan, GRID, options=replace(QUIET, memory=2**20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": 0}, "iterations"),
        ({"neighbours": 0}, "neighbours"),
        ({"reach": -1.0}, "reach"),
        ({"smooth": -0.1}, "smooth"),
        ({"hold": 0, "smooth": 0}, "wanted one of them above 0"),
    ],
)
def test_options_are_checked(change, message):
    with pytest.raises(GeometryError, match=message):
        AutofocusOptions(**change)


def test_transforms_keep_the_budget_that_was_given(monkeypatch):
    scan = wrong(np.zeros((len(PATH), 3)))
    field = PoseField(scan.geometry, scan, GRID, reach=2e-3, memory=2**28)

    def asked(*_):
        raise AssertionError("the free memory of the machine was asked for")

    monkeypatch.setattr("mmsar.core.memory.free_memory", asked)
    assert np.abs(field.image(np.zeros((len(PATH), 3)))).max() > 0
