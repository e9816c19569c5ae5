"""The back-projection sum itself, in float64: slow, plain, the reference for everything faster.

    image(r) = sum_c w_c sum_n v_n s[c, n] exp(-j k_n R_c(r)),   R_c(r) = |r - tx_c| + |r - rx_c|

The frequencies are equally spaced, k_n = k0 + n dk, so the inner sum is a polynomial in exp(-j dk R) (Horner).
"""

import numba
import numpy as np


@numba.njit(parallel=True, cache=True, error_model="numpy")
def exact_sum(
    signal: np.ndarray, tx: np.ndarray, rx: np.ndarray, k0: float, dk: float, points: np.ndarray
) -> np.ndarray:
    """Sum all channels and frequencies at every point.

    Parameters
    ----------
    signal : (n_channels, n_samples) complex128
        Samples, weights of channels and frequencies already multiplied in.
    tx, rx : (n_channels, 3) float64
        Phase centres [m].
    k0, dk : float
        First wavenumber and step [rad/m].
    points : (n_points, 3) float64
        Where to evaluate [m].

    Returns
    -------
    (n_points,) complex128
        Not normalised.
    """
    n_channels, n_samples = signal.shape
    out = np.zeros(len(points), dtype=np.complex128)
    for i in numba.prange(len(points)):
        total = 0j
        for c in range(n_channels):
            path = np.sqrt(
                (points[i, 0] - tx[c, 0]) ** 2 + (points[i, 1] - tx[c, 1]) ** 2 + (points[i, 2] - tx[c, 2]) ** 2
            ) + np.sqrt(
                (points[i, 0] - rx[c, 0]) ** 2 + (points[i, 1] - rx[c, 1]) ** 2 + (points[i, 2] - rx[c, 2]) ** 2
            )
            turn = complex(np.cos(dk * path), -np.sin(dk * path))
            value = 0j
            for n in range(n_samples - 1, -1, -1):
                value = value * turn + signal[c, n]
            total += value * complex(np.cos(k0 * path), -np.sin(k0 * path))
        out[i] = total
    return out
