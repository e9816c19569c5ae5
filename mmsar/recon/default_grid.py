"""The grid that a scan is imaged on when none is given."""

import numpy as np

from mmsar.errors import MmsarError
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Scan
from mmsar.signal.cylinder import Cylinder, round_of
from mmsar.signal.rangefft import energy_interval
from mmsar.signal.round_sampling import resolution_of

ROUND_VOXELS = 2**25
"""Voxels beyond which the grid about an axis is coarsened, to one voxel a resolution cell at most."""
ROUND_REACH = 0.8
"""Largest radius of that grid, in radii of the antennas' circle."""


def default_grid(scan: Scan, *, max_voxels: int = 2**27, far_field: bool = False) -> ImageGrid:
    """The aperture's footprint, the range interval that holds energy, half a resolution cell between voxels.

    For a scan round the y axis: a square about the axis as wide as the echoes' nearest range says, the heights of the
    antennas, half a resolution cell between voxels where that is not too many. `far_field` says what the scan may say
    of itself: that its samples are referred to the axis.

    Raises
    ------
    MmsarError
        When that would be more than `max_voxels`, or where nothing says how large the target is (samples referred to
        the axis of rotation); the message says to give an extent and a spacing.
    """
    if far_field or scan.attrs.get("far_field"):
        raise MmsarError(
            "default grid: samples referred to the axis do not say how large the target is; give an extent"
        )
    cylinder = round_of(scan.geometry)
    grid = _planar(scan) if cylinder is None else _round(scan, cylinder)
    if grid.n_voxels > max_voxels:
        raise MmsarError(
            f"default grid: would have {grid.n_voxels / 1e6:.0f} million voxels, wanted at most "
            f"{max_voxels / 1e6:.0f}; give an extent and a spacing"
        )
    return grid


def _planar(scan: Scan) -> ImageGrid:
    low, high = energy_interval(scan)
    plane = float(scan.virtual_position[..., 2].mean())
    top = float(scan.virtual_position[..., 2].max())
    low = max(low + plane, top + min(5 * scan.chirp.wavelength, scan.chirp.range_resolution))
    low = max(low, top + 1.5 * scan.chirp.wavelength)
    return ImageGrid.from_resolution(scan, z=(low, max(high + plane, low + scan.chirp.range_resolution)))


def _round(scan: Scan, cylinder: Cylinder) -> ImageGrid:
    """About the axis, out to where the nearest echoes come from."""
    chirp = scan.chirp
    nearest = energy_interval(scan)[0]
    rho = float(np.clip(cylinder.radius - nearest, chirp.range_resolution, ROUND_REACH * cylinder.radius))
    height = cylinder.height[scan.geometry.weight != 0]
    low, high = float(height.min()), float(height.max())
    across, along, vertical = resolution_of(cylinder, chirp, high - low)
    # an arc may look along any direction: the finer of both cells serves for x and z
    cells = np.array([min(across, along), vertical if high > low else 1.0, min(across, along)]) / 2
    counts = np.array([2 * rho, high - low, 2 * rho]) / cells + 1
    coarser = float(np.clip(np.cbrt(np.prod(counts) / ROUND_VOXELS), 1.0, 2.0))
    return ImageGrid.from_extent((-rho, rho), (low, high), (-rho, rho), spacing=coarser * cells)
