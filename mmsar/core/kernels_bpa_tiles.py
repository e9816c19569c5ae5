"""Drivers of back-projection: tiles of voxels, clusters of poses, and their transposes.

Seen from a tile, a cluster of neighbouring poses sends almost one wave. With t, q the cluster's mean transmitter and
receiver and rho(r) = |r - t| + |r - q|,

    sum over the cluster's channels = exp(-j kc (rho(r) - rho(r0))) h(r),

where h (and rho) vary slowly: they are computed at a few Chebyshev nodes and interpolated along z, y and x. The nodes
cost work per channel, the voxels only per cluster. `*_direct` have no clusters and take the voxels as nodes.

A tile is one row of `packed`: real parts then imaginary parts, voxels in order (axis 0, axis 1, axis 2), axis 2 a
multiple of `LANES`.
"""

import numba
import numpy as np

from mmsar.core.kernels_bpa import (
    LANES,
    NODES,
    ROW_ACC_IM,
    ROW_ACC_RE,
    ROW_IM,
    ROW_LEGS,
    ROW_RE,
    ROW_REF,
    add_pose,
    cis,
    clear,
    reference,
    spread_pose,
)

INNER_NODES = (5, 8)
"""Node counts that exist along the inner axis (compiled in)."""

_L = np.uint64(LANES)
_N = np.uint64(NODES)
_F = np.float32
_ZERO = _F(0)


def row_length(inner: int) -> int:
    """Floats that hold re, im and phase at `inner` nodes, a multiple of 8."""
    return -(-3 * inner // 8) * 8


def _make_lines(inner: int):
    n, length = np.uint64(inner), np.uint64(row_length(inner))

    @numba.njit(fastmath=True, error_model="numpy")
    def add(lines, n_lines, basis, width, out):
        """out += h exp(-j 2 pi phase) on every line of the tile."""
        w, imag = np.uint64(width), np.uint64(n_lines * width)
        for g in range(width // LANES):
            column = np.uint64(g) * _L
            for k in range(n_lines):
                row = np.uint64(k) * length
                at = np.uint64(k) * w + column
                for i in range(LANES):
                    x = np.uint64(i)
                    re = im = phase = _ZERO
                    for jj in range(inner):
                        j = np.uint64(jj)
                        b = basis[j * w + column + x]
                        re += lines[row + j] * b
                        im += lines[row + n + j] * b
                        phase += lines[row + n + n + j] * b
                    c, s = cis(phase)
                    out[at + x] += re * c + im * s
                    out[imag + at + x] += im * c - re * s

    @numba.njit(fastmath=True, error_model="numpy")
    def take(lines, n_lines, basis, width, tile, out):
        """out = tile exp(+j 2 pi phase) on every line."""
        w, imag = np.uint64(width), np.uint64(n_lines * width)
        for g in range(width // LANES):
            column = np.uint64(g) * _L
            for k in range(n_lines):
                row = np.uint64(k) * length
                at = np.uint64(k) * w + column
                for i in range(LANES):
                    x = np.uint64(i)
                    phase = _ZERO
                    for jj in range(inner):
                        j = np.uint64(jj)
                        phase += lines[row + n + n + j] * basis[j * w + column + x]
                    c, s = cis(phase)
                    re = tile[at + x]
                    im = tile[imag + at + x]
                    out[at + x] = re * c - im * s
                    out[imag + at + x] = im * c + re * s

    return add, take


_add5, _take5 = _make_lines(INNER_NODES[0])
_add8, _take8 = _make_lines(INNER_NODES[1])


@numba.njit(fastmath=True, error_model="numpy")
def _expand(source, target, weights, n_from, n_to, blocks, length):
    """target[b, i] = sum_j weights[i, j] source[b, j], rows of `length` floats, flat arrays."""
    size = np.uint64(length)
    for k in range(blocks * n_to * length):
        target[np.uint64(k)] = _ZERO
    for b in range(blocks):
        for j in range(n_from):
            from_row = np.uint64(b * n_from + j) * size
            for i in range(n_to):
                weight = weights[i, j]
                to_row = np.uint64(b * n_to + i) * size
                for k in range(length):
                    target[to_row + np.uint64(k)] += weight * source[from_row + np.uint64(k)]


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
def _start_cluster(w, nodes, groups, tx, rx, centre):
    clear(w, groups, ROW_REF, 3)
    reference(w, nodes, groups, tx, centre)
    reference(w, nodes, groups, rx, centre)


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
        Interpolation weights (T0, n0), (T1, n1), flat (n2, T2), all float32; node counts (n0, n1, n2) int64.
    channels : (tx, rx, weight, table, scale, fit)
        Of all poses, leading axis pose; see `kernels_bpa.add_pose`.
    clusters : (start, tx, rx)
        First pose of each cluster and the end, (n + 1,) int64; mean transmitter and receiver (n, 3) float64 [m].
    nodes : flat float32
        See `kernels_bpa.add_pose`.
    """
    wz, wy, basis, shape = tile
    tx, rx, weight, table, scale, fit = channels
    start, ref_tx, ref_rx = clusters
    n_lines = len(wz) * len(wy)
    inner = shape[2]
    width = len(basis) // inner
    length = (3 * inner + 7) // 8 * 8
    n_legs = tx.shape[1] + rx.shape[1]
    groups = (shape[0] * shape[1] * inner + LANES - 1) // LANES
    for i in numba.prange(len(centres)):
        w = np.zeros((ROW_LEGS + 3 * n_legs) * NODES, dtype=np.float32)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        a = np.zeros(shape[0] * shape[1] * length, dtype=np.float32)
        b = np.zeros(len(wz) * shape[1] * length, dtype=np.float32)
        lines = np.zeros(n_lines * length, dtype=np.float32)
        for c in range(len(start) - 1):
            _start_cluster(w, nodes, groups, ref_tx[c], ref_rx[c], centres[i])
            for p in range(start[c], start[c + 1]):
                add_pose(
                    w, nodes, groups, tx[p], rx[p], weight[p], table[p], centres[i], scale, fit, coefs, lengths
                )
            _node_lines(w, scale[0], shape, inner, length, wz, wy, a, b, lines)
            if inner == 5:
                _add5(lines, n_lines, basis, width, packed[i])
            else:
                _add8(lines, n_lines, basis, width, packed[i])


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def spread(packed, centres, tile, channels, clusters, nodes):
    """The transpose of `project`: tiles are added to the tables. Same arguments; parallel over clusters."""
    wz, wy, basis, shape = tile
    tx, rx, weight, table, scale, fit = channels
    start, ref_tx, ref_rx = clusters
    n_lines = len(wz) * len(wy)
    inner = shape[2]
    width = len(basis) // inner
    length = (3 * inner + 7) // 8 * 8
    n_legs = tx.shape[1] + rx.shape[1]
    n_rows = shape[0] * shape[1]
    groups = (n_rows * inner + LANES - 1) // LANES
    wzt, wyt = np.ascontiguousarray(wz.T), np.ascontiguousarray(wy.T)
    for c in numba.prange(len(start) - 1):
        w = np.zeros((ROW_LEGS + 3 * n_legs) * NODES, dtype=np.float32)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        a = np.zeros(n_rows * length, dtype=np.float32)
        b = np.zeros(len(wz) * shape[1] * length, dtype=np.float32)
        lines = np.zeros(n_lines * length, dtype=np.float32)
        values = np.empty(2 * n_lines * width, dtype=np.float32)
        half = np.empty(2 * len(wz) * shape[1] * width, dtype=np.float32)
        rows = np.empty(2 * n_rows * width, dtype=np.float32)
        for i in range(len(centres)):
            _start_cluster(w, nodes, groups, ref_tx[c], ref_rx[c], centres[i])
            _node_lines(w, scale[0], shape, inner, length, wz, wy, a, b, lines)
            if inner == 5:
                _take5(lines, n_lines, basis, width, packed[i], values)
            else:
                _take8(lines, n_lines, basis, width, packed[i], values)
            _expand(values, half, wyt, len(wy), shape[1], 2 * len(wz), width)
            _expand(half, rows, wzt, len(wz), shape[0], 2, shape[1] * width)
            _gather_nodes(w, rows, basis, n_rows, inner, width)
            for p in range(start[c], start[c + 1]):
                spread_pose(
                    w, nodes, groups, tx[p], rx[p], weight[p], table[p], centres[i], scale, fit, coefs, lengths
                )


@numba.njit(fastmath=True, error_model="numpy")
def _gather_nodes(w, rows, basis, n_rows, inner, width):
    """Node values from rows along axis 2: the transpose of the inner interpolation."""
    for part in range(2):
        for k in range(n_rows):
            row = np.uint64((part * n_rows + k) * width)
            for j in range(inner):
                column = np.uint64(j * width)
                total = _ZERO
                for i in range(width):
                    total += rows[row + np.uint64(i)] * basis[column + np.uint64(i)]
                w[np.uint64((ROW_RE + part) * NODES + k * inner + j)] = total


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def project_direct(packed, centres, channels, nodes):
    """Add all poses to the tiles, every voxel a node: no interpolation but that of the range profile."""
    tx, rx, weight, table, scale, fit = channels
    n_legs = tx.shape[1] + rx.shape[1]
    size = packed.shape[1] // 2
    groups = size // LANES
    for i in numba.prange(len(centres)):
        w = np.zeros((ROW_LEGS + 3 * n_legs) * NODES, dtype=np.float32)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        for p in range(len(tx)):
            add_pose(w, nodes, groups, tx[p], rx[p], weight[p], table[p], centres[i], scale, fit, coefs, lengths)
        for m in range(size):
            packed[i, m] += w[ROW_RE * NODES + m]
            packed[i, size + m] += w[ROW_IM * NODES + m]


@numba.njit(parallel=True, cache=True, fastmath=True, error_model="numpy")
def spread_direct(packed, centres, channels, nodes):
    """The transpose of `project_direct`: tiles are added to the tables; parallel over poses."""
    tx, rx, weight, table, scale, fit = channels
    n_legs = tx.shape[1] + rx.shape[1]
    size = packed.shape[1] // 2
    groups = size // LANES
    for p in numba.prange(len(tx)):
        w = np.zeros((ROW_LEGS + 3 * n_legs) * NODES, dtype=np.float32)
        coefs, lengths = np.empty(16, dtype=np.float32), np.empty(n_legs)
        for i in range(len(centres)):
            for m in range(size):
                w[ROW_RE * NODES + m] = packed[i, m]
                w[ROW_IM * NODES + m] = packed[i, size + m]
            spread_pose(w, nodes, groups, tx[p], rx[p], weight[p], table[p], centres[i], scale, fit, coefs, lengths)
