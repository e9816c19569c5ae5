"""Sums of Gaussian blobs on a grid, each within a window around its centre."""

import math

import numpy as np
from numba import njit, prange


@njit(parallel=True, nogil=True, cache=True, error_model="numpy")
def add_blobs(centre, weight, width, reach, out):
    """Add weight exp(-d^2), d^2 = sum over axes of ((voxel - centre) / width)^2, to a volume.

    Parameters
    ----------
    centre : float64 (n, 3)
        Centres z, y, x in voxels, sorted by z.
    weight : float64 (n,)
        Heights.
    width : float64 (3,)
        Widths z, y, x in voxels; infinite along an axis that does not count.
    reach : float64 (3,)
        Half the window z, y, x in voxels.
    out : float32 (n_z, n_y, n_x)
        Added to.
    """
    n_z, n_y, n_x = out.shape
    for k in prange(n_z):
        line = np.empty(n_x, np.float32)
        first = np.searchsorted(centre[:, 0], k - reach[0])
        last = np.searchsorted(centre[:, 0], k + reach[0], side="right")
        for i in range(first, last):
            low, high = _window(centre[i, 2], reach[2], n_x)
            bottom, top = _window(centre[i, 1], reach[1], n_y)
            if low >= high or bottom >= top:
                continue
            for n in range(low, high):
                line[n] = math.exp(-(((n - centre[i, 2]) / width[2]) ** 2))
            plane = weight[i] * math.exp(-(((k - centre[i, 0]) / width[0]) ** 2))
            for m in range(bottom, top):
                height = np.float32(plane * math.exp(-(((m - centre[i, 1]) / width[1]) ** 2)))
                for n in range(low, high):
                    out[k, m, n] += height * line[n]


@njit(error_model="numpy")
def _window(centre, reach, n):
    """First and one past the last voxel within `reach` of a centre, within the grid."""
    low = math.ceil(min(max(centre - reach, 0.0), float(n)))
    return low, math.floor(max(min(centre + reach, n - 1.0), -1.0)) + 1
