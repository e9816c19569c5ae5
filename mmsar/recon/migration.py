"""Range migration: from the spectrum over an aperture plane to the image, the half that rma, empm and nufft share.

With s_l(k) = sigma exp(+j 2k |r - v_l|) at phase centres v_l near the plane z_ref, back-projection is

    p(r) = sum_k sum_l s_l(k) exp(-j 2k |r - v_l|)

and by the plane-wave expansion of exp(-j K R) (K = 2k, stationary phase; relative error about 1 / (k_z z))

    p(x, y, z) = -j / (2 pi) (z - z_ref) sum_k integral S_k(kx, ky) K / k_z^2 exp(j (kx x + ky y - k_z (z - z_ref)))
    S_k(kx, ky) = sum_l s_l(k) exp(-j (kx x_l + ky y_l) + j k_z (z_l - z_ref)),        k_z = sqrt(K^2 - kx^2 - ky^2)

integrated over kx and ky (Smith's FMCW tutorial 4.31-4.42 with the amplitude of the adjoint kept). The integral is a
sum over a grid of wavenumbers fixed by the image: dk = 2 pi / (M d) for spacing d and a period M d long enough that
nothing wraps around. The band is cut, softly and plane by plane, where scene and aperture cannot see each other:
|x - x_l| / R bounds kx / K. So the image comes out on exactly the voxels asked for, with the phase and the scale of
back-projection.

An axis with one voxel on which all phase centres have one coordinate too, a distance X away, is not transformed: by the
expansion of exp(-j K R) in the waves along the other axis (the derivative by K of that of exp(-j K R) / R, which is a
Hankel function; leading term, relative error 3 / (8 k_z rho))

    p(y, z) = exp(-j pi/4) / sqrt(2 pi) sqrt(rho) sum_k integral S_k(ky) K / k_z^(3/2) exp(j (ky y - k_z rho))
    k_z = sqrt(K^2 - ky^2),        rho = sqrt(X^2 + (z - z_ref)^2)

An axis with one voxel before a wide aperture needs all its waves, but their sum only: no transform along it either.

Planes finer than the band along z asks for are made from fewer (`recon.few_heights`).
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mmsar.core import gridding
from mmsar.core import kernels_lateral as lateral
from mmsar.core.depth_planes import Lags
from mmsar.core.fft import RowFFT
from mmsar.core.parallel import Workers, one_blas_thread, threads
from mmsar.model.grid import ImageGrid
from mmsar.recon.few_heights import few_heights
from mmsar.recon.stolt import FEW, MANY, Direct, Even, Gridded, Waves, uniform
from mmsar.recon.wavegrid import WaveGrid

PIXELS = 2048
"""Voxels of a plane whose heights one thread takes together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Piece:
    """Planes of the image that are made together, of as many or fewer heights."""

    planes: slice
    stolt: Direct | Gridded
    masks: tuple[np.ndarray, np.ndarray]
    """Weights of the modes along x and y at every height, (n, n_kx) and (n, n_ky)."""
    matrix: np.ndarray | None
    """Heights to planes, complex64 (n_planes, n); None where they are the same."""

    @property
    def n(self) -> int:
        """Heights."""
        return len(self.masks[0])


class Migration:
    """Spectrum on the in-band wavenumbers to the image on its grid, and the adjoint.

    Parameters
    ----------
    k : (m,) array
        Wavenumbers [rad/m].
    grid : ImageGrid
        The image.
    virtual : (n, 3) array
        Phase centres [m]: they bound the band.
    z_ref : float
        Plane the spectrum belongs to [m].
    scale : float
        Factor on the image (1 / norm).
    memory : int
        Bytes that planes of spectrum in flight may take.
    planes : int, optional
        Planes of the image that are asked for at a time (`slab`), at most; default all.
    """

    def __init__(
        self,
        k: np.ndarray,
        grid: ImageGrid,
        virtual: np.ndarray,
        *,
        z_ref: float,
        scale: float,
        memory: int,
        planes: int | None = None,
    ) -> None:
        self.grid, self.z_ref, self.scale = grid, z_ref, scale
        self._modes = modes = WaveGrid(virtual, grid, k)
        self.k2, self.line, self.band = modes.k2, modes.line, modes.band.limits
        self.period, self.first, self.count, self.dk = modes.period, modes.first, modes.count, modes.dk
        self._distance = grid.z - z_ref
        if self.line is not None:
            aside = grid.centre[self.line] - float(virtual[0, self.line])
            self._distance = np.hypot(aside, self._distance)
        self._uniform = uniform(self._distance, self.k2)
        self.centre = grid.centre[:2]
        kx, ky = self.mode_axes
        self._cosines = (kx / self.k2.mean(), ky / self.k2.mean())
        self._masks = [modes.band.mask(axis, values) for axis, values in enumerate(self._cosines)]
        inside = modes.inside()
        a, b = np.nonzero(inside)
        self.flat = np.flatnonzero(inside)
        """Position of every in-band pair in the (n_kx, n_ky) block of modes, (n_pairs,)."""
        self.kx, self.ky = kx[a], ky[b]
        self._row = a.astype(np.int32)
        self._mode = b.astype(np.int32)
        self._turn_column = np.mod(self.first[0] + np.arange(kx.size), self.period[0]).astype(np.int32)
        self._index = self._buffer_index(np.mod(self.first[1] + np.arange(ky.size), self.period[1]))
        offset = [g - c for g, c in zip(grid.origin[:2], self.centre, strict=True)]
        phase = np.exp(1j * (self.kx * offset[0] + self.ky * offset[1]))
        phase *= -1j if self.line is None else np.exp(-0.25j * np.pi)
        self._waves = Waves(kx=self.kx, ky=self.ky, k2=self.k2, band=self.band, phase=phase.astype(np.complex64))
        self._root = None if self.line is None else self._root_kz()
        self._workers: dict[tuple, Workers] = {}
        self._held_planes: dict[str, np.ndarray] = {}
        self._last: tuple[tuple[int, int], _Piece] | None = None
        self._needs = modes.piece_bytes(planes or grid.shape[0], uniform=self._uniform)
        self._z_step = 1
        self._fit(memory)

    def _fit(self, room: int) -> None:
        """Take as many heights together as `room` bytes hold, at least one."""
        self._z_step = int(np.flatnonzero(self._needs <= max(room, self._needs[0]))[-1]) + 1

    def _buffer_index(self, column: np.ndarray) -> np.ndarray:
        """Where pairs add up in the first lateral buffer: one row of it is enough where an axis has one voxel."""
        if self.grid.shape[2] == 1:
            index = column[self._mode]
        elif self.grid.shape[1] == 1:
            index = self._turn_column[self._row]
        else:
            index = self._row * self.period[1] + column[self._mode]
        return index.astype(np.int32)

    def _root_kz(self) -> np.ndarray:
        """sqrt(k_z), which makes the amplitude K / k_z^2 that of a line, float32 (m, n_pairs)."""
        kz2 = self.k2[:, None] ** 2 - self.kx**2 - self.ky**2
        return np.maximum(kz2, (1 - gridding.STEEPEST2) * self.k2[:, None] ** 2).astype(np.float32) ** 0.25

    @property
    def n_pairs(self) -> int:
        """In-band wavenumber pairs."""
        return len(self.flat)

    @property
    def mode_axes(self) -> tuple[np.ndarray, np.ndarray]:
        """kx (n_kx,) and ky (n_ky,) of the block of modes that holds the band [rad/m]."""
        return self._modes.mode_axes

    @property
    def lags(self) -> Lags:
        """How far the waves lag behind those along z, and what they weigh in the image."""
        return self._modes.lags

    def shrink(self, excess: int) -> None:
        """Take the heights in smaller pieces, to need `excess` bytes less as far as that goes."""
        self._fit(int(self._needs[self._z_step - 1]) - excess)

    @property
    def nbytes(self) -> int:
        """Memory held, with the planes in flight and the threads' buffers [bytes]."""
        arrays = (self.flat, self.kx, self.ky, self._row, self._mode, self._index, self._waves.phase, *self._masks)
        held = sum(v.nbytes for v in arrays) + (0 if self._root is None else 3 * self._root.nbytes)
        per_thread = 8 * sum(a * b for a, b in self._modes.lateral_shapes())
        return held + int(self._needs[self._z_step - 1]) + threads() * per_thread

    @property
    def tables(self) -> tuple[Waves, list[np.ndarray], np.ndarray | None]:
        """The waves, the masks of the planes along x and y, and the amplitude of a line (sqrt(k_z)) or None."""
        return self._waves, self._masks, self._root

    def heights(self, planes: slice) -> tuple[np.ndarray, np.ndarray, bool]:
        """Distances from the aperture plane [m] and factors of some planes, and whether direct sums suit them."""
        z = self._distance[planes]
        factor = z / (2 * np.pi)
        scale = self.scale * np.prod(self.dk) * (factor if self.line is None else np.sqrt(factor))
        return z, scale, not self._uniform or len(z) <= FEW

    def _pieces(self, among: slice | None = None) -> Iterator[_Piece]:
        """The pieces that make some of the planes, or all."""
        for ends in itertools.pairwise(self._edges(among)):
            if self._last is None or self._last[0] != ends:
                self._last = ends, self._piece(slice(*ends))
            yield self._last[1]

    def _edges(self, among: slice | None) -> list[int]:
        """Where pieces begin and end; their sizes differ by one at most."""
        among = among or slice(0, self.grid.shape[0])
        n_z = among.stop - among.start
        return (among.start + np.linspace(0, n_z, -(-n_z // self._z_step) + 1).round().astype(int)).tolist()

    def _most_heights(self, among: slice | None = None) -> int:
        """Heights of the largest piece: room for it serves all of them."""
        largest = int(np.diff(self._edges(among)).max())
        return self._modes.n_heights(largest) if self._uniform else largest

    def _piece(self, planes: slice) -> _Piece:
        z, scale, _ = self.heights(planes)
        if not self._uniform:
            return _Piece(planes=planes, stolt=Direct(self._waves, z, scale), masks=self._masks_at(planes), matrix=None)
        n, matrix, masks = self._modes.n_heights(len(z)), None, self._masks_at(planes)
        if n < len(z):
            few, matrix = few_heights(z, n, self._modes.kz_band)
            matrix *= scale.astype(np.float32)[:, None]
            at = self.grid.z[planes][0] + (few - z[0]) / (z[-1] - z[0]) * np.ptp(self.grid.z[planes])
            masks = tuple(self._modes.band.mask(axis, u, at) for axis, u in enumerate(self._cosines))
            z, scale = few, np.ones(n)
        stolt = Gridded(self._waves, z, scale, self._held) if n > MANY else Even(self._waves, z, scale)
        return _Piece(planes=planes, stolt=stolt, masks=masks, matrix=matrix)

    def __call__(self, spectrum: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(m, n_pairs) complex64 spectrum to the image, complex64 (n_z, n_y, n_x)."""
        return self.slab(spectrum, slice(0, self.grid.shape[0]), show)

    def slab(self, spectrum: np.ndarray, among: slice, show: bool | None = None) -> np.ndarray:
        """Some planes of the image, complex64 (n, n_y, n_x)."""
        out = np.empty((among.stop - among.start, *self.grid.shape[1:]), dtype=np.complex64)
        if self._root is not None:
            spectrum = spectrum * self._root
        most = self._most_heights(among)
        for piece in self._pieces(among):
            spec = self._planes(most)[: piece.n]
            mine = out[piece.planes.start - among.start : piece.planes.stop - among.start]
            made = mine if piece.matrix is None else self._room("made", (most, *self.grid.shape[1:]))[: piece.n]

            def to_image(j: int, *ffts: RowFFT, piece=piece, spec=spec, made=made) -> None:
                masks = piece.masks[0][j], piece.masks[1][j]
                lateral.place(spec[j], self._row, self._mode, *masks, self._index, ffts[0].buffer)
                row = ffts[0]()
                if len(ffts) == 2:
                    lateral.turn(row, self._turn_column, ffts[1].buffer)
                    made[j] = ffts[1]()[:, : self.grid.shape[2]]
                else:
                    made[j].reshape(-1)[:] = row[0, : made[j].size]

            piece.stolt.forward(spectrum, spec, show)
            self._lateral_workers("backward").run(to_image, range(piece.n), label="migrate: planes", show=show)
            if piece.matrix is not None:
                _along_z(piece.matrix, made, mine)
        return out

    def adjoint(self, image: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(n_z, n_y, n_x) complex64 image to the spectrum, complex64 (m, n_pairs)."""
        total = np.zeros((len(self.k2), self.n_pairs), dtype=np.complex64)
        most = self._most_heights()
        for piece in self._pieces():
            spec = self._planes(most)[: piece.n]
            part, mine = np.empty_like(total), image[piece.planes]
            if piece.matrix is not None:
                mine = self._room("made", (most, *self.grid.shape[1:]))[: piece.n]
                _along_z(piece.matrix.conj().T, image[piece.planes], mine)

            def from_image(j: int, *ffts: RowFFT, piece=piece, spec=spec, mine=mine) -> None:
                plane = mine[j]
                ffts[-1].buffer[:] = 0
                if len(ffts) == 2:
                    ffts[1].buffer[:, : self.grid.shape[2]] = plane
                    lateral.turn_back(ffts[1](), self._turn_column, ffts[0].buffer)
                else:
                    ffts[0].buffer[0, : plane.size] = plane.reshape(-1)
                masks = piece.masks[0][j], piece.masks[1][j]
                lateral.pick(ffts[0](), self._row, self._mode, *masks, self._index, spec[j])

            self._lateral_workers("forward").run(from_image, range(piece.n), label="adjoint: planes", show=show)
            piece.stolt.adjoint(spec, part, show)
            total += part
            del part
        return total if self._root is None else total * self._root

    def _planes(self, n_z: int) -> np.ndarray:
        """Room for the spectrum of n_z heights, held between runs, (n_z, n_pairs)."""
        return self._room("spectra", (n_z, self.n_pairs))

    def _room(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Room of a name for an array of that shape, complex64, held between runs."""
        if name not in self._held_planes or len(self._held_planes[name]) < shape[0]:
            self._held_planes.pop(name, None)
            self._held_planes[name] = np.empty(shape, dtype=np.complex64)
        return self._held_planes[name][: shape[0]]

    def _masks_at(self, planes: slice) -> tuple[np.ndarray, np.ndarray]:
        return self._masks[0][planes], self._masks[1][planes]

    def _lateral_workers(self, direction: str) -> Workers:
        shapes = self._modes.lateral_shapes()
        return self._held(("lateral", direction), lambda: tuple(RowFFT(*shape, direction) for shape in shapes))

    def _held(self, key: tuple, make_plans: Callable[[], tuple]) -> Workers:
        if key not in self._workers:
            self._workers[key] = Workers(make_plans)
        return self._workers[key]


def _along_z(matrix: np.ndarray, given: np.ndarray, out: np.ndarray) -> None:
    """out (m, n_y, n_x) = matrix (m, n) times given (n, n_y, n_x), a share of the voxels at a time."""
    given, flat = given.reshape(len(given), -1), out.reshape(len(out), -1)

    def part(first: int) -> None:
        voxels = slice(first, first + PIXELS)
        np.matmul(matrix, given[:, voxels], out=flat[:, voxels])

    with one_blas_thread():
        Workers().run(part, range(0, flat.shape[1], PIXELS))
