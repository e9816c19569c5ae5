"""An aperture that grows: errors that leave nothing at the recorded positions, and where the whole scene is."""

from dataclasses import replace

import numpy as np
import pytest

import mmsar
from mmsar.focus import growth
from mmsar.focus.autofocus import LAST, AutofocusOptions, apply_autofocus, autofocus
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import match, neighbours, soft_threshold
from mmsar.focus.tilt import scene_shift, turned_back
from mmsar.model import AntennaArray, ImageGrid, Scan, Trajectory
from mmsar.recon import nufft
from mmsar.simulate.noise import add_noise, white_error
from mmsar.simulate.scene import Scene

CHIRP = mmsar.Chirp(f0=77e9, slope=63e12, fs=1e6, n_samples=24)
BOARD = AntennaArray.iwr1443()
PATH = Trajectory.raster((6, 40), (1.2e-3, 7.6e-3))
GRID = ImageGrid.from_extent((-0.026, 0.026), (-0.026, 0.026), 0.2, spacing=1.3e-3)
POINTS = Scene.points(
    np.array([[0.0, 0.0, 0.2], [0.012, 0.008, 0.2], [-0.016, 0.004, 0.2], [0.004, -0.012, 0.2], [-0.008, -0.014, 0.2]]),
    np.array([1, 0.7j, -0.6, 0.5, 0.4j]),
)
OPTIONS = AutofocusOptions(progress=False, iterations=12)


def scan_at(error: np.ndarray, scene: Scene = POINTS) -> tuple[Scan, Scan]:
    """A scan along PATH + error as recorded along PATH, and as it was."""
    true = Trajectory(time=PATH.time, position=PATH.position + error, rotation=PATH.rotation)
    echo = mmsar.simulate(scene, chirp=CHIRP, array=BOARD, trajectory=true)
    noisy = add_noise(echo.read(), 20.0, rng=np.random.default_rng(9))
    scan = Scan(signal=noisy, chirp=CHIRP, array=BOARD, trajectory=PATH)
    return scan, replace(scan, trajectory=true)


def likeness(scan: Scan, truth: Scan) -> float:
    """Correlation of the magnitudes of two scans' images at the shift that fits best."""
    a, b = (np.abs(nufft.plan(s, GRID)(s.signal)[0]) for s in (scan, truth))
    product = np.fft.irfft2(np.fft.rfft2(a) * np.fft.rfft2(b).conj(), a.shape)
    return float(product.max() / np.sqrt((a**2).sum() * (b**2).sum()))


def test_errors_of_a_fifth_of_a_wavelength_are_found():
    error = white_error(len(PATH), np.full(3, 0.8e-3), rng=np.random.default_rng(3))
    scan, truth = scan_at(error)
    plain, grown = (autofocus(scan, GRID, options=replace(OPTIONS, grow=g)) for g in (False, True))
    assert not plain.grown and grown.grown and grown.improved and grown.fit[1] > plain.fit[1] > grown.fit[0]
    before, after = (likeness(apply_autofocus(scan, f), truth) for f in (plain, grown))
    assert likeness(scan, truth) < 0.75 and before < 0.9 and after > 0.95
    assert np.abs(grown.move.mean(axis=0)[:2]).max() < 0.5e-3


def test_what_is_sharp_needs_no_growth():
    scan, truth = scan_at(np.zeros((len(PATH), 3)))
    found = autofocus(scan, GRID, options=replace(OPTIONS, grow=True))
    assert not found.grown and found.fit[0] > 0.95 and likeness(apply_autofocus(scan, found), truth) > 0.98


def test_a_plate_is_not_taken_from_a_grown_aperture(monkeypatch):
    """It would come as spots: more compact, but far less explained."""
    monkeypatch.setattr("mmsar.focus.autofocus.ENOUGH", 2.0)
    monkeypatch.setattr(growth, "POLISH", 2)
    scan, _ = scan_at(np.zeros((len(PATH), 3)), Scene.from_mask(np.ones((40, 40)), 1.3e-3, centre=(0.0, 0.0, 0.2)))
    found = autofocus(scan, GRID, options=replace(OPTIONS, grow=True, iterations=4))
    assert not found.grown and not found.improved


def outward_field(scan: Scan, grid: ImageGrid = GRID) -> PoseField:
    order = growth.outward(PATH.position)
    return PoseField(scan.geometry, scan, grid, reach=5e-3, order=order)


def test_poses_in_another_order_are_the_same_poses():
    scan, _ = scan_at(white_error(len(PATH), np.full(3, 0.3e-3), rng=np.random.default_rng(1)))
    plain, sorted_ = PoseField(scan.geometry, scan, GRID, reach=5e-3), outward_field(scan)
    move = white_error(len(PATH), np.full(3, 0.2e-3), rng=np.random.default_rng(2))
    image = plain.image(move)
    other = sorted_.image(move[sorted_.order])
    np.testing.assert_allclose(other, image, atol=5e-3 * np.abs(image).max())
    waves = plain.waves(soft_threshold(image, LAST))
    one, two = match(plain, waves, move), match(sorted_, waves, move[sorted_.order])
    np.testing.assert_allclose(two.product, one.product[sorted_.order], atol=2e-2 * np.abs(one.product).max())
    np.testing.assert_allclose(sorted_.place, PATH.position[sorted_.order] + plain.place[0] - PATH.position[0])
    half = slice(100, 160)
    part = match(sorted_, waves, move[sorted_.order], half)
    np.testing.assert_allclose(part.own, two.own[half], atol=5e-2 * two.own.max())


@pytest.mark.parametrize(("angle", "axis"), [(0.02, 0), (-0.03, 1)])
def test_a_turn_of_scene_and_poses_is_found(angle, axis):
    """Poses that fit, turned by an angle: their scene lies aside, and is brought back.

    The board's directions tell the turn along y; along x, where it has little extent, the recorded places do.
    """
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field = outward_field(scan)
    move = np.zeros((len(PATH), 3))
    move[:, 2] = angle * field.place[:, axis]
    shift, sigma = scene_shift(field, soft_threshold(field.image(move), 0.1), move)
    assert 0 < sigma[1] < 0.2e-3 < sigma[0]
    assert shift[1] == pytest.approx(angle * 0.2 if axis == 1 else 0.0, abs=0.5e-3)
    for _ in range(2):
        move = turned_back(field, soft_threshold(field.image(move), 0.1), move)
    left = np.linalg.lstsq(field.place[:, :2], move[:, 2], rcond=None)[0]
    assert np.abs(left).max() < 0.1 * abs(angle) + 1e-3


def test_stages_grow_to_all_poses_from_the_middle():
    sizes = growth.sizes(5000)
    assert sizes[0] == growth.FIRST and sizes[-1] == 5000 and np.all(np.diff(sizes) > 0)
    assert growth.sizes(5) == [5]
    order = growth.outward(PATH.position)
    assert sorted(order) == list(range(len(PATH)))
    distance = np.hypot(*PATH.position[order, :2].T)
    assert np.all(np.diff(distance) > -1e-12)


def test_the_mean_of_neighbours_goes_by_time_and_by_who_is_placed():
    order = np.array([2, 0, 3, 1, 40])
    move = np.array([[2.0, 0, 0], [0.0, 0, 0], [3.0, 0, 0]])
    mean = neighbours(move, np.concatenate([order, np.setdiff1d(np.arange(50), order)]), 0.5, total=5)
    assert mean.shape == (5, 3)
    assert mean[0, 0] == pytest.approx((2 + 3 * np.exp(-2) + 0 * np.exp(-8)) / (1 + np.exp(-2) + np.exp(-8)), rel=1e-3)
    assert 0.5 < mean[3, 0] < 1.5  # between 0 and 2
    assert mean[4, 0] == 0  # nobody near
