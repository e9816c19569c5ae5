"""The volume as a figure, for notebooks and pages: drawn by pyvista where that works, the projections elsewhere."""

from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure

from mmsar.model.image import Image
from mmsar.view.image_plot import figure_mips
from mmsar.view.look import Look
from mmsar.view.rendering import drawing_into, rendering

INCHES = (8.0, 6.0)
LINE = 140
"""Characters of a line that says why nothing is drawn."""


def figure_volume(
    image: Image, *, look: Look | None = None, aperture: np.ndarray | None = None, title: str = ""
) -> Figure:
    """The image in three dimensions, without a window.

    Where nothing can be drawn (no pyvista, no GL library) the figure holds the three projections, and says that, and
    why, at its lower right.

    Parameters
    ----------
    image : Image
        With at least two voxels along each axis.
    look : Look, optional
        What is drawn, in which range, from where. Default: the volume down to -30 dB, from above and the side.
    aperture : (..., 3) array, optional
        Phase centres [m], drawn as points: `Scan.virtual_position`.
    title : str
        Heading.

    Raises
    ------
    GeometryError
        An image with a single voxel along an axis, a point to slice at outside of it.
    """
    look = look or Look()
    if fault := rendering().fault:
        figure = figure_mips(image, floor=look.floor, title=title)
        lines = wrap(f"3-D not drawn: {fault}", LINE)
        figure.text(0.995, 0.005, "\n".join(lines), ha="right", va="bottom", fontsize=7)
        return figure
    from mmsar.view.volume import build_scene

    with drawing_into(rendering().window):
        scene = build_scene([image], [title], look=look, aperture=aperture)
        try:
            pixels = scene.picture()
        finally:
            scene.close()
    figure = Figure(figsize=INCHES, dpi=pixels.shape[1] / INCHES[0])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(pixels)
    return figure
