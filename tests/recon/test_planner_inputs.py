"""What the planner gives a method: memory it must keep to, a default grid, weights, calibrated and lazy samples."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from mmsar.errors import MmsarError
from mmsar.metrics import error_db, ncc
from mmsar.model import AntennaArray, Calibration, ImageGrid, Trajectory
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import default_grid, make_plan, reconstruct, weighted_geometry
from mmsar.recon.predict import METHODS

LAM = 299792458.0 / 79e9
POINTS = [[0.0, 0.0, 0.3], [0.012, -0.008, 0.29]]
QUIET = ReconOptions(progress=False)


def box(half=0.025, low=0.28, high=0.31, spacing=(2e-3, 2e-3, 5e-3), x=0.0):
    return ImageGrid.from_extent((x - half, x + half), (-half, half), (low, high), spacing=spacing)


def with_options(**options):
    return replace(QUIET, **options)


def last(image):
    return image.history[-1]


# ---- memory ---------------------------------------------------------------------------------------------------------

DEEP = box(0.01, 0.1, 0.2, spacing=(1e-3, 1e-3, 0.5e-3))
"""Few voxels a plane and many planes under a wide aperture: the spectrum of all planes is most of the memory."""
ROUND = box(0.04, -0.04, 0.04, spacing=(0.8e-3, 4e-3, 0.8e-3))
"""About the axis of a turntable, fine across it."""


@pytest.fixture(scope="module")
def wide_raster(lab):
    return lab.raster_scan([[0, 0, 0.15]], shape=(60, 60), step=1.5e-3)


@pytest.mark.parametrize("method", ["rma", "empm", "nufft", "isar"])
def test_budget_that_forces_pieces_is_kept(method, wide_raster, scans):
    scan, grid = (scans["turn"], ROUND) if method == "isar" else (wide_raster, DEEP)
    whole = make_plan(method, scan.geometry, grid, options=QUIET)
    image = whole(scan.signal)
    allowed = int((0.7 if method == "isar" else 0.5) * whole.nbytes)
    options = with_options(memory=allowed)
    warm = make_plan(method, scan.geometry, grid, options=options)  # what compiles now is not counted below
    warm.adjoint(warm(scan.signal))
    del warm
    tracemalloc.start()
    try:
        plan = make_plan(method, scan.geometry, grid, options=options)
        pieces = plan(scan.signal)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        echo = plan.adjoint(image)
        peak_adjoint = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert plan.nbytes <= allowed < whole.nbytes
    assert peak <= 1.05 * plan.nbytes
    assert peak_adjoint - image.nbytes - echo.nbytes <= 1.1 * allowed
    assert np.linalg.norm(pieces - image) < 3e-3 * np.linalg.norm(image), "pieces change nothing but rounding"


def test_back_projection_keeps_its_budget(scans):
    scan, grid = scans["raster"], box(0.03, 0.28, 0.31, spacing=(1e-3, 1e-3, 0.5e-3))
    whole = make_plan("bpa", scan.geometry, grid, options=QUIET)
    image = whole(scan.signal)
    table = 8 * whole._compress.shape[1] * scan.shape[0]
    allowed = whole.nbytes - table // 2
    plan = make_plan("bpa", scan.geometry, grid, options=with_options(memory=allowed))
    tracemalloc.start()
    try:
        pieces = plan(scan.signal)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert plan.nbytes <= allowed
    assert peak <= 1.02 * plan.nbytes
    assert np.linalg.norm(pieces - image) < 5e-3 * np.linalg.norm(image)


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_budget_too_small_is_refused_with_sizes(method, wide_raster, scans):
    scan, grid = (scans["turn"], ROUND) if method == "isar" else (wide_raster, DEEP)
    with pytest.raises(MmsarError) as caught:
        reconstruct(scan, grid, method=method, options=with_options(memory=2**20))
    text = str(caught.value)
    assert "MiB, wanted at most 1.0 MiB (the budget);" in text and "smaller grid" in text and "\n" not in text


def test_scan_larger_than_the_budget_goes_through_back_projection(scans):
    """The samples are taken in pieces: a scan need not fit in the memory it is imaged with."""
    scan = scans["wide"]
    many = replace(
        scan,
        signal=np.repeat(scan.signal, 40, axis=0),
        trajectory=Trajectory(
            time=np.arange(40.0 * len(scan.trajectory)), position=np.repeat(scan.trajectory.position, 40, axis=0)
        ),
        raster=None,
        valid=None,
    )
    grid = box(0.01, 0.14, 0.16)
    image = reconstruct(many, grid, options=with_options(memory=3 * 2**20, density="off"))
    assert many.nbytes > 1.9 * 2**20 and last(image)["method"] == "bpa"
    once = reconstruct(scan, grid, options=with_options(density="off"))
    assert error_db(image, once).error_db < -35


# ---- the default grid -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scan", ["raster", "mimo", "hand", "wide"])
def test_default_grid_holds_the_targets_at_half_a_cell(scan, scans):
    scan, targets = scans[scan], [[0, 0, 0.15]] if scan == "wide" else POINTS
    grid = default_grid(scan)
    low, high = np.array(grid.extent).T
    for target in targets:
        assert np.all(low < target) and np.all(target < high)
    virtual = scan.virtual_position.reshape(-1, 3)
    assert grid.spacing[2] == pytest.approx(scan.chirp.range_resolution / 2)
    for axis in (0, 1):
        aperture = np.ptp(virtual[:, axis])
        cell = scan.chirp.wavelength * low[2] / (2 * aperture)
        assert 0.45 * cell < grid.spacing[axis] < 0.65 * cell, "half a resolution cell at the near end"
        assert high[axis] - low[axis] < aperture + 6 * cell, "the footprint, not the room"
    assert high[2] - low[2] < 0.3
    assert low[2] >= virtual[:, 2].max() + scan.chirp.wavelength


def test_default_grid_is_what_reconstruct_uses_and_the_point_is_found(scans):
    image = reconstruct(scans["hand"], options=QUIET)
    assert image.grid == default_grid(scans["hand"])
    z, y, x = np.unravel_index(np.argmax(image.magnitude()), image.grid.shape)
    found = np.array([image.grid.x[x], image.grid.y[y], image.grid.z[z]])
    near = np.abs(np.array(POINTS) - found) <= image.grid.spacing
    assert near.all(axis=1).any()


def test_default_grid_of_absurd_size_is_refused(scans):
    with pytest.raises(MmsarError, match="million voxels, wanted at most 0; give an extent and a spacing"):
        default_grid(scans["hand"], max_voxels=1000)


def test_default_grid_of_a_line_and_of_a_single_pose(lab):
    """One voxel along an axis that is not resolved: it would show the same everywhere, on rings about the line."""
    for n in (40, 1):
        grid = default_grid(lab.scan_of(AntennaArray.single(), Trajectory.linear(n, 1.5e-3), [[0, 0, 0.3]]))
        assert grid.shape[1] == 1 and (grid.shape[2] > 10 if n > 1 else grid.shape[2] == 1)
        for (low, high), value in zip(grid.extent, (0, 0, 0.3), strict=True):
            assert low < value < high or low == value == high


# ---- weights, calibration, lazy scans -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scan", "density", "window", "wanted"),
    [
        ("raster", "auto", "none", "off"),
        ("raster", "auto", "hann", "off"),
        ("raster", "on", "none", "on"),
        ("hand", "auto", "none", "on"),
        ("hand", "off", "taylor", "off"),
    ],
)
def test_density_is_as_asked_and_history_says_so(scan, density, window, wanted, scans):
    options = with_options(density=density, window=window)
    geometry = scans[scan].geometry
    weight = weighted_geometry(scans[scan], with_options(density=density)).weight
    assert (np.ptp(np.abs(weight)) > 0) == (wanted == "on")
    assert np.array_equal(np.sign(weight), np.sign(geometry.weight))
    step = last(reconstruct(scans[scan], box(), options=options))
    assert (step["density"], step["window"]) == (wanted, window)


def test_unit_points_stay_one_with_every_weighting(lab):
    """Images are divided by the sum of the weights, whatever these are."""
    scan = lab.raster_scan([[0, 0, 0.3]], shape=(20, 20))
    grid = ImageGrid.from_extent((-4e-3, 4e-3), (-4e-3, 4e-3), (0.29, 0.31), spacing=(2e-3, 2e-3, 5e-3))
    for options in ({}, {"window": "hann"}, {"density": "on"}, {"window": "hamming", "density": "on"}):
        assert reconstruct(scan, grid, options=with_options(**options)).magnitude().max() == pytest.approx(1, abs=0.03)


def test_calibration_is_applied(scans):
    clean = scans["mimo"]
    rng = np.random.default_rng(4)
    gain = np.exp(rng.normal(0, 0.5, (2, 4)) + 1j * rng.uniform(-np.pi, np.pi, (2, 4)))
    bias = 0.037
    raw = clean.signal * gain[..., None] * np.exp(2j * clean.chirp.k * bias)
    calibration = Calibration(gain=gain, range_bias=bias, source="a test")
    measured = replace(clean, signal=raw.astype(np.complex64), calibration=calibration)
    wanted = reconstruct(clean, box(), options=QUIET)
    got = reconstruct(measured, box(), options=QUIET)
    np.testing.assert_allclose(got.data, wanted.data, atol=2e-5)
    assert [s["step"] for s in got.history[-2:]] == ["calibrate", "reconstruct"]
    assert got.history[-2]["source"] == "a test" and got.history[-2]["range_bias_m"] == bias
    assert reconstruct(measured, options=QUIET).grid == reconstruct(clean, options=QUIET).grid
    left_out = reconstruct(replace(measured, calibration=None), box(), options=QUIET)
    assert ncc(left_out, wanted) < 0.5, "the calibration is worth applying"


@pytest.mark.parametrize("method", METHODS)
def test_scan_in_its_file_gives_the_same_image(method, scans, tmp_path):
    from mmsar.io.scan_h5 import load_scan, save_scan

    gain = np.exp(1j * np.arange(8).reshape(2, 4))
    grid = box(0.03, -0.03, 0.03) if method == "isar" else box()
    scan = replace(scans["turn" if method == "isar" else "mimo"], calibration=Calibration(gain=gain, range_bias=0.01))
    save_scan(scan, tmp_path / "scan.h5")
    lazy = load_scan(tmp_path / "scan.h5", lazy=True)
    assert not isinstance(lazy.signal, np.ndarray)
    images = [reconstruct(s, grid, method=method, options=QUIET) for s in (lazy, scan)]
    np.testing.assert_allclose(images[0].data, images[1].data, atol=1e-6 * np.abs(images[1].data).max())
