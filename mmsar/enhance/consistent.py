"""Sparse reconstruction as a contestant of the evaluation: it is given the samples, not the image of them."""

from typing import Any

import numpy as np

from mmsar.recon.options import SparseOptions
from mmsar.recon.sparse import SparsePlan


class Consistent:
    """Samples to a sparse image of magnitudes by `recon.sparse`; step lengths are kept with their plans.

    Parameters
    ----------
    options : SparseOptions
        With the blob of the labels as `restore`.
    """

    def __init__(self, options: SparseOptions) -> None:
        self._options = options
        self._solvers: dict[int, SparsePlan] = {}

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
        if valid is None or valid.all():
            if id(plan) not in self._solvers:  # a solver holds its plan: ids stay its own
                self._solvers[id(plan)] = SparsePlan(plan, self._options, show=False)
            solver = self._solvers[id(plan)]
        else:
            solver = SparsePlan(plan, self._options, valid=valid, show=False)
        return np.abs(solver.image(solver(signal))[0])
