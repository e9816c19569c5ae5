"""Sums over the samples of every pose, with the derivatives of its echo by a displacement.

G is (m, n, channels, 3) complex64, samples are (m, n, channels) complex64; poses are rows. All release the lock.
"""

import numpy as np
from numba import njit

from mmsar.core.phasor import FAST


@njit(cache=True, nogil=True, fastmath=FAST)
def along(gradient: np.ndarray, step: np.ndarray, echo: np.ndarray) -> None:
    """echo += G step, step (n, 3) float32."""
    for j in range(gradient.shape[0]):
        for p in range(gradient.shape[1]):
            x, y, z = step[p, 0], step[p, 1], step[p, 2]
            given, out = gradient[j, p], echo[j, p]
            for c in range(gradient.shape[2]):
                out[c] += x * given[c, 0] + y * given[c, 1] + z * given[c, 2]


@njit(cache=True, nogil=True, fastmath=FAST)
def slopes(gradient: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Re G^H s of every pose, (n, 3)."""
    out = np.zeros((gradient.shape[1], 3))
    for j in range(gradient.shape[0]):
        for p in range(gradient.shape[1]):
            given, values = gradient[j, p], samples[j, p]
            x, y, z = np.float32(0), np.float32(0), np.float32(0)
            for c in range(gradient.shape[2]):
                re, im = values[c].real, values[c].imag
                x += given[c, 0].real * re + given[c, 0].imag * im
                y += given[c, 1].real * re + given[c, 1].imag * im
                z += given[c, 2].real * re + given[c, 2].imag * im
            out[p, 0] += x
            out[p, 1] += y
            out[p, 2] += z
    return out


@njit(cache=True, nogil=True, fastmath=FAST)
def curvatures(gradient: np.ndarray) -> np.ndarray:
    """Re G^H G of every pose, (n, 3, 3)."""
    out = np.zeros((gradient.shape[1], 3, 3))
    for j in range(gradient.shape[0]):
        for p in range(gradient.shape[1]):
            given = gradient[j, p]
            for a in range(3):
                for b in range(a + 1):
                    total = np.float32(0)
                    for c in range(gradient.shape[2]):
                        total += given[c, a].real * given[c, b].real + given[c, a].imag * given[c, b].imag
                    out[p, a, b] += total
    for p in range(gradient.shape[1]):
        for a in range(3):
            for b in range(a):
                out[p, b, a] = out[p, a, b]
    return out
