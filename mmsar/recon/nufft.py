"""Exact wide-angle migration of irregular scans by a type-3 non-uniform FFT.

A sample at height z_l above the plane z_ref adds exp(+j k_z (z_l - z_ref)) to the plane-wave spectrum, with
k_z = sqrt(4k^2 - kx^2 - ky^2): no small-angle step. After exp(+2jk (z_l - z_ref)) has been taken out, the spectrum

    S_k(kx, ky) = sum_l s_l exp(-j (kx x_l + ky y_l + (2k - k_z)(z_l - z_ref)))

is a type-3 NUFFT at the in-band (kx, ky) of every frequency (`core.stacked`). The multistatic difference is taken out
at the scene's centre, with every phase centre at its own place. Rotation and lever arms are in the positions.
"""

from mmsar.core.backend import open_devices
from mmsar.core.memory import budget
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry, Scan
from mmsar.recon.device_plan import DevicePlan, host_options
from mmsar.recon.fourier import FourierPlan, front_of_aperture
from mmsar.recon.fronts import ExactFront
from mmsar.recon.lines import onto_line
from mmsar.recon.options import ReconOptions
from mmsar.signal.multistatic import path_difference


def plan(
    geometry: Geometry | Scan, grid: ImageGrid, *, device: str = "auto", options: ReconOptions | None = None
) -> FourierPlan | DevicePlan:
    """Plan exact imaging of an irregular scan.

    Raises
    ------
    GeometryError
        A grid that is not wholly in front of the aperture.
    DeviceError
        A device that is not there.
    """
    options = options or ReconOptions()
    devices = open_devices(device)
    geometry = geometry.geometry if isinstance(geometry, Scan) else geometry
    virtual, z_ref = front_of_aperture(geometry, None)
    path = path_difference(geometry, centre=grid.centre, z_ref=None, phase="reference")
    path = path - 2 * (virtual[:, 2] - z_ref).reshape(path.shape)
    virtual, path = onto_line(virtual, path, grid, geometry.chirp.k)
    made = FourierPlan(
        geometry,
        grid,
        method="nufft",
        path=path,
        virtual=virtual,
        z_ref=z_ref,
        make_front=lambda migration, n, eps: ExactFront(
            virtual, migration, error=eps, memory=budget(options.memory) // 4
        ),
        options=host_options(options, devices),
    )
    return DevicePlan(made, devices, options) if devices else made
