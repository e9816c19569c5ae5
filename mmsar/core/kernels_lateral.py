"""Planes of wavenumber pairs into the buffers of the lateral Fourier transforms and back, each with its adjoint.

All kernels work on arrays, release the lock, and are called from one thread per core.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def place(
    values: np.ndarray,
    row: np.ndarray,
    mode: np.ndarray,
    by_row: np.ndarray,
    by_mode: np.ndarray,
    index: np.ndarray,
    out: np.ndarray,
) -> None:
    """out = 0, then out.flat[index[q]] += values[q] by_row[row[q]] by_mode[mode[q]]."""
    out[:] = 0.0
    flat = out.reshape(-1)
    for q in range(values.size):
        flat[index[q]] += values[q] * (by_row[row[q]] * by_mode[mode[q]])


@njit(cache=True, nogil=True)
def pick(
    source: np.ndarray,
    row: np.ndarray,
    mode: np.ndarray,
    by_row: np.ndarray,
    by_mode: np.ndarray,
    index: np.ndarray,
    values: np.ndarray,
) -> None:
    """Adjoint of `place`."""
    flat = source.reshape(-1)
    for q in range(values.size):
        values[q] = flat[index[q]] * (by_row[row[q]] * by_mode[mode[q]])


@njit(cache=True, nogil=True)
def turn(source: np.ndarray, column: np.ndarray, out: np.ndarray) -> None:
    """out = 0, then out[i, column[r]] += source[r, i] for the first len(out) columns i of source."""
    out[:] = 0.0
    n_rows = source.shape[0]
    for r0 in range(0, n_rows, 8):
        r1 = min(r0 + 8, n_rows)
        for i in range(out.shape[0]):
            for r in range(r0, r1):
                out[i, column[r]] += source[r, i]


@njit(cache=True, nogil=True)
def turn_back(source: np.ndarray, column: np.ndarray, out: np.ndarray) -> None:
    """Adjoint of `turn`: out[r, i] = source[i, column[r]] for i < len(source), 0 beyond."""
    out[:] = 0.0
    n_rows = out.shape[0]
    for r0 in range(0, n_rows, 8):
        r1 = min(r0 + 8, n_rows)
        for i in range(source.shape[0]):
            for r in range(r0, r1):
                out[r, i] = source[i, column[r]]
