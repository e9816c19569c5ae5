"""Sparse, data-consistent reconstruction: the fewest spikes whose echoes are the samples.

With E sigma the echo of an image and W = |w_c v_n| the weights, the image minimises

    1 / (2 norm) |E sigma - s|_W^2  +  lambda sum_i p_i |sigma_i|           (complex L1)

Its gradient is H sigma - b: b = A s is what the imager A shows, H = A W^-1 A^H norm what it shows of an image's own
echo; every voxel of H has about 1 on the diagonal, so that lambda is an amplitude. At the minimum the imager shows
nothing above lambda p of what the image leaves unexplained, |b - H sigma| <= lambda p, and exactly lambda p, in phase,
where sigma is not 0: that is tested, and is what the iteration stops by.

Solved by the monotone FISTA (Beck and Teboulle, IEEE TIP 18, 2009) with the restart of O'Donoghue and Candes (2015). H
is linear, so that one application serves gradient and objective. In further rounds the penalty is p = 1 / (1 + |sigma'|
/ lambda), sigma' the image before (Candes, Wakin and Boyd 2008): what L1 takes off every amplitude is given back to
strong ones. lambda is `strength` times the peak of b, and never below what noise reaches by chance:

    lambda >= sqrt(ln n_voxels) sigma_b,     sigma_b^2 = (weighted mean of |E sigma - s|^2) sum (w v)^2 / norm^2

with the residual of the round before, at first all the samples: noise alone gives an image of zeros.

The spikes are shown through a blob, exp(-(d / restore)^2) along every axis, as CLEAN restores with its beam.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape
from mmsar.core.memory import budget, require
from mmsar.core.progress import counter
from mmsar.errors import GeometryError
from mmsar.metrics.point import point_cuts
from mmsar.model.image import Image
from mmsar.recon.normal import NormalEquations, dot
from mmsar.recon.operators import Plan
from mmsar.recon.options import SparseOptions

POWER_STEPS = 12
"""Applications of H by which its largest eigenvalue is estimated."""
MARGIN = 1.05
"""What a step is shorter by than that estimate allows; a step that proves too long is shortened further."""
IMAGES = 14
"""Images held and in flight."""
ROUNDING = 1e-6
"""Of the energy of the samples, what the objective may rise by in single precision."""
BLOB_REACH = 4.0
"""A blob is cut where it has fallen to e^-16."""
LOBE = 0.425
"""1/e radius of a blob half as wide as a response, over the full width of that at -3 dB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SparseSolution:
    """Spikes, and how they were found."""

    spikes: np.ndarray
    """sigma, complex64 (n_z, n_y, n_x)."""
    residual: np.ndarray
    """b - H sigma: what the imager shows of the samples that are left, complex64 (n_z, n_y, n_x)."""
    level: float
    """lambda of the last round."""
    penalty: np.ndarray
    """p of the last round, float32 (n_z, n_y, n_x)."""
    noise: float
    """sigma_b: RMS of what the imager makes of white noise as strong as the samples that are left."""
    explained: float
    """Part of the weighted energy of the samples that the echoes of the spikes explain."""
    optimality: float
    """Largest violation of the conditions of the minimum, over lambda."""
    objectives: tuple[tuple[float, ...], ...]
    """The objective of every round, at its start and after every iteration."""

    @property
    def iterations(self) -> int:
        """Of all rounds."""
        return sum(len(values) - 1 for values in self.objectives)


class SparsePlan(NormalEquations):
    """Sparse reconstruction by one imager's plan: weights, step and blob are found once, then it applies to signals.

    Attributes: `plan`, `options`, and `blob`, the radii (x, y, z) of the blob [m].

    Parameters
    ----------
    plan : Plan
        Any imager's plan, of a matched filter (isar: `kernel="matched"`).
    options : SparseOptions, optional
        Strength, iterations, rounds, blob.
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
        options: SparseOptions | None = None,
        *,
        valid: np.ndarray | None = None,
        show: bool | None = None,
    ) -> None:
        super().__init__(plan, valid=valid)
        self.options, self.show = options or SparseOptions(), show
        self._lipschitz, largest = self._measured()
        self.blob = (float(options.restore),) * 3 if options and options.restore is not None else largest

    @staticmethod
    def room(plan: Plan) -> int:
        """Memory held and in flight beside the plan's own [bytes]."""
        return 8 * IMAGES * plan.grid.n_voxels + NormalEquations.signal_room(plan)

    def __call__(
        self, signal: Any, *, start: np.ndarray | None = None, penalty: np.ndarray | None = None
    ) -> SparseSolution:
        """Spikes of a signal.

        Parameters
        ----------
        signal : (n_pose, n_tx, n_rx, n_samples) complex64, or a Scan
            Samples; those of a Scan are read block by block.
        start : (n_z, n_y, n_x) complex array, optional
            Where to begin (zeros).
        penalty : (n_z, n_y, n_x) float array, optional
            p >= 0 of the first round (ones); later rounds multiply it.

        Raises
        ------
        GeometryError
            Arrays of another shape than geometry and grid, samples that are not finite, or a penalty that is not or
            negative.
        """
        shape, options = self.plan.grid.shape, self.options
        given = np.ones(shape, np.float32) if penalty is None else np.asarray(penalty, dtype=np.float32)
        check_shape("SparsePlan penalty", given.shape, shape)
        if not (np.isfinite(given).all() and given.min() >= 0):
            raise GeometryError("SparsePlan penalty: got values that are negative or not finite, wanted p >= 0")
        x = np.zeros(shape, np.complex64) if start is None else np.array(start, dtype=np.complex64)
        check_shape("SparsePlan start", x.shape, shape)
        shown, energy = self.shown(signal)
        fit = _Fit(self, x, shown, energy)
        noise = self._noise(fit.left)
        level, peak, p = self._level(shown, noise), float(np.abs(shown).max()), given
        objectives: list[tuple[float, ...]] = []
        with counter("sparse", options.rounds * options.iterations, self.show) as done:
            for number in range(options.rounds if peak > 0 else 0):
                if number:
                    level = self._level(shown, noise)
                    p = given / (1 + restored(np.abs(fit.x), self._voxels) / np.float32(level))
                before = number * options.iterations
                objectives.append(fit.run(level, p, options, lambda n, before=before: done(before + n)))
                noise = self._noise(fit.left)
        return SparseSolution(
            spikes=fit.x,
            residual=shown - fit.hx,
            level=level,
            penalty=p,
            noise=noise,
            explained=1 - fit.left / energy if energy > 0 else 0.0,
            optimality=fit.violation(level, p) if peak > 0 else 0.0,
            objectives=tuple(objectives),
        )

    def image(self, solution: SparseSolution) -> np.ndarray:
        """The spikes through the blob, complex64 (n_z, n_y, n_x); the spikes themselves for a blob of radius 0."""
        return restored(solution.spikes, self._voxels)

    @property
    def _voxels(self) -> tuple[float, ...]:
        """Radii of the blob in voxels along z, y, x."""
        return tuple(r / d for r, d in zip(self.blob[::-1], self.plan.grid.spacing[::-1], strict=True))

    def _level(self, shown: np.ndarray, noise: float) -> float:
        """lambda."""
        chance = float(np.sqrt(np.log(max(shown.size, 3)))) * noise
        return max(self.options.strength * float(np.abs(shown).max()), chance)

    def _noise(self, left: float) -> float:
        """sigma_b from the weighted mean power of the samples that are left."""
        return float(np.sqrt(max(left, 0.0) / self.share * self.noise_gain))

    def _measured(self) -> tuple[float, tuple[float, float, float]]:
        """The largest eigenvalue of H, with a margin, and the radii of a blob half as wide as a point in the middle."""
        grid = self.plan.grid
        point = np.zeros(grid.shape, dtype=np.complex64)
        point[tuple(n // 2 for n in grid.shape)] = 1
        answer = self.gram(point)
        cuts = point_cuts(
            Image(data=answer, grid=grid), tuple(float(getattr(grid, a)[getattr(grid, a).size // 2]) for a in "xyz")
        )
        radii = [
            0.0 if grid.shape[2 - i] == 1 or not np.isfinite(c.width) else LOBE * c.width for i, c in enumerate(cuts)
        ]
        rng = np.random.default_rng(0)
        x = (
            answer
            + 0.1
            * np.abs(answer).max()
            * rng.standard_normal((*grid.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        )
        largest = 1.0
        for _ in range(POWER_STEPS):
            x /= np.float32(np.linalg.norm(x))
            x = self.gram(x)
            largest = float(np.linalg.norm(x))
        return MARGIN * largest, (radii[0], radii[1], radii[2])


class _Fit:
    """The state of the iteration: x, H x, and what belongs to them."""

    def __init__(self, plan: SparsePlan, x: np.ndarray, shown: np.ndarray, energy: float) -> None:
        self._plan, self._shown, self._energy = plan, shown, energy
        self._lipschitz = plan._lipschitz
        self.x = x
        self.hx = plan.gram(x) if x.any() else np.zeros_like(x)

    @property
    def left(self) -> float:
        """Weighted energy of the samples that x does not explain, over norm."""
        return self._left(self.x, self.hx)

    def _left(self, x: np.ndarray, hx: np.ndarray) -> float:
        return self._energy + dot(x, hx) - 2 * dot(x, self._shown)

    def violation(self, level: float, p: np.ndarray) -> float:
        """Largest violation of the conditions of the minimum by x, over lambda."""
        return _violation(self.x, self._shown - self.hx, level, p)

    def run(self, level: float, p: np.ndarray, options: SparseOptions, done: Any) -> tuple[float, ...]:
        """Go to the minimum; the objective at the start and after every iteration, rising by no more than rounding."""
        threshold = np.float32(level) * p
        y, hy, t = self.x, self.hx, 1.0

        def objective(x: np.ndarray, hx: np.ndarray) -> float:
            return self._left(x, hx) / 2 + float(np.sum(threshold * np.abs(x), dtype=np.float64))

        values = [objective(self.x, self.hx)]
        for n in range(options.iterations):
            step = np.float32(1 / self._lipschitz)
            z = shrunk(y + step * (self._shown - hy), step * threshold)
            hz = self._plan.gram(z)
            value = objective(z, hz)
            done(n + 1)
            if value > values[-1] + ROUNDING * self._energy:
                if t == 1.0:
                    self._lipschitz *= 1.5  # the step was too long
                y, hy, t = self.x, self.hx, 1.0
                values.append(values[-1])
                continue
            uphill = dot(y - z, z - self.x) > 0
            later = 1.0 if uphill else (1 + np.sqrt(1 + 4 * t * t)) / 2
            inertia = np.float32(0.0 if uphill else (t - 1) / later)
            y, hy = z + inertia * (z - self.x), hz + inertia * (hz - self.hx)
            t, self.x, self.hx = later, z, hz
            values.append(value)
            if self.violation(level, p) <= options.tolerance:
                break
        return tuple(values)


def restored(spikes: np.ndarray, radii: tuple[float, ...]) -> np.ndarray:
    """Spikes (n_z, n_y, n_x) through the blob exp(-sum (d / radius)^2), radii in voxels along z, y, x."""
    from scipy.ndimage import convolve1d

    for axis, radius in enumerate(radii):
        reach = int(min(BLOB_REACH * radius, spikes.shape[axis] - 1))
        if reach > 0:
            blob = np.exp(-((np.arange(-reach, reach + 1) / radius) ** 2))
            spikes = convolve1d(spikes, blob, axis=axis, mode="constant")
    return spikes


def shrunk(x: np.ndarray, threshold: Any) -> np.ndarray:
    """Magnitudes less a threshold, phases kept."""
    magnitude = np.abs(x)
    return x * (np.maximum(magnitude - threshold, 0) / np.maximum(magnitude, np.float32(1e-30)))


def _violation(x: np.ndarray, left: np.ndarray, level: float, p: np.ndarray) -> float:
    """Largest of |left| - lambda p where x is 0, and |left - lambda p x / |x|| elsewhere, over lambda."""
    magnitude = np.abs(x)
    on = magnitude > 0
    wanted = np.float32(level) * p
    off = np.abs(left) - wanted
    sure = np.abs(left - wanted * x / np.where(on, magnitude, 1))
    return float(max(np.where(on, sure, off).max(), 0.0)) / level


def sparse_image(
    plan: Plan, signal: Any, options: SparseOptions, *, memory: int | None, show: bool | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """The sparse image of a signal by an imager's plan, complex64 (n_z, n_y, n_x), and what the history is to say.

    Raises
    ------
    MmsarError
        More memory needed than allowed.
    """
    require(
        "sparse",
        plan.nbytes + SparsePlan.room(plan),
        budget(memory),
        "allow more memory (--memory) or use a smaller grid",
    )
    solver = SparsePlan(plan, options, show=show)
    solution = solver(signal)
    told = {
        "strength": options.strength,
        "level": solution.level,
        "noise": solution.noise,
        "rounds": len(solution.objectives),
        "iterations": solution.iterations,
        "optimality": round(solution.optimality, 4),
        "spikes": int(np.count_nonzero(solution.spikes)),
        "explained": round(solution.explained, 4),
        "restore": list(solver.blob),
    }
    return solver.image(solution), told
