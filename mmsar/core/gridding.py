"""The Stolt step by gridding: scattered k_z to uniform z, with a Kaiser-Bessel kernel, and its adjoint.

For every (kx, ky) of a band the migration needs, on uniform heights z_j = z_c + j dz,

    f_j = sum_m a_m S_m exp(-j k_z,m z_j),     k_z,m = sqrt((2 k_m)^2 - kx^2 - ky^2),     a_m = 2 k_m / k_z,m^2

The carrier exp(-j k_z z_c) is taken out in float64; what is left is a one-dimensional non-uniform FFT of type 1: each
S_m is spread with `width` taps to a fine periodic grid, the grid is Fourier transformed (by the caller) and divided by
the kernel's transform. Nothing is interpolated at a sampling where it could not be: the error is that of the kernel.
For a few heights, or uneven ones, the sum over m is made as it stands.

All kernels work on arrays, release the lock, and are called from one thread per core.
"""

from functools import lru_cache

import numpy as np
from numba import njit

from mmsar.core.phasor import FAST, sincos_cycles

WIDTH = 8
"""Taps along k_z: as many as one vector holds, so that pieces of the heights agree with the whole to 1e-5."""
SUBDIVISIONS = 1024
MAX_WIDTH = 8
STEEPEST2 = 0.9995
"""Largest squared sine of the angle to z that is migrated."""


@lru_cache(64)
def kernel_table(width: int, sigma: float) -> np.ndarray:
    """Taps of a Kaiser-Bessel kernel of `width` points for `sigma`-fold oversampling.

    Returns
    -------
    (SUBDIVISIONS + 2, width) float32
        Row i: taps for a point that lies a fraction i / SUBDIVISIONS past the grid; the last row is beyond the end. It
        is held for the next who asks: not to be changed.
    """
    beta = _beta(width, sigma)
    fraction = np.arange(SUBDIVISIONS + 2)[:, None] / SUBDIVISIONS
    x = (fraction + np.arange(width) - width / 2) * 2 / width
    return (np.i0(beta * np.sqrt(np.maximum(0.0, 1 - x**2))) / np.i0(beta)).astype(np.float32)


def kernel_correction(width: int, sigma: float, frequency: np.ndarray) -> np.ndarray:
    """1 / Fourier transform of that kernel at `frequency` [cycles per grid point], float64."""
    beta = _beta(width, sigma)
    argument = np.sqrt((beta**2 - (np.pi * width * np.asarray(frequency)) ** 2).astype(complex))
    small = np.abs(argument) < 1e-6
    sinhc = np.where(small, 1.0, np.sinh(argument) / np.where(small, 1.0, argument)).real
    return np.i0(beta) / (width * sinhc)


def _beta(width: int, sigma: float) -> float:
    return np.pi * width * (1 - 0.5 / sigma) * 0.99


def kaiser_bessel(n: int, fine: int) -> tuple[np.ndarray, np.ndarray]:
    """Taps (WIDTH) and de-apodisation of modes -(n // 2) .. n - 1 - n // 2 on a grid of `fine` points."""
    mode = np.arange(n) - n // 2
    return kernel_table(WIDTH, fine / n), kernel_correction(WIDTH, fine / n, mode / fine)


def tap_rows(place: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First grid index (n,) int64 and taps (n, width) of points at `place` (n,) in grid units: `taps` for many."""
    width = table.shape[1]
    start = np.ceil(place - 0.5 * width)
    offset = (start - place + 0.5 * width) * SUBDIVISIONS
    step = offset.astype(np.int64)
    low = table[step]
    return start.astype(np.int64), low + (offset - step)[:, None] * (table[step + 1] - low)


@njit(inline="always")
def taps(position: float, table: np.ndarray, weights: np.ndarray) -> int:
    """Fill `weights` with the taps of a point at `position` (grid units); return the first grid index."""
    width = table.shape[1]
    start = np.ceil(position - 0.5 * width)
    offset = (start - position + 0.5 * width) * SUBDIVISIONS
    step = int(offset)
    t = np.float32(offset - step)
    for tap in range(width):
        weights[tap] = table[step, tap] + t * (table[step + 1, tap] - table[step, tap])
    return int(start)


@njit(inline="always")
def _edge(u: float, low: float, high: float, per_guard: float) -> float:
    """1 inside [low, high], a smooth fall to 0 over the guard outside; no branches."""
    t = min(max(max(low - u, u - high) * per_guard, 0.0), 1.0)
    return 1.0 - t * t * (3.0 - 2.0 * t)


@njit(inline="always")
def band_filter(kx: float, ky: float, k2: float, per_k2: float, band: np.ndarray) -> tuple[float, float]:
    """(k_z, amplitude k2 / k_z^2 times the band's soft edge); amplitude 0 outside the band.

    band: low and high direction cosine along x, along y, largest sine, guard.
    """
    u, v = kx * per_k2, ky * per_k2
    per_guard = 1.0 / band[5]
    sine2 = u * u + v * v
    inside = 1.0 if sine2 < STEEPEST2 else 0.0
    edge = _edge(u, band[0], band[1], per_guard) * _edge(v, band[2], band[3], per_guard)
    edge *= _edge(np.sqrt(sine2), -1.0, band[4], per_guard) * inside
    cosine2 = max(1.0 - sine2, 1.0 - STEEPEST2)
    return k2 * np.sqrt(cosine2), edge * per_k2 / cosine2


@njit(cache=True, nogil=True)
def in_band(kx: np.ndarray, ky: np.ndarray, k2: np.ndarray, band: np.ndarray, out: np.ndarray) -> None:
    """out[a, b] = whether (kx[a], ky[b]) is inside the band at the lowest or highest wavenumber."""
    for a in range(kx.size):
        for b in range(ky.size):
            low = band_filter(kx[a], ky[b], k2[0], 1.0 / k2[0], band)[1]
            high = band_filter(kx[a], ky[b], k2[-1], 1.0 / k2[-1], band)[1]
            out[a, b] = low > 0.0 or high > 0.0


@njit(cache=True, nogil=True)
def lag_power(
    kx: np.ndarray, ky: np.ndarray, k2: float, band: np.ndarray, weights: tuple, step: float, power: np.ndarray
) -> None:
    """power[(k2 - k_z) / step] += squared amplitude times the weights along x and y, over all pairs."""
    for a in range(kx.size):
        for b in range(ky.size):
            kz, amplitude = band_filter(kx[a], ky[b], k2, 1.0 / k2, band)
            bin_of = min(int((k2 - kz) / step), power.size - 1)
            power[bin_of] += (amplitude * weights[0][a] * weights[1][b]) ** 2


@njit(inline="always", error_model="numpy")
def _stolt(kx, ky, k2, per_k2, band, turns, scale, work):
    """work[:, m] = place on the fine grid, and cosine and sine of k_z `turns` cycles times the filter: vectorised."""
    for m in range(k2.size):
        kz, amplitude = band_filter(kx, ky, k2[m], per_k2[m], band)
        sine, cosine = sincos_cycles(kz * turns)
        work[0, m] = kz * scale
        work[1, m] = amplitude * cosine
        work[2, m] = amplitude * sine


@njit(inline="always", error_model="numpy")
def _eight_taps(place: float, table: np.ndarray, weights: np.ndarray) -> int:
    """The WIDTH taps of a point; returns the first grid index."""
    start = np.ceil(place - 0.5 * WIDTH)
    offset = (start - place + 0.5 * WIDTH) * SUBDIVISIONS
    step = int(offset)
    t = np.float32(offset - step)
    for tap in range(8):
        weights[tap] = table[step, tap] + t * (table[step + 1, tap] - table[step, tap])
    return int(start)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def spread(
    spectrum: np.ndarray,
    first: int,
    kx: np.ndarray,
    ky: np.ndarray,
    k2: np.ndarray,
    band: np.ndarray,
    z_c: float,
    dz: float,
    table: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Filter and spread spectrum[:, first : first + len(rows)] to rows, complex64 (n_rows, fine), overwritten."""
    n_rows, fine = rows.shape
    scale, turns = dz * fine / (2 * np.pi), -z_c / (2 * np.pi)
    per_k2, work, weights = 1.0 / k2, np.empty((3, k2.size)), np.empty(8, np.float32)
    line_re, line_im = np.zeros(fine + 8, np.float32), np.zeros(fine + 8, np.float32)
    for r in range(n_rows):
        q = first + r
        if q >= kx.size:
            rows[r] = 0.0
            continue
        _stolt(kx[q], ky[q], k2, per_k2, band, turns, scale, work)
        for m in range(k2.size):
            value = spectrum[m, q]
            c, s = np.float32(work[1, m]), np.float32(work[2, m])
            re = value.real * c - value.imag * s
            im = value.real * s + value.imag * c
            index = _eight_taps(work[0, m], table, weights) % fine
            for tap in range(8):
                line_re[index + tap] += weights[tap] * re
                line_im[index + tap] += weights[tap] * im
        for i in range(8):
            line_re[i] += line_re[fine + i]
            line_im[i] += line_im[fine + i]
            line_re[fine + i] = np.float32(0.0)
            line_im[fine + i] = np.float32(0.0)
        for i in range(fine):
            rows[r, i] = np.complex64(complex(line_re[i], line_im[i]))
            line_re[i] = np.float32(0.0)
            line_im[i] = np.float32(0.0)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def gather(
    rows: np.ndarray,
    first: int,
    kx: np.ndarray,
    ky: np.ndarray,
    k2: np.ndarray,
    band: np.ndarray,
    z_c: float,
    dz: float,
    table: np.ndarray,
    spectrum: np.ndarray,
) -> None:
    """Adjoint of `spread`: rows to spectrum[:, first : first + len(rows)], overwritten."""
    n_rows, fine = rows.shape
    scale, turns = dz * fine / (2 * np.pi), z_c / (2 * np.pi)
    per_k2, work, weights = 1.0 / k2, np.empty((3, k2.size)), np.empty(8, np.float32)
    line_re, line_im = np.empty(fine + 8, np.float32), np.empty(fine + 8, np.float32)
    for r in range(min(n_rows, kx.size - first)):
        q = first + r
        for i in range(fine):
            line_re[i] = rows[r, i].real
            line_im[i] = rows[r, i].imag
        for i in range(8):
            line_re[fine + i] = line_re[i]
            line_im[fine + i] = line_im[i]
        _stolt(kx[q], ky[q], k2, per_k2, band, turns, scale, work)
        for m in range(k2.size):
            index = _eight_taps(work[0, m], table, weights) % fine
            re, im = np.float32(0.0), np.float32(0.0)
            for tap in range(8):
                re += weights[tap] * line_re[index + tap]
                im += weights[tap] * line_im[index + tap]
            c, s = np.float32(work[1, m]), np.float32(work[2, m])
            spectrum[m, q] = np.complex64(complex(re * c - im * s, re * s + im * c))


@njit(cache=True, nogil=True, fastmath=True)
def rows_to_planes(rows: np.ndarray, first: int, z_scale: np.ndarray, q_phase: np.ndarray, planes: np.ndarray) -> None:
    """planes[j, first + r] = rows[r, mode j] z_scale[j] q_phase[first + r]; mode 0 is plane n_z // 2."""
    fine, n_z = rows.shape[1], planes.shape[0]
    n_rows = min(rows.shape[0], planes.shape[1] - first)
    for r0 in range(0, n_rows, 8):
        r1 = min(r0 + 8, n_rows)
        for j in range(n_z):
            index = (j - n_z // 2) % fine
            for r in range(r0, r1):
                planes[j, first + r] = rows[r, index] * (z_scale[j] * q_phase[first + r])


@njit(cache=True, nogil=True, fastmath=True)
def planes_to_rows(planes: np.ndarray, first: int, z_scale: np.ndarray, q_phase: np.ndarray, rows: np.ndarray) -> None:
    """Adjoint of `rows_to_planes`; modes that no plane asks for become 0."""
    fine, n_z = rows.shape[1], planes.shape[0]
    n_rows = min(rows.shape[0], planes.shape[1] - first)
    rows[:] = 0.0
    for r0 in range(0, n_rows, 8):
        r1 = min(r0 + 8, n_rows)
        for j in range(n_z):
            index = (j - n_z // 2) % fine
            for r in range(r0, r1):
                rows[r, index] = planes[j, first + r] * np.conj(z_scale[j] * q_phase[first + r])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def sum_heights(
    spectrum: np.ndarray,
    first: int,
    kx: np.ndarray,
    ky: np.ndarray,
    k2: np.ndarray,
    band: np.ndarray,
    z: np.ndarray,
    z_scale: np.ndarray,
    q_phase: np.ndarray,
    planes: np.ndarray,
    last: int,
) -> None:
    """planes[j, q] = z_scale[j] q_phase[q] f_j(q) for q from `first` to before `last`, at any heights `z`."""
    per_k2, turns, terms = 1.0 / k2, np.empty(k2.size), np.empty((2, k2.size))
    for q in range(first, last):
        for m in range(k2.size):
            kz, amplitude = band_filter(kx[q], ky[q], k2[m], per_k2[m], band)
            value = spectrum[m, q]
            turns[m] = -kz / (2 * np.pi)
            terms[0, m] = amplitude * value.real
            terms[1, m] = amplitude * value.imag
        for j in range(z.size):
            re, im = 0.0, 0.0
            for m in range(k2.size):
                sine, cosine = sincos_cycles(turns[m] * z[j])
                re += terms[0, m] * cosine - terms[1, m] * sine
                im += terms[0, m] * sine + terms[1, m] * cosine
            planes[j, q] = np.complex64(complex(re, im)) * (z_scale[j] * q_phase[q])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def sum_heights_back(
    spectrum: np.ndarray,
    first: int,
    kx: np.ndarray,
    ky: np.ndarray,
    k2: np.ndarray,
    band: np.ndarray,
    z: np.ndarray,
    z_scale: np.ndarray,
    q_phase: np.ndarray,
    planes: np.ndarray,
    last: int,
) -> None:
    """Adjoint of `sum_heights`: planes[:, first : last] to spectrum[:, first : last], overwritten."""
    per_k2, turns, terms = 1.0 / k2, np.empty((2, k2.size)), np.empty((2, k2.size))
    for q in range(first, last):
        for m in range(k2.size):
            kz, amplitude = band_filter(kx[q], ky[q], k2[m], per_k2[m], band)
            turns[0, m] = kz / (2 * np.pi)
            turns[1, m] = amplitude
            terms[0, m] = 0.0
            terms[1, m] = 0.0
        for j in range(z.size):
            value = planes[j, q] * np.conj(z_scale[j] * q_phase[q])
            re, im = np.float64(value.real), np.float64(value.imag)
            for m in range(k2.size):
                sine, cosine = sincos_cycles(turns[0, m] * z[j])
                terms[0, m] += re * cosine - im * sine
                terms[1, m] += re * sine + im * cosine
        for m in range(k2.size):
            spectrum[m, q] = np.complex64(complex(turns[1, m] * terms[0, m], turns[1, m] * terms[1, m]))
