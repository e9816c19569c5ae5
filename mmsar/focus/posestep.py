"""How well poses fit the echo of a scene, and the step that makes them fit better: `autofocus` has the formulas."""

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
    parts = [Match.of(echo, field.samples[:, block]) for block, (echo,) in field.transforms([waves], move)]
    return Match(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("product", "own", "measured")))


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """<a, b> of every pose, of (m, poses, channels) arrays."""
    return np.einsum("mpc,mpc->p", a.conj(), b)


def neighbours(move: np.ndarray, width: float) -> np.ndarray:
    """Mean of the displacements (n, 3) of the neighbours in time of every pose, with Gaussian weights whose standard
    deviation is `width` poses."""
    from scipy.ndimage import gaussian_filter1d

    mean, weight = (gaussian_filter1d(part, width, axis=0, mode="constant") for part in (move, np.ones((len(move), 1))))
    return mean / weight


def joint_step(field: PoseField, image: np.ndarray, move: np.ndarray, threshold: float, prior: Prior) -> np.ndarray:
    """One Gauss-Newton step of the poses by the scene in the image that they make: their new displacements [m], (n, 3).

    The prior pulls to the mean of neighbours by `smooth`, to the recorded place by `hold`; both are shares of the mean
    information a pose has along an axis.
    """
    waves = field.waves(soft_threshold(image, threshold))
    blocks, matches = [], []
    for block, echo, gradient in field.echoes(waves, move):
        samples = field.samples[:, block]
        product = products(echo, samples)
        turned = samples * np.exp(-1j * np.angle(product)).astype(np.complex64)[None, :, None]
        lag = 1j * np.angle(product).astype(np.float32)[None, :, None] * echo
        blocks.append((slopes(gradient, turned), slopes(gradient, lag - echo), curvatures(gradient)))
        matches.append((np.abs(product).sum(), products(echo, echo).real.sum()))
    matched, own = np.sum(matches, axis=0)
    if not own > 0:
        return move.copy()
    beta = matched / own
    slope, lagging, curvature = (np.concatenate(part) for part in zip(*blocks, strict=True))
    slope, curvature = beta * slope + beta**2 * lagging, beta**2 * curvature
    scale = np.trace(curvature.sum(axis=0)) / (3 * len(move))
    slope, curvature = slope / scale, curvature / scale
    pull = prior.smooth * (move - neighbours(move, prior.width)) + prior.hold * move
    step = np.linalg.solve(curvature + (prior.smooth + prior.hold) * np.eye(3), (slope - pull)[..., None])[..., 0]
    longest = np.pi / (2 * field.geometry.chirp.k.max())  # a quarter of a wavelength: half a turn of the phase
    return np.clip(move + np.clip(step, -longest, longest), -prior.reach, prior.reach)
