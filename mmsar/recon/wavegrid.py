"""The wavenumbers an image and an aperture ask for: periods, modes, in-band pairs, and the transforms they need.

The spacing of the image sets the period M d of the modes, dk = 2 pi / (M d), long enough that nothing within the band's
reach wraps around into the image (`recon.band`); the band says which modes are needed.
"""

from functools import cached_property

import numpy as np

from mmsar.core import gridding
from mmsar.core.depth_planes import BINS, Lags, lags_of
from mmsar.core.fft import fast_size
from mmsar.core.parallel import threads
from mmsar.model.grid import ImageGrid
from mmsar.recon.band import Band
from mmsar.recon.few_heights import KzBand, n_few
from mmsar.recon.stolt import BLOCK, MANY, fine_size


class WaveGrid:
    """Modes along x and y for one grid and one set of phase centres.

    Parameters
    ----------
    virtual : (n, 3) array
        Phase centres [m].
    grid : ImageGrid
        The image.
    k : (m,) array
        Wavenumbers [rad/m].

    Raises
    ------
    GeometryError
        When part of the image lies behind or in the aperture.
    """

    def __init__(self, virtual: np.ndarray, grid: ImageGrid, k: np.ndarray) -> None:
        self.grid, self.k2 = grid, 2 * np.asarray(k, dtype=float)
        self.line = missing_axis(virtual, grid)
        """Axis (0 x, 1 y) that is not transformed: one voxel, and one coordinate of all phase centres; or None."""
        self.band = Band(virtual, grid, k, self.line)
        modes = (self._modes(axis) for axis in (0, 1))
        self.period, self.first, self.count, self.dk = (list(pair) for pair in zip(*modes, strict=True))
        """Per axis: voxels in a period, first mode, number of modes, and their spacing [rad/m]."""

    def _modes(self, axis: int) -> tuple[int, int, int, float]:
        if axis == self.line:
            return 1, 0, 1, 1.0  # the one wave k = 0, and a factor that changes nothing
        spacing, far = self.grid.spacing[axis], max(abs(end) for end in self.band.offsets[axis])
        # nothing within the band's reach may wrap around into the image
        needed = max(far + self.band.reach(axis), self.grid.extent[axis][1] - self.grid.extent[axis][0])
        period = fast_size(int(np.ceil(needed / spacing)) + 1, most=1.1, beside=8.0, power=2)
        dk = 2 * np.pi / (period * spacing)
        first, last = self.band.modes(axis, self.k2, dk)
        return period, first, last - first + 1, dk

    @property
    def mode_axes(self) -> tuple[np.ndarray, np.ndarray]:
        """kx (n_kx,) and ky (n_ky,) of the block of modes that holds the band [rad/m]."""
        kx, ky = (d * (f + np.arange(n)) for d, f, n in zip(self.dk, self.first, self.count, strict=True))
        return kx, ky

    def inside(self) -> np.ndarray:
        """Which pairs of modes are in the band at any wavenumber, bool (n_kx, n_ky)."""
        kx, ky = self.mode_axes
        out = np.zeros((kx.size, ky.size), dtype=bool)
        gridding.in_band(kx, ky, np.array([self.k2.min(), self.k2.max()]), self.band.limits, out)
        return out

    @cached_property
    def n_pairs(self) -> int:
        """Pairs of modes in the band."""
        return int(np.count_nonzero(self.inside()))

    @cached_property
    def lags(self) -> Lags:
        """How far the waves of all frequencies lag behind those along z, and what they weigh in the image."""
        kx, ky = self.mode_axes
        weights = tuple(
            self.band.mask(axis, k / self.k2.mean()).max(axis=0).astype(float) for axis, k in enumerate((kx, ky))
        )
        sine2 = min((self.band.limits[4] + self.band.limits[5]) ** 2, gridding.STEEPEST2)
        step = float(self.k2.max() * (1 - np.sqrt(1 - sine2))) / BINS
        power = np.zeros(BINS)
        for k2 in (self.k2.min(), self.k2.mean(), self.k2.max()):
            gridding.lag_power(kx, ky, float(k2), self.band.limits, weights, step, power)
        return lags_of(power, step)

    @cached_property
    def kz_band(self) -> KzBand:
        """What the waves of the band have along z, with what its moving edges add."""
        sine2 = min((self.band.limits[4] + self.band.limits[5]) ** 2, gridding.STEEPEST2)
        low = float(self.k2.min() * np.sqrt(1 - sine2))
        return KzBand(low=low, high=float(self.k2.max())).spread(self.band.pace)

    def n_heights(self, n_z: int) -> int:
        """Heights that are made for so many evenly spaced planes: as many, or fewer."""
        return n_few(n_z, self.grid.spacing[2], self.kz_band)

    def piece_bytes(self, n_most: int, *, uniform: bool) -> np.ndarray:
        """Memory of pieces of 1 to `n_most` planes: spectra and images of their heights, and the Stolt step's lines."""
        n_z = np.arange(1, n_most + 1)
        n = np.array([self.n_heights(v) if uniform else v for v in n_z])
        lines = np.array([BLOCK * fine_size(v) * threads() if uniform and v > MANY else 0 for v in n])
        voxels = self.grid.shape[1] * self.grid.shape[2]
        return 8 * (n * self.n_pairs + lines + (n < n_z) * n * (voxels + n_z))

    def lateral_shapes(self) -> list[tuple[int, int]]:
        """Buffers of the lateral FFTs: along y for every kx, then along x; one row where an axis has one voxel."""
        _, n_y, n_x = self.grid.shape
        if n_x == 1:
            return [(1, self.period[1])]
        if n_y == 1:
            return [(1, self.period[0])]
        return [(self.count[0], self.period[1]), (n_y, self.period[0])]


def missing_axis(virtual: np.ndarray, grid: ImageGrid) -> int | None:
    """Axis (0 x, 1 y) on which the grid has one voxel and all phase centres (n, 3) one coordinate, or None."""
    for axis in (0, 1):
        if grid.shape[2 - axis] == 1 and np.ptp(virtual[:, axis]) == 0:
            return axis
    return None
