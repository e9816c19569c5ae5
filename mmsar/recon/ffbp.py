"""Factorised back-projection in three dimensions: any poses, any array, near field, to a stated error.

    image(r) = (1 / norm) sum_c w_c sum_n v_n s[c, n] exp(-j k_n (|r - tx_c| + |r - rx_c|))

is the sum of `bpa`. Here channels are put in a tree of clusters. With the carrier of its mean elements (t, q) taken
out, the field of a cluster,

    h_A(r) = exp(+j kc (|r - t_A| + |r - q_A|))  sum over c in A of the sum above,

is smooth: the smaller the cluster, the coarser the grid that holds it over a whole block of voxels. Small clusters are
summed at few nodes (`core.kernels_ffbp`), then fields are interpolated to finer grids and added up, cluster by cluster
(`core.kernels_ffbp_grids`), until one or a few reach the voxels. Only positions matter, in three dimensions: antennas
may be anywhere, far apart, and rotate. Where voxels come close to antennas nothing is smooth, and little is gained.

Nodes are chosen for the bands measured on the very geometry (`ffbp_design`) and interpolated by the weights that are
best for them (`ffbp_nodes`), so that errors of all levels together stay within `ReconOptions.error_db`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np

from mmsar.core.checks import check_shape, finite_number
from mmsar.core.memory import MEMORY_ADVICE, budget, require
from mmsar.core.parallel import matmul_rows, threads
from mmsar.core.progress import counter
from mmsar.errors import GeometryError
from mmsar.model import Geometry, ImageGrid, Scan
from mmsar.recon.ffbp_batches import default_room
from mmsar.recon.ffbp_levels import Levels
from mmsar.recon.fourier import only_cpu, path_limits, slabs
from mmsar.recon.options import ReconOptions
from mmsar.recon.signal_parts import SignalParts
from mmsar.signal.compress import compress

ROWS_PER_STEP = 65536
"""Channels compressed at once."""
SECONDS_PER_STEP = 0.5
"""Work between two ticks of the progress bar (predicted)."""


def plan(
    geometry: Geometry | Scan, grid: ImageGrid, *, device: str = "auto", options: ReconOptions | None = None
) -> "FfbpPlan":
    """Prepare factorised back-projection of one geometry onto one grid.

    Parameters
    ----------
    geometry : Geometry or Scan
        Positions, frequencies and weights of the channels.
    grid : ImageGrid
        Where to image.
    device : str
        "auto" or "cpu" in this version.
    options : ReconOptions, optional
        `error_db` is the wanted relative RMS error of the image against `bpa.exact` [dB], -20 to -70; `memory` bounds
        samples and grids (poses are taken in chunks that fit); `progress` shows a bar.

    Raises
    ------
    GeometryError
        An error outside -20 to -70 dB; no channel of any weight; a bandwidth and a grid that need too many blocks.
    MmsarError
        A grid that does not fit in the memory.
    DeviceError
        A device that is not there.
    """
    options = options or ReconOptions()
    only_cpu(device, "ffbp")
    geometry = geometry.geometry if isinstance(geometry, Scan) else geometry
    return FfbpPlan(geometry, grid, options)


class FfbpPlan:
    """Factorised back-projection of one geometry onto one grid, made by `plan`.

    Apply by `plan(signal)` and `plan.adjoint(image)`. Attributes: `geometry`, `grid`, `error_db` (the wanted error
    [dB]), `nbytes` (memory used while applied), `seconds` (predicted time) and `design` (blocks, levels and nodes).
    """

    def __init__(self, geometry: Geometry, grid: ImageGrid, options: ReconOptions) -> None:
        self.geometry, self.grid, self.progress = geometry, grid, options.progress
        self._slabs = slabs(grid.shape[0], options.tiles)
        self.error_db = finite_number("ffbp error_db", options.error_db, "dB")
        if not -70 <= self.error_db <= -20:
            raise GeometryError(f"ffbp error_db: got {self.error_db:g}, wanted -70 to -20 [dB]")
        low, high = path_limits(geometry, grid)
        self._compression = compress(
            geometry.chirp.k, geometry.frequency_weight, low=low, high=high, error_db=self.error_db - 15
        )
        weight = geometry.weight.ravel()
        used = np.flatnonzero(weight)
        if not len(used):
            raise GeometryError("ffbp: got only channels of weight 0, wanted at least one of another weight")
        allowed = budget(options.memory)
        chunks = 1
        while True:
            self._edges = np.arange(chunks + 1) * len(geometry.weight) // chunks
            per_pose = weight.size // len(geometry.weight)
            runs = np.searchsorted(used, self._edges * per_pose)
            self._levels = Levels(geometry, grid, used, runs, self._compression.k, 10 ** (self.error_db / 20))
            self.design = self._levels.design
            planes = max(z.stop - z.start for z in self._slabs)
            fixed = 8 * planes * grid.n_voxels // grid.shape[0] + self._levels.fixed_bytes
            samples = self._bytes_per_channel * int(np.diff(runs).max())
            self._levels.fit(min(default_room(), allowed - fixed - samples))
            self.nbytes = fixed + self._levels.held_bytes + samples
            if self.nbytes <= allowed or chunks == len(geometry.weight):
                break
            per_channel = self.nbytes - fixed
            more = max(chunks + 1, 3 * chunks // 2)
            chunks = min(len(geometry.weight), max(more, -(-per_channel * chunks // max(1, allowed - fixed))))
        require("ffbp", self.nbytes, allowed, MEMORY_ADVICE)
        self._place = np.full(weight.size, -1, dtype=np.int64)
        self._place[used[self._levels.tree.order]] = np.arange(len(used))
        self._runs = runs

    @property
    def _bytes_per_channel(self) -> int:
        from mmsar.core.kernels_ffbp import TERMS

        return 16 * len(self._compression.k) + 8 * TERMS

    @property
    def chunks(self) -> list[slice]:
        """Runs of poses that are imaged one after the other."""
        return [slice(int(a), int(b)) for a, b in pairwise(self._edges)]

    @property
    def seconds(self) -> float:
        """Predicted time of one application on idle cores [s] (a cost model: right to a factor of two or so)."""
        return self.design.cost * 1e-9 / threads()

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
        image = np.zeros(self.grid.shape, dtype=np.complex64)
        tables = self._tables(signal)
        with self._counted("ffbp") as tick:
            for chunk, table in enumerate(tables):
                self._levels.image(image, chunk, table, 1 / self.geometry.norm, tick)
        return image

    @property
    def regions(self) -> list[tuple[slice, slice, slice]]:
        """The tiles that the image may be made in, one at a time (`ReconOptions.tiles`): voxels (z, y, x) of each."""
        _, n_y, n_x = self.grid.shape
        return [(z, slice(0, n_y), slice(0, n_x)) for z in self._slabs]

    def prepare(self, signal: Any) -> Any:
        """What `tile` takes in place of a signal: compressed samples, or itself where these do not fit in the memory.

        Parameters and errors are those of a call.
        """
        return list(self._tables(signal)) if len(self.chunks) == 1 else signal

    def tile(self, prepared: Any, number: int) -> np.ndarray:
        """The part `regions[number]` of the image, the same as in the whole one, complex64."""
        planes = self._slabs[number]
        image = np.zeros((planes.stop - planes.start, *self.grid.shape[1:]), dtype=np.complex64)
        for chunk, table in enumerate(prepared if isinstance(prepared, list) else self._tables(prepared)):
            self._levels.image(image, chunk, table, 1 / self.geometry.norm, lambda share: None, low=planes.start)
        return image

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
        check_shape("ffbp image", data.shape, self.grid.shape)
        data = np.ascontiguousarray(data, dtype=np.complex64)
        out = np.zeros(self.geometry.shape, dtype=np.complex64)
        rows = out.reshape(-1, out.shape[3])
        back = np.ascontiguousarray(self._compression.matrix.conj().T)
        per_pose = len(rows) // len(out)
        with self._counted("ffbp adjoint") as tick:
            for chunk, (first, last) in enumerate(pairwise(self._edges * per_pose)):
                table = self._levels.echoes(data, chunk, 1 / self.geometry.norm, tick)
                place = self._place[first:last]
                keep = np.flatnonzero(place >= 0)
                rows[first + keep] = matmul_rows(table[place[keep] - self._runs[chunk]], back)
        return out

    def _tables(self, signal: Any) -> Iterator[np.ndarray]:
        """Compressed samples of the channels of each chunk in the tree's order, (n, m) complex64."""
        parts = SignalParts(signal, self.geometry.shape, "ffbp")
        step = max(1, ROWS_PER_STEP // self.geometry.weight[0].size)
        for chunk, stop in enumerate(self._edges[1:]):
            run = slice(*self._runs[chunk : chunk + 2])
            table = np.empty((run.stop - run.start, len(self._compression.k)), dtype=np.complex64)
            for first, part in parts.until(stop, step):
                rows = np.asarray(part, dtype=np.complex64).reshape(-1, part.shape[-1])
                small = matmul_rows(rows, self._compression.matrix)
                place = self._place[first * len(small) // len(part) :][: len(small)]
                table[place[place >= 0] - run.start] = small[place >= 0]
            yield table

    @contextmanager
    def _counted(self, label: str) -> Iterator[Callable[[float], None]]:
        """Count shares of the whole work, 0 to 1 each, on a progress bar; an interrupt is heard between them."""
        steps = max(1, int(self.seconds / SECONDS_PER_STEP))
        done = 0.0
        with counter(label, steps, self.progress) as show:

            def tick(share: float) -> None:
                nonlocal done
                done += share
                show(min(steps, int(steps * done + 1e-6)))

            yield tick


__all__ = ["FfbpPlan", "plan"]
