r"""Whole half wavelengths of depths by delays, and what recorded places then say of where scene and poses are.

Phases tell the depth of a pose to half a wavelength h. A wrong number of them does no harm to the image by itself, but
hides what recorded places say: that errors do not go with the place in the aperture. So scene and poses may have agreed
on a turn, another distance or another scale, by depths that grow with the place, or with its square. Delays tell the
number: pose p, its phase free, is explained by a scene at its depth and at half a wavelength before and behind by

    J(n) = |<e(z + n h), s>| / (|e| |s|),      lag = h (J(1) - J(-1)) / (2 (2 J(0) - J(1) - J(-1)))

which is noisy for a pose (bright ones are told best), and sure for many. Where errors are smooth along the path, every
run of poses (`continuity`) moves by whole half wavelengths to its lag. Where they are independent, phases may have
settled on a turn that delays do not share: then lags are whole half wavelengths beside a slope q. It is the one with
which they agree most,

    q(x, y) = a x + b y + c,    max_abc  Re sum_p w_p exp(2 pi j (lag_p - q_p) / h)

all poses take it, and each the whole half wavelengths that are left. What depths and lags have in common as a
polynomial of x and y is then taken away as far as it exceeds what they have in common by chance. The weights w of poses
grow with their energy E as E / (E + mean E), as beside noise there is an error of each, no smaller for bright ones.

Steps of scene and poses together follow (`jointstep`), and all of it is done several times, and more often where poses
took a slope in one of the last rounds. The prior pulls by what is left to explain: with a share r of the samples left,
n of them to a pose, a spread sigma of displacements found so far,

    pull re the mean information of a pose = 3 r / (n (2 k sigma)^2)

as information is (2 k)^2 times the energy in depth, and little along x and y; `HOLD` times as much to the recorded
place, since what is left is no white noise.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mmsar.focus.continuity import beyond_chance, followed, legendre
from mmsar.focus.jointstep import THOROUGH, joint_scene_step, solve_scene
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import Prior, match, neighbours

ROUNDS, STEPS = 10, 3
"""Rounds, and steps of scene and poses of each."""
SETTLED, MOST = 5, 25
"""Rounds without a slope after which these are enough, and how many there are at most."""
DEGREE, SLOPE = 3, 1
"""Of the polynomial, and at the end, when no steps follow."""
BLOCKS = 25
"""Parts of the path whose means tell what errors have in common by chance."""
SPARE = 10
"""Poses that there must be for a coefficient of the polynomial."""
STEEPEST, FINEST = 3.0, 0.25
"""Slopes that are tried at most and their steps: by half wavelengths over the longer side of the aperture."""
FURTHEST = 3.0
"""A lag is at most so many half wavelengths."""
LEAST = 1e-6
"""Curvature 2 J(0) - J(1) - J(-1) below which there is no lag: no samples."""
NOISE = 1.0
"""Spread of lags beside a polynomial, in half wavelengths, above which they tell nothing: too little bandwidth."""
HOLD = 10.0
"""Pull to the recorded place, re what white noise would ask for."""
NARROWEST = 1e-5
"""Least spread of displacements [m]."""


def refined(field: PoseField, move: np.ndarray, prior: Prior, done: Callable[[int], None]) -> np.ndarray:
    """Displacements (n_pose, 3) [m] near `move` with the whole half wavelengths that delays tell, and without what they
    have in common; `done` is told how many of `ROUNDS` are over."""
    scene, over, turned = solve_scene(field, move), 0, 0
    while over < ROUNDS or over < min(turned + SETTLED, MOST):
        over += 1
        move, slope = unwrapped(field, scene, move)
        turned = over if slope else turned
        move = np.clip(move, -prior.reach, prior.reach)
        scene = solve_scene(field, move)
        pull = _told(field, scene, move, prior)
        for _ in range(STEPS):
            scene, move = joint_scene_step(field, scene, move, pull, inner=THOROUGH)
        done(min(over, ROUNDS))
    return np.clip(unwrapped(field, scene, move, most=SLOPE)[0], -prior.reach, prior.reach)


def lags(field: PoseField, scene: np.ndarray, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much deeper every pose is by its delays than where it is moved [m], (n,), and the energy of its samples."""
    half, waves, told = np.pi / field.wavenumber, field.waves(scene), []
    for by in (-half, 0.0, half):
        fit = match(field, waves, move + np.array([0.0, 0.0, by]))
        told.append(np.abs(fit.product) / np.maximum(np.sqrt(fit.own * fit.measured), 1e-30))
    bend = 2 * told[1] - told[0] - told[2]
    lag = np.where(bend > LEAST, (told[2] - told[0]) / (2 * np.maximum(bend, LEAST)), 0.0)
    return half * np.clip(lag, -FURTHEST, FURTHEST), fit.measured.astype(float)


def unwrapped(field: PoseField, scene: np.ndarray, move: np.ndarray, *, most: int = DEGREE) -> tuple[np.ndarray, bool]:
    """Displacements (n_pose, 3) [m] by whole half wavelengths to their lags, as they are where delays tell nothing.

    Where errors are independent, by the slope on which lags agree, too, and without a polynomial of degree `most`;
    where they are smooth, `continuity` did that. And whether there was a slope.
    """
    half, path = np.pi / field.wavenumber, followed(field, move)
    lag, energy = lags(field, scene, move)
    weight = energy / np.maximum(energy + energy.mean(), 1e-30)
    beside = lag - _common(field, lag, weight, most)
    if not weight @ beside**2 < (NOISE * half) ** 2 * weight.sum():
        return move.copy(), False
    out, slope = move.copy(), np.zeros(len(move))
    if path is None:
        seen, slope = move[:, 2] + lag, agreed(field.place[:, :2], lag, weight, half)
        out[:, 2] += slope + half * np.round((lag - slope) / half)
        out[:, 2] -= not_by_chance(seen, _common(field, seen, weight, most), weight)
        out[:, :2] -= _common(field, move[:, :2], weight, most)
    else:
        more = lag + move[:, 2] - path.depth
        more = np.bincount(path.run, energy * more) / np.maximum(np.bincount(path.run, energy), 1e-30)
        out[:, 2] = path.depth + half * np.round(more / half)[path.run]
        out -= _common(field, out, energy, 0)
    return out, bool(np.ptp(slope) > 0)


def agreed(place: np.ndarray, lag: np.ndarray, weight: np.ndarray, half: float) -> np.ndarray:
    """The slope over places (n, 2) beside which lags (n,) are nearest to whole half wavelengths [m], (n,)."""
    tried = np.arange(-STEEPEST, STEEPEST + FINEST, FINEST) * half / max(float(np.ptp(place, axis=0).max()), 1e-9)
    place = place - place.mean(axis=0)
    x, y = (np.exp(-2j * np.pi / half * np.outer(tried, axis)) for axis in place.T)
    agree = x @ ((weight * np.exp(2j * np.pi * lag / half))[:, None] * y.T)
    a, b = np.unravel_index(np.abs(agree).argmax(), agree.shape)
    return place @ np.array([tried[a], tried[b]]) + half / (2 * np.pi) * np.angle(agree[a, b])


def not_by_chance(values: np.ndarray, common: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What values (n,) along a path have in common, less what values as smooth as they have by chance; with the mean.

    By chance, means of `BLOCKS` parts of the path differ as much as their number makes the mean of all uncertain.
    """
    share = weight / max(float(weight.sum()), 1e-30)
    mean = float(share @ common)
    size, rest = float(share @ (common - mean) ** 2), values - common
    parts = np.arange(len(values)) * min(BLOCKS, len(values)) // len(values)
    chance = float(np.sum(np.bincount(parts, share * rest) ** 2))
    return mean + beyond_chance(size, chance) * (common - mean)


def _common(field: PoseField, values: np.ndarray, weight: np.ndarray, degree: int) -> np.ndarray:
    """The polynomial of x and y that is nearest to values (n,) or (n, m)."""
    while degree and (degree + 1) * (degree + 2) / 2 * SPARE > len(values):
        degree -= 1
    pairs = [(a, b) for a in range(degree + 1) for b in range(degree + 1 - a)]
    terms, root = legendre(field.place[:, :2], pairs).T, np.sqrt(weight)
    return terms @ np.linalg.lstsq(root[:, None] * terms, (root * values.T).T, rcond=None)[0]


def _told(field: PoseField, scene: np.ndarray, move: np.ndarray, prior: Prior) -> Prior:
    """The prior with pulls by what a scene leaves to explain; none to neighbours if that had none."""
    fit = match(field, field.waves(scene), move)
    energy = fit.measured / max(float(fit.measured.sum()), 1e-30)
    share = 3 * (1 - fit.share) / (field.samples[:, 0].size * (2 * field.wavenumber) ** 2)
    apart = move[:, 2] - neighbours(move, prior.width)[:, 2]
    spread, rough = (max(float(energy @ depth**2), NARROWEST**2) for depth in (move[:, 2], apart))
    return replace(prior, smooth=share / rough if prior.smooth > 0 else 0.0, hold=HOLD * share / spread)
