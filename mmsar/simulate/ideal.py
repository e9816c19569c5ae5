"""Ideal images: what a perfect imager would show of a scene, to score real ones by.

    image(r) = min(1, sum_i w_i exp(-sum over axes of ((r - p_i) / width)^2))

Along an axis in which the grid has one voxel nothing is compared: the image is a projection along it. The window of a
blob is cut where it has fallen to e^-16, about 1e-7.
"""

from collections.abc import Sequence

import numpy as np

from mmsar._version import __version__
from mmsar.core.checks import finite_number, real_array
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.simulate.scene import Scene

_CUT = 4.0
"""Half the window in widths."""


def ideal_image(
    scene: Scene, grid: ImageGrid, *, width: float | Sequence[float], weight: np.ndarray | float = 1.0
) -> Image:
    """Gaussian blobs at a scene's points, summed and clipped to [0, 1].

    Parameters
    ----------
    scene : Scene
        Its positions count; reflectivities, normals and shadows do not.
    grid : ImageGrid
        Where to; one voxel along an axis projects along it.
    width : float or (x, y, z)
        Distance at which a blob falls to 1/e [m]. A point target of -3 dB (amplitude) width d looks like 0.85 d.
    weight : float or array_like (n,)
        Heights >= 0; `abs(scene.reflectivity)`, say.

    Returns
    -------
    Image
        float32 in [0, 1].

    Raises
    ------
    GeometryError
        A width not above 0, or weights that are negative or of another number than the points.
    """
    from mmsar.core.kernels_blobs import add_blobs

    widths = real_array("ideal_image width", [width] * 3 if np.ndim(width) == 0 else width, (3,), "m")
    for axis, value in zip("xyz", widths, strict=True):
        finite_number(f"ideal_image width {axis}", value, "m", above=0.0)
    given = np.full(len(scene), weight) if np.ndim(weight) == 0 else weight
    heights = real_array("ideal_image weight", given, (len(scene),), "1")
    if heights.min() < 0:
        raise GeometryError(f"ideal_image weight: got {heights.min():g}, wanted heights >= 0")
    single = np.array(grid.shape[::-1]) == 1
    spacing = np.array(grid.spacing)
    voxel = np.where(single, 0.0, (scene.position - grid.origin) / spacing)
    size = np.where(single, np.inf, widths / spacing)
    reach = np.where(single, 1.0, _CUT * widths / spacing)
    order = np.argsort(voxel[:, 2], kind="stable")
    data = np.zeros(grid.shape, dtype=np.float32)
    centre = np.ascontiguousarray(voxel[order, ::-1])
    add_blobs(centre, heights[order], size[::-1].copy(), reach[::-1].copy(), data)
    step = {"step": "ideal", "version": __version__, "scene": scene.name, "width": widths.tolist()}
    return Image(data=np.minimum(data, np.float32(1.0), out=data), grid=grid, history=(step,))
