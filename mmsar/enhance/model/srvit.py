"""Mobile-SRViT (Smith, arXiv 2305.02074), from its description: convolutions and attention across image patches.

    conv 3x3 1->16, 4 MV2(16->16), then three stages MV2 + MobileViT of 16, 16 and 32 channels, conv 1x1 32->1

MV2 (expansion 1): depthwise 3x3 - norm - SiLU - 1x1 - norm, plus its input where channels agree. MobileViT: conv 3x3,
1x1 to d, a transformer over the 256 patches of 16 x 16 pixels for each of the 256 positions in a patch, 1x1 back,
concatenation with its input, conv 3x3. Everything at full resolution; no connection from the input to the output.

These choices, which the description leaves open, give its 69,122 parameters: no convolution has a bias and each is
followed by BatchNorm with gain and offset; layers of the transformer are pre-norm with gain and offset; queries, keys
and values (4 heads of 8) have no bias, the projection back and both linear layers of the MLP have one.

| part | parameters |
|---|---|
| entry 176, stem 4 x 464, MV2 464 + 464 + 752, head 34 | 3,746 |
| convolutions of MobileViT 7,280 + 7,280 + 28,896 | 43,456 |
| transformers (d, depth, MLP): (8, 2, 16), (8, 4, 32), (16, 3, 64) | 2,688 + 6,464 + 12,768 |
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, cat, nn

from mmsar.enhance.model.amplitude import divisor, given_or_robust, magnitude_of, non_negative
from mmsar.errors import MmsarError

PATCH = 16
HEADS, HEAD = 4, 8
CHANNELS = 16
STAGES = ((16, 8, 2, 16), (16, 8, 4, 32), (32, 16, 3, 64))
"""Channels, transformer width d, depth and MLP width of each stage."""


@dataclass(frozen=True, kw_only=True)
class SRViTConfig:
    """How Mobile-SRViT is to behave; the parameters are the same."""

    paper: bool = False
    """True: as published, with no scale, a SiLU at the end and BatchNorm that always takes the statistics of the batch.
    False: repaired, with a robust scale, output >= 0 and BatchNorm by running statistics in eval mode."""


class _Conv(nn.Sequential):
    """Convolution without bias, BatchNorm, and SiLU unless `plain`."""

    def __init__(self, c_in: int, c_out: int, size: int, *, paper: bool, groups: int = 1, plain: bool = False) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(c_in, c_out, size, padding=size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(c_out, track_running_stats=not paper),
        ]
        super().__init__(*layers, *([] if plain else [nn.SiLU()]))


class _MV2(nn.Module):
    """Inverted residual of MobileNetV2 with expansion 1 and stride 1."""

    def __init__(self, c_in: int, c_out: int, *, paper: bool) -> None:
        super().__init__()
        self.depthwise = _Conv(c_in, c_in, 3, paper=paper, groups=c_in)
        self.pointwise = _Conv(c_in, c_out, 1, paper=paper, plain=True)
        self.residual = c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.pointwise(self.depthwise(x))
        return x + y if self.residual else y


class _Layer(nn.Module):
    """Pre-norm transformer layer; softmax attention without a score matrix in memory."""

    def __init__(self, d: int, mlp: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * HEADS * HEAD, bias=False)
        self.out = nn.Linear(HEADS * HEAD, d)
        self.mlp = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, mlp), nn.SiLU(), nn.Linear(mlp, d))

    def forward(self, x: Tensor) -> Tensor:
        """x: (sequences, patches, d)."""
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, HEADS, HEAD)).permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class _MobileViT(nn.Module):
    """Local convolution, attention among the patches, and fusion with the input."""

    def __init__(self, channels: int, d: int, depth: int, mlp: int, *, paper: bool) -> None:
        super().__init__()
        self.local = nn.Sequential(_Conv(channels, channels, 3, paper=paper), _Conv(channels, d, 1, paper=paper))
        self.layers = nn.Sequential(*(_Layer(d, mlp) for _ in range(depth)))
        self.back = _Conv(d, channels, 1, paper=paper)
        self.fuse = _Conv(2 * channels, channels, 3, paper=paper)

    def forward(self, x: Tensor) -> Tensor:
        y = self.local(x)
        batch, d, height, width = y.shape
        rows, columns = height // PATCH, width // PATCH
        y = y.reshape(batch, d, rows, PATCH, columns, PATCH).permute(0, 3, 5, 2, 4, 1)
        y = self.layers(y.reshape(batch * PATCH * PATCH, rows * columns, d))
        y = y.reshape(batch, PATCH, PATCH, rows, columns, d).permute(0, 5, 3, 1, 4, 2)
        return self.fuse(cat((x, self.back(y.reshape(batch, d, height, width))), dim=1))


class MobileSRViT(nn.Module):
    """Mobile-SRViT: magnitude images (batch, 1, y, x), y and x multiples of 16, to images of the same shape."""

    kind = "srvit"
    inputs = "magnitude"
    channels = 1
    multiple = PATCH
    reach = None
    """Pixels an output depends on, to each side: attention reaches the whole image."""
    tile = 256
    """Size of the images it was designed for [pixels]: attention is as long as a tile has patches."""

    def __init__(self, config: SRViTConfig | None = None) -> None:
        super().__init__()
        self.config = config or SRViTConfig()
        paper = self.config.paper
        self.entry = _Conv(1, CHANNELS, 3, paper=paper)
        self.stem = nn.Sequential(*(_MV2(CHANNELS, CHANNELS, paper=paper) for _ in range(4)))
        stages, before = [], CHANNELS
        for channels, d, depth, mlp in STAGES:
            stages += [_MV2(before, channels, paper=paper), _MobileViT(channels, d, depth, mlp, paper=paper)]
            before = channels
        self.stages = nn.Sequential(*stages)
        self.head = _Conv(before, 1, 1, paper=paper, plain=True)

    def scale_of(self, image: Tensor, scale: Tensor | None = None) -> Tensor:
        """The amplitude (batch,) that stands for 1 inside the network; 1 as published."""
        if self.config.paper:
            return image.new_ones(image.shape[0])
        return given_or_robust(scale, magnitude_of(image))

    def forward(self, image: Tensor, scale: Tensor | None = None) -> Tensor:
        """Enhanced magnitude, (batch, 1, y, x); `scale` (batch,) replaces the robust scale where it is above 0.

        Raises
        ------
        MmsarError
            A size that is no multiple of 16.
        """
        if image.shape[2] % PATCH or image.shape[3] % PATCH:
            raise MmsarError(f"MobileSRViT image: got shape {tuple(image.shape)}, wanted y and x in steps of {PATCH}")
        if self.config.paper:
            return F.silu(self.head(self.stages(self.stem(self.entry(image)))))
        scale = self.scale_of(image, scale)
        y = self.head(self.stages(self.stem(self.entry(image / divisor(scale)))))
        return non_negative(y, self.training) * scale.reshape(-1, 1, 1, 1)
