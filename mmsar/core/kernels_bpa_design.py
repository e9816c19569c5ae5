"""The arithmetic behind a back-projection plan: clusters, tiles, nodes and the range polynomial, from a wanted error.

Interpolation errors are not bounded by formulas but measured, on seeded random triples of voxel, channel and
frequency of the geometry at hand, with the very nodes the kernel will use. A cost model (nanoseconds, timed once on an
AVX-512 core; only their ratios matter) then picks the cheapest choice whose root-sum-square error is within the wanted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from mmsar.errors import GeometryError

LEG, LEG_CALL, PAIR, PAIR_CALL, ROW = 8.5, 25.0, 6.5, 35.0, 1.7
"""Cost [ns] per 16 nodes and per call of a leg and of a pair, and per 16 floats of an interpolation row."""
VOXEL = {5: 9.5, 8: 13.0}
"""Cost [ns] per 16 voxels by number of inner nodes."""
DRAWN = 16384
"""Random pairs of voxel and channel, sorted by the shorter of their two legs."""
STRATA = ((0, 64), (64, 1024), (1024, 4096), (4096, DRAWN))
"""Runs of the sorted pairs; of each, `PER_STRATUM` are used: errors are largest, and rare, close to elements."""
PER_STRATUM = 64
MAX_TILE = 8192
"""Voxels of a tile at most: its sums stay in the second-level cache."""
PROFILE_SHARE, AXIS_SHARE = 0.4, 0.33
"""Shares of the wanted error: the range polynomial, and each of three axes (root-sum-square 0.70)."""


def cluster_order(features: np.ndarray, levels: int) -> np.ndarray:
    """Order of poses in which every level's halves are spatial clusters.

    Parameters
    ----------
    features : (n, d) float64
        Coordinates; groups are cut in half across their widest extent.
    levels : int
        Cuts.

    Returns
    -------
    (n,) int64
        Permutation; level l's clusters are the runs of `cluster_starts(n, l)`.
    """
    n = len(features)
    order = np.arange(n)
    for level in range(levels):
        start = cluster_starts(n, level)
        group = np.repeat(np.arange(len(start) - 1), np.diff(start))
        x = features[order]
        spread = np.maximum.reduceat(x, start[:-1]) - np.minimum.reduceat(x, start[:-1])
        key = x[np.arange(n), np.argmax(spread, axis=1)[group]]
        order = order[np.lexsort((key, group))]
    return order


def cluster_starts(n: int, level: int) -> np.ndarray:
    """First index of each of the 2^level clusters of n poses, and n; empty clusters are left out."""
    return np.unique(np.arange(2**level + 1) * n // 2**level)


def clusters(features: np.ndarray, order: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Start of every cluster of a level, (n + 1,), and the mean of its features, (n, d), for an order of poses."""
    start = cluster_starts(len(features), level)
    return start, np.add.reduceat(features[order], start[:-1]) / np.diff(start)[:, None]


def interpolation(size: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes for `size` equally spaced voxels, and the weights from nodes to voxels.

    Returns
    -------
    nodes : (n,) float64
        In voxels from the middle: Chebyshev points, or the voxels themselves when n = size.
    weights : (size, n) float64
        Lagrange weights.
    """
    voxels = np.arange(size) - (size - 1) / 2
    if n >= size:
        return voxels, np.eye(size)
    nodes = np.cos(np.pi * (np.arange(n)[::-1] + 0.5) / n) * (size - 1) / 2
    difference = voxels[:, None, None] - nodes[None, None, :]
    scale = nodes[:, None] - nodes[None, :] + np.eye(n)
    factors = np.where(np.eye(n, dtype=bool), 1.0, difference / scale)
    return nodes, factors.prod(axis=2)


@dataclass(frozen=True)
class Profile:
    """The range polynomial: bins `step` [m] of path apart, variable v = path / `half`, `fit` (TAPS, COEFS)."""

    step: float
    half: float
    fit: np.ndarray
    error: float


def fit_profile(k: np.ndarray, weight: np.ndarray, reach: float, taps: int) -> Profile:
    """The best polynomial of a band-limited profile within +-`reach` [m], from `taps` bins.

    Least squares over the wavenumbers `k` [rad/m] (weighted by `weight`) and the interval; of a few bin spacings the
    coarsest whose error is within 1.2 times the best one's.
    """
    best: list[Profile] = []
    use = np.linspace(0, len(k) - 1, min(len(k), 24)).round().astype(int)
    k, weight = k[use], np.abs(weight[use]) + 1e-12
    for bins in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5):
        step = reach / bins
        half = reach + step / 2
        path = np.cos(np.pi * (np.arange(33) + 0.5) / 33) * half
        powers = (path[:, None] / half) ** np.arange(taps)
        at_bins = np.exp(1j * k[:, None] * step * (np.arange(taps) - taps // 2)) * weight[:, None]
        wanted = np.exp(1j * k * path[:, None]) * weight
        stacked = np.concatenate([at_bins.real, at_bins.imag])
        target = np.concatenate([wanted.real, wanted.imag], axis=1)
        fit = np.linalg.pinv(powers) @ target @ np.linalg.pinv(stacked, rcond=1e-5).T
        error = np.linalg.norm(powers @ fit @ stacked.T - target) / np.linalg.norm(target)
        best.append(Profile(step, half, np.ascontiguousarray(fit.T), float(error)))
    limit = 1.2 * min(p.error for p in best) + 1e-7
    return next(p for p in best if p.error <= limit)


@dataclass
class Probe:
    """Random pairs of voxel and channel, with a frequency each, on which interpolation errors are measured.

    Two estimates are made and the larger is taken. For all pairs: the error of a plane wave with the slope that the
    residual phase k R - kc rho has there, which finds rare large slopes. For a few pairs, most of them close to
    elements: the error of the field itself, curvature and carrier phase included.

    `point`, `tx`, `rx` are (n, 3) [m], `k` (n,) and `k_centre` [rad/m]; `means[level]` are the mean transmitter and
    receiver of the pair's cluster, each (n, 3); `few` are the indices of the few pairs and `share` what each stands
    for, sum 1.
    """

    point: np.ndarray
    tx: np.ndarray
    rx: np.ndarray
    k: np.ndarray
    k_centre: float
    spacing: np.ndarray
    means: list[tuple[np.ndarray, np.ndarray]]
    few: np.ndarray
    share: np.ndarray
    known: dict[tuple[int, ...], Any] = field(default_factory=dict)

    @classmethod
    def draw(cls, grid: Any, channels: tuple, means: np.ndarray, frequencies: tuple, levels: int) -> "Probe":
        """Draw the pairs (seeded).

        Parameters
        ----------
        grid : ImageGrid
            For its extent and spacing.
        channels : (tx, rx, weight)
            Positions (n_pose, n_tx, n_rx, 3) [m]; weight (n_pose, n_tx, n_rx), channels of weight 0 are left out.
        means : (n_pose, 6)
            Mean transmitter and receiver of every pose [m].
        frequencies : (k, weight, k_centre)
            Wavenumbers (n_samples,) [rad/m], their weights, the carrier.
        levels : int
            Levels of clusters beyond the one that holds all poses.
        """
        rng = np.random.default_rng(0)
        k, k_weight, k_centre = frequencies
        use = np.argwhere(channels[2] != 0)
        p, t, r = use[rng.integers(len(use), size=DRAWN)].T
        tx, rx = channels[0][p, t, r], channels[1][p, t, r]
        low, high = np.array(grid.extent).T
        point = low + (high - low) * rng.random((DRAWN, 3))
        near = np.argsort(np.minimum(np.linalg.norm(point - tx, axis=1), np.linalg.norm(point - rx, axis=1)))
        few = np.concatenate([near[rng.choice(np.arange(a, b), PER_STRATUM, replace=False)] for a, b in STRATA])
        share = np.repeat([(b - a) / DRAWN / PER_STRATUM for a, b in STRATA], PER_STRATUM)
        order = cluster_order(means, levels)
        rank = np.argsort(order)
        of_level = []
        for level in range(levels + 1):
            start, mean = clusters(means, order, level)
            mine = mean[np.searchsorted(start, rank[p], side="right") - 1]
            of_level.append((mine[:, :3], mine[:, 3:]))
        k = rng.choice(k, size=DRAWN, p=k_weight**2 / np.sum(k_weight**2))
        return cls(point, tx, rx, k, k_centre, np.array(grid.spacing), of_level, few, share)

    def slopes(self) -> np.ndarray:
        """d(R_tx + R_rx) / d axis of every pair, (n, 3)."""
        return _direction(self.point - self.tx) + _direction(self.point - self.rx)

    def _slope_histogram(self, level: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """|d(k R - kc rho) / d axis| [rad/voxel] of all pairs: values (64,) and shares (64,)."""
        ref = sum(_direction(self.point - mean)[:, axis] for mean in self.means[level])
        slope = np.abs(self.k * self.slopes()[:, axis] - self.k_centre * ref) * self.spacing[axis]
        share, edges = np.histogram(slope, bins=64, range=(0, slope.max() + 1e-9))
        return edges[1:], share / len(slope)

    def reach(self, size: tuple[int, int, int]) -> float:
        """Largest path from a tile's centre [m]; `size` in voxels (x, y, z)."""
        half = (np.array(size) - 1) / 2 * self.spacing
        slopes = self._once((), lambda: np.abs(self.slopes())[self.few])
        return float(min(1.1 * (slopes @ half).max() + 1e-6, 2 * np.linalg.norm(half) + 1e-6))

    def error(self, level: int, axis: int, size: int, n: int) -> float:
        """RMS relative error of interpolating `size` voxels along `axis` from n nodes."""
        if n >= size:
            return 0.0
        return self._once((level, axis, size, n), lambda: self._measure(level, axis, size, n))

    def _measure(self, level: int, axis: int, size: int, n: int) -> float:
        nodes, weights = interpolation(size, n)
        use = np.linspace(0, size - 1, min(size, 16)).round().astype(int)
        voxels, weights = (np.arange(size) - (size - 1) / 2)[use], weights[use]
        slope, share = self._once((level, axis), lambda: self._slope_histogram(level, axis))
        plane = np.exp(1j * slope[:, None] * voxels) - np.exp(1j * slope[:, None] * nodes) @ weights.T
        of_plane = share @ np.mean(np.abs(plane) ** 2, axis=1)
        at_voxels, phase_voxels = self._once((level, axis, size), lambda: self._field(level, axis, voxels))
        at_nodes, phase_nodes = self._field(level, axis, nodes)
        wave = at_voxels - at_nodes @ weights.T
        phase = phase_voxels - phase_nodes @ weights.T
        square = np.abs(wave) ** 2 + np.minimum(phase**2, 4.0)
        return float(np.sqrt(max(of_plane, self.share @ square.mean(axis=1))))

    def _once(self, key: tuple[int, ...], make: Callable[[], Any]) -> Any:
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def _field(self, level: int, axis: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """exp(j (k R - kc rho)) and kc rho of the few pairs on a line along `axis`, offsets in voxels."""
        few = self.few
        r = np.repeat(self.point[few, None, :], len(offsets), axis=1)
        r[:, :, axis] += offsets * self.spacing[axis]
        ref = sum(np.linalg.norm(r - m[few, None, :], axis=2) for m in self.means[level]) * self.k_centre
        path = sum(np.linalg.norm(r - p[few, None, :], axis=2) for p in (self.tx, self.rx))
        return np.exp(1j * (self.k[few, None] * path - ref)), ref

    def nodes(self, level: int, axis: int, size: int, wanted: float) -> int:
        """Fewest nodes that keep the error of one axis within `wanted`; 99 when eight are too few."""
        return next((n for n in range(1, 9) if self.error(level, axis, size, n) <= wanted), 99)


@dataclass(frozen=True)
class Design:
    """A choice: `axes` are the world axes of tile dimensions 0, 1, 2; `level` None means direct (voxels are nodes)."""

    axes: tuple[int, int, int]
    size: tuple[int, int, int]
    nodes: tuple[int, int, int]
    level: int | None
    cost: float


def choose(
    probe: Probe, shape: tuple[int, int, int], counts: tuple[int, int, int, int], wanted: float, *, limits: tuple
) -> Design:
    """The cheapest design within the wanted error.

    Parameters
    ----------
    shape : (n_x, n_y, n_z)
        Voxels along the world axes.
    counts : (n_pose, n_legs, n_pairs, n_threads)
        Poses, elements and pairs of one pose, threads.
    wanted : float
        Relative RMS error.
    limits : (reach, max_nodes, inner, lanes)
        Largest path within a tile that the range polynomial can follow [m], scratch row length, inner node counts
        (none: direct tiles only), floats per group.

    Raises
    ------
    GeometryError
        When not even single voxels meet the error.
    """
    n_pose, n_legs, n_pairs, threads = counts
    reach, max_nodes, inner_nodes, lanes = limits
    found: list[Design] = []

    def cost(n_tiles: int, tile: float) -> float:
        return -(-n_tiles // threads) * threads * tile

    def pose_cost(groups: int) -> float:
        return n_legs * (LEG * groups + LEG_CALL) + n_pairs * (PAIR * groups + PAIR_CALL)

    splits = [_splits(n) for n in shape]
    for size in product(*splits):
        voxels = int(np.prod(size))
        if voxels <= max_nodes and probe.reach(size) <= reach:
            n_tiles = int(np.prod([-(-n // s) for n, s in zip(shape, size, strict=True)]))
            groups = -(-voxels // lanes)
            total = cost(n_tiles, n_pose * pose_cost(groups) + voxels)
            found.append(Design((2, 1, 0), size[::-1], size[::-1], None, total))
    for axes in ((2, 1, 0), (2, 0, 1), (1, 0, 2)) if inner_nodes else ():
        a0, a1, a2 = axes
        columns = -(-shape[a2] // lanes)
        inner_sizes = {lanes * -(-columns // parts) for parts in range(1, 9)}
        for s0, s1, s2 in product(splits[a0], splits[a1], sorted(inner_sizes)):
            size = (s0, s1, s2)
            if not 4 * lanes <= s0 * s1 * s2 <= MAX_TILE or s2 > 128:
                continue
            world = tuple(size[axes.index(a)] for a in range(3))
            if probe.reach(world) > reach:
                continue
            n_tiles = int(np.prod([-(-shape[a] // s) for a, s in zip(axes, size, strict=True)]))
            for level in range(len(probe.means)):
                n2 = next((n for n in inner_nodes if probe.error(level, a2, s2, n) <= AXIS_SHARE * wanted), None)
                if n2 is None:
                    continue
                n0, n1 = (probe.nodes(level, a, s, AXIS_SHARE * wanted) for a, s in ((a0, s0), (a1, s1)))
                if n0 * n1 * n2 > max_nodes:
                    continue
                n_clusters = min(2**level, n_pose)
                rows = (s0 * n0 * n1 + s0 * s1 * n1) * (1 if n2 <= 5 else 1.5) + 2 * n0 * n1
                per_cluster = ROW * rows + VOXEL[n2] * s0 * s1 * s2 / lanes + 2 * LEG_CALL
                groups = -(-n0 * n1 * n2 // lanes)
                total = cost(n_tiles, n_pose * pose_cost(groups) + n_clusters * per_cluster)
                found.append(Design(axes, size, (n0, n1, n2), level, total))
    if not found:
        raise GeometryError(
            f"bpa: got an error of {20 * np.log10(wanted):.0f} dB, which no tile of this grid and bandwidth can meet; "
            "ask for a larger error (error_db=-40)"
        )
    return min(found, key=lambda d: d.cost)


def _splits(n: int) -> list[int]:
    """Tile lengths of at most 16 that cut n voxels into nearly equal parts."""
    equal = {-(-n // parts) for parts in range(1, n + 1)}
    return sorted({max(e for e in equal if e <= most) for most in (1, 2, 3, 4, 6, 8, 12, 16)})


def _direction(v: np.ndarray) -> np.ndarray:
    """Unit vectors, (n, 3)."""
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9)
