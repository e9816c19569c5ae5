"""How densely phase centres lie along an axis of an aperture, and which directions look alike because of it."""

from dataclasses import dataclass

import numpy as np

MAX_QUERIES = 400
FIRST_NEIGHBOURS = 32
MAX_NEIGHBOURS = 2048
MAX_DISTANCES = 1_000_000
"""Distances held at a time."""
SAME_PLACE = 1 / 50
"""Phase centres closer than this many wavelengths count as one."""

TOLERANCE = 1.02
"""Pitches up to this many times lambda/4 count as lambda/4."""


@dataclass(frozen=True, kw_only=True)
class AxisSampling:
    """Sampling along one axis of the aperture; lengths in m, angles in rad, None where there is only one position."""

    extent: float
    """Size of the aperture: spread of the phase centres."""
    pitch: float | None
    """Median distance to the next phase centre along the axis."""
    widest: float | None
    """95th percentile of that distance: the typical size of the gaps."""
    fold_angle: float | None
    """Direction from which echoes fold back; None when the pitch is fine enough."""
    ghost_angle: float | None
    """Direction of the ghosts of a target straight ahead; None when there are none in front."""
    resolution: float | None
    """lambda z / 2D, not below lambda/4."""


def axis_sampling(points: np.ndarray, axis: int, wavelength: float, z: float) -> AxisSampling:
    """Sampling of phase centres (n, 3) [m] along one axis; `z` is the distance the resolution is given for [m]."""
    extent = float(np.ptp(points[:, axis]))
    same = wavelength * SAME_PLACE
    steps = pitch_along(points, axis, same=same) if extent > same else None
    pitch, widest = steps if steps is not None else (None, None)
    fold = ghost = None
    if pitch is not None and pitch > TOLERANCE * wavelength / 4:
        fold = float(np.arcsin(min(1.0, wavelength / (4 * pitch))))
        ghost = float(np.arcsin(wavelength / (2 * pitch))) if wavelength <= 2 * pitch else None
    return AxisSampling(
        extent=extent,
        pitch=pitch,
        widest=widest,
        fold_angle=fold,
        ghost_angle=ghost,
        resolution=max(wavelength / 4, wavelength * z / (2 * extent)) if extent > same else None,
    )


def pitch_along(points: np.ndarray, axis: int, *, same: float) -> tuple[float, float] | None:
    """Median and 95th percentile of the distance to the next point along an axis.

    The next point of a point is the nearest one in front of it within 45 degrees of the axis, so that rows with
    jitter, arrays moved in steps and irregular clouds are all measured alike; the last points have none.

    Parameters
    ----------
    points : ndarray
        Positions [m], (n, 3); only x and y count.
    axis : int
        0 for x, 1 for y.
    same : float
        Points closer than this are one point [m].

    Returns
    -------
    (median, 95th percentile) [m], or None when no point has another in front of it.
    """
    plane = different_places(np.asarray(points)[:, :2], same)
    if len(plane) < 2:
        return None
    which = np.unique(np.linspace(0, len(plane) - 1, min(len(plane), MAX_QUERIES)).astype(int))
    steps = next_along(plane, which, axis, same=same)
    steps = steps[np.isfinite(steps)]
    return (float(np.median(steps)), float(np.percentile(steps, 95))) if steps.size else None


def different_places(points: np.ndarray, same: float) -> np.ndarray:
    """The points (n, d) [m] without repetitions: one of those in a cell of `same` [m]."""
    return points[np.unique(np.round(points / same).astype(np.int64), axis=0, return_index=True)[1]]


def next_along(plane: np.ndarray, which: np.ndarray, axis: int, *, same: float) -> np.ndarray:
    """Distance of some points to their next point along an axis, as `pitch_along` means it.

    Parameters
    ----------
    plane : ndarray
        Positions [m], (n, 2).
    which : ndarray
        Indices of the points asked for, (m,).
    axis : int
        0 or 1.
    same : float
        Points closer than this are one point [m].

    Returns
    -------
    ndarray
        Distances [m], (m,); inf where none of the nearest `MAX_NEIGHBOURS` points is in front.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(plane)
    found = np.full(len(which), np.inf)
    waiting = np.arange(len(which))
    count = FIRST_NEIGHBOURS
    while waiting.size:
        k = min(count, len(plane))
        rows = max(1, MAX_DISTANCES // k)
        for first in range(0, len(waiting), rows):
            part = waiting[first : first + rows]
            start = plane[which[part]]
            _, index = tree.query(start, k=k)
            offset = plane[index.reshape(len(part), k)] - start[:, None]
            ahead, across = offset[..., axis], np.abs(offset[..., 1 - axis])
            distance = np.hypot(ahead, across)
            found[part] = np.where((across <= ahead) & (distance > same), distance, np.inf).min(axis=1)
        if k == len(plane) or count >= MAX_NEIGHBOURS:
            break
        waiting = waiting[~np.isfinite(found[waiting])]
        count *= 4
    return found


def lines(values: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Which of the different values each is, (n,), and those, rising, (m,); equal are neighbours within `tolerance`."""
    order = np.argsort(values, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(values[order]) > tolerance)])
    index = np.empty(len(values), dtype=np.int64)
    index[order] = group
    return index, np.bincount(group, weights=values[order]) / np.bincount(group)
