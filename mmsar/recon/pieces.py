"""What a polar migration takes at a time, so that it keeps within a memory budget.

Pairs of height wavenumbers are shared out into blocks: every block adds its part to the image, and no wave is made
twice. Only where the pixels of one plane are too many for the threads' transforms is the image cut along z as well,
and all waves are made again for every slab of it.
"""

from dataclasses import dataclass, replace

from mmsar.core.nufft import Waves
from mmsar.core.parallel import threads


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
    def nbytes(self) -> int:
        """Memory in flight: a block's planes, the threads' transforms and products [bytes]."""
        _, n_y, n_x = self.shape
        columns = self.sides * self.block
        rows = min(columns, int(self.coarse[0] * columns) + self.sides * (self.coarse[1] + 2))
        waves = Waves.nbytes((self.slab, n_x), self.sides, self.n_waves) + 48 * self.n_waves
        heights = 8 * (rows * (2 * n_x + n_y) + 2 * n_y * n_x)  # the matrix library packs copies of its operands
        planes = 8 * columns * self.slab * n_x + 16 * rows * n_y
        # the threads' transforms are held while the heights are made
        return planes + min(threads(), self.block) * waves + min(threads(), self.slab) * heights

    def within(self, room: int) -> "Pieces":
        """The largest pieces that take at most `room` bytes; the smallest there are where none do."""
        few = min(threads(), self.n_pairs)
        block = _largest(self.block, few, lambda n: replace(self, block=n).nbytes <= room)
        pieces = replace(self, block=block)
        slab = _largest(self.slab, 1, lambda n: replace(pieces, slab=n).nbytes <= room)
        return replace(pieces, slab=slab)


def _largest(most: int, least: int, fits) -> int:
    """The largest n from `least` to `most` that fits, or `least`; what fits at n fits below."""
    if most <= least or fits(most):
        return most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least
