"""Where the elements of a data set's scans are: nominal tracks, and how true positions wander off them.

A position carries `channels` elements, so an error of a position is that of all of them.
"""

import numpy as np

from mmsar.enhance.dataset_recipe import Recipe
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.noise import smooth_error, white_error

KINDS = ("white", "rail", "hand", "mixed")
CLIP = 4.0
"""Errors end at this many RMS values."""
HAND_CYCLES = (10.0, 120.0)
"""Swings of a hand over a whole scan."""
RAIL_CYCLES = (0.5, 6.0)
"""Swings of a carriage along one row."""


def nominal(recipe: Recipe, track: int) -> np.ndarray:
    """Recorded positions of a track [m], (n_pose, 3), row after row, every second row backwards."""
    step = (recipe.pitch, recipe.channels * recipe.pitch)
    position = np.array(Trajectory.raster((recipe.rows, recipe.columns), step).position)
    if track == 0:
        return position
    rng = np.random.default_rng([recipe.seed, track])
    wander = smooth_error(len(position), np.ones(3), cycles=1.5 * recipe.rows, rng=rng)
    return position + np.clip(wander, -CLIP, CLIP) * np.asarray(recipe.motion)


def elements(recipe: Recipe, position: np.ndarray) -> np.ndarray:
    """Elements of positions (n_pose, 3) [m], (n_pose, channels, 3)."""
    offset = np.zeros((recipe.channels, 3))
    offset[:, 1] = (np.arange(recipe.channels) - (recipe.channels - 1) / 2) * recipe.pitch
    return position[:, None] + offset


def position_error(recipe: Recipe, kind: str, rms: float, rng: np.random.Generator) -> np.ndarray:
    """True less recorded position [m], (n_pose, 3): one of `KINDS`, with `rms` along every axis [m]."""
    n, unit = recipe.rows * recipe.columns, np.ones(3)
    if kind == "white":
        error = white_error(n, unit, rng=rng)
    elif kind == "hand":
        error = smooth_error(n, unit, cycles=float(rng.uniform(*HAND_CYCLES)), rng=rng)
    elif kind == "rail":
        cycles = float(rng.uniform(*RAIL_CYCLES))
        rows = [smooth_error(recipe.columns, unit, cycles=cycles, rng=rng) for _ in range(recipe.rows)]
        offset = np.repeat(rng.standard_normal((recipe.rows, 3)), recipe.columns, axis=0)
        error = (np.concatenate(rows) + offset) / np.sqrt(2)
    else:
        parts = [position_error(recipe, part, np.sqrt(0.5), rng) for part in ("hand", "white")]
        error = parts[0] + parts[1]
    return np.clip(error, -CLIP, CLIP) * rms


def reach(recipe: Recipe) -> float:
    """How far from the middle of the aperture an element can be along x or y [m]."""
    half = max(recipe.rows * recipe.channels, recipe.columns) / 2 * recipe.pitch
    return half + CLIP * (max(recipe.motion[:2]) * (recipe.tracks > 1) + recipe.position_error[1])
