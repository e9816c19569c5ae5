"""The hot loop of the search for scatterers: coherent within a sub-aperture, powers added over sub-apertures.

    power(r, u) = sum_t | sum_{c in t} exp(-j k0 R_c) P_c(R_c) |^2,   R_c = |q_c - tx_c| + |q_c - rx_c|,
    q_c = r - sum_g u_g B_cg

with P_c the range profile of a channel at baseband and u the sizes of displacements B_c of its antennas [m]. A small
sub-aperture sees a coarse spot that tells little of where exactly the antennas were; one sub-aperture is the image.
"""

import math

import numpy as np
from numba import njit, prange

from mmsar.core.phasor import FAST, sincos_cycles

BLOCK = 64


@njit(inline="always", error_model="numpy", fastmath=FAST)
def _coherent(profile, scale, tx, rx, basis, order, first_channel, last_channel, candidate):
    """Real and imaginary part of the sum over channels first_channel .. last_channel - 1."""
    first, density, cycles = scale
    n_bins, n_moves = profile.shape[1], basis.shape[0]
    x, y, z = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    path, sine, cosine = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    re, im = 0.0, 0.0
    for begin in range(first_channel, last_channel, BLOCK):
        m = min(BLOCK, last_channel - begin)
        for a in range(m):
            x[a], y[a], z[a] = candidate[0], candidate[1], candidate[2]
        for g in range(n_moves):
            u = candidate[3 + g]
            for a in range(m):
                x[a] -= u * basis[g, 0, begin + a]
                y[a] -= u * basis[g, 1, begin + a]
                z[a] -= u * basis[g, 2, begin + a]
        for a in range(m):
            c = begin + a
            path[a] = math.sqrt((x[a] - tx[0, c]) ** 2 + (y[a] - tx[1, c]) ** 2 + (z[a] - tx[2, c]) ** 2)
            path[a] += math.sqrt((x[a] - rx[0, c]) ** 2 + (y[a] - rx[1, c]) ** 2 + (z[a] - rx[2, c]) ** 2)
        for a in range(m):
            sine[a], cosine[a] = sincos_cycles(path[a] * cycles)
        for a in range(m):
            place = (path[a] - first) * density
            if place >= 0.0 and place < n_bins - 1:
                j, row = int(place), order[begin + a]
                here, there = profile[row, j], profile[row, j + 1]
                share = place - j
                real = here.real + share * (there.real - here.real)
                imag = here.imag + share * (there.imag - here.imag)
                re += cosine[a] * real + sine[a] * imag
                im += cosine[a] * imag - sine[a] * real
    return re, im


@njit(parallel=True, nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def subaperture_power(profile, scale, tx, rx, basis, order, start, candidates):
    """Power of every candidate.

    Parameters
    ----------
    profile : complex64 (n_channel, n_bins)
        P_c at equally spaced path lengths.
    scale : (float, float, float)
        First path length [m], bins per metre, k0 / 2 pi [1/m].
    tx, rx : float64 (3, n_channel)
        Phase centres [m], sub-aperture by sub-aperture.
    basis : float64 (n_moves, 3, n_channel)
        B_c in the same order: unit displacements of the antennas of a channel.
    order : int64 (n_channel,)
        Row of `profile` of each.
    start : int64 (n_tiles + 1,)
        Where each sub-aperture begins.
    candidates : float64 (n, 3 + n_moves)
        r and u.

    Returns
    -------
    float64 (n,)
        Paths beyond the profile count as nothing.
    """
    out = np.zeros(len(candidates))
    for i in prange(len(candidates)):
        for t in range(len(start) - 1):
            re, im = _coherent(profile, scale, tx, rx, basis, order, start[t], start[t + 1], candidates[i])
            out[i] += re * re + im * im
    return out


@njit(parallel=True, nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def subaperture_sums(profile, scale, tx, rx, basis, order, start, candidates):
    """As `subaperture_power`, but the coherent sum of every sub-aperture by itself: complex128 (n, n_tiles)."""
    out = np.zeros((len(candidates), len(start) - 1), dtype=np.complex128)
    for i in prange(len(candidates)):
        for t in range(len(start) - 1):
            re, im = _coherent(profile, scale, tx, rx, basis, order, start[t], start[t + 1], candidates[i])
            out[i, t] = complex(re, im)
    return out
