"""Points and displacements of the antennas together, by least squares (Levenberg-Marquardt).

    y_c ~ sum_m a_m p_m,c v(R_c,m),    R_c,m = |q - tx_c| + |q - rx_c|,   q = r_m - sum_g u_g B_cg

with v(R) = U^H e(R) of `Observation` and p_m,c = 1 + sum_h b_m,h T_h(c), real: how strongly a point is seen from
different sides (spreading, element patterns, its own shape), T being two harmonics of the angle and two powers of the
height. Free are the displacements u, the places r of all points but the pins, every complex a and real b. The
derivative by u_g is that of the path, -(unit vectors) . B_cg.

Stated errors: with N = Re(J^H J) and s^2 the mean square of a complex residual, Fisher's covariance is
s^2 / 2 N^-1; residuals that are not white (echoes of what is no point) are covered by leaving out one of `BLOCKS`
sectors at a time, to first order: u_(-b) = u - (N - N_b)^-1 g_b. The larger of both is stated.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mmsar.core.parallel import one_blas_thread
from mmsar.focus.observation import MOVES, N_SHADES, Observation

BLOCKS = 16
"""Sectors of the aperture, for the jackknife."""
ITERATIONS = 40
"""Of least squares, at most."""
SETTLED = 0.01
"""A fall of the residual's energy that is not worth another iteration, in mean energies of a sample."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PointModel:
    """Points of complex amplitude, seen by antennas displaced by `moves`."""

    points: np.ndarray
    """Places [m], (m, 3)."""
    amplitude: np.ndarray
    """complex128 (m,)."""
    moves: np.ndarray
    """Sizes of `MOVES` [m], (5,)."""
    shading: np.ndarray
    """b of every point, (m, 6)."""
    pins: int = 0
    """The first so many points stand where they are."""

    def paths(self, seen: Observation, m: int, channels: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Path lengths (n,) of a point and their derivative by its place (n, 3)."""
        place = self.points[m] - np.tensordot(seen.basis[channels], self.moves, axes=(1, 0))
        legs = [place - seen.tx[channels], place - seen.rx[channels]]
        length = [np.linalg.norm(leg, axis=1) for leg in legs]
        return length[0] + length[1], legs[0] / length[0][:, None] + legs[1] / length[1][:, None]

    @classmethod
    def of_pins(cls, pins: np.ndarray, moves: np.ndarray) -> "PointModel":
        """Only pins, of no amplitude yet."""
        n = len(pins)
        return cls(
            points=pins, amplitude=np.zeros(n, dtype=complex), moves=moves, shading=np.zeros((n, N_SHADES)), pins=n
        )

    def with_point(self, place: np.ndarray) -> "PointModel":
        """One point more at `place` (3,), of no amplitude yet."""
        return replace(
            self,
            points=np.vstack([self.points, place]),
            amplitude=np.append(self.amplitude, 0),
            shading=np.vstack([self.shading, np.zeros(N_SHADES)]),
        )

    def shade(self, seen: Observation, m: int, channels: slice = slice(None)) -> np.ndarray:
        """p of a point, (n, 1)."""
        return 1 + seen.shades[channels] @ self.shading[m][:, None]

    def residual(self, seen: Observation) -> np.ndarray:
        """Samples less the model, (n, q)."""
        left = seen.data.copy()
        for m, a in enumerate(self.amplitude):
            left -= a * self.shade(seen, m) * seen.echo(self.paths(seen, m)[0])[0]
        return left

    def with_amplitudes(self, seen: Observation) -> "PointModel":
        """The same points with the amplitudes that fit best."""
        points = range(len(self.points))
        columns = [(self.shade(seen, m) * seen.echo(self.paths(seen, m)[0])[0]).ravel() for m in points]
        columns = np.stack(columns, axis=1)
        normal = columns.conj().T @ columns
        normal[np.diag_indices_from(normal)] *= 1 + 1e-9
        return replace(self, amplitude=np.linalg.solve(normal, columns.conj().T @ seen.data.ravel()))


def energy(samples: np.ndarray) -> float:
    """Sum of squares."""
    return float(np.vdot(samples, samples).real)


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """A fitted model and how well its displacements are known."""

    model: PointModel
    """The points and displacements."""
    sigma: np.ndarray
    """Standard error of every displacement [m], (5,); 0 for those not free."""
    sigma_with_bias: np.ndarray
    """The same if every path were longer by an unknown constant too."""
    explained: float
    """Share of the energy within the gate that the points explain."""


def fit_points(
    seen: Observation, model: PointModel, *, free: list[int], flat: bool, settled: float = SETTLED
) -> Solution:
    """Fit places, amplitudes and the displacements `free` (indices of `MOVES`); `flat` keeps every y.

    A start within about a quarter of a wavelength of path length converges. It ends when the energy left falls by less
    than `settled` times the mean energy of a sample.
    """
    axes = [0, 2] if flat else [0, 1, 2]
    with one_blas_thread():
        return _fit(seen, model, free, axes, settled)


def _fit(seen: Observation, model: PointModel, free: list[int], axes: list[int], settled: float) -> Solution:
    damping = 1e-3
    blocks = _normals(seen, model, free, axes)
    for _ in range(ITERATIONS):
        normal, gradient, left = _total(blocks)
        step = _solve(normal[:-1, :-1], gradient[:-1], damping)
        tried = _stepped(model, step, free, axes)
        new = _normals(seen, tried, free, axes)
        gain = left - _total(new)[2]
        if gain > 0:
            model, blocks = tried, new
            damping = max(damping / 10, 1e-9)
            if gain < settled * left / seen.data.size:
                break
        elif damping > 1e6:
            break
        else:
            damping *= 10
    return Solution(
        model=model,
        sigma=_sigma(blocks, free, seen.data.size, slice(None, -1)),
        sigma_with_bias=_sigma(blocks, free, seen.data.size, slice(None)),
        explained=1 - _total(blocks)[2] / energy(seen.data),
    )


def _total(blocks: list[tuple[np.ndarray, np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray, float]:
    normal, gradient, left = (sum(part[i] for part in blocks) for i in range(3))
    return normal, gradient, left


def _solve(normal: np.ndarray, right: np.ndarray, damping: float) -> np.ndarray:
    """Solve (normal + damping diag(normal)) x = right for columns of very different size."""
    diagonal = np.diag(normal)
    size = 1 / np.sqrt(np.maximum(diagonal, 1e-24 * diagonal.max()))
    scaled = normal * np.outer(size, size)
    scaled[np.diag_indices_from(scaled)] += damping + 1e-12
    return (np.linalg.solve(scaled, (right.T * size).T).T * size).T


def _sigma(
    blocks: list[tuple[np.ndarray, np.ndarray, float]], free: list[int], n_samples: int, kept: slice
) -> np.ndarray:
    """Standard errors of the displacements with the `kept` parameters unknown, (5,) [m]."""
    normal, _, left = _total(blocks)
    n = len(normal[kept, kept])
    variance = left / max(n_samples - n / 2, 1)
    fisher = np.diag(_solve(normal[kept, kept], np.eye(n), 0.0)) * variance / 2
    moved = [-_solve((normal - part[0])[kept, kept], part[1][kept], 0.0)[: len(free)] for part in blocks]
    jackknife = (len(moved) - 1) * np.var(moved, axis=0)
    sigma = np.zeros(len(MOVES))
    sigma[free] = np.sqrt(np.maximum(np.maximum(fisher[: len(free)], 0), jackknife))
    return sigma


def _stepped(model: PointModel, step: np.ndarray, free: list[int], axes: list[int]) -> PointModel:
    moves, points = model.moves.copy(), model.points.copy()
    moves[free] += step[: len(free)]
    n_places = (len(points) - model.pins) * len(axes)
    points[model.pins :, axes] += step[len(free) : len(free) + n_places].reshape(-1, len(axes))
    rest = step[len(free) + n_places :]
    m = len(points)
    amplitude = model.amplitude + rest[:m] + 1j * rest[m : 2 * m]
    shading = model.shading + rest[2 * m :].reshape(m, -1)
    return replace(model, points=points, moves=moves, amplitude=amplitude, shading=shading)


def _normals(
    seen: Observation, model: PointModel, free: list[int], axes: list[int]
) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Per sector: Re(J^H J), Re(J^H residual) and the residual's energy.

    Parameters are in the order displacements, places, real and imaginary amplitudes, shading; the last is a length
    added to all paths, which is not fitted: only `_sigma` asks what it would do.
    """
    edges = np.linspace(0, len(seen), BLOCKS + 1).round().astype(int)
    return [_normal(seen, model, free, axes, slice(a, b)) for a, b in pairwise(edges) if b > a]


def _normal(
    seen: Observation, model: PointModel, free: list[int], axes: list[int], channels: slice
) -> tuple[np.ndarray, np.ndarray, float]:
    basis = seen.basis[channels][:, free]
    left = seen.data[channels].copy()
    moved = np.zeros((len(free), *left.shape), dtype=complex)
    places, values, shades, bias = [], [], [], np.zeros_like(left)
    for m, a in enumerate(model.amplitude):
        path, slope = model.paths(seen, m, channels)
        v, w = seen.echo(path)
        shades.extend((a * v) * seen.shades[channels].T[:, :, None])
        p = model.shade(seen, m, channels)
        v, w = p * v, p * w
        left -= a * v
        values.append(v)
        bias += a * w
        for g in range(len(free)):
            moved[g] -= a * w * np.sum(slope * basis[:, g], axis=1)[:, None]
        if m >= model.pins:
            places.extend(a * w * slope[:, [axis]] for axis in axes)
    columns = [*moved, *places, *values, *(1j * v for v in values), *shades, bias]
    jacobian = np.stack(columns).reshape(len(columns), -1).view(np.float64)
    return jacobian @ jacobian.T, jacobian @ left.ravel().view(np.float64), energy(left)
