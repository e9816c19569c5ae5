"""Thinning random points out until no two are closer than a distance: evenly spread samples of a surface."""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def thin_out(points, normals, distance):
    """Keep points in the given order unless a kept one of the same side is nearer than `distance` (dart throwing).

    Parameters
    ----------
    points : float64 (n, 3)
        Candidates [m], in random order.
    normals : float64 (n, 3)
        Their unit normals; points of opposite sides of a thin wall do not exclude each other.
    distance : float
        Least distance of kept points [m].

    Returns
    -------
    bool (n,)
        Which are kept.
    """
    n = len(points)
    size = 2
    while size < 2 * n:
        size *= 2
    head, link = np.full(size, -1), np.full(n, -1)
    kept = np.zeros(n, np.bool_)
    for i in range(n):
        cell_x = math.floor(points[i, 0] / distance)
        cell_y = math.floor(points[i, 1] / distance)
        cell_z = math.floor(points[i, 2] / distance)
        free = True
        for step in range(27):
            bucket = _bucket(cell_x + step % 3 - 1, cell_y + step // 3 % 3 - 1, cell_z + step // 9 - 1, size)
            j = head[bucket]
            while j >= 0 and free:
                apart = (
                    (points[i, 0] - points[j, 0]) ** 2
                    + (points[i, 1] - points[j, 1]) ** 2
                    + (points[i, 2] - points[j, 2]) ** 2
                )
                side = normals[i, 0] * normals[j, 0] + normals[i, 1] * normals[j, 1] + normals[i, 2] * normals[j, 2]
                free = apart >= distance * distance or side <= 0
                j = link[j]
            if not free:
                break
        if free:
            bucket = _bucket(cell_x, cell_y, cell_z, size)
            link[i], head[bucket] = head[bucket], i
            kept[i] = True
    return kept


@njit(error_model="numpy")
def _bucket(x, y, z, size):
    """Place of a cell in a hash table of a power of two; cells that meet there only cost a comparison."""
    return ((x * 73856093) ^ (y * 19349663) ^ (z * 83492791)) & (size - 1)
