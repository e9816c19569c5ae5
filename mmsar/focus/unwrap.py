r"""Whole half wavelengths of depths by delays, and what recorded places then say of where scene and poses are.

Phases tell the depth of a pose to half a wavelength h. A wrong number of them does no harm to the image by itself, but
hides what recorded places say: that errors do not go with the place in the aperture. So scene and poses may have agreed
on a turn, another distance or another scale, by depths that grow with the place, or with its square. Delays tell the
number: how much deeper by them a pose p would be, its lag, is noisy for a pose (bright ones are told best), and sure
for many.

Where errors are smooth along the path, every run of poses (`continuity`) moves by whole half wavelengths to the mean of
its lags, by what the samples have in common with a scene at its depth and at half a wavelength before and behind,

    J(n) = |<e(z + n h), s>| / (|e| |s|),      lag = h (J(1) - J(-1)) / (2 (2 J(0) - J(1) - J(-1)))

Where they are independent, poses are asked with x and y free (`halves`), and phases may have settled on a turn that
delays do not share: then lags are whole half wavelengths beside a slope q, the one on which they agree most
(`common.agreed`, weights E / (E + mean E) of the energy E of poses); all poses take it, once it is plainly there. Each
takes the number n of half wavelengths that is likeliest by its lag and by where recorded places have it,

    min_n  (n h - lag + q)^2 / v + (z + n h)^2 / V,    z: its depth with the slope, less what depths have in common

with a variance v of lags by how far they agree, and not below white noise's, and V of depths. What depths, x and y
have in common as a polynomial of the place is then taken away as far as it exceeds what they have in common by chance.
A slope may hide behind half wavelengths all the same: scene and poses are turned, and where the slope has taken poses
too far from where they were recorded, they are half a wavelength nearer, a scene in several planes making up for the
delays. Means of neighbours show it (`common.straightened`); it is taken away, and the scene is solved for anew. Of
smooth errors the slope along runs is taken away at the end (`continuity.without_slope`): along one, no half wavelength
can hide it.

Steps of scene and poses together follow (`jointstep`), with a scene that is damped by what is left to explain; where
poses are taken each for itself, they are worth what is amiss with them (`weighing`). All of it is done several times,
and more often where poses took a slope in one of the last rounds; then for long. A scene and poses that agreed on
another phase of every direction, with x and y to suit, leave hardly more of the samples than the right ones: what
brings them there is the rest of it, and that damping is less for a scene that is compact. That is a long way of small
steps, so they go on in the direction of those before (`jointstep.far_scene_steps`). Then lags of poses are clear where
samples are, and poses are taken each for itself also where errors are smooth.

The prior pulls by what is left, too: with a share r of the samples left, n of them to a pose, a spread sigma of
displacements found so far,

    pull re the mean information of a pose = 3 r / (n (2 k sigma)^2)

as information is (2 k)^2 times the energy in depth, and little along x and y; `HOLD` times as much to the recorded
place, since what is left is no white noise. Where errors are independent it is more in the short rounds, at first most
of all: it parts scene and poses from what they agreed on otherwise. In long ones it is not: what it leaves unexplained
would make it firmer still, step by step.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from mmsar.focus.common import SURE, agreed, effective, middle, not_by_chance, polynomial, straightened
from mmsar.focus.continuity import Followed, followed, without_slope
from mmsar.focus.halves import Asked, asked
from mmsar.focus.jointstep import DAMPING, far_scene_steps, solve_scene
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import Prior, match, neighbours
from mmsar.focus.weighing import weighed

ERROR_DB = -40.0
"""Accuracy of the transforms: by what these leave, lags are lost first."""
ROUNDS, FEW, STEPS = 10, 3, 3
"""Rounds that find half wavelengths, those where errors are smooth, and steps of scene and poses of each."""
LONG = 40, 20, 20
"""Steps of each of the rounds after them: what scene and poses share is told by little, so they come there slowly."""
CLEAR, SEEN = 0.4, 0.9
"""How far lags must agree, and what of the samples be explained, for poses to be taken each for itself although errors
are smooth."""
PARTS = 10
"""Parts of all that progress is told by."""
SETTLED, MOST = 5, 25
"""Rounds without a slope after which these are enough, and how many there are at most."""
DEGREE, SLOPE = 3, 1
"""Of the polynomial that is taken away of independent errors, and at the end, when no steps follow."""
FURTHEST = 3.0
"""A lag of a run's pose is at most so many half wavelengths."""
LEAST = 1e-6
"""Curvature 2 J(0) - J(1) - J(-1) below which it has none: no samples."""
NOISE = 1.0
"""Spread of lags, in half wavelengths, above which they tell nothing: too little bandwidth."""
ABOVE, GROWN = 0.03, 1.5
"""How much more lags must agree on a slope than without it, and how many times as far as when a slope was last taken
they must agree without one; poses must be `SURE`."""
AGREE = 0.05, 0.98
"""Lags are taken to agree no less and no more."""
DIM = 1e-3
"""What a pose tells of its lag is taken to be no less, re twice the mean."""
CLOSEST = 0.25
"""Least spread of depths, in half wavelengths."""
HOLD = 10.0
"""Pull to the recorded place, re what white noise would ask for."""
FIRM, FIRST, LOOSER, TIGHTEST = 100.0, 1000.0, 0.6, 0.01
"""The same where errors are independent, in the first round, and by which factor it falls; at most so much re the mean
information of a pose."""
FINEST = 1e-3
"""Least damping of the scene."""
NARROWEST = 1e-5
"""Least spread of displacements [m]."""


def refined(field: PoseField, move: np.ndarray, prior: Prior, done: Callable[[int], None]) -> np.ndarray:
    """Displacements (n_pose, 3) [m] near `move` with the whole half wavelengths that delays tell, and without what they
    have in common; `done` is told how many of `PARTS` are over."""
    every, path = field.coarser(ERROR_DB), followed(field, move)
    smooth = path is not None
    scene, rounds = solve_scene(every, move), Rounds(FEW if smooth else ROUNDS)
    for steps in rounds.steps():
        if not smooth and (straight := turned_back(every, move)) is not None:
            move, scene = straight, solve_scene(every, straight)
        field, damping = looked(every, scene, move, path)
        move = unwrapped(field, scene, move, prior, rounds, path, most=0 if smooth else DEGREE)
        if path is not None or rounds.over in (1, rounds.turned, rounds.clear + 1):
            scene = solve_scene(field, move, damping=damping)
        firm = 0.0 if smooth else rounds.firm

        def pull(scene: np.ndarray, move: np.ndarray, field=field, firm=firm) -> Prior:
            return told(field, scene, move, prior, firm=firm)

        scene, move = far_scene_steps(field, scene, move, pull, steps=steps, damping=damping)
        done(rounds.parts)
        if smooth and not rounds.clear and rounds.over > rounds.few and clear(every, scene, move):
            rounds.clear = rounds.over
        path = followed(every, move) if not rounds.clear else None
    field, _ = looked(every, scene, move, path)
    move = unwrapped(field, scene, move, prior, rounds, path, most=0 if smooth else SLOPE)
    straight = without_slope(every, move) if smooth else turned_back(every, move)
    return move if straight is None else np.clip(straight, -prior.reach, prior.reach)


def turned_back(field: PoseField, move: np.ndarray) -> np.ndarray | None:
    """Displacements (n_pose, 3) [m] of independent errors without a slope that half wavelengths hide, None if none."""
    half = np.pi / field.wavenumber
    depth = straightened(field.place[:, :2], move[:, 2], heard(field.energy), half)
    return None if depth is None else np.concatenate([move[:, :2], depth[:, None]], axis=1)


def looked(field: PoseField, scene: np.ndarray, move: np.ndarray, path: Followed | None) -> tuple[PoseField, float]:
    """How a round looks at poses, by what they are worth where no `path` is followed, and the damping of its scene:
    what is left to explain."""
    if path is None:
        field = weighed(field, scene, move)
    return field, max(FINEST, min(1 - match(field, field.waves(scene), move).share, DAMPING))


class Rounds:
    """Rounds done, and what they found."""

    def __init__(self, few: int = ROUNDS) -> None:
        self.few = few
        """How many find half wavelengths, with few steps each."""
        self.over = 0
        """How many there were."""
        self.turned = 0
        """The last in which poses took a slope."""
        self.flat = 0.0
        """How far lags agreed then without it."""
        self.clear = 0
        """The one after which lags of poses were clear although errors are smooth."""

    def steps(self) -> Iterator[int]:
        """Steps of scene and poses of one round after the other."""
        while self.over < self.few:
            self.over += 1
            yield STEPS
        for steps in LONG:
            self.over += 1
            yield steps

    @property
    def parts(self) -> int:
        """How many of `PARTS` of all the steps are done."""
        late = max(0, self.over - self.few)
        return PARTS * (STEPS * (self.over - late) + sum(LONG[:late])) // (STEPS * self.few + sum(LONG))

    @property
    def firm(self) -> float:
        """Pull to the recorded place of independent errors, re what white noise would ask for; none in long rounds."""
        return 0.0 if self.over > self.few else max(FIRM, FIRST * LOOSER ** (self.over - 1))

    def takes(self, agree: float, flat: float, poses: float) -> bool:
        """Whether so many poses take the slope on which their lags agree so far, and without it so far."""
        plain = agree > flat + ABOVE and agree**2 * poses > SURE and flat > GROWN * self.flat
        if plain:
            self.turned, self.flat = self.over, flat
            if self.over <= self.few:
                self.few = max(self.few, min(self.over + SETTLED, MOST))
        return plain


def clear(field: PoseField, scene: np.ndarray, move: np.ndarray) -> bool:
    """Whether lags tell of every pose, not of runs only: they agree, beside a slope or without, with a scene that
    explains most (of noise, they agree with the scene that was made of it)."""
    if match(field, field.waves(scene), move).share < SEEN:
        return False
    lag, energy = lags(field, scene, move)
    return agreed(field.place[:, :2], lag, heard(energy), np.pi / field.wavenumber)[1] > CLEAR


def lags(field: PoseField, scene: np.ndarray, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much deeper every pose is by its delays than where it is moved [m], (n,), its x and y as they are, and the
    energy of its samples."""
    half, waves, shares = np.pi / field.wavenumber, field.waves(scene), []
    for by in (-half, 0.0, half):
        fit = match(field, waves, move + np.array([0.0, 0.0, by]))
        shares.append(np.abs(fit.product) / np.maximum(np.sqrt(fit.own * fit.measured), 1e-30))
    bend = 2 * shares[1] - shares[0] - shares[2]
    lag = np.where(bend > LEAST, (shares[2] - shares[0]) / (2 * np.maximum(bend, LEAST)), 0.0)
    return half * np.clip(lag, -FURTHEST, FURTHEST), fit.measured.astype(float)


def heard(energy: np.ndarray) -> np.ndarray:
    """Weights of poses by energy, (n,): beside the noise there is an error of each, no smaller for bright ones."""
    return energy / np.maximum(energy + energy.mean(), 1e-30)


def unwrapped(
    field: PoseField,
    scene: np.ndarray,
    move: np.ndarray,
    prior: Prior,
    rounds: Rounds,
    path: Followed | None,
    *,
    most: int = DEGREE,
) -> np.ndarray:
    """Displacements (n_pose, 3) [m] by whole half wavelengths, as they are where delays tell nothing, and without a
    polynomial of degree `most`; `path` as `followed` has it for `move`."""
    if path is not None:
        out = _runs(field, scene, move, path, most)
    else:
        said = asked(field, scene, move, told(field, scene, move, prior))
        out = _each(field, said, rounds, most)
    return np.clip(out, -prior.reach, prior.reach)


def _runs(field: PoseField, scene: np.ndarray, move: np.ndarray, path: Followed, most: int) -> np.ndarray:
    """Those of smooth errors: a run as a whole."""
    half, place = np.pi / field.wavenumber, field.place[:, :2]
    lag, energy = lags(field, scene, move)
    weight = heard(energy)
    beside = lag - polynomial(place, lag, weight, most)
    if not weight @ beside**2 < (NOISE * half) ** 2 * weight.sum():
        return move.copy()
    more = lag + move[:, 2] - path.depth
    more = np.bincount(path.run, energy * more) / np.maximum(np.bincount(path.run, energy), 1e-30)
    out = move.copy()
    out[:, 2] = path.depth + half * np.round(more / half)[path.run]
    return out - polynomial(place, out, energy, 0)


def _each(field: PoseField, said: Asked, rounds: Rounds, most: int) -> np.ndarray:
    """Those of independent errors: every pose for itself, and a slope of all."""
    half, place, lag, depth = said.half, field.place[:, :2], said.lag, said.start[:, 2]
    weight = heard(field.energy)
    noise = half**2 / (field.samples[:, 0].size * np.maximum(said.bend, 1e-30))  # what is left of a pose being 1
    if not weight @ (noise < (NOISE * half) ** 2) > 0.5 * weight.sum():
        return said.start.copy()
    slope, agree, flat = agreed(place, lag, weight, half)
    if not rounds.takes(agree, flat, effective(weight)):
        slope, agree = np.full(len(lag), middle(lag, weight, half)), flat
    sure = np.maximum(said.bend / np.maximum(said.bend + said.bend.mean(), 1e-30), DIM)
    spread = -2 * np.log(np.clip(agree, *AGREE)) * (half / (2 * np.pi)) ** 2
    variance = np.maximum(spread * (weight @ sure / weight.sum()) / sure, noise)
    share = 1 / (variance + half**2)

    def common(values: np.ndarray) -> np.ndarray:
        return not_by_chance(values, polynomial(place, values, share, most), share)

    depth = depth + slope - (off := common(depth + lag))
    mean = float(weight @ depth / weight.sum())
    apart = max(float(weight @ (depth - mean) ** 2 / weight.sum()), (CLOSEST * half) ** 2)
    number = np.round(((lag - slope) / variance - depth / apart) / (1 / variance + 1 / apart) / half)
    out = said.at(number)
    out[:, 2] += slope - off
    out[:, :2] -= np.stack([common(values) for values in out[:, :2].T], axis=1)
    return out


def told(field: PoseField, scene: np.ndarray, move: np.ndarray, prior: Prior, *, firm: float = 0.0) -> Prior:
    """The prior with pulls by what a scene leaves to explain, `firm` times that to the recorded place if it is more
    than `HOLD`; none to neighbours if that had none."""
    fit = match(field, field.waves(scene), move)
    energy = fit.measured / max(float(fit.measured.sum()), 1e-30)
    share = 3 * (1 - fit.share) / (field.samples[:, 0].size * (2 * field.wavenumber) ** 2)
    apart = move[:, 2] - neighbours(move, prior.width)[:, 2]
    spread, rough = (max(float(energy @ depth**2), NARROWEST**2) for depth in (move[:, 2], apart))
    hold = max(HOLD * share / spread, min(firm * share / spread, TIGHTEST))
    return replace(prior, smooth=share / rough if prior.smooth > 0 else 0.0, hold=hold)
