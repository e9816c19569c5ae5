"""The arithmetic behind a plan of factorised back-projection: clusters of channels, bands, blocks, levels.

With the carrier of its mean elements (t, q) removed, the field of a cluster has at r the spatial frequencies

    k_n grad(|r - tx| + |r - rx|) - kc grad(|r - t| + |r - q|)

of its channels and samples: about +-kc A / R across for a cluster of size A seen from R, and half the band's width
along. They are measured on seeded random triples of voxel, channel and frequency for every level of the tree.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmsar.core.kernels_bpa import LANES
from mmsar.core.kernels_bpa_design import cluster_order, cluster_starts
from mmsar.core.kernels_ffbp import NODES, TERMS
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.recon.ffbp_nodes import nodes_needed

DRAWN = 16384
"""Random triples of voxel, channel and frequency."""
FACES = 0.25
"""How far beyond the grid's ends, in its lengths, coordinates are drawn to be put on them: bands are widest there."""
BAND_MARGIN = 1.03
"""The band taken over the widest one drawn."""
MAX_LEVEL, MAX_STAGES = 13, 4
"""Cuts of the tree, and interpolations from a leaf to a voxel, at most."""
INTERPOLATION_SHARE, PROFILE_SHARE = 0.7, 0.15
"""Shares of the wanted error: all interpolations together (root-sum-square), and the range polynomial."""
LEAF, LEAF_CALL, COEFFICIENT = 2.0, 25.0, 0.8
"""Cost [ns] of a channel at a node, of a channel at a panel of nodes, and of a term of a coefficient; costs are as
timed on one AVX-512 core, only their ratios matter for the choice."""
CHILD_CALL, FINE, COARSE = 3000.0, 4.0, 2.0
"""Cost [ns] of taking a child to its parent, for each of the parent's nodes, and for each value half interpolated."""
VOXEL, PLANE = 6.0, 1.0
"""Cost [ns] of a voxel and grid, and of a value interpolated along z or y on the way."""
MAX_BLOCKS = 4096
"""More blocks than that are refused."""


class Tree:
    """Clusters of channels: runs of an order, halved level by level across their widest extent.

    Halves are made by phase centre, for the sum of both paths depends on little else when antennas are close; their
    separation counts as much as the directions to both differ.

    Parameters
    ----------
    tx, rx : (n, 3) float64
        Elements [m].
    edges : sequence of int
        Runs of channels that are never in one cluster (chunks): first of each, and n.
    separation : float
        Weight of tx - rx against tx + rx.
    """

    def __init__(self, tx: np.ndarray, rx: np.ndarray, edges: list[int], separation: float) -> None:
        self.edges = edges
        smallest = min(b - a for a, b in pairwise(edges))
        self.levels = min(MAX_LEVEL, int(np.ceil(np.log2(max(smallest, 1)))))
        features = np.concatenate([tx + rx, separation * (tx - rx)], axis=1)
        self.order = np.concatenate([a + cluster_order(features[a:b], self.levels) for a, b in pairwise(edges)])
        self._elements = np.concatenate([tx, rx], axis=1)[self.order]

    def starts(self, level: int, chunk: int | None = None) -> np.ndarray:
        """First channel (in the order) of every cluster, and the end, (n + 1,) int64; of one chunk or of all."""
        runs = list(pairwise(self.edges)) if chunk is None else [(self.edges[chunk], self.edges[chunk + 1])]
        return np.unique(np.concatenate([a + cluster_starts(b - a, level) for a, b in runs]))

    def means(self, start: np.ndarray) -> np.ndarray:
        """Mean transmitter and receiver of runs, (n, 6) float64 [m]."""
        part = self._elements[start[0] : start[-1]]
        return np.add.reduceat(part, start[:-1] - start[0]) / np.diff(start)[:, None]


@dataclass(frozen=True)
class Draws:
    """Random triples: `point`, `tx`, `rx` (n, 3) [m], `channel` (n,) and wavenumber `k` (n,) [rad/m]."""

    point: np.ndarray
    channel: np.ndarray
    tx: np.ndarray
    rx: np.ndarray
    k: np.ndarray

    @classmethod
    def of(cls, grid: ImageGrid, tx: np.ndarray, rx: np.ndarray, k: np.ndarray, weight: np.ndarray) -> "Draws":
        """Draw (seeded): voxels of the grid's box, its faces included, channels and wavenumbers."""
        rng = np.random.default_rng(0)
        low, high = np.array(grid.extent).T
        place = np.clip(rng.uniform(-FACES, 1 + FACES, (DRAWN, 3)), 0, 1)
        channel = rng.integers(len(tx), size=DRAWN)
        used = k[weight != 0]
        ends = rng.random(DRAWN)
        chosen = np.where(ends < FACES, used[0], np.where(ends > 1 - FACES, used[-1], rng.choice(used, size=DRAWN)))
        return cls(low + (high - low) * place, channel, tx[channel], rx[channel], chosen)

    def separation(self) -> float:
        """RMS of |u_tx - u_rx| / |u_tx + u_rx|, the directions to both elements: what their separation counts."""
        one, two = _direction(self.point - self.tx), _direction(self.point - self.rx)
        apart, sum_ = np.linalg.norm(one - two, axis=1), np.linalg.norm(one + two, axis=1)
        return float(min(1.0, np.sqrt(np.mean(apart**2) / max(np.mean(sum_**2), 1e-12))))

    def bands(self, tree: Tree, k_centre: float) -> tuple[np.ndarray, np.ndarray]:
        """What is left of the fields' phase k R - kc rho at every level, along the axes x, y, z.

        Returns
        -------
        bands : (levels + 1, 3)
            Largest derivative [rad/m].
        bends : (levels + 1, 3)
            Second derivative, the fourth root of the mean fourth power (errors go with its square) [rad/m^2].
        """
        rank = np.empty(len(tree.order), dtype=np.int64)
        rank[tree.order] = np.arange(len(rank))
        mine = rank[self.channel]
        legs = zip(self._along(self.tx), self._along(self.rx), strict=True)
        slope, curvature = (self.k[:, None] * (a + b) for a, b in legs)
        bands, bends = np.empty((tree.levels + 1, 3)), np.empty((tree.levels + 1, 3))
        for level in range(tree.levels + 1):
            start = tree.starts(level)
            mean = tree.means(start)[np.searchsorted(start, mine, side="right") - 1]
            legs = zip(self._along(mean[:, :3]), self._along(mean[:, 3:]), strict=True)
            slope_0, curvature_0 = (k_centre * (a + b) for a, b in legs)
            bands[level] = BAND_MARGIN * np.abs(slope - slope_0).max(axis=0)
            bends[level] = np.mean((curvature - curvature_0) ** 4, axis=0) ** 0.25
        return bands, bends

    def _along(self, element: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and second derivatives of the distance to an element along x, y, z: (n, 3) and (n, 3) [1/m]."""
        away = self.point - element
        distance = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        unit = away / distance
        return unit, (1 - unit**2) / distance

    def reach(self, grid: ImageGrid, parts: tuple[int, int, int]) -> float:
        """Largest |R(r) - R(r0)|, r0 being the centre of r's block, of the triples [m]; `parts` along x, y, z."""
        low = np.array(grid.origin)
        size = block_size(grid, parts) * np.array(grid.spacing)
        number = np.clip(np.floor((self.point - low) / size + 1e-9), 0, np.array(parts) - 1)
        centre = low + number * size + (size - grid.spacing) / 2
        path = [sum(np.linalg.norm(r - p, axis=1) for p in (self.tx, self.rx)) for r in (self.point, centre)]
        return float(1.05 * np.abs(path[0] - path[1]).max() + 1e-6)


@dataclass(frozen=True)
class RangeFit:
    """exp(-j k v half) as polynomials of v in [-1, 1]: `fit` (m, TERMS) complex64, `half` [m], RMS `error`."""

    half: float
    fit: np.ndarray
    error: float

    @classmethod
    def of(cls, k: np.ndarray, half: float) -> "RangeFit":
        """Least squares for the wavenumbers `k` (m,) without the carrier [rad/m]."""
        v = np.cos(np.pi * (np.arange(4 * TERMS) + 0.5) / (4 * TERMS))
        target = np.exp(-1j * half * np.outer(v, k))
        powers = v[:, None] ** np.arange(TERMS)
        fit = np.linalg.lstsq(powers, target, rcond=None)[0]
        error = float(np.sqrt(np.mean(np.abs(powers @ fit - target) ** 2)))
        return cls(half, np.ascontiguousarray(fit.T, dtype=np.complex64), error)


@dataclass(frozen=True)
class Stage:
    """One level in use: clusters of `level`, on `nodes` (n_x, n_y, n_z) of a block; `band` (3,) [rad/m]."""

    level: int
    nodes: tuple[int, int, int]
    band: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n0, n1, row) of a grid in memory: z, y, and x filled up."""
        return self.nodes[2], self.nodes[1], -(-self.nodes[0] // LANES) * LANES

    @property
    def size(self) -> int:
        """Floats of a grid."""
        return 2 * int(np.prod(self.shape))


@dataclass(frozen=True)
class Design:
    """A choice: `parts` blocks along x, y, z of `size` voxels, `stages` from the leaves up, predicted `cost` [ns]."""

    parts: tuple[int, int, int]
    size: tuple[int, int, int]
    stages: tuple[Stage, ...]
    cost: float


def block_size(grid: ImageGrid, parts: tuple[int, int, int]) -> np.ndarray:
    """Voxels of a block along x, y, z."""
    return -(-np.array(grid.shape[::-1]) // np.array(parts))


def choose_blocks(grid: ImageGrid, draws: Draws, k: np.ndarray, wanted: float) -> tuple[tuple, RangeFit]:
    """Fewest blocks over which the range polynomial follows all profiles: (parts along x, y, z) and the fit.

    Raises
    ------
    GeometryError
        When more than `MAX_BLOCKS` would be needed.
    """
    parts, shape = (1, 1, 1), grid.shape[::-1]
    while True:
        fit = RangeFit.of(k, draws.reach(grid, parts))
        if fit.error <= wanted:
            return parts, fit
        options = []
        for axis in range(3):
            size = -(-shape[axis] // parts[axis])
            if size > 1:
                more = -(-shape[axis] // -(-size * 2 // 3))
                options.append(tuple(max(more, p + 1) if a == axis else p for a, p in enumerate(parts)))
        if not options or min(np.prod(p) for p in options) > MAX_BLOCKS:
            raise GeometryError(
                f"ffbp: got voxels or a bandwidth so large that more than {MAX_BLOCKS} blocks are needed for "
                f"{20 * np.log10(wanted / PROFILE_SHARE):.0f} dB, wanted less; use method bpa, or a larger error"
            )
        parts = min(options, key=lambda p: draws.reach(grid, p) * np.prod(p) ** 0.5)


def choose(
    grid: ImageGrid,
    parts: tuple[int, int, int],
    tree: Tree,
    bands: tuple[np.ndarray, ...],
    wanted: float,
    n_terms: int,
    *,
    each: float = 1.0,
) -> Design:
    """The cheapest levels whose interpolations keep the wanted error.

    Parameters
    ----------
    parts : (x, y, z)
        Blocks along the axes.
    bands : ((levels + 1, 3), (levels + 1, 3))
        Bands and bends, see `Draws.bands`.
    wanted : float
        Relative RMS error of the image.
    n_terms : int
        Compressed frequencies.
    each : float
        Channels that one of the tree's stands for.
    """
    size = tuple(int(s) for s in block_size(grid, parts))
    extent = (np.array(size) - 1) / 2 * np.array(grid.spacing)
    share = INTERPOLATION_SHARE * wanted / np.sqrt(3 * MAX_STAGES)
    stages = []
    for level, (band, bend) in enumerate(zip(*bands, strict=True)):
        nodes = (nodes_needed(b * h, c * h * h, share, n) for b, c, h, n in zip(band, bend, extent, size, strict=True))
        stages.append(Stage(level, tuple(nodes), tuple(float(b) for b in band)))
    n_channels, chunks = each * len(tree.order), len(tree.edges) - 1
    voxels = int(np.prod(size))
    found = []
    for leaf in range(len(stages)):
        nodes = int(np.prod(stages[leaf].nodes))
        base = n_channels * (LEAF * nodes + LEAF_CALL * -(-nodes // NODES) + COEFFICIENT * n_terms * TERMS)
        base += chunks * 2**leaf * LEAF * nodes
        for top in range(leaf + 1):
            for merges in range(0 if top == leaf else 1, min(leaf - top, MAX_STAGES - 1) + 1):
                levels = np.linspace(leaf, top, merges + 1).round().astype(int)
                cost = base
                for child, parent in pairwise(levels):
                    cost += chunks * 2**child * _merge_cost(stages[child].shape, stages[parent].shape)
                _, n1, row = stages[top].shape
                cost += chunks * 2**top * (VOXEL * voxels + PLANE * size[2] * (n1 + size[1]) * row)
                found.append(Design(parts, size, tuple(stages[i] for i in levels), float(cost)))
                if top == leaf:
                    break
    best = min(found, key=lambda d: d.cost)
    return Design(best.parts, best.size, best.stages, best.cost * int(np.prod(parts)))


def _merge_cost(child: tuple[int, int, int], parent: tuple[int, int, int]) -> float:
    (n0, n1, _), (m0, m1, row) = child, parent
    return CHILD_CALL + row * (FINE * m0 * m1 + COARSE * n0 * (n1 + m1))


def _direction(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9)
