"""Density compensation: irregular samples weighted by the area of aperture each stands for.

The adjoint sum over irregular positions counts crowded places more. The local density is estimated by depositing the
phase centres on a grid of their own spacing, smoothing with a Gaussian two cells wide, and reading it back at each
sample; the same smoothing of the area that the samples cover tells how much of the Gaussian lies inside the aperture,
so that the rim does not look thinly sampled. Weights are area over count, limited, with mean 1 over valid channels.

Round the y axis (`mmsar.signal.cylinder.round_of`) the area is that of the cylinder rolled out, angle times R0 by y,
without a seam where the circle is closed. Samples in turns there, each at one height, weigh what a trapezoid rule gives
them: the mean of the steps to the two neighbouring angles times that to the two neighbouring turns.
"""

import numpy as np

from mmsar.model.scan import Geometry
from mmsar.signal.cylinder import round_of, turns_of, unrolled
from mmsar.signal.pitch import lines

LIMIT = 4.0
"""Largest weight relative to the median: a lonely sample at the rim does not dominate."""


def spacing(geometry: Geometry) -> float:
    """Typical distance of neighbouring samples: the root of aperture area per sample, at least lambda / 8 [m]."""
    return _spacing(_aperture(geometry)[0], geometry.chirp.wavelength / 8)


def density_weights(geometry: Geometry) -> np.ndarray:
    """Weights of every channel, (n_pose, n_tx, n_rx), mean 1 over valid channels and 0 on the others.

    Parameters
    ----------
    geometry : Geometry
        Positions; channels of weight 0 do not count.
    """
    points, period = _aperture(geometry)
    weight = None
    if period is not None:
        weight = _by_turns(points, period, wavelength=geometry.chirp.wavelength)
    if weight is None:
        weight = _by_smoothing(points, 2.0 * _spacing(points, geometry.chirp.wavelength / 8), period or 0.0)
    weight = np.minimum(weight, LIMIT * np.median(weight))
    out = np.zeros(geometry.n_channels)
    out[geometry.weight.ravel() != 0] = weight / weight.mean()
    return out.reshape(geometry.weight.shape)


def _aperture(geometry: Geometry) -> tuple[np.ndarray, float | None]:
    """Places of the channels that count on the aperture (n, 2) [m], and after how many metres of the first coordinate
    it begins again: 0 where it does not, None for an aperture that is not round."""
    cylinder = round_of(geometry)
    place = geometry.virtual_position if cylinder is None else unrolled(cylinder)
    points = place.reshape(-1, 3)[geometry.weight.ravel() != 0, :2]
    if cylinder is None:
        return points, None
    return points, 2 * np.pi * cylinder.radius if cylinder.closed else 0.0


def _spacing(points: np.ndarray, floor: float) -> float:
    size = np.ptp(points, axis=0)
    if np.min(size) < floor:
        return max(float(np.max(size)) / max(len(points) - 1, 1), floor)
    return max(float(np.sqrt(np.prod(size) / len(points))), floor)


def _by_turns(points: np.ndarray, period: float, *, wavelength: float) -> np.ndarray | None:
    """Area of every sample (n,) when the samples lie in turns, else None."""
    turns = turns_of(points, wavelength)
    if turns is None:
        return None
    turn, heights = turns
    length = np.empty(len(points))
    order = np.argsort(turn, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(turn))[:-1]):
        place, angles = lines(points[members, 0], wavelength / 1000)
        length[members] = (_cells(angles, period) / np.bincount(place))[place]
    return length * _cells(heights, 0.0)[turn]


def _cells(places: np.ndarray, period: float) -> np.ndarray:
    """Mean of the steps to both neighbours of rising places (m,); at an end, where there is no period, the one step."""
    if len(places) < 2:
        return np.ones(1)
    steps = np.diff(places)
    ends = [places[0] + period - places[-1]] * 2 if period else steps[[0, -1]]
    steps = np.concatenate([ends[:1], steps, ends[1:]])
    return (steps[1:] + steps[:-1]) / 2


def _by_smoothing(points: np.ndarray, width: float, period: float) -> np.ndarray:
    """Area over count at every sample (n,), smoothed by a Gaussian of `width` [m]."""
    from scipy.ndimage import binary_closing, gaussian_filter, map_coordinates

    cell = width / 2
    around = points
    if period:
        low, high = points[:, 0].min() + 8 * width, points[:, 0].max() - 8 * width
        after, before = points[points[:, 0] < low] + [period, 0], points[points[:, 0] > high] - [period, 0]
        around = np.concatenate([points, after, before])
    low = around.min(axis=0) - 4 * width
    shape = np.ceil((np.ptp(around, axis=0) + 8 * width) / cell).astype(int) + 1
    place = (around - low) / cell
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
    read = place[: len(points)].T
    inside, local = (map_coordinates(gaussian_filter(of, width / cell), read, order=1) for of in (covered, count))
    return inside / np.maximum(local, 1e-12)
