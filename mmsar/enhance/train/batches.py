"""From numpy batches to tensors: checks, channels, random turns, and an endless stream that can start in the middle."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from mmsar.enhance.model.build import Network
from mmsar.errors import MmsarError

Batch = tuple[np.ndarray, np.ndarray] | tuple[np.ndarray, np.ndarray, np.ndarray]
"""Input (batch, y, x), complex64 or magnitudes in float32, and label (batch, y, x) float32, >= 0, in the same unit,
and for crops of larger images the amplitudes (batch,) that stand for 1 inside the network."""


def stream(batches: Iterable[Batch], first: int) -> Iterator[Batch]:
    """Batch number `first` and all that follow; over and over, when `batches` can be iterated again.

    Batches that are used already are drawn and dropped, unless `batches` has a method `starting(first)`.

    Raises
    ------
    MmsarError
        When there are no more.
    """
    if hasattr(batches, "starting"):
        yield from batches.starting(first)
    drawn = 0
    while True:
        before = drawn
        for batch in batches:
            drawn += 1
            if drawn > first:
                yield batch
        if drawn == before:
            raise MmsarError(f"batches: ran out after {drawn}; wanted more, or something to iterate over again")


def tensors(batch: Batch, network: Network) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input (batch, channels, y, x) as the network takes it, label (batch, 1, y, x), scales; float32, on the CPU.

    A network for magnitudes takes |input| of complex images.

    Raises
    ------
    MmsarError
        Shapes that do not agree, sizes the network does not take, or real images for a network of complex ones.
    """
    image, label = (np.asarray(part) for part in batch[:2])
    scale = torch.from_numpy(np.asarray(batch[2], dtype=np.float32)) if len(batch) > 2 else None
    if image.ndim != 3 or image.shape != label.shape or np.iscomplexobj(label):
        raise MmsarError(
            f"batch: got {image.dtype} {image.shape} and {label.dtype} {label.shape}, "
            "wanted input and real label, both (batch, y, x)"
        )
    if image.shape[1] % network.multiple or image.shape[2] % network.multiple:
        raise MmsarError(f"batch: got images of {image.shape[1:]} pixels, wanted steps of {network.multiple}")
    if network.inputs == "magnitude":
        channels = np.abs(image)[:, None]
    elif np.iscomplexobj(image):
        channels = np.stack((image.real, image.imag), axis=1)
    else:
        raise MmsarError(f"batch: got {image.dtype} images, wanted complex ones for a network of complex input")
    pair = (torch.from_numpy(np.ascontiguousarray(a, dtype=np.float32)) for a in (channels, label[:, None]))
    return (*pair, scale)


def turned(image: Tensor, label: Tensor, seed: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Every pair of a batch mirrored, or mirrored and transposed where it is square, as `seed` says."""
    square = image.shape[2] == image.shape[3]
    draws = np.random.default_rng(seed).integers(0, 2, (image.shape[0], 3))
    pairs = []
    for pair, (vertical, horizontal, diagonal) in zip(zip(image, label, strict=True), draws, strict=True):
        axes = [axis for axis, drawn in ((1, vertical), (2, horizontal)) if drawn]
        pair = [part.flip(axes) for part in pair]
        pairs.append([part.transpose(1, 2) for part in pair] if square and diagonal else pair)
    images, labels = zip(*pairs, strict=True)
    return torch.stack(images), torch.stack(labels)
