"""Images beside each other: before and after, one method and another."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.model.image import Image
from mmsar.view.extents import checked_floor, extent_mm, left_over, plane_of, wide_axes
from mmsar.view.given import AxesLike, given_axes, root_figure, set_heading
from mmsar.view.layout import Sheet, panel_sizes
from mmsar.view.marks import marked
from mmsar.view.panels import colour_bar, decibel_label, draw_panel, label_given, label_panel, projected
from mmsar.view.views import View, curve_panel, projections

COMPARED = 4.0
"""Largest width of one of several images [inch]."""


def figure_compare(
    images: Sequence[Image],
    titles: Sequence[str],
    *,
    floor: float = -30.0,
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """Images beside each other, each relative to its own peak: front view below, top view above.

    Parameters
    ----------
    images, titles : sequences
        As many titles as images, at least one.
    floor, title
        As in `figure_mips`.
    axes : Axes or sequence of Axes, optional
        Where to draw: one for each image, for its front view (or the plane that the grid leaves), or two for each,
        all top views first; one for curves. Default: a new figure, laid out to scale.

    Raises
    ------
    GeometryError
        Numbers that differ, images whose single-voxel axes differ, a floor that is not below 0.
    """
    floor = checked_floor(floor)
    if not images or len(images) != len(titles):
        raise GeometryError(f"figure_compare: got {len(images)} images and {len(titles)} titles, wanted as many, >= 1")
    flat = {tuple(n == 1 for n in image.data.shape) for image in images}
    if len(flat) > 1:
        raise GeometryError("figure_compare: got images with different single-voxel axes, wanted them alike")
    wide = wide_axes(images[0].grid)
    if len(wide) < 2:
        return _curves(images, titles, floor, title, axes)
    rows = [("x", "y"), ("x", "z")] if len(wide) == 3 else [plane_of(wide)]
    limits = {}
    for name in wide:
        low, high = zip(*(extent_mm(image.grid, name) for image in images), strict=True)
        limits[name] = (min(low), max(high))
    if axes is not None:
        names = [*titles] if len(rows) == 1 else [f"{name} {view}" for view in ("top", "front") for name in titles]
        found = given_axes("figure_compare", axes, *([names] if len(rows) == 2 else []), titles)
        grid = [found[-len(images) :], found[: len(images)]] if len(found) > len(images) else [found]
        figure = root_figure(found[0])
    else:
        figure, grid, place = _page(images, rows, limits, title)
    along = [projections(image, floor) for image in images]
    for i, (panels, view) in enumerate(zip(grid, rows, strict=False)):
        top = i == len(grid) - 1
        for column, (panel, image, name) in enumerate(zip(panels, images, titles, strict=True)):
            drawn = draw_panel(panel, along[column][left_over(view)], view, image.grid, floor)
            panel.set_title(name if top else projected(image.grid, left_over(view)), fontsize=10 if top else 8)
            panel.set(xlim=limits[view[0]], ylim=limits[view[1]], facecolor="0.9")
            if axes is None:
                label_panel(panel, view, x=i == 0, y=column == 0)
            else:
                label_given(panel, view)
    colour_bar(figure, place if axes is None else found, drawn, decibel_label(floor))
    if axes is not None:
        set_heading(found[0], title)
    return marked(figure, images, titles, axes=None if axes is None else found[0])


def _page(
    images: Sequence[Image], rows: list[View], limits: dict[str, tuple[float, float]], title: str | None
) -> tuple[Figure, list[list[Axes]], tuple[float, float, float, float]]:
    """A page, its rows of axes from below, and the place of the colour bar."""
    size = panel_sizes(
        {name: high - low for name, (low, high) in limits.items()},
        across=[[rows[0][0]]],
        up=[[row[1] for row in rows]],
        room=(min(COMPARED, 13.0 / len(images)), 6.0),
    )
    sheet = Sheet(title)
    for _ in images:
        sheet.add_column(size[rows[0][0]], gap=0.5)
    for row in rows:
        sheet.add_row(size[row[1]])
    figure = sheet.figure()
    grid = [[figure.add_axes(sheet.place(column, i)) for column in range(len(images))] for i in range(len(rows))]
    return figure, grid, sheet.bar()


def _curves(
    images: Sequence[Image], titles: Sequence[str], floor: float, title: str | None, axes: AxesLike | None
) -> Figure:
    panel, along, _ = curve_panel("figure_compare", images[0].grid, decibel_label(floor), title=title, axes=axes)
    for image, label in zip(images, titles, strict=True):
        panel.plot(getattr(image.grid, along) * 1e3, image.db(floor).ravel(), label=label, linewidth=1.3)
    panel.set_ylim(floor, 1)
    panel.legend(fontsize=9)
    return marked(root_figure(panel), images, titles, axes=None if axes is None else panel)
