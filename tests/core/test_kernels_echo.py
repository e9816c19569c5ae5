"""The echo kernels against numpy, and the two-dimensional transform they work with."""

import numpy as np
import pytest

from mmsar.core import kernels_echo
from mmsar.core.fft import PlaneFFT


def complex_noise(*shape: int) -> np.ndarray:
    parts = np.random.default_rng(0).standard_normal((2, *shape))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


@pytest.mark.parametrize("n", [8, 15])
def test_spherical_kernel(n):
    k2, z, pitch = 3300.0, 0.21, 1e-3
    out = np.empty((n, n), np.complex64)
    kernels_echo.spherical(k2, z, pitch, out)
    x = np.fft.fftfreq(n, 1 / n) * pitch
    radius = np.sqrt(x[:, None] ** 2 + x**2 + z**2)
    np.testing.assert_allclose(out, np.exp(1j * k2 * (radius - z)), atol=1e-6)


def test_waves_to_another_height():
    n, k2, height = 12, 3300.0, -2e-3
    spectrum, out = complex_noise(n, n), np.empty((n, n), np.complex64)
    mode = 2 * np.pi * np.fft.fftfreq(n, 1e-3)
    scale = np.linspace(0.5, 1.5, n).astype(np.float32)
    kernels_echo.to_height(spectrum, mode, scale, k2, height, out)
    kz = np.sqrt(np.maximum(k2**2 - mode[:, None] ** 2 - mode**2, 0))
    assert (kz == 0).any() and (kz > 0).any()
    want = spectrum * np.outer(scale, scale) * np.exp(-1j * (kz - k2) * height)
    np.testing.assert_allclose(out, want, atol=1e-5)


def test_products_add_up():
    left, right, out = complex_noise(5, 5), complex_noise(5, 5)[::-1].copy(), complex_noise(5, 5).T.copy()
    want = out + (0.3 - 2j) * left * right
    kernels_echo.add_product(left, right, 0.3 - 2j, out)
    np.testing.assert_allclose(out, want, rtol=1e-5)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_plane_is_numpys_transform_without_scale(direction):
    data = complex_noise(6, 10)
    plan = PlaneFFT(6, 10, direction)
    want = np.fft.fft2(data) if direction == "forward" else np.fft.ifft2(data) * data.size
    for _ in range(2):
        plan.buffer[:] = data
        np.testing.assert_allclose(plan(), want, rtol=1e-5, atol=1e-5 * np.abs(want).max())
