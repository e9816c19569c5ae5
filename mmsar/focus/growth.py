"""A start for `autofocus` where recorded positions are too wrong to see anything: an aperture that grows.

The innermost dozen poses make a small aperture, which focuses whatever their errors are (up to a shift of the image).
Scene and poses of it are found together (`jointstep`): the scene that explains the samples, by least squares, tells
what the poses next to the aperture must see, since a scene of limited size makes a field that cannot change over half
a wavelength. So the ring around joins: its poses are placed by the echo of the scene so far, each from its recorded
place and from where its neighbours in time turned out to be, whichever explains its samples better. Scene and poses
take a step together, the next ring joins. What rings share and phases leave open (turns, smooth errors in depth) is
taken away each time the aperture has grown by a factor: by recorded places where errors are smooth along the path
(`continuity`), otherwise by delays (`screen`), and again at the end.
"""

from collections.abc import Callable

import numpy as np

from mmsar.focus.continuity import without_common
from mmsar.focus.jointstep import ERROR_DB, THOROUGH, joint_scene_step, solve_scene
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import Prior, match, neighbours, pose_step
from mmsar.focus.screen import without_screen

FIRST = 12
"""Poses of the first aperture."""
SETTLE = 12
"""Steps of the first aperture."""
LEAST = 4
"""Poses that join at a time, at least; otherwise those within half a wavelength of the aperture."""
TOGETHER = 3
"""Steps of poses that join, before they count."""
FROM, SCREENS_FROM, EVERY = 40, 200, 1.4
"""Poses from which on what depths have in common is taken away, and screens, and by which growth."""
LAST, LAST_SCREENS, LAST_EVERY = 15, 9, 3
"""Steps at the end, and up to which of them, one in how many begins with that taken away again."""


def outward(place: np.ndarray) -> np.ndarray:
    """Order of poses (n_pose, 3) from the middle of the aperture outwards, (n_pose,) of int."""
    return np.argsort(_radius(place), kind="stable")


def sizes(place: np.ndarray, thickness: float) -> list[int]:
    """Poses of the aperture stage by stage, of places (n_pose, 3) in the order `outward` and rings so thick [m]."""
    radius = _radius(place)
    out = [min(FIRST, len(radius))]
    while out[-1] < len(radius):
        reached = int(np.searchsorted(radius, radius[out[-1] - 1] + thickness))
        out.append(min(len(radius), max(reached, out[-1] + LEAST)))
    return out


def grow(field: PoseField, prior: Prior, done: Callable[[int], None]) -> np.ndarray:
    """Displacements (n_pose, 3) [m] of the poses of a field in the order `outward`; `done` is told how many of the
    poses are placed."""
    field = field.coarser(ERROR_DB)
    move = np.zeros((field.n_poses, 3))
    all_sizes = sizes(field.place, np.pi / field.wavenumber)
    poses = slice(0, all_sizes[0])
    scene = solve_scene(field, move, poses)
    rectified = FROM / EVERY
    for stage, n in enumerate(all_sizes):
        poses = slice(0, n)
        for _ in range(1 if stage else SETTLE):
            scene, move[poses] = joint_scene_step(field, scene, move, poses, prior)
        done(n)
        if n == field.n_poses:
            break
        if n >= EVERY * rectified:
            rectified = n
            if _rectify(field, scene, move, poses):
                scene = solve_scene(field, move, poses)
                scene, move[poses] = joint_scene_step(field, scene, move, poses, prior)
        _join(field, scene, move, slice(n, all_sizes[stage + 1]), prior)
    for step in range(LAST):
        if step < LAST_SCREENS and step % LAST_EVERY == 0 and _rectify(field, scene, move, poses):
            scene = solve_scene(field, move, poses)
        scene, move = joint_scene_step(field, scene, move, poses, prior, inner=THOROUGH)
    return move


def _rectify(field: PoseField, scene: np.ndarray, move: np.ndarray, poses: slice) -> bool:
    """Take away what phases leave open, as far as it is told; whether anything was."""
    common = without_common(field, move, poses)
    if common is not None:
        move[poses], size = common
        return size > 0
    told = poses.stop >= SCREENS_FROM
    if told:
        move[poses] = without_screen(field, scene, move, poses)
    return told


def _join(field: PoseField, scene: np.ndarray, move: np.ndarray, ring: slice, prior: Prior) -> None:
    """Place the poses of a ring by the scene of those within it."""
    waves, n = field.waves(scene), ring.stop - ring.start
    mean = neighbours(move[: ring.start], field.order, prior.width, total=ring.stop)[ring]
    both = field.part(np.tile(np.arange(ring.start, ring.stop), 2))  # from either start at once
    tried, means = np.concatenate([np.zeros_like(mean), mean]), np.tile(mean, (2, 1))
    for _ in range(TOGETHER):
        tried = pose_step(both, waves, tried, means, slice(0, 2 * n), prior)
    recorded, followed_on = match(both, waves, tried).explained.reshape(2, n)
    move[ring] = np.where((followed_on > recorded)[:, None], tried[n:], tried[:n])


def _radius(place: np.ndarray) -> np.ndarray:
    return np.hypot(*(place[:, :2] - place[:, :2].mean(axis=0)).T)
