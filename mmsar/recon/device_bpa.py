"""Back-projection on a device: direct tiles of voxels, kernels of core/cuda/bpa.cu, with the plan's own tables.

The range tables are made by a matrix product on the device, block of poses by block of poses; a tile's voxels are the
threads of a block. Error sources are those of the CPU's plan: the range polynomial, chosen from the wanted error, and
single precision, whose phases are counted from the tile's centre (where they are formed in double precision).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.core.backend import namespace
from mmsar.core.kernels_bpa import STRIDE
from mmsar.core.kernels_bpa_layout import Tiles
from mmsar.core.kernels_cuda import warps
from mmsar.recon.device_plan import IN_FLIGHT, blocks_on, fit, landed, place_of

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device

ENOUGH = 4096
"""Blocks that keep a large GPU busy: poses or tiles are cut in segments until there are so many."""
PER = 4
"""Voxels of a thread: with fewer the reads of polynomials from shared memory may hold the kernel up (gpu_bound.py)."""
MOST_PAIRS = 128
"""Pairs of one shot at most: their polynomials, 64 bytes each, are in shared memory."""
SHARED = 12288
"""Shared memory that the poses of a step take [bytes]."""
MOST_POSES = 16
"""Poses of a step at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """What the plan of the CPU has made."""

    tiles: Tiles
    """Direct tiles: their voxels are their nodes."""
    elements: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Transmitters (n_pose, n_tx, 3), receivers (n_pose, n_rx or n_tx n_rx, 3) [m], weights (n_pose, n_tx, n_rx)."""
    compress: np.ndarray
    """Samples to range bins, complex64 (n_samples, n_bins)."""
    scale: np.ndarray
    """kc / 2 pi [1/m], polynomial variable per path [1/m], path of the first bin [m], bins per metre, and unused."""
    fit: np.ndarray
    """Bins to coefficients, float32 (TAPS * 8,)."""


class BpaShare:
    """Some tiles of a back-projection plan on one device.

    Parameters
    ----------
    shape : (n_pose, n_tx, n_rx, n_samples)
        Of the signal.
    tables : Tables
        Of a plan with direct tiles.
    device : Device
        Where.
    mine : slice
        Which tiles.
    memory : int
        Budget [bytes].
    """

    def __init__(
        self, shape: tuple[int, int, int, int], tables: Tables, device: "Device", mine: slice, memory: int
    ) -> None:
        self.mine, self._shape, self._device = mine, shape, device
        xp, tiles = device.xp, tables.tiles
        self._voxels = tiles.voxels
        self._compress = xp.asarray(tables.compress)
        self._shots = _Shots(tables.elements)
        self._tx, self._rx, self._weight = (xp.asarray(a) for a in self._shots.arrays)
        self._fit = xp.asarray(tables.fit)
        self._scale = (*(np.float64(v) for v in tables.scale[:4]), *(np.float32(v) for v in tables.scale[:2]))
        self._threads = warps(-(-tiles.voxels // PER))
        nodes = tiles.nodes.reshape(4, STRIDE)[:, : PER * self._threads].T
        self._nodes = xp.asarray(np.ascontiguousarray(nodes))
        self._centres = xp.asarray(tiles.centres[mine])
        self._constants = self._shots.constants | {"THREADS": self._threads, "PER": PER, "VOXELS": tiles.voxels}
        self._set_pieces(memory)

    def _set_pieces(self, memory: int) -> None:
        """Tiles and poses at a time, within the budget."""
        n_tiles, n_bins = len(self._centres), self._compress.shape[1]
        n_samples, n_pairs = self._shape[3], self._shots.pairs_of_pose
        held = (self._compress, self._tx, self._rx, self._weight, self._fit, self._nodes, self._centres)
        fixed = sum(a.nbytes for a in held)
        per_pose = 8 * n_pairs * (2 * n_samples + 2 * n_bins)  # two blocks are in flight; tables have segments
        per_tile = 3 * 8 * self._voxels
        n_pose = self._shape[0]
        some = fixed + per_pose * max(1, min(n_pose, IN_FLIGHT // (8 * n_pairs * n_samples)))
        if some + per_tile * n_tiles > memory:  # data or volume are larger than the card: half the room for either
            some = fixed + per_pose * fit("bpa", fixed + per_tile, per_pose, n_pose, (memory + fixed) // 2)
        self._n_tiles = fit("bpa", some, per_tile, n_tiles, memory)
        self._n_poses = (some - fixed) // per_pose
        self.nbytes = some + per_tile * self._n_tiles

    def __call__(self, signal: Any) -> Any:
        """The tiles (n, voxels) complex64 of a signal, not normalised."""
        place = place_of(signal)
        out = place.empty((len(self._centres), self._voxels), dtype=np.complex64)
        for tiles in self._tile_runs():
            sums = self._device.xp.zeros((tiles.stop - tiles.start, out.shape[1]), dtype=np.complex64)
            first = 0
            for block in blocks_on(self._device, signal, self._n_poses):
                table = block.reshape(-1, block.shape[3]) @ self._compress
                self._project(sums, table, slice(first, first + len(block)), tiles)
                first += len(block)
            out[tiles] = landed(sums, place)
        return out

    def adjoint(self, parts: Any) -> Any:
        """Tiles (n, voxels) to signal (n_pose, n_tx, n_rx, n_samples) complex64."""
        shape, place = self._shape, namespace(parts)
        out = place.zeros(shape, dtype=np.complex64)
        back = self._device.xp.ascontiguousarray(self._compress.conj().T)
        for tiles in self._tile_runs():
            values = self._device.xp.asarray(place.ascontiguousarray(parts[tiles]))
            for first in range(0, shape[0], self._n_poses):
                poses = slice(first, min(first + self._n_poses, shape[0]))
                rows = landed(self._spread(values, poses, tiles) @ back, place)
                out[poses] += rows.reshape(-1, *shape[1:])
        return out

    def _tile_runs(self) -> list[slice]:
        n = len(self._centres)
        return [slice(i, min(i + self._n_tiles, n)) for i in range(0, n, self._n_tiles)]

    def _project(self, sums: Any, table: Any, poses: slice, tiles: slice) -> None:
        shots = self._shots.of(poses)
        n_tiles, n_shots = len(sums), shots.stop - shots.start
        # segments have sums of their own, and two thirds of what a tile takes are for them
        segments = max(1, min(ENOUGH // n_tiles, n_shots // MOST_POSES, 2 * self._n_tiles // n_tiles - 1))
        out = self._device.xp.empty((segments, *sums.shape), dtype=np.complex64)
        args = (self._centres[tiles], self._nodes, np.int32(n_shots), *self._of_shots(shots), table, *self._ranges())
        self._start("bpa_project", (n_tiles, segments), (*args, self._fit, out))
        sums += out.sum(axis=0) if segments > 1 else out[0]

    def _spread(self, values: Any, poses: slice, tiles: slice) -> Any:
        shots = self._shots.of(poses)
        n_shots, n_tiles = shots.stop - shots.start, len(values)
        n_bins = self._compress.shape[1]
        segments = max(1, min(ENOUGH // n_shots, n_tiles, 2 * self._n_poses // (poses.stop - poses.start) - 1))
        rows = (poses.stop - poses.start) * self._shots.pairs_of_pose
        table = self._device.xp.zeros((segments, rows, n_bins), dtype=np.complex64)
        args = (self._centres[tiles], self._nodes, np.int32(n_tiles), *self._of_shots(shots), table, *self._ranges())
        self._start("bpa_spread", (n_shots, segments), (*args, self._fit, values))
        return table.sum(axis=0) if segments > 1 else table[0]

    def _of_shots(self, shots: slice) -> tuple:
        return self._tx[shots], self._rx[shots], self._weight[shots]

    def _ranges(self) -> tuple:
        return np.int32(self._compress.shape[1]), *self._scale

    def _start(self, kernel: str, grid: tuple[int, int], args: tuple) -> None:
        self._device.kernels("bpa", kernel, self._constants, grid, self._threads, args)


class _Shots:
    """Elements that a block takes together: all of a pose, one transmitter's where receivers move between transmit
    slots or a pose has too many pairs, and single pairs where a transmitter has too many. The order of channels stays.
    """

    def __init__(self, elements: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        tx, rx, weight = elements
        n_pose, n_tx, n_rx = weight.shape
        self.pairs_of_pose = n_tx * n_rx
        if rx.shape[1] != n_rx or n_tx * n_rx > MOST_PAIRS:
            rx = rx if rx.shape[1] != n_rx else np.repeat(rx[:, None], n_tx, axis=1)
            tx, rx = tx.reshape(-1, 1, 3), rx.reshape(-1, n_rx, 3)
            n_tx = 1
        if n_rx > MOST_PAIRS:
            tx, rx = np.repeat(tx, n_rx, axis=1).reshape(-1, 1, 3), rx.reshape(-1, 1, 3)
            n_rx = 1
        self._per_pose = len(tx) // n_pose
        weight = weight.reshape(-1, n_tx, n_rx)
        self.arrays = tuple(np.ascontiguousarray(a) for a in (tx, rx, weight))
        group = max(n for n in range(1, 9) if n_rx % n == 0)
        poses = int(np.clip(SHARED // (64 * n_tx * n_rx + 32 * (n_tx + n_rx)), 1, MOST_POSES))
        self.constants = {"N_TX": n_tx, "N_RX": n_rx, "GROUP": group, "POSES": poses}

    def of(self, poses: slice) -> slice:
        """The shots of some poses."""
        return slice(poses.start * self._per_pose, poses.stop * self._per_pose)
