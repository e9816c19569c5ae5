"""The drawing of three views of a volume, or of the plane that a thin grid leaves, on a page or on given axes."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image, decibels
from mmsar.view.extents import VIEWS, extent_mm, nearest_voxel, plane_of, wide_axes
from mmsar.view.given import AxesLike, given_axes, root_figure, set_heading
from mmsar.view.layout import Sheet, panel_sizes
from mmsar.view.panels import colour_bar, curve_axes, label_given, label_panel

View = tuple[str, str]
"""Names of the axes that go across and up."""
DRAWN = ("front", "top", "side")
"""What the views are called."""


def draw_views(
    name: str,
    grid: ImageGrid,
    draw: Callable[[Axes, View], ScalarMappable],
    label: str,
    *,
    title: str | None,
    axes: AxesLike | None,
) -> tuple[Figure, dict[View, Axes]]:
    """The views of a grid with two axes or three, with their colour bar.

    Parameters
    ----------
    name : str
        Of the figure's function, for errors.
    grid : ImageGrid
        What is drawn is on it.
    draw : callable
        Draws a view on axes, with its caption, and returns what the colour bar is for.
    label : str
        Of the colour bar.
    title : str, optional
        Heading.
    axes : Axes or sequence of Axes, optional
        Three (front, top, side), or one (front, or the plane that there is). Default: a page of its own.

    Raises
    ------
    GeometryError
        Another number of axes.
    """
    wide = wide_axes(grid)
    shown = list(VIEWS) if len(wide) == 3 else [plane_of(wide)]
    if axes is not None:
        found = given_axes(name, axes, *([DRAWN] if len(wide) == 3 else []), ["view"])
        panels = dict(zip(shown, found, strict=False))
        for view, panel in panels.items():
            drawn = draw(panel, view)
            label_given(panel, view)
        figure = root_figure(found[0])
        colour_bar(figure, found, drawn, label)
        set_heading(found[0], title)
        return figure, panels
    spans = {axis: float(np.diff(extent_mm(grid, axis))[0]) for axis in wide}
    columns, rows = (["x", "z"], ["y", "z"]) if len(wide) == 3 else ([shown[0][0]], [shown[0][1]])
    size = panel_sizes(spans, across=[columns], up=[rows])
    sheet = Sheet(title)
    for axis in columns:
        sheet.add_column(size[axis])
    for axis in rows:
        sheet.add_row(size[axis])
    figure, panels = sheet.figure(), {}
    for view in shown:
        left, low = view[0] == columns[0], view[1] == rows[0]
        panels[view] = figure.add_axes(sheet.place(0 if left else 1, 0 if low else 1))
        drawn = draw(panels[view], view)
        label_panel(panels[view], view, x=low, y=left)
    colour_bar(figure, sheet.bar(), drawn, label)
    return figure, panels


def projections(image: Image, floor: float) -> dict[str, np.ndarray]:
    """Maximum-intensity projections along "z", "y" and "x", dB relative to the peak, 2-D in the remaining order.

    Made plane by plane: beside the image it takes the memory of a plane.
    """
    n_z, n_y, n_x = image.data.shape
    along = {"z": np.zeros((n_y, n_x), np.float32), "y": np.empty((n_z, n_x), np.float32)}
    along["x"] = np.empty((n_z, n_y), np.float32)
    for i, plane in enumerate(image.data):
        magnitude = np.abs(plane)
        np.maximum(along["z"], magnitude, out=along["z"])
        along["y"][i], along["x"][i] = magnitude.max(axis=0), magnitude.max(axis=1)
    peak = float(along["z"].max())
    return {name: decibels(magnitude, peak, floor) for name, magnitude in along.items()}


def curve_panel(
    name: str, grid: ImageGrid, label: str, *, title: str | None, axes: AxesLike | None
) -> tuple[Axes, str, np.ndarray]:
    """For a grid with at most one axis of several voxels: axes for a curve, that axis' name, and its voxels [mm]."""
    wide = wide_axes(grid)
    along = wide[0] if wide else "x"
    given = None if axes is None else given_axes(name, axes, ["curve"])[0]
    return curve_axes(along, label, title, given), along, getattr(grid, along) * 1e3


def brightest(image: Image) -> tuple[tuple[int, int, int], float]:
    """Index (z, y, x) of the voxel with the largest magnitude, the first of equals, and that magnitude."""
    index, peak = (0, 0, 0), -1.0
    for z, plane in enumerate(image.data):
        magnitude = np.abs(plane)
        y, x = np.unravel_index(int(magnitude.argmax()), magnitude.shape)
        if magnitude[y, x] > peak:
            index, peak = (z, int(y), int(x)), float(magnitude[y, x])
    return index, peak


def voxel_at(image: Image, point: tuple[float, float, float] | None) -> tuple[int, int, int]:
    """Index (z, y, x) of the voxel nearest to a point [m], or of the brightest.

    Raises
    ------
    GeometryError
        A point outside the grid.
    """
    if point is None:
        return brightest(image)[0]
    return nearest_voxel(image.grid, point)


def draw_cross(panels: dict[View, Axes], at: dict[str, float], colour: str) -> None:
    """Lines through a point [mm] in every view."""
    for view, axes in panels.items():
        for line, name in zip((axes.axvline, axes.axhline), view, strict=True):
            line(at[name], color=colour, linewidth=0.6, alpha=0.6, linestyle=(0, (6, 4)))
