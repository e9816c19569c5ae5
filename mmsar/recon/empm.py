"""Efficient multi-planar multistatic imaging: every sample projected to one virtual monostatic plane, then migration.

    s'(x', y', k) = s exp(-j k phi),     phi = R_T + R_R - 2 R0   to the plane z_ref

`phase="taylor"` is the paper's phi = 2 dz + (dx^2 + dy^2) / (4 Z); `phase="reference"` the exact difference at the
scene's centre. Both treat the 2 dz of motion in depth as if every voxel stood straight ahead: the error grows as
k dz theta^2, and `recon.nufft` does without it. Smith and Torlak, IEEE Access 10:10283 (2022), arXiv 2305.02064.
"""

from mmsar.core.backend import open_devices
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry, Scan
from mmsar.recon.device_plan import DevicePlan, host_options
from mmsar.recon.fourier import FourierPlan, front_of_aperture
from mmsar.recon.fronts import IrregularFront, RectilinearFront, product_grid
from mmsar.recon.lines import onto_line
from mmsar.recon.options import ReconOptions
from mmsar.signal.multistatic import path_difference


def plan(
    geometry: Geometry | Scan, grid: ImageGrid, *, device: str = "auto", options: ReconOptions | None = None
) -> FourierPlan | DevicePlan:
    """Plan EMPM imaging: a regular transform when x and y lie on a product grid, a 2-D type-1 NUFFT when not.

    Raises
    ------
    GeometryError
        A grid behind the aperture, or a reference plane behind the scene.
    DeviceError
        A device that is not there.
    """
    options = options or ReconOptions()
    devices = open_devices(device)
    geometry = geometry.geometry if isinstance(geometry, Scan) else geometry
    virtual, z_ref = front_of_aperture(geometry, options.z_ref)
    flat = virtual.copy()
    flat[:, 2] = z_ref
    path = path_difference(geometry, centre=grid.centre, z_ref=z_ref, phase=options.phase)
    flat, path = onto_line(flat, path, grid, geometry.chirp.k)
    raster = product_grid(flat, tolerance=geometry.chirp.wavelength / 40)

    def make_front(migration, n, eps):
        if isinstance(raster, str):
            return IrregularFront(flat, migration, n_frequencies=n, eps=eps)
        return RectilinearFront(raster, migration)

    made = FourierPlan(
        geometry,
        grid,
        method="empm",
        path=path,
        virtual=flat,
        z_ref=z_ref,
        make_front=make_front,
        options=host_options(options, devices),
    )
    return DevicePlan(made, devices, options) if devices else made
