r"""How many half wavelengths a pose is off, asked with its x and y free.

A pose that is off by n half wavelengths h has taken a place along x and y that makes up for some of it, and with these
kept its samples hardly tell. So every number is tried: with the scene as it is, pose p starts n h deeper, takes `TRIES`
Gauss-Newton steps of x, y and z, and is left with

    J_p(n) = min_d  |s_p exp(-j phi_p) - beta e_p(d)|^2 + pulls of the prior on d_x, d_y

the least on its way. Its lag is where the parabola through the least J and its neighbours is lowest.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import Match, Prior, longest, match, neighbours, sums

WITHIN, TRIES = 2, 2
"""Largest n, and steps of each."""
FURTHER = 1.5
"""A lag is at most so many half wavelengths from the best n."""
ALONE = 1e-6
"""Pull to where a pose is in depth, re the mean information of a pose: none, but for poses without samples."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What poses said."""

    half: float
    """h [m]."""
    start: np.ndarray
    """Displacements [m] from which they were asked, (n_pose, 3)."""
    tried: np.ndarray
    """Those of the least J for every n from -`WITHIN` to `WITHIN`, (2 WITHIN + 1, n_pose, 3)."""
    misfit: np.ndarray
    """J, (2 WITHIN + 1, n_pose)."""

    @property
    def lag(self) -> np.ndarray:
        """How much deeper every pose is [m], (n_pose,); 0 where nothing tells."""
        best, (before, here, after) = self._around
        bend = before + after - 2 * here
        beside = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1)), 0)
        return self.half * np.where(bend > 0, best - WITHIN + np.clip(beside, -FURTHER, FURTHER), 0)

    @property
    def bend(self) -> np.ndarray:
        """J(n - 1) + J(n + 1) - 2 J(n) about the best n, at least 0, (n_pose,): white noise of a variance v in every
        sample makes the variance of a lag v h^2 / bend."""
        _, (before, here, after) = self._around
        return np.maximum(before + after - 2 * here, 0)

    def at(self, number: np.ndarray) -> np.ndarray:
        """Displacements (n_pose, 3) [m] by a whole number of half wavelengths of every pose; beyond those tried, of the
        nearest and deeper."""
        near = np.clip(number, -WITHIN, WITHIN).astype(int)
        out = self.tried[near + WITHIN, np.arange(len(number))]
        out[:, 2] += self.half * (number - near)
        return out

    @property
    def _around(self) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        best = np.clip(self.misfit.argmin(axis=0), 1, 2 * WITHIN - 1)
        pose = np.arange(len(best))
        return best, tuple(self.misfit[best + by, pose] for by in (-1, 0, 1))


def asked(field: PoseField, scene: np.ndarray, move: np.ndarray, prior: Prior) -> Asked:
    """Ask poses displaced by `move` (n_pose, 3) [m] for their half wavelengths, by the echo of a scene."""
    half, waves = np.pi / field.wavenumber, field.waves(scene)
    told = sums(field, waves, move)
    gain = told.match.gain
    scale = gain**2 * np.trace(told.curvature.sum(axis=0)) / (3 * len(move))
    starts = [move + np.array([0.0, 0.0, n * half]) for n in range(-WITHIN, WITHIN + 1)]
    if not scale > 0:  # nothing to ask by
        return Asked(half, move, np.stack(starts), np.zeros((len(starts), len(move))))
    least = [_least(field, waves, start, prior, gain, scale) for start in starts]
    return Asked(half, move, *(np.stack(part) for part in zip(*least, strict=True)))


def _least(
    field: PoseField, waves: np.ndarray, move: np.ndarray, prior: Prior, gain: float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """The displacements (n_pose, 3) of the least J on the way from `move`, and that, (n_pose,)."""
    bind = scale * (prior.smooth + prior.hold)
    bound = np.diag([bind, bind, ALONE * scale])

    def left(fit: Match) -> np.ndarray:
        apart = (move - neighbours(move, prior.width))[:, :2]
        pulls = prior.hold * np.sum(move[:, :2] ** 2, axis=1) + prior.smooth * np.sum(apart**2, axis=1)
        return fit.left(gain) + scale * pulls

    best, least = move, np.full(len(move), np.inf)
    for step in range(TRIES + 1):
        told = sums(field, waves, move) if step < TRIES else None
        now = left(told.match if told else match(field, waves, move))
        best, least = np.where((now < least)[:, None], move, best), np.minimum(now, least)
        if told:
            slope, curvature = told.normal(gain)
            pull = scale * (prior.smooth * (move - neighbours(move, prior.width)) + prior.hold * move)
            pull[:, 2] = 0
            by = np.linalg.solve(curvature + bound, (slope - pull)[..., None])[..., 0]
            move = move + np.clip(by, -longest(field), longest(field))
    return best, least
