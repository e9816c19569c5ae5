"""The normal equations of an imager: what it shows of a signal, and of an image's own echo.

With E x the echo of an image and W = |w_c v_n| the weights of channels and frequencies, what minimises
|E x - s|_W^2 / norm is found from

    b = A s                        what the imager A shows of the samples s
    H x = A W^-1 A^H norm x        what it shows of the echo of x; every voxel of H has about 1 on the diagonal
"""

from typing import Any

import numpy as np

from mmsar.core.checks import check_shape
from mmsar.errors import GeometryError
from mmsar.recon.operators import Plan

SMALL = 1e-6
"""Weights below this part of the largest count as none."""


class NormalEquations:
    """b and H by one imager's plan; weights are found once, then it applies to signals.

    Parameters
    ----------
    plan : Plan
        Any imager's plan, of a matched filter (isar: `kernel="matched"`).
    valid : (n_pose, n_tx, n_rx) bool array, optional
        Channels that count, beside those of weight 0 in the geometry, which never do.

    Raises
    ------
    GeometryError
        A mask of another shape, or without a channel.
    """

    def __init__(self, plan: Plan, *, valid: np.ndarray | None = None) -> None:
        self.plan = plan
        geometry = plan.geometry
        weight, frequency = np.abs(geometry.weight), np.abs(geometry.frequency_weight)
        if valid is not None:
            check_shape("valid", np.shape(valid), weight.shape)
            weight = weight * np.asarray(valid, dtype=bool)
        weight, frequency = (np.where(w > SMALL * w.max(), w, 0.0) for w in (weight, frequency))
        if not weight.any():
            raise GeometryError("valid: got no channel of any weight, wanted at least one")
        self._valid = weight > 0
        self._inverse = tuple(
            np.divide(1, w, out=np.zeros_like(w), where=w > 0).astype(np.float32) for w in (weight, frequency)
        )
        self._weights = weight / geometry.norm, frequency
        self.noise_gain = float(np.square(weight).sum() * np.square(frequency).sum()) / geometry.norm**2
        """Mean power that the imager shows of white noise, re that of a sample."""
        self.share = float(weight.sum() * frequency.sum()) / geometry.norm
        """Sum of all weights over norm."""

    @staticmethod
    def signal_room(plan: Plan) -> int:
        """Memory in flight of `gram` beside the plan's own [bytes]."""
        return 0 if hasattr(plan, "gram") else 16 * int(np.prod(plan.geometry.shape))

    def gram(self, image: np.ndarray) -> np.ndarray:
        """H: what the imager shows of an image's own echo, complex64 (n_z, n_y, n_x)."""
        channel, frequency = self._inverse
        if hasattr(self.plan, "gram"):
            return self.plan.gram(image, channel, frequency)
        echo = self.plan.adjoint(image)
        echo *= (np.float32(self.plan.geometry.norm) * channel)[..., None] * frequency
        return self.plan(echo)

    def shown(self, signal: Any) -> tuple[np.ndarray, float]:
        """b, and the weighted energy of the samples over norm.

        Raises
        ------
        GeometryError
            Samples of another shape than the geometry, or not finite.
        """
        channel, frequency = self._weights
        geometry = self.plan.geometry
        if not hasattr(signal, "blocks"):
            signal = np.asarray(signal, dtype=np.complex64)
        check_shape("signal", signal.shape, geometry.shape)
        if np.any(geometry.weight[~self._valid]):  # channels that the imager does not know are lost
            samples = signal.read() if hasattr(signal, "read") else signal
            signal = samples * self._valid[..., None]
        energy = 0.0
        for poses, block in signal.blocks() if hasattr(signal, "blocks") else [(slice(None), signal)]:
            power = np.square(block.real) + np.square(block.imag)
            energy += float(np.sum((power @ frequency) * channel[poses], dtype=np.float64))
        if not np.isfinite(energy):
            raise GeometryError("signal: got NaN or infinite samples, wanted finite ones (lost ones 0, and not valid)")
        return self.plan(signal), energy


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Re <a, b> in double precision."""
    return float(np.sum(a.real * b.real + a.imag * b.imag, dtype=np.float64))
