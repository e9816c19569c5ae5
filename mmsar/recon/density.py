"""Density compensation: irregular samples weighted by the area of aperture each stands for.

The adjoint sum over irregular positions counts crowded places more. The local density is estimated by depositing the
phase centres on a grid of their own spacing, smoothing with a Gaussian two cells wide, and reading it back at each
sample; the same smoothing of the area that the samples cover tells how much of the Gaussian lies inside the aperture,
so that the rim does not look thinly sampled. Weights are area over count, limited, with mean 1 over valid channels.
"""

import numpy as np

from mmsar.model.scan import Geometry

LIMIT = 4.0
"""Largest weight relative to the median: a lonely sample at the rim does not dominate."""


def spacing(geometry: Geometry) -> float:
    """Typical distance of neighbouring samples: the root of aperture area per sample, at least lambda / 8 [m]."""
    points = geometry.virtual_position.reshape(-1, 3)[geometry.weight.ravel() != 0, :2]
    size = np.ptp(points, axis=0)
    floor = geometry.chirp.wavelength / 8
    if np.min(size) < floor:
        return max(float(np.max(size)) / max(len(points) - 1, 1), floor)
    return max(float(np.sqrt(np.prod(size) / len(points))), floor)


def density_weights(geometry: Geometry) -> np.ndarray:
    """Weights of every channel, (n_pose, n_tx, n_rx), mean 1 over valid channels and 0 on the others.

    Parameters
    ----------
    geometry : Geometry
        Positions; channels of weight 0 do not count.
    """
    from scipy.ndimage import binary_closing, gaussian_filter, map_coordinates

    used = geometry.weight.ravel() != 0
    points = geometry.virtual_position.reshape(-1, 3)[used, :2]
    width = 2.0 * spacing(geometry)
    cell = width / 2
    low = points.min(axis=0) - 4 * width
    shape = np.ceil((np.ptp(points, axis=0) + 8 * width) / cell).astype(int) + 1
    place = (points - low) / cell
    index = np.floor(place).astype(int)
    fraction = place - index
    count = np.zeros(shape)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - fraction[:, 0]) * np.abs(1 - dy - fraction[:, 1])
            np.add.at(count, (index[:, 0] + dx, index[:, 1] + dy), share)
    covered = np.zeros(shape)
    np.add.at(covered, tuple(np.rint(place).astype(int).T), 1.0)
    covered = binary_closing(covered > 0, np.ones((3, 3)), iterations=2).astype(float)
    inside, local = (map_coordinates(gaussian_filter(of, width / cell), place.T, order=1) for of in (covered, count))
    weight = inside / np.maximum(local, 1e-12)
    weight = np.minimum(weight, LIMIT * np.median(weight))
    out = np.zeros(geometry.n_channels)
    out[used] = weight / weight.mean()
    return out.reshape(geometry.weight.shape)
