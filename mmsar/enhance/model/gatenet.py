"""GateNet, the fast network: a U-Net of gated blocks at a quarter of the resolution, with a global residual.

    f = unshuffle4(x / s, log(1 + 100 x / s) / log 101)      s: robust scale, `mmsar.enhance.model.amplitude`
    y = s max(0, |x| / s + shuffle4(unet(f)))

The blocks are those of NAFNet (Chen et al., arXiv 2204.04676) without its channel attention: a product of two halves of
the channels instead of an activation, nothing pooled over the image. So an output pixel depends on the `reach` pixels
around it and no more, and tiles with that halo agree with the whole image, given its scale. The norm is the root mean
square over the channels of one pixel; its gain is left to the 1x1 convolution that follows.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsar.core.checks import one_of, positive_int
from mmsar.enhance.model.amplitude import divisor, given_or_robust, magnitude_of, non_negative
from mmsar.errors import MmsarError

ENTRY = 4
"""Factor between the image and the finest level."""
CONTRAST = 100.0
"""Amplitudes above 1 / CONTRAST of the scale (-40 dB) are spread out by the logarithmic channel."""
NORM_EPS = 1e-3
FIRST_GAIN = 0.1
"""Gain of a block's branches before training."""


@dataclass(frozen=True, kw_only=True)
class GateNetConfig:
    """Size and input of a GateNet.

    Raises
    ------
    GeometryError
        Another input, or sizes that are no whole numbers above 0.
    MmsarError
        Widths and blocks of different length.
    """

    inputs: str = "magnitude"
    """"magnitude": images (batch, 1, y, x); "complex": real and imaginary part (batch, 2, y, x)."""
    widths: tuple[int, ...] = (32, 48, 64)
    """Channels of each level, at 1/4, 1/8, 1/16 of the resolution."""
    blocks: tuple[int, ...] = (2, 2, 3)
    """Gated blocks of each level; all but the coarsest have as many again on the way up."""

    def __post_init__(self) -> None:
        one_of("GateNetConfig.inputs", self.inputs, ("magnitude", "complex"))
        for name in ("widths", "blocks"):
            values = tuple(positive_int(f"GateNetConfig.{name}", v) for v in getattr(self, name))
            object.__setattr__(self, name, values)
        if not self.widths or len(self.widths) != len(self.blocks):
            raise MmsarError(
                f"GateNetConfig: got {len(self.widths)} widths and {len(self.blocks)} blocks, wanted one per level"
            )


def reach_of(blocks: Sequence[int]) -> int:
    """Pixels to each side that an output pixel depends on at most, by following the cells through the levels."""
    worst = 0
    for pixel in range(ENTRY * 2 ** (len(blocks) - 1)):
        low = high = pixel // ENTRY
        low, high = low - 1, high + 1
        for level, n in enumerate(blocks):
            if level:
                low, high = low // 2, high // 2
            low, high = low - n, high + n
        for n in reversed(blocks[:-1]):
            low, high = 2 * low - n, 2 * high + 1 + n
        low, high = ENTRY * (low - 1), ENTRY * (high + 1) + ENTRY - 1
        worst = max(worst, pixel - low, high - pixel)
    return worst


def _norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt((x * x).mean(dim=1, keepdim=True) + NORM_EPS)


def _gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=1)
    return first * second


class _GatedBlock(nn.Module):
    """A 3x3 depthwise and a pixel-wise gated branch, each added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.project = nn.Conv2d(width, width, 1)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.narrow = nn.Conv2d(width, width, 1)
        self.spatial_gain = nn.Parameter(torch.full((1, width, 1, 1), FIRST_GAIN))
        self.channel_gain = nn.Parameter(torch.full((1, width, 1, 1), FIRST_GAIN))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.spatial_gain * self.project(_gate(self.depthwise(self.expand(_norm(x)))))
        return x + self.channel_gain * self.narrow(_gate(self.widen(_norm(x))))


def _blocks(width: int, n: int) -> nn.Sequential:
    return nn.Sequential(*(_GatedBlock(width) for _ in range(n)))


class GateNet(nn.Module):
    """Scale-equivariant enhancement; images in, magnitudes (batch, 1, y, x) >= 0 out, y and x in steps of `multiple`.

    Before training it returns the magnitude of its input.
    """

    kind = "gatenet"
    tile = 1024
    """Largest side that is worked on in one piece [pixels]."""

    def __init__(self, config: GateNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or GateNetConfig()
        widths, blocks = self.config.widths, self.config.blocks
        self.inputs = self.config.inputs
        self.channels = {"magnitude": 1, "complex": 2}[self.inputs]
        self.multiple = ENTRY * 2 ** (len(widths) - 1)
        self.reach = reach_of(blocks)
        """Pixels to each side that an output pixel depends on."""
        features = {"magnitude": 2, "complex": 4}[self.inputs]
        self.entry = nn.Conv2d(features * ENTRY**2, widths[0], 3, padding=1)
        self.exit = nn.Conv2d(widths[0], ENTRY**2, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in itertools.pairwise(widths))
        self.before = nn.ModuleList(_blocks(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True))
        self.middle = _blocks(widths[-1], blocks[-1])
        self.after = nn.ModuleList(_blocks(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True))

    def scale_of(self, image: Tensor, scale: Tensor | None = None) -> Tensor:
        """The amplitude (batch,) that stands for 1 inside the network."""
        return given_or_robust(scale, magnitude_of(image))

    def forward(self, image: Tensor, scale: Tensor | None = None) -> Tensor:
        """Enhanced magnitude, (batch, 1, y, x); `scale` (batch,) replaces the robust scale where it is above 0.

        Raises
        ------
        MmsarError
            Another number of channels than the input has, or a size that is no multiple of `multiple`.
        """
        channels = self.channels
        if image.shape[1] != channels or image.shape[2] % self.multiple or image.shape[3] % self.multiple:
            raise MmsarError(
                f"GateNet image: got shape {tuple(image.shape)}, wanted (batch, {channels}, y, x) "
                f"with y and x in steps of {self.multiple}"
            )
        scale = self.scale_of(image, scale)
        image = image / divisor(scale)
        magnitude = magnitude_of(image)
        logarithm = torch.log1p(CONTRAST * magnitude) / math.log1p(CONTRAST)
        parts = (magnitude, logarithm) if channels == 1 else (image, magnitude, logarithm)
        x = self.entry(F.pixel_unshuffle(torch.cat(parts, dim=1), ENTRY))
        skips = []
        for blocks, down in zip(self.before, self.down, strict=True):
            x = blocks(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for blocks, up in zip(reversed(self.after), reversed(self.up), strict=True):
            x = blocks(F.pixel_shuffle(up(x), 2) + skips.pop())
        enhanced = magnitude + F.pixel_shuffle(self.exit(x), ENTRY)
        return non_negative(enhanced, self.training) * scale.reshape(-1, 1, 1, 1)
