"""The hot loop of the forward model: sums over points of exp(+j k_n (R_tx + R_rx)) for every channel and frequency.

    s[c, n] = gain[c] sum_i A[c, i] exp(2 pi j (cycles_c,i + n step_c,i)),
    cycles = f0 / c R - rvp R^2,    step = df / c R,    R = |tx_c - p_i| + |rx_c - p_i|

Path lengths and phases are double precision. A channel takes the points in blocks: one loop per stage over the block,
so that each is vectorised (the sine and cosine are a polynomial for that reason); per point there are two complex
exponentials, that of the first frequency and that of the step, and then a complex recurrence over the frequencies in
double precision, whose error grows by about 1e-16 a step.
"""

import math

import numpy as np
from numba import njit, prange

from mmsar.core.phasor import FAST, sincos_cycles

BLOCK = 64


@njit(parallel=True, nogil=True, cache=True, error_model="numpy", fastmath=FAST)
def forward_channels(tx, rx, boresight, gain, points, normal, sigma, cycles, amplitude, exponent, out):
    """Write the beat samples of all channels into `out`.

    Parameters
    ----------
    tx, rx : float64 (n_channel, 3)
        Phase centres [m].
    boresight : float64 (n_channel, 3)
        Unit looking direction of the elements; used when `exponent` > 0.
    gain : float64 (n_channel,)
        Real factor of every channel; a channel with 0 is not computed and written as 0.
    points : float64 (3, n_point)
        Scatterers [m].
    normal : float64 (3, n_point) or (3, 0)
        Unit surface normals, zero for points that scatter to all sides; an empty array for none at all.
    sigma : float64 (2, n_point)
        Real and imaginary part of the reflectivity.
    cycles : (float, float, float)
        f0 / c, df / c [1/m] and the residual video phase coefficient slope / 2 c^2 [1/m^2].
    amplitude : bool
        Whether to apply 1 / (R_tx R_rx) [R in m].
    exponent : float
        Element field pattern cos^exponent, for both ways; 0 is isotropic.
    out : complex64 (n_channel, n_samples)
        Overwritten.
    """
    n_channel, n_samples = out.shape
    n_point = points.shape[1]
    first, step, rvp = cycles
    factors = amplitude or exponent > 0 or normal.shape[1] > 0
    for c in prange(n_channel):
        acc = np.zeros((2, n_samples))
        z, w = np.empty((2, BLOCK)), np.empty((2, BLOCK))
        r_tx, r_rx = np.empty(BLOCK), np.empty(BLOCK)
        for start in range(0, n_point if gain[c] != 0 else 0, BLOCK):
            m = min(BLOCK, n_point - start)
            for i in range(m):
                x, y, h = points[0, start + i], points[1, start + i], points[2, start + i]
                r_tx[i] = math.sqrt((x - tx[c, 0]) ** 2 + (y - tx[c, 1]) ** 2 + (h - tx[c, 2]) ** 2)
                r_rx[i] = math.sqrt((x - rx[c, 0]) ** 2 + (y - rx[c, 1]) ** 2 + (h - rx[c, 2]) ** 2)
            for i in range(m):
                r = r_tx[i] + r_rx[i]
                s, k = sincos_cycles(r * (first - rvp * r))
                re, im = sigma[0, start + i], sigma[1, start + i]
                z[0, i] = re * k - im * s
                z[1, i] = re * s + im * k
                w[1, i], w[0, i] = sincos_cycles(r * step)
            if factors:
                for i in range(m):
                    a = _factor(tx[c], rx[c], boresight[c], points, normal, start + i, amplitude, exponent)
                    z[0, i] *= a
                    z[1, i] *= a
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
def _factor(tx, rx, boresight, points, normal, i, amplitude, exponent):
    """Real amplitude of one path: spreading, element pattern both ways, Lambert's law at a surface with a normal."""
    a = 1.0
    for antenna in (tx, rx):
        x, y, z = points[0, i] - antenna[0], points[1, i] - antenna[1], points[2, i] - antenna[2]
        r = math.sqrt(x * x + y * y + z * z)
        if amplitude:
            a /= r
        if exponent > 0:
            cosine = (x * boresight[0] + y * boresight[1] + z * boresight[2]) / r
            a *= max(cosine, 0.0) ** exponent
        if normal.shape[1] > 0:
            nx, ny, nz = normal[0, i], normal[1, i], normal[2, i]
            if nx != 0 or ny != 0 or nz != 0:
                a *= math.sqrt(max(-(x * nx + y * ny + z * nz) / r, 0.0))
    return a
