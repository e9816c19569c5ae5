"""What both networks do with amplitudes: a robust scale divided out before and multiplied back after, output >= 0.

The scale is the contraharmonic mean s = sum |x|^3 / sum |x|^2: about the amplitude of what is bright, whatever the
area of the empty part, smooth, cheap, and s(g x) = g s(x), so that a network between the two is scale-equivariant.
`mmsar.enhance.statistics.robust_scale` is the same number in numpy.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LEAK = 0.1
"""Slope below zero while training: a weak target pushed below zero still has a gradient that brings it back."""


def robust_scale(magnitude: Tensor) -> Tensor:
    """Scale of each image of a batch.

    Parameters
    ----------
    magnitude : Tensor
        (batch, 1, y, x), >= 0.

    Returns
    -------
    Tensor
        (batch,), 0 for an image that is zero everywhere.
    """
    peak = magnitude.amax(dim=(1, 2, 3), keepdim=True)
    relative = magnitude / torch.where(peak > 0, peak, 1)
    square = relative * relative
    ratio = (square * relative).sum(dim=(1, 2, 3)) / square.sum(dim=(1, 2, 3)).clamp(min=1e-30)
    return ratio * peak.flatten()


def given_or_robust(scale: Tensor | None, magnitude: Tensor) -> Tensor:
    """The given scales (batch,), with the robust ones where they are 0 or not given."""
    own = robust_scale(magnitude)
    return own if scale is None else torch.where(scale > 0, scale, own)


def divisor(scale: Tensor) -> Tensor:
    """What to divide images by, (batch, 1, 1, 1): the scale, 1 where it is 0."""
    return torch.where(scale > 0, scale, 1).reshape(-1, 1, 1, 1)


def non_negative(image: Tensor, training: bool) -> Tensor:
    """Clip below zero; while training with the slope `LEAK` instead of a dead end."""
    return F.leaky_relu(image, LEAK) if training else F.relu(image)


def magnitude_of(image: Tensor) -> Tensor:
    """|image| (batch, 1, y, x) of magnitudes (batch, 1, y, x) or real and imaginary parts (batch, 2, y, x)."""
    if image.shape[1] == 1:
        return image.abs()
    real, imaginary = image[:, :1], image[:, 1:]
    return torch.sqrt(real * real + imaginary * imaginary)
