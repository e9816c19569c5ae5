"""The aperture of imaging in rotation, and the height wavenumbers that scene and aperture exchange.

A voxel at height y and a sample at y_l, a distance D across the axis apart, see each other by ky / K = -(y - y_l) / R,
R = hypot(y - y_l, D): the offsets between grid and aperture bound ky, with D between R0 - rho and R0 + rho. The band is
cut softly one Fresnel zone beyond, and padded where it holds few zones, as for planes (`recon.band`).
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.fft import good_size
from mmsar.model.grid import ImageGrid
from mmsar.recon.band import EDGE, FEW_ZONES, PAD, SPILL, STEEPEST


@dataclass(frozen=True, kw_only=True)
class RingAperture:
    """The aperture that a polar migration starts from."""

    radius: float
    """R0 [m]."""
    heights: tuple[float, float]
    """Lowest and highest phase centre [m]."""
    n_angles: int
    """Angles a full turn would have at the scan's step."""
    kernel: str
    """Azimuth kernel, or "far_field"."""
    height_step: float | None = None
    """Step of even heights [m]: the height wavenumbers are those of an FFT over them then."""


def largest_rho(grid: ImageGrid) -> float:
    """Distance of the farthest voxel from the y axis [m]."""
    (x0, x1), _, (z0, z1) = grid.extent
    return float(np.hypot(max(abs(x0), abs(x1)), max(abs(z0), abs(z1))))


def is_flat(aperture: RingAperture, grid: ImageGrid, k: np.ndarray) -> bool:
    """Whether one ring images one slice at its own height (or from far away): no height wavenumbers."""
    if aperture.kernel == "far_field":
        return True
    low, high = aperture.heights
    offset = max(abs(grid.extent[1][0] - high), abs(grid.extent[1][1] - low))
    near = max(aperture.radius - largest_rho(grid), 1e-9)
    return grid.shape[1] == 1 and float(np.max(k)) * offset**2 / near < 1e-3


def path_limits(aperture: RingAperture, grid: ImageGrid) -> tuple[float, float]:
    """Bounds of 2R between cylinder and voxels [m]; from far away, of -2 r.u."""
    rho = largest_rho(grid)
    if aperture.kernel == "far_field":
        return -2 * rho, 2 * rho
    (low, high), (bottom, top) = aperture.heights, grid.extent[1]
    gap = max(bottom - high, low - top, 0.0)
    far = max(top - low, high - bottom)
    return 2 * float(np.hypot(aperture.radius - rho, gap)), 2 * float(np.hypot(aperture.radius + rho, far))


class HeightBand:
    """Height wavenumbers: as many as are exchanged, close enough that nothing wraps around into the image.

    Parameters
    ----------
    aperture : RingAperture
        Where the samples are.
    grid : ImageGrid
        The image.
    k2 : (m,) array
        K = 2k [rad/m].
    """

    def __init__(self, aperture: RingAperture, grid: ImageGrid, k2: np.ndarray) -> None:
        self.k2 = k2
        self.flat = is_flat(aperture, grid, k2 / 2)
        """One ring and a slice at its height: no height wavenumbers."""
        if self.flat:
            self.ky, self.dky, self._edges = np.zeros(1), 1.0, None
            return
        rho = largest_rho(grid)
        (low, high), (bottom, top) = aperture.heights, grid.extent[1]
        near, far = aperture.radius - rho, aperture.radius + rho
        k = float(k2.min()) / 2
        cosine, zone = [], []
        for end, sign in ((bottom - high, -1), (top - low, 1)):
            rest = near if sign * end > 0 else far
            cosine.append(end / np.hypot(end, rest))
            distance = np.hypot(end, near)
            zone.append(np.sqrt(np.pi / (k * distance)) * near / distance)
        few = max(0.0, 1 - (cosine[1] - cosine[0]) / (np.mean(zone) * FEW_ZONES))
        self._edges = [(sign * c + PAD * few * z, EDGE * z) for sign, c, z in zip((-1, 1), cosine, zone, strict=True)]
        reach = max(limit + (1 + SPILL * few) * edge for limit, edge in self._edges)
        steepest = min(max(reach, 1e-3), STEEPEST)
        period = max(abs(bottom - high), abs(top - low)) + far * steepest / np.sqrt(1 - steepest**2)
        step = aperture.height_step
        if step is not None:
            samples = int(np.ceil(max(period, high - low + step) / step - 1e-9))
            period = good_size(samples) * step
        self.dky = 2 * np.pi / period
        widest = min(max(limit + edge for limit, edge in self._edges), STEEPEST)
        count = int(np.ceil(float(k2.max()) * widest / self.dky))
        self.ky = self.dky * np.arange(-count, count + 1)

    def masks(self, columns: tuple[int, ...]) -> np.ndarray:
        """Soft edges of the band at some height wavenumbers, for every frequency, (n, m)."""
        if self._edges is None:
            return np.ones((len(columns), len(self.k2)))
        u = -self.ky[list(columns), None] / self.k2  # the phase -KR falls where y grows away from the sample
        beyond = np.where(np.abs(u) > STEEPEST, 1.0, 0.0)
        for sign, (limit, edge) in zip((-1, 1), self._edges, strict=True):
            np.maximum(beyond, (sign * u - limit) / edge, out=beyond)
        return 0.5 + 0.5 * np.cos(np.pi * np.minimum(beyond, 1))
