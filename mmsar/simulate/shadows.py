"""Shadows: which points of a scene each antenna sees past the scene's own triangles, by groups of antenna places.

All places of transmitters and receivers are sorted into cubes so small that, seen from the nearest point of the scene,
no antenna is farther than the angle asked for from the viewpoint of its cube, the mean of the places in it. What a
viewpoint sees is then the same for all of them. A path counts when both its ends see the point.
"""

import math

import numpy as np

from mmsar.core.memory import budget, require
from mmsar.core.progress import progress
from mmsar.errors import GeometryError
from mmsar.simulate.scene import Scene

TOLERANCE = 1.0
"""Pixels (as wide as they are there) by which a point may lie behind a triangle it is on."""
_BATCH = 64


def viewpoints(place: np.ndarray, scene: Scene, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Groups of neighbouring places.

    Parameters
    ----------
    place : float64 array (n, 3)
        Where the antennas were [m].
    scene : Scene
        What they look at.
    angle : float
        Largest angle between a place and the viewpoint of its group, seen from the nearest scatterer [rad].

    Returns
    -------
    (float64 array (n_view, 3), int64 array (n,))
        The viewpoints [m], and which one belongs to each place.

    Raises
    ------
    GeometryError
        An antenna on a scatterer.
    """
    from scipy.spatial import cKDTree

    distinct, index = np.unique(place, axis=0, return_inverse=True)
    index = index.reshape(-1)
    near = float(cKDTree(scene.position).query(distinct)[0].min())
    if near == 0:
        raise GeometryError("simulate: got an antenna on a scene point, wanted distance; move the scene")
    cell = near * math.tan(min(angle, math.pi / 4)) / math.sqrt(3)
    key = np.floor((distinct - distinct.min(axis=0)) / cell)
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    mean = np.stack([np.bincount(group, weights=distinct[:, k]) for k in range(3)], axis=1) / count[:, None]
    return mean, group[index]


def sight(
    tx: np.ndarray, rx: np.ndarray, scene: Scene, angle: float, *, memory: int | None = None, show: bool | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Viewpoint of each channel's two antennas, and what every viewpoint sees.

    Parameters
    ----------
    tx, rx : float64 arrays (n_channel, 3)
        Phase centres [m].
    scene : Scene
        Points and triangles.
    angle : float
        See `viewpoints` [rad].
    memory : int, optional
        Budget [bytes].
    show : bool, optional
        Progress bar, as for `core.progress.progress`.

    Returns
    -------
    (int64 array (n_channel, 2), uint8 array (n_view, ceil(n_point / 8)))
        As `core.kernels_forward.forward_channels` takes them; empty (0, 2) and (0, 0) for a scene without triangles.

    Raises
    ------
    GeometryError
        An antenna on a scatterer.
    MmsarError
        More memory needed than the budget allows.
    """
    from mmsar.core.kernels_visibility import seen_points

    if scene.triangles is None:
        return np.empty((0, 2), dtype=np.int64), np.empty((0, 0), dtype=np.uint8)
    view, group = viewpoints(np.concatenate([tx, rx]), scene, angle)
    advice = "raise shadow_angle, thin the scene out, or switch shadows off"
    n_byte = (len(scene) + 7) // 8
    require("shadows", len(view) * n_byte, budget(memory), advice)
    seen = np.empty((len(view), n_byte), dtype=np.uint8)
    for start in progress(range(0, len(view), _BATCH), "shadows", show=show):
        part = slice(start, start + _BATCH)
        seen_points(view[part], scene.position, scene.triangles, TOLERANCE, seen[part])
    return np.ascontiguousarray(group.reshape(2, -1).T), seen
