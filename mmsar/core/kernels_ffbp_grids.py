"""Grids of factorised back-projection: from the fields of clusters to that of their union, and to the voxels.

A grid holds the field of one cluster with the carrier of its mean elements removed (see `kernels_ffbp`), real then
imaginary parts, (2, n0, n1, row) float32 with the axes z, y, x and rows filled up to a multiple of `LANES`. `merge`
takes the clusters of one level to a finer grid of the next,

    parent(r) = sum over children  exp(-j kc (rho_child(r) - rho_parent(r))) child(r),

the children interpolated axis by axis; `image` does the same for voxels, where nothing is removed. `split` and
`unimage` are the conjugate transposes. Work is shared out by what is written: sums are made in one order whatever the
threads.

`tables` of an interpolation: (start0, weight0), (start1, weight1): first node and `TAPS` weights of every target along
z and y, (n,) int64 and (n, TAPS) float32; (first, basis): along x for every `LANES` targets the first node, (groups,)
int64, and the weights of the nodes from there on, (groups, nodes, LANES) float32 and flat, nodes a multiple of four.
"""

import numba
import numpy as np

from mmsar.core.kernels_bpa import LANES, cis
from mmsar.core.kernels_ffbp import from_centre, further, turn_of

SOURCES_CRC = 0x66339458
"""CRC-32 of kernels_bpa.py and kernels_ffbp.py, whose functions are compiled in here (see `kernels_bpa_tiles`)."""
TAPS = 8
"""Nodes that make one value, along each axis."""

_F = np.float32
_ZERO = _F(0)
_U1, _U2, _U3 = np.uint64(1), np.uint64(2), np.uint64(3)
_L, _L2, _L3 = np.uint64(LANES), np.uint64(2 * LANES), np.uint64(3 * LANES)


@numba.njit(fastmath=True, error_model="numpy")
def _mix(out, to, source, base, stride, last, start, weight, length):
    """out[to:][:length] = sum_i weight[i] source[base + (start + i) stride:][:length]; nodes end at `last`."""
    i0 = np.uint64(base + min(start, last) * stride)
    i1 = np.uint64(base + min(start + 1, last) * stride)
    i2 = np.uint64(base + min(start + 2, last) * stride)
    i3 = np.uint64(base + min(start + 3, last) * stride)
    i4 = np.uint64(base + min(start + 4, last) * stride)
    i5 = np.uint64(base + min(start + 5, last) * stride)
    i6 = np.uint64(base + min(start + 6, last) * stride)
    i7 = np.uint64(base + min(start + 7, last) * stride)
    w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
    w4, w5, w6, w7 = weight[4], weight[5], weight[6], weight[7]
    o = np.uint64(to)
    for n in range(length):
        k = np.uint64(n)
        out[o + k] = (
            (w0 * source[i0 + k] + w1 * source[i1 + k])
            + (w2 * source[i2 + k] + w3 * source[i3 + k])
            + (w4 * source[i4 + k] + w5 * source[i5 + k])
            + (w6 * source[i6 + k] + w7 * source[i7 + k])
        )


@numba.njit(fastmath=True, error_model="numpy")
def _unmix(out, base, stride, last, start, weight, source, at, length):
    """The transpose of `_mix`: source[at:] is added to the nodes in `out`."""
    a = np.uint64(at)
    for i in range(TAPS):
        if start + i <= last:
            to, w = np.uint64(base + (start + i) * stride), weight[i]
            for n in range(length):
                k = np.uint64(n)
                out[to + k] += w * source[a + k]


@numba.njit(fastmath=True, error_model="numpy")
def _along(out, to, source, base, first, basis):
    """Interpolate one row along x: `LANES` targets at a time; `basis` is flat."""
    groups = len(first)
    nodes = len(basis) // (LANES * groups)
    for g in range(groups):
        at = np.uint64(base + first[g])
        o = np.uint64(to + g * LANES)
        b = np.uint64(g * nodes * LANES)
        for n in range(LANES):
            out[o + np.uint64(n)] = _ZERO
        for j in range(0, nodes, 4):
            x = at + np.uint64(j)
            v0, v1, v2, v3 = source[x], source[x + _U1], source[x + _U2], source[x + _U3]
            y = b + np.uint64(j * LANES)
            for n in range(LANES):
                k = np.uint64(n)
                out[o + k] += (v0 * basis[y + k] + v1 * basis[y + _L + k]) + (
                    v2 * basis[y + _L2 + k] + v3 * basis[y + _L3 + k]
                )


@numba.njit(fastmath=True, error_model="numpy")
def _unalong(out, to, source, base, first, basis):
    """The transpose of `_along`: the targets in `source` are added to the nodes in `out`."""
    groups = len(first)
    nodes = len(basis) // (LANES * groups)
    for g in range(groups):
        at = np.uint64(to + first[g])
        s = np.uint64(base + g * LANES)
        for j in range(nodes):
            value = _ZERO
            b = np.uint64((g * nodes + j) * LANES)
            for n in range(LANES):
                k = np.uint64(n)
                value += source[s + k] * basis[b + k]
            out[at + np.uint64(j)] += value


@numba.njit(fastmath=True, error_model="numpy")
def _paths(out, to, x, y, z, centre, mean):
    """rho relative to the block's centre along a row of nodes [m]; returns rho at the centre [m]."""
    ax, ay, az, a0, a2, length_t = from_centre(centre, mean[:3])
    bx, by, bz, b0, b2, length_q = from_centre(centre, mean[3:])
    rest = y * y + z * z
    o = np.uint64(to)
    for n in range(len(x)):
        k = np.uint64(n)
        square = x[k] * x[k] + rest
        d = further(ax, ay, az, a0, a2, x[k], y, z, square)
        out[o + k] = d + further(bx, by, bz, b0, b2, x[k], y, z, square)
    return length_t + length_q


@numba.njit(fastmath=True, error_model="numpy")
def _turn_add(out, re_to, im_to, source, re_at, im_at, path, minus, at, n, turn, kc):
    """out += source exp(-j 2 pi (turn + kc (path - minus[at:])))."""
    ro, io, rs, ims, m = np.uint64(re_to), np.uint64(im_to), np.uint64(re_at), np.uint64(im_at), np.uint64(at)
    for i in range(n):
        k = np.uint64(i)
        c, s = cis(turn + kc * (path[k] - minus[m + k]))
        re, im = source[rs + k], source[ims + k]
        out[ro + k] += re * c + im * s
        out[io + k] += im * c - re * s


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def merge(parents, children, start, means, shapes, tables, nodes, kc, centre):
    """Grids of parents from those of their children.

    Parameters
    ----------
    parents, children : (n, 2 m0 m1 row) and (n, 2 n0 n1 row) float32
        Grids; `parents` is written.
    start : (n_parents + 1,) int64
        First child of every parent.
    means : (of parents, of children)
        Mean transmitter and receiver, each (n, 6) float64 [m].
    shapes : ((m0, m1, row), (n0, n1, row))
        Of the grids of parents and children, int.
    tables : see above
        From the nodes of children to those of parents.
    nodes : (z, y, x)
        Nodes of parents about the block's centre [m], float32, x filled up to a row.
    kc, centre : float, (3,) float64
        Carrier [cycles/m]; the block's centre [m].
    """
    (start0, weight0), (start1, weight1), (first, basis) = tables
    (m0, m1, mr), (n0, n1, nr) = shapes
    z, y, x = nodes
    half = m0 * m1 * mr
    for p in numba.prange(len(parents)):
        a = np.empty(2 * n0 * n1 * mr, dtype=np.float32)
        b = np.empty(2 * n0 * m1 * mr, dtype=np.float32)
        plane = np.empty(2 * m1 * mr, dtype=np.float32)
        own, path = np.empty(half, dtype=np.float32), np.empty(mr, dtype=np.float32)
        rho = 0.0
        for i in range(m0):
            for j in range(m1):
                rho = _paths(own, (i * m1 + j) * mr, x, y[j], z[i], centre, means[0][p])
        parents[p] = _ZERO
        for c in range(start[p], start[p + 1]):
            for r in range(2 * n0 * n1):
                _along(a, r * mr, children[c], r * nr, first, basis)
            for r in range(2 * n0):
                for j in range(m1):
                    _mix(b, (r * m1 + j) * mr, a, r * n1 * mr, mr, n1 - 1, start1[j], weight1[j], mr)
            for i in range(m0):
                for part in range(2):
                    base = part * n0 * m1 * mr
                    _mix(plane, part * m1 * mr, b, base, m1 * mr, n0 - 1, start0[i], weight0[i], m1 * mr)
                for j in range(m1):
                    turn = turn_of(kc * (_paths(path, 0, x, y[j], z[i], centre, means[1][c]) - rho))
                    at = (i * m1 + j) * mr
                    _turn_add(parents[p], at, half + at, plane, j * mr, (m1 + j) * mr, path, own, at, mr, turn, _F(kc))


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def split(parents, children, parent_of, means, shapes, tables, nodes, kc, centre):
    """The conjugate transpose of `merge`: `children` is written; `parent_of` (n_children,) int64 names parents."""
    (start0, weight0), (start1, weight1), (first, basis) = tables
    (m0, m1, mr), (n0, n1, nr) = shapes
    z, y, x = nodes
    half = m0 * m1 * mr
    for c in numba.prange(len(children)):
        p = parent_of[c]
        a = np.zeros(2 * n0 * n1 * mr, dtype=np.float32)
        b = np.zeros(2 * n0 * m1 * mr, dtype=np.float32)
        plane = np.empty(2 * m1 * mr, dtype=np.float32)
        own, path = np.empty(mr, dtype=np.float32), np.empty(mr, dtype=np.float32)
        for i in range(m0):
            plane[:] = _ZERO
            for j in range(m1):
                rho = _paths(own, 0, x, y[j], z[i], centre, means[0][p])
                turn = turn_of(kc * (rho - _paths(path, 0, x, y[j], z[i], centre, means[1][c])))
                at = (i * m1 + j) * mr
                _turn_add(plane, j * mr, (m1 + j) * mr, parents[p], at, half + at, own, path, 0, mr, turn, _F(kc))
            for part in range(2):
                base = part * n0 * m1 * mr
                _unmix(b, base, m1 * mr, n0 - 1, start0[i], weight0[i], plane, part * m1 * mr, m1 * mr)
        for r in range(2 * n0):
            for j in range(m1):
                _unmix(a, r * n1 * mr, mr, n1 - 1, start1[j], weight1[j], b, (r * m1 + j) * mr, mr)
        children[c] = _ZERO
        for r in range(2 * n0 * n1):
            _unalong(children[c], r * nr, a, r * mr, first, basis)


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def image(voxels, at, grids, means, shape, tables, nodes, kc, centre, scale, strip):
    """Add the fields of grids to the voxels of a block.

    Parameters
    ----------
    voxels : (n_z, n_y, 2 n_x) float32
        The whole image, real and imaginary parts in turn; added to.
    at : (z, y, x) int
        First voxel of the block; what of the block lies beyond the image is left out.
    grids : (n, 2 n0 n1 row) float32
        Grids of the clusters of the highest level; `means` (n, 6), `shape` (n0, n1, row).
    tables, nodes, kc, centre : as in `merge`
        From the nodes to the voxels; voxels about the block's centre.
    scale : float
        Of what is added.
    strip : int
        Rows along y that are worked at once.
    """
    (start0, weight0), (start1, weight1), (first, basis) = tables
    n0, n1, nr = shape
    z, y, x = nodes
    length = len(x)
    depth, height = min(len(z), voxels.shape[0] - at[0]), min(len(y), voxels.shape[1] - at[1])
    width = min(length, voxels.shape[2] // 2 - at[2])
    strips = (height + strip - 1) // strip
    for item in numba.prange(depth * strips):
        i, low = item // strips, (item % strips) * strip
        high = min(low + strip, height)
        node_low, node_high = start1[low], min(start1[high - 1] + TAPS, n1)
        plane = np.empty(2 * n1 * nr, dtype=np.float32)
        sums = np.zeros(2 * strip * length, dtype=np.float32)
        row, fine = np.empty(2 * nr, dtype=np.float32), np.empty(2 * length, dtype=np.float32)
        path, none = np.empty(length, dtype=np.float32), np.zeros(length, dtype=np.float32)
        for c in range(len(grids)):
            for part in range(2):
                base = (part * n0 * n1 + node_low) * nr
                to = (part * n1 + node_low) * nr
                wide = (node_high - node_low) * nr
                _mix(plane, to, grids[c], base, n1 * nr, n0 - 1, start0[i], weight0[i], wide)
            for j in range(low, high):
                for part in range(2):
                    _mix(row, part * nr, plane, part * n1 * nr, nr, n1 - 1, start1[j], weight1[j], nr)
                    _along(fine, part * length, row, part * nr, first, basis)
                turn = turn_of(kc * _paths(path, 0, x, y[j], z[i], centre, means[c]))
                to = (j - low) * length
                _turn_add(sums, to, strip * length + to, fine, 0, length, path, none, 0, length, turn, _F(kc))
        for j in range(low, high):
            re, im = np.uint64((j - low) * length), np.uint64((strip + j - low) * length)
            line = voxels[at[0] + i, at[1] + j, 2 * at[2] : 2 * (at[2] + width)]
            for k in range(width):
                n = np.uint64(k)
                line[n + n] += scale * sums[re + n]
                line[n + n + _U1] += scale * sums[im + n]


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def unimage(voxels, at, planes, mean, shape, tables, nodes, kc, centre, scale):
    """The transpose of `image` along x and y, for one grid: `planes` (n_z, 2 n1 row) float32 is written.

    Along z it is left to a matrix product. Same arguments; `mean` (6,) is that of the grid's cluster.
    """
    (_, _), (start1, weight1), (first, basis) = tables
    n1, nr = shape[1], shape[2]
    z, y, x = nodes
    length = len(x)
    height = min(len(y), voxels.shape[1] - at[1])
    width = min(length, voxels.shape[2] - at[2])
    planes[:] = _ZERO
    for i in numba.prange(min(len(z), voxels.shape[0] - at[0])):
        row, fine = np.empty(2 * nr, dtype=np.float32), np.empty(2 * length, dtype=np.float32)
        path, none = np.empty(length, dtype=np.float32), np.zeros(length, dtype=np.float32)
        values = np.zeros(2 * length, dtype=np.float32)
        for j in range(height):
            for k in range(width):
                value = voxels[at[0] + i, at[1] + j, at[2] + k]
                values[k] = scale * value.real
                values[length + k] = scale * value.imag
            turn = turn_of(-kc * _paths(path, 0, x, y[j], z[i], centre, mean))
            fine[:] = _ZERO
            _turn_add(fine, 0, length, values, 0, length, none, path, 0, length, turn, _F(kc))
            row[:] = _ZERO
            for part in range(2):
                _unalong(row, part * nr, fine, part * length, first, basis)
                _unmix(planes[i], part * n1 * nr, nr, n1 - 1, start1[j], weight1[j], row, part * nr, nr)
