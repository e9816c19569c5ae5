"""How well poses fit the echo of a scene, and the step that makes them fit better: `autofocus` has the formulas."""

from dataclasses import dataclass

import numpy as np

from mmsar.focus.kernels import curvatures, slopes
from mmsar.focus.posefield import PoseField
from mmsar.recon.sparse import shrunk

WEAK = 1e-2
"""A pose whose echo has less than this share of the mean energy does not count as told by it."""


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

    @property
    def gain(self) -> float:
        """beta: what the echo must be multiplied by, phases of the poses free."""
        return float(np.abs(self.product).sum() / self.own.sum())

    @property
    def explained(self) -> np.ndarray:
        """Energy of the samples of each pose that its echo accounts for, with a gain and a phase of its own."""
        return np.abs(self.product) ** 2 / np.maximum(self.own, max(WEAK * self.own.mean(), 1e-30))


def soft_threshold(image: np.ndarray, share: float) -> np.ndarray:
    """Magnitudes less `share` of the largest, at least 0, phases kept; complex64."""
    return shrunk(image, np.float32(share * np.abs(image).max())).astype(np.complex64, copy=False)


def match(field: PoseField, waves: np.ndarray, move: np.ndarray, poses: slice | None = None) -> Match:
    """How the echo of waves fits the samples of poses displaced by `move` (n_pose, 3) [m]."""
    parts = []
    for block, (echo,) in field.transforms([waves], move, poses):
        samples = field.samples[:, block]
        parts.append([products(a, b) for a, b in ((echo, samples), (echo, echo), (samples, samples))])
    product, own, measured = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Match(product, own.real, measured.real)


def products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """<a, b> of every pose, of (m, poses, channels) arrays."""
    return np.einsum("mpc,mpc->p", a.conj(), b)


def neighbours(move: np.ndarray, order: np.ndarray, width: float) -> np.ndarray:
    """Mean of the displacements of the neighbours in time of every pose, with Gaussian weights.

    Parameters
    ----------
    move : (n, 3) array
        Displacements of the first n poses of `order`.
    order : (n_pose,) array of int
        Place in time of every pose.
    width : float
        Standard deviation of the weights [poses].

    Returns
    -------
    (n, 3) array
    """
    from scipy.ndimage import gaussian_filter1d

    placed = order[: len(move)]
    there, held = np.zeros(len(order)), np.zeros((len(order), 3))
    there[placed], held[placed] = 1.0, move
    weight, mean = (gaussian_filter1d(part, width, axis=0, mode="constant")[placed] for part in (there, held))
    return mean / weight[:, None]


def pose_step(
    field: PoseField, waves: np.ndarray, move: np.ndarray, mean: np.ndarray, poses: slice, prior: Prior
) -> np.ndarray:
    """One Gauss-Newton step of some poses: their new displacements [m], (n, 3).

    `mean` (n, 3) is what the prior pulls to by `smooth`, the recorded place what it pulls to by `hold`; both are shares
    of the mean information a pose has along an axis.
    """
    blocks, matches = [], []
    for block, echo, gradient in field.echoes(waves, move, poses):
        samples = field.samples[:, block]
        product = products(echo, samples)
        turned = samples * np.exp(-1j * np.angle(product)).astype(np.complex64)[None, :, None]
        lag = 1j * np.angle(product).astype(np.float32)[None, :, None] * echo
        blocks.append((slopes(gradient, turned), slopes(gradient, lag - echo), curvatures(gradient)))
        matches.append((np.abs(product).sum(), products(echo, echo).real.sum()))
    matched, own = np.sum(matches, axis=0)
    here = move[poses]
    if not own > 0:
        return here.copy()
    beta = matched / own
    slope, lagging, curvature = (np.concatenate(part) for part in zip(*blocks, strict=True))
    slope, curvature = beta * slope + beta**2 * lagging, beta**2 * curvature
    scale = np.trace(curvature.sum(axis=0)) / (3 * len(here))
    slope, curvature = slope / scale, curvature / scale
    pull = prior.smooth * (here - mean) + prior.hold * here
    step = np.linalg.solve(curvature + (prior.smooth + prior.hold) * np.eye(3), (slope - pull)[..., None])[..., 0]
    longest = np.pi / (2 * field.geometry.chirp.k.max())  # a quarter of a wavelength: half a turn of the phase
    return np.clip(here + np.clip(step, -longest, longest), -prior.reach, prior.reach)


def joint_step(
    field: PoseField, image: np.ndarray, move: np.ndarray, threshold: float, poses: slice, prior: Prior
) -> np.ndarray:
    """One step of the first poses together, `poses` = slice(0, n), by the scene in the image that they make, (n, 3)."""
    mean = neighbours(move[poses], field.order, prior.width)
    return pose_step(field, field.waves(soft_threshold(image, threshold)), move, mean, poses, prior)
