"""The parts of imaging in rotation: heights from their wavenumbers, and the front of even rings, against plain sums."""

import numpy as np
import pytest

from mmsar.model import ImageGrid
from mmsar.recon.fronts import RectilinearFront
from mmsar.recon.heights import HeightSynthesis
from mmsar.recon.polar import PolarMigration
from mmsar.recon.ring import RingAperture
from mmsar.recon.ringfront import RingFront, even_ring

LAM = 299792458.0 / 79e9


def noise(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


# ---- heights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [np.arange(40) * 1e-3 + 0.2, np.zeros(1) + 0.03, np.arange(300) * 2e-3], ids=len)
@pytest.mark.parametrize("n", [1, 5, 601])
def test_heights_are_the_direct_sum(y, n):
    rng = np.random.default_rng(n)
    ky = rng.permutation(np.linspace(-3000, 3000, n) if n > 1 else np.zeros(1))
    weight = rng.uniform(0.2, 1, n)
    heights = HeightSynthesis(ky, y, weight, error=1e-4)
    planes = noise(rng, n, 4, 6)  # a slice of it has strides, as the caller's has
    lines, image = planes[:, 2], noise(rng, len(y), 6)
    got, back = np.empty((len(y), 6), np.complex64), np.empty((n, 3, 6), np.complex64)[:, 1]
    heights(lines, heights.buffer(6), got)
    heights.adjoint(image, heights.buffer(6), back)
    want = np.exp(1j * np.outer(y - heights.middle, ky)) @ (weight[:, None] * lines)
    assert np.linalg.norm(got - want) < 3e-4 * np.linalg.norm(want)
    assert np.vdot(image, got) == pytest.approx(np.vdot(back, lines), rel=1e-4)


def test_few_heights_of_many_wavenumbers_take_a_smaller_matrix():
    ky = np.linspace(-3000, 3000, 1000)
    small, whole = (HeightSynthesis(ky, np.arange(n) * 1e-3, np.ones(1000), error=1e-3).nbytes / n for n in (64, 1000))
    assert small < 0.2 * whole


def test_two_ends_of_a_band_take_no_rows_between_them():
    ky = np.concatenate([np.linspace(-3000, -2900, 100), np.linspace(2900, 3000, 100)])
    y, rng = np.arange(64) * 1e-3, np.random.default_rng(4)
    lines, got = noise(rng, 200, 3), np.empty((64, 3), np.complex64)
    heights = HeightSynthesis(ky, y, np.ones(200), error=1e-4)
    heights(lines, heights.buffer(3), got)
    want = np.exp(1j * np.outer(y - heights.middle, ky)) @ lines
    assert np.linalg.norm(got - want) < 3e-4 * np.linalg.norm(want)
    assert heights.buffer(3).shape[0] < 40


# ---- even rings ------------------------------------------------------------------------------------------------------


def rasters(n_angles, n_heights, *, start=0.3, step=LAM / 4, jitter=0.0):
    angles = start + 2 * np.pi * (np.arange(n_angles) + jitter) / n_angles
    heights = (np.arange(n_heights) - 1.5) * step
    index = np.random.default_rng(1).permutation(n_angles * n_heights)
    return angles, heights, index


TOLERANCE = (1e-3, 1e-5)


@pytest.mark.parametrize("n_angles", [200, 64])
@pytest.mark.parametrize("missing", [0, 30])
def test_even_ring_is_the_plain_sum(n_angles, missing):
    """Of more angles than orders, of fewer (aliased orders), and with channels that are not there."""
    angles, heights, index = rasters(n_angles, 12)
    index = index[: len(index) - missing]
    ring = even_ring((angles, heights, index), TOLERANCE)
    grid = ImageGrid.from_extent((-0.01, 0.01), (0.0, 0.01), (-0.01, 0.01), spacing=1e-3)
    aperture = RingAperture(
        radius=0.25,
        heights=(heights[0], heights[-1]),
        n_angles=n_angles,
        kernel="matched",
        height_step=ring.height_step,
    )
    migration = PolarMigration(np.array([1600.0, 1650.0]), grid, aperture, scale=1.0, eps=1e-4)
    assert (2 * migration.order + 1 > n_angles) == (n_angles == 64)
    fast, plain = RingFront(ring, migration), RectilinearFront((angles, heights, index), migration)
    rng = np.random.default_rng(2)
    data, spectrum = noise(rng, 2, len(index)), noise(rng, 2, migration.n_pairs)
    assert np.linalg.norm(fast(data) - plain(data)) < 1e-4 * np.linalg.norm(plain(data))
    back = plain.adjoint(spectrum)
    assert np.linalg.norm(fast.adjoint(spectrum) - back) < 1e-4 * np.linalg.norm(back)
    assert fast.nbytes > 8 * migration.n_pairs


def test_what_is_not_an_even_ring():
    assert even_ring(rasters(60, 5), TOLERANCE) is not None
    crooked = np.where(np.arange(60) == 7, 0.1, 0.0)
    assert even_ring(rasters(60, 5, jitter=crooked), TOLERANCE) is None
    angles, heights, index = rasters(60, 5)
    assert even_ring((angles * 0.9, heights, index), TOLERANCE) is None, "not all the way round"
    assert even_ring((angles, heights + 2e-4 * np.arange(5) ** 2, index), TOLERANCE) is None
    assert even_ring((angles, heights[:1], index[:60]), TOLERANCE) is None, "one height: nothing to transform"
    assert even_ring((angles, heights, np.append(index, index[0])), TOLERANCE) is None
    heights[2] += 0.9e-5
    assert even_ring((angles, heights, index), TOLERANCE).n_heights == 5, "within the tolerance"
