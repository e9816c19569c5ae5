"""Hot loops of the exact irregular front: planes of the fine grid to and from FFT buffers, and their sum along z.

FFT buffers hold 0 where nothing is ever written (`RowFFT` with `keep`).
Between the transforms along x and along y stands an array (m, n_kx, planes, n_y): what one k_x takes along y lies
together. Waves are kept as real and imaginary parts apart, (2, n) float32, so that the sums are vectorised. No kernel
allocates; all release the lock and are called from one thread per core.
"""

import numpy as np
from numba import njit

from mmsar.core.phasor import FAST, sincos_single
from mmsar.core.streaming import LINE, stream_line

ROWS = LINE
"""Rows taken together where an array is turned: as many as fill a line of the cache."""


@njit(cache=True, nogil=True)
def load_rows(rows: np.ndarray, first: int, last: int, buffer: np.ndarray) -> None:
    """buffer[plane - first, m, r, x mod length] = sum of rows[r, plane, x, m] over x, for planes from first to before
    last; what lies beyond stays as it is, 0.

    rows (ROWS, planes, n_x, m), buffer (last - first or more, m, ROWS, length).
    """
    n_x, m, length = rows.shape[2], rows.shape[3], buffer.shape[3]
    n = min(n_x, length)
    for plane in range(first, last):
        for r in range(rows.shape[0]):
            source = rows[r, plane]
            for x0 in range(0, n, ROWS):
                x1 = min(x0 + ROWS, n)
                for j in range(m):
                    out = buffer[plane - first, j, r]
                    for x in range(x0, x1):
                        out[x] = source[x, j]
            for j in range(m):
                out = buffer[plane - first, j, r]
                for x in range(length, n_x):
                    out[x % length] += source[x, j]


@njit(cache=True, nogil=True)
def store_rows(buffer: np.ndarray, first: int, last: int, rows: np.ndarray) -> None:
    """Adjoint of `load_rows`: rows[:, first:last] overwritten."""
    n_x, m, length = rows.shape[2], rows.shape[3], buffer.shape[3]
    for plane in range(first, last):
        for r in range(rows.shape[0]):
            out = rows[r, plane]
            for x0 in range(0, n_x, ROWS):
                x1 = min(x0 + ROWS, n_x)
                for j in range(m):
                    source = buffer[plane - first, j, r]
                    if x1 <= length:
                        for x in range(x0, x1):
                            out[x, j] = source[x]
                    else:
                        for x in range(x0, x1):
                            out[x, j] = source[x % length]


@njit(cache=True, nogil=True)
def store_columns(buffer: np.ndarray, column: np.ndarray, first: int, last: int, y: int, columns: np.ndarray) -> None:
    """columns[m, a, plane, y + r] = buffer[plane - first, m, r, column[a]]; ROWS of r, a line of the cache.

    Contiguous arrays; columns begins at a line of the cache, n_y is a multiple of ROWS.
    """
    n_m, length, (n_a, n_planes, n_y) = buffer.shape[1], buffer.shape[3], columns.shape[1:]
    source, out = buffer.reshape(-1).view(np.float64), columns.reshape(-1).view(np.float64)
    for plane in range(first, last):
        for j in range(n_m):
            for a in range(column.size):
                i = ((plane - first) * n_m + j) * ROWS * length + column[a]
                values = (
                    source[i],
                    source[i + length],
                    source[i + 2 * length],
                    source[i + 3 * length],
                    source[i + 4 * length],
                    source[i + 5 * length],
                    source[i + 6 * length],
                    source[i + 7 * length],
                )
                stream_line(out, ((j * n_a + a) * n_planes + plane) * n_y + y, values)


@njit(cache=True, nogil=True)
def load_columns(columns: np.ndarray, column: np.ndarray, first: int, last: int, y: int, buffer: np.ndarray) -> None:
    """Adjoint of `store_columns`: columns of the buffer that are not in `column`, which is distinct, stay 0."""
    for plane in range(first, last):
        for j in range(buffer.shape[1]):
            out = buffer[plane - first, j]
            for a in range(column.size):
                line, c = columns[j, a, plane, y : y + ROWS], column[a]
                for r in range(ROWS):
                    out[r, c] = line[r]


@njit(cache=True, nogil=True)
def load_lines(columns: np.ndarray, which: np.ndarray, buffer: np.ndarray) -> None:
    """buffer[i, m, plane, y mod length] = sum of columns[m, which[i], plane, y] over y; what lies beyond stays 0."""
    n_y, length = columns.shape[3], buffer.shape[3]
    n = min(n_y, length)
    for i in range(which.size):
        for j in range(buffer.shape[1]):
            for plane in range(buffer.shape[2]):
                source, out = columns[j, which[i], plane], buffer[i, j, plane]
                out[:n] = source[:n]
                for y in range(length, n_y):
                    out[y % length] += source[y]


@njit(cache=True, nogil=True)
def store_lines(buffer: np.ndarray, which: np.ndarray, columns: np.ndarray) -> None:
    """Adjoint of `load_lines`: columns[:, which] overwritten."""
    n_y, length = columns.shape[3], buffer.shape[3]
    n = min(n_y, length)
    for i in range(which.size):
        for j in range(buffer.shape[1]):
            for plane in range(buffer.shape[2]):
                source, out = buffer[i, j, plane], columns[j, which[i], plane]
                out[:n] = source[:n]
                for y in range(length, n_y):
                    out[y] = source[y % length]


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
        cycles = kappa * turn
        ratio[0, q] = np.float32(cycles - np.floor(cycles + 0.5))
        cycles = kappa * step
        ratio[1, q] = np.float32(cycles - np.floor(cycles + 0.5))
        first[0, q] = np.float32(scale)
    for q in range(kx.size):
        sine, cosine = sincos_single(ratio[0, q])
        first[0, q], first[1, q] = first[0, q] * cosine, first[0, q] * sine
        sine, cosine = sincos_single(ratio[1, q])
        ratio[0, q], ratio[1, q] = cosine, sine


@njit(cache=True, nogil=True, fastmath=FAST)
def _add_plane(modes: np.ndarray, runs: np.ndarray, ratio: np.ndarray, total: np.ndarray) -> None:
    """total = total ratio + modes at its pairs (Horner's rule, last plane first); total and ratio (2, n_pairs).

    runs (n, 3): first mode, first pair and end of the pairs of every run of neighbouring modes, pairs counted from the
    first run's.
    """
    real = modes.view(np.float32)
    for run in range(runs.shape[0]):
        q0, q1 = runs[run, 1] - runs[0, 1], runs[run, 2] - runs[0, 1]
        row = real[2 * runs[run, 0] :]
        re, im, cosine, sine = total[0, q0:q1], total[1, q0:q1], ratio[0, q0:q1], ratio[1, q0:q1]
        for i in range(q1 - q0):
            turned = re[i] * cosine[i] - im[i] * sine[i] + row[2 * i]
            im[i] = re[i] * sine[i] + im[i] * cosine[i] + row[2 * i + 1]
            re[i] = turned


@njit(cache=True, nogil=True, fastmath=FAST)
def _take_plane(total: np.ndarray, runs: np.ndarray, ratio: np.ndarray, modes: np.ndarray) -> None:
    """Adjoint of a step of `_add_plane`: modes = total at its pairs, others as they are; total *= conj(ratio)."""
    real = modes.view(np.float32)
    for run in range(runs.shape[0]):
        q0, q1 = runs[run, 1] - runs[0, 1], runs[run, 2] - runs[0, 1]
        row = real[2 * runs[run, 0] :]
        re, im, cosine, sine = total[0, q0:q1], total[1, q0:q1], ratio[0, q0:q1], ratio[1, q0:q1]
        for i in range(q1 - q0):
            row[2 * i], row[2 * i + 1] = re[i], im[i]
            turned = re[i] * cosine[i] + im[i] * sine[i]
            im[i] = im[i] * cosine[i] - re[i] * sine[i]
            re[i] = turned


@njit(cache=True, nogil=True, fastmath=FAST)
def sum_planes(
    modes: np.ndarray,
    which: np.ndarray,
    runs: tuple,
    waves: tuple,
    k2: np.ndarray,
    planes: tuple,
    work: np.ndarray,
    out: np.ndarray,
) -> None:
    """out[m, q] = factor sum over planes of modes[i, m, plane, mode of q] exp(j kappa z_plane), for the pairs of the
    k_x `which[i]`.

    runs: all of them, k_x by k_x, and where those of every k_x begin; waves: kx, ky [rad/m] and factor of every pair;
    planes: z_scale and powers as of `start_phasors`; work (3, 2, n).
    """
    first, ratio, total = work[0], work[1], work[2]
    for i in range(which.size):
        mine = runs[0][runs[1][which[i]] : runs[1][which[i] + 1]]
        if len(mine) == 0:
            continue
        q0, q1 = mine[0, 1], mine[-1, 2]
        kx, ky, factor = waves[0][q0:q1], waves[1][q0:q1], waves[2][q0:q1]
        for m in range(out.shape[0]):
            start_phasors(kx, ky, k2[m], planes[0], planes[1], first, ratio)
            total[:] = np.float32(0.0)
            for plane in range(modes.shape[2] - 1, -1, -1):
                _add_plane(modes[i, m, plane], mine, ratio, total)
            line = out[m, q0:q1]
            for q in range(q1 - q0):
                re = total[0, q] * first[0, q] - total[1, q] * first[1, q]
                im = total[0, q] * first[1, q] + total[1, q] * first[0, q]
                line[q] = np.complex64(complex(re, im)) * factor[q]


@njit(cache=True, nogil=True, fastmath=FAST)
def split_planes(
    given: np.ndarray,
    which: np.ndarray,
    runs: tuple,
    waves: tuple,
    k2: np.ndarray,
    planes: tuple,
    work: np.ndarray,
    modes: np.ndarray,
) -> None:
    """Adjoint of `sum_planes`: modes of `which` overwritten."""
    first, ratio, total = work[0], work[1], work[2]
    modes[: which.size] = 0.0
    for i in range(which.size):
        mine = runs[0][runs[1][which[i]] : runs[1][which[i] + 1]]
        if len(mine) == 0:
            continue
        q0, q1 = mine[0, 1], mine[-1, 2]
        kx, ky, factor = waves[0][q0:q1], waves[1][q0:q1], waves[2][q0:q1]
        for m in range(given.shape[0]):
            start_phasors(kx, ky, k2[m], planes[0], planes[1], first, ratio)
            line = given[m, q0:q1]
            for q in range(q1 - q0):
                value = line[q] * np.conj(factor[q])
                total[0, q] = value.real * first[0, q] + value.imag * first[1, q]
                total[1, q] = value.imag * first[0, q] - value.real * first[1, q]
            for plane in range(modes.shape[2]):
                _take_plane(total, mine, ratio, modes[i, m, plane])
