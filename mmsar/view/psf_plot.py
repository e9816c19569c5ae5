"""Figure of a point response: cuts along x, y and z through the peak, with -3 dB width and highest sidelobe."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.metrics.point import PointCut, point_cuts
from mmsar.model.image import Image
from mmsar.view.extents import checked_floor, wide_axes
from mmsar.view.given import AxesLike, given_axes, root_figure, set_heading
from mmsar.view.marks import marked
from mmsar.view.panels import decibel_label

HALF = 20 * np.log10(np.sqrt(0.5))
"""The level of the marks, "-3 dB" [dB]."""
REACH = 8
"""Widths to either side of the peak that are shown."""


def figure_psf(
    image: Image,
    *,
    point: tuple[float, float, float] | None = None,
    floor: float = -40.0,
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """Cuts through a point target's peak in dB, with their widths at -3 dB and their highest sidelobes.

    The numbers are those of `mmsar.metrics.point_response` (and `mmsar metrics`): the cuts are interpolated, and go
    through the peak between the voxels. A cut is shown to 8 widths from the peak, or as far as its highest sidelobe.

    Parameters
    ----------
    image : Image
        Complex or magnitude, with at least two voxels to a resolution cell.
    point : (x, y, z), optional
        Where to look [m]: the brightest voxel within 3 voxels of it along each axis. Default: in the whole image.
    floor : float
        Lower end of the scale [dB re peak], below 0.
    title : str, optional
        Heading.
    axes : Axes or sequence of Axes, optional
        Where to draw: one for every axis with more than one voxel, in the order x, y, z. Default: a new figure.

    Raises
    ------
    GeometryError
        A point outside the grid, an image that is zero or has one voxel, a floor that is not below 0, another number
        of axes.
    """
    floor = checked_floor(floor)
    wide = wide_axes(image.grid)
    if not wide:
        raise GeometryError("figure_psf: got an image of one voxel, wanted several along an axis to cut along")
    if axes is None:
        figure = Figure(figsize=(3.8 * len(wide) + 0.4, 3.6), layout="constrained")
        panels = list(figure.subplots(1, len(wide), squeeze=False, sharey=True)[0])
        if title:
            figure.suptitle(title, fontsize=12)
    else:
        panels = given_axes("figure_psf", axes, wide)
        figure = root_figure(panels[0])
    cuts = point_cuts(image, point)
    at = {cut.name: cut.peak * 1e3 for cut in cuts}
    for cut, panel in zip((cut for cut in cuts if cut.name in wide), panels, strict=True):
        _draw(panel, cut, floor)
        others = ", ".join(f"{name} = {at[name]:.1f}" for name in "xyz" if name != cut.name)
        panel.set_title(f"{others} mm\n{_told(cut)}", fontsize=9)
    panels[0].set_ylabel(decibel_label(floor), fontsize=10)
    if axes is not None:
        set_heading(panels[0], title)
    return marked(figure, [image], axes=None if axes is None else panels[0])


def _draw(axes: Axes, cut: PointCut, floor: float) -> None:
    """A cut, a bar between its -3 dB points, a dot on its highest sidelobe."""
    where = cut.position * 1e3
    with np.errstate(divide="ignore"):
        level = np.maximum(20 * np.log10(cut.magnitude), floor - 1)
    axes.plot(where, level, linewidth=1.3, color="tab:blue", label="cut")
    reach = np.inf
    if np.isfinite(cut.width):
        reach = REACH * cut.width * 1e3
        low, high = (edge * 1e3 for edge in cut.edges)
        axes.plot([low, high], [HALF, HALF], "|-", color="tab:red", markersize=9, linewidth=1.2, label="width at -3 dB")
    if np.isfinite(cut.pslr):
        outside = (cut.position < cut.lobe[0]) | (cut.position > cut.lobe[1])
        top = np.argmax(np.where(outside, cut.magnitude, 0))
        reach = max(reach, 1.2 * abs(where[top] - cut.peak * 1e3))
        axes.axhline(cut.pslr, color="tab:orange", linewidth=0.9, linestyle=(0, (5, 3)))
        axes.plot(where[top], cut.pslr, "o", color="tab:orange", markersize=4, label="highest sidelobe")
    axes.set_xlim(max(where[0], cut.peak * 1e3 - reach), min(where[-1], cut.peak * 1e3 + reach))
    axes.set_ylim(floor, 2)
    axes.set_xlabel(f"{cut.name} [mm]", fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(alpha=0.3)


def _told(cut: PointCut) -> str:
    """Width and sidelobe level in words."""
    width = f"{cut.width * 1e3:.2f} mm at -3 dB" if np.isfinite(cut.width) else "no -3 dB width within the grid"
    return f"{width}, " + (f"sidelobes {cut.pslr:.1f} dB" if np.isfinite(cut.pslr) else "no sidelobes within the grid")
