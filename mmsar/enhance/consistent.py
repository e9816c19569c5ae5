"""Sparse reconstruction as a contestant of the evaluation: it is given the samples, not the image of them."""

from typing import Any

import numpy as np

from mmsar.recon.options import SparseOptions
from mmsar.recon.sparse import SparsePlan


class Consistent:
    """Samples to a sparse image of magnitudes by `recon.sparse`; the last solver is kept for its plan.

    Parameters
    ----------
    options : SparseOptions
        With the blob of the labels as `restore`.
    """

    def __init__(self, options: SparseOptions) -> None:
        self._options = options
        self._last: SparsePlan | None = None

    def __call__(self, plan: Any, signal: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
        """Magnitudes (y, x) of one slice.

        Parameters
        ----------
        plan : Plan
            The imager's; its grid has one voxel along z.
        signal : (n_pose, n_tx, n_rx, n_samples) complex64
        valid : (n_pose, n_tx, n_rx) bool array, optional
            False for channels that are lost.
        """
        if valid is not None and not valid.all():
            solver = SparsePlan(plan, self._options, valid=valid, show=False)
        elif self._last is not None and self._last.plan is plan:
            solver = self._last
        else:
            solver = self._last = SparsePlan(plan, self._options, show=False)
        return np.abs(solver.image(solver(signal))[0])
