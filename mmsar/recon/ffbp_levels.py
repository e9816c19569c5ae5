"""The levels of factorised back-projection at work: tables of a design, and the passes up to the image and down."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from mmsar.core.parallel import threads
from mmsar.model import Geometry, ImageGrid
from mmsar.recon.ffbp_batches import Batches, default_room
from mmsar.recon.ffbp_design import PROFILE_SHARE, Design, Draws, Stage, Tree, choose, choose_blocks
from mmsar.recon.ffbp_nodes import lane_tables, least_squares

CHANNELS_PER_STEP = 1e9
"""Channels times nodes between two looks at interrupts: about a second's work on two cores."""
STRIP = 32
"""Rows along y of the image that are worked at once."""


class Levels:
    """Tree, blocks, nodes and weights for one geometry and grid.

    Parameters
    ----------
    geometry, grid
        What is imaged where.
    used : (n,) int64
        Channels used, of all (pose, tx, rx) in order.
    runs : (n_chunks + 1,) int64
        First used channel of every chunk, and n.
    k : (m,) float64
        Compressed wavenumbers [rad/m].
    wanted : float
        Relative RMS error.
    """

    def __init__(
        self, geometry: Geometry, grid: ImageGrid, used: np.ndarray, runs: np.ndarray, k: np.ndarray, wanted: float
    ) -> None:
        from mmsar.core.kernels_ffbp import TERMS

        self._grid = grid
        chirp = geometry.chirp
        self._k_centre = float(chirp.k[[0, -1]].mean())
        self._k = k - self._k_centre
        tx, rx = (p.reshape(-1, 3)[used] for p in (geometry.tx_position, geometry.rx_position))
        draws = Draws.of(grid, tx, rx, chirp.k, geometry.frequency_weight)
        edges = np.unique(runs)
        self.tree = Tree(tx, rx, edges.tolist(), draws.separation())
        self._chunk_of = {chunk: int(np.searchsorted(edges, a)) for chunk, a in enumerate(runs[:-1])}
        bands = draws.bands(self.tree, self._k_centre)
        parts, self._fit = choose_blocks(grid, draws, self._k, PROFILE_SHARE * wanted)
        self.design: Design = choose(grid, parts, self.tree, bands, wanted, len(k))
        order = self.tree.order
        self._tx, self._rx = np.ascontiguousarray(tx[order]), np.ascontiguousarray(rx[order])
        self._weight = geometry.weight.ravel()[used][order].astype(np.float32)
        self._half = (np.array(self.design.size) - 1) / 2 * np.array(grid.spacing)
        places = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in self.design.size]
        self._steps = [
            self._tables(child, [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in parent.nodes])
            for child, parent in pairwise(self.design.stages)
        ]
        self._last = self._tables(self.design.stages[-1], places)
        self._panels = _panels(self.design.stages[0], self._half)
        self._numbers = (self._k_centre / (2 * np.pi), 1 / self._fit.half)
        self._terms = TERMS
        self._starts = [[self.tree.starts(s.level, n) for s in self.design.stages] for n in range(len(edges) - 1)]
        self.fixed_bytes = fixed_bytes(self.design, len(order))
        self.fit(default_room())

    def fit(self, room: int) -> None:
        """Hold at most `room` bytes of grids at once, as far as that goes, and say in `held_bytes` how many."""
        sizes = [stage.size for stage in self.design.stages]
        self._batches = [Batches.of(sizes, starts, room) for starts in self._starts]
        self.held_bytes = max(batches.nbytes for batches in self._batches)

    def image(
        self,
        image: np.ndarray,
        chunk: int,
        table: np.ndarray,
        scale: float,
        tick: Callable[[float], None],
        *,
        low: int = 0,
    ) -> None:
        """Add a chunk's channels, (n, m) complex64 in the tree's order, to the planes from `low` on of the image.

        `image` is (planes, n_y, n_x) complex64: all planes, or a slab of them.
        """
        from mmsar.core import kernels_ffbp as leaves
        from mmsar.core import kernels_ffbp_grids as grids

        if not len(table):
            return
        tx, rx, weight, levels, batches = self._chunk(chunk)
        share = len(table) / len(self._tx) / int(np.prod(self.design.parts))
        for first, centre in self._blocks():
            planes = slice(max(low - first[0], 0), min(low + len(image) - first[0], self.design.size[2]))
            if planes.start >= planes.stop:
                continue
            coefs = leaves.coefficients(table, self._k, tx, rx, weight, self._fit.fit, centre)
            (tables, nodes), shape = self._last, self.design.stages[-1].shape
            strip = int(min(STRIP, max(1, self.design.size[1] * self.design.size[2] // (2 * threads()))))
            tables = (tuple(a[planes] for a in tables[0]), *tables[1:])
            nodes = (nodes[0][planes], *nodes[1:])
            last = (shape, tables, nodes, self._numbers[0], centre, np.float32(scale), strip)
            work = _Work(levels, batches, centre, (tx, rx, coefs), lambda done: tick(share * done / len(table)))
            for a, b in work.batches.runs(0, len(levels[-1][1])):
                held = self._fields(len(levels) - 1, a, b, work)
                at = (first[0] + planes.start - low, *first[1:])
                grids.image(image.view(np.float32), at, held, levels[-1][1][a:b], *last)
                del held

    def echoes(self, image: np.ndarray, chunk: int, scale: float, tick: Callable[[float], None]) -> np.ndarray:
        """The conjugate transpose of `image`: a chunk's channels, (n, m) complex64 in the tree's order."""
        from mmsar.core import kernels_ffbp as leaves
        from mmsar.core import kernels_ffbp_grids as grids

        tx, rx, weight, levels, batches = self._chunk(chunk)
        table = np.zeros((len(tx), len(self._k)), dtype=np.complex64)
        if not len(table):
            return table
        share = len(table) / len(self._tx) / int(np.prod(self.design.parts))
        for first, centre in self._blocks():
            (tables, nodes), shape = self._last, self.design.stages[-1].shape
            numbers = (self._numbers[0], centre, np.float32(scale))
            along_z = _dense(*tables[0], shape[0])
            planes = np.empty((self.design.size[2], 2 * shape[1] * shape[2]), dtype=np.float32)
            coefs = np.zeros((len(table), 2, self._terms), dtype=np.float32)
            work = _Work(levels, batches, centre, (tx, rx, coefs), lambda done: tick(share * done / len(table)))
            for a, b in work.batches.runs(0, len(levels[-1][1])):
                held = np.empty((b - a, self.design.stages[-1].size), dtype=np.float32)
                for cluster in range(a, b):
                    grids.unimage(image, first, planes, levels[-1][1][cluster], shape, tables, nodes, *numbers)
                    both = (along_z @ planes).reshape(shape[0], 2, -1).transpose(1, 0, 2)
                    held[cluster - a] = both.reshape(-1)
                box = [held]
                del held
                self._fields_back(len(levels) - 1, a, box, work)
            leaves.uncoefficients(table, self._k, tx, rx, weight, self._fit.fit, centre, coefs)
        return table

    def _fields(self, number: int, a: int, b: int, work: "_Work") -> np.ndarray:
        """Grids of the clusters a to before b of a stage, (b - a, size) float32, some of their children at a time."""
        from mmsar.core import kernels_ffbp as leaves
        from mmsar.core import kernels_ffbp_grids as grids

        (start, means), size = work.levels[number], self.design.stages[number].size
        if number == 0:
            held = np.zeros((b - a, size), dtype=np.float32)
            for c, d in self._runs(start, a, b):
                leaves.gather(held[c - a : d - a], c, start, means, work.channels, self._panels, *self._where(work))
                work.tick(start[d] - start[c])
            return held
        child, of_children = work.children(number)
        parents = np.zeros((b - a, size), dtype=np.float32) if child[b] - child[a] > work.batches.step else None
        for e, f in work.batches.runs(child[a], child[b]):
            held = self._fields(number - 1, e, f, work)
            if parents is None:
                parents = np.zeros((b - a, size), dtype=np.float32)
            c, d = np.searchsorted(child, (e + 1, f)) - (1, 0)
            both = (means[c:d], of_children[e:f])
            family = (np.clip(child[c : d + 1], e, f) - e, both, self._shapes(number - 1))
            numbers = (*self._steps[number - 1], self._numbers[0], work.centre)
            mine = parents[c - a : d - a]
            if child[c] == e and child[d] == f:
                grids.merge(mine, held, *family, *numbers)
            else:  # parents with more children than are held
                part = np.empty_like(mine)
                grids.merge(part, held, *family, *numbers)
                mine += part
            del held
        return parents

    def _fields_back(self, number: int, a: int, box: list[np.ndarray], work: "_Work") -> None:
        """The transpose of `_fields`: the grids in `box` (taken out of it) from cluster a on, down to coefficients."""
        from mmsar.core import kernels_ffbp as leaves
        from mmsar.core import kernels_ffbp_grids as grids

        held = box.pop()
        (start, means), b = work.levels[number], a + len(held)
        if number == 0:
            for c, d in self._runs(start, a, b):
                leaves.scatter(held[c - a : d - a], c, start, means, work.channels, self._panels, *self._where(work))
                work.tick(start[d] - start[c])
            return
        child, of_children = work.children(number)
        for e, f in work.batches.runs(child[a], child[b]):
            children = np.empty((f - e, self.design.stages[number - 1].size), dtype=np.float32)
            c, d = np.searchsorted(child, (e + 1, f)) - (1, 0)
            parent_of = np.repeat(np.arange(d - c), np.diff(np.clip(child[c : d + 1], e, f)))
            both = (means[c:d], of_children[e:f])
            numbers = (*self._steps[number - 1], self._numbers[0], work.centre)
            grids.split(held[c - a : d - a], children, parent_of, both, self._shapes(number - 1), *numbers)
            box.append(children)
            del children
            if f == child[b]:
                del held
            self._fields_back(number - 1, e, box, work)

    def _where(self, work: "_Work") -> tuple:
        return self._numbers, work.centre

    def _chunk(self, chunk: int) -> tuple:
        """Elements and weights of a chunk's channels, (start, means) of every level in use, and clusters at once."""
        number = self._chunk_of[chunk]
        run = slice(*self.tree.edges[number : number + 2])
        levels = [(start - run.start, np.ascontiguousarray(self.tree.means(start))) for start in self._starts[number]]
        return self._tx[run], self._rx[run], self._weight[run], levels, self._batches[number]

    def _blocks(self) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
        """First voxel (z, y, x) and centre (x, y, z) [m] of every block."""
        size, spacing = np.array(self.design.size), np.array(self._grid.spacing)
        for number in product(*(range(p) for p in self.design.parts)):
            first = np.array(number) * size
            if np.all(first < self._grid.shape[::-1]):
                centre = np.array(self._grid.origin) + spacing * (first + (size - 1) / 2)
                yield tuple(int(i) for i in first[::-1]), centre

    def _runs(self, start: np.ndarray, a: int, b: int) -> Iterator[tuple[int, int]]:
        """Runs of the leaves a to before b of about a second's work."""
        work = (start[a : b + 1] - start[a]) * int(np.prod(self.design.stages[0].nodes))
        count = max(1, int(work[-1] / CHANNELS_PER_STEP))
        cuts = a + np.unique(np.searchsorted(work, work[-1] * np.arange(count + 1) / count))
        yield from pairwise(cuts.tolist())

    def _shapes(self, number: int) -> tuple:
        return self.design.stages[number + 1].shape, self.design.stages[number].shape

    def _tables(self, stage: Stage, targets: list[np.ndarray]) -> tuple:
        """Interpolation from a stage's nodes to targets on [-1, 1] along x, y, z, and the targets [m] (z, y, x)."""
        found = []
        for n, at, band, half in zip(stage.nodes, targets, stage.band, self._half, strict=True):
            start, weight, _ = least_squares(n, at, band * half)
            found.append((start, weight))
        (x, y, z), row = targets, -(-len(targets[0]) // 16) * 16
        tables = [(start, weight.astype(np.float32)) for start, weight in (found[2], found[1])]
        along = np.zeros(row)
        along[: len(x)] = x * self._half[0]
        nodes = [a.astype(np.float32) for a in (z * self._half[2], y * self._half[1], along)]
        return (*tables, lane_tables(*found[0], stage.nodes[0])), tuple(nodes)


@dataclass(frozen=True)
class _Work:
    """One block of one chunk at work: levels (start, means), clusters at once, centre, channels, and the progress."""

    levels: list[tuple[np.ndarray, np.ndarray]]
    batches: Batches
    centre: np.ndarray
    channels: tuple[np.ndarray, np.ndarray, np.ndarray]
    tick: Callable[[float], None]

    def children(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """First child of every cluster of a stage, and the end, (n + 1,); the means of all children."""
        below, means = self.levels[number - 1]
        return np.searchsorted(below, self.levels[number][0]), means


def fixed_bytes(design: Design, n_channels: int) -> int:
    """Whatever is held at once: planes of a block, scratch, positions and order [bytes]."""
    n1, row = design.stages[-1].shape[1:]
    strip = 16 * STRIP * design.size[0] + 8 * n1 * row
    return 8 * n1 * row * design.size[2] + threads() * strip + 124 * n_channels


def _dense(start: np.ndarray, weight: np.ndarray, n: int) -> np.ndarray:
    """The transposed weights as a matrix: (n nodes, targets) float32."""
    out = np.zeros((n + weight.shape[1], len(start)), dtype=np.float32)
    np.put_along_axis(out, (start[:, None] + np.arange(weight.shape[1])).T, weight.T, axis=0)
    return out[:n]


def _panels(stage: Stage, half: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nodes of a leaf in panels, as `kernels_ffbp.gather` takes them."""
    from mmsar.core.kernels_bpa import NODES, STRIDE

    x, y, z = (np.linspace(-h, h, n) if n > 1 else np.zeros(1) for h, n in zip(half, stage.nodes, strict=True))
    n0, n1, row = stage.shape
    at = np.arange(n0 * n1 * row).reshape(n0, n1, row)[:, :, : len(x)].ravel()
    points = [p.ravel() for p in np.meshgrid(z, y, x, indexing="ij")][::-1]
    count = -(-len(at) // NODES)
    edges = np.arange(count + 1) * len(at) // count
    nodes, place = np.zeros((count, 4, STRIDE)), np.zeros((count, NODES), dtype=np.int64)
    for panel, (a, b) in enumerate(pairwise(edges)):
        for axis in range(3):
            nodes[panel, axis, : b - a] = points[axis][a:b]
        place[panel, : b - a] = at[a:b]
    nodes[:, 3] = (nodes[:, :3] ** 2).sum(axis=1)
    return nodes.reshape(count, -1).astype(np.float32), place, np.diff(edges)
