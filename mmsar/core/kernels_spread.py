"""Hot loops of the exact irregular front: many data sets spread together, planes combined along z, and adjoints.

The fine grid is (n_z, n_y, n_x, m) complex64 with the m data sets (frequencies) innermost: they share the points, so
the kernel's taps are computed once and the inner loop runs along contiguous memory. Kernel tables are those of
`core.gridding.kaiser_bessel`. No kernel allocates; all release the lock and are called from one thread per core.
"""

import numpy as np
from numba import njit

from mmsar.core.gridding import MAX_WIDTH, taps
from mmsar.core.phasor import FAST, sincos_cycles

LANES = 32
"""Floats taken together in the inner loop."""


@njit(cache=True, nogil=True, fastmath=FAST)
def spread_points(data: np.ndarray, points: np.ndarray, first: int, last: int, tables: tuple, grid: np.ndarray) -> None:
    """grid += taps of points[first:last] times data; data (n, m) complex64, points (n, 3) z, y, x in grid units.

    The taps along x times the data make one row of floats, padded with zeros to whole `LANES`, that is added to the
    grid once per tap along z and y; the grid has `slack(m, width)` points more along x than the taps reach.
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
                start = (((iz + a) * n_y + iy + b) * n_x + ix) * m2
                line = real[start : start + n_row]
                for i in range(n_row):
                    line[i] += weight * row[i]


@njit(cache=True, nogil=True, fastmath=FAST)
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
                start = (((iz + a) * n_y + iy + b) * n_x + ix) * m2
                line = real[start : start + n_row]
                for i in range(n_row):
                    row[i] += weight * line[i]
        values = target[p]
        values[:] = np.float32(0.0)
        for c in range(width):
            part = row[c * m2 : (c + 1) * m2]
            for i in range(m2):
                values[i] += wx[c] * part[i]


def slack(m: int, width: int) -> int:
    """Grid points along x that the padding of `spread_points` may touch beyond the taps of the last point."""
    return -(-(LANES - 1) // (2 * m)) if (2 * m * width) % LANES else 0


@njit(cache=True, nogil=True)
def load_plane(grid: np.ndarray, plane: int, m: int, rows: np.ndarray) -> None:
    """rows = 0, then rows[y, x mod length] += grid[plane, y, x, m]."""
    rows[:] = 0.0
    length = rows.shape[1]
    for y in range(grid.shape[1]):
        at = 0
        for x in range(grid.shape[2]):
            rows[y, at] += grid[plane, y, x, m]
            at += 1
            if at == length:
                at = 0


@njit(cache=True, nogil=True)
def store_plane(rows: np.ndarray, plane: int, m: int, grid: np.ndarray) -> None:
    """Adjoint of `load_plane`."""
    length = rows.shape[1]
    for y in range(grid.shape[1]):
        at = 0
        for x in range(grid.shape[2]):
            grid[plane, y, x, m] = rows[y, at]
            at += 1
            if at == length:
                at = 0


@njit(cache=True, nogil=True)
def pick_columns(rows: np.ndarray, column: np.ndarray, out: np.ndarray) -> None:
    """out = 0, then out[a, y mod length] += rows[y, column[a]]: modes of one axis, turned for the next transform."""
    out[:] = 0.0
    length = out.shape[1]
    for a0 in range(0, column.size, 8):
        a1 = min(a0 + 8, column.size)
        at = 0
        for y in range(rows.shape[0]):
            for a in range(a0, a1):
                out[a, at] += rows[y, column[a]]
            at += 1
            if at == length:
                at = 0


@njit(cache=True, nogil=True)
def put_columns(source: np.ndarray, column: np.ndarray, rows: np.ndarray) -> None:
    """Adjoint of `pick_columns` (columns are distinct)."""
    rows[:] = 0.0
    length = source.shape[1]
    for a0 in range(0, column.size, 8):
        a1 = min(a0 + 8, column.size)
        at = 0
        for y in range(rows.shape[0]):
            for a in range(a0, a1):
                rows[y, column[a]] = source[a, at]
            at += 1
            if at == length:
                at = 0


@njit(cache=True, nogil=True, fastmath=True)
def start_phasors(
    kx: np.ndarray,
    ky: np.ndarray,
    k2: float,
    z_scale: tuple,
    correction: np.ndarray,
    phasor: np.ndarray,
    ratio: np.ndarray,
) -> None:
    """phasor = correction(kappa) exp(j kappa z_0), ratio = exp(j kappa h), kappa = kz - k2 + centre.

    z_scale: centre [rad/m], z_0 [m], h [m], inverse step of the correction's table [m]; the table starts at -centre.
    """
    centre, z_0, h, inverse = z_scale
    last = correction.size - 1.001
    for q in range(kx.size):
        kz = np.sqrt(max(k2 * k2 - kx[q] * kx[q] - ky[q] * ky[q], 0.0))
        kappa = kz - k2 + centre
        at = min(max((kappa + centre) * inverse, 0.0), last)
        i = int(at)
        scale = correction[i] + (at - i) * (correction[i + 1] - correction[i])
        sine, cosine = sincos_cycles(kappa * (z_0 / (2 * np.pi)))
        phasor[q] = np.complex64(complex(scale * cosine, scale * sine))
        sine, cosine = sincos_cycles(kappa * (h / (2 * np.pi)))
        ratio[q] = np.complex64(complex(cosine, sine))


@njit(cache=True, nogil=True, fastmath=FAST)
def add_plane(modes: np.ndarray, runs: np.ndarray, ratio: np.ndarray, spectrum: np.ndarray) -> None:
    """spectrum = spectrum ratio + modes at its pairs (Horner's rule, last plane first).

    runs (n + 1, 3): row, first column and first pair of every run of neighbouring columns; the last row ends the pairs.
    """
    for run in range(runs.shape[0] - 1):
        row, q0, q1 = modes[runs[run, 0], runs[run, 1] :], runs[run, 2], runs[run + 1, 2]
        for i in range(q1 - q0):
            spectrum[q0 + i] = spectrum[q0 + i] * ratio[q0 + i] + row[i]


@njit(cache=True, nogil=True, fastmath=FAST)
def take_plane(spectrum: np.ndarray, runs: np.ndarray, ratio: np.ndarray, modes: np.ndarray) -> None:
    """Adjoint of a step of `add_plane`: modes = spectrum at its pairs and 0 elsewhere, then spectrum *= conj(ratio)."""
    modes[:] = 0.0
    for run in range(runs.shape[0] - 1):
        row, q0, q1 = modes[runs[run, 0], runs[run, 1] :], runs[run, 2], runs[run + 1, 2]
        for i in range(q1 - q0):
            row[i] = spectrum[q0 + i]
            spectrum[q0 + i] *= np.conj(ratio[q0 + i])
