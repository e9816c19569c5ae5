"""Drivers of back-projection: tiles of voxels, clusters of poses, and their transposes.

Seen from a tile, a cluster of neighbouring poses sends almost one wave. With t, q the cluster's mean transmitter and
receiver and rho(r) = |r - t| + |r - q|,

    sum over the cluster's channels = exp(-j kc (rho(r) - rho(r0))) h(r),

where h (and rho) vary slowly: they are computed at a few Chebyshev nodes and interpolated along z, y and x. The nodes
cost work per channel, the voxels only per cluster. `*_direct` have no clusters and take the voxels as nodes.

A tile is one row of `packed`: voxels in order (axis 0, axis 1, axis 2), `LANES` real parts, then their imaginary
parts, and so on.
"""

import numba
import numpy as np

from mmsar.core.kernels_bpa import (
    LANES,
    ROW_IM,
    ROW_LEGS,
    ROW_RE,
    ROW_REF,
    STRIDE,
    add_pose,
    aligned,
    cis,
    clear,
    reference,
    spread_pose,
)

KERNELS_CRC = 0x21B66613
"""CRC-32 of kernels_bpa.py. numba's cache on disk looks at the file of the cached function only, so a change there must
change this file too; a test compares."""
INNER_NODES = (5, 8)
"""Node counts that exist along the inner axis (compiled in)."""

_L = np.uint64(LANES)
_PAIR = np.uint64(2 * LANES)
_N = np.uint64(STRIDE)
_F = np.float32
_ZERO = _F(0)


def row_length(inner: int) -> int:
    """Floats that hold re, im and phase at `inner` nodes, a multiple of LANES."""
    return -(-3 * inner // LANES) * LANES


def _make_lines(inner: int):
    n, length = np.uint64(inner), np.uint64(row_length(inner))

    @numba.njit(fastmath=True, error_model="numpy")
    def add(lines, n_lines, basis, width, out):
        """out += h exp(-j 2 pi phase) on every line of the tile."""
        groups = np.uint64(width // LANES)
        for g in range(width // LANES):
            column = np.uint64(g) * n * _L
            for k in range(n_lines):
                row = np.uint64(k) * length
                at = (np.uint64(k) * groups + np.uint64(g)) * _PAIR
                for i in range(LANES):
                    x = np.uint64(i)
                    re = im = phase = _ZERO
                    for jj in range(inner):
                        j = np.uint64(jj)
                        b = basis[column + j * _L + x]
                        re += lines[row + j] * b
                        im += lines[row + n + j] * b
                        phase += lines[row + n + n + j] * b
                    c, s = cis(phase)
                    out[at + x] += re * c + im * s
                    out[at + _L + x] += im * c - re * s

    @numba.njit(fastmath=True, error_model="numpy")
    def take(lines, n_lines, basis, width, tile, out):
        """out = tile exp(+j 2 pi phase) on every line."""
        groups = np.uint64(width // LANES)
        for g in range(width // LANES):
            column = np.uint64(g) * n * _L
            for k in range(n_lines):
                row = np.uint64(k) * length
                at = (np.uint64(k) * groups + np.uint64(g)) * _PAIR
                for i in range(LANES):
                    x = np.uint64(i)
                    phase = _ZERO
                    for jj in range(inner):
                        j = np.uint64(jj)
                        phase += lines[row + n + n + j] * basis[column + j * _L + x]
                    c, s = cis(phase)
                    re = tile[at + x]
                    im = tile[at + _L + x]
                    out[at + x] = re * c - im * s
                    out[at + _L + x] = im * c + re * s

    return add, take


_add5, _take5 = _make_lines(INNER_NODES[0])
_add8, _take8 = _make_lines(INNER_NODES[1])


@numba.njit(fastmath=True, error_model="numpy")
def _expand(source, target, weights, n_from, n_to, blocks, length):
    """target[b, i] = sum_j weights[i, j] source[b, j], rows of `length` floats (a multiple of LANES), flat arrays.

    `weights` has its columns filled up with zeros to a multiple of four, and `source` four rows more than used.
    """
    size = np.uint64(length)
    for k in range(blocks * n_to * length):
        target[np.uint64(k)] = _ZERO
    for b in range(blocks):
        for j in range(0, n_from, 4):
            for i in range(n_to):
                w0, w1, w2, w3 = weights[i, j], weights[i, j + 1], weights[i, j + 2], weights[i, j + 3]
                f0 = np.uint64(b * n_from + j) * size
                f1 = f0 + size
                f2 = f1 + size
                f3 = f2 + size
                to = np.uint64(b * n_to + i) * size
                for k in range(length):
                    x = np.uint64(k)
                    target[to + x] += (
                        w0 * source[f0 + x] + w1 * source[f1 + x] + w2 * source[f2 + x] + w3 * source[f3 + x]
                    )


@numba.njit(fastmath=True, error_model="numpy")
def _node_lines(w, cycles_per_m, shape, inner, length, wz, wy, scratch_a, scratch_b, lines):
    """Node sums and reference phase, interpolated along axes 0 and 1: (n_lines, length) in `lines`."""
    n0, n1 = shape[0], shape[1]
    kc = _F(cycles_per_m)
    for zy in range(n0 * n1):
        at = np.uint64(zy * length)
        m = np.uint64(zy * inner)
        for j in range(inner):
            x = np.uint64(j)
            scratch_a[at + x] = w[np.uint64(ROW_RE) * _N + m + x]
            scratch_a[at + np.uint64(inner) + x] = w[np.uint64(ROW_IM) * _N + m + x]
            scratch_a[at + np.uint64(2 * inner) + x] = kc * w[np.uint64(ROW_REF) * _N + m + x]
    _expand(scratch_a, scratch_b, wz, n0, len(wz), 1, n1 * length)
    _expand(scratch_b, lines, wy, n1, len(wy), len(wz), length)


@numba.njit(error_model="numpy")
def _transposed(weights, n):
    """The transpose of the first n columns, with columns of zeros up to a multiple of four."""
    out = np.zeros((n, (len(weights) + 3) // 4 * 4), dtype=np.float32)
    for i in range(len(weights)):
        for j in range(n):
            out[j, i] = weights[i, j]
    return out


@numba.njit(error_model="numpy")
def _start_cluster(w, nodes, groups, c, tx, rx, centre):
    x, y, z = centre
    clear(w, groups, ROW_REF, 3)
    reference(w, nodes, groups, x - tx[c, 0], y - tx[c, 1], z - tx[c, 2])
    reference(w, nodes, groups, x - rx[c, 0], y - rx[c, 1], z - rx[c, 2])


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def project(packed, centres, tile, channels, clusters, nodes):
    """Add all clusters to the tiles.

    Parameters
    ----------
    packed : (n_tiles, 2 n_voxels) float32
        Tiles; added to.
    centres : (n_tiles, 3) float64
        Tile centres [m].
    tile : (wz, wy, basis, shape)
        Interpolation weights, float32: (T0, n0) and (T1, n1), filled up with zero columns to a multiple of four, and
        (T2 / LANES, n2, LANES) flat; node counts (n0, n1, n2) int64.
    channels : (tx, rx, weight, table, scale, fit)
        Of all poses, leading axis pose; see `kernels_bpa.add_pose`.
    clusters : (start, tx, rx)
        First pose of each cluster and the end, (n + 1,) int64; mean transmitter and receiver (n, 3) float64 [m].
    nodes : flat float32
        See `kernels_bpa.add_pose`.
    """
    wz, wy, basis, shape = tile
    tx, rx, scale = channels[0], channels[1], channels[4]
    start, ref_tx, ref_rx = clusters
    n_lines = len(wz) * len(wy)
    inner = shape[2]
    width = len(basis) // inner
    length = (3 * inner + LANES - 1) // LANES * LANES
    n_legs = tx.shape[1] + rx.shape[1]
    groups = (shape[0] * shape[1] * inner + LANES - 1) // LANES
    for i in numba.prange(len(centres)):
        w = aligned((ROW_LEGS + 3 * n_legs) * STRIDE)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        a = aligned((shape[0] * shape[1] + 4 * shape[1]) * length)
        b = aligned((len(wz) * shape[1] + 4) * length)
        lines = aligned(n_lines * length)
        centre = (centres[i, 0], centres[i, 1], centres[i, 2])
        for c in range(len(start) - 1):
            _start_cluster(w, nodes, groups, c, ref_tx, ref_rx, centre)
            for p in range(start[c], start[c + 1]):
                add_pose(w, nodes, groups, p, channels, centre, coefs, lengths)
            _node_lines(w, scale[0], shape, inner, length, wz, wy, a, b, lines)
            if inner == 5:
                _add5(lines, n_lines, basis, width, packed[i])
            else:
                _add8(lines, n_lines, basis, width, packed[i])


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def spread(packed, centres, tile, channels, clusters, nodes):
    """The transpose of `project`: tiles are added to the tables. Same arguments; parallel over clusters."""
    wz, wy, basis, shape = tile
    tx, rx, scale = channels[0], channels[1], channels[4]
    start, ref_tx, ref_rx = clusters
    n_lines = len(wz) * len(wy)
    inner = shape[2]
    width = len(basis) // inner
    length = (3 * inner + LANES - 1) // LANES * LANES
    n_legs = tx.shape[1] + rx.shape[1]
    n_rows = shape[0] * shape[1]
    groups = (n_rows * inner + LANES - 1) // LANES
    wzt, wyt = _transposed(wz, shape[0]), _transposed(wy, shape[1])
    for c in numba.prange(len(start) - 1):
        w = aligned((ROW_LEGS + 3 * n_legs) * STRIDE)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        a = aligned((n_rows + 4 * shape[1]) * length)
        b = aligned((len(wz) * shape[1] + 4) * length)
        lines = aligned(n_lines * length)
        values = aligned(2 * (n_lines + 4) * width)
        half = aligned(2 * (len(wz) + 4) * shape[1] * width)
        rows = aligned(2 * n_rows * width)
        for i in range(len(centres)):
            centre = (centres[i, 0], centres[i, 1], centres[i, 2])
            _start_cluster(w, nodes, groups, c, ref_tx, ref_rx, centre)
            _node_lines(w, scale[0], shape, inner, length, wz, wy, a, b, lines)
            if inner == 5:
                _take5(lines, n_lines, basis, width, packed[i], values)
            else:
                _take8(lines, n_lines, basis, width, packed[i], values)
            _expand(values, half, wyt, len(wy), shape[1], len(wz), 2 * width)
            _expand(half, rows, wzt, len(wz), shape[0], 1, 2 * shape[1] * width)
            _gather_nodes(w, rows, basis, n_rows, inner, width)
            for p in range(start[c], start[c + 1]):
                spread_pose(w, nodes, groups, p, channels, centre, coefs, lengths)


@numba.njit(fastmath=True, error_model="numpy")
def _gather_nodes(w, rows, basis, n_rows, inner, width):
    """Node values from rows along axis 2: the transpose of the inner interpolation."""
    groups = width // LANES
    for k in range(n_rows):
        for j in range(inner):
            re = im = _ZERO
            for g in range(groups):
                row = np.uint64(k * groups + g) * _PAIR
                column = np.uint64(g * inner + j) * _L
                for i in range(LANES):
                    x = np.uint64(i)
                    re += rows[row + x] * basis[column + x]
                    im += rows[row + _L + x] * basis[column + x]
            w[np.uint64(ROW_RE * STRIDE + k * inner + j)] = re
            w[np.uint64(ROW_IM * STRIDE + k * inner + j)] = im


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def project_direct(packed, centres, channels, nodes):
    """Add all poses to the tiles, every voxel a node: no interpolation but that of the range profile."""
    tx, rx = channels[0], channels[1]
    n_legs = tx.shape[1] + rx.shape[1]
    groups = packed.shape[1] // (2 * LANES)
    for i in numba.prange(len(centres)):
        w = aligned((ROW_LEGS + 3 * n_legs) * STRIDE)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        centre = (centres[i, 0], centres[i, 1], centres[i, 2])
        for p in range(len(tx)):
            add_pose(w, nodes, groups, p, channels, centre, coefs, lengths)
        for g in range(groups):
            for m in range(LANES):
                packed[i, 2 * g * LANES + m] += w[ROW_RE * STRIDE + g * LANES + m]
                packed[i, (2 * g + 1) * LANES + m] += w[ROW_IM * STRIDE + g * LANES + m]


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def spread_direct(packed, centres, channels, nodes):
    """The transpose of `project_direct`: tiles are added to the tables; parallel over poses."""
    tx, rx = channels[0], channels[1]
    n_legs = tx.shape[1] + rx.shape[1]
    groups = packed.shape[1] // (2 * LANES)
    for p in numba.prange(len(tx)):
        w = aligned((ROW_LEGS + 3 * n_legs) * STRIDE)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        for i in range(len(centres)):
            centre = (centres[i, 0], centres[i, 1], centres[i, 2])
            for g in range(groups):
                for m in range(LANES):
                    w[ROW_RE * STRIDE + g * LANES + m] = packed[i, 2 * g * LANES + m]
                    w[ROW_IM * STRIDE + g * LANES + m] = packed[i, (2 * g + 1) * LANES + m]
            spread_pose(w, nodes, groups, p, channels, centre, coefs, lengths)
