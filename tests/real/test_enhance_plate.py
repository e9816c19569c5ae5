"""The real plate enhanced by the network that comes with the package: nothing appears beside it, its edges stay."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

from mmsar.enhance import weights
from mmsar.enhance.consistency import consistency
from mmsar.enhance.guard import new_blobs, unlike
from mmsar.enhance.infer import Enhancer, enhance
from mmsar.model import ImageGrid
from mmsar.recon.planner import reconstruct

PLATE = (-0.023, 0.0735)
"""Left and right edge [m]."""


@pytest.fixture(scope="module")
def pair(plate):
    grid = ImageGrid.from_extent((-0.1, 0.1), (-0.1, 0.1), 0.3325, spacing=0.78125e-3)
    image = reconstruct(plate, grid, method="rma")
    return image, enhance(image, Enhancer(weights.find()))


def outside(image) -> float:
    """Part of the energy further than 15 mm beside the plate's left and right edge."""
    energy = image.magnitude()[0].astype(float) ** 2
    beside = (image.grid.x < PLATE[0] - 0.015) | (image.grid.x > PLATE[1] + 0.015)
    return float(energy[:, beside].sum() / energy.sum())


def test_energy_beside_the_plate_falls(pair):
    before, after = (outside(image) for image in pair)
    assert after < 0.5 * before
    assert after < 0.02


def test_plate_stays_where_it_is(pair):
    cuts = [image.magnitude()[0][np.abs(image.grid.y - 0.015) < 0.01].mean(axis=0) for image in pair]
    x = pair[0].grid.x
    ends = [x[cut > 0.5 * np.median(cut[(x > 0) & (x < 0.06)])][[0, -1]] for cut in cuts]
    np.testing.assert_allclose(ends[1], ends[0], atol=3e-3)


def test_guard_finds_nothing_invented(plate, pair):
    assert new_blobs(*pair) == []
    likeness = unlike(pair[0], Enhancer(weights.find()))
    assert likeness.distance <= likeness.limit
    found = consistency(plate, *pair)
    assert found.ratio > 0.9
