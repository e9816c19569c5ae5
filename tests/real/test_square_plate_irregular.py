"""An EMULATED irregular scan: some of the positions of the real raster of the square plate, imaged by `nufft`.

The echoes are real, the irregularity is not: nobody moved the radar like this.
"""

import numpy as np
import pytest

from mmsar.metrics import ncc
from mmsar.model import Image, ImageGrid, Scan
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import explain, reconstruct

SLICE = ImageGrid.from_extent((-0.06, 0.11), (-0.04, 0.06), 0.335, spacing=1e-3)
"""The plate's depth slice."""


@pytest.fixture(scope="module")
def short(plate: Scan) -> Scan:
    """Every fourth frequency: the same bandwidth, unambiguous to 5.4 m instead of 21.6 m."""
    return plate.subset(samples=slice(0, None, 4))


@pytest.fixture(scope="module")
def full(short: Scan) -> Image:
    return reconstruct(short, SLICE, method="rma")


def wandering(n_y: int, n_x: int, steps: int, seed: int) -> np.ndarray:
    """Mask (n_y * n_x,) of the raster positions that a smooth random path passes."""
    from scipy.ndimage import gaussian_filter1d

    path = gaussian_filter1d(np.random.default_rng(seed).standard_normal((2, steps)), 25, axis=1)
    rank = path.argsort(axis=1).argsort(axis=1) / steps  # as often in every part of the raster
    mask = np.zeros((n_y, n_x), dtype=bool)
    mask[(rank[0] * n_y).astype(int), (rank[1] * n_x).astype(int)] = True
    return mask.ravel()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_random_quarter_of_the_positions_emulated(short: Scan, full: Image, seed: int) -> None:
    mask = np.random.default_rng(seed).random(short.shape[0]) < 0.25
    part = short.subset(poses=mask)
    assert 3800 < part.shape[0] < 4200
    image = reconstruct(part, SLICE, method="nufft")
    assert image.history[-1]["density"] == "on"
    assert ncc(image, full, kind="magnitude") >= 0.95  # 0.97 to 0.98; an angular spectrum of one receiver gave 0.91
    plain = reconstruct(part, SLICE, method="nufft", options=ReconOptions(density="off"))
    assert ncc(image, full) > ncc(plain, full) + 0.02  # density compensation is worth it
    assert "rma" in explain(part, SLICE) and "grid through the samples is filled" in explain(part, SLICE)


def test_a_wandering_path_emulated(short: Scan, full: Image) -> None:
    mask = wandering(short.raster.n_y, short.raster.n_x, 6000, seed=1)
    assert 0.2 < mask.mean() < 0.35
    image = reconstruct(short.subset(poses=mask), SLICE, method="nufft")
    assert ncc(image, full, kind="magnitude") >= 0.93  # 0.97
