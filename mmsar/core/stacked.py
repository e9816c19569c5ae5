"""Irregular points in space to plane waves on a uniform (kx, ky) grid, kz given by kx, ky and k: planes stacked in z.

    F_m[q] = sum_l c_m[l] exp(-j (kx_q x_l + ky_q y_l + (K_m - kz_m,q) z_l)),   kz_m,q = sqrt(K_m^2 - kx_q^2 - ky_q^2)

This is a type-3 non-uniform FFT in z and type 1 in x and y for a family of m data sets that share the points. Points
are spread with a Kaiser-Bessel kernel to a fine (z, y, x) grid, all data sets in one pass; the fine planes are combined
to as few as carry the waves (`depth_planes`); each of these is Fourier transformed where it has points and modes; they
are summed with exp(j (kz - K) z_p) and the kernels divided out. The z extent of a hand-held scan is some wavelengths
times 1 - cos(theta), so a dozen planes do. finufft's type 3 computes the same and is its test.

A thread has a stripe of the grid's rows, of which there are as many at a time as a point reaches: one that no more
points reach is combined, and `ROWS` of them are transformed along x together. What is kept is the modes along x, in an
array that is read k_x by k_x for the transform along y and the sum along z. So neither the fine grid nor planes of
modes are ever whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mmsar.core import kernels_planes, kernels_spread
from mmsar.core.depth_planes import Lags, depth_planes
from mmsar.core.fft import RowFFT, aligned, fast_size
from mmsar.core.gridding import kernel_correction, kernel_table
from mmsar.core.kernels_planes import ROWS
from mmsar.core.parallel import Workers, one_blas_thread, threads

SIGMA = 1.25
"""Least oversampling along x and y."""
MOST_SIGMA = 1.6
STRIPES = 3
"""Stripes for every thread: a thread that is held up takes fewer. Where they meet, points are spread twice."""
PART = 4096
"""Points that a thread brings into order at a time."""


TOGETHER, MOST_COLUMNS = 2**19, 16
"""What is transformed together where problems are small [bytes]: threads would wait for each other between short calls;
and how many k_x at most."""
FUSED = 2**17
"""A row of the fine grid up to which its planes are combined as it is spread [bytes]."""
PART_OF_MEMORY = 64
"""What is transformed together takes at most one part in so many of the memory, for every thread."""


def together(block: int, planes: int, lengths: tuple[int, int], memory: int) -> tuple[int, int]:
    """Planes whose rows, and k_x whose columns are transformed together, of so many data sets and planes, and of them
    only what takes a small part of the memory."""
    most = min(TOGETHER, memory // (PART_OF_MEMORY * threads()))
    rows, columns = 8 * block * ROWS * lengths[0], 8 * block * planes * lengths[1]
    return int(np.clip(most // rows, 1, planes)), int(np.clip(most // columns, 1, MOST_COLUMNS))


def together_bytes(block: int, planes: int, lengths: tuple[int, int], memory: int) -> int:
    """Memory that this takes on all threads, in either direction, beyond rows and columns one by one [bytes]."""
    rows, columns = together(block, planes, lengths, memory)
    return 32 * threads() * block * ((rows - 1) * ROWS * lengths[0] + (columns - 1) * planes * lengths[1])


def lateral_grid(count: tuple[int, int], error: float) -> tuple[int, tuple[int, int], float]:
    """Taps of the kernel along x and y, lengths of the transforms for so many modes, and the kernel's oversampling."""
    lengths = tuple(
        fast_size(max(int(np.ceil(SIGMA * n)), 16), most=MOST_SIGMA / SIGMA, beside=0.5, power=1) for n in count
    )
    sigma = min(MOST_SIGMA, *(length / n for length, n in zip(lengths, count, strict=True)))
    return int(np.clip(np.ceil(-np.log(error) / (np.pi * np.sqrt(1 - 1 / sigma))), 2, 8)), lengths, sigma


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
    lags: Lags
    """K - k_z of the waves and what they weigh."""


class StackedNufft:
    """The transform for one set of points; `transform(data)` and its exact `adjoint(spectrum)`.

    Parameters
    ----------
    points : (n, 3) array
        x, y, z [m].
    waves : WaveFamily
        Where to evaluate.
    error : float
        Wanted RMS error over all pairs, weighted as they are, relative to the RMS spectrum.
    memory : int
        Bytes the grids may take; data sets are taken in blocks that fit, at least one.
    """

    def __init__(self, points: np.ndarray, waves: WaveFamily, *, error: float, memory: int) -> None:
        self.waves = waves
        width, self._fft_sizes, sigma = lateral_grid(waves.count, error)
        self._width = width
        kx, ky = (d * (f + np.arange(n)) for d, f, n in zip(waves.dk, waves.first, waves.count, strict=True))
        a, b = np.unravel_index(waves.flat, waves.count)
        self._kx, self._ky = kx[a], ky[b]
        units, sizes, self._columns, factors = [], [], [], []
        shift = np.zeros(len(points))
        for axis in (0, 1):
            n, dk = waves.count[axis], waves.dk[axis]
            length = self._fft_sizes[axis]
            h = 2 * np.pi / (length * dk)
            middle = waves.first[axis] + n // 2
            mode = waves.first[axis] + np.arange(n) - middle
            low = float(points[:, axis].min())
            units.append((points[:, axis] - low) / h + width / 2)
            sizes.append(int(np.ceil(units[-1].max() + width / 2)) + 1)
            factors.append(
                np.exp(-1j * mode * dk * (low - width / 2 * h)) * kernel_correction(width, sigma, mode / length)
            )
            shift -= middle * dk * points[:, axis]
            self._columns.append(np.mod(mode, length).astype(np.int64))
        self._planes = planes = depth_planes(points[:, 2], waves.lags, error)
        self._powers = planes.correction_powers()
        self._matrix = np.empty((0, 0), dtype=np.float32) if planes.matrix is None else planes.matrix
        units.append(planes.places(points[:, 2]))
        sizes.append(planes.n_fine)
        shift -= planes.centre * points[:, 2]
        column = self._columns[1][b]
        starts = np.flatnonzero((np.diff(a, prepend=-1) != 0) | (np.diff(column, prepend=-2) != 1))
        runs = np.stack([column[starts], starts, np.append(starts, len(a))[1:]], axis=1).astype(np.int64)
        self._runs = runs, np.searchsorted(a[starts], np.arange(waves.count[0] + 1))
        self._factor = (factors[0][a] * factors[1][b]).astype(np.complex64)

        place = np.stack(units[::-1], axis=1)
        cell = np.ceil(place - width / 2)
        self._order = np.lexsort((cell[:, 2], cell[:, 1]))
        self._points = np.ascontiguousarray(place[self._order])
        self._shift = np.exp(1j * shift[self._order]).astype(np.complex64)
        n_y = -(-sizes[1] // ROWS) * ROWS
        self._shape = (sizes[2], n_y, kernels_spread.cells(sizes[0]))
        self._first = np.searchsorted(cell[self._order, 1], np.arange(n_y + 1))
        lateral = kernel_table(width, sigma)
        self._tables = (planes.table, lateral, lateral)
        self._block = int(np.clip(memory // max(1, self._bytes(1)), 1, len(waves.k2)))
        beside = self._block, self._planes.n, self._fft_sizes, memory
        self._together, self._grouped = together(*beside), together_bytes(*beside)
        step = self._together[0]
        self._few_planes = [(first, min(first + step, planes.n)) for first in range(0, planes.n, step)]
        self._used_columns = self._cut_columns(np.flatnonzero(np.diff(self._runs[1])))
        self._all_columns = self._cut_columns(np.arange(waves.count[0]))
        self._grid: np.ndarray | None = None
        self._values: np.ndarray | None = None
        self._stripes = self._cut_stripes()
        self._workers: dict[tuple[str, str], Workers] = {}

    def _cut_stripes(self) -> list[range]:
        """First rows of the blocks of every stripe, with about as many points each."""
        blocks = range(0, self._shape[1], ROWS)
        n = min(STRIPES * threads(), len(blocks))
        middle = (self._first[blocks] + self._first[np.array(blocks) + ROWS]) / 2
        edges = [0, *np.searchsorted(middle, len(self._points) * np.arange(1, n) / n), len(blocks)]
        return [blocks[a:b] for a, b in pairwise(edges) if b > a]

    def _bytes(self, m: int) -> int:
        """Memory of the modes along x and of the threads' windows and buffers, for m data sets together [bytes]."""
        n_z, n_y, n_x = self._shape
        modes = self.waves.count[0] * self._planes.n * n_y
        window = self._width * n_z * n_x + ROWS * self._planes.n * n_x
        buffers = 2 * (ROWS * self._fft_sizes[0] + self._planes.n * self._fft_sizes[1])
        return 8 * m * (modes + threads() * (window + buffers))

    @property
    def n_planes(self) -> tuple[int, int]:
        """Planes along z that points are spread to, and that are transformed."""
        return self._planes.n_fine, self._planes.n

    @property
    def nbytes(self) -> int:
        """Memory held, and the fine grid and buffers in flight [bytes]."""
        held = self._points.nbytes + self._order.nbytes + self._shift.nbytes + 3 * self._factor.nbytes
        return held + self._bytes(self._block) + self._grouped + 8 * self._block * len(self._points)

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """(m, n) complex64 to (m, n_pairs) complex64; data that lie point by point in memory are read faster."""
        out = np.empty((len(data), len(self._factor)), dtype=np.complex64)
        for block in self._blocks():
            values = self._sorted(data[block])
            columns = self._held_columns()
            with one_blas_thread():
                self._along_x("forward").run(
                    lambda stripe, *state, v=values, c=columns: self._spread(stripe, v, c, *state), self._stripes
                )
            self._along_y("forward").run(
                lambda few, *state, c=columns, o=out[block], k2=self.waves.k2[block]: self._sum(few, c, k2, o, *state),
                self._used_columns,
            )
        return out

    def adjoint(self, spectrum: np.ndarray) -> np.ndarray:
        """(m, n_pairs) complex64 to (m, n) complex64."""
        out = np.empty((len(spectrum), len(self._points)), dtype=np.complex64, order="F")
        for block in self._blocks():
            columns = self._held_columns()
            given = np.ascontiguousarray(spectrum[block])
            self._along_y("backward").run(
                lambda few, *state, c=columns, g=given, k2=self.waves.k2[block]: self._split(few, g, k2, c, *state),
                self._all_columns,
            )
            values = np.empty((len(self._points), self._block), dtype=np.complex64)
            seams: dict[int, np.ndarray] = {}
            with one_blas_thread():
                self._along_x("backward").run(
                    lambda stripe, *state, v=values, c=columns, s=seams: self._gather(stripe, c, v, s, *state),
                    self._stripes,
                )
            for start, seam in seams.items():
                values[start : start + len(seam)] += seam
            out[block].T[self._order] = values[:, : len(given)] * self._shift[:, None].conj()
        return out

    @property
    def _fused(self) -> bool:
        """Whether a row of the fine grid is so small that its planes are combined as it is spread."""
        n_z, _, n_x = self._shape
        return self._matrix.size == 0 or 8 * n_z * n_x * self._block <= FUSED

    def _cut_columns(self, which: np.ndarray) -> list[np.ndarray]:
        """Those k_x by as many as are transformed together."""
        return np.split(which, range(self._together[1], len(which), self._together[1]))

    def _sorted(self, data: np.ndarray) -> np.ndarray:
        """(m, n) to (n, data sets of a block) in the order of the points, and turned to the middle of the modes."""
        if self._values is None:
            self._values = np.empty((len(self._points), self._block), dtype=np.complex64)
        values, by_point = self._values, np.ascontiguousarray(data.T)
        values[:, len(data) :] = 0  # a last block may be smaller

        def part(first: int) -> None:
            mine = slice(first, first + PART)
            kernels_spread.take_points(by_point, self._order[mine], self._shift[mine], values[mine])

        Workers().run(part, range(0, len(values), PART))
        return values

    def _spread(
        self, stripe: range, values: np.ndarray, columns: np.ndarray, window: np.ndarray, rows: np.ndarray, fft: RowFFT
    ) -> None:
        """Points to the modes along x of the rows of a stripe, block by block."""
        low, buffer = stripe[0], fft.buffer.reshape(-1, self._block, ROWS, self._fft_sizes[0])
        window[:] = 0
        start = self._first[max(low - self._width + 1, 0)]
        for y in stripe:
            if self._fused:
                start = kernels_spread.spread_rows(
                    values, self._points, self._first, start, (low, y), self._tables, self._matrix, window, rows
                )
            else:
                for r in range(ROWS):
                    end, limits = self._first[y + r + 1], (low, y + r + self._width)
                    kernels_spread.spread_points(values, self._points, start, end, self._tables, limits, window)
                    start, ready = end, window[(y + r) % self._width]
                    np.matmul(self._matrix, _floats(ready), out=_floats(rows[r]))
                    ready[:] = 0
            for first, last in self._few_planes:
                kernels_planes.load_rows(rows, first, last, buffer)
                modes = fft().reshape(buffer.shape)
                kernels_planes.store_columns(modes, self._columns[0], first, last, y, columns)

    def _gather(
        self,
        stripe: range,
        columns: np.ndarray,
        values: np.ndarray,
        seams: dict[int, np.ndarray],
        window: np.ndarray,
        rows: np.ndarray,
        fft: RowFFT,
    ) -> None:
        """Adjoint of `_spread`: what points of the stripe before have in this one's rows goes to `seams`."""
        low, high = stripe[0], stripe[-1] + ROWS
        buffer = fft.buffer.reshape(-1, self._block, ROWS, self._fft_sizes[0])
        above, own = self._first[max(low - self._width + 1, 0)], self._first[low]
        mine = np.empty((self._first[high] - above, self._block), dtype=np.complex64)
        points, firsts, done, back = self._points[above : self._first[high]], self._first - above, 0, self._matrix.T
        for y in stripe:
            for first, last in self._few_planes:
                kernels_planes.load_columns(columns, self._columns[0], first, last, y, buffer)
                kernels_planes.store_rows(fft().reshape(buffer.shape), first, last, rows)
            if self._fused:
                done = kernels_spread.gather_rows(
                    rows, points, firsts, done, (low, high, y), self._tables, back, window, mine
                )
                continue
            for r in range(ROWS):
                ready = window[(y + r) % self._width]
                np.matmul(back, _floats(rows[r]), out=_floats(ready))
                last = high if y + r + 1 == high else max(y + r + 2 - self._width, 0)
                end = max(int(firsts[last]), done)
                kernels_spread.gather_points(window, points, done, end, self._tables, (low, y + r + 1), mine)
                done = end
        values[own : self._first[high]] = mine[own - above :]
        seams[int(above)] = mine[: own - above]

    def _sum(
        self, which: np.ndarray, columns: np.ndarray, k2: np.ndarray, out: np.ndarray, fft: RowFFT, work: np.ndarray
    ) -> None:
        """Modes of some k_x along y to the spectrum at their pairs."""
        buffer = fft.buffer.reshape(-1, self._block, self._planes.n, self._fft_sizes[1])
        kernels_planes.load_lines(columns, which, buffer)
        modes = fft().reshape(buffer.shape)
        kernels_planes.sum_planes(modes, which, self._runs, self._waves, k2, self._z_scale, work, out)

    def _split(
        self, which: np.ndarray, given: np.ndarray, k2: np.ndarray, columns: np.ndarray, fft: RowFFT, work: np.ndarray
    ) -> None:
        """Adjoint of `_sum`."""
        buffer = fft.buffer.reshape(-1, self._block, self._planes.n, self._fft_sizes[1])
        kernels_planes.split_planes(given, which, self._runs, self._waves, k2, self._z_scale, work, buffer)
        kernels_planes.store_lines(fft().reshape(buffer.shape), which, columns)

    @property
    def _waves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._kx, self._ky, self._factor

    @property
    def _z_scale(self) -> tuple[tuple[float, float, float], np.ndarray]:
        return (self._planes.centre, self._planes.first, self._planes.step), self._powers

    def _held_columns(self) -> np.ndarray:
        """Modes along x (data sets of a block, n_kx, planes, n_y), held between runs."""
        if self._grid is None:
            self._grid = aligned((self._block, self.waves.count[0], self._planes.n, self._shape[1]))
        return self._grid

    def _blocks(self) -> list[slice]:
        n = len(self.waves.k2)
        return [slice(i, min(i + self._block, n)) for i in range(0, n, self._block)]

    def _along_x(self, direction: str) -> Workers:
        """Threads with a window of the fine grid, rows of the planes, and the transform along x of some rows."""
        n_z, _, n_x = self._shape
        return self._held(
            ("x", direction),
            lambda: (
                aligned((self._width, n_z, n_x, self._block)),
                aligned((ROWS, self._planes.n, n_x, self._block)),
                RowFFT(self._together[0] * self._block * ROWS, self._fft_sizes[0], direction, keep=True),
            ),
        )

    def _along_y(self, direction: str) -> Workers:
        """Threads with the transform along y of all planes of a k_x, and room for the waves of its pairs."""
        return self._held(
            ("y", direction),
            lambda: (
                RowFFT(self._together[1] * self._block * self._planes.n, self._fft_sizes[1], direction, keep=True),
                np.empty((3, 2, self.waves.count[1]), dtype=np.float32),
            ),
        )

    def _held(self, key: tuple[str, str], make_state: Callable[[], tuple]) -> Workers:
        if key not in self._workers:
            self._workers[key] = Workers(make_state)
        return self._workers[key]


def _floats(rows: np.ndarray) -> np.ndarray:
    """(n, n_x, m) complex64 as (n, 2 n_x m) float32, no copy."""
    return rows.view(np.float32).reshape(len(rows), -1)
