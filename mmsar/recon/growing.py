"""An image that grows with the measurement: every part of a scan adds its own image.

Imaging is linear, and the image of a scan is a weighted mean of the images of its parts:

    image = sum_p norm_p image_p / sum_p norm_p

with norm_p = `Geometry.norm` of part p. So a row of a raster is imaged when it has come, by a plan of its own, and
added; once all rows are there, the sum is the image of the whole scan. For `bpa` the two agree to the accuracy of the
numerics (`ReconOptions.error_db`) whatever the parts are. The other methods are planned for each part, too: they agree
as far as each is true to back-projection, and need parts that they can image (`rma`: a product grid each).

What depends on the whole aperture cannot be known before its end: tapers and density compensation are refused.
"""

import numpy as np

from mmsar._version import __version__
from mmsar.core.backend import resolve_device
from mmsar.core.checks import one_of
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.model.scan import Scan
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import conditioned, make_plan
from mmsar.recon.predict import METHODS
from mmsar.recon.request import check_request


class GrowingImage:
    """The image of what has been added so far.

    Parameters
    ----------
    grid : ImageGrid
        Where to image; the same from beginning to end.
    method : str
        "bpa", "nufft", "rma", "empm" or "isar".
    device, options
        As of `recon.planner.reconstruct`, without `window`, `density` "on" and `verify`.

    Raises
    ------
    GeometryError
        An unknown method, or options that need the whole aperture.

    Attributes: `grid`, `method`, `n_parts` and `n_poses` (added so far).
    """

    def __init__(
        self, grid: ImageGrid, *, method: str = "bpa", device: str = "auto", options: ReconOptions | None = None
    ) -> None:
        self.grid, self.method, self.device = grid, one_of("growing image method", method, METHODS), device
        self.options = options or ReconOptions(progress=False)
        for name, asked, plain in (
            ("window", self.options.window, "none"),
            ("density", "off" if self.options.density == "auto" else self.options.density, "off"),
            ("verify", self.options.verify, False),
        ):
            if asked != plain:
                raise GeometryError(
                    f"growing image {name}: got {asked}, which needs the whole aperture, wanted {plain}; image the "
                    "finished scan with it"
                )
        self.n_parts = self.n_poses = 0
        self._sum = np.zeros(grid.shape, dtype=np.complex64)
        self._norm = 0.0

    def add(self, part: Scan) -> None:
        """Add the image of poses that have not been added before.

        Parameters
        ----------
        part : Scan
            A row, say; a calibration it carries is applied first. Parts may differ in everything but the grid.

        Raises
        ------
        GeometryError, DeviceError, MmsarError
            As `recon.planner.make_plan`; nothing is added then.
        """
        check_request(part, self.method, self.options)
        part = conditioned(part)
        plan = make_plan(self.method, part.geometry, self.grid, device=self.device, options=self.options)
        norm = part.geometry.norm
        self._sum += plan(part) * np.float32(norm)
        self._norm += norm
        self.n_parts, self.n_poses = self.n_parts + 1, self.n_poses + part.shape[0]

    @property
    def image(self) -> Image:
        """The image of all parts together: a unit point target that all of them saw shows 1.

        Raises
        ------
        GeometryError
            Nothing has been added yet.
        """
        if not self.n_parts:
            raise GeometryError("growing image: got no part yet, wanted at least one added")
        step = {
            "step": "reconstruct",
            "version": __version__,
            "method": self.method,
            "device": resolve_device(self.device),
            "parts": self.n_parts,
            "poses": self.n_poses,
        }
        return Image(data=self._sum / np.float32(self._norm), grid=self.grid, history=(step,))
