"""The transform of `core.stacked` on a device: kernels of core/cuda/stacked.cu and whole planes by 2-D FFTs.

Geometry (cells, taps, corrections) is taken from the CPU's plan and moved once. All copies of the grid a period apart
are added where they are spread, so that the fine grid is as large as its FFT.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.core.gridding import tap_rows
from mmsar.core.kernels_cuda import MOST, blocks, warps
from mmsar.core.stacked import StackedNufft

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device


class StackedOnDevice:
    """`transform(data, first)` and its adjoint for the data sets (frequencies) from `first` on.

    Parameters
    ----------
    host : StackedNufft
        The plan of the CPU.
    device : Device
        Where.
    """

    def __init__(self, host: StackedNufft, device: "Device") -> None:
        xp = device.xp
        self._device, self._waves = device, host.waves
        place = host._points
        start, taps = zip(*(tap_rows(place[:, a], host._tables[a]) for a in range(3)), strict=True)
        start = np.stack(start, axis=1)
        order = np.lexsort((start[:, 2], start[:, 1]))
        start = start[order]
        cells_y, cells_x = (int(start[:, a].max()) + 1 for a in (1, 2))
        row = start[:, 1] * cells_x + start[:, 2]
        edges = np.searchsorted(row, np.arange(cells_y)[:, None] * cells_x + np.arange(cells_x + 1))
        self._cells = (cells_y, cells_x)
        planes = host._planes
        self._n_planes = (planes.n_fine, planes.n)
        self._matrix = None if planes.matrix is None else xp.asarray(planes.matrix.astype(np.complex64))
        self._fft_shape = (host._fft_sizes[1], host._fft_sizes[0])
        self._constants = {"WIDTH": taps[1].shape[1], "WIDTH_Z": taps[0].shape[1]}
        self._order = xp.asarray(host._order[order])
        self._shift = xp.asarray(host._shift[order, None])
        self._start = xp.asarray(start.astype(np.int32))
        self._taps = xp.asarray(np.concatenate(taps, axis=1)[order].astype(np.float32))
        self._cell = xp.asarray(edges.astype(np.int32))
        a, b = np.unravel_index(host.waves.flat, host.waves.count)
        self._column = xp.asarray((host._columns[1][b] * host._fft_sizes[0] + host._columns[0][a]).astype(np.int32))
        self._kx, self._ky, self._k2 = (xp.asarray(np.asarray(v, float)) for v in (host._kx, host._ky, host.waves.k2))
        kappa = np.linspace(-planes.centre, planes.centre, 1024)
        self._correction = xp.asarray(
            np.polynomial.polynomial.polyval((kappa / max(planes.centre, 1e-300)) ** 2, host._powers)
        )
        self._factor = xp.asarray(host._factor)
        inverse = (len(kappa) - 1) / (2 * planes.centre) if planes.centre else 0.0
        z_scale = (planes.centre, planes.first, planes.step, inverse)
        self._z_scale = tuple(np.float64(v) for v in z_scale)

    @property
    def nbytes(self) -> int:
        """Memory held [bytes]."""
        arrays = (self._order, self._shift, self._start, self._taps, self._cell, self._column)
        return sum(a.nbytes for a in (*arrays, self._kx, self._ky, self._k2, self._correction, self._factor))

    @property
    def per_data_set(self) -> int:
        """Memory in flight for every data set [bytes]: the fine grid, its FFT's work, and sorted points."""
        fine, few = self._n_planes
        most = 3 * fine if self._matrix is None else fine + 3 * few
        return 8 * (most * int(np.prod(self._fft_shape)) + 2 * len(self._start))

    def __call__(self, data: Any, first: int) -> Any:
        """(m, n) complex64 to (m, n_pairs) complex64."""
        xp, m, n_pairs = self._device.xp, len(data), len(self._kx)
        values = xp.ascontiguousarray(data.T[self._order] * self._shift)
        grid = xp.empty((m, self._n_planes[0], *self._fft_shape), dtype=np.complex64)
        n_y, n_x = self._fft_shape
        args = (values, np.int32(len(values)), self._start, self._taps, self._cell)
        sizes = (*self._cells, m, self._n_planes[0], n_y, n_x)
        self._launch(
            "spread_points", (n_x, n_y), warps(m * self._n_planes[0]), (*args, *(np.int32(v) for v in sizes), grid)
        )
        grid = self._combined(grid, self._matrix)
        grid = self._device.fft(grid, 2, "forward")
        out = xp.empty((m, n_pairs), dtype=np.complex64)
        self._launch("sum_planes", (blocks(n_pairs), m), MOST, (grid, *self._planes(first, m), out))
        return out

    def adjoint(self, spectrum: Any, first: int) -> Any:
        """(m, n_pairs) complex64 to (m, n) complex64."""
        xp, m, n = self._device.xp, len(spectrum), len(self._start)
        grid = xp.zeros((m, self._n_planes[1], *self._fft_shape), dtype=np.complex64)
        spectrum = xp.ascontiguousarray(spectrum)
        self._launch("split_planes", (blocks(len(self._kx)), m), MOST, (grid, *self._planes(first, m), spectrum))
        grid = self._device.fft(grid, 2, "backward")
        grid = self._combined(grid, None if self._matrix is None else self._matrix.T)
        values = xp.empty((n, m), dtype=np.complex64)
        sizes = (np.int32(v) for v in (m, self._n_planes[0], *self._fft_shape))
        args = (values, np.int32(n), self._start, self._taps, *sizes, grid)
        self._launch("gather_points", (blocks(n * m),), MOST, args)
        out = xp.empty((m, n), dtype=np.complex64)
        out[:, self._order] = (values * self._shift.conj()).T
        return out

    def _combined(self, grid: Any, matrix: Any) -> Any:
        """Planes of every data set combined along z; as they are without a matrix."""
        if matrix is None:
            return grid
        return (matrix @ grid.reshape(*grid.shape[:2], -1)).reshape(len(grid), len(matrix), *self._fft_shape)

    def _planes(self, first: int, m: int) -> tuple:
        """Arguments of the kernels along z, for m data sets from `first` on."""
        size, n_table = int(np.prod(self._fft_shape)), len(self._correction)
        waves = (self._kx, self._ky, self._k2[first : first + m])
        table = (self._correction, np.int32(n_table), self._factor, np.int32(len(self._kx)))
        return np.int32(self._n_planes[1]), np.int32(size), self._column, *waves, *self._z_scale, *table

    def _launch(self, kernel: str, grid: tuple[int, ...], threads: int, args: tuple) -> None:
        self._device.kernels("stacked", kernel, self._constants, grid, threads, args)
