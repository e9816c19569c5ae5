"""Imaging as a linear operator, for solvers, and the dot-product test of its adjoint.

A plan A maps a signal to an image, A s = (1 / norm) W^H s. The operator here is the other direction, image to signal,
F = A^H: the weighted Born forward model divided by `Geometry.norm`. A solver that fits signals in their own scale
minimises |norm F sigma - s|.
"""

from typing import TYPE_CHECKING, Protocol

import numpy as np

from mmsar.model import Geometry, ImageGrid

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class Plan(Protocol):
    """What every imager's plan offers."""

    geometry: Geometry
    grid: ImageGrid
    nbytes: int

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Signal (n_pose, n_tx, n_rx, n_samples) to image (n_z, n_y, n_x), complex64."""

    def adjoint(self, data: np.ndarray) -> np.ndarray:
        """Image to signal: the conjugate transpose."""


def linear_operator(plan: Plan) -> "LinearOperator":
    """The forward model F = A^H as a scipy LinearOperator: flattened image to flattened signal.

    Parameters
    ----------
    plan : Plan
        Any imager's plan; `matvec` is `plan.adjoint`, `rmatvec` is `plan`.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        Shape (n_pose n_tx n_rx n_samples, n_voxels), complex64. Its `matvec` of a unit voxel is 1 / norm times the
        weighted echo of a unit point; multiply by `plan.geometry.norm` for the echo itself.
    """
    from scipy.sparse.linalg import LinearOperator

    signal, image = plan.geometry.shape, plan.grid.shape
    return LinearOperator(
        shape=(int(np.prod(signal)), int(np.prod(image))),
        dtype=np.dtype(np.complex64),
        matvec=lambda x: plan.adjoint(np.asarray(x, dtype=np.complex64).reshape(image)).ravel(),
        rmatvec=lambda y: plan(np.asarray(y, dtype=np.complex64).reshape(signal)).ravel(),
    )


def dot_test(plan: Plan, seed: int = 0) -> float:
    """Relative mismatch |<A s, m> - <s, A^H m>| / |<A s, m>|; about 1e-6 for a true adjoint.

    s is random and m = A s plus noise of the same size, so that the products are large and a wrong adjoint cannot
    hide behind them being small.

    Parameters
    ----------
    plan : Plan
        Any imager's plan.
    seed : int
        Seed of the random signal and image.

    Examples
    --------
    >>> import mmsar
    >>> from mmsar.recon import bpa
    >>> from mmsar.recon.operators import dot_test
    >>> from mmsar.simulate.scene import Scene
    >>> chirp = mmsar.Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=8)
    >>> path, board = mmsar.Trajectory.linear(20, 1e-3), mmsar.AntennaArray.single()
    >>> scan = mmsar.simulate(Scene.points([[0.0, 0.0, 0.3]]), chirp=chirp, array=board, trajectory=path)
    >>> grid = mmsar.ImageGrid.from_extent((-0.02, 0.02), 0.0, 0.3, spacing=1e-3)
    >>> dot_test(bpa.plan(scan.geometry, grid)) < 1e-4
    True
    """
    rng = np.random.default_rng(seed)
    signal = _normal(rng, plan.geometry.shape)
    forward = plan(signal)
    noise = _normal(rng, plan.grid.shape)
    image = forward + noise * np.float32(np.linalg.norm(forward) / np.linalg.norm(noise))
    one = np.vdot(image.astype(np.complex128), forward)
    two = np.vdot(plan.adjoint(image).astype(np.complex128), signal)
    return float(abs(one - two) / abs(one))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
