"""Signals that stay in their file: read pose by pose when asked for."""

from typing import Any

import numpy as np


class FileSignal:
    """Beat samples with shape, dtype and slicing along the first axis; subclasses read a run of poses.

    Indexing returns complex64 arrays and works along the first axis like numpy's: an integer, a slice, indices or a
    mask; further indices apply to what was read. Nothing but paths and numbers is held, so it can be pickled.
    """

    dtype = np.dtype(np.complex64)
    ndim = 4

    def __init__(self, shape: tuple[int, int, int, int], int16_scale: float | None = None) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.int16_scale = int16_scale
        """The factor of the whole-number samples behind the signal, or None when they are not whole numbers."""

    def _read(self, first: int, last: int) -> np.ndarray:
        """Poses first .. last-1, complex64, (n, n_tx, n_rx, n_samples)."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a lazy signal has to be read; wanted copy=None or copy=True")
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        first_key, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if first_key is Ellipsis:
            return self[:][key]
        index = np.arange(self.shape[0])[first_key]
        if np.ndim(index) == 0:
            return self._read(int(index), int(index) + 1)[(0, *rest)]
        runs = np.split(index, np.flatnonzero(np.diff(index) != 1) + 1) if index.size else []
        if not runs:
            block = np.empty((0, *self.shape[1:]), dtype=self.dtype)
        elif len(runs) == 1:
            block = self._read(int(runs[0][0]), int(runs[0][-1]) + 1)
        else:
            block = np.empty((index.size, *self.shape[1:]), dtype=self.dtype)
            start = 0
            for run in runs:
                block[start : start + len(run)] = self._read(int(run[0]), int(run[-1]) + 1)
                start += len(run)
        return block[(slice(None), *rest)] if rest else block

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape})"
