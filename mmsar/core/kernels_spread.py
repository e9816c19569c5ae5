"""Hot loops of the exact irregular front: many data sets spread to one grid together, and the adjoint.

The fine grid is (n_z, n_y, n_x, m) complex64 with the m data sets (frequencies) innermost: they share the points, so
the kernel's taps are computed once and the inner loop runs along contiguous memory. Kernel tables are those of
`core.gridding.kaiser_bessel`. No kernel allocates; all release the lock and are called from one thread per core.
"""

import numpy as np
from numba import njit

from mmsar.core.gridding import MAX_WIDTH, taps
from mmsar.core.phasor import FAST

LANES = 16
"""Floats taken together in the inner loop."""


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def spread_points(data: np.ndarray, points: np.ndarray, first: int, last: int, tables: tuple, grid: np.ndarray) -> None:
    """grid += taps of points[first:last] times data; data (n, m) complex64, points (n, 3) z, y, x in grid units.

    The taps along x times the data make one row of floats, padded with zeros to whole `LANES`, that is added to the
    grid once per tap along z and y (with unsigned indices, or the loop is not vectorised); the grid has
    `slack(m, width)` points more along x than the taps reach.
    """
    wz, wy, wx = np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32)
    n_y, n_x, m2, width = grid.shape[1], grid.shape[2], 2 * grid.shape[3], tables[2].shape[1]
    real, source = grid.reshape(-1).view(np.float32), data.view(np.float32)
    n_row = -(-width * m2 // LANES) * LANES
    row = np.zeros(n_row, np.float32)
    for p in range(first, last):
        iz = taps(points[p, 0], tables[0], wz)
        iy = taps(points[p, 1], tables[1], wy)
        ix = taps(points[p, 2], tables[2], wx)
        values = source[p]
        for c in range(width):
            part = row[c * m2 : (c + 1) * m2]
            for i in range(m2):
                part[i] = wx[c] * values[i]
        for a in range(tables[0].shape[1]):
            for b in range(tables[1].shape[1]):
                weight = wz[a] * wy[b]
                start = np.uint64((((iz + a) * n_y + iy + b) * n_x + ix) * m2)
                for i in range(np.uint64(n_row)):
                    real[start + i] += weight * row[i]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def gather_points(grid: np.ndarray, points: np.ndarray, first: int, last: int, tables: tuple, data: np.ndarray) -> None:
    """Adjoint of `spread_points`: data[first:last] overwritten."""
    wz, wy, wx = np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32)
    n_y, n_x, m2, width = grid.shape[1], grid.shape[2], 2 * grid.shape[3], tables[2].shape[1]
    real, target = grid.reshape(-1).view(np.float32), data.view(np.float32)
    n_row = -(-width * m2 // LANES) * LANES
    row = np.zeros(n_row, np.float32)
    for p in range(first, last):
        iz = taps(points[p, 0], tables[0], wz)
        iy = taps(points[p, 1], tables[1], wy)
        ix = taps(points[p, 2], tables[2], wx)
        row[:] = np.float32(0.0)
        for a in range(tables[0].shape[1]):
            for b in range(tables[1].shape[1]):
                weight = wz[a] * wy[b]
                start = np.uint64((((iz + a) * n_y + iy + b) * n_x + ix) * m2)
                for i in range(np.uint64(n_row)):
                    row[i] += weight * real[start + i]
        values = target[p]
        values[:] = np.float32(0.0)
        for c in range(width):
            part = row[c * m2 : (c + 1) * m2]
            for i in range(m2):
                values[i] += wx[c] * part[i]


def slack(m: int, width: int) -> int:
    """Grid points along x that the padding of `spread_points` may touch beyond the taps of the last point."""
    return -(-(LANES - 1) // (2 * m)) if (2 * m * width) % LANES else 0
