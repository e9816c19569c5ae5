"""Inner loops of back-projection: the sum over the channels of one pose at a set of nodes around a tile's centre.

A node at r0 + delta is dR = |r0 + delta - p| - |r0 - p| = q / (R + R0) further from an element p than the tile's centre
r0, with q = 2 (r0 - p).delta + |delta|^2 and R = sqrt(R0^2 + q): exact, and well conditioned in float32. The carrier at
the centre wavenumber kc factorises over transmitter and receiver,

    sum_tx exp(-j kc R_tx) sum_rx exp(-j kc R_rx) P(R_tx + R_rx),

so square roots, sines and cosines are spent per element (`leg`), not per pair. P, the range profile with the carrier
removed, is smooth over a tile: a polynomial per channel and tile, made from `TAPS` neighbouring range bins.

All vectors live in one flat float32 scratch array, in rows of `STRIDE`: loops over it vectorise because LLVM sees one
base pointer, unsigned indices and a constant trip count of `LANES`.
"""

import numba
import numpy as np

NODES = 256
"""The most nodes a tile may have."""
STRIDE = NODES + 16
"""Length of a scratch row: not a divisor of 4 KiB, or loads would wait for stores to other rows."""
LANES = 16
"""Inner loops run over this many floats: one AVX-512 or two AVX2 registers."""
TAPS = 7
"""Range bins that make one polynomial."""
COEFS = 7
"""Coefficients of the polynomial (degree 6)."""
ROW_REF, ROW_RE, ROW_IM, ROW_ACC_RE, ROW_ACC_IM, ROW_LEGS = 0, 1, 2, 3, 4, 5
"""Scratch rows: reference path [m], node sums, sums of one transmitter; then three rows per leg."""

_N = np.uint64(STRIDE)
_L = np.uint64(LANES)
_F = np.float32
# sin(pi x) and cos(pi x) on |x| <= 1/2, minimax (Lawson): errors 6e-7 and 7e-6
_S0, _S1, _S2, _S3 = _F(3.141582022), _F(-5.167142796), _F(2.541899027), _F(-0.554636197)
_C0, _C1, _C2, _C3 = _F(0.999993295), _F(-4.933938015), _F(4.041283825), _F(-1.222127060)
_ZERO, _ONE, _TWO = _F(0), _F(1), _F(2)
_U = tuple(np.uint64(i) for i in range(49))


@numba.njit(inline="always", fastmath=True)
def cis(cycles):
    """(cos, sin) of 2 pi `cycles`, float32, error below 2e-5."""
    x = cycles - np.rint(cycles)
    x2 = x * x
    s = x * (_S0 + x2 * (_S1 + x2 * (_S2 + x2 * _S3)))
    c = _C0 + x2 * (_C1 + x2 * (_C2 + x2 * _C3))
    return _ONE - _TWO * s * s, _TWO * s * c


@numba.njit(fastmath=True, error_model="numpy")
def reference(w, nodes, groups, dx, dy, dz):
    """Add the path to every node, relative to the tile's centre, to the reference row [m]; d = centre - element."""
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    ax, ay, az = _F(2 * dx), _F(2 * dy), _F(2 * dz)
    r0, r2 = _F(length), _F(length * length)
    for g in range(groups):
        first = np.uint64(g) * _L
        for i in range(LANES):
            m = first + np.uint64(i)
            q = ax * nodes[m] + ay * nodes[_N + m] + az * nodes[_N + _N + m] + nodes[_N + _N + _N + m]
            w[m] += q / (np.sqrt(max(r2 + q, _ZERO)) + r0)


@numba.njit(fastmath=True, error_model="numpy")
def leg(w, nodes, groups, row, dx, dy, dz, cycles_per_m, per_m):
    """Path and carrier of one element at every node; returns the path to the tile's centre [m]; d = centre - element.

    Writes three rows from `row` on: path relative to the centre (times `per_m`), and cos and sin of the carrier phase
    kc (R - half the reference row).
    """
    length = np.sqrt(dx * dx + dy * dy + dz * dz)
    cycles = length * cycles_per_m
    turn = _F(cycles - np.rint(cycles))
    ax, ay, az = _F(2 * dx), _F(2 * dy), _F(2 * dz)
    r0, r2, kc, scale = _F(length), _F(length * length), _F(cycles_per_m), _F(per_m)
    half = _F(0.5)
    d_row = np.uint64(row) * _N
    c_row = d_row + _N
    s_row = c_row + _N
    for g in range(groups):
        first = np.uint64(g) * _L
        for i in range(LANES):
            m = first + np.uint64(i)
            q = ax * nodes[m] + ay * nodes[_N + m] + az * nodes[_N + _N + m] + nodes[_N + _N + _N + m]
            d = q / (np.sqrt(max(r2 + q, _ZERO)) + r0)
            c, s = cis(turn + kc * (d - half * w[m]))
            w[d_row + m] = d * scale
            w[c_row + m] = c
            w[s_row + m] = s
    return length


@numba.njit(fastmath=True, error_model="numpy")
def profile(table, at, fit, weight, coefs):
    """Polynomial of the range profile: coefs[d] = weight sum_j fit[j, d] bin[j], complex, the first bin at table[at].

    `table` is flat with real and imaginary parts in turn, `at` unsigned; `fit` is (TAPS, 8) flat; `coefs` gets 8 real
    then 8 imaginary coefficients (the last of each unused).
    """
    r0, i0 = weight * table[at], weight * table[at + _U[1]]
    r1, i1 = weight * table[at + _U[2]], weight * table[at + _U[3]]
    r2, i2 = weight * table[at + _U[4]], weight * table[at + _U[5]]
    r3, i3 = weight * table[at + _U[6]], weight * table[at + _U[7]]
    r4, i4 = weight * table[at + _U[8]], weight * table[at + _U[9]]
    r5, i5 = weight * table[at + _U[10]], weight * table[at + _U[11]]
    r6, i6 = weight * table[at + _U[12]], weight * table[at + _U[13]]
    for i in range(8):
        d = np.uint64(i)
        f0, f1, f2, f3 = fit[d], fit[d + _U[8]], fit[d + _U[16]], fit[d + _U[24]]
        f4, f5, f6 = fit[d + _U[32]], fit[d + _U[40]], fit[d + _U[48]]
        coefs[d] = (r0 * f0 + r1 * f1) + (r2 * f2 + r3 * f3) + (r4 * f4 + r5 * f5) + r6 * f6
        coefs[d + _U[8]] = (i0 * f0 + i1 * f1) + (i2 * f2 + i3 * f3) + (i4 * f4 + i5 * f5) + i6 * f6


@numba.njit(fastmath=True, error_model="numpy")
def add_pair(w, groups, tx_row, rx_row, offset, coefs):
    """Add P(R_tx + R_rx) times the receiver's carrier to the transmitter's sums."""
    a0, a1, a2, a3, a4, a5, a6 = coefs[0], coefs[1], coefs[2], coefs[3], coefs[4], coefs[5], coefs[6]
    b0, b1, b2, b3, b4, b5, b6 = coefs[8], coefs[9], coefs[10], coefs[11], coefs[12], coefs[13], coefs[14]
    t_row = np.uint64(tx_row) * _N
    d_row = np.uint64(rx_row) * _N
    c_row = d_row + _N
    s_row = c_row + _N
    re_row = np.uint64(ROW_ACC_RE) * _N
    im_row = np.uint64(ROW_ACC_IM) * _N
    for g in range(groups):
        first = np.uint64(g) * _L
        for i in range(LANES):
            m = first + np.uint64(i)
            v = offset + w[t_row + m] + w[d_row + m]
            re = a0 + v * (a1 + v * (a2 + v * (a3 + v * (a4 + v * (a5 + v * a6)))))
            im = b0 + v * (b1 + v * (b2 + v * (b3 + v * (b4 + v * (b5 + v * b6)))))
            c = w[c_row + m]
            s = w[s_row + m]
            w[re_row + m] += re * c + im * s
            w[im_row + m] += im * c - re * s


def _make_turn(source: int, target: int, sign: int):
    from_re, to_re = np.uint64(source * STRIDE), np.uint64(target * STRIDE)
    sg = _F(sign)

    @numba.njit(fastmath=True, error_model="numpy")
    def turn(w, groups, row):
        """target += source times the leg's exp(-j phase) (sign 1) or exp(+j phase) (sign -1)."""
        c_row = np.uint64(row + 1) * _N
        s_row = c_row + _N
        for i in range(groups * LANES):
            m = np.uint64(i)
            re = w[from_re + m]
            im = w[from_re + _N + m]
            c = w[c_row + m]
            s = sg * w[s_row + m]
            w[to_re + m] += re * c + im * s
            w[to_re + _N + m] += im * c - re * s

    return turn


_turn_out = _make_turn(ROW_ACC_RE, ROW_RE, 1)
_turn_in = _make_turn(ROW_RE, ROW_ACC_RE, -1)


@numba.njit(error_model="numpy")
def clear(w, groups, row, count):
    """Zero `count` rows from `row` on."""
    for r in range(row, row + count):
        first = np.uint64(r) * _N
        for i in range(groups * LANES):
            w[first + np.uint64(i)] = _ZERO


@numba.njit(fastmath=True, error_model="numpy")
def legs_of_pose(w, nodes, groups, p, tx, rx, centre, scale, lengths):
    """Rows of all elements of pose `p`; arguments as in `add_pose`."""
    n = tx.shape[1]
    x, y, z = centre
    for i in range(n):
        lengths[i] = leg(
            w, nodes, groups, ROW_LEGS + 3 * i, x - tx[p, i, 0], y - tx[p, i, 1], z - tx[p, i, 2], scale[0], scale[1]
        )
    for j in range(rx.shape[1]):
        i = n + j
        lengths[i] = leg(
            w, nodes, groups, ROW_LEGS + 3 * i, x - rx[p, j, 0], y - rx[p, j, 1], z - rx[p, j, 2], scale[0], scale[1]
        )


@numba.njit(fastmath=True, error_model="numpy")
def add_pose(w, nodes, groups, p, channels, centre, coefs, lengths):
    """Add all channels of pose `p` to the node sums (rows ROW_RE, ROW_IM).

    Parameters
    ----------
    w : flat float32
        Scratch, (ROW_LEGS + 3 n_legs) rows of `STRIDE`.
    nodes : flat float32
        Rows x, y, z [m] from the tile's centre and their squared length.
    groups : int
        Nodes in use, in units of `LANES`.
    p : int
        Pose.
    channels : (tx, rx, weight, table, scale, fit)
        tx (n_pose, n_tx, 3) and rx (n_pose, n_rx or n_tx n_rx, 3) float64 [m], the latter with one row per pair where
        receivers moved between transmit slots; weight (n_pose, n_tx, n_rx) float32, channels of weight 0 are
        skipped; table: range profiles without the carrier, (n_pose, n_tx, n_rx, n_bins) complex as flat float32; scale
        (5,) float64: kc / 2 pi [1/m], polynomial variable per path [1/m], path of the first bin [m], bins per metre,
        floats of one profile; fit: see `profile`.
    centre : three floats
        The tile's centre [m].
    coefs, lengths : float32 (16,), float64 (n_legs,)
        Scratch.
    """
    tx, rx, weight, table, scale, fit = channels
    _, n_tx, n_rx = weight.shape
    moving = rx.shape[1] != n_rx
    legs_of_pose(w, nodes, groups, p, tx, rx, centre, scale, lengths)
    for t in range(n_tx):
        clear(w, groups, ROW_ACC_RE, 2)
        for r in range(n_rx):
            if weight[p, t, r] == _ZERO:
                continue
            j = n_tx + (t * n_rx + r if moving else r)
            bins = (lengths[t] + lengths[j] - scale[2]) * scale[3]
            nearest = np.rint(bins)
            at = np.uint64(((p * n_tx + t) * n_rx + r) * np.int64(scale[4]) + 2 * (np.int64(nearest) - TAPS // 2))
            profile(table, at, fit, weight[p, t, r], coefs)
            offset = _F((bins - nearest) / scale[3] * scale[1])
            add_pair(w, groups, ROW_LEGS + 3 * t, ROW_LEGS + 3 * j, offset, coefs)
        _turn_out(w, groups, ROW_LEGS + 3 * t)


@numba.njit(fastmath=True, error_model="numpy")
def moments(w, size, tx_row, rx_row, offset, out):
    """out[d] = sum over nodes of v^d conj(receiver's carrier) sums: the transpose of `add_pair`."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = _ZERO
    b0 = b1 = b2 = b3 = b4 = b5 = b6 = _ZERO
    t_row = np.uint64(tx_row) * _N
    d_row = np.uint64(rx_row) * _N
    c_row = d_row + _N
    s_row = c_row + _N
    re_row = np.uint64(ROW_ACC_RE) * _N
    im_row = np.uint64(ROW_ACC_IM) * _N
    for i in range(size):
        m = np.uint64(i)
        v = offset + w[t_row + m] + w[d_row + m]
        c = w[c_row + m]
        s = w[s_row + m]
        re = w[re_row + m] * c - w[im_row + m] * s
        im = w[im_row + m] * c + w[re_row + m] * s
        v2 = v * v
        a0 += re
        b0 += im
        a1 += re * v
        b1 += im * v
        re *= v2
        im *= v2
        a2 += re
        b2 += im
        a3 += re * v
        b3 += im * v
        re *= v2
        im *= v2
        a4 += re
        b4 += im
        a5 += re * v
        b5 += im * v
        a6 += re * v2
        b6 += im * v2
    out[0], out[1], out[2], out[3], out[4], out[5], out[6] = a0, a1, a2, a3, a4, a5, a6
    out[8], out[9], out[10], out[11], out[12], out[13], out[14] = b0, b1, b2, b3, b4, b5, b6


@numba.njit(fastmath=True, error_model="numpy")
def spread_pose(w, nodes, groups, p, channels, centre, coefs, lengths):
    """The transpose of `add_pose`: node values (ROW_RE, ROW_IM) are added to the table. Same arguments."""
    tx, rx, weight, table, scale, fit = channels
    _, n_tx, n_rx = weight.shape
    moving = rx.shape[1] != n_rx
    legs_of_pose(w, nodes, groups, p, tx, rx, centre, scale, lengths)
    for t in range(n_tx):
        clear(w, groups, ROW_ACC_RE, 2)
        _turn_in(w, groups, ROW_LEGS + 3 * t)
        for r in range(n_rx):
            if weight[p, t, r] == _ZERO:
                continue
            j = n_tx + (t * n_rx + r if moving else r)
            bins = (lengths[t] + lengths[j] - scale[2]) * scale[3]
            nearest = np.rint(bins)
            at = np.uint64(((p * n_tx + t) * n_rx + r) * np.int64(scale[4]) + 2 * (np.int64(nearest) - TAPS // 2))
            offset = _F((bins - nearest) / scale[3] * scale[1])
            moments(w, groups * LANES, ROW_LEGS + 3 * t, ROW_LEGS + 3 * j, offset, coefs)
            for i in range(TAPS):
                re = im = _ZERO
                for d in range(COEFS):
                    f = fit[np.uint64(8 * i + d)]
                    re += f * coefs[np.uint64(d)]
                    im += f * coefs[np.uint64(d + 8)]
                table[at] += weight[p, t, r] * re
                table[at + _U[1]] += weight[p, t, r] * im
                at += _U[2]


@numba.njit(error_model="numpy")
def aligned(n):
    """n zeros, float32, on a 64-byte boundary: no vector straddles two cache lines."""
    raw = np.zeros(n + LANES, dtype=np.float32)
    first = -(raw.ctypes.data // 4) % LANES
    return raw[first : first + n]
