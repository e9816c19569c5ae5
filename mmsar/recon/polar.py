"""Migration from a cylinder: azimuth orders and height wavenumbers to the image, the half of isar behind its front.

Phase centres at (R0 cos a, y, R0 sin a), K = 2k, k_r = sqrt(K^2 - ky^2). By the addition theorem of cylinder waves

    exp(-jKR) / R = -j/2 integral dky exp(j ky (y - y_l)) sum_n exp(jn(phi - a_l)) J_n(k_r rho) H_n(k_r R0)

for a voxel at (rho cos phi, y, rho sin phi), rho < R0, H_n of the second kind: no approximation. The factor R that
back-projection has not is in the compressed frequencies (`signal.compress`, power 1). J_n(k_r rho) exp(jn phi) is an
integral over plane waves, so that with the spectrum S(n, ky, k) of the samples

    P(a) = sum_n W_n S(n, ky, k) exp(jna),    W_n = j^-n H_n(k_r R0)                        (`recon.azimuth`)
    p(x, y, z) = -j / 4pi sum_k integral dky exp(j ky y) integral da P(a) exp(j k_r (x cos a + z sin a))

The integral over a is a type-1 NUFFT from polar wavenumbers to the very pixels asked for, one for every ky and all
frequencies; nothing is interpolated. One ring and a slice at its height need no ky: exp(-jKR) is sqrt(pi K R / 2)
exp(-j pi/4) H_0(KR) there, to 1 / 8KR.
"""

from itertools import pairwise

import numpy as np

from mmsar.core import kernels_polar as kernels
from mmsar.core.fft import RowFFT, good_size
from mmsar.core.nufft import Waves
from mmsar.core.parallel import Workers, one_blas_thread, threads
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.recon.azimuth import azimuth_weights, highest_order
from mmsar.recon.heights import HeightSynthesis
from mmsar.recon.ring import HeightBand, RingAperture, largest_rho


class PolarMigration:
    """Azimuth orders x height wavenumbers to the image on its grid, and the adjoint.

    Parameters
    ----------
    k : (m,) array
        Wavenumbers [rad/m].
    grid : ImageGrid
        The image.
    aperture : RingAperture
        Where the spectrum comes from.
    scale : float
        Factor on the image.
    eps : float
        Accuracy of the transforms.
    memory : int
        Bytes that slices in flight may take.

    Raises
    ------
    GeometryError
        A grid that reaches the antennas, or several heights from far away.
    """

    def __init__(
        self, k: np.ndarray, grid: ImageGrid, aperture: RingAperture, *, scale: float, eps: float, memory: int
    ) -> None:
        self.grid, self.aperture, self.eps = grid, aperture, eps
        self.k2 = 2 * np.asarray(k, dtype=float)
        rho = largest_rho(grid)
        self._check(rho)
        self.order = int(highest_order(self.k2.max() * rho))
        self.n_angles = good_size(2 * self.order + 2)
        angle = 2 * np.pi * np.arange(self.n_angles) / self.n_angles
        self._cosine, self._sine = np.cos(angle), np.sin(angle)
        self._band = HeightBand(aperture, grid, self.k2)
        self.flat_ring, self.ky, self.dky = self._band.flat, self._band.ky, self._band.dky
        self._rho = rho
        middle = aperture.heights[0] / 2 + aperture.heights[1] / 2
        self.centre = (0.0, middle)
        """What angles and heights of samples are counted from, [rad] and [m]."""
        if aperture.kernel == "far_field":
            factor = np.ones(len(self.k2))
        elif self.flat_ring:
            factor = np.exp(-0.25j * np.pi) * np.sqrt(np.pi * self.k2 / 2)
        else:
            factor = np.full(len(self.k2), -0.5j * self.dky)
        self._scale = scale / self.n_angles * factor
        last = len(self.ky) - 1
        self._pairs = [pair for pair in ((i, last - i) for i in range(last // 2 + 1)) if self._band.masks(pair).any()]
        """Height wavenumbers -|ky| and |ky| that are imaged together, by index."""
        self._sides = 1 if last == 0 else 2
        columns = np.array(self._pairs, dtype=int).reshape(-1, 2)[:, : self._sides].ravel()
        weight = np.ones(len(columns))
        if self._sides == 2 and len(columns) and columns[-2] == columns[-1]:
            weight[-1] = 0  # ky = 0 is there once
        self._heights = HeightSynthesis(self.ky[columns], grid.y, weight, error=eps)
        self._workers: dict[tuple, Workers] = {}
        self._per_slice = 8 * len(columns) * grid.shape[2]
        """Bytes of one slice along z at every height wavenumber."""
        self._z_step = int(np.clip(memory // max(1, self._per_slice), 1, grid.shape[0]))

    def _check(self, rho: float) -> None:
        wavelength = 4 * np.pi / float(self.k2.max())
        if self.aperture.kernel == "far_field":
            if self.grid.shape[1] != 1:
                raise GeometryError(
                    f"image grid: got {self.grid.shape[1]} voxels along y, wanted 1: samples from far away on one ring "
                    "have no resolution along the axis"
                )
        elif rho > self.aperture.radius - wavelength:
            raise GeometryError(
                f"image grid: reaches {1e3 * rho:.1f} mm from the axis, wanted it inside the antennas' circle of "
                f"{1e3 * self.aperture.radius:.1f} mm by at least a wavelength; choose a smaller grid"
            )

    # what the fronts ask for: orders along the first axis, height wavenumbers along the second

    @property
    def n_pairs(self) -> int:
        """Azimuth orders times height wavenumbers."""
        return (2 * self.order + 1) * len(self.ky)

    @property
    def mode_axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Orders n and height wavenumbers ky [rad/m]."""
        return np.arange(-self.order, self.order + 1), self.ky

    @property
    def flat(self) -> np.ndarray:
        """All pairs are used."""
        return np.arange(self.n_pairs)

    @property
    def dk(self) -> tuple[float, float]:
        """Steps of the modes, [1] and [rad/m]."""
        return 1.0, self.dky

    @property
    def count(self) -> tuple[int, int]:
        """Numbers of the modes."""
        return 2 * self.order + 1, len(self.ky)

    @property
    def first(self) -> tuple[int, int]:
        """First modes, in steps."""
        return -self.order, -(len(self.ky) // 2)

    # memory

    def shrink(self, excess: int) -> None:
        """Take the slices in smaller pieces, to need `excess` bytes less as far as that goes."""
        self._z_step = max(1, self._z_step - -(-excess // self._per_slice))

    @property
    def nbytes(self) -> int:
        """Memory held, with the slices in flight and the threads' buffers [bytes]."""
        points = len(self.k2) * self.n_angles
        per_thread = Waves.nbytes((self._z_step, self.grid.shape[2]), self._sides, points) + 40 * points
        planes = self._per_slice * self._z_step
        return self._heights.nbytes + planes + min(threads(), max(1, len(self._pairs))) * per_thread

    # the transforms

    def __call__(self, spectrum: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(m, n_pairs) complex64 spectrum to the image, complex64 (n_z, n_y, n_x)."""
        out = np.empty(self.grid.shape, dtype=np.complex64)
        for slab, middle in self._slabs():
            planes = self._planes(slab)

            def to_plane(p: int, fft: RowFFT, rays: _Rays, middle=middle, planes=planes) -> None:
                kr, weights = self._weights(self._pairs[p])
                rays.place(kr, self._cosine, self._sine, self.grid.spacing[::2])
                for side, column in enumerate(self._pairs[p][: self._sides]):
                    kernels.load_orders(spectrum, column, len(self.ky), weights[side], fft.buffer)
                    kernels.turn_rays(fft(), kr, self._cosine, self._sine, middle, 1.0, rays.strengths[side])
                rays.waves(rays.flat, planes[p])

            def to_image(j: int, coarse: np.ndarray, slab=slab, planes=planes) -> None:
                self._heights(self._columns(planes, j), coarse, out[slab.start + j])

            self._held("backward", slab).run(to_plane, range(len(self._pairs)), label="rotate: waves", show=show)
            with one_blas_thread():
                self._coarse().run(to_image, range(slab.stop - slab.start), label="rotate: heights", show=show)
        return out

    def adjoint(self, image: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(n_z, n_y, n_x) complex64 image to the spectrum, complex64 (m, n_pairs)."""
        total = np.zeros((len(self.k2), self.n_pairs), dtype=np.complex64)
        for slab, middle in self._slabs():
            planes = self._planes(slab)

            def from_image(j: int, coarse: np.ndarray, slab=slab, planes=planes) -> None:
                self._heights.adjoint(image[slab.start + j], coarse, self._columns(planes, j))

            def from_plane(p: int, fft: RowFFT, rays: _Rays, middle=middle, planes=planes) -> None:
                kr, weights = self._weights(self._pairs[p])
                rays.place(kr, self._cosine, self._sine, self.grid.spacing[::2])
                rays.waves.adjoint(planes[p], rays.flat)
                for side, column in enumerate(dict.fromkeys(self._pairs[p][: self._sides])):
                    kernels.turn_rays(rays.strengths[side], kr, self._cosine, self._sine, middle, -1.0, fft.buffer)
                    kernels.store_orders(fft(), weights[side], column, len(self.ky), total)

            with one_blas_thread():
                self._coarse().run(from_image, range(slab.stop - slab.start), label="adjoint: heights", show=show)
            self._held("forward", slab).run(from_plane, range(len(self._pairs)), label="adjoint: waves", show=show)
        return total

    def _slabs(self):
        """(slice along z, its middle pixel (x, z) [m])."""
        n_z, n_x = self.grid.shape[0], self.grid.shape[2]
        edges = np.linspace(0, n_z, -(-n_z // self._z_step) + 1).round().astype(int)
        for start, stop in pairwise(edges.tolist()):
            yield slice(start, stop), (float(self.grid.x[n_x // 2]), float(self.grid.z[start + (stop - start) // 2]))

    def _planes(self, slab: slice) -> np.ndarray:
        """Room for the pictures of a slab at every height wavenumber, (pairs, sides, n_z, n_x)."""
        return np.empty((len(self._pairs), self._sides, slab.stop - slab.start, self.grid.shape[2]), np.complex64)

    def _columns(self, planes: np.ndarray, j: int) -> np.ndarray:
        """One row of pixels along x at every height wavenumber, (pairs * sides, n_x)."""
        return planes.reshape(-1, *planes.shape[2:])[:, j]

    def _weights(self, pair: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """k_r (m,) and the factors of the orders |n| at both height wavenumbers, complex64 (2, m, N + 1)."""
        kr = np.sqrt(np.maximum(self.k2**2 - self.ky[pair[0]] ** 2, (0.05 * self.k2) ** 2))
        last = np.minimum(highest_order(kr * self._rho), self.order)
        weights = np.zeros((2, len(kr), self.order + 1), dtype=np.complex64)
        one = azimuth_weights(
            self.aperture.kernel, kr, self.aperture.radius, last, k2=self.k2, n_angles=self.aperture.n_angles
        )
        one *= self._scale[:, None]
        lift = np.exp(1j * self.ky[list(pair)] * (self._heights.middle - self.centre[1]))
        weights[:, :, : one.shape[1]] = (self._band.masks(pair) * lift[:, None])[:, :, None] * one
        return kr, weights

    def _coarse(self) -> Workers:
        return Workers(lambda: (self._heights.buffer(self.grid.shape[2]),))

    def _held(self, direction: str, slab: slice) -> Workers:
        key = (direction, slab.stop - slab.start)
        if key not in self._workers:
            self._workers[key] = Workers(
                lambda: (
                    RowFFT(len(self.k2), self.n_angles, direction),
                    _Rays((key[1], self.grid.shape[2]), self._sides, (len(self.k2), self.n_angles), self.eps),
                )
            )
        return self._workers[key]


class _Rays:
    """One thread's plane waves: their places, strengths and transform."""

    def __init__(self, pixels: tuple[int, int], sides: int, shape: tuple[int, int], eps: float) -> None:
        self.strengths = np.empty((sides, *shape), dtype=np.complex64)
        self.flat = self.strengths.reshape(sides, -1)
        self.waves = Waves(pixels, n_trans=sides, eps=eps)
        self._x, self._z = np.empty((2, *shape), dtype=np.float32)

    def place(self, kr: np.ndarray, cosine: np.ndarray, sine: np.ndarray, spacing: tuple[float, float]) -> None:
        """Put the waves of new k_r (m,) on pixels of `spacing` (dx, dz) [m]."""
        kernels.place_rays(kr, cosine, sine, spacing, self._x, self._z)
        self.waves.place(self._z.ravel(), self._x.ravel())
