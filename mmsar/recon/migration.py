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
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mmsar.core import gridding
from mmsar.core.fft import RowFFT, good_size
from mmsar.core.nufft import threads
from mmsar.core.progress import progress
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid

BLOCK = 256
"""Wavenumber pairs gridded together by one thread."""
OVERSAMPLING = 1.5
"""Fine grid points per image plane in the Stolt step."""


EDGE = 1.0
"""Width of the band's soft edge in Fresnel zones."""
FEW_ZONES = 6.0
"""Fresnel zones across the band below which it grows beyond what scene and aperture see."""
PAD = 2.5
"""Zones it grows by, to either side, when scene and aperture are single points."""
SPILL = 0.5
"""Zones that a padded band's diffraction reaches beyond its edge, to be kept from wrapping around."""


def _plane_limits(ends: tuple[float, float], z: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, ...]:
    """Band of one axis for planes at distances z [m] from the aperture, each (n_z,).

    An integral over k_x that stops at its stationary point is half of what it should be; one Fresnel zone beyond, with
    a soft edge, it is a few per cent off. With many zones across the band this is so for few pairs of voxel and sample
    only; with few zones (a line array, a zoom into one target) it is all there is, and the band is padded.

    Returns
    -------
    low, high : arrays
        Direction cosines across the offsets `ends` [m].
    edge : array
        Width of the soft edge beyond them: `EDGE` Fresnel zones sqrt(lambda / 2 R) z / R at the smallest R.
    few : array
        How much the number of zones falls short of `FEW_ZONES`, 0 to 1: pads are few * PAD * edge.
    """
    low, high = (end / np.hypot(end, z) for end in ends)
    distance = np.hypot(max(ends[0], -ends[1], 0.0), z)
    edge = EDGE * np.sqrt(np.pi / (float(np.min(k)) * distance)) * z / distance
    return low, high, edge, np.maximum(0.0, 1.0 - (high - low) / edge / FEW_ZONES)


def _fade(u: np.ndarray, low: np.ndarray, high: np.ndarray, guard: np.ndarray) -> np.ndarray:
    """1 inside [low, high], a cosine-squared fall to 0 over `guard` outside."""
    beyond = np.clip(np.maximum(low - u, u - high) / guard, 0, 1)
    return 0.5 + 0.5 * np.cos(np.pi * beyond)


def visible_band(virtual: np.ndarray, grid: ImageGrid, k: np.ndarray) -> np.ndarray:
    """Direction cosines that scene and aperture can exchange: kx / K = (x_l - x) / R.

    Parameters
    ----------
    virtual : (n, 3) array
        Phase centres [m].
    grid : ImageGrid
        The image.
    k : (m,) array
        Wavenumbers [rad/m].

    Returns
    -------
    band : (6,) array
        Low and high cosine along x, along y, largest sine of the angle to z, and the width of the soft edge.

    Raises
    ------
    GeometryError
        When part of the image lies behind or in the aperture.
    """
    low, high = virtual.min(axis=0), virtual.max(axis=0)
    near, far = grid.extent[2][0] - high[2], grid.extent[2][1] - low[2]
    wavelength = 2 * np.pi / float(np.max(k))
    if near < wavelength:
        raise GeometryError(
            f"image grid: starts at z = {grid.extent[2][0]:.4g} m, wanted beyond the aperture at "
            f"z = {high[2]:.4g} m by at least a wavelength; move the grid or use method bpa"
        )
    offsets = [_offsets(low, high, grid, axis) for axis in (0, 1)]
    reach = [max(abs(low), abs(high)) for low, high in offsets]
    band, pads, guard = [], [], 0.0
    for ends, other in zip(offsets, reach[::-1], strict=True):
        _, _, edge, few = _plane_limits(ends, grid.z - high[2], k)
        farthest = np.hypot(far, other)
        pads.append(float(np.max(PAD * few * edge)))
        guard = max(guard, float(edge.max()))
        band.append(ends[0] / np.hypot(ends[0], near if ends[0] < 0 else farthest) - pads[-1])
        band.append(ends[1] / np.hypot(ends[1], near if ends[1] > 0 else farthest) + pads[-1])
    lateral = np.hypot(*reach)
    return np.array([*band, lateral / np.hypot(lateral, near) + np.hypot(*pads), guard])


def _offsets(low: np.ndarray, high: np.ndarray, grid: ImageGrid, axis: int) -> tuple[float, float]:
    """Least and largest x_l - x along an axis [m]."""
    return float(low[axis] - grid.extent[axis][1]), float(high[axis] - grid.extent[axis][0])


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
        self.band = visible_band(virtual, grid, k)
        low, high = virtual.min(axis=0), virtual.max(axis=0)
        self.centre = grid.centre[:2]
        self.period, self.first, self.count, self.dk = [], [], [], []
        masks = []
        limits = [_plane_limits(_offsets(low, high, grid, axis), grid.z - high[2], k) for axis in (0, 1)]
        tops = [np.maximum(np.abs(a), np.abs(b)) + (1 + (PAD + SPILL) * few) * edge for a, b, edge, few in limits]
        for axis in (0, 1):
            ends = _offsets(low, high, grid, axis)
            cosines = self.band[2 * axis : 2 * axis + 2]
            low_u, high_u, edge, few = limits[axis]
            # the kernel's lateral reach at every height, edge included: what must not wrap around into the image
            top = np.minimum(tops[axis], np.abs(cosines).max() + self.band[5])
            sine2 = np.minimum(top**2 + few * tops[1 - axis] ** 2, 0.96)
            kernel = np.max((grid.z - low[2]) * np.minimum(top, 0.98) / np.sqrt(1 - sine2))
            spacing, reach = grid.spacing[axis], max(abs(ends[0]), abs(ends[1]))
            needed = max(reach + kernel, grid.extent[axis][1] - grid.extent[axis][0])
            period = good_size(int(np.ceil(needed / spacing)) + 1)
            dk = 2 * np.pi / (period * spacing)
            first = int(np.floor(self.k2.max() * max(cosines[0] - self.band[5], -1.0) / dk))
            last = int(np.ceil(self.k2.max() * min(cosines[1] + self.band[5], 1.0) / dk))
            self.period.append(period)
            self.first.append(first)
            self.count.append(last - first + 1)
            self.dk.append(dk)
            u = dk * np.arange(first, last + 1) / self.k2.mean()
            margin = (self.k2.max() / self.k2.mean() - 1) + 1e-9
            low_u = np.where(low_u < 0, (low_u - PAD * few * edge) * (1 + margin), -1.0)
            high_u = np.where(high_u > 0, (high_u + PAD * few * edge) * (1 + margin), 1.0)
            masks.append(_fade(u, low_u[:, None], high_u[:, None], edge[:, None]).astype(np.float32))
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
        self._q_phase = np.exp(1j * (self.kx * offset[0] + self.ky * offset[1])).astype(np.complex64)
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
        """(slice of planes, carrier height from z_ref, table, complex scale of every plane)."""
        n_z = self.grid.shape[0]
        chunks = -(-n_z // self._z_step)
        edges = np.linspace(0, n_z, chunks + 1).round().astype(int)
        for start, stop in itertools.pairwise(edges):
            n = int(stop - start)
            z = self.grid.z[start:stop] - self.z_ref
            table, correction = gridding.kaiser_bessel(n, self._fine(n))
            factor = -1j / (2 * np.pi) * self.dk[0] * self.dk[1] * self.scale
            yield slice(int(start), int(stop)), float(z[n // 2]), table, (factor * z * correction).astype(np.complex64)

    def __call__(self, spectrum: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(m, n_pairs) complex64 spectrum to the image, complex64 (n_z, n_y, n_x)."""
        out = np.empty(self.grid.shape, dtype=np.complex64)
        masks = self._masks_at
        n_x, n_y = self.grid.shape[2], self.grid.shape[1]
        dz = self.grid.spacing[2]
        for planes, z_c, table, z_scale in progress(self._z_chunks(), "migrate", show=show):
            n_z = planes.stop - planes.start
            spec = np.empty((n_z, self.n_pairs), dtype=np.complex64)

            def stolt(first: int, fft: RowFFT, z_c=z_c, table=table, z_scale=z_scale, spec=spec) -> None:
                gridding.spread(spectrum, first, self.kx, self.ky, self.k2, self.band, z_c, dz, table, fft.buffer)
                gridding.rows_to_planes(fft(), first, z_scale, self._q_phase, spec)

            fine = self._fine(n_z)
            _in_threads(stolt, range(0, self.n_pairs, BLOCK), lambda fine=fine: (RowFFT(BLOCK, fine, "forward"),))

            def lateral(j: int, along_y: RowFFT, along_x: RowFFT, spec=spec, start=planes.start) -> None:
                gridding.place(spec[j], self._row, self._mode, *masks(start + j), self._column, along_y.buffer)
                gridding.turn(along_y(), self._turn_column, along_x.buffer)
                out[start + j] = along_x()[:, :n_x]

            _in_threads(lateral, range(n_z), lambda: self._lateral_plans("backward", n_y))
        return out

    def adjoint(self, image: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(n_z, n_y, n_x) complex64 image to the spectrum, complex64 (m, n_pairs)."""
        masks = self._masks_at
        total = np.zeros((len(self.k2), self.n_pairs), dtype=np.complex64)
        n_x, n_y = self.grid.shape[2], self.grid.shape[1]
        dz = self.grid.spacing[2]
        for planes, z_c, table, z_scale in progress(self._z_chunks(), "migrate (adjoint)", show=show):
            n_z = planes.stop - planes.start
            spec = np.empty((n_z, self.n_pairs), dtype=np.complex64)

            def lateral(j: int, along_y: RowFFT, along_x: RowFFT, spec=spec, start=planes.start) -> None:
                along_x.buffer[:] = 0
                along_x.buffer[:, :n_x] = image[start + j]
                gridding.turn_back(along_x(), self._turn_column, along_y.buffer)
                gridding.pick(along_y(), self._row, self._mode, *masks(start + j), self._column, spec[j])

            _in_threads(lateral, range(n_z), lambda: self._lateral_plans("forward", n_y))
            part = np.empty_like(total)

            def stolt(first: int, fft: RowFFT, z_c=z_c, table=table, z_scale=z_scale, spec=spec, part=part) -> None:
                gridding.planes_to_rows(spec, first, z_scale, self._q_phase, fft.buffer)
                gridding.gather(fft(), first, self.kx, self.ky, self.k2, self.band, z_c, dz, table, part)

            fine = self._fine(n_z)
            _in_threads(stolt, range(0, self.n_pairs, BLOCK), lambda fine=fine: (RowFFT(BLOCK, fine, "backward"),))
            total += part
        return total

    def _masks_at(self, plane: int) -> tuple[np.ndarray, np.ndarray]:
        return self._masks[0][plane], self._masks[1][plane]

    def _lateral_plans(self, direction: str, n_y: int) -> tuple[RowFFT, RowFFT]:
        return RowFFT(self.count[0], self.period[1], direction), RowFFT(n_y, self.period[0], direction)


def _in_threads(work: Callable, items: range, make_plans: Callable[[], tuple]) -> None:
    """work(item, *plans) for every item, on one thread per core, each with plans of its own (made here, in turn)."""
    n = max(1, min(threads(), len(items)))
    plans = [make_plans() for _ in range(n)]

    def run(worker: int) -> None:
        for item in items[worker::n]:
            work(item, *plans[worker])

    if n == 1:
        run(0)
        return
    with ThreadPoolExecutor(n) as pool:
        for done in [pool.submit(run, worker) for worker in range(n)]:
            done.result()
