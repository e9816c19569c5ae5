"""The grid that a scan is imaged on when none is given."""

import numpy as np

from mmsar.errors import MmsarError
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.model.scan import Scan
from mmsar.signal.cylinder import Cylinder, round_of
from mmsar.signal.rangefft import energy_interval
from mmsar.signal.round_sampling import resolution_of

ROUND_VOXELS = 2**25
"""Voxels beyond which the grid about an axis is coarsened, to one voxel a resolution cell at most."""
EDGE_DB = -17.0
"""Voxels at the ends of the default grid brighter than this against the brightest show that the scene goes on [dB]."""
ROUND_REACH = 0.8
"""Largest radius of that grid, in radii of the antennas' circle."""


def default_grid(scan: Scan, *, max_voxels: int = 2**27, far_field: bool = False) -> ImageGrid:
    """The aperture's footprint, the range interval that holds energy, half a resolution cell between voxels.

    For a scan round the y axis: a square about the axis as wide as the echoes' nearest range says, the heights of the
    antennas, half a resolution cell between voxels where that is not too many. `far_field` says what the scan may say
    of itself: that its samples are referred to the axis. What is larger than the aperture is cut: see `beyond`.

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


def beyond(image: Image, scan: Scan) -> str:
    """What to say where an image on the default grid is still bright at the end of the aperture's footprint.

    Echoes are looked for along x and y before a plane and along y round an axis, where the grid ends with the antennas.
    Empty when none within `EDGE_DB` of the brightest voxel is at an end.
    """
    data = image.data  # may be larger than the memory
    peak = max(float(np.abs(plane).max()) for plane in data)
    found = []
    for name, axis in (("x", 2), ("y", 1)) if round_of(scan.geometry) is None else (("y", 1),):
        n = data.shape[axis]
        ends = (
            [float(np.abs(np.take(data, cells, axis=axis)).max()) for cells in ((0, 1), (n - 2, n - 1))]
            if n > 8
            else []
        )
        if ends and max(ends) > peak * 10 ** (EDGE_DB / 20):
            found.append((name, 20 * np.log10(max(ends) / peak)))
    if not found:
        return ""
    sizes = {a: 1e3 * (high - low) for a, (low, high) in zip("xyz", image.grid.extent, strict=True)}
    for name, _ in found:
        sizes[name] *= 1.5
    ends = " and ".join(f"{name} ({level:.0f} dB)" for name, level in found)
    extent = ",".join(f"{size:.0f}" for size in sizes.values())
    return (
        f"the scene goes on where the default grid ends, with the antennas, along {ends}: ask for more, as with "
        f"--extent {extent}"
    )


def tell_beyond(image: Image, scan: Scan) -> Image:
    """An image on the default grid whose last step of history tells, as "beyond", what `beyond` has to say."""
    text = beyond(image, scan)
    if not text:
        return image
    *before, last = image.history
    return Image(data=image.data, grid=image.grid, history=(*before, {**last, "beyond": text}))
