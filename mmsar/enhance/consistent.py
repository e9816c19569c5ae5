"""Contestants of the evaluation that are given the samples, not the image of them."""

from typing import Any

import numpy as np

from mmsar.enhance.dataset import ERROR_DB, Observed
from mmsar.enhance.evaluation import Contestant
from mmsar.model.scan import Geometry
from mmsar.recon import nufft
from mmsar.recon.least_squares import LeastSquaresPlan
from mmsar.recon.options import LeastSquaresOptions, ReconOptions, SparseOptions
from mmsar.recon.sparse import SparsePlan

SQUARES = "least squares"


def seen_from(
    name: str, geometry: Geometry, observed: Observed, *, squares: LeastSquaresOptions | None, network: Contestant
) -> dict[str, np.ndarray]:
    """Magnitudes (y, x) of a pair's samples at some positions, by name: the image, that by least squares, and each as a
    network makes it."""
    plan = nufft.plan(geometry, observed.plan.grid, options=ReconOptions(error_db=ERROR_DB, progress=False))
    found = {name: plan(observed.signal)[0]}
    if squares is not None:
        solver = LeastSquaresPlan(plan, squares, valid=observed.valid, show=False)
        found[f"{name}, {SQUARES}"] = solver(observed.signal).image()[0]
    made = {n: network.run(image / np.float32(np.abs(image).max() or 1)) for n, image in found.items()}
    return {n: np.abs(image) for n, image in found.items()} | {f"{n}, {network.name}": x for n, x in made.items()}


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
