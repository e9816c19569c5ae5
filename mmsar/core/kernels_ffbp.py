"""Leaves of factorised back-projection: the field of a small cluster of channels at the nodes of a coarse grid.

With a block of voxels centred at r0, a channel's path R(r) = |r - tx| + |r - rx|, and rho(r) = |r - t| + |r - q| to the
mean transmitter t and receiver q of its cluster,

    leaf(r) = sum over the cluster of exp(-j kc (R(r) - rho(r))) P(R(r) - R(r0)),

P being the channel's range profile with the carrier removed: over a block a polynomial of `TERMS` coefficients, made
by `coefficients` from the compressed samples. Paths are taken relative to r0, with x = 2 (r0 - p).d + |d|^2

    |r0 + d - p| - |r0 - p| = x / (|r0 + d - p| + |r0 - p|):

exact, and well conditioned in float32; carriers at r0 are reduced to cycles in float64.

Nodes are worked in panels of `NODES`; the rows of a panel live in one flat scratch array (see `kernels_bpa`).
"""

import numba
import numpy as np

from mmsar.core.kernels_bpa import LANES, NODES, STRIDE, aligned, cis

KERNELS_CRC = 0x21B66613
"""CRC-32 of kernels_bpa.py, whose functions are compiled in here (see `kernels_bpa_tiles`)."""
TERMS = 16
"""Coefficients of the range polynomial over a block (degree 15)."""
_ROWS = 10
"""Scratch rows: x, y, z, |d|^2 of the nodes; the cluster's rho; sums re, im; in the adjoint the variable, re, im."""

_L = np.uint64(LANES)
_F = np.float32
_ZERO = _F(0)
_X, _Y, _Z, _S, _REF, _RE, _IM, _V, _VRE, _VIM = (np.uint64(i * STRIDE) for i in range(_ROWS))


@numba.njit(inline="always", fastmath=True, error_model="numpy")
def further(ax, ay, az, r0, r2, x, y, z, square):
    """|a + d| - |a| for d = (x, y, z), `square` = |d|^2, a = (ax, ay, az) / 2, |a| = r0, |a|^2 = r2."""
    q = ax * x + ay * y + az * z + square
    return q / (np.sqrt(max(r2 + q, _ZERO)) + r0)


@numba.njit(error_model="numpy")
def from_centre(centre, p):
    """Doubled vector from element `p` to the centre (three float32), its length and square (float32) and length."""
    x, y, z = centre[0] - p[0], centre[1] - p[1], centre[2] - p[2]
    length = np.sqrt(x * x + y * y + z * z)
    return _F(2 * x), _F(2 * y), _F(2 * z), _F(length), _F(length * length), length


@numba.njit(error_model="numpy")
def turn_of(cycles):
    """The part of `cycles` beyond whole ones, float32."""
    return _F(cycles - np.rint(cycles))


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def coefficients(table, k, tx, rx, weight, fit, centre):
    """Range polynomials of all channels over one block.

    Parameters
    ----------
    table : (n, m) complex64
        Compressed samples.
    k : (m,) float64
        Wavenumbers of them without the carrier [rad/m].
    tx, rx : (n, 3) float64
        Elements [m].
    weight : (n,) float32
    fit : (m, TERMS) complex64
        exp(-j k v half) as a polynomial of v in [-1, 1].
    centre : (3,) float64
        The block's centre [m].

    Returns
    -------
    (n, 2, TERMS) float32
        Real and imaginary parts of the coefficients.
    """
    n, m = table.shape
    out = np.empty((n, 2, TERMS), dtype=np.float32)
    re, im = np.ascontiguousarray(fit.real), np.ascontiguousarray(fit.imag)
    for c in numba.prange(n):
        path = from_centre(centre, tx[c])[5] + from_centre(centre, rx[c])[5]
        a, b = np.zeros(TERMS, dtype=np.float32), np.zeros(TERMS, dtype=np.float32)
        for f in range(m):
            cos, sin = cis(turn_of(k[f] * path / (2 * np.pi)))
            u = weight[c] * (table[c, f].real * cos + table[c, f].imag * sin)
            v = weight[c] * (table[c, f].imag * cos - table[c, f].real * sin)
            for d in range(TERMS):
                a[d] += u * re[f, d] - v * im[f, d]
                b[d] += u * im[f, d] + v * re[f, d]
        for d in range(TERMS):
            out[c, 0, d] = a[d]
            out[c, 1, d] = b[d]
    return out


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def uncoefficients(table, k, tx, rx, weight, fit, centre, coefs):
    """The conjugate transpose of `coefficients`: `coefs` (n, 2, TERMS) float32 are added to `table`."""
    n, m = table.shape
    re, im = np.ascontiguousarray(fit.real), np.ascontiguousarray(fit.imag)
    for c in numba.prange(n):
        path = from_centre(centre, tx[c])[5] + from_centre(centre, rx[c])[5]
        for f in range(m):
            u = v = _ZERO
            for d in range(TERMS):
                u += coefs[c, 0, d] * re[f, d] + coefs[c, 1, d] * im[f, d]
                v += coefs[c, 1, d] * re[f, d] - coefs[c, 0, d] * im[f, d]
            cos, sin = cis(turn_of(k[f] * path / (2 * np.pi)))
            table[c, f] += weight[c] * complex(u * cos - v * sin, v * cos + u * sin)


@numba.njit(fastmath=True, error_model="numpy")
def _panel(w, nodes, groups, centre, cycles_per_m, t, q):
    """Fill the rows of a panel; returns rho(r0) of the cluster [cycles]."""
    for i in range(4 * STRIDE):
        w[i] = nodes[i]
    ax, ay, az, a0, a2, length_t = from_centre(centre, t)
    bx, by, bz, b0, b2, length_q = from_centre(centre, q)
    for g in range(groups):
        first = np.uint64(g) * _L
        for i in range(LANES):
            m = first + np.uint64(i)
            x, y, z, s = w[_X + m], w[_Y + m], w[_Z + m], w[_S + m]
            w[_REF + m] = further(ax, ay, az, a0, a2, x, y, z, s) + further(bx, by, bz, b0, b2, x, y, z, s)
            w[_RE + m] = _ZERO
            w[_IM + m] = _ZERO
    return (length_t + length_q) * cycles_per_m


@numba.njit(fastmath=True, error_model="numpy")
def _add_channel(w, groups, centre, t, q, cycles_per_m, rho, per_m, a, b):
    """Add one channel to the sums of a panel; `a`, `b` are its coefficients, `per_m` is 1 / half."""
    ax, ay, az, r0, r2, length_t = from_centre(centre, t)
    bx, by, bz, s0, s2, length_q = from_centre(centre, q)
    turn = turn_of((length_t + length_q) * cycles_per_m - rho)
    kc, scale = _F(cycles_per_m), _F(per_m)
    a0, a1, a2, a3, a4, a5, a6, a7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
    a8, a9, aa, ab, ac, ad, ae, af = a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]
    b0, b1, b2, b3, b4, b5, b6, b7 = b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
    b8, b9, ba, bb, bc, bd, be, bf = b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]
    for g in range(groups):
        first = np.uint64(g) * _L
        for i in range(LANES):
            m = first + np.uint64(i)
            x, y, z, s = w[_X + m], w[_Y + m], w[_Z + m], w[_S + m]
            d = further(ax, ay, az, r0, r2, x, y, z, s) + further(bx, by, bz, s0, s2, x, y, z, s)
            cos, sin = cis(turn + kc * (d - w[_REF + m]))
            v = d * scale
            re = ac + v * (ad + v * (ae + v * af))
            im = bc + v * (bd + v * (be + v * bf))
            re = a8 + v * (a9 + v * (aa + v * (ab + v * re)))
            im = b8 + v * (b9 + v * (ba + v * (bb + v * im)))
            re = a0 + v * (a1 + v * (a2 + v * (a3 + v * (a4 + v * (a5 + v * (a6 + v * (a7 + v * re)))))))
            im = b0 + v * (b1 + v * (b2 + v * (b3 + v * (b4 + v * (b5 + v * (b6 + v * (b7 + v * im)))))))
            w[_RE + m] += re * cos + im * sin
            w[_IM + m] += im * cos - re * sin


@numba.njit(fastmath=True, error_model="numpy")
def _take_channel(w, groups, centre, t, q, cycles_per_m, rho, per_m, out):
    """The transpose of `_add_channel`: moments of a panel's values are added to `out` (2, TERMS)."""
    ax, ay, az, r0, r2, length_t = from_centre(centre, t)
    bx, by, bz, s0, s2, length_q = from_centre(centre, q)
    turn = turn_of((length_t + length_q) * cycles_per_m - rho)
    kc, scale = _F(cycles_per_m), _F(per_m)
    for g in range(groups):
        first = np.uint64(g) * _L
        for i in range(LANES):
            m = first + np.uint64(i)
            x, y, z, s = w[_X + m], w[_Y + m], w[_Z + m], w[_S + m]
            d = further(ax, ay, az, r0, r2, x, y, z, s) + further(bx, by, bz, s0, s2, x, y, z, s)
            cos, sin = cis(turn + kc * (d - w[_REF + m]))
            w[_V + m] = d * scale
            w[_VRE + m] = w[_RE + m] * cos - w[_IM + m] * sin
            w[_VIM + m] = w[_IM + m] * cos + w[_RE + m] * sin
    for d in range(TERMS):
        re = im = _ZERO
        for i in range(groups * LANES):
            m = np.uint64(i)
            x, y, v = w[_VRE + m], w[_VIM + m], w[_V + m]
            re += x
            im += y
            w[_VRE + m] = x * v
            w[_VIM + m] = y * v
        out[0, d] += re
        out[1, d] += im


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def gather(grids, first, start, means, channels, panels, numbers, centre):
    """Fields of some clusters at the nodes of their grids.

    Parameters
    ----------
    grids : (n, size) float32
        Written: real then imaginary parts at the nodes; one row per cluster, from cluster `first` on.
    first : int
        Number of the first cluster worked on.
    start : (n_clusters + 1,) int64
        First channel of every cluster.
    means : (n_clusters, 6) float64
        Mean transmitter and receiver [m].
    channels : (tx, rx, coefs)
        Elements (n, 3) float64 [m] and range polynomials (n, 2, TERMS).
    panels : (nodes, place, count)
        Nodes about the block's centre, (n_panels, 4 STRIDE) float32; where each goes in a grid, (n_panels, NODES)
        int64; how many there are, (n_panels,) int64.
    numbers : (kc / 2 pi [1/m], 1 / half [1/m])
        Carrier; scale of the polynomial variable.
    centre : (3,) float64
        The block's centre [m].
    """
    tx, rx, coefs = channels
    nodes, place, count = panels
    imaginary = grids.shape[1] // 2
    for item in numba.prange(len(grids) * len(nodes)):
        row, panel = item // len(nodes), item % len(nodes)
        c = first + row
        groups = (count[panel] + LANES - 1) // LANES
        w = aligned(_ROWS * STRIDE)
        rho = _panel(w, nodes[panel], groups, centre, numbers[0], means[c, :3], means[c, 3:])
        for n in range(start[c], start[c + 1]):
            _add_channel(w, groups, centre, tx[n], rx[n], numbers[0], rho, numbers[1], coefs[n, 0], coefs[n, 1])
        for i in range(count[panel]):
            grids[row, place[panel, i]] = w[_RE + np.uint64(i)]
            grids[row, imaginary + place[panel, i]] = w[_IM + np.uint64(i)]


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def scatter(grids, first, start, means, channels, panels, numbers, centre):
    """The conjugate transpose of `gather`: grids are added to the coefficients. Same arguments."""
    tx, rx, coefs = channels
    nodes, place, count = panels
    imaginary = grids.shape[1] // 2
    for row in numba.prange(len(grids)):
        c = first + row
        w = aligned(_ROWS * STRIDE)
        for panel in range(len(nodes)):
            groups = (count[panel] + LANES - 1) // LANES
            rho = _panel(w, nodes[panel], groups, centre, numbers[0], means[c, :3], means[c, 3:])
            for i in range(count[panel]):
                w[_RE + np.uint64(i)] = grids[row, place[panel, i]]
                w[_IM + np.uint64(i)] = grids[row, imaginary + place[panel, i]]
            for n in range(start[c], start[c + 1]):
                _take_channel(w, groups, centre, tx[n], rx[n], numbers[0], rho, numbers[1], coefs[n])


__all__ = ["NODES", "TERMS", "coefficients", "from_centre", "further", "gather", "scatter", "turn_of", "uncoefficients"]
