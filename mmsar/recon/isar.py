"""Imaging of a target on a turntable, or by an array swept round a cylinder: near-field MIMO-ISAR.

Every pair is reduced to a monostatic element of the cylinder of radius R0 about the world's y axis
(`signal.cylinder`), the samples are transformed over angle and height, multiplied order by order with an azimuth kernel
(`recon.azimuth`) and brought from polar wavenumbers to the pixels by a NUFFT (`recon.polar`). Even angles all the way
round and even heights take two FFTs per frequency (`recon.ringfront`), other product grids of angles and heights two
matrix products, any other places a 2-D NUFFT. Partial arcs need nothing special.

With kernel "matched" the image is that of back-projection of the compensated samples, to the numerics' accuracy: the
addition theorem has no small angles in it. What is approximate is the compensation, exact for the point of the axis at
the grid's middle height. "hankel" deconvolves, "exponential" is the paper's kernel.

From far away (`ReconOptions.far_field`) the samples are referred to the axis, s = sigma exp(-2jk r.u), u the unit
vector from the axis to the antenna; the radius of the poses does not matter then.

Smith, Torlak: Near-field MIMO-ISAR millimeter-wave imaging, IEEE RadarConf 2020, arXiv 2305.02030.
"""

import numpy as np

from mmsar.core.backend import open_devices
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry, Scan
from mmsar.recon.device_plan import DevicePlan, host_options
from mmsar.recon.fourier import SpectralPlan, slabs
from mmsar.recon.fronts import IrregularFront, RectilinearFront, product_grid
from mmsar.recon.options import ReconOptions
from mmsar.recon.polar import PolarMigration
from mmsar.recon.ring import RingAperture, is_flat, largest_rho, path_limits
from mmsar.recon.ringfront import EvenRing, RingFront, even_ring
from mmsar.signal.compress import FrequencyCompression, compress
from mmsar.signal.cylinder import Cylinder, cylinder_of, cylinder_path_difference

MAX_DEVIATION = 0.5
"""Largest deviation of a phase centre from the mean radius, relative to it."""


def plan(
    geometry: Geometry | Scan,
    grid: ImageGrid,
    *,
    device: str = "auto",
    options: ReconOptions | None = None,
    share: int | None = None,
) -> SpectralPlan | DevicePlan:
    """Plan imaging in rotation.

    Parameters
    ----------
    geometry : Geometry or Scan
        Phase centres about the world's y axis, at about one radius.
    grid : ImageGrid
        Inside that radius, anywhere along y. One voxel along y is a slice.
    options : ReconOptions
        `kernel`, `phase`, `far_field`, accuracy, memory and progress count; `tiles` with a share only.
    share : int, optional
        Which of `options.tiles` shares of the frequencies to image, from 0: the sum of all their images is the image.

    Raises
    ------
    GeometryError
        Phase centres that are not on a cylinder, or a grid that reaches them.
    DeviceError
        A device that is not there.
    MmsarError
        More memory needed than allowed.
    """
    options = options or ReconOptions()
    devices = open_devices(device)
    geometry = geometry.geometry if isinstance(geometry, Scan) else geometry
    cylinder, raster, ring = _ring(geometry, grid)
    aperture = ring_aperture(cylinder, geometry, options, ring)
    if options.far_field:
        path = np.zeros(geometry.weight.shape)
    else:
        centre = (0.0, grid.centre[1], 0.0)
        path = cylinder_path_difference(geometry, cylinder, centre=centre, phase=options.phase)
    compression, scale = _compressed(geometry, grid, aperture, options)
    rows = slice(None) if share is None else slabs(len(compression.k), options.tiles)[share]
    whole = compression.k
    compression = FrequencyCompression(
        k=whole[rows], matrix=np.ascontiguousarray(compression.matrix[:, rows]), error_db=compression.error_db
    )

    def make_migration(_: int, eps: float) -> PolarMigration:
        return PolarMigration(whole, grid, aperture, scale=scale, eps=eps, rows=rows)

    def make_front(migration: PolarMigration, n: int, eps: float) -> RingFront | RectilinearFront | IrregularFront:
        if ring is not None and not migration.flat_ring:
            return RingFront(ring, migration)
        if raster is not None:
            return RectilinearFront(raster, migration)
        places = np.stack([cylinder.angle.ravel(), cylinder.height.ravel()], axis=1)
        return IrregularFront(places, migration, n_frequencies=n, eps=eps)

    made = SpectralPlan(
        geometry,
        grid,
        method="isar",
        path=path,
        compression=compression,
        make_migration=make_migration,
        make_front=make_front,
        options=host_options(options, devices),
    )
    return DevicePlan(made, devices, options) if devices else made


def n_frequencies(geometry: Geometry, grid: ImageGrid, options: ReconOptions) -> int:
    """Frequencies that are imaged, after compression: as many shares as there may be. Errors are those of `plan`."""
    cylinder, _, ring = _ring(geometry, grid)
    return len(_compressed(geometry, grid, ring_aperture(cylinder, geometry, options, ring), options)[0].k)


def _ring(geometry: Geometry, grid: ImageGrid) -> tuple[Cylinder, tuple | None, EvenRing | None]:
    """The cylinder, its raster of angles and heights, and the ring where that is even all the way round."""
    cylinder = cylinder_of(geometry)
    if cylinder.deviation > MAX_DEVIATION * cylinder.radius:
        raise GeometryError(
            f"method isar: the phase centres are {1e3 * (cylinder.radius - cylinder.deviation):.0f} mm and more from "
            f"the y axis, {1e3 * cylinder.radius:.0f} mm in the mean; wanted them on a circle about it; use method bpa"
        )
    angle, height = cylinder.angle.ravel(), cylinder.height.ravel()
    wavelength, rho = geometry.chirp.wavelength, max(largest_rho(grid), geometry.chirp.wavelength)
    raster = angle_raster(angle, height, wavelength, rho)
    return cylinder, raster, None if raster is None else even_ring(raster, (wavelength / 40 / rho, wavelength / 40))


def _compressed(
    geometry: Geometry, grid: ImageGrid, aperture: RingAperture, options: ReconOptions
) -> tuple[FrequencyCompression, float]:
    """The frequencies that are imaged, and the factor on the image."""
    power = 0.0 if options.far_field else 0.5 if is_flat(aperture, grid, geometry.chirp.k) else 1.0
    low, high = path_limits(aperture, grid)
    compression = compress(
        geometry.chirp.k, geometry.frequency_weight, low=low, high=high, error_db=options.error_db - 10, power=power
    )
    return compression, ((low + high) / 4) ** power / geometry.norm


def ring_aperture(cylinder: Cylinder, geometry: Geometry, options: ReconOptions, ring: EvenRing | None) -> RingAperture:
    """The aperture as the migration wants it."""
    height = cylinder.height[geometry.weight != 0]
    return RingAperture(
        radius=cylinder.radius,
        heights=(float(height.min()), float(height.max())),
        n_angles=max(1, round(2 * np.pi / cylinder.step)) if cylinder.step > 0 else 1,
        kernel="far_field" if options.far_field else options.kernel,
        height_step=None if ring is None else ring.height_step,
    )


def angle_raster(
    angle: np.ndarray, height: np.ndarray, wavelength: float, rho: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Angles, heights and the flat index of every channel where they form a product grid, else None.

    The tolerance is lambda / 40, for angles at the target's edge `rho` [m].
    """
    raster = product_grid(np.stack([angle * rho, height, 0 * angle], axis=1), tolerance=wavelength / 40)
    return None if isinstance(raster, str) else (raster[0] / rho, *raster[1:])
