"""Batches of crops from a file of training pairs, for `mmsar.enhance.train.loop`.

Image and label of a pair are brought to one unit, the robust scale s of the whole image: the network sees x / s and is
to return c y / s, where

    c = sum |x| y / sum y^2        (least squares; 0 for an empty scene)

brings the label y to the brightness the image has. An image that position errors have dimmed is so compared with a
label as dim: a network cannot know how much coherence was lost, only how amplitudes of one image compare.
"""

from collections.abc import Iterator

import numpy as np

from mmsar.core.checks import one_of, positive_int
from mmsar.enhance.statistics import robust_scale
from mmsar.enhance.train.batches import Batch
from mmsar.errors import MmsarError
from mmsar.io.pairs_h5 import PairFile

LABELS = ("physical", "ideal")


def to_one_unit(image: np.ndarray, label: np.ndarray) -> tuple[np.float32, np.float32]:
    """The factors 1 / s of an image (y, x) and c / s of its label that bring both to one unit."""
    magnitude, energy = np.abs(image), float(np.vdot(label, label))
    scale = robust_scale(magnitude[None]) or 1.0
    c = float(np.vdot(magnitude, label)) / energy if energy > 0 else 0.0
    return np.float32(1 / scale), np.float32(c / scale)


class _Pairs:
    """Pairs of one split in one unit; the factors are found once per pair."""

    def __init__(self, file: PairFile, split: str, label: str) -> None:
        self._file, self._label = file, one_of("label", label, LABELS)
        self.index = [int(i) for i in file.select(split=split)]
        if not self.index:
            raise MmsarError(f"{file.path}: got no finished pairs of the split {split!r}, wanted some; make more pairs")
        self.sides = file.shape[1:]
        self._factors: dict[int, tuple[np.float32, np.float32]] = {}

    def crop(self, index: int, start: tuple[int, int], side: int) -> tuple[np.ndarray, np.ndarray]:
        """Input complex64 and label float32 of a part of a pair."""
        if index not in self._factors:
            self._factors[index] = to_one_unit(*self._file.images(index, self._label))
        part = tuple(slice(first, first + side) for first in start)
        image, label = self._file.images(index, self._label, part)
        own, wanted = self._factors[index]
        return image * own, label * wanted


class PairBatches:
    """An endless stream of batches; batch n depends on the seed and n only, so that a run can be resumed anywhere.

    Parameters
    ----------
    file : PairFile
        Pairs; those of the split "train" are used.
    label : {"physical", "ideal"}
        Which label is learned.
    crop : int
        Side of the crops [pixels]; images of at most that side are used whole.
    batch : int
        Crops per batch.
    seed : int
        Of the choice of pairs and crops.

    Raises
    ------
    MmsarError
        An unknown label, or a file without pairs for training.
    """

    def __init__(self, file: PairFile, *, label: str = "physical", crop: int = 128, batch: int = 8, seed: int = 0):
        self._pairs = _Pairs(file, "train", label)
        self.crop, self.batch, self.seed = positive_int("crop", crop), positive_int("batch", batch), seed

    def first(self, count: int) -> list[int]:
        """The first `count` samples that are trained on."""
        return self._pairs.index[:count]

    def starting(self, first: int) -> Iterator[Batch]:
        """Batch number `first` and all that follow."""
        while True:
            yield self._batch(first)
            first += 1

    def __iter__(self) -> Iterator[Batch]:
        return self.starting(0)

    def _batch(self, number: int) -> Batch:
        rng = np.random.default_rng((self.seed, number))
        parts = []
        for index in rng.choice(self._pairs.index, self.batch):
            y, x = (int(rng.integers(0, max(n - self.crop, 0) + 1)) for n in self._pairs.sides)
            parts.append(self._pairs.crop(int(index), (y, x), self.crop))
        images, labels = zip(*parts, strict=True)
        return np.stack(images), np.stack(labels), np.ones(self.batch, dtype=np.float32)


class WholePairs:
    """Images of the split "validation", one per batch, the same at each iteration.

    Parameters
    ----------
    file, label
        As `PairBatches`.
    count : int
        Pairs at most.
    crop : int
        Images are cut to this side round their middle [pixels].

    Raises
    ------
    MmsarError
        An unknown label, or a file without pairs for validation.
    """

    def __init__(self, file: PairFile, *, label: str = "physical", count: int = 200, crop: int = 256) -> None:
        self._pairs = _Pairs(file, "validation", label)
        self._count, self._crop = positive_int("count", count), positive_int("crop", crop)

    def __iter__(self) -> Iterator[Batch]:
        y, x = (max(n - self._crop, 0) // 2 for n in self._pairs.sides)
        for index in self._pairs.index[: self._count]:
            image, label = self._pairs.crop(index, (y, x), self._crop)
            yield image[None], label[None], np.ones(1, dtype=np.float32)
