"""What a polar migration takes at a time, so that it keeps within a memory budget.

Pairs of height wavenumbers are shared out into blocks: every block adds its part to the image, and no wave is made
twice. Only where the pixels of one plane are too many for the threads' transforms is the image cut along z as well,
and all waves are made again for every slab of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mmsar.core.nufft import Waves
from mmsar.core.parallel import threads
from mmsar.model.grid import ImageGrid
from mmsar.recon.heights import SIGMA, kernel_width

PLANES = 2**27
"""Planes of a block that larger ones would not be faster than [bytes]."""

LIBRARIES = 3 * 2**20
"""Stacks of threads and buffers of libraries, whatever the size, as measured [bytes]."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Sizes of a migration and of its pieces."""

    shape: tuple[int, int, int]
    """The image's (n_z, n_y, n_x)."""
    n_pairs: int
    """Pairs of height wavenumbers -|ky| and |ky|."""
    sides: int
    """Height wavenumbers in a pair: 2, or 1 where there is but ky = 0."""
    n_waves: int
    """Frequencies times directions."""
    coarse: tuple[float, int]
    """Rows of the coarse grid of heights that a wavenumber adds, and those it reaches (`recon.heights`)."""
    block: int
    """Pairs at a time."""
    slab: int
    """Pixels along z at a time."""

    @property
    def n_blocks(self) -> int:
        """Blocks of pairs."""
        return -(-self.n_pairs // self.block)

    @property
    def n_slabs(self) -> int:
        """Slabs along z."""
        return -(-self.shape[0] // self.slab)

    @property
    def count(self) -> int:
        """Blocks times slabs."""
        return self.n_blocks * self.n_slabs

    @property
    def rows(self) -> int:
        """Most rows of the coarse grid of heights that a block reaches."""
        columns = self.sides * self.block
        return min(columns, int(self.coarse[0] * columns) + self.sides * (self.coarse[1] + 2))

    @property
    def nbytes(self) -> int:
        """Memory in flight: a block's planes, the threads' transforms and products [bytes]."""
        _, n_y, n_x = self.shape
        columns, rows = self.sides * self.block, self.rows
        waves = Waves.nbytes((self.slab, n_x), self.sides, self.n_waves) + 48 * self.n_waves
        heights = 8 * (rows * (2 * n_x + n_y) + 2 * n_y * n_x)  # the matrix library packs copies of its operands
        planes = 8 * columns * self.slab * n_x + 16 * rows * n_y
        # the threads' transforms are held while the heights are made
        return LIBRARIES + planes + min(threads(), self.block) * waves + min(threads(), self.slab) * heights

    def within(self, room: int) -> "Pieces":
        """The largest pieces that take at most `room` bytes; the smallest there are where none do."""
        few = min(threads(), self.n_pairs)
        block = _largest(self.block, few, lambda n: replace(self, block=n).nbytes <= room)
        pieces = replace(self, block=block)
        slab = _largest(self.slab, 1, lambda n: replace(pieces, slab=n).nbytes <= room)
        return replace(pieces, slab=slab)


def whole_image(grid: ImageGrid, *, n_pairs: int, dky: float, sides: int, n_waves: int, eps: float) -> Pieces:
    """The pieces where nothing bounds the memory: as few blocks as have planes of `PLANES` bytes.

    Parameters
    ----------
    grid : ImageGrid
        The image.
    n_pairs, dky : int, float
        Pairs of height wavenumbers, a step dky [rad/m] apart.
    sides, n_waves : int
        As of `Pieces`.
    eps : float
        Accuracy of the transforms.
    """
    ratio = SIGMA * grid.shape[1] * grid.spacing[1] * dky / (2 * np.pi) if grid.shape[1] > 1 else 0.0
    n_pairs = max(1, n_pairs)
    block = PLANES // (8 * sides * grid.shape[0] * grid.shape[2])
    return Pieces(
        shape=grid.shape,
        n_pairs=n_pairs,
        sides=sides,
        n_waves=n_waves,
        coarse=(ratio, kernel_width(eps)),
        block=int(np.clip(block, min(threads(), n_pairs), n_pairs)),
        slab=grid.shape[0],
    )


def _largest(most: int, least: int, fits: Callable[[int], bool]) -> int:
    """The largest n from `least` to `most` that fits, or `least`; what fits at n fits below."""
    if most <= least or fits(most):
        return most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least
