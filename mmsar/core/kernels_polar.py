"""The hot loops of imaging in rotation: cylinder waves, azimuth spectra to rays, rays to points of a type-1 NUFFT.

H_n(x) = J_n(x) - j Y_n(x), the Hankel function of the second kind, by upward recurrence in the order: stable for
n <= x, where it is used, and beyond, where Y_n dominates.
"""

import math

import numpy as np
from numba import njit

from mmsar.core.phasor import FAST, sincos_cycles

TURN = 2 * math.pi


@njit(nogil=True, cache=True, error_model="numpy")
def hankel_rows(x, first, second, last, out):
    """H_n(x_i) for n = 0..last_i into the rows of `out`, zeros beyond.

    Parameters
    ----------
    x : float64 (m,)
        Arguments above 0.
    first, second : complex128 (m,)
        H_0 and H_1 there.
    last : int64 (m,)
        Highest order of every row.
    out : complex128 (m, n_orders)
        Overwritten.
    """
    for i in range(len(x)):
        out[i, 0] = first[i]
        if out.shape[1] > 1:
            out[i, 1] = second[i]
        top = min(last[i] + 1, out.shape[1])
        for n in range(1, top - 1):
            out[i, n + 1] = (2.0 * n / x[i]) * out[i, n] - out[i, n - 1]
        for n in range(top, out.shape[1]):
            out[i, n] = 0.0


@njit(nogil=True, cache=True, fastmath=FAST)
def load_orders(spectrum, column, n_columns, weights, rows):
    """Azimuth orders of one height wavenumber, weighted, into FFT rows with order n at n mod the row's length.

    Parameters
    ----------
    spectrum : complex64 (m, n_orders * n_columns)
        Orders -N..N by height wavenumbers of every frequency.
    column, n_columns : int
        Which height wavenumber, of how many.
    weights : complex64 (m, N + 1)
        Factor of the orders |n|.
    rows : complex64 (m, n_angles)
        Overwritten.
    """
    top = weights.shape[1] - 1
    length = rows.shape[1]
    for i in range(rows.shape[0]):
        rows[i, :] = 0
        for n in range(-top, top + 1):
            rows[i, n if n >= 0 else n + length] = spectrum[i, (n + top) * n_columns + column] * weights[i, abs(n)]


@njit(nogil=True, cache=True, fastmath=FAST)
def store_orders(rows, weights, column, n_columns, spectrum):
    """The adjoint of `load_orders`: added to the spectrum's entries of the column."""
    top = weights.shape[1] - 1
    length = rows.shape[1]
    for i in range(rows.shape[0]):
        for n in range(-top, top + 1):
            value = rows[i, n if n >= 0 else n + length] * weights[i, abs(n)].conjugate()
            spectrum[i, (n + top) * n_columns + column] += value


@njit(nogil=True, cache=True, fastmath=FAST)
def place_rays(kr, cosine, sine, spacing, x, z):
    """Coordinates of plane waves for a type-1 NUFFT on pixels: (kr cos a dx, kr sin a dz), wrapped to [-pi, pi).

    Parameters
    ----------
    kr : float64 (m,)
        Wavenumbers across the axis [rad/m].
    cosine, sine : float64 (n_angles,)
        Directions of the waves.
    spacing : (dx, dz)
        Pixel spacing [m].
    x, z : float32 (m, n_angles)
        Overwritten.
    """
    per_x, per_z = spacing[0] / TURN, spacing[1] / TURN
    for i in range(len(kr)):
        for a in range(len(cosine)):
            u, v = kr[i] * cosine[a] * per_x, kr[i] * sine[a] * per_z
            x[i, a] = (u - math.floor(u + 0.5)) * TURN
            z[i, a] = (v - math.floor(v + 0.5)) * TURN


@njit(nogil=True, cache=True, fastmath=FAST)
def turn_rays(rows, kr, cosine, sine, middle, sign, out):
    """rows exp(sign j kr (x cos a + z sin a)), (x, z) the middle pixel.

    Parameters
    ----------
    rows : complex64 (m, n_angles)
        Amplitudes of the waves.
    kr, cosine, sine
        As in `place_rays`.
    middle : (x, z)
        Where [m].
    sign : float
        +1 or -1.
    out : complex64 (m, n_angles)
        Overwritten; may be `rows`.
    """
    x, z = sign * middle[0] / TURN, sign * middle[1] / TURN
    for i in range(len(kr)):
        for a in range(len(cosine)):
            s, c = sincos_cycles(kr[i] * (cosine[a] * x + sine[a] * z))
            out[i, a] = rows[i, a] * complex(np.float32(c), np.float32(s))


@njit(nogil=True, cache=True, fastmath=FAST)
def spread_lines(lines, start, taps, out):
    """out[start_i + t] += taps[i, t] lines[i]: rows to a coarser grid of rows.

    Parameters
    ----------
    lines : complex64 (n, n_x)
        Rows, any stride.
    start : int64 (n,)
        First row each goes to.
    taps : float32 (n, width)
        Weights.
    out : complex64 (n_coarse, n_x)
        Overwritten.
    """
    out[:] = 0
    for i in range(lines.shape[0]):
        for t in range(taps.shape[1]):
            weight = taps[i, t]
            row = out[start[i] + t]
            for x in range(lines.shape[1]):
                row[x] += weight * lines[i, x]


@njit(nogil=True, cache=True, fastmath=FAST)
def gather_lines(coarse, start, taps, out):
    """The adjoint of `spread_lines`: `out` (n, n_x) is overwritten."""
    for i in range(out.shape[0]):
        row = out[i]
        row[:] = 0
        for t in range(taps.shape[1]):
            weight = taps[i, t]
            for x in range(out.shape[1]):
                row[x] += weight * coarse[start[i] + t, x]
