"""The hot loop of the forward model: sums over points of exp(+j k_n (R_tx + R_rx)) for every channel and frequency.

    s[c, n] = gain[c] sum_i A[c, i] exp(2 pi j (cycles_c,i + n step_c,i)),
    cycles = f0 / c R - rvp R^2,    step = df / c R,    R = |tx_c - p_i| + |rx_c - p_i|

Path lengths and phases are double precision. A channel takes the points in blocks: one loop per stage over the block,
so that each is vectorised (the sine and cosine are a polynomial for that reason); per point there are two complex
exponentials, that of the first frequency and that of the step, and then a complex recurrence over the frequencies in
double precision, whose error grows by about 1e-16 a step. Where amplitudes differ, a block is filled with the points
that have one: what faces away or lies in a shadow costs next to nothing.
"""

import math

import numpy as np
from numba import njit, prange

from mmsar.core.phasor import FAST, sincos_cycles

BLOCK = 64


@njit(parallel=True, nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def forward_channels(tx, rx, board, gain, points, surface, sigma, cycles, amplitude, pattern, sight, out):
    """Write the beat samples of all channels into `out`.

    Parameters
    ----------
    tx, rx : float64 (n_channel, 3)
        Phase centres [m].
    board : float64 (n_channel, 3, 3)
        Rotation of the elements, board to world; used with a pattern.
    gain : float64 (n_channel,)
        Real factor of every channel; a channel with 0 is not computed and written as 0.
    points : float64 (3, n_point)
        Scatterers [m].
    surface : (normal float64 (3, n_point), lobe float64 (n_point,))
        Unit surface normals, zero for points that scatter to all sides, and the exponent of the specular lobe, 0 for
        Lambert's law; arrays of no points, (3, 0) and (0,), for no normals at all.
    sigma : float64 (2, n_point)
        Real and imaginary part of the reflectivity.
    cycles : (float, float, float)
        f0 / c, df / c [1/m] and the residual video phase coefficient slope / 2 c^2 [1/m^2].
    amplitude : bool
        Whether to apply 1 / (R_tx R_rx) [R in m].
    pattern : (exponent float, table float64 (n_theta, n_phi))
        Element field pattern for both ways: cos^exponent about the board's +z (0: isotropic), times a table over
        theta, 0 to pi with both ends, and phi, 0 to 2 pi without the end, linearly interpolated; (0, 0) for none.
    sight : (view int64 (n_channel, 2), seen uint8 (n_view, n_byte))
        Viewpoint of every channel's transmitter and receiver, and one bit a point, the lowest first, for what is seen
        from a viewpoint; an array (0, 0) for no shadows.
    out : complex64 (n_channel, n_samples)
        Overwritten.
    """
    n_channel, n_samples = out.shape
    n_point = points.shape[1]
    first, step, rvp = cycles
    normal, lobe = surface
    exponent, table = pattern
    view, seen = sight
    weighs = amplitude or exponent > 0 or table.shape[0] > 0 or normal.shape[1] > 0
    plain = not weighs and seen.shape[0] == 0
    for c in prange(n_channel):
        acc = np.zeros((2, n_samples))
        z, w = np.empty((2, BLOCK)), np.empty((2, BLOCK))
        path = np.empty(BLOCK)
        start = 0 if gain[c] != 0 else n_point
        while start < n_point:
            m = 0
            if plain:
                m = min(BLOCK, n_point - start)
                for i in range(m):
                    x, y, h = points[0, start + i], points[1, start + i], points[2, start + i]
                    r_tx = math.sqrt((x - tx[c, 0]) ** 2 + (y - tx[c, 1]) ** 2 + (h - tx[c, 2]) ** 2)
                    r_rx = math.sqrt((x - rx[c, 0]) ** 2 + (y - rx[c, 1]) ** 2 + (h - rx[c, 2]) ** 2)
                    path[i] = r_tx + r_rx
                    z[0, i], z[1, i] = sigma[0, start + i], sigma[1, start + i]
                start += m
            while not plain and m < BLOCK and start < n_point:
                i, start = start, start + 1
                if seen.shape[0] > 0:
                    if not (seen[view[c, 0], i >> 3] & seen[view[c, 1], i >> 3]) >> (i & 7) & 1:
                        continue
                a = 1.0
                if normal.shape[1] > 0:
                    a = _facing(tx[c], rx[c], points, normal, lobe, i)
                    if a == 0:
                        continue
                legs = 0.0
                for antenna in (tx[c], rx[c]):
                    x, y, h = points[0, i] - antenna[0], points[1, i] - antenna[1], points[2, i] - antenna[2]
                    r = math.sqrt(x * x + y * y + h * h)
                    legs += r
                    if amplitude:
                        a /= r
                    if exponent > 0 or table.shape[0] > 0:
                        a *= _element(board[c], x / r, y / r, h / r, exponent, table)
                if a == 0:
                    continue
                path[m] = legs
                z[0, m], z[1, m] = a * sigma[0, i], a * sigma[1, i]
                m += 1
            for i in range(m):
                s, k = sincos_cycles(path[i] * (first - rvp * path[i]))
                re, im = z[0, i], z[1, i]
                z[0, i] = re * k - im * s
                z[1, i] = re * s + im * k
                w[1, i], w[0, i] = sincos_cycles(path[i] * step)
            for n in range(n_samples):
                sum_re, sum_im = 0.0, 0.0
                for i in range(m):
                    re, im = z[0, i], z[1, i]
                    sum_re += re
                    sum_im += im
                    z[0, i] = re * w[0, i] - im * w[1, i]
                    z[1, i] = re * w[1, i] + im * w[0, i]
                acc[0, n] += sum_re
                acc[1, n] += sum_im
        for n in range(n_samples):
            out[c, n] = complex(np.float32(gain[c] * acc[0, n]), np.float32(gain[c] * acc[1, n]))


@njit(error_model="numpy")
def _facing(tx, rx, points, normal, lobe, i):
    """Amplitude of a surface by its normal: 0 unless it faces both antennas; Lambert, or the lobe of the bisector."""
    nx, ny, nz = normal[0, i], normal[1, i], normal[2, i]
    if nx == 0 and ny == 0 and nz == 0:
        return 1.0
    x, y, z = tx[0] - points[0, i], tx[1] - points[1, i], tx[2] - points[2, i]
    u, v, w = rx[0] - points[0, i], rx[1] - points[1, i], rx[2] - points[2, i]
    out, back = x * nx + y * ny + z * nz, u * nx + v * ny + w * nz
    if out <= 0 or back <= 0:
        return 0.0
    r_out, r_back = math.sqrt(x * x + y * y + z * z), math.sqrt(u * u + v * v + w * w)
    if lobe[i] == 0:
        return math.sqrt(out * back / (r_out * r_back))
    x, y, z = x / r_out + u / r_back, y / r_out + v / r_back, z / r_out + w / r_back
    cosine = (out / r_out + back / r_back) / math.sqrt(x * x + y * y + z * z)
    return cosine if lobe[i] == 1 else cosine ** lobe[i]


@njit(error_model="numpy")
def _element(board, x, y, z, exponent, table):
    """Field pattern of an element towards the unit vector x, y, z of the world."""
    cosine = x * board[0, 2] + y * board[1, 2] + z * board[2, 2]
    value = max(cosine, 0.0) ** exponent if exponent > 0 else 1.0
    if table.shape[0] == 0:
        return value
    along = x * board[0, 0] + y * board[1, 0] + z * board[2, 0]
    across = x * board[0, 1] + y * board[1, 1] + z * board[2, 1]
    return value * lookup(table, math.acos(min(max(cosine, -1.0), 1.0)), math.atan2(across, along))


@njit(error_model="numpy")
def lookup(table, theta, phi):
    """The table at theta in [0, pi] and any phi [rad], linear between its directions; see `forward_channels`."""
    n_theta, n_phi = table.shape
    row = theta / math.pi * (n_theta - 1)
    column = phi / (2 * math.pi) * n_phi
    top = min(int(row), n_theta - 2)
    left = math.floor(column)
    v, u = row - top, column - left
    j, k = int(left) % n_phi, (int(left) + 1) % n_phi
    upper = (1 - u) * table[top, j] + u * table[top, k]
    return (1 - v) * upper + v * ((1 - u) * table[top + 1, j] + u * table[top + 1, k])
