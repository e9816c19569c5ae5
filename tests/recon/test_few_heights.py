"""Few heights that carry many: the error of the matrix, when they are taken, and images made of them."""

import numpy as np
import pytest

from mmsar.model import ImageGrid
from mmsar.recon.few_heights import KzBand, few_heights, n_few
from mmsar.recon.migration import Migration
from mmsar.recon.stolt import MANY, Gridded

BAND = KzBand(low=1900.0, high=3400.0)


@pytest.mark.parametrize("depth", [0.005, 0.06, 0.4])
@pytest.mark.parametrize("band", [BAND, KzBand(low=3000.0, high=3400.0)])
def test_waves_of_the_band_come_out_at_all_heights(depth, band):
    z = np.linspace(0.3, 0.3 + depth, 400)
    n = n_few(len(z), z[1] - z[0], band)
    few, matrix = few_heights(z, n, band)
    assert n < len(z) and matrix.shape == (len(z), n) and matrix.dtype == np.complex64
    np.testing.assert_allclose(np.diff(few), few[1] - few[0])
    kz = np.linspace(band.low, band.high, 301)
    error = np.abs(matrix @ np.exp(-1j * np.outer(few, kz)) - np.exp(-1j * np.outer(z, kz)))
    assert np.sqrt(np.mean(error**2)) < 1e-5 and error.max() < 5e-4


def test_as_many_as_there_are_where_fewer_do_not_pay_or_do_not_do():
    assert n_few(16, 5e-3, BAND) == 16 and n_few(1, 1e-3, BAND) == 1
    assert n_few(64, 0.95e-3, BAND) < 32
    assert n_few(64, 0.95e-3, BAND.spread(25.0)) < 40 and n_few(64, 0.95e-3, BAND.spread(1e3)) == 64


def random(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.05), (0.05, 0.11), (0.2, 0.23)])
def test_an_image_of_few_heights_is_that_of_all(low, high):
    """Close to the aperture the band moves so fast that all heights are made."""
    rng = np.random.default_rng(0)
    grid = ImageGrid.from_extent((-0.03, 0.03), (-0.02, 0.03), (low, high), spacing=(2e-3, 2e-3, 0.5e-3))
    virtual = rng.uniform(-0.5, 0.5, (40, 3)) * [0.08, 0.06, 0.005]
    whole, parts = (
        Migration(np.linspace(1600, 1690, 4), grid, virtual, z_ref=0.0, scale=1.0, memory=2**m) for m in (30, 1)
    )
    n = whole._modes.n_heights(len(grid.z))
    assert (n < len(grid.z)) == (low > 0.02)
    spectrum = random(rng, 4, whole.n_pairs)
    image, want = whole(spectrum), parts(spectrum)
    assert len(list(parts._pieces())) == len(grid.z)
    assert np.linalg.norm(image - want) < 1e-5 * np.linalg.norm(want)
    other = image + random(rng, *image.shape) * np.abs(image).mean()
    assert np.vdot(other, image) == pytest.approx(np.vdot(whole.adjoint(other), spectrum), rel=1e-4)
    assert whole.nbytes - parts.nbytes < 8 * len(grid.z) * whole.n_pairs or low == 0.02


def test_a_great_many_heights_are_gridded_and_are_those_made_one_by_one():
    rng = np.random.default_rng(1)
    grid = ImageGrid(shape=(MANY + 12, 4, 5), origin=(-0.01, -0.01, 0.3), spacing=(4e-3, 4e-3, 12e-3))
    virtual = rng.uniform(-0.5, 0.5, (30, 3)) * [0.05, 0.05, 0.002]
    whole, parts = (
        Migration(np.linspace(1600, 1690, 6), grid, virtual, z_ref=0.0, scale=1.0, memory=2**m) for m in (30, 1)
    )
    (piece,) = whole._pieces()
    assert isinstance(piece.stolt, Gridded) and piece.n == len(grid.z)
    spectrum = random(rng, 6, whole.n_pairs)
    image = whole(spectrum)
    assert np.linalg.norm(image - parts(spectrum)) < 1e-5 * np.linalg.norm(image)
    assert np.vdot(image, image) == pytest.approx(np.vdot(whole.adjoint(image), spectrum), rel=1e-4)
