"""How much of what some poses saw is told by the scene of the others.

Poses that may be moved, and a scene that may be anything, explain noise and make spots of a plate; whatever is so made
up to suit some poses does not help to tell what others see. So poses are split in two halves at random, a scene is
solved for from either (`jointstep`), and its echo is compared with the samples of the other, phases of the poses and
one gain free.
"""

import numpy as np

from mmsar.focus.jointstep import ERROR_DB, solve_scene
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import match


def explained(field: PoseField, move: np.ndarray) -> float:
    """Share of the energy of the samples of poses displaced by `move` (n_pose, 3) [m] that others tell, 0 of a
    single pose; the same halves every time."""
    field = field.coarser(ERROR_DB)
    shuffled = np.random.default_rng(0).permutation(field.n_poses)
    halves = [np.sort(half) for half in np.array_split(shuffled, 2)]
    told = measured = 0.0
    for some, others in (halves, halves[::-1]):
        if not (len(some) and len(others)):
            continue
        scene = solve_scene(field.part(some), move[some])
        rest = field.part(others)
        fit = match(rest, rest.waves(scene), move[others])
        told += fit.told
        measured += float(fit.measured.sum())
    return told / max(measured, 1e-30)
