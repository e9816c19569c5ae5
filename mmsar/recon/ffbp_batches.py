"""How many grids of factorised back-projection are held at once: clusters are worked depth first, some at a time.

The fields of a few clusters of the highest level are made from those of their children, these from theirs, and so on,
before the next few are begun. Where all clusters of two neighbouring levels fit they are worked level by level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmsar.core.parallel import threads

ROOM_PER_CORE = 32 * 2**20
"""Bytes of grids held at once for every core, unless the budget leaves less: enough to keep all at work."""


@dataclass(frozen=True)
class Batches:
    """Clusters of one level held at once, at most, and the `nbytes` of grids that are held then."""

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

    def runs(self, a: int, b: int) -> Iterator[tuple[int, int]]:
        """Runs of at most `step` of the clusters a to before b."""
        return ((c, min(c + self.step, b)) for c in range(a, b, self.step))


def default_room() -> int:
    """Bytes of grids held at once where the budget allows it."""
    return ROOM_PER_CORE * threads()


def _peak(level: int, count: int, step: int, sizes: Sequence[int], children: Sequence[np.ndarray]) -> int:
    """Most floats held while the fields of `count` neighbouring clusters of a level are made, these included."""
    own = count * sizes[level]
    if level == 0:
        return own
    first = children[level - 1]
    below = int((first[count:] - first[:-count]).max())
    if below <= step:
        return max(_peak(level - 1, below, step, sizes, children), own + below * sizes[level - 1])
    few = np.unique(np.diff(first))
    part = 0 if len(few) == 1 and step % few[0] == 0 else min(count, step // int(few[0]) + 2)  # added up apart
    return own + max(_peak(level - 1, step, step, sizes, children), part * sizes[level] + step * sizes[level - 1])
