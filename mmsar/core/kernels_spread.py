"""Hot loops of the exact irregular front: many data sets spread to one grid together, and the adjoint.

The fine grid is (rows, n_z, n_x, m) complex64, row y at y modulo `rows`: all of it or a window that moves along y. The
m data sets (frequencies) are innermost: they share the points, so taps are computed once and the inner loop runs along
contiguous memory. `n_x` is a multiple of 8 and arrays begin at a line of the cache, so that whole lines are
added. Kernel tables are those of `core.gridding.kernel_table`. No kernel allocates for more than one point; all release
the lock and are called from one thread per core.
"""

import numpy as np
from numba import njit

from mmsar.core.gridding import MAX_WIDTH, taps
from mmsar.core.phasor import FAST

LANES = 16
"""Floats in a line of the cache, taken together in the inner loop."""


def cells(n_x: int) -> int:
    """Cells along x of a grid that is to have `n_x`."""
    return -(-n_x // 8) * 8


@njit(cache=True, nogil=True, fastmath=FAST)
def take_points(data: np.ndarray, order: np.ndarray, factor: np.ndarray, out: np.ndarray) -> None:
    """out[p, i] = factor[p] data[order[p], i]; complex64, rows of data contiguous, out as wide or wider."""
    source, target, n = data.view(np.float32), out.view(np.float32), data.shape[1]
    for p in range(order.size):
        given, mine = source[order[p]], target[p]
        re, im = factor[p].real, factor[p].imag
        for i in range(n):
            mine[2 * i] = given[2 * i] * re - given[2 * i + 1] * im
            mine[2 * i + 1] = given[2 * i] * im + given[2 * i + 1] * re


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def spread_points(
    data: np.ndarray, points: np.ndarray, first: int, last: int, tables: tuple, rows: tuple, grid: np.ndarray
) -> None:
    """grid += taps of points[first:last] times data, on rows[0] <= y < rows[1] only.

    data (n, m) complex64; points (n, 3) z, y, x in grid units. The taps along x times the data make one row of floats,
    with zeros before and after so that it begins and ends with lines of the cache, that is added to the grid once per
    tap along z and y (with unsigned indices, or the loop is not vectorised).
    """
    wz, wy, wx = np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32)
    held, n_z, n_x, m2, width = grid.shape[0], grid.shape[1], grid.shape[2], 2 * grid.shape[3], tables[2].shape[1]
    real, source = grid.reshape(-1).view(np.float32), data.view(np.float32)
    line = np.empty((width * m2 // LANES + 2) * LANES, np.float32)
    for p in range(first, last):
        iz = taps(points[p, 0], tables[0], wz)
        iy = taps(points[p, 1], tables[1], wy)
        ix = taps(points[p, 2], tables[2], wx)
        lead = ix * m2 % LANES
        n = np.uint64((lead + width * m2 + LANES - 1) // LANES * LANES)
        values = source[p]
        line[:] = np.float32(0.0)
        for c in range(width):
            part = line[lead + c * m2 : lead + (c + 1) * m2]
            for i in range(m2):
                part[i] = wx[c] * values[i]
        for b in range(tables[1].shape[1]):
            if rows[0] <= iy + b < rows[1]:
                at = (iy + b) % held * n_z + iz
                for a in range(tables[0].shape[1]):
                    weight = wz[a] * wy[b]
                    start = np.uint64(((at + a) * n_x + ix) * m2 - lead)
                    for i in range(n):
                        real[start + i] += weight * line[i]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def gather_points(
    grid: np.ndarray, points: np.ndarray, first: int, last: int, tables: tuple, rows: tuple, data: np.ndarray
) -> None:
    """Adjoint of `spread_points`: data[first:last] overwritten."""
    wz, wy, wx = np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32), np.empty(MAX_WIDTH, np.float32)
    held, n_z, n_x, m2, width = grid.shape[0], grid.shape[1], grid.shape[2], 2 * grid.shape[3], tables[2].shape[1]
    real, target = grid.reshape(-1).view(np.float32), data.view(np.float32)
    line = np.empty((width * m2 // LANES + 2) * LANES, np.float32)
    for p in range(first, last):
        iz = taps(points[p, 0], tables[0], wz)
        iy = taps(points[p, 1], tables[1], wy)
        ix = taps(points[p, 2], tables[2], wx)
        lead = ix * m2 % LANES
        n = np.uint64((lead + width * m2 + LANES - 1) // LANES * LANES)
        line[:] = np.float32(0.0)
        for b in range(tables[1].shape[1]):
            if rows[0] <= iy + b < rows[1]:
                at = (iy + b) % held * n_z + iz
                for a in range(tables[0].shape[1]):
                    weight = wz[a] * wy[b]
                    start = np.uint64(((at + a) * n_x + ix) * m2 - lead)
                    for i in range(n):
                        line[i] += weight * real[start + i]
        values = target[p]
        values[:] = np.float32(0.0)
        for c in range(width):
            part = line[lead + c * m2 : lead + (c + 1) * m2]
            for i in range(m2):
                values[i] += wx[c] * part[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def _combine(matrix: np.ndarray, given: np.ndarray, out: np.ndarray) -> None:
    """out = matrix given for (n, n_x, m) complex64, a copy where the matrix is empty."""
    source, target = given.reshape(-1).view(np.float32), out.reshape(-1).view(np.float32)
    if matrix.size == 0:
        target[:] = source
        return
    n = target.size // matrix.shape[0]
    target[:] = np.float32(0.0)
    for a in range(matrix.shape[0]):
        mine = target[a * n : (a + 1) * n]
        for b in range(matrix.shape[1]):
            other, weight = source[b * n : (b + 1) * n], matrix[a, b]
            for i in range(n):
                mine[i] += weight * other[i]


@njit(cache=True, nogil=True)
def spread_rows(
    data: np.ndarray,
    points: np.ndarray,
    firsts: np.ndarray,
    start: int,
    span: tuple,
    tables: tuple,
    matrix: np.ndarray,
    window: np.ndarray,
    rows: np.ndarray,
) -> int:
    """rows[r] = matrix times row y + r of the fine grid, of the points from `start` on; the first point not yet spread.

    firsts (n_y + 1,): the first point that begins in every row; span: the first row that is wanted at all, and y.
    """
    low, y = span
    held = window.shape[0]
    for r in range(rows.shape[0]):
        end, slot = firsts[y + r + 1], (y + r) % held
        spread_points(data, points, start, end, tables, (low, y + r + held), window)
        _combine(matrix, window[slot], rows[r])
        window[slot] = 0.0
        start = end
    return start


@njit(cache=True, nogil=True)
def gather_rows(
    rows: np.ndarray,
    points: np.ndarray,
    firsts: np.ndarray,
    done: int,
    span: tuple,
    tables: tuple,
    matrix: np.ndarray,
    window: np.ndarray,
    data: np.ndarray,
) -> int:
    """Adjoint of `spread_rows`, of all points that row y + r completes; how many are done.

    matrix: that of `spread_rows` transposed; firsts: counted from the first of `points`; span: first row and end of
    those that are wanted, and y.
    """
    low, high, y = span
    held = window.shape[0]
    for r in range(rows.shape[0]):
        _combine(matrix, rows[r], window[(y + r) % held])
        last = high if y + r + 1 == high else max(y + r + 2 - held, 0)
        end = max(firsts[last], done)
        gather_points(window, points, done, end, tables, (low, y + r + 1), data)
        done = end
    return done
