"""A signal that is worked on when it is read: a scan larger than memory stays lazy through the conditioning steps."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mmsar.model.scan import Scan


class LazySignal:
    """A source with shape, dtype and slicing along the first axis, and a function of its blocks.

    Parameters
    ----------
    source : array_like or lazy reader
        complex64, (n_pose, n_tx, n_rx, n_samples); only slices along the first axis are asked of it.
    function : callable
        (block, poses) -> block of the same shape: the samples of some poses, complex64, and their indices (n,).
    """

    def __init__(self, source: Any, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self._source = source
        self._function = function
        self.shape: tuple[int, ...] = tuple(source.shape)
        self.dtype = np.dtype(np.complex64)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        poses = np.arange(self.shape[0])[first]
        if np.ndim(poses) == 0:
            block = self._apply(np.asarray(self._source[int(poses) : int(poses) + 1]), np.atleast_1d(poses))[0]
            return block[tuple(rest)]
        block = self._apply(np.asarray(self._source[first]), poses)
        return block[(slice(None), *rest)] if rest else block

    def _apply(self, block: np.ndarray, poses: np.ndarray) -> np.ndarray:
        return np.asarray(self._function(block, poses), dtype=np.complex64)


def map_poses(scan: Scan, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Any:
    """The scan's signal with `function` applied to it: an array for a signal in memory, else a `LazySignal`.

    An array is worked on block by block, so that nothing but the result is held beside it.
    """
    if not isinstance(scan.signal, np.ndarray):
        return LazySignal(scan.signal, function)
    out = np.empty(scan.shape, dtype=np.complex64)
    for poses, block in scan.blocks():
        out[poses] = function(block, np.arange(poses.start, poses.stop))
    return out
