"""What the measured echoes say of an enhanced image: how much of their energy it explains, beside the original.

The image is sent back through the exact Born model of the scan, F, the enhanced magnitude with the phase of the
reconstruction; with the best complex gain the explained share of the energy of the samples s is

    share = |<F x, s>|^2 / (|F x|^2 |s|^2)

both F x and s gated to the ranges of the image's own volume, over poses drawn at random. The gain makes images of any
scale comparable: the original is a matched-filter image, not the least-squares one, and explains less than all of the
echoes even without noise. What counts is the ratio of the two shares, which have everything else in common. Near 1
(or above) the echoes bear the enhanced image out as well as the original; well below, targets that echo have been
removed or moved, or amplitudes were added that do not. Weak targets hardly count in energy, and what is added to noise
has its random phase and echoes less than its amplitude would: a high share does not show that they are right.
"""

from dataclasses import dataclass, replace

import numpy as np

from mmsar.core.checks import check_shape
from mmsar.errors import GeometryError
from mmsar.model.image import Image
from mmsar.model.scan import Geometry, Scan
from mmsar.recon import bpa
from mmsar.recon.fourier import path_limits
from mmsar.recon.options import ReconOptions
from mmsar.signal.calibrate import apply_calibration
from mmsar.signal.rangefft import range_gate

TERMS = 2e10
"""Pairs of voxel and channel that are computed at most, beyond the fewest poses: about a second."""
SAMPLES = 2**22
"""Samples that are compared at most, beyond the fewest poses."""
FEWEST = 64
"""Poses that are compared at least, when there are as many."""
GROUPS = 16
"""Groups of poses whose scatter gives the standard error."""
ERROR_DB = -40.0
"""Accuracy of the echoes."""


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Shares of the energy of the gated samples that two images explain, each with its best complex gain."""

    before: float
    """By the original image, 0 to 1."""
    after: float
    """By the enhanced magnitude with the original's phase, 0 to 1."""
    ratio_error: float
    """Standard error of `ratio`, for the poses were drawn (jackknife)."""
    poses: int
    """Poses compared."""
    gate: tuple[float, float] | None
    """Ranges that were compared [m]; None when the image reaches over all ranges that can be told apart."""

    @property
    def ratio(self) -> float:
        """`after / before`: what the enhanced image keeps of what the original explains; 0 when that is nothing."""
        return self.after / self.before if self.before > 0 else 0.0


def consistency(
    scan: Scan, before: Image, after: Image, *, memory: int | None = None, show: bool | None = False
) -> Consistency:
    """Compare an image and its enhanced magnitude with the samples they were made from.

    Parameters
    ----------
    scan : Scan
        What `before` was reconstructed from; a calibration it carries is applied. Any geometry.
    before, after : Image
        The complex image as reconstructed, and the enhanced one on the same grid.
    memory : int, optional
        Budget of the model [bytes]; default half of what is free.
    show : bool, optional
        Progress bar; None: on a terminal only.

    Raises
    ------
    GeometryError
        An original without phase, images of different shape, a far-field scan (no model of antennas), or samples that
        are zero.
    MmsarError
        More memory needed than the budget allows.
    """
    if not np.iscomplexobj(before.data):
        raise GeometryError("consistency: got an image of magnitudes, wanted the complex one as reconstructed")
    check_shape("enhanced image", after.data.shape, before.data.shape)
    if scan.attrs.get("far_field"):
        raise GeometryError("consistency: got a far-field scan, wanted one with the places of its antennas")
    if scan.calibration is not None:
        scan = apply_calibration(scan)
    grid, chosen = before.grid, _drawn(scan, before.grid.n_voxels)
    geometry = _part(scan.geometry, chosen)
    plan = bpa.plan(geometry, grid, options=ReconOptions(error_db=ERROR_DB, memory=memory, progress=show))
    gate = _gate(geometry, before)

    def gated(signal: np.ndarray) -> np.ndarray:
        return signal if gate is None else range_gate(signal, geometry.chirp, low=gate[0], high=gate[1])

    there = (geometry.weight != 0)[..., None]
    measured = gated(_samples(scan, chosen) * there)
    energy = _products(measured, measured).real
    if not energy.sum() > 0:
        raise GeometryError("consistency: got samples that are zero in the ranges of the image, wanted echoes")
    magnitude = np.abs(before.data)
    phase = before.data / np.where(magnitude > 0, magnitude, 1)
    shares = []
    for image in (before.data, after.magnitude() * phase):
        echo = gated(plan.adjoint(image) * there)
        shares.append(_shares(_products(echo, measured), _products(echo, echo).real, energy))
    first, second = (share[:-1] for share in shares)
    ratios = second / np.where(first > 0, first, 1)
    n = len(ratios)
    return Consistency(
        before=float(shares[0][-1]),
        after=float(shares[1][-1]),
        ratio_error=float(np.sqrt((n - 1) * np.mean((ratios - ratios.mean()) ** 2))),
        poses=len(chosen),
        gate=gate,
    )


def _drawn(scan: Scan, voxels: int) -> np.ndarray:
    """Numbers of the poses to compare, increasing: all, or as many as the cost allows, drawn at random (seeded)."""
    n_pose, n_tx, n_rx, n_samples = scan.shape
    good = np.flatnonzero(scan.valid.reshape(n_pose, -1).any(axis=1))
    channels = n_tx * n_rx
    count = max(FEWEST, min(int(TERMS / (voxels * channels)), SAMPLES // (channels * n_samples)))
    if count >= len(good):
        return good
    return np.sort(np.random.default_rng(0).choice(good, size=count, replace=False))


def _part(geometry: Geometry, poses: np.ndarray) -> Geometry:
    return replace(
        geometry,
        tx_position=geometry.tx_position[poses],
        rx_position=geometry.rx_position[poses],
        weight=geometry.weight[poses],
    )


def _samples(scan: Scan, poses: np.ndarray) -> np.ndarray:
    """The samples of some poses, block by block."""
    out, done = np.empty((len(poses), *scan.shape[1:]), dtype=np.complex64), 0
    for block_poses, block in scan.blocks():
        inside = poses[(poses >= block_poses.start) & (poses < block_poses.stop)] - block_poses.start
        out[done : done + len(inside)] = block[inside]
        done += len(inside)
    return out


def _gate(geometry: Geometry, image: Image) -> tuple[float, float] | None:
    """Least and largest one-way range of the image's voxels from the antennas, half a range cell wider [m]."""
    chirp = geometry.chirp
    if chirp.n_samples < 2:
        return None
    low, high = (length / 2 for length in path_limits(geometry, image.grid))
    low, high = low - chirp.range_resolution / 2, high + chirp.range_resolution / 2
    return (low, high) if high - low + 2 * chirp.range_resolution < chirp.range_max else None


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """<a, b> over groups of poses, complex128 (groups,)."""
    each = np.array([np.vdot(x, y) for x, y in zip(a, b, strict=True)], dtype=np.complex128)
    return np.array([part.sum() for part in np.array_split(each, min(GROUPS, len(each)))])


def _shares(product: np.ndarray, predicted: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Explained shares without each group, and that of all poses last."""
    total = np.array([product.sum(), predicted.sum(), energy.sum()])
    rest = total[:, None] - np.array([product, predicted, energy]) if len(product) > 1 else total[:, None]
    p, q, e = np.concatenate([rest, total[:, None]], axis=1)
    below = q.real * e.real
    return np.abs(p) ** 2 / np.where(below > 0, below, 1)
