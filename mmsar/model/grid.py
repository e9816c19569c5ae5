"""The image grid: where the voxels are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mmsar.core.checks import finite_number, positive_int, real_array
from mmsar.errors import GeometryError

if TYPE_CHECKING:
    from mmsar.model.scan import Scan

MAX_VOXELS = 2**40


@dataclass(frozen=True, kw_only=True)
class ImageGrid:
    """A regular grid of voxel centres in the world frame. Arrays on it are indexed [z, y, x].

    Raises
    ------
    GeometryError
        Counts below 1, spacings not above 0, or values that are not finite.

    Examples
    --------
    >>> import mmsar
    >>> grid = mmsar.ImageGrid.from_extent((-0.1, 0.1), (-0.05, 0.05), 0.3, spacing=1e-3)
    >>> grid.shape  # z, y, x
    (1, 101, 201)
    >>> grid.x[:3].round(4)
    array([-0.1  , -0.099, -0.098])
    """

    shape: tuple[int, int, int]
    """Voxels along (z, y, x)."""
    origin: tuple[float, float, float]
    """Centre of the first voxel (x, y, z) [m]."""
    spacing: tuple[float, float, float]
    """Distance of neighbouring voxel centres (x, y, z) [m]."""

    def __post_init__(self) -> None:
        if not isinstance(self.shape, Sequence | np.ndarray) or len(self.shape) != 3:
            raise GeometryError(f"ImageGrid.shape: got {self.shape!r}, wanted (n_z, n_y, n_x)")
        names = ("n_z", "n_y", "n_x")
        shape = tuple(positive_int(f"ImageGrid.shape {n}", v) for n, v in zip(names, self.shape, strict=True))
        if np.prod([float(n) for n in shape]) > MAX_VOXELS:
            raise GeometryError(
                f"ImageGrid.shape: got {shape}, wanted fewer than 2^40 voxels; check extent and spacing"
            )
        origin = tuple(float(v) for v in real_array("ImageGrid.origin", self.origin, (3,), "m"))
        spacing = tuple(float(v) for v in real_array("ImageGrid.spacing", self.spacing, (3,), "m"))
        for axis, value in zip("xyz", spacing, strict=True):
            finite_number(f"ImageGrid.spacing {axis}", value, "m", above=0.0)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "spacing", spacing)

    @cached_property
    def x(self) -> np.ndarray:
        """Voxel centres along x [m], (n_x,)."""
        return self.origin[0] + self.spacing[0] * np.arange(self.shape[2])

    @cached_property
    def y(self) -> np.ndarray:
        """Voxel centres along y [m], (n_y,)."""
        return self.origin[1] + self.spacing[1] * np.arange(self.shape[1])

    @cached_property
    def z(self) -> np.ndarray:
        """Voxel centres along z [m], (n_z,)."""
        return self.origin[2] + self.spacing[2] * np.arange(self.shape[0])

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def centre(self) -> tuple[float, float, float]:
        """Centre of the grid (x, y, z) [m]."""
        n = self.shape[::-1]
        x, y, z = (o + s * (m - 1) / 2 for o, s, m in zip(self.origin, self.spacing, n, strict=True))
        return (x, y, z)

    @property
    def extent(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """First and last voxel centre along x, y and z [m]."""
        x, y, z = ((o, o + s * (m - 1)) for o, s, m in zip(self.origin, self.spacing, self.shape[::-1], strict=True))
        return (x, y, z)

    @classmethod
    def from_extent(
        cls,
        x: Sequence[float] | float,
        y: Sequence[float] | float,
        z: Sequence[float] | float,
        *,
        spacing: float | Sequence[float],
    ) -> "ImageGrid":
        """A grid that covers [low, high] along each axis, both ends included to within half a voxel.

        Parameters
        ----------
        x, y, z : (low, high) or float
            Extent [m]; a single number gives one voxel along that axis.
        spacing : float or (x, y, z)
            Voxel distance [m].

        Raises
        ------
        GeometryError
            An extent whose low end is above its high end, or a spacing not above 0.
        """
        steps = np.broadcast_to(real_array("ImageGrid spacing", np.atleast_1d(spacing), (None,), "m"), (3,))
        origin, counts = [], []
        for name, limits, step in zip("xyz", (x, y, z), steps, strict=True):
            low_high = np.atleast_1d(np.asarray(limits, dtype=float))
            if low_high.size == 1:
                low_high = np.repeat(low_high, 2)
            low_high = real_array(f"ImageGrid extent {name}", low_high, (2,), "m")
            finite_number(f"ImageGrid spacing {name}", step, "m", above=0.0)
            low, high = low_high
            if high < low:
                raise GeometryError(f"ImageGrid extent {name}: got {low:g} to {high:g} m, wanted low <= high")
            count = round((high - low) / step) + 1
            origin.append((low + high) / 2 - step * (count - 1) / 2)
            counts.append(count)
        return cls(shape=tuple(counts[::-1]), origin=tuple(origin), spacing=tuple(steps))

    @classmethod
    def from_resolution(cls, scan: "Scan", *, z: tuple[float, float], oversampling: float = 2.0) -> "ImageGrid":
        """A grid over the aperture's footprint with `oversampling` voxels to a resolution cell.

        An axis along which the aperture is smaller than a wavelength has no resolution and gets one voxel, before the
        middle of the phase centres: a scan along a line images a plane, one place images a line in range.

        Parameters
        ----------
        scan : Scan
            Gives aperture, wavelength and bandwidth.
        z : (low, high)
            Range interval [m].
        oversampling : float
            Voxels per resolution cell lambda z / 2D (not below lambda/4) and c / 2B.
        """
        virtual = scan.virtual_position.reshape(-1, 3)
        low, high = virtual.min(axis=0), virtual.max(axis=0)
        lam, (z0, z1) = scan.chirp.wavelength, z
        reach = max(float(z0) - float(virtual[:, 2].mean()), lam)
        cells, limits = [], []
        for axis in (0, 1):
            aperture = high[axis] - low[axis]
            if aperture < lam:
                cell, ends = reach / 4, (float(virtual[:, axis].mean()),) * 2
            else:
                cell = max(lam / 4, lam * np.hypot(aperture / 2, reach) / (2 * aperture))
                ends = (low[axis] - cell, high[axis] + cell)
            cells.append(cell / oversampling)
            limits.append(ends)
        cells.append(scan.chirp.range_resolution / oversampling)
        return cls.from_extent(limits[0], limits[1], (z0, z1), spacing=cells)

    def to_dict(self) -> dict:
        """Plain values, for files and histories."""
        return {"shape": list(self.shape), "origin": list(self.origin), "spacing": list(self.spacing)}
