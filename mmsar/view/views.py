"""The drawing of three views of a volume, or of the plane that a thin grid leaves, on a page or on given axes."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
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


def curve_panel(
    name: str, grid: ImageGrid, label: str, *, title: str | None, axes: AxesLike | None
) -> tuple[Axes, str, np.ndarray]:
    """For a grid with at most one axis of several voxels: axes for a curve, that axis' name, and its voxels [mm]."""
    wide = wide_axes(grid)
    along = wide[0] if wide else "x"
    given = None if axes is None else given_axes(name, axes, ["curve"])[0]
    return curve_axes(along, label, title, given), along, getattr(grid, along) * 1e3


def voxel_at(image: Image, point: tuple[float, float, float] | None) -> tuple[int, int, int]:
    """Index (z, y, x) of the voxel nearest to a point [m], or of the brightest.

    Raises
    ------
    GeometryError
        A point outside the grid.
    """
    shape = image.data.shape
    if point is None:
        z, y, x = np.unravel_index(int(np.argmax(image.magnitude())), shape)
        return int(z), int(y), int(x)
    return nearest_voxel(image.grid, point)


def draw_cross(panels: dict[View, Axes], at: dict[str, float], colour: str) -> None:
    """Lines through a point [mm] in every view."""
    for view, axes in panels.items():
        for line, name in zip((axes.axvline, axes.axhline), view, strict=True):
            line(at[name], color=colour, linewidth=0.6, alpha=0.6, linestyle=(0, (6, 4)))
