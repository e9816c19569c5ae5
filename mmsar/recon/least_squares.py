r"""Images by least squares: the scene whose echo is nearest to the samples; what is bright is bound less than the dark.

An imager shows b = A s, a scene x seen through the aperture: sidelobes and neighbours add. Here the scene itself is
looked for (H and b as in `recon.normal`),

    min  |E x - s|_W^2 / norm + lambda |w^(-1/2) x|^2,      (w^(1/2) H w^(1/2) + lambda) y = w^(1/2) b,   x = w^(1/2) y

by a few iterations of conjugate gradients, several rounds of them: w = |x| of the round before, smoothed over a voxel
and not below `FLOOR` of its peak (at first 1). It is the regularised inversion that feature-enhanced imaging makes
(Cetin and Karl, IEEE Trans. Image Processing 10, 2001, with |x|^1) by iteratively reweighted least squares. Sidelobes
go, surfaces stay surfaces, and what is dim stays. lambda is `damping` times the
energy that the brightest image of the samples has in its own image; so few iterations are part of the damping, too.

It believes the positions: where poses are wrong, it explains errors by a scene (docs/methods.md has the scores).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmsar.core.memory import budget, require
from mmsar.core.progress import counter
from mmsar.model.grid import ImageGrid
from mmsar.recon.normal import NormalEquations, dot
from mmsar.recon.operators import Plan
from mmsar.recon.options import LeastSquaresOptions

FLOOR = 3e-3
"""Least weight w, re its peak."""
IMAGES = 16
"""Images held and in flight."""
MARGIN = 12
"""Voxels around what is asked for: what lies beyond a grid is explained by voxels at its edge."""


def weights(scene: np.ndarray) -> np.ndarray:
    """w^(1/2) of a scene (n_z, n_y, n_x): roots of its magnitudes, smoothed, the peak 1; float32."""
    from scipy.ndimage import gaussian_filter

    power = gaussian_filter(np.abs(scene) ** 2, (0, 1, 1))
    return np.maximum(power / max(power.max(), 1e-30), FLOOR**2).astype(np.float32) ** np.float32(0.25)


def reweighted(
    gram: Callable[[np.ndarray], np.ndarray],
    shown: np.ndarray,
    *,
    damping: float,
    rounds: int,
    iterations: int,
    done: Callable[[int], None] = lambda n: None,
) -> np.ndarray:
    """The scene x of some shape, complex64, with H x near b.

    Parameters
    ----------
    gram : callable
        H: images to images.
    shown : complex64 array
        b.
    damping, rounds, iterations
        As `LeastSquaresOptions`.
    done : callable, optional
        Is told how many iterations of all rounds are over.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    root, scene, ran = np.ones(shown.shape, dtype=np.float32), None, 0
    for _ in range(rounds):
        right = root * shown
        power = max(float(np.sum(np.abs(right) ** 2)), 1e-30)
        bound = np.float32(damping * dot(root * right, gram(root * right)) / power)

        def normal(y: np.ndarray, root=root, bound=bound) -> np.ndarray:
            y = y.reshape(shown.shape)
            return (root * gram(root * y) + bound * y).ravel()

        def told(_: np.ndarray) -> None:
            nonlocal ran
            ran += 1
            done(ran)

        operator = LinearOperator((right.size, right.size), matvec=normal, dtype=np.complex64)
        start = None if scene is None else (scene / root).ravel()
        found, _ = cg(operator, right.ravel(), x0=start, rtol=1e-5, maxiter=iterations, callback=told)
        scene = root * found.reshape(shown.shape).astype(np.complex64, copy=False)
        root = weights(scene)
    return scene


@dataclass(frozen=True, kw_only=True, eq=False)
class LeastSquaresSolution:
    """A scene, and how well it explains the samples."""

    scene: np.ndarray
    """x, complex64 (n_z, n_y, n_x)."""
    residual: np.ndarray
    """b - H x: what the imager shows of the samples that are left, complex64 (n_z, n_y, n_x)."""
    explained: float
    """Part of the weighted energy of the samples that the echo of the scene explains."""
    shown: np.ndarray
    """b, what the imager shows, complex64 (n_z, n_y, n_x)."""

    def image(self, part: tuple[slice, ...] = (slice(None),) * 3) -> np.ndarray:
        """A part of the scene (all), complex64 (n_z, n_y, n_x), at the imager's scale: next to the voxel that is the
        brightest in what the imager shows of that part, it is as bright. (A point's own energy is spread over several
        voxels of the scene.)"""
        from scipy.ndimage import maximum_filter

        scene, shown = self.scene[part], np.abs(self.shown[part])
        brightest = np.unravel_index(shown.argmax(), shown.shape)
        there = maximum_filter(np.abs(scene), 3, mode="constant")[brightest]
        return scene * np.float32(shown[brightest] / there if there > 0 else 1.0)


class LeastSquaresPlan(NormalEquations):
    """Least squares by one imager's plan: weights are found once, then it applies to signals.

    Parameters
    ----------
    plan : Plan
        Any imager's plan, of a matched filter (isar: `kernel="matched"`).
    options : LeastSquaresOptions, optional
        Damping, rounds, iterations.
    valid : (n_pose, n_tx, n_rx) bool array, optional
        Channels that count, beside those of weight 0 in the geometry, which never do.
    show : bool, optional
        Progress bar: True, False, or only on a terminal.

    Raises
    ------
    GeometryError
        A mask of another shape, or without a channel.
    """

    def __init__(
        self,
        plan: Plan,
        options: LeastSquaresOptions | None = None,
        *,
        valid: np.ndarray | None = None,
        show: bool | None = None,
    ) -> None:
        super().__init__(plan, valid=valid)
        self.options, self.show = options or LeastSquaresOptions(), show

    @staticmethod
    def room(plan: Plan) -> int:
        """Memory held and in flight beside the plan's own [bytes]."""
        return 8 * IMAGES * plan.grid.n_voxels + NormalEquations.signal_room(plan)

    def __call__(self, signal: Any) -> LeastSquaresSolution:
        """The scene of a signal (n_pose, n_tx, n_rx, n_samples), or of a Scan, which is read block by block.

        Raises
        ------
        GeometryError
            Samples of another shape than the geometry, or not finite.
        """
        options = self.options
        shown, energy = self.shown(signal)
        if not shown.any():
            return LeastSquaresSolution(scene=shown, residual=shown, explained=0.0, shown=shown)
        with counter("least squares", options.rounds * options.iterations, self.show) as done:
            scene = reweighted(
                self.gram,
                shown,
                damping=options.damping,
                rounds=options.rounds,
                iterations=options.iterations,
                done=done,
            )
        own = self.gram(scene)
        return LeastSquaresSolution(
            scene=scene,
            residual=shown - own,
            explained=(2 * dot(scene, shown) - dot(scene, own)) / energy,
            shown=shown,
        )


def widened(grid: ImageGrid) -> tuple[ImageGrid, tuple[slice, ...]]:
    """A grid with `MARGIN` voxels more on all sides along x and y, where there are several, and where the given one is
    in it."""
    more = [0, *(MARGIN * (n > 1) for n in grid.shape[1:])]
    origin = tuple(o - n * d for o, n, d in zip(grid.origin, more[::-1], grid.spacing, strict=True))
    shape = tuple(n + 2 * m for n, m in zip(grid.shape, more, strict=True))
    return replace(grid, shape=shape, origin=origin), tuple(
        slice(m, m + n) for n, m in zip(grid.shape, more, strict=True)
    )


def least_squares_image(
    plan: Plan,
    signal: Any,
    options: LeastSquaresOptions,
    part: tuple[slice, ...] = (slice(None),) * 3,
    *,
    memory: int | None,
    show: bool | None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """A part of the image of a signal by least squares and an imager's plan, complex64 (n_z, n_y, n_x), and what the
    history is to say.

    Raises
    ------
    MmsarError
        More memory needed than allowed.
    """
    needed = plan.nbytes + LeastSquaresPlan.room(plan)
    require("least squares", needed, budget(memory), "allow more memory (--memory) or use a smaller grid")
    solution = LeastSquaresPlan(plan, options, show=show)(signal)
    told = {
        "damping": options.damping,
        "rounds": options.rounds,
        "iterations": options.iterations,
        "explained": round(solution.explained, 4),
    }
    return solution.image(part), told
