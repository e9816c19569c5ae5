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
from mmsar.core.parallel import Workers, one_blas_thread
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.recon.azimuth import azimuth_weights, highest_order
from mmsar.recon.heights import HeightSynthesis
from mmsar.recon.pieces import whole_image
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
    rows : slice, optional
        Frequencies whose part of the image is made, with the orders, angles and heights of all `k`; default all.

    Raises
    ------
    GeometryError
        A grid that reaches the antennas, or several heights from far away.
    """

    def __init__(
        self,
        k: np.ndarray,
        grid: ImageGrid,
        aperture: RingAperture,
        *,
        scale: float,
        eps: float,
        rows: slice = slice(None),
    ) -> None:
        self.grid, self.aperture, self.eps = grid, aperture, eps
        self.k2 = 2 * np.asarray(k, dtype=float)
        rho = largest_rho(grid)
        self._check(rho)
        self.order = int(highest_order(self.k2.max() * rho))
        self.n_angles = good_size(2 * self.order + 2)
        angle = 2 * np.pi * np.arange(self.n_angles) / self.n_angles
        self.cosine, self.sine = np.cos(angle), np.sin(angle)
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
        self.pairs = [pair for pair in ((i, last - i) for i in range(last // 2 + 1)) if self._band.masks(pair).any()]
        """Height wavenumbers -|ky| and |ky| that are imaged together, by index."""
        self.k2, self._scale = self.k2[rows], self._scale[rows]
        self._band.k2 = self.k2
        self.sides = 1 if last == 0 else 2
        self._middle = float(grid.y[0] + grid.y[-1]) / 2
        self._workers: dict[tuple, Workers] = {}
        self.pieces = whole_image(
            grid,
            n_pairs=len(self.pairs),
            dky=self.dky,
            sides=self.sides,
            n_waves=len(self.k2) * self.n_angles,
            eps=eps,
        )
        """How the image is made in pieces."""

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
        """Work in smaller pieces, to need `excess` bytes less as far as that goes."""
        self.pieces = self.pieces.within(self.nbytes - excess)

    @property
    def nbytes(self) -> int:
        """Memory in flight: planes, the threads' buffers and what the transforms take beside them [bytes]."""
        return self.pieces.nbytes

    # the transforms

    def __call__(self, spectrum: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(m, n_pairs) complex64 spectrum to the image, complex64 (n_z, n_y, n_x)."""
        out = np.empty(self.grid.shape, dtype=np.complex64)
        if not self.pairs:
            out[:] = 0
        room = self._room()
        for slab, middle, pairs, step in self._steps():
            heights, planes = self._heights(pairs), self._planes(room, slab, pairs)

            def to_plane(p: int, fft: RowFFT, rays: _Rays, middle=middle, pairs=pairs, planes=planes) -> None:
                kr, weights = self.weights(pairs[p])
                rays.place(kr, self.cosine, self.sine, self.grid.spacing[::2])
                for side, column in enumerate(pairs[p][: self.sides]):
                    kernels.load_orders(spectrum, column, len(self.ky), weights[side], fft.buffer)
                    kernels.turn_rays(fft(), kr, self.cosine, self.sine, middle, 1.0, rays.strengths[side])
                rays.waves(rays.flat, planes[p])

            def to_image(j: int, coarse, part, slab=slab, pairs=pairs, planes=planes, heights=heights) -> None:
                first = pairs[0] == self.pairs[0]
                row = out[slab.start + j]
                heights(self._columns(planes, j), coarse, row if first else part)
                if not first:
                    row += part

            self._held("backward", slab).run(to_plane, range(len(pairs)), label=f"rotate{step}: waves", show=show)
            with one_blas_thread():
                self._products(heights).run(to_image, range(len(planes[0, 0])))
        return out

    def adjoint(self, image: np.ndarray, show: bool | None = None) -> np.ndarray:
        """(n_z, n_y, n_x) complex64 image to the spectrum, complex64 (m, n_pairs)."""
        total = np.zeros((len(self.k2), self.n_pairs), dtype=np.complex64)
        room = self._room()
        for slab, middle, pairs, step in self._steps():
            heights, planes = self._heights(pairs), self._planes(room, slab, pairs)

            def from_image(j: int, coarse, _, slab=slab, planes=planes, heights=heights) -> None:
                heights.adjoint(image[slab.start + j], coarse, self._columns(planes, j))

            def from_plane(p: int, fft: RowFFT, rays: _Rays, middle=middle, pairs=pairs, planes=planes) -> None:
                kr, weights = self.weights(pairs[p])
                rays.place(kr, self.cosine, self.sine, self.grid.spacing[::2])
                rays.waves.adjoint(planes[p], rays.flat)
                for side, column in enumerate(pairs[p][: self.sides]):
                    rows = rays.strengths[side]
                    kernels.turn_rays(rows, kr, self.cosine, self.sine, middle, -1.0, fft.buffer)
                    kernels.store_orders(fft(), weights[side], column, len(self.ky), total)

            with one_blas_thread():
                self._products(heights).run(from_image, range(len(planes[0, 0])))
            self._held("forward", slab).run(from_plane, range(len(pairs)), label=f"adjoint{step}: waves", show=show)
        return total

    def _steps(self):
        """(slice along z, its middle pixel (x, z) [m], pairs of height wavenumbers, "" or which piece it is)."""
        n_z, n_x, size = self.grid.shape[0], self.grid.shape[2], self.pieces
        edges = np.linspace(0, n_z, size.n_slabs + 1).round().astype(int).tolist()
        shares = np.linspace(0, len(self.pairs), size.n_blocks + 1).round().astype(int).tolist()
        n = 0
        for start, stop in pairwise(edges):
            middle = float(self.grid.x[n_x // 2]), float(self.grid.z[start + (stop - start) // 2])
            for first, last in pairwise(shares):
                n += 1
                which = f" {n}/{size.count}" if size.count > 1 else ""
                yield slice(start, stop), middle, self.pairs[first:last], which

    def _room(self) -> np.ndarray:
        """Room for the planes of the largest piece, used by one after the other."""
        size = self.pieces
        return np.empty(size.block * self.sides * size.slab * self.grid.shape[2], dtype=np.complex64)

    def _planes(self, room: np.ndarray, slab: slice, pairs: list) -> np.ndarray:
        """The pictures of a slab at some height wavenumbers, (pairs, sides, n_z, n_x), in `room`."""
        shape = len(pairs), self.sides, slab.stop - slab.start, self.grid.shape[2]
        return room[: np.prod(shape)].reshape(shape)

    def _columns(self, planes: np.ndarray, j: int) -> np.ndarray:
        """One row of pixels along x at every height wavenumber, (pairs * sides, n_x)."""
        return planes.reshape(-1, *planes.shape[2:])[:, j]

    def weights(self, pair: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """k_r (m,) and the factors of the orders |n| at both height wavenumbers, complex64 (2, m, N + 1)."""
        kr = np.sqrt(np.maximum(self.k2**2 - self.ky[pair[0]] ** 2, (0.05 * self.k2) ** 2))
        last = np.minimum(highest_order(kr * self._rho), self.order)
        weights = np.zeros((2, len(kr), self.order + 1), dtype=np.complex64)
        one = azimuth_weights(
            self.aperture.kernel, kr, self.aperture.radius, last, k2=self.k2, n_angles=self.aperture.n_angles
        )
        one *= self._scale[:, None]
        lift = np.exp(1j * self.ky[list(pair)] * (self._middle - self.centre[1]))
        weights[:, :, : one.shape[1]] = (self._band.masks(pair) * lift[:, None])[:, :, None] * one
        return kr, weights

    def _heights(self, pairs: list) -> HeightSynthesis:
        """From some height wavenumbers to the image's heights."""
        columns = np.array(pairs)[:, : self.sides].ravel()
        weight = np.ones(len(columns))
        if self.sides == 2 and columns[-2] == columns[-1]:
            weight[-1] = 0  # ky = 0 is there once
        return HeightSynthesis(self.ky[columns], self.grid.y, weight, error=self.eps)

    def height_matrix(self) -> np.ndarray:
        """From all height wavenumbers to the image's heights, complex64 (n_y, n_pairs * sides)."""
        return self._heights(self.pairs).dense()

    def _products(self, heights: HeightSynthesis) -> Workers:
        n_x = self.grid.shape[2]
        return Workers(lambda: (heights.buffer(n_x), np.empty((self.grid.shape[1], n_x), dtype=np.complex64)))

    def _held(self, direction: str, slab: slice) -> Workers:
        key = (direction, slab.stop - slab.start)
        if key not in self._workers:
            self._workers[key] = Workers(
                lambda: (
                    RowFFT(len(self.k2), self.n_angles, direction),
                    _Rays((key[1], self.grid.shape[2]), self.sides, (len(self.k2), self.n_angles), self.eps),
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
