"""A signal read in order, part by part: an array, or blocks that are fetched when they are needed."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape


class SignalParts:
    """Consecutive poses of a signal, to be read once.

    Parameters
    ----------
    signal : (n_pose, n_tx, n_rx, n_samples) array, or an object with `blocks()`
        `blocks()` yields (slice of poses, array) in order, as `Scan.blocks` does.
    shape : tuple
        Of the geometry.
    name : str
        Of the method, for the error.

    Raises
    ------
    GeometryError
        A signal of another shape.
    """

    def __init__(self, signal: Any, shape: tuple[int, int, int, int], name: str) -> None:
        lazy = hasattr(signal, "blocks")
        signal = signal if lazy else np.asarray(signal)
        check_shape(f"{name} signal", signal.shape, shape)
        self._blocks = (block for _, block in signal.blocks()) if lazy else iter((signal,))
        self._block, self._done, self._at = (), 0, 0

    def until(self, stop: int, most: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """(first pose, samples) of the parts up to the pose `stop`, of at most `most` poses each."""
        while self._at < stop:
            if self._done == len(self._block):
                self._block, self._done = next(self._blocks), 0
            take = min(len(self._block) - self._done, stop - self._at, most or stop)
            part, first = self._block[self._done : self._done + take], self._at
            self._done, self._at = self._done + take, self._at + take
            yield first, part
