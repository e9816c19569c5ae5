"""What training minimises: four terms on images divided by the network's scale, so that gain does not matter.

With y the output, t the label, c(d) = sqrt(d^2 + eps^2) - eps (Charbonnier), each averaged over the pixels of a batch:

    charbonnier   c(y - t)
    log           |log((y + delta) / (t + delta))|: a target 20 dB down counts as much as a bright one
    foreground    c(y - t) where the label is above `FLOOR` of its peak, each pixel weighted by one over the number of
                  such pixels around it, so that a point counts as much as a solid
    fourier       c(|F(y - t)|), F the unitary 2-D transform: edges and texture

One term alone with eps = 0 is the L1 loss of the published network, `LossWeights.paper()`.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsar.core.checks import finite_number
from mmsar.errors import MmsarError

FLOOR = 10 ** (-30 / 20)
NEIGHBOURHOOD = 15
"""Side of the square in which foreground pixels are counted [pixels]."""
POINT = 9
"""Foreground pixels of a point: fewer do not weigh more, so that a lone pixel does not take over."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """Weights of the terms, and their constants in units of the scale.

    Raises
    ------
    GeometryError
        Not a finite number, or below 0.
    MmsarError
        No term with a weight above 0.
    """

    charbonnier: float = 1.0
    log: float = 0.1
    foreground: float = 0.5
    fourier: float = 0.05
    eps: float = 1e-3
    """Width of the rounded corner of the Charbonnier function."""
    delta: float = 1e-2
    """Amplitude below which the logarithm levels off."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = finite_number(f"LossWeights.{field.name}", getattr(self, field.name), "1")
            if value < 0 or (field.name == "delta" and value == 0):
                wanted = "above 0" if field.name == "delta" else ">= 0"
                raise MmsarError(f"LossWeights.{field.name}: got {value:g}, wanted a number {wanted}")
        if not self.charbonnier + self.log + self.foreground + self.fourier > 0:
            raise MmsarError("LossWeights: got 0 for every term, wanted one above 0")

    @classmethod
    def paper(cls) -> "LossWeights":
        """The loss of the published network: the mean absolute difference."""
        return cls(charbonnier=1.0, log=0.0, foreground=0.0, fourier=0.0, eps=0.0)


def _charbonnier(difference: Tensor, eps: float) -> Tensor:
    if eps == 0:
        return difference.abs()
    return torch.sqrt(difference * difference + eps * eps) - eps


def balance(label: Tensor) -> Tensor:
    """Weight of each pixel in the foreground term, (batch, 1, y, x); 0 in the background."""
    peak = label.amax(dim=(1, 2, 3), keepdim=True)
    foreground = ((label > FLOOR * peak) & (label > 0)).to(label.dtype)
    area = NEIGHBOURHOOD**2
    count = area * F.avg_pool2d(foreground, NEIGHBOURHOOD, stride=1, padding=NEIGHBOURHOOD // 2)
    return foreground / count.clamp(min=POINT)


def loss_terms(output: Tensor, label: Tensor, weights: LossWeights) -> dict[str, Tensor]:
    """The terms whose weight is above 0, unweighted, and "loss", their weighted sum.

    Parameters
    ----------
    output, label : Tensor
        (batch, 1, y, x), divided by the scale of the input.
    """
    output, label = output.float(), label.float()
    distance = _charbonnier(output - label, weights.eps)
    terms = {}
    if weights.charbonnier:
        terms["charbonnier"] = distance.mean()
    if weights.log:
        ratio = (output.clamp(min=0) + weights.delta) / (label + weights.delta)
        terms["log"] = torch.log(ratio).abs().mean()
    if weights.foreground:
        weight = balance(label)
        terms["foreground"] = (weight * distance).sum() / weight.sum().clamp(min=1)
    if weights.fourier:
        spectrum = torch.view_as_real(torch.fft.rfft2(output - label, norm="ortho"))
        eps = weights.eps or 1e-12
        terms["fourier"] = (torch.sqrt(spectrum.square().sum(dim=-1) + eps * eps) - eps).mean()
    terms["loss"] = sum(getattr(weights, name) * term for name, term in terms.items())
    return terms
