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
"""

import itertools
from collections.abc import Callable

import numpy as np

from mmsar.core import gridding
from mmsar.core.fft import RowFFT, good_size
from mmsar.core.parallel import Workers, threads
from mmsar.model.grid import ImageGrid
from mmsar.recon.band import Band

BLOCK = 256
"""Wavenumber pairs gridded together by one thread."""
OVERSAMPLING = 1.5
"""Fine grid points per image plane in the Stolt step."""


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
    """

    def __init__(
        self, k: np.ndarray, grid: ImageGrid, virtual: np.ndarray, *, z_ref: float, scale: float, memory: int
    ) -> None:
        self.grid, self.z_ref, self.scale = grid, z_ref, scale
        self.k2 = 2 * np.asarray(k, dtype=float)
        band = Band(virtual, grid, k)
        self.band = band.limits
        self.centre = grid.centre[:2]
        self.period, self.first, self.count, self.dk = [], [], [], []
        masks = []
        for axis in (0, 1):
            spacing, far = grid.spacing[axis], max(abs(end) for end in band.offsets[axis])
            # nothing within the band's reach may wrap around into the image
            needed = max(far + band.reach(axis), grid.extent[axis][1] - grid.extent[axis][0])
            period = good_size(int(np.ceil(needed / spacing)) + 1)
            dk = 2 * np.pi / (period * spacing)
            first, last = band.modes(axis, self.k2, dk)
            self.period.append(period)
            self.first.append(first)
            self.count.append(last - first + 1)
            self.dk.append(dk)
            masks.append(band.mask(axis, dk * np.arange(first, last + 1) / self.k2.mean()))
        self._masks = masks
        kx, ky = self.mode_axes
        inside = np.zeros((kx.size, ky.size), dtype=bool)
        gridding.in_band(kx, ky, np.array([self.k2.min(), self.k2.max()]), self.band, inside)
        a, b = np.nonzero(inside)
        self.flat = np.flatnonzero(inside)
        """Position of every in-band pair in the (n_kx, n_ky) block of modes, (n_pairs,)."""
        self.kx, self.ky = kx[a], ky[b]
        self._row = a.astype(np.int32)
        self._mode = b.astype(np.int32)
        self._column = np.mod(self.first[1] + np.arange(ky.size), self.period[1]).astype(np.int32)
        self._turn_column = np.mod(self.first[0] + np.arange(kx.size), self.period[0]).astype(np.int32)
        offset = [g - c for g, c in zip(grid.origin[:2], self.centre, strict=True)]
        self._q_phase = -1j * np.exp(1j * (self.kx * offset[0] + self.ky * offset[1]))
        self._q_phase = self._q_phase.astype(np.complex64)
        self._workers: dict[tuple, Workers] = {}
        self._held_planes: np.ndarray | None = None
        self._z_step = int(np.clip(memory // max(1, 8 * self.n_pairs), 1, grid.shape[0]))

    @property
    def n_pairs(self) -> int:
        """In-band wavenumber pairs."""
        return len(self.flat)

    @property
    def mode_axes(self) -> tuple[np.ndarray, np.ndarray]:
        """kx (n_kx,) and ky (n_ky,) of the block of modes that holds the band [rad/m]."""
        kx, ky = (d * (f + np.arange(n)) for d, f, n in zip(self.dk, self.first, self.count, strict=True))
        return kx, ky

    def shrink(self, excess: int) -> None:
        """Take the heights in smaller pieces, to need `excess` bytes less as far as that goes."""
        self._z_step = max(1, self._z_step - -(-excess // (8 * self.n_pairs)))

    @property
    def nbytes(self) -> int:
        """Memory held, with the planes in flight and the threads' buffers [bytes]."""
        held = sum(v.nbytes for v in (self.flat, self.kx, self.ky, self._row, self._mode, self._q_phase, *self._masks))
        fine = self._fine(self._z_step)
        per_thread = 8 * (BLOCK * fine + self.count[0] * self.period[1] + self.grid.shape[1] * self.period[0])
        return held + 8 * self._z_step * self.n_pairs + threads() * per_thread

    def _fine(self, n_z: int) -> int:
        return good_size(max(int(np.ceil(OVERSAMPLING * n_z)), 2 * gridding.WIDTH))

    def _z_chunks(self):
        """(slice of planes, carrier height from z_ref, table, scale of every plane; the factor -j is in _q_phase)."""
        n_z = self.grid.shape[0]
        chunks = -(-n_z // self._z_step)
        edges = np.linspace(0, n_z, chunks + 1).round().astype(int)
        for start, stop in itertools.pairwise(edges):
            n = int(stop - start)
            z = self.grid.z[start:stop] - self.z_ref
            table, correction = gridding.kaiser_bessel(n, self._fine(n))
            factor = self.dk[0] * self.dk[1] * self.scale / (2 * np.pi)
            yield slice(int(start), int(stop)), float(z[n // 2]), table, (factor * z * correction).astype(np.float32)

    def __call__(self, spectrum: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(m, n_pairs) complex64 spectrum to the image, complex64 (n_z, n_y, n_x)."""
        out = np.empty(self.grid.shape, dtype=np.complex64)
        for planes, z_c, table, z_scale in self._z_chunks():
            n_z = planes.stop - planes.start
            spec = self._planes(n_z)
            stolt = (self.kx, self.ky, self.k2, self.band, z_c, self.grid.spacing[2], table)

            def to_planes(first: int, fft: RowFFT, stolt=stolt, z_scale=z_scale, spec=spec) -> None:
                gridding.spread(spectrum, first, *stolt, fft.buffer)
                gridding.rows_to_planes(fft(), first, z_scale, self._q_phase, spec)

            def to_image(j: int, along_y: RowFFT, along_x: RowFFT, spec=spec, start=planes.start) -> None:
                gridding.place(spec[j], self._row, self._mode, *self._masks_at(start + j), self._column, along_y.buffer)
                gridding.turn(along_y(), self._turn_column, along_x.buffer)
                out[start + j] = along_x()[:, : self.grid.shape[2]]

            self._stolt_workers("forward", n_z).run(
                to_planes, range(0, self.n_pairs, BLOCK), label="migrate: range", show=show
            )
            self._lateral_workers("backward").run(to_image, range(n_z), label="migrate: planes", show=show)
        return out

    def adjoint(self, image: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(n_z, n_y, n_x) complex64 image to the spectrum, complex64 (m, n_pairs)."""
        total = np.zeros((len(self.k2), self.n_pairs), dtype=np.complex64)
        for planes, z_c, table, z_scale in self._z_chunks():
            n_z = planes.stop - planes.start
            spec = self._planes(n_z)
            stolt = (self.kx, self.ky, self.k2, self.band, z_c, self.grid.spacing[2], table)
            part = np.empty_like(total)

            def from_image(j: int, along_y: RowFFT, along_x: RowFFT, spec=spec, start=planes.start) -> None:
                along_x.buffer[:] = 0
                along_x.buffer[:, : self.grid.shape[2]] = image[start + j]
                gridding.turn_back(along_x(), self._turn_column, along_y.buffer)
                gridding.pick(along_y(), self._row, self._mode, *self._masks_at(start + j), self._column, spec[j])

            def from_planes(first: int, fft: RowFFT, stolt=stolt, z_scale=z_scale, spec=spec, part=part) -> None:
                gridding.planes_to_rows(spec, first, z_scale, self._q_phase, fft.buffer)
                gridding.gather(fft(), first, *stolt, part)

            self._lateral_workers("forward").run(from_image, range(n_z), label="adjoint: planes", show=show)
            self._stolt_workers("backward", n_z).run(
                from_planes, range(0, self.n_pairs, BLOCK), label="adjoint: range", show=show
            )
            total += part
            del part, from_planes
        return total

    def _planes(self, n_z: int) -> np.ndarray:
        """Room for the spectrum of n_z planes, held between runs, (n_z, n_pairs)."""
        if self._held_planes is None or len(self._held_planes) < n_z:
            self._held_planes = None
            self._held_planes = np.empty((max(n_z, self._z_step), self.n_pairs), dtype=np.complex64)
        return self._held_planes[:n_z]

    def _masks_at(self, plane: int) -> tuple[np.ndarray, np.ndarray]:
        return self._masks[0][plane], self._masks[1][plane]

    def _stolt_workers(self, direction: str, n_z: int) -> Workers:
        fine = self._fine(n_z)
        return self._held(("stolt", direction, fine), lambda: (RowFFT(BLOCK, fine, direction),))

    def _lateral_workers(self, direction: str) -> Workers:
        rows = ((self.count[0], self.period[1]), (self.grid.shape[1], self.period[0]))
        return self._held(("lateral", direction), lambda: tuple(RowFFT(*shape, direction) for shape in rows))

    def _held(self, key: tuple, make_plans: Callable[[], tuple]) -> Workers:
        if key not in self._workers:
            self._workers[key] = Workers(make_plans)
        return self._workers[key]
