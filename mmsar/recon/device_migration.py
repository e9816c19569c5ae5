"""Range migration on a device: the Stolt step and the lateral transforms of some planes, by core/cuda's kernels.

A run of planes is made at a time, as many as fit. Gridded, the pairs are taken in blocks: spread along k_z,
transformed, turned into planes; then modes are placed in the buffer of a 2-D FFT over x and y, whose corner is the
image.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.core.backend import namespace
from mmsar.core.gridding import STEEPEST2, SUBDIVISIONS, WIDTH
from mmsar.core.kernels_cuda import MOST, WARP, blocks
from mmsar.recon.device_plan import fit, landed
from mmsar.recon.migration import Migration
from mmsar.recon.stolt import Gridded, fine_size

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device

LINES = 2**27
"""Lines along k_z that are spread and transformed at a time [bytes]."""
HEIGHTS = 4
"""Planes a thread sums directly."""


class MigrationOnDevice:
    """Spectrum (m, n_pairs) on the device to planes of the image, there or on the host, and the adjoint.

    Parameters
    ----------
    host : Migration
        The plan of the CPU.
    device : Device
        Where.
    mine : slice
        Planes to make.
    """

    def __init__(self, host: Migration, device: "Device", mine: slice) -> None:
        xp, (waves, masks, root) = device.xp, host.tables
        self._host, self._waves, self._device, self._mine = host, waves, device, mine
        self.n_pairs = host.n_pairs
        self._kx, self._ky, self._k2, self._band = (
            xp.asarray(np.asarray(v, dtype=float)) for v in (waves.kx, waves.ky, waves.k2, waves.band)
        )
        self._phase = xp.asarray(waves.phase)
        self._mode = xp.asarray(host.flat.astype(np.int32))
        pair = np.full(host.count, -1, dtype=np.int32)
        pair.ravel()[host.flat] = np.arange(host.n_pairs)
        self._pair = xp.asarray(np.ascontiguousarray(pair.T))
        self._masks = [xp.asarray(np.ascontiguousarray(m[mine])) for m in masks]
        self._root = None if root is None else xp.asarray(root)
        n_y, n_x = host.grid.shape[1:]
        self._period = (host.period[1] if n_y > 1 else 1, host.period[0] if n_x > 1 else 1)
        self._stolt = {"WIDTH": WIDTH, "SUBDIVISIONS": SUBDIVISIONS, "STEEPEST2": STEEPEST2}
        self._step, self._lines = 1, LINES

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        arrays = (self._kx, self._ky, self._phase, self._mode, self._pair, *self._masks)
        return sum(a.nbytes for a in arrays) + (0 if self._root is None else self._root.nbytes)

    def within(self, room: int) -> int:
        """Take as many planes at a time as `room` bytes hold; returns the bytes they take.

        Raises
        ------
        MmsarError
            When not even one plane fits.
        """
        n = self._mine.stop - self._mine.start
        of_pair = 2 * 8 * fine_size(n)
        self._lines = min(LINES, max(room // 4, of_pair * WARP))
        lines = min(self._lines, of_pair * self.n_pairs)
        per_plane = 8 * (self.n_pairs + 3 * self._period[0] * self._period[1])
        self._step = fit("migration", lines, per_plane, n, room)
        return lines + per_plane * self._step

    def __call__(self, spectrum: Any, place: ModuleType) -> Any:
        """(m, n_pairs) on the device to the planes (n, n_y, n_x), arrays of `place`, complex64."""
        n_y, n_x = self._host.grid.shape[1:]
        out = place.empty((self._mine.stop - self._mine.start, n_y, n_x), dtype=np.complex64)
        if self._root is not None:
            spectrum = spectrum * self._root
        for planes in self._runs():
            n = planes.stop - planes.start
            spectra = self._device.xp.empty((n, self.n_pairs), dtype=np.complex64)
            self._run_stolt(spectrum, spectra, planes, forward=True)
            buffer = self._device.xp.empty((n, *self._period), dtype=np.complex64)
            masks, modes = self._modes(planes)
            grid = (blocks(buffer[0].size), n)
            args = (spectra, np.int32(self.n_pairs), self._pair, *modes, *masks, *self._buffer_size(), buffer)
            self._device.kernels("lateral", "place_modes", {}, grid, MOST, args)
            buffer = self._device.fft(buffer, 2, "backward")
            out[planes] = landed(self._device.xp.ascontiguousarray(buffer[:, :n_y, :n_x]), place)
        return out

    def adjoint(self, image: Any) -> Any:
        """Planes (n, n_y, n_x), there or on the host, to the spectrum (m, n_pairs) on the device, complex64."""
        xp, (n_y, n_x) = self._device.xp, self._host.grid.shape[1:]
        total = xp.zeros((len(self._k2), self.n_pairs), dtype=np.complex64)
        part = xp.empty_like(total)
        for planes in self._runs():
            n = planes.stop - planes.start
            buffer = xp.zeros((n, *self._period), dtype=np.complex64)
            buffer[:, :n_y, :n_x] = xp.asarray(namespace(image).ascontiguousarray(image[planes]))
            buffer = self._device.fft(buffer, 2, "forward")
            spectra = xp.empty((n, self.n_pairs), dtype=np.complex64)
            masks, modes = self._modes(planes)
            grid = (blocks(self.n_pairs), n)
            args = (spectra, np.int32(self.n_pairs), self._mode, *modes, *masks, *self._buffer_size(), buffer)
            self._device.kernels("lateral", "pick_modes", {}, grid, MOST, args)
            self._run_stolt(part, spectra, planes, forward=False)
            total += part
        return total if self._root is None else total * self._root

    def _runs(self) -> list[slice]:
        """Runs of planes, counted from the first of this device's."""
        n = self._mine.stop - self._mine.start
        return [slice(i, min(i + self._step, n)) for i in range(0, n, self._step)]

    def _modes(self, planes: slice) -> tuple[tuple, tuple]:
        """Masks of some planes, and sizes and first modes of the block of modes, as the lateral kernels take them."""
        first = (int(self._host.first[0]), int(self._host.first[1]))
        masks = tuple(self._device.xp.ascontiguousarray(m[planes]) for m in self._masks)
        return masks, tuple(np.int32(v) for v in (*self._host.count, *first))

    def _buffer_size(self) -> tuple:
        return np.int32(self._period[1]), np.int32(self._period[0])

    def _run_stolt(self, spectrum: Any, spectra: Any, planes: slice, *, forward: bool) -> None:
        """Spectrum of all frequencies to the spectra (n, n_pairs) of some planes, or back; overwrites the target."""
        start = self._mine.start
        z, scale, direct = self._host.heights(slice(start + planes.start, start + planes.stop))
        waves = (self._kx, self._ky, self._k2, np.int32(len(self._k2)), self._band)
        if direct:
            self._sum(spectrum, spectra, waves, (z, scale), forward)
        else:
            self._grid(spectrum, spectra, waves, Gridded(self._waves, z, scale), forward)

    def _sum(self, spectrum: Any, spectra: Any, waves: tuple, heights: tuple, forward: bool) -> None:
        xp, n = self._device.xp, len(spectra)
        z, scale = xp.asarray(np.asarray(heights[0], dtype=float)), xp.asarray(heights[1].astype(np.float32))
        args = (spectrum, np.int32(self.n_pairs), *waves, z, scale, self._phase, np.int32(n), spectra)
        grid = (blocks(self.n_pairs), blocks(n, HEIGHTS) if forward else len(self._k2))
        self._device.kernels("stolt", "stolt_sum" if forward else "stolt_sum_back", self._stolt, grid, MOST, args)

    def _grid(self, spectrum: Any, spectra: Any, waves: tuple, host: Gridded, forward: bool) -> None:
        xp, n = self._device.xp, len(spectra)
        table, scale = xp.asarray(host.table), xp.asarray(host.scale)
        fine, n_pairs = np.int32(host.fine), np.int32(self.n_pairs)
        geometry = (np.float64(host.middle), np.float64(host.spacing), table, fine)
        size = max(WARP, min(self.n_pairs, self._lines // (16 * host.fine)))
        for first in range(0, self.n_pairs, size):
            count = min(size, self.n_pairs - first)
            run = (np.int32(first), np.int32(count))
            rows = xp.zeros((count, host.fine), dtype=np.complex64)
            turned = (fine, *run, scale, self._phase, np.int32(n), spectra, n_pairs)
            tiles = (blocks(count, WARP), blocks(n, WARP))
            lines = (spectrum, n_pairs, *run, *waves, *geometry)
            if forward:
                self._start("stolt_spread", (blocks(count, 128),), 128, (*lines, rows))
                rows = self._device.fft(rows, 1, "forward")
                self._start("stolt_rows_to_planes", tiles, MOST, (rows, *turned))
            else:
                self._start("stolt_planes_to_rows", tiles, MOST, (rows, *turned))
                rows = self._device.fft(rows, 1, "backward")
                self._start("stolt_gather", (blocks(count, 128), len(self._k2)), 128, (*lines, rows))

    def _start(self, kernel: str, grid: tuple[int, ...], threads: int, args: tuple) -> None:
        self._device.kernels("stolt", kernel, self._stolt, grid, threads, args)
