"""Sums over frequencies at even heights, phases turned from one to the next, against phases made one by one."""

import numpy as np
import pytest

from mmsar.core import gridding, kernels_heights

BAND = np.array([-0.5, 0.6, -0.6, 0.5, 0.7, 0.1])
N = 2 * kernels_heights.LANES + 11


def problem(n_k=5):
    rng = np.random.default_rng(3)
    k2 = np.linspace(3150.0, 3350.0, n_k)
    kx, ky = rng.uniform(-2400, 2400, (2, N))
    return kx, ky, k2, noise(rng, n_k, N), noise(rng, N), rng


def noise(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


@pytest.mark.parametrize("n_z", [1, 7, kernels_heights.RUN, 3 * kernels_heights.RUN + 5])
def test_even_heights_are_any_heights_and_have_their_adjoint(n_z):
    kx, ky, k2, spectrum, q_phase, rng = problem()
    z_0, h = 0.27, 1.7e-3
    z, z_scale = z_0 + h * np.arange(n_z), rng.random(n_z).astype(np.float32)
    planes, want, other = np.zeros((n_z, N), np.complex64), np.zeros((n_z, N), np.complex64), noise(rng, n_z, N)
    back = np.zeros_like(spectrum)
    for first, last in ((0, 100), (100, N)):
        waves = (spectrum, first, kx, ky, k2, BAND)
        kernels_heights.sum_even(*waves, z_0, h, z_scale, q_phase, planes, last)
        gridding.sum_heights(*waves, z, z_scale, q_phase, want, last)
        kernels_heights.sum_even_back(back, *waves[1:], z_0, h, z_scale, q_phase, other, last)
    assert np.linalg.norm(want) > 0
    np.testing.assert_allclose(planes, want, atol=1e-5 * np.abs(want).max())
    assert np.vdot(other, planes) == pytest.approx(np.vdot(back, spectrum), rel=1e-5)
