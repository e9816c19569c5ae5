"""A start for `autofocus` where recorded positions are too wrong to see anything: an aperture that grows.

The innermost dozen poses make a small aperture, which focuses whatever their errors are (up to a shift of the image).
Then the ring around it joins: its poses are placed by the echo of the image so far, each from its recorded place and
from where its neighbours in time turned out to be, whichever explains its samples better. All poses so far take a few
steps together, the image sharpens, the next ring joins. Every time the aperture has doubled, the threshold on the
scene falls for some iterations, so that errors do not pile up outwards.
"""

from collections.abc import Callable

import numpy as np

from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import Prior, joint_step, match, neighbours, pose_step, soft_threshold

FIRST = 12
"""Poses of the first aperture."""
SETTLE = 22
"""Iterations of the first aperture."""
GROWTH = 1.2
"""By how much the number of poses grows at a time."""
TOGETHER = 2
"""Iterations of all poses after each growth, and steps of each that joins."""
THRESHOLD = 0.15
"""Of the scene, re the peak of the image."""
POLISH_FROM, POLISH_EVERY, POLISH = 200, 2.0, 10
"""Poses from which on, by which growth, and for how many iterations the threshold falls."""
POLISHED = (0.12, 0.03)
"""From where it falls to where."""


def outward(place: np.ndarray) -> np.ndarray:
    """Order of poses (n_pose, 3) from the middle of the aperture outwards, (n_pose,) of int."""
    return np.argsort(np.hypot(*(place[:, :2] - place[:, :2].mean(axis=0)).T), kind="stable")


def sizes(n_poses: int) -> list[int]:
    """Poses of the aperture, stage by stage."""
    out = [min(FIRST, n_poses)]
    while out[-1] < n_poses:
        out.append(min(n_poses, max(int(out[-1] * GROWTH), out[-1] + 4)))
    return out


def grow(field: PoseField, prior: Prior, done: Callable[[int], None]) -> np.ndarray:
    """Displacements (n_pose, 3) [m] of the poses of a field in the order `outward`; `done` is told how many of the
    stages (`sizes`) are over."""
    move = np.zeros((field.n_poses, 3))
    stages = sizes(field.n_poses)
    polished = 0

    def together(n: int, threshold: float) -> None:
        poses = slice(0, n)
        move[poses] = joint_step(field, field.image(move, poses), move, threshold, poses, prior)

    for stage, n in enumerate(stages):
        for _ in range(TOGETHER if stage else SETTLE):
            together(n, THRESHOLD)
        if n == field.n_poses:
            done(stage + 1)
            break
        if n >= max(POLISH_FROM, POLISH_EVERY * polished):
            polished = n
            for i in range(POLISH):
                together(n, POLISHED[0] * (POLISHED[1] / POLISHED[0]) ** (i / POLISH))
        _join(field, move, slice(n, stages[stage + 1]), prior)
        done(stage + 1)
    return move


def _join(field: PoseField, move: np.ndarray, ring: slice, prior: Prior) -> None:
    """Place the poses of a ring by the image of those within it."""
    inner = slice(0, ring.start)
    waves = field.waves(soft_threshold(field.image(move, inner), THRESHOLD))
    mean = neighbours(move[inner], field.order, prior.width, total=ring.stop)[ring]
    best = None
    for start in (np.zeros_like(mean), mean):
        move[ring] = start
        for _ in range(TOGETHER):
            move[ring] = pose_step(field, waves, move, mean, ring, prior)
        explained = match(field, waves, move, ring).explained
        if best is None:
            best, most = move[ring].copy(), explained
        else:
            best[explained > most] = move[ring][explained > most]
    move[ring] = best
