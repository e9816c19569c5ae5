"""How well poses fit the echo of a scene, and the step that makes them fit better: `autofocus` has the formulas."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsar.focus.kernels import curvatures, slopes
from mmsar.focus.posefield import PoseField
from mmsar.recon.sparse import shrunk


@dataclass(frozen=True, kw_only=True)
class Prior:
    """What is known of displacements before the samples: `autofocus.AutofocusOptions` has the meaning of each."""

    smooth: float
    hold: float
    width: float
    """Of the neighbours in time [poses]."""
    reach: float
    """[m]."""


@dataclass(frozen=True, eq=False)
class Match:
    """Inner products of the echo e of a scene with the samples s of each of some poses, (n,)."""

    product: np.ndarray
    """<e, s>, complex."""
    own: np.ndarray
    """<e, e>."""
    measured: np.ndarray
    """<s, s>."""

    @classmethod
    def of(cls, echo: np.ndarray, samples: np.ndarray) -> "Match":
        """Of (m, poses, channels) arrays."""
        return cls(products(echo, samples), products(echo, echo).real, products(samples, samples).real)

    @classmethod
    def joined(cls, parts: Sequence["Match"]) -> "Match":
        """Of the poses of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("product", "own", "measured")))

    @property
    def gain(self) -> float:
        """Of the echo that fits the samples best, phases of the poses free; 0 where there is no echo."""
        return float(np.abs(self.product).sum() / max(float(self.own.sum()), 1e-30))

    def left(self, gain: float) -> np.ndarray:
        """Energy that the echo, with a gain and the phases of the poses, leaves of the samples of each, (n,)."""
        return self.measured - 2 * gain * np.abs(self.product) + gain**2 * self.own

    @property
    def told(self) -> float:
        """Energy of the samples that the echo accounts for, phases of the poses and one gain free."""
        return float(np.abs(self.product).sum() ** 2 / max(self.own.sum(), 1e-30))

    @property
    def share(self) -> float:
        """That energy re all of the samples'."""
        return self.told / max(float(self.measured.sum()), 1e-30)


def soft_threshold(image: np.ndarray, share: float) -> np.ndarray:
    """Magnitudes less `share` of the largest, at least 0, phases kept; complex64."""
    return shrunk(image, np.float32(share * np.abs(image).max())).astype(np.complex64, copy=False)


def match(field: PoseField, waves: np.ndarray, move: np.ndarray) -> Match:
    """How the echo of waves fits the samples of poses displaced by `move` (n_pose, 3) [m]."""
    return Match.joined([Match.of(echo, field.samples[:, block]) for block, (echo,) in field.transforms([waves], move)])


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """<a, b> of every pose, of (m, poses, channels) arrays."""
    return np.einsum("mpc,mpc->p", a.conj(), b)


def neighbours(move: np.ndarray, width: float) -> np.ndarray:
    """Mean of the displacements (n, 3) of the neighbours in time of every pose, with Gaussian weights whose standard
    deviation is `width` poses."""
    from scipy.ndimage import gaussian_filter1d

    mean, weight = (gaussian_filter1d(part, width, axis=0, mode="constant") for part in (move, np.ones((len(move), 1))))
    return mean / weight


@dataclass(frozen=True, eq=False)
class Sums:
    """What a Gauss-Newton step of poses is made of; e is their echo, G its gradient, s the samples less the phases."""

    match: Match
    toward: np.ndarray
    """Re G^H s, (n, 3)."""
    back: np.ndarray
    """Re G^H (j phi - 1) e with phi = arg <e, s>, (n, 3)."""
    curvature: np.ndarray
    """Re G^H G, (n, 3, 3)."""

    def normal(self, gain: float) -> tuple[np.ndarray, np.ndarray]:
        """Slope (n, 3) and curvature (n, 3, 3) of what an echo with a gain leaves, halved."""
        return gain * self.toward + gain**2 * self.back, gain**2 * self.curvature


def sums(field: PoseField, waves: np.ndarray, move: np.ndarray) -> Sums:
    """Those of the echo of waves at poses displaced by `move` (n_pose, 3) [m]."""
    parts = []
    for block, echo, gradient in field.echoes(waves, move):
        samples = field.samples[:, block]
        fit = Match.of(echo, samples)
        phase = np.angle(fit.product)
        toward = slopes(gradient, samples * np.exp(-1j * phase).astype(np.complex64)[None, :, None])
        back = slopes(gradient, (1j * phase.astype(np.float32) - 1)[None, :, None] * echo)
        parts.append((fit, toward, back, curvatures(gradient)))
    fits, *rest = zip(*parts, strict=True)
    return Sums(Match.joined(fits), *(np.concatenate(part) for part in rest))


def longest(field: PoseField) -> float:
    """The longest step [m]: a quarter of a wavelength, half a turn of the phase."""
    return float(np.pi / (2 * field.geometry.chirp.k.max()))


def joint_step(field: PoseField, image: np.ndarray, move: np.ndarray, threshold: float, prior: Prior) -> np.ndarray:
    """One Gauss-Newton step of the poses by the scene in the image that they make: their new displacements [m], (n, 3).

    The prior pulls to the mean of neighbours by `smooth`, to the recorded place by `hold`; both are shares of the mean
    information a pose has along an axis.
    """
    told = sums(field, field.waves(soft_threshold(image, threshold)), move)
    slope, curvature = told.normal(told.match.gain)
    scale = np.trace(curvature.sum(axis=0)) / (3 * len(move))
    if not scale > 0:
        return move.copy()
    pull = prior.smooth * (move - neighbours(move, prior.width)) + prior.hold * move
    bound = (prior.smooth + prior.hold) * np.eye(3)
    step = np.linalg.solve(curvature / scale + bound, (slope / scale - pull)[..., None])[..., 0]
    return np.clip(move + np.clip(step, -longest(field), longest(field)), -prior.reach, prior.reach)
