"""How many grids of factorised back-projection are held at once: clusters are worked depth first, some at a time.

The fields of a few clusters of the highest level are made from those of their children, these from theirs, and so on,
before the next few are begun. Where all clusters of two neighbouring levels fit they are worked level by level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

ROOM = 64 * 2**20
"""Bytes of grids held at once, unless the budget leaves less: enough to keep all cores at work."""


@dataclass(frozen=True)
class Batches:
    """Clusters of one level taken at once, and the `nbytes` of grids that are held then."""

    step: int
    nbytes: int

    @classmethod
    def of(cls, sizes: Sequence[int], starts: Sequence[np.ndarray], room: int) -> "Batches":
        """The largest step that keeps within `room` bytes; one cluster at a time where none does.

        Parameters
        ----------
        sizes : sequence of int
            Floats of a grid of every level in use, from the leaves up.
        starts : sequence of (n + 1,) int64
            First channel of every cluster of these levels, and the end.
        """
        children = [np.searchsorted(below, above) for below, above in pairwise(starts)]
        counts = [len(start) - 1 for start in starts]
        step = 1 << int(np.ceil(np.log2(max(counts))))
        while True:
            needed = 4 * _peak(len(sizes) - 1, min(step, counts[-1]), step, sizes, children)
            if needed <= room or step == 1:
                return cls(step, needed)
            step //= 2


def _peak(level: int, count: int, step: int, sizes: Sequence[int], children: Sequence[np.ndarray]) -> int:
    """Most floats held while the fields of `count` neighbouring clusters of a level are made, these included."""
    own = count * sizes[level]
    if level == 0:
        return own
    first, taken = children[level - 1], min(count, step)
    below = int((first[taken:] - first[:-taken]).max())
    deeper = _peak(level - 1, below, step, sizes, children)
    return max(deeper, own + below * sizes[level - 1]) if count <= step else own + deeper
