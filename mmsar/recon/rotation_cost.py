"""What imaging in rotation will take, from geometry, grid and budget: time, memory and pieces.

The sizes are those the plan will have (orders, height wavenumbers, waves) with frequencies and wavenumbers estimated;
the pieces are chosen by the very rule of the plan (`recon.pieces`).
"""

import numpy as np

from mmsar.constants import C0
from mmsar.core.fft import good_size
from mmsar.core.parallel import threads
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon.azimuth import highest_order
from mmsar.recon.pieces import Pieces, whole_image
from mmsar.recon.ring import HeightBand, RingAperture, largest_rho, path_limits

# core-seconds as measured on a 2-core server
PER_WAVE, PER_PIXEL, PER_PAIR = 1e-7, 1e-8, 1e-4
"""Of the NUFFTs: for every wave and every pixel of a height wavenumber, and for every pair of them [s]."""
PER_LINE, PER_PRODUCT, PER_VOXEL, PER_ROW = 1e-8, 8e-11, 1e-9, 2e-5
"""Of the heights: pixel and wavenumber, row of the coarse grid and voxel, voxel of a block, row along x [s]."""
PER_SAMPLE, PER_ORDER, PLANNING = 6e-8, 1e-8, 1e-7
"""Of the front and of planning, for every compressed sample or spectral value [s]."""


def rotation_cost(geometry: Geometry, grid: ImageGrid, allowed: int) -> tuple[float, int, int]:
    """Time [s], memory [bytes] and pieces of isar within a budget of `allowed` bytes.

    Where no pieces are small enough the memory is that of the smallest, more than is allowed.
    """
    x, y, z = (v[geometry.weight != 0] for v in np.moveaxis(geometry.virtual_position, -1, 0))
    k2, rho = 2 * geometry.chirp.k, largest_rho(grid)
    radius = max(float(np.hypot(x, z).mean()), rho + geometry.chirp.wavelength)  # elsewhere it is refused anyway
    aperture = RingAperture(
        radius=radius, heights=(float(y.min()), float(y.max())), n_angles=1, kernel="matched", height_step=None
    )
    band = HeightBand(aperture, grid, k2[[0, -1]])
    heights = len(band.ky)
    low, high = path_limits(aperture, grid)
    frequencies = int(2 * geometry.chirp.bandwidth * (high - low) / C0 / 2) + 7
    order = int(highest_order(k2[-1] * rho))
    waves = frequencies * good_size(2 * order + 2)
    pieces = whole_image(
        grid,
        n_pairs=(heights + 1) // 2,
        dky=band.dky,
        sides=1 if heights == 1 else 2,
        n_waves=waves,
        eps=10 ** (-55 / 20),
    )
    channels, values = geometry.n_channels, (2 * order + 1) * heights
    data, spectrum = 8 * frequencies * channels, 8 * frequencies * values
    front = 8 * threads() * (channels + 3 * values) + 8 * channels
    if heights == 1:
        front += 8 * (2 * order + 1) * channels  # one ring: the waves of all orders at all angles
    held = 24 * channels + data + front + max(2 * data, spectrum + max(data, 8 * grid.n_voxels))
    pieces = pieces.within(allowed - held)
    work = _migration_seconds(pieces) + frequencies * (channels * PER_SAMPLE + values * PER_ORDER)
    seconds = 0.05 + work / threads() + PLANNING * frequencies * channels
    return seconds, int(held + pieces.nbytes), pieces.count


def _migration_seconds(size: Pieces) -> float:
    """Core-seconds of the migration: all waves again for every slab, all voxels again for every block."""
    n_z, n_y, n_x = size.shape
    columns = size.n_pairs * size.sides
    waves = (
        size.n_slabs * (columns * size.n_waves * PER_WAVE + size.n_pairs * PER_PAIR) + columns * n_z * n_x * PER_PIXEL
    )
    per_voxel = size.rows * PER_PRODUCT + PER_VOXEL
    heights = columns * n_z * n_x * PER_LINE + size.n_blocks * n_z * (n_y * n_x * per_voxel + PER_ROW)
    return waves + heights
