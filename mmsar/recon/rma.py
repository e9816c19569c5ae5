"""Range migration on a planar aperture with samples on a product grid (uniform raster, MIMO rows, interleaved arrays).

Every channel's path difference R_T + R_R - 2 R0 is taken out (x and y separations), then the spectrum is formed by
separable transforms and migrated (`recon.migration`). Yanik and Torlak, IEEE Access 2019; Smith's FMCW tutorial
4.31-4.42.
"""

from mmsar.core.backend import open_devices
from mmsar.core.checks import one_of
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry, Scan
from mmsar.recon.device_plan import DevicePlan, host_options
from mmsar.recon.fourier import FourierPlan, front_of_aperture
from mmsar.recon.fronts import RectilinearFront, product_grid
from mmsar.recon.lines import onto_line
from mmsar.recon.options import ReconOptions
from mmsar.signal.cylinder import round_of
from mmsar.signal.multistatic import PHASES, path_difference


def plan(
    geometry: Geometry | Scan, grid: ImageGrid, *, device: str = "auto", options: ReconOptions | None = None
) -> FourierPlan | DevicePlan:
    """Plan planar range migration.

    Raises
    ------
    GeometryError
        Phase centres off one plane by more than lambda / 20, or not on a product grid; a grid behind the aperture.
    DeviceError
        A device that is not there.
    """
    options = options or ReconOptions()
    devices = open_devices(device)
    one_of("phase", options.phase, PHASES)
    geometry = geometry.geometry if isinstance(geometry, Scan) else geometry
    virtual, z_ref = front_of_aperture(geometry, None)
    path = path_difference(geometry, centre=grid.centre, z_ref=z_ref, phase=options.phase)
    virtual, path = onto_line(virtual, path, grid, geometry.chirp.k)
    raster = product_grid(virtual, tolerance=geometry.chirp.wavelength / 40)
    if isinstance(raster, str):
        others = (
            "nufft (irregular) or bpa (any geometry)"
            if round_of(geometry) is None
            else "isar (round the y axis) or bpa"
        )
        raise GeometryError(f"method rma: {raster}; use method {others}")
    made = FourierPlan(
        geometry,
        grid,
        method="rma",
        path=path,
        virtual=virtual,
        z_ref=z_ref,
        make_front=lambda migration, n, eps: RectilinearFront(raster, migration),
        options=host_options(options, devices),
    )
    return DevicePlan(made, devices, options) if devices else made
