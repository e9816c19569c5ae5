"""The Stolt step for evenly spaced heights as it stands: sums over frequencies, phases by rotation, and its adjoint.

    f_j(q) = sum_m a_m S_m(q) exp(-j k_z,m(q) z_j),     z_j = z_0 + j h,     k_z and a as in `core.gridding`

The phase of the first height of a run is made in float64; from one height to the next a wave turns by exp(-j k_z h), in
single precision, for at most `RUN` heights. Pairs are taken `LANES` at a time, side by side in the vector units, with
real and imaginary parts apart; what they need stays in the nearest cache. No FFT and no kernel: the sum is exact.
Kernels release the lock and are called from one thread per core.
"""

import numpy as np
from numba import njit

from mmsar.core.gridding import band_filter
from mmsar.core.phasor import FAST, sincos_cycles

LANES = 64
"""Pairs side by side."""
RUN = 32
"""Heights between two phases made in float64."""


@njit(inline="always", error_model="numpy")
def _turns(kx, ky, k2, band, h, work):
    """work (4, n): -k_z [cycles/m], the filter, cosine and sine of -k_z h, for n pairs: vectorised."""
    per_k2 = 1.0 / k2
    limits = (band[0], band[1], band[2], band[3], band[4], band[5])  # what may alias is not vectorised
    for r in range(kx.size):
        kz, factor = band_filter(kx[r], ky[r], k2, per_k2, limits)
        cycles = kz * (-1.0 / (2 * np.pi))
        sine, cosine = sincos_cycles(cycles * h)
        work[0, r] = cycles
        work[1, r] = factor
        work[2, r] = cosine
        work[3, r] = sine


@njit(inline="always", error_model="numpy")
def _all_turns(kx, ky, k2, band, h, waves, ratio):
    """`_turns` of every wavenumber, and cosine and sine in single precision: ratio (m, 2, LANES)."""
    for m in range(k2.size):
        _turns(kx, ky, k2[m], band, h, waves[m])
        for r in range(LANES):
            ratio[m, 0, r] = waves[m, 2, r]
            ratio[m, 1, r] = waves[m, 3, r]


@njit(inline="always", error_model="numpy")
def _start(cycles, factor, z, work):
    """work (2, n) = factor times cosine and sine of the phase at height z: vectorised."""
    for r in range(cycles.size):
        sine, cosine = sincos_cycles(cycles[r] * z)
        work[0, r] = factor[r] * cosine
        work[1, r] = factor[r] * sine


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def sum_even(
    spectrum: np.ndarray,
    first: int,
    kx: np.ndarray,
    ky: np.ndarray,
    k2: np.ndarray,
    band: np.ndarray,
    z_0: float,
    h: float,
    z_scale: np.ndarray,
    q_phase: np.ndarray,
    planes: np.ndarray,
    last: int,
) -> None:
    """planes[j, q] = z_scale[j] q_phase[q] f_j(q) for q from `first` to before `last`."""
    n_k, n_z = k2.size, planes.shape[0]
    source, target, factors = spectrum.view(np.float32), planes.view(np.float32), q_phase.view(np.float32)
    waves, start = np.zeros((n_k, 4, LANES)), np.zeros((2, LANES))
    ratio, wave = np.zeros((n_k, 2, LANES), np.float32), np.zeros((2, LANES), np.float32)
    total = np.zeros((RUN, 2, LANES), np.float32)
    for q0 in range(first, last, LANES):
        n, factor = min(LANES, last - q0), factors[2 * q0 : 2 * last]
        _all_turns(kx[q0 : q0 + n], ky[q0 : q0 + n], k2, band, h, waves, ratio)
        for j0 in range(0, n_z, RUN):
            n_run = min(RUN, n_z - j0)
            total[:n_run] = np.float32(0.0)
            for m in range(n_k):
                _start(waves[m, 0], waves[m, 1], z_0 + j0 * h, start)
                c, s, re, im = ratio[m, 0], ratio[m, 1], wave[0], wave[1]
                values = source[m, 2 * q0 : 2 * last]
                for r in range(n):
                    a, b = np.float32(start[0, r]), np.float32(start[1, r])
                    re[r] = values[2 * r] * a - values[2 * r + 1] * b
                    im[r] = values[2 * r] * b + values[2 * r + 1] * a
                for j in range(n_run):
                    sum_re, sum_im = total[j, 0], total[j, 1]
                    for r in range(LANES):
                        sum_re[r] += re[r]
                        sum_im[r] += im[r]
                        turned = re[r] * c[r] - im[r] * s[r]
                        im[r] = re[r] * s[r] + im[r] * c[r]
                        re[r] = turned
            for j in range(n_run):
                re, im, out = total[j, 0], total[j, 1], target[j0 + j, 2 * q0 : 2 * last]
                scale = z_scale[j0 + j]
                for r in range(n):
                    out[2 * r] = scale * (re[r] * factor[2 * r] - im[r] * factor[2 * r + 1])
                    out[2 * r + 1] = scale * (re[r] * factor[2 * r + 1] + im[r] * factor[2 * r])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def sum_even_back(
    spectrum: np.ndarray,
    first: int,
    kx: np.ndarray,
    ky: np.ndarray,
    k2: np.ndarray,
    band: np.ndarray,
    z_0: float,
    h: float,
    z_scale: np.ndarray,
    q_phase: np.ndarray,
    planes: np.ndarray,
    last: int,
) -> None:
    """Adjoint of `sum_even`: planes[:, first : last] to spectrum[:, first : last], overwritten."""
    n_k, n_z = k2.size, planes.shape[0]
    target, source, factors = spectrum.view(np.float32), planes.view(np.float32), q_phase.view(np.float32)
    waves, start = np.zeros((n_k, 4, LANES)), np.zeros((2, LANES))
    ratio, wave = np.zeros((n_k, 2, LANES), np.float32), np.zeros((2, LANES), np.float32)
    given, total = np.zeros((RUN, 2, LANES), np.float32), np.zeros((n_k, 2, LANES), np.float32)
    for q0 in range(first, last, LANES):
        n, factor = min(LANES, last - q0), factors[2 * q0 : 2 * last]
        _all_turns(kx[q0 : q0 + n], ky[q0 : q0 + n], k2, band, h, waves, ratio)
        total[:] = np.float32(0.0)
        for j0 in range(0, n_z, RUN):
            n_run = min(RUN, n_z - j0)
            for j in range(n_run):
                re, im, values = given[j, 0], given[j, 1], source[j0 + j, 2 * q0 : 2 * last]
                scale = z_scale[j0 + j]
                for r in range(n):
                    re[r] = scale * (values[2 * r] * factor[2 * r] + values[2 * r + 1] * factor[2 * r + 1])
                    im[r] = scale * (values[2 * r + 1] * factor[2 * r] - values[2 * r] * factor[2 * r + 1])
            for m in range(n_k):
                _start(waves[m, 0], waves[m, 1], z_0 + j0 * h, start)
                c, s, re, im = ratio[m, 0], ratio[m, 1], wave[0], wave[1]
                sum_re, sum_im = total[m, 0], total[m, 1]
                for r in range(LANES):
                    re[r], im[r] = start[0, r], start[1, r]
                for j in range(n_run):
                    plane_re, plane_im = given[j, 0], given[j, 1]
                    for r in range(LANES):
                        sum_re[r] += plane_re[r] * re[r] + plane_im[r] * im[r]
                        sum_im[r] += plane_im[r] * re[r] - plane_re[r] * im[r]
                        turned = re[r] * c[r] - im[r] * s[r]
                        im[r] = re[r] * s[r] + im[r] * c[r]
                        re[r] = turned
        for m in range(n_k):
            re, im, out = total[m, 0], total[m, 1], target[m, 2 * q0 : 2 * last]
            for r in range(n):
                out[2 * r], out[2 * r + 1] = re[r], im[r]
