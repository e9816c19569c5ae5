"""The Stolt step by gridding: scattered k_z to uniform z, with a Kaiser-Bessel kernel, and its adjoint.

For every (kx, ky) of a band the migration needs, on uniform heights z_j = z_c + j dz,

    f_j = sum_m a_m S_m exp(-j k_z,m z_j),     k_z,m = sqrt((2 k_m)^2 - kx^2 - ky^2),     a_m = 2 k_m / k_z,m^2

The carrier exp(-j k_z z_c) is taken out in float64; what is left is a one-dimensional non-uniform FFT of type 1: each
S_m is spread with `width` taps to a fine periodic grid, the grid is Fourier transformed (by the caller) and divided by
the kernel's transform. Nothing is interpolated at a sampling where it could not be: the error is that of the kernel.

All kernels work on arrays, release the lock, and are called from one thread per core.
"""

import numpy as np
from numba import njit

from mmsar.core.phasor import sincos_cycles

WIDTH = 6
SUBDIVISIONS = 1024
MAX_WIDTH = 8


def kernel_table(width: int, sigma: float) -> np.ndarray:
    """Taps of a Kaiser-Bessel kernel of `width` points for `sigma`-fold oversampling.

    Returns
    -------
    (SUBDIVISIONS + 2, width) float32
        Row i: taps for a point that lies a fraction i / SUBDIVISIONS past the grid; the last row is beyond the end.
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
    """Taps, and de-apodisation of modes -(n // 2) .. n - 1 - n // 2, for `n` modes on a fine grid of `fine` points."""
    mode = np.arange(n) - n // 2
    return kernel_table(WIDTH, fine / n), kernel_correction(WIDTH, fine / n, mode / fine)


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
def _edge(u: float, low: float, high: float, guard: float) -> float:
    """1 inside [low, high], a cosine-squared fall to 0 over `guard` outside."""
    beyond = max(low - u, u - high)
    if beyond <= 0.0:
        return 1.0
    if beyond >= guard:
        return 0.0
    return 0.5 + 0.5 * np.cos(np.pi * beyond / guard)


@njit(inline="always")
def _filter(kx: float, ky: float, k2: float, band: np.ndarray) -> tuple[float, float]:
    """(k_z, amplitude k2 / k_z^2 times the band's soft edge); amplitude 0 outside the band.

    band: low and high direction cosine along x, along y, largest sine, guard.
    """
    u, v = kx / k2, ky / k2
    sine2 = u * u + v * v
    limit = band[4] + band[5]
    if sine2 >= limit * limit or sine2 >= 0.9995:
        return 0.0, 0.0
    edge = _edge(u, band[0], band[1], band[5]) * _edge(v, band[2], band[3], band[5])
    if edge > 0.0:
        edge *= _edge(np.sqrt(sine2), -1.0, band[4], band[5])
    kz = k2 * np.sqrt(1.0 - sine2)
    return kz, edge * k2 / (kz * kz)


@njit(cache=True, nogil=True)
def in_band(kx: np.ndarray, ky: np.ndarray, k2: np.ndarray, band: np.ndarray, out: np.ndarray) -> None:
    """out[a, b] = whether (kx[a], ky[b]) is inside the band at the lowest or highest wavenumber."""
    for a in range(kx.size):
        for b in range(ky.size):
            low = _filter(kx[a], ky[b], k2[0], band)[1]
            high = _filter(kx[a], ky[b], k2[-1], band)[1]
            out[a, b] = low > 0.0 or high > 0.0


@njit(cache=True, nogil=True, fastmath=True)
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
    """Filter and spread spectrum[:, first : first + len(rows)] to rows, complex64 (n_rows, fine), zeroed first."""
    n_rows, fine = rows.shape
    width = table.shape[1]
    scale = dz * fine / (2 * np.pi)
    turns = z_c / (2 * np.pi)
    real = rows.view(np.float32)
    weights = np.empty(MAX_WIDTH, np.float32)
    for r in range(n_rows):
        q = first + r
        line = real[r]
        line[:] = np.float32(0.0)
        if q >= kx.size:
            continue
        for m in range(k2.size):
            kz, amplitude = _filter(kx[q], ky[q], k2[m], band)
            if amplitude == 0.0:
                continue
            sine, cosine = sincos_cycles(-kz * turns)
            c, s = np.float32(amplitude * cosine), np.float32(amplitude * sine)
            value = spectrum[m, q]
            re = value.real * c - value.imag * s
            im = value.real * s + value.imag * c
            index = taps(kz * scale, table, weights) % fine
            for tap in range(width):
                line[2 * index] += weights[tap] * re
                line[2 * index + 1] += weights[tap] * im
                index += 1
                if index == fine:
                    index = 0


@njit(cache=True, nogil=True, fastmath=True)
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
    width = table.shape[1]
    scale = dz * fine / (2 * np.pi)
    turns = z_c / (2 * np.pi)
    real = rows.view(np.float32)
    weights = np.empty(MAX_WIDTH, np.float32)
    for r in range(n_rows):
        q = first + r
        if q >= kx.size:
            continue
        line = real[r]
        for m in range(k2.size):
            kz, amplitude = _filter(kx[q], ky[q], k2[m], band)
            if amplitude == 0.0:
                spectrum[m, q] = 0.0
                continue
            index = taps(kz * scale, table, weights) % fine
            re, im = np.float32(0.0), np.float32(0.0)
            for tap in range(width):
                re += weights[tap] * line[2 * index]
                im += weights[tap] * line[2 * index + 1]
                index += 1
                if index == fine:
                    index = 0
            sine, cosine = sincos_cycles(kz * turns)
            c, s = np.float32(amplitude * cosine), np.float32(amplitude * sine)
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


@njit(cache=True, nogil=True)
def place(
    values: np.ndarray,
    row: np.ndarray,
    mode: np.ndarray,
    by_row: np.ndarray,
    by_mode: np.ndarray,
    column: np.ndarray,
    out: np.ndarray,
) -> None:
    """out = 0, then out[row[q], column[mode[q]]] += values[q] by_row[row[q]] by_mode[mode[q]]."""
    out[:] = 0.0
    for q in range(values.size):
        out[row[q], column[mode[q]]] += values[q] * (by_row[row[q]] * by_mode[mode[q]])


@njit(cache=True, nogil=True)
def pick(
    source: np.ndarray,
    row: np.ndarray,
    mode: np.ndarray,
    by_row: np.ndarray,
    by_mode: np.ndarray,
    column: np.ndarray,
    values: np.ndarray,
) -> None:
    """Adjoint of `place`."""
    for q in range(values.size):
        values[q] = source[row[q], column[mode[q]]] * (by_row[row[q]] * by_mode[mode[q]])


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
