"""Irregular points in space to plane waves on a uniform (kx, ky) grid, kz given by kx, ky and k: planes stacked in z.

    F_m[q] = sum_l c_m[l] exp(-j (kx_q x_l + ky_q y_l + (K_m - kz_m,q) z_l)),   kz_m,q = sqrt(K_m^2 - kx_q^2 - ky_q^2)

This is a type-3 non-uniform FFT in z and type 1 in x and y for a family of m data sets that share the points. Points
are spread with a Kaiser-Bessel kernel to a fine (z, y, x) grid, all data sets in one pass; the fine planes are combined
to as few as carry the waves (`depth_planes`), in place; each of these is Fourier transformed where it has points and
modes; they are summed with exp(j (kz - K) z_p) and the kernels divided out. The z extent of a hand-held scan is some
wavelengths times 1 - cos(theta), so a dozen planes do. finufft's type 3 computes the same and is its test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmsar.core import kernels_planes, kernels_spread
from mmsar.core.depth_planes import depth_planes, middle_kappa
from mmsar.core.fft import RowFFT, good_size
from mmsar.core.gridding import kernel_correction, kernel_table
from mmsar.core.parallel import Workers, one_blas_thread, threads

SIGMA = 1.25
"""Oversampling along x and y."""


def kernel_width(error: float) -> int:
    """Taps of the kernel for a wanted relative error."""
    return int(np.clip(np.ceil(-np.log(error) / (np.pi * np.sqrt(1 - 1 / SIGMA))), 2, 8))


def fine_length(n_modes: int, width: int) -> int:
    """Length of the transform along x or y for so many modes."""
    return good_size(max(int(np.ceil(SIGMA * n_modes)), 2 * width))


@dataclass(frozen=True, kw_only=True, eq=False)
class WaveFamily:
    """The plane waves: in-band pairs of a block of uniform modes, and the wavenumbers of the data sets."""

    dk: tuple[float, float]
    """Mode spacing along x and y [rad/m]."""
    first: tuple[int, int]
    """First mode along x and y."""
    count: tuple[int, int]
    """Modes along x and y."""
    flat: np.ndarray
    """In-band pairs as flat indices into (n_kx, n_ky), increasing, (n_pairs,)."""
    k2: np.ndarray
    """K of every data set [rad/m], (m,)."""
    largest_sine: float
    """Waves farther than this from the z axis do not matter."""


class StackedNufft:
    """The transform for one set of points; `transform(data)` and its exact `adjoint(spectrum)`.

    Parameters
    ----------
    points : (n, 3) array
        x, y, z [m].
    waves : WaveFamily
        Where to evaluate.
    error : float
        Wanted RMS error over all pairs relative to the RMS spectrum.
    memory : int
        Bytes the fine grid may take; data sets are taken in blocks that fit, at least one.
    """

    def __init__(self, points: np.ndarray, waves: WaveFamily, *, error: float, memory: int) -> None:
        self.waves = waves
        self._width = width = kernel_width(error)
        kx, ky = (d * (f + np.arange(n)) for d, f, n in zip(waves.dk, waves.first, waves.count, strict=True))
        a, b = np.unravel_index(waves.flat, waves.count)
        self._kx, self._ky = kx[a], ky[b]
        units, sizes, self._columns, self._fft_sizes, factors = [], [], [], [], []
        shift = np.zeros(len(points))
        for axis in (0, 1):
            n, dk = waves.count[axis], waves.dk[axis]
            length = fine_length(n, width)
            h = 2 * np.pi / (length * dk)
            middle = waves.first[axis] + n // 2
            mode = waves.first[axis] + np.arange(n) - middle
            low = float(points[:, axis].min())
            units.append((points[:, axis] - low) / h + width / 2)
            sizes.append(int(np.ceil(units[-1].max() + width / 2)) + 1)
            factors.append(
                np.exp(-1j * mode * dk * (low - width / 2 * h)) * kernel_correction(width, SIGMA, mode / length)
            )
            shift -= middle * dk * points[:, axis]
            self._columns.append(np.mod(mode, length).astype(np.int64))
            self._fft_sizes.append(length)
        widest = float(np.max(np.hypot(self._kx, self._ky), initial=0.0)) / float(waves.k2.min())
        centre = middle_kappa(float(waves.k2.max()), min(waves.largest_sine, widest))
        self._planes = planes = depth_planes(points[:, 2], centre, error)
        self._powers = planes.correction_powers()
        units.append(planes.places(points[:, 2]))
        sizes.append(planes.n_fine)
        shift -= centre * points[:, 2]
        column = self._columns[1][b]
        starts = np.flatnonzero((np.diff(a, prepend=-1) != 0) | (np.diff(column, prepend=-2) != 1))
        ends = np.append(starts, len(a))
        self._runs = np.stack([np.append(a[starts], 0), np.append(column[starts], 0), ends], axis=1).astype(np.int64)
        self._factor = (factors[0][a] * factors[1][b]).astype(np.complex64)

        place = np.stack(units[::-1], axis=1)
        self._order = np.lexsort(np.floor(place[:, [2, 1]]).T)
        self._points = np.ascontiguousarray(place[self._order])
        self._shift = np.exp(1j * shift[self._order]).astype(np.complex64)[:, None]
        self._shape = (sizes[2], sizes[1], sizes[0])
        lateral = kernel_table(width, SIGMA)
        self._tables = (planes.table, lateral, lateral)
        self._block = int(np.clip(memory // max(1, 8 * int(np.prod(self._shape))), 1, len(waves.k2)))
        self._shape = (*self._shape[:2], sizes[0] + kernels_spread.slack(self._block, width))
        self._grid: np.ndarray | None = None
        self._stripes = self._cut_stripes()
        self._workers: dict[str, Workers] = {}

    def _cut_stripes(self) -> list[tuple[int, int]]:
        """Ranges of the points sorted along y, each wider than the kernel: every second one can run side by side."""
        cell = np.ceil(self._points[:, 1] - self._width / 2).astype(int)
        for n in range(2 * threads(), 1, -2):
            edges = [0, *(int(np.searchsorted(cell, cell[len(cell) * i // n])) for i in range(1, n)), len(cell)]
            first = [cell[e] for e in edges[:-1]]
            if all(b - a >= self._width for a, b in pairwise(first)):
                return list(pairwise(edges))
        return [(0, len(cell))]

    @property
    def n_planes(self) -> tuple[int, int]:
        """Planes along z that points are spread to, and that are transformed."""
        return self._planes.n_fine, self._planes.n

    @property
    def nbytes(self) -> int:
        """Memory held, and the fine grid and buffers in flight [bytes]."""
        held = self._points.nbytes + self._order.nbytes + self._shift.nbytes + 3 * self._factor.nbytes
        rows = self._shape[1] * self._fft_sizes[0] + self.waves.count[0] * self._fft_sizes[1]
        row = self._planes.n * self._shape[2] * self._block
        return (
            held
            + 8 * self._block * (int(np.prod(self._shape)) + len(self._points))
            + 8 * threads() * (2 * rows + row + 3 * len(self._factor))
        )

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """(m, n) complex64 to (m, n_pairs) complex64."""
        out = np.empty((len(data), len(self._factor)), dtype=np.complex64)
        for block in self._blocks():
            n = block.stop - block.start
            values = np.zeros((len(self._points), self._block), dtype=np.complex64)
            np.multiply(data[block].T[self._order], self._shift, out=values[:, :n])  # a last block may be smaller
            grid = self._held_grid()
            Workers().run(lambda plane, g=grid: g[plane].fill(0), range(len(grid)))
            for colour in (self._stripes[::2], self._stripes[1::2]):
                Workers().run(
                    lambda s, v=values, g=grid: kernels_spread.spread_points(v, self._points, *s, self._tables, g),
                    colour,
                )
            self._combine(grid, self._to_few)

            def one(m: int, along_x: RowFFT, along_y: RowFFT, waves: np.ndarray, start=block.start, grid=grid) -> None:
                first, ratio, total = self._phasors(start + m, waves)
                total[:] = 0
                for plane in reversed(range(self._planes.n)):
                    kernels_planes.load_plane(grid, plane, m, along_x.buffer)
                    kernels_planes.pick_columns(along_x(), self._columns[0], along_y.buffer)
                    kernels_planes.add_plane(along_y(), self._runs, ratio, total)
                kernels_planes.finish(total, first, self._factor, out[start + m])

            self._lateral_workers("forward").run(one, range(n))
        return out

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray:
        """(m, n_pairs) complex64 to (m, n) complex64."""
        out = np.empty((len(spectrum), len(self._points)), dtype=np.complex64)
        for block in self._blocks():
            n = block.stop - block.start
            grid = self._held_grid()

            def one(m: int, along_x: RowFFT, along_y: RowFFT, waves: np.ndarray, start=block.start, grid=grid) -> None:
                first, ratio, total = self._phasors(start + m, waves)
                kernels_planes.finish_back(spectrum[start + m], first, self._factor, total)
                for plane in range(self._planes.n):
                    kernels_planes.take_plane(total, self._runs, ratio, along_y.buffer)
                    kernels_planes.put_columns(along_y(), self._columns[0], along_x.buffer)
                    kernels_planes.store_plane(along_x(), plane, m, grid)

            self._lateral_workers("backward").run(one, range(n))
            self._combine(grid, self._to_fine)
            values = np.empty((len(self._points), self._block), dtype=np.complex64)
            Workers().run(
                lambda s, v=values, g=grid: kernels_spread.gather_points(g, self._points, *s, self._tables, v),
                self._stripes,
            )
            out[block][:, self._order] = (values[:, :n] * self._shift.conj()).T
        return out

    def _combine(self, grid: np.ndarray, step: Callable[..., None]) -> None:
        """A step along z for every row of the grid, each thread with a row of planes to work in."""
        shape = (self._planes.n, self._shape[2], self._block)
        with one_blas_thread():
            Workers(lambda: (np.empty(shape, dtype=np.complex64),)).run(
                lambda y, rows: step(grid, y, rows), range(self._shape[1])
            )

    def _to_few(self, grid: np.ndarray, y: int, rows: np.ndarray) -> None:
        """The fine planes to the few, data sets outermost; in place."""
        matrix = self._planes.matrix
        if matrix is None:
            rows[:] = grid[:, y]
        else:
            np.matmul(matrix, _floats(grid[:, y]), out=_floats(rows))
        kernels_planes.turn_rows(rows, y, grid)

    def _to_fine(self, grid: np.ndarray, y: int, rows: np.ndarray) -> None:
        """Adjoint of `_to_few`."""
        matrix = self._planes.matrix
        kernels_planes.turn_rows_back(grid, y, rows)
        if matrix is None:
            grid[:, y] = rows
        else:
            np.matmul(matrix.T, _floats(rows), out=_floats(grid[:, y]))

    def _held_grid(self) -> np.ndarray:
        """The fine grid (n_z, n_y, n_x, data sets of a block), held between runs."""
        if self._grid is None:
            self._grid = np.zeros((*self._shape, self._block), dtype=np.complex64)
        return self._grid

    def _blocks(self) -> list[slice]:
        n = len(self.waves.k2)
        return [slice(i, min(i + self._block, n)) for i in range(0, n, self._block)]

    def _phasors(self, m: int, waves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first plane's weights of all pairs, their ratio from plane to plane, and room for sums: of `waves`."""
        first, ratio, total = waves
        planes = self._planes
        z_scale = (planes.centre, planes.first, planes.step)
        kernels_planes.start_phasors(self._kx, self._ky, float(self.waves.k2[m]), z_scale, self._powers, first, ratio)
        return first, ratio, total

    def _lateral_workers(self, direction: str) -> Workers:
        rows = ((self._shape[1], self._fft_sizes[0]), (self.waves.count[0], self._fft_sizes[1]))
        if direction not in self._workers:
            self._workers[direction] = Workers(
                lambda: (
                    *(RowFFT(*shape, direction, keep=True) for shape in rows),
                    np.empty((3, 2, len(self._factor)), dtype=np.float32),
                )
            )
        return self._workers[direction]


def _floats(rows: np.ndarray) -> np.ndarray:
    """(n, n_x, m) complex64 as (n, 2 n_x m) float32, no copy."""
    return rows.view(np.float32).reshape(len(rows), -1)
