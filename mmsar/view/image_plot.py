"""Projections and slices of an image."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from mmsar.model.image import Image, decibels
from mmsar.view.extents import axis_of, checked_floor, left_over, nearest_voxel, place_on, wide_axes
from mmsar.view.given import AxesLike
from mmsar.view.marks import marked
from mmsar.view.panels import decibel_label, draw_panel, projected
from mmsar.view.views import View, brightest, curve_panel, draw_cross, draw_views, projections


def figure_mips(
    image: Image, *, floor: float = -30.0, title: str | None = None, axes: AxesLike | None = None
) -> Figure:
    """Maximum-intensity projections along z, y and x.

    Parameters
    ----------
    image : Image
        Its peak is 0 dB.
    floor : float
        Lower end of the range shown [dB], below 0.
    title : str, optional
        Heading.
    axes : Axes or sequence of Axes, optional
        Where to draw: three for the front, top and side view, or one for the front view alone; one where the grid
        leaves one plane or a curve. Default: a new figure, laid out to scale.

    Raises
    ------
    GeometryError
        A floor that is not below 0, another number of axes.
    """
    floor = checked_floor(floor)
    if len(wide_axes(image.grid)) < 2:
        return _curve("figure_mips", image, floor, title, axes)
    along = projections(image, floor)

    def draw(panel: Axes, view: View) -> ScalarMappable:
        name = left_over(view)
        panel.set_title(projected(image.grid, name), fontsize=9)
        return draw_panel(panel, along[name], view, image.grid, floor)

    figure, panels = draw_views("figure_mips", image.grid, draw, decibel_label(floor), title=title, axes=axes)
    return marked(figure, [image], axes=None if axes is None else next(iter(panels.values())))


def figure_slices(
    image: Image,
    *,
    point: tuple[float, float, float] | None = None,
    floor: float = -30.0,
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """The three slices through a point, with lines that mark it.

    Parameters
    ----------
    image : Image
        Its peak is 0 dB.
    point : (x, y, z), optional
        [m], taken to the nearest voxel. Default: the brightest voxel.
    floor, title, axes
        As in `figure_mips`.

    Raises
    ------
    GeometryError
        A point outside the grid, a floor that is not below 0, another number of axes.
    """
    floor = checked_floor(floor)
    top, peak = brightest(image)
    index = top if point is None else nearest_voxel(image.grid, point)
    at = place_on(image.grid, index)
    if len(wide_axes(image.grid)) < 2:
        return _curve("figure_slices", image, floor, title, axes, at)

    def draw(panel: Axes, view: View) -> ScalarMappable:
        name = left_over(view)
        panel.set_title(f"{name} = {at[name]:.4g} mm", fontsize=9)
        cut = np.abs(np.take(image.data, index[axis_of(name)], axis=axis_of(name)))
        return draw_panel(panel, decibels(cut, peak, floor), view, image.grid, floor)

    figure, panels = draw_views("figure_slices", image.grid, draw, decibel_label(floor), title=title, axes=axes)
    draw_cross(panels, at, "white")
    return marked(figure, [image], axes=None if axes is None else next(iter(panels.values())))


def _curve(
    name: str,
    image: Image,
    floor: float,
    title: str | None,
    axes: AxesLike | None,
    at: dict[str, float] | None = None,
) -> Figure:
    """An image with at most one axis of several voxels, with a line at a place [mm]."""
    panel, along, where = curve_panel(name, image.grid, decibel_label(floor), title=title, axes=axes)
    panel.plot(where, image.db(floor).ravel(), marker="." if len(where) < 60 else None, linewidth=1.3)
    panel.set_ylim(floor, 1)
    if at is not None:
        panel.axvline(at[along], color="0.5", linewidth=0.6, linestyle=(0, (6, 4)))
    return marked(panel.figure.figure, [image], axes=None if axes is None else panel)
