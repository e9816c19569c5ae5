"""Hot loops of the exact irregular front: planes of the fine grid to and from FFT buffers, and their sum along z.

FFT buffers hold 0 where nothing is ever written (`RowFFT` with `keep`). Waves are kept as real and imaginary parts
apart, (2, n) float32, so that the sums are vectorised; rows of the fine grid whose planes are ready are
(data sets, n_x) instead of (n_x, data sets). No kernel allocates; all release the lock and are called from one thread
per core.
"""

import numpy as np
from numba import njit

from mmsar.core.phasor import FAST, sincos_cycles

ROWS = 8
"""Rows taken together where an array is turned: as many as fill a line of the cache."""


@njit(cache=True, nogil=True)
def turn_rows(rows: np.ndarray, y: int, grid: np.ndarray) -> None:
    """grid[plane, y] = rows[plane] (n_x, m) turned to (m, n_x), for all planes of `rows`."""
    n_x, m = grid.shape[2], grid.shape[3]
    for plane in range(rows.shape[0]):
        source, out = rows[plane], grid[plane, y].reshape((m, n_x))
        for x0 in range(0, n_x, ROWS):
            n = min(ROWS, n_x - x0)
            for j in range(m):
                if n == ROWS:
                    for i in range(ROWS):
                        out[j, x0 + i] = source[x0 + i, j]
                else:
                    for i in range(n):
                        out[j, x0 + i] = source[x0 + i, j]


@njit(cache=True, nogil=True)
def turn_rows_back(grid: np.ndarray, y: int, rows: np.ndarray) -> None:
    """Adjoint of `turn_rows`."""
    n_x, m = grid.shape[2], grid.shape[3]
    for plane in range(rows.shape[0]):
        source, out = grid[plane, y].reshape((m, n_x)), rows[plane]
        for x0 in range(0, n_x, ROWS):
            n = min(ROWS, n_x - x0)
            for j in range(m):
                if n == ROWS:
                    for i in range(ROWS):
                        out[x0 + i, j] = source[j, x0 + i]
                else:
                    for i in range(n):
                        out[x0 + i, j] = source[j, x0 + i]


@njit(cache=True, nogil=True)
def load_plane(grid: np.ndarray, plane: int, m: int, rows: np.ndarray) -> None:
    """rows[y, x mod length] = sum of turned grid[plane, y, m, x] over x < n_x; columns beyond stay as they are, 0."""
    n_x, length = grid.shape[2], rows.shape[1]
    for y in range(grid.shape[1]):
        source = grid[plane, y].reshape((grid.shape[3], n_x))[m]
        rows[y, : min(n_x, length)] = source[:length]
        for x in range(length, n_x):
            rows[y, x % length] += source[x]


@njit(cache=True, nogil=True)
def store_plane(rows: np.ndarray, plane: int, m: int, grid: np.ndarray) -> None:
    """Adjoint of `load_plane`."""
    n_x, length = grid.shape[2], rows.shape[1]
    for y in range(grid.shape[1]):
        out = grid[plane, y].reshape((grid.shape[3], n_x))[m]
        out[:length] = rows[y, : min(n_x, length)]
        for x in range(length, n_x):
            out[x] = rows[y, x % length]


@njit(cache=True, nogil=True)
def pick_columns(rows: np.ndarray, column: np.ndarray, out: np.ndarray) -> None:
    """out[a, y mod length] = sum of rows[y, column[a]] over y: modes of one axis, turned for the next transform.

    Columns of `out` beyond the rows stay as they are, 0.
    """
    n_y, length = rows.shape[0], out.shape[1]
    for y0 in range(0, min(n_y, length), ROWS):
        n = min(ROWS, n_y - y0, length - y0)
        for a in range(column.size):
            line, c = out[a, y0 : y0 + n], column[a]
            if n == ROWS:
                for i in range(ROWS):
                    line[i] = rows[y0 + i, c]
            else:
                for i in range(n):
                    line[i] = rows[y0 + i, c]
    for y in range(length, n_y):
        for a in range(column.size):
            out[a, y % length] += rows[y, column[a]]


@njit(cache=True, nogil=True)
def put_columns(source: np.ndarray, column: np.ndarray, rows: np.ndarray) -> None:
    """Adjoint of `pick_columns`: columns that are not in `column` stay as they are, 0 (columns are distinct)."""
    n_y, length = rows.shape[0], source.shape[1]
    for y0 in range(0, n_y, ROWS):
        n, at = min(ROWS, n_y - y0), y0 % length
        for a in range(column.size):
            c = column[a]
            if n == ROWS and at + n <= length:
                line = source[a, at : at + ROWS]
                for i in range(ROWS):
                    rows[y0 + i, c] = line[i]
            else:
                for i in range(n):
                    rows[y0 + i, c] = source[a, (y0 + i) % length]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def start_phasors(
    kx: np.ndarray, ky: np.ndarray, k2: float, z_scale: tuple, powers: np.ndarray, first: np.ndarray, ratio: np.ndarray
) -> None:
    """first = correction(kappa) exp(j kappa z_0), ratio = exp(j kappa h), kappa = kz - k2 + centre; (2, n_pairs).

    z_scale: centre [rad/m], z_0 [m], h [m]; powers (7,): the correction's coefficients in (kappa / centre)^2 upwards.
    """
    centre, z_0, h = z_scale
    turn, step, per_centre = z_0 / (2 * np.pi), h / (2 * np.pi), 1 / max(centre, 1e-300)
    p0, p1, p2, p3, p4, p5, p6 = powers[0], powers[1], powers[2], powers[3], powers[4], powers[5], powers[6]
    for q in range(kx.size):
        kappa = np.sqrt(max(k2 * k2 - kx[q] * kx[q] - ky[q] * ky[q], 0.0)) - k2 + centre
        u = min((kappa * per_centre) ** 2, 1.0)
        scale = p0 + u * (p1 + u * (p2 + u * (p3 + u * (p4 + u * (p5 + u * p6)))))
        sine, cosine = sincos_cycles(kappa * turn)
        first[0, q] = np.float32(scale * cosine)
        first[1, q] = np.float32(scale * sine)
        sine, cosine = sincos_cycles(kappa * step)
        ratio[0, q] = np.float32(cosine)
        ratio[1, q] = np.float32(sine)


@njit(cache=True, nogil=True, fastmath=FAST)
def add_plane(modes: np.ndarray, runs: np.ndarray, ratio: np.ndarray, total: np.ndarray) -> None:
    """total = total ratio + modes at its pairs (Horner's rule, last plane first); total and ratio (2, n_pairs).

    runs (n + 1, 3): row, first column and first pair of every run of neighbouring columns; the last row ends the pairs.
    """
    real = modes.view(np.float32)
    for run in range(runs.shape[0] - 1):
        q0, q1 = runs[run, 2], runs[run + 1, 2]
        row = real[runs[run, 0], 2 * runs[run, 1] :]
        re, im, cosine, sine = total[0, q0:q1], total[1, q0:q1], ratio[0, q0:q1], ratio[1, q0:q1]
        for i in range(q1 - q0):
            turned = re[i] * cosine[i] - im[i] * sine[i] + row[2 * i]
            im[i] = re[i] * sine[i] + im[i] * cosine[i] + row[2 * i + 1]
            re[i] = turned


@njit(cache=True, nogil=True, fastmath=FAST)
def take_plane(total: np.ndarray, runs: np.ndarray, ratio: np.ndarray, modes: np.ndarray) -> None:
    """Adjoint of a step of `add_plane`: modes = total at its pairs, 0 elsewhere still; total *= conj(ratio)."""
    real = modes.view(np.float32)
    for run in range(runs.shape[0] - 1):
        q0, q1 = runs[run, 2], runs[run + 1, 2]
        row = real[runs[run, 0], 2 * runs[run, 1] :]
        re, im, cosine, sine = total[0, q0:q1], total[1, q0:q1], ratio[0, q0:q1], ratio[1, q0:q1]
        for i in range(q1 - q0):
            row[2 * i], row[2 * i + 1] = re[i], im[i]
            turned = re[i] * cosine[i] + im[i] * sine[i]
            im[i] = im[i] * cosine[i] - re[i] * sine[i]
            re[i] = turned


@njit(cache=True, nogil=True, fastmath=FAST)
def finish(total: np.ndarray, first: np.ndarray, factor: np.ndarray, spectrum: np.ndarray) -> None:
    """spectrum = total first factor; total and first (2, n_pairs), the others (n_pairs,) complex64."""
    for q in range(factor.size):
        re = total[0, q] * first[0, q] - total[1, q] * first[1, q]
        im = total[0, q] * first[1, q] + total[1, q] * first[0, q]
        spectrum[q] = np.complex64(complex(re, im)) * factor[q]


@njit(cache=True, nogil=True, fastmath=FAST)
def finish_back(spectrum: np.ndarray, first: np.ndarray, factor: np.ndarray, total: np.ndarray) -> None:
    """Adjoint of `finish`: total overwritten."""
    for q in range(factor.size):
        value = spectrum[q] * np.conj(factor[q])
        total[0, q] = value.real * first[0, q] + value.imag * first[1, q]
        total[1, q] = value.imag * first[0, q] - value.real * first[1, q]
