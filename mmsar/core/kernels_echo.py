"""Hot loops of the fast echo model: the spherical kernel on a periodic grid, and plane waves moved to another height.

Grids are N x N complex64 in FFT order. No kernel allocates; all release the lock and are called from one thread per
core.
"""

import numpy as np
from numba import njit

from mmsar.core.phasor import FAST, sincos_cycles


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def spherical(k2: float, z: float, pitch: float, out: np.ndarray) -> None:
    """out = exp(j k2 (R - z)), R = sqrt(x^2 + y^2 + z^2), offset 0 in the first element, negative ones at the end."""
    n = out.shape[0]
    for i in range(n):
        y = (i if i < n - n // 2 else i - n) * pitch
        for j in range(n):
            x = (j if j < n - n // 2 else j - n) * pitch
            square = x * x + y * y
            sine, cosine = sincos_cycles(k2 * square / (np.sqrt(square + z * z) + z) / (2 * np.pi))
            out[i, j] = np.complex64(complex(cosine, sine))


@njit(cache=True, nogil=True, fastmath=FAST)
def add_product(left: np.ndarray, right: np.ndarray, factor: complex, out: np.ndarray) -> None:
    """out += factor left right."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] += np.complex64(factor * left[i, j] * right[i, j])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def to_height(
    spectrum: np.ndarray, mode: np.ndarray, scale: np.ndarray, k2: float, height: float, out: np.ndarray
) -> None:
    """out = spectrum scale[y] scale[x] exp(-j (kz - k2) height), kz = sqrt(k2^2 - mode[x]^2 - mode[y]^2), at least 0.

    mode (n,): wavenumbers of the grid [rad/m]; scale (n,): float32.
    """
    turns = height / (2 * np.pi)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            square = min(mode[i] * mode[i] + mode[j] * mode[j], k2 * k2)
            sine, cosine = sincos_cycles(square / (k2 + np.sqrt(k2 * k2 - square)) * turns)
            weight = scale[i] * scale[j]
            out[i, j] = np.complex64(spectrum[i, j] * complex(weight * cosine, weight * sine))
