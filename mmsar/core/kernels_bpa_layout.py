"""Where the voxels of a grid sit in the tiles of a back-projection kernel, and the tables of one tile.

A tile is a box of voxels; packed, it is a row of `LANES` real parts, their imaginary parts, and so on. Tiles at the
upper edges hang over the grid: what they hold outside is computed and dropped.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmsar.core.backend import namespace
from mmsar.core.kernels_bpa import LANES, STRIDE, TAPS
from mmsar.core.kernels_bpa_design import Design, interpolation


@dataclass(frozen=True)
class Run:
    """Neighbouring tiles, one after the other in memory, that fill a box of the image."""

    tiles: slice
    """Which tiles."""
    blocks: tuple[int, int, int]
    """Tiles along their dimensions."""
    region: tuple[slice, slice, slice]
    """Voxels of the image (z, y, x)."""


class Tiles:
    """Tiles of one grid for one design.

    Parameters
    ----------
    chosen : Design
        Axes, size and nodes of a tile.
    shape : (n_x, n_y, n_z)
        Voxels of the grid along the world axes.
    origin, spacing : (x, y, z)
        First voxel and distances [m].
    """

    def __init__(self, chosen: Design, shape: tuple, origin: tuple, spacing: tuple) -> None:
        axes, size, counts = list(chosen.axes), chosen.size, chosen.nodes
        start, step, n = (np.array(v)[axes] for v in (origin, spacing, shape))
        self.size, self.shape = size, tuple(int(v) for v in n)
        self.blocks = tuple(int(b) for b in -(-n // np.array(size)))
        self.from_image = tuple(2 - a for a in axes)
        first = np.stack(np.meshgrid(*(np.arange(b) for b in self.blocks), indexing="ij"), axis=-1).reshape(-1, 3)
        self.centres = np.empty((len(first), 3))
        self.centres[:, axes] = start + step * (first * size + (np.array(size) - 1) / 2)
        self.voxels = -(-int(np.prod(size)) // LANES) * LANES
        pairs = [interpolation(s, m) for s, m in zip(size, counts, strict=True)]
        places = np.meshgrid(*(p[0] * h for p, h in zip(pairs, step, strict=True)), indexing="ij")
        rows = np.zeros((4, STRIDE))
        for place, axis in zip(places, axes, strict=True):
            rows[axis, : place.size] = place.ravel()
        rows[3] = (rows[:3] ** 2).sum(axis=0)
        self.nodes = aligned_zeros(rows.size)
        self.nodes[:] = rows.ravel()
        weights = [np.pad(p[1], ((0, 0), (0, -p[1].shape[1] % 4))).astype(np.float32) for p in pairs[:2]]
        basis = aligned_zeros(pairs[2][1].size)
        if chosen.level is not None:
            basis[:] = pairs[2][1].reshape(-1, LANES, counts[2]).transpose(0, 2, 1).ravel()
        self.tables = (weights[0], weights[1], basis, np.array(counts, dtype=np.int64))
        """Interpolation weights and node counts, as `kernels_bpa_tiles.project` takes them."""

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def nbytes(self) -> int:
        """Size of the packed tiles [bytes]."""
        return 8 * self.voxels * len(self)

    def zeros(self, n: int | None = None) -> np.ndarray:
        """Empty tiles: (n, 2 voxels) float32, all of them or `n`."""
        n = len(self) if n is None else n
        return aligned_zeros(2 * self.voxels * n).reshape(n, -1)

    def runs(self, n: int) -> list[Run]:
        """The tiles in at least `n` runs, or as many as there are: layers of dimension 0, cut along 1 where too few."""
        outer = min(n, self.blocks[0])
        inner = min(-(-n // outer), self.blocks[1])
        found = []
        for a0, b0 in pairwise(np.arange(outer + 1) * self.blocks[0] // outer):
            for a1, b1 in pairwise(np.arange(inner + 1) * self.blocks[1] // inner):
                blocks = (int(b0 - a0), int(b1 - a1), self.blocks[2])
                if inner > 1 and blocks[0] > 1:  # not one run in memory: layer by layer
                    found += [self._run((int(a), int(a1)), (1, *blocks[1:])) for a in range(a0, b0)]
                else:
                    found.append(self._run((int(a0), int(a1)), blocks))
        return found

    def _run(self, first: tuple[int, int], blocks: tuple[int, int, int]) -> Run:
        start = (first[0] * self.blocks[1] + first[1]) * self.blocks[2]
        starts = [f * s for f, s in zip((*first, 0), self.size, strict=True)]
        ends = [a + b * s for a, b, s in zip(starts, blocks, self.size, strict=True)]
        box = [slice(a, min(e, n)) for a, e, n in zip(starts, ends, self.shape, strict=True)]
        region = tuple(box[i] for i in np.argsort(self.from_image))
        return Run(slice(start, start + int(np.prod(blocks))), blocks, region)

    def unpack(self, packed: np.ndarray, scale: float, run: Run | None = None) -> np.ndarray:
        """Image (n_z, n_y, n_x) complex64 of all tiles, or of a run of them, times `scale`."""
        run = run or self._run((0, 0), self.blocks)
        parts = packed.reshape(len(packed), -1, 2, LANES)
        tiles = np.empty((len(packed), self.voxels), dtype=np.complex64)
        view = tiles.reshape(len(packed), -1, LANES)
        view.real, view.imag = parts[:, :, 0], parts[:, :, 1]
        held = [tiles]
        del tiles, view  # three times the image at most is held, as BpaPlan.nbytes says
        return self.joined(held, scale, run)

    def joined(self, tiles: list[np.ndarray], scale: float, run: Run | None = None) -> np.ndarray:
        """Image (n_z, n_y, n_x) complex64, times `scale`, of tiles (n, voxels) in order: all, or those of a run.

        The list is emptied.
        """
        run = run or self._run((0, 0), self.blocks)
        whole = np.concatenate(tiles) if len(tiles) > 1 else tiles[0]
        tiles.clear()
        whole = whole[:, : int(np.prod(self.size))].reshape(*run.blocks, *self.size).transpose(0, 3, 1, 4, 2, 5)
        whole = whole.reshape([b * s for b, s in zip(run.blocks, self.size, strict=True)])
        n0, n1, n2 = (run.region[i].stop - run.region[i].start for i in self.from_image)
        return whole[:n0, :n1, :n2].transpose(np.argsort(self.from_image)) * np.float32(scale)

    def pack(self, image: np.ndarray, scale: float) -> np.ndarray:
        """The transpose of `unpack`: (n_tiles, 2 voxels) float32 from an image, zeros outside the grid."""
        packed = self.zeros()
        tiles = self.cut(image, scale).reshape(len(self), -1, LANES)
        view = packed.reshape(len(self), -1, 2, LANES)
        view[:, :, 0], view[:, :, 1] = tiles.real, tiles.imag
        return packed

    def cut(self, image: np.ndarray, scale: float) -> np.ndarray:
        """The transpose of `joined`: (n_tiles, voxels) complex64 from an image, zeros outside the grid."""
        xp = namespace(image)
        whole = xp.zeros([b * s for b, s in zip(self.blocks, self.size, strict=True)], dtype=np.complex64)
        n0, n1, n2 = self.shape
        whole[:n0, :n1, :n2] = image.transpose(self.from_image) * scale
        blocks = whole.reshape([n for pair in zip(self.blocks, self.size, strict=True) for n in pair])
        tiles = xp.zeros((len(self), self.voxels), dtype=np.complex64)
        tiles[:, : int(np.prod(self.size))] = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(len(self), -1)
        return tiles


def range_bins(tx: np.ndarray, rx: np.ndarray, centres: np.ndarray, step: float) -> np.ndarray:
    """Total paths [m], `step` apart, that cover all channels and tile centres with room for `TAPS` bins.

    Parameters
    ----------
    tx, rx, centres : (n_pose, n, 3), (n_pose, m, 3), (n_tiles, 3)
        Elements and tile centres [m].
    """
    low, high = centres.min(axis=0), centres.max(axis=0)
    shortest = longest = 0.0
    for legs in (tx, rx):
        outside = np.maximum(np.maximum(low - legs, legs - high), 0)
        shortest += np.linalg.norm(outside, axis=2).min()
        longest += np.linalg.norm(np.maximum(np.abs(legs - low), np.abs(legs - high)), axis=2).max()
    margin = TAPS // 2 + 1
    n_bins = int(np.ceil((longest - shortest) / step)) + 2 * margin + 1
    return shortest + step * (np.arange(n_bins) - margin)


def aligned_zeros(n: int) -> np.ndarray:
    """n zeros, float32, on a 64-byte boundary."""
    raw = np.zeros(n + LANES, dtype=np.float32)
    first = -(raw.ctypes.data // 4) % LANES
    return raw[first : first + n]
