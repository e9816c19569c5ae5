"""Exact multistatic back-projection: the definition every other method is held to, and a fast kernel for it.

    image(r) = (1 / norm) sum_c w_c sum_n v_n s[c, n] exp(-j k_n (|r - tx_c| + |r - rx_c|))

with c over pose, tx, rx, w = `Geometry.weight`, v = `Geometry.frequency_weight`, norm = `Geometry.norm`. Any poses, any
array, rotation and motion between transmit slots included: only the positions of the channels matter.

`exact` is that sum in float64. `plan` interpolates with a stated error: range profiles by polynomials between range
bins, and, over tiles of voxels, the field of clusters of neighbouring poses between Chebyshev nodes with the carrier
of the cluster taken out (see `core.kernels_bpa_tiles`). Nodes and tiles are chosen by measuring that error.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.core import kernels_bpa_design as design
from mmsar.core.backend import open_devices
from mmsar.core.checks import check_shape, finite_number, real_array
from mmsar.core.memory import MEMORY_ADVICE, budget, require
from mmsar.core.progress import progress as bar
from mmsar.errors import GeometryError
from mmsar.model import Geometry, ImageGrid, Scan
from mmsar.recon.device_bpa import BpaShare, Tables
from mmsar.recon.device_plan import DevicePlan
from mmsar.recon.options import ReconOptions
from mmsar.recon.signal_parts import SignalParts

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device

MAX_LEVEL = 12
"""Cuts of the tree of poses at most."""
ROWS_PER_STEP = 8192
"""Channels range-compressed at once."""
SECONDS_PER_STEP = 0.5
"""Work between two ticks of the progress bar (predicted)."""


def exact(signal: np.ndarray, geometry: Geometry, points: np.ndarray) -> np.ndarray:
    """The back-projection sum in float64 at any points: slow, for checks.

    Parameters
    ----------
    signal : (n_pose, n_tx, n_rx, n_samples) complex
        Beat samples.
    geometry : Geometry
        Positions, frequencies and weights of the channels.
    points : (n_points, 3) array_like
        Where to evaluate, world x, y, z [m].

    Returns
    -------
    (n_points,) complex128
        A unit point target shows 1 at its place.

    Raises
    ------
    GeometryError
        A signal of another shape than the geometry, or points that are not (n, 3) finite numbers.
    """
    from mmsar.core.kernels_bpa_exact import exact_sum

    signal = np.asarray(signal)
    check_shape("bpa signal", signal.shape, geometry.shape)
    points = real_array("bpa points", points, (None, 3), "m")
    keep = geometry.weight.ravel() != 0
    rows = signal.reshape(-1, geometry.shape[3])[keep].astype(np.complex128)
    rows *= geometry.weight.ravel()[keep, None]
    rows *= geometry.frequency_weight
    k = geometry.chirp.k
    tx, rx = (np.ascontiguousarray(p.reshape(-1, 3)[keep]) for p in (geometry.tx_position, geometry.rx_position))
    return exact_sum(rows, tx, rx, k[0], k[1] - k[0] if len(k) > 1 else 0.0, points) / geometry.norm


def exact_image(signal: np.ndarray, geometry: Geometry, grid: ImageGrid) -> np.ndarray:
    """`exact` on every voxel of a grid: (n_z, n_y, n_x) complex128."""
    z, y, x = np.meshgrid(grid.z, grid.y, grid.x, indexing="ij")
    return exact(signal, geometry, np.stack([x, y, z], axis=-1).reshape(-1, 3)).reshape(grid.shape)


def plan(
    geometry: Geometry | Scan, grid: ImageGrid, *, device: str = "auto", options: ReconOptions | None = None
) -> "BpaPlan | DevicePlan":
    """Prepare fast back-projection of one geometry onto one grid.

    Parameters
    ----------
    geometry : Geometry or Scan
        Positions, frequencies and weights of the channels.
    grid : ImageGrid
        Where to image.
    device : str
        Where to compute; see `core.backend.resolve_device`.
    options : ReconOptions, optional
        `error_db` is the wanted relative RMS error of the image against `exact` [dB], -20 to -70; `memory` bounds
        tables and tiles (poses are taken in chunks that fit); `progress` shows a bar.

    Raises
    ------
    GeometryError
        An error outside -20 to -70 dB, or one that no tile of this grid and bandwidth can meet.
    MmsarError
        A grid that does not fit in the memory.
    DeviceError
        A device that is not there.
    """
    options = options or ReconOptions()
    devices = open_devices(device)
    geometry = geometry.geometry if isinstance(geometry, Scan) else geometry
    if devices:
        return DevicePlan(BpaPlan(geometry, grid, error_db=options.error_db, direct=True), devices, options)
    return BpaPlan(
        geometry,
        grid,
        error_db=options.error_db,
        memory=options.memory,
        progress=options.progress,
        tiles=options.tiles,
    )


class BpaPlan:
    """Back-projection of one geometry onto one grid, made by `plan`: apply by `plan(signal)`, `plan.adjoint(image)`.

    Attributes: `geometry`, `grid`, `error_db` (the wanted error [dB]), `nbytes` (memory used while applied), `seconds`
    (predicted time) and `design` (tiles, nodes and clusters chosen; `direct`: none but direct tiles, as a GPU's kernel
    takes them).
    """

    def __init__(
        self,
        geometry: Geometry,
        grid: ImageGrid,
        *,
        error_db: float = -50.0,
        memory: int | None = None,
        progress: bool | None = False,
        tiles: int = 1,
        direct: bool = False,
    ) -> None:
        self._direct = direct
        self.geometry, self.grid, self.progress = geometry, grid, progress
        self.error_db = finite_number("bpa error_db", error_db, "dB")
        if not -70 <= self.error_db <= -20:
            raise GeometryError(f"bpa error_db: got {error_db:g}, wanted -70 to -20 [dB]")
        largest = grid.n_voxels // min(tiles, grid.n_voxels)
        require("bpa", 8 * largest, budget(memory), MEMORY_ADVICE)  # before tiles of that many voxels are laid out
        self._set_elements()
        wanted = 10 ** (self.error_db / 20)
        self._set_design(wanted)
        self._set_bins()
        self._runs = self._tiles.runs(tiles)
        self._set_chunks(memory)

    # ---- what the geometry gives ------------------------------------------------------------------------------

    def _set_elements(self) -> None:
        """Elements of every pose; pairs become one transmitter with one receiver each where nothing is shared."""
        tx, rx, weight = self.geometry.tx_position, self.geometry.rx_position, self.geometry.weight
        n_pose, n_tx, n_rx = weight.shape
        self._pairs = (n_tx, n_rx)
        if n_rx > 1 and np.any(tx != tx[:, :, :1]):
            self._pairs = (n_tx * n_rx, 1)
            tx, rx = (a.reshape(n_pose, n_tx * n_rx, 1, 3) for a in (tx, rx))
        moving = np.any(rx != rx[:, :1])
        self._tx = np.ascontiguousarray(tx[:, :, 0])
        self._rx = np.ascontiguousarray(rx.reshape(n_pose, -1, 3) if moving else rx[:, 0])
        self._weight = weight.reshape(n_pose, *self._pairs).astype(np.float32)
        self._means = np.concatenate([self._tx.mean(axis=1), self._rx.mean(axis=1)], axis=1)

    @property
    def _k_centre(self) -> float:
        return float(self.geometry.chirp.k[[0, -1]].mean())

    # ---- choices ----------------------------------------------------------------------------------------------

    def _set_design(self, wanted: float) -> None:
        import numba

        from mmsar.core.kernels_bpa import COEFS, LANES, NODES, TAPS
        from mmsar.core.kernels_bpa_layout import Tiles
        from mmsar.core.kernels_bpa_tiles import INNER_NODES

        assert TAPS == COEFS
        n_pose, geometry, grid = len(self._tx), self.geometry, self.grid
        channels = (geometry.tx_position, geometry.rx_position, geometry.weight)
        frequencies = (geometry.chirp.k, geometry.frequency_weight, self._k_centre)
        levels = min(MAX_LEVEL, int(np.ceil(np.log2(n_pose))))
        probe = design.Probe.draw(grid, channels, self._means, frequencies, levels)
        offset, fweight = geometry.chirp.k - self._k_centre, geometry.frequency_weight
        share = design.PROFILE_SHARE * wanted
        low, high = 1e-6, 10.0
        for _ in range(12):
            middle = np.sqrt(low * high)
            fits = design.fit_profile(offset, fweight, middle, TAPS).error <= share
            low, high = (middle, high) if fits else (low, middle)
        n_legs = self._tx.shape[1] + self._rx.shape[1]
        self._threads = 1 if self._direct else numba.get_num_threads()
        counts = (n_pose, n_legs, self._weight[0].size, self._threads)
        limits = (low, NODES, () if self._direct else INNER_NODES, LANES)
        self.design = design.choose(probe, self.grid.shape[::-1], counts, wanted, limits=limits)
        self._tiles = Tiles(self.design, grid.shape[::-1], grid.origin, grid.spacing)
        size = self.design.size
        reach = probe.reach(tuple(size[self.design.axes.index(a)] for a in range(3)))
        self._profile = design.fit_profile(offset, fweight, max(reach, low / 2), TAPS)

    def _set_bins(self) -> None:
        from mmsar.core.kernels_bpa import TAPS
        from mmsar.core.kernels_bpa_layout import range_bins

        path = range_bins(self._tx, self._rx, self._tiles.centres, self._profile.step)
        k = self.geometry.chirp.k - self._k_centre
        turn = np.exp(-1j * k[:, None] * path) * self.geometry.frequency_weight[:, None]
        self._compress = turn.astype(np.complex64)
        scale = [self._k_centre / (2 * np.pi), 1 / self._profile.half, path[0], 1 / self._profile.step, 2 * len(path)]
        self._scale = np.array(scale)
        fit = np.zeros((TAPS, 8), dtype=np.float32)
        fit[:, : self._profile.fit.shape[1]] = self._profile.fit
        self._fit = fit.ravel()

    def _set_chunks(self, memory: int | None) -> None:
        """Runs of poses whose tables fit in the memory, each with its own clusters."""
        n_pose, n_bins = len(self._tx), self._compress.shape[1]
        per_pose = 8 * n_bins * self._weight[0].size
        largest = max(run.tiles.stop - run.tiles.start for run in self._runs)
        fixed = 3 * self._tiles.nbytes * largest // len(self._tiles) + self._compress.nbytes
        fixed += 8 * min(ROWS_PER_STEP, self._weight.size) * (n_bins + self.geometry.shape[3])
        allowed = budget(memory)
        require("bpa", fixed + per_pose, allowed, MEMORY_ADVICE)
        size = int(min(n_pose, (allowed - fixed) // per_pose))
        n_chunks = -(-n_pose // size)
        edges = np.arange(n_chunks + 1) * n_pose // n_chunks
        size = int(np.diff(edges).max())
        self.nbytes = int(fixed + per_pose * size)
        level = self.design.level
        if level is not None and n_chunks > 1:
            level = max(0, level - int(np.floor(np.log2(n_chunks))))
        self._chunks = []
        for a, b in pairwise(edges):
            order = np.arange(b - a) if level is None else design.cluster_order(self._means[a:b], level)
            start, mean = design.clusters(self._means[a:b], order, level or 0)
            clusters = (start, np.ascontiguousarray(mean[:, :3]), np.ascontiguousarray(mean[:, 3:]))
            self._chunks.append((slice(int(a), int(b)), order, clusters))

    @property
    def seconds(self) -> float:
        """Predicted time of one application on idle cores [s] (a cost model: right to a factor of two or so)."""
        return self.design.cost * 1e-9 / self._threads

    # ---- on devices (recon.device_plan) -----------------------------------------------------------------------

    @property
    def n_parts(self) -> int:
        """Tiles."""
        return len(self._tiles)

    def on_device(self, device: "Device", mine: slice, memory: int) -> BpaShare:
        """Some of the tiles on a device."""
        tables = Tables(
            tiles=self._tiles,
            elements=(self._tx, self._rx, self._weight),
            compress=self._compress,
            scale=self._scale,
            fit=self._fit,
        )
        return BpaShare(self.geometry.shape, tables, device, mine, memory)

    def join(self, parts: list[np.ndarray]) -> np.ndarray:
        """The image of all tiles, (n, voxels) complex64 each."""
        return self._tiles.joined(parts, 1 / self.geometry.norm)

    def part(self, image: np.ndarray) -> np.ndarray:
        """The transpose of `join`."""
        return self._tiles.cut(image, 1 / self.geometry.norm)

    # ---- application ------------------------------------------------------------------------------------------

    def __call__(self, signal: Any) -> np.ndarray:
        """Image of a signal.

        Parameters
        ----------
        signal : (n_pose, n_tx, n_rx, n_samples) complex64, or an object with `blocks()`
            Beat samples; `blocks()` yields (slice of poses, array) in order, as `Scan.blocks` does.

        Returns
        -------
        (n_z, n_y, n_x) complex64
            A unit point target shows 1 at its place.

        Raises
        ------
        GeometryError
            A signal of another shape than the geometry.
        """
        packed = self._tiles.zeros()
        for number, (channels, clusters) in enumerate(self._tables(signal)):
            for tiles in self._steps(f"bpa {number + 1}/{len(self._chunks)}"):
                self._run(packed[tiles], self._tiles.centres[tiles], channels, clusters, forward=True)
        return self._tiles.unpack(packed, 1 / self.geometry.norm)

    @property
    def regions(self) -> list[tuple[slice, slice, slice]]:
        """The tiles that the image may be made in, one at a time (`ReconOptions.tiles`): voxels (z, y, x) of each."""
        return [run.region for run in self._runs]

    def prepare(self, signal: Any) -> Any:
        """What `tile` takes in place of a signal: its range profiles, or itself where these do not fit in the memory.

        Parameters and errors are those of a call.
        """
        return list(self._tables(signal)) if len(self._chunks) == 1 else signal

    def tile(self, prepared: Any, number: int) -> np.ndarray:
        """The part `regions[number]` of the image, the same as in the whole one, complex64."""
        run = self._runs[number]
        packed = self._tiles.zeros(run.tiles.stop - run.tiles.start)
        for channels, clusters in prepared if isinstance(prepared, list) else self._tables(prepared):
            self._run(packed, self._tiles.centres[run.tiles], channels, clusters, forward=True)
        return self._tiles.unpack(packed, 1 / self.geometry.norm, run)

    def _tables(self, signal: Any) -> Iterator[tuple[tuple, tuple]]:
        """(range profiles of the channels, clusters) of every chunk of poses."""
        parts = SignalParts(signal, self.geometry.shape, "bpa")
        for poses, order, clusters in self._chunks:
            place = np.argsort(order)
            table = self._table(poses)
            for first, part in parts.until(poses.stop):
                self._range_compress(part, table, place[first - poses.start :][: len(part)])
            yield self._channels(poses, order, table), clusters
            del table

    def adjoint(self, data: np.ndarray) -> np.ndarray:
        """The conjugate transpose of the same linear map: an image to the signal's shape.

        Parameters
        ----------
        data : (n_z, n_y, n_x) complex
            Image.

        Returns
        -------
        (n_pose, n_tx, n_rx, n_samples) complex64
            1 / norm times the weighted echoes of `data`.

        Raises
        ------
        GeometryError
            Data of another shape than the grid.
        """
        data = np.asarray(data)
        check_shape("bpa image", data.shape, self.grid.shape)
        packed = self._tiles.pack(data, 1 / self.geometry.norm)
        out = np.zeros(self.geometry.shape, dtype=np.complex64)
        back = np.ascontiguousarray(self._compress.conj().T)
        for number, (poses, order, clusters) in enumerate(self._chunks):
            table = self._table(poses)
            channels = self._channels(poses, order, table)
            for tiles in self._steps(f"bpa adjoint {number + 1}/{len(self._chunks)}"):
                self._run(packed[tiles], self._tiles.centres[tiles], channels, clusters, forward=False)
            rows = table.view(np.complex64).reshape(-1, self._compress.shape[1])
            signal = (rows @ back).reshape(len(order), *self.geometry.shape[1:])
            out[poses.start + order] = signal
        return out

    def _table(self, poses: slice) -> np.ndarray:
        return np.zeros((poses.stop - poses.start, *self._pairs, 2 * self._compress.shape[1]), dtype=np.float32)

    def _range_compress(self, block: np.ndarray, table: np.ndarray, place: np.ndarray) -> None:
        step = max(1, ROWS_PER_STEP // self._weight[0].size)
        view = table.view(np.complex64)
        for first in range(0, len(block), step):
            part = np.asarray(block[first : first + step], dtype=np.complex64)
            rows = part.reshape(-1, part.shape[-1]) @ self._compress
            view[place[first : first + step]] = rows.reshape(len(part), *view.shape[1:])

    def _channels(self, poses: slice, order: np.ndarray, table: np.ndarray) -> tuple:
        at = poses.start + order
        return self._tx[at], self._rx[at], self._weight[at], table.reshape(-1), self._scale, self._fit

    def _steps(self, label: str) -> Iterator[slice]:
        n = len(self._tiles)
        if self.progress is False:
            yield slice(0, n)
            return
        steps = int(np.clip(self.seconds / SECONDS_PER_STEP, 1, max(1, n // 8)))
        edges = np.linspace(0, n, steps + 1).round().astype(int)
        runs = [slice(a, b) for a, b in pairwise(edges)]
        yield from bar(runs, label, show=self.progress)

    def _run(self, packed: np.ndarray, centres: np.ndarray, channels: tuple, clusters: tuple, *, forward: bool) -> None:
        from mmsar.core import kernels_bpa_tiles as kernels

        if self.design.level is None:
            kernel = kernels.project_direct if forward else kernels.spread_direct
            kernel(packed, centres, channels, self._tiles.nodes)
        else:
            kernel = kernels.project if forward else kernels.spread
            kernel(packed, centres, self._tiles.tables, channels, clusters, self._tiles.nodes)


__all__ = ["BpaPlan", "exact", "exact_image", "plan"]
