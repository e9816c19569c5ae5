"""An image that grows part by part against the exact sum over the whole scan, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.errors import GeometryError
from mmsar.metrics import error_db
from mmsar.model import Calibration, ImageGrid
from mmsar.recon import bpa
from mmsar.recon.growing import GrowingImage
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.signal.calibrate import apply_calibration

from .conftest import mimo_scan

POINTS = [[-0.006, 0.004, 0.15], [0.008, -0.006, 0.17]]
GRID = ImageGrid.from_extent((-0.015, 0.015), (-0.012, 0.012), (0.14, 0.18), spacing=(2e-3, 2e-3, 1e-2))
ROWS = [slice(0, 36), slice(36, 72), slice(72, 108)]


@pytest.fixture(scope="module")
def scan():
    """Three rows of an IWR1443, one channel of the second lost, calibration still to be applied."""
    made = mimo_scan(POINTS, shape=(3, 36))
    valid = np.ones(made.shape[:3], dtype=bool)
    valid[40:50, 0, 1] = False
    gain = np.exp(1j * np.arange(8).reshape(2, 4)).astype(np.complex64)
    return replace(made, valid=valid, calibration=Calibration(gain=gain, range_bias=0.01, source="test"))


def grown(scan, rows, **given) -> GrowingImage:
    image = GrowingImage(GRID, **given)
    for poses in rows:
        image.add(scan.subset(poses))
    return image


@pytest.fixture(scope="module")
def images(scan):
    """The image after each row, the rows in another order than they were driven."""
    growing, found = GrowingImage(GRID), []
    for i in (2, 0, 1):
        growing.add(scan.subset(ROWS[i]))
        found.append(growing.image)
    return found


def test_rows_add_up_to_the_exact_sum(scan, images) -> None:
    """The oracle: back-projection of the whole scan in float64."""
    applied = apply_calibration(scan)
    fit = error_db(images[-1].data, bpa.exact_image(applied.read(), applied.geometry, GRID))
    assert fit.error_db < -50
    assert abs(fit.scale - 1) < 1e-2, "and in the same scale"
    assert (images[-1].history[-1]["parts"], images[-1].history[-1]["poses"]) == (3, 108)


def test_before_the_end_it_is_the_image_of_what_has_come(scan, images) -> None:
    exact = reconstruct(scan.subset(ROWS[2]), GRID, method="bpa", options=ReconOptions(progress=False))
    assert error_db(images[0].data, exact.data).error_db < -50
    assert error_db(images[1].data, images[2].data).error_db > -20, "the last row does count"


@pytest.mark.parametrize("method", ["rma", "nufft"])
def test_other_methods_add_up_too(method) -> None:
    scan = mimo_scan(POINTS, shape=(3, 36))
    options = ReconOptions(progress=False, density="off")
    whole = reconstruct(scan, GRID, method=method, options=options)
    found = grown(scan, ROWS, method=method, options=options)
    assert error_db(found.image.data, whole.data).error_db < -40


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (ReconOptions(window="hann"), "window: got hann"),
        (ReconOptions(density="on"), "density: got on"),
        (ReconOptions(verify=True), "verify: got True"),
    ],
)
def test_what_needs_the_whole_aperture_is_refused(options, complaint) -> None:
    with pytest.raises(GeometryError, match=complaint):
        GrowingImage(GRID, options=options)


def test_a_part_that_cannot_be_imaged_leaves_the_image_as_it_was(scan) -> None:
    found = grown(scan, ROWS[:1], method="rma")
    before = found.image.data.copy()
    bent = scan.trajectory.position.copy()
    bent[:, 2] += np.linspace(0, 0.02, len(bent))
    with pytest.raises(GeometryError):
        found.add(replace(scan, trajectory=replace(scan.trajectory, position=bent)))
    np.testing.assert_array_equal(found.image.data, before)
    assert found.n_parts == 1


def test_nothing_added_is_no_image() -> None:
    with pytest.raises(GeometryError, match="no part yet"):
        _ = GrowingImage(GRID).image
    with pytest.raises(GeometryError, match="method: got 'auto'"):
        GrowingImage(GRID, method="auto")
