"""Figures of images: decibels relative to the peak, viridis, millimetre axes, equal aspect, one fixed range.

Everything here makes `matplotlib.figure.Figure` objects, which need no display and no global state; only
`show_figure` opens a window. Three views stand as on a drawing: the front view (x to the right, y up, as seen facing
the aperture) at the lower left, the top view (x, z) above it, the side view (z, y) to its right, with common scales, so
that a target is found by following a line up or across. z is the depth, away from the radar. Axes with a single voxel
have no view: two such axes leave a curve. A figure of an image whose history tells of a learned enhancement says so.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsar.core.checks import one_of, real_array
from mmsar.errors import FormatError, GeometryError
from mmsar.io.atomic import atomic_path
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.view.layout import Sheet, panel_sizes
from mmsar.view.panels import (
    VIEWS,
    axis_of,
    checked_floor,
    colour_bar,
    curve_axes,
    draw_panel,
    extent_mm,
    label_panel,
    left_over,
    plane_of,
    wide_axes,
)
from mmsar.view.rendering import has_display

KINDS = ("mips", "slices")
FORMATS = (".png", ".pdf", ".svg")
DPI = 150
COMPARED = 4.0
"""Largest width of one of several images [inch]."""
LEARNED = "learned enhancement"
"""The step in an image's history, and what a figure of such an image says."""


def figure_mips(image: Image, *, floor: float = -30.0, title: str | None = None) -> Figure:
    """Maximum-intensity projections along z, y and x.

    Parameters
    ----------
    image : Image
        Its peak is 0 dB.
    floor : float
        Lower end of the range shown [dB], below 0.
    title : str, optional
        Heading.

    Raises
    ------
    GeometryError
        A floor that is not below 0.
    """
    decibel = _decibel(image, floor)
    views = {view: decibel.max(axis=axis_of(left_over(view))) for view in VIEWS}
    captions = {view: _projected(image, left_over(view)) for view in VIEWS}
    figure = _three_views(image.grid, views, captions, (floor, title))[0]
    return _marked(figure, [image])


def figure_slices(
    image: Image, *, point: tuple[float, float, float] | None = None, floor: float = -30.0, title: str | None = None
) -> Figure:
    """The three slices through a point, with lines that mark it.

    Parameters
    ----------
    image : Image
        Its peak is 0 dB.
    point : (x, y, z), optional
        [m], taken to the nearest voxel. Default: the brightest voxel.
    floor, title
        As in `figure_mips`.

    Raises
    ------
    GeometryError
        A point outside the grid, a floor that is not below 0.
    """
    decibel = _decibel(image, floor)
    index = nearest_voxel(image, point)
    at = {name: float(getattr(image.grid, name)[i]) for name, i in zip("zyx", index, strict=True)}
    views, captions = {}, {}
    for view in VIEWS:
        name = left_over(view)
        views[view] = np.take(decibel, index[axis_of(name)], axis=axis_of(name))
        captions[view] = f"{name} = {at[name] * 1e3:.4g} mm"
    figure, panels = _three_views(image.grid, views, captions, (floor, title))
    for (across, up), axes in panels.items():
        axes.axvline(at[across] * 1e3, color="white", linewidth=0.6, alpha=0.6, linestyle=(0, (6, 4)))
        if up:
            axes.axhline(at[up] * 1e3, color="white", linewidth=0.6, alpha=0.6, linestyle=(0, (6, 4)))
    return _marked(figure, [image])


def figure_compare(
    images: Sequence[Image], titles: Sequence[str], *, floor: float = -30.0, title: str | None = None
) -> Figure:
    """Images beside each other, each relative to its own peak: front view below, top view above.

    Parameters
    ----------
    images, titles : sequences
        As many titles as images, at least one.
    floor, title
        As in `figure_mips`.

    Raises
    ------
    GeometryError
        Numbers that differ, images whose single-voxel axes differ.
    """
    if not images or len(images) != len(titles):
        raise GeometryError(f"figure_compare: got {len(images)} images and {len(titles)} titles, wanted as many, >= 1")
    flat = {tuple(n == 1 for n in image.data.shape) for image in images}
    if len(flat) > 1:
        raise GeometryError("figure_compare: got images with different single-voxel axes, wanted them alike")
    wide = wide_axes(images[0].grid)
    if len(wide) < 2:
        return _marked(_compare_curves(images, titles, floor, title), images, titles)
    rows = [("x", "y"), ("x", "z")] if len(wide) == 3 else [plane_of(wide)]
    limits = {}
    for name in wide:
        low, high = zip(*(extent_mm(image.grid, name) for image in images), strict=True)
        limits[name] = (min(low), max(high))
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
    figure, shown = sheet.figure(), None
    for column, (image, name) in enumerate(zip(images, titles, strict=True)):
        decibel = _decibel(image, floor)
        for i, view in enumerate(rows):
            axes = figure.add_axes(sheet.place(column, i))
            panel = decibel.max(axis=axis_of(left_over(view)))
            shown = draw_panel(axes, panel, view, image.grid, floor)
            last, first = i == len(rows) - 1, i == 0
            caption = name if last else _projected(image, left_over(view))
            axes.set_title(caption, fontsize=10 if last else 8)
            axes.set(xlim=limits[view[0]], ylim=limits[view[1]], facecolor="0.9")
            label_panel(axes, view, x=first, y=column == 0)
    colour_bar(figure, sheet.bar(), shown, floor)
    return _marked(figure, images, titles)


def figure_range_profile(
    range_m: np.ndarray,
    power: np.ndarray,
    *,
    interval: tuple[float, float] | None = None,
    floor: float = -60.0,
    title: str | None = None,
) -> Figure:
    """Power over range in dB relative to its peak, with an interval shaded.

    Parameters
    ----------
    range_m, power : array_like
        One-way ranges [m] and power, (n,), as from `mmsar.signal.rangefft.range_profile`.
    interval : (low, high), optional
        Ranges to shade [m], as from `energy_interval`.
    floor : float
        Lower end of the scale [dB].
    title : str, optional
        Heading.
    """
    range_m = real_array("figure_range_profile range_m", range_m, (None,), "m")
    power = real_array("figure_range_profile power", power, range_m.shape, "1")
    floor = checked_floor(floor)
    if not power.max() > 0:
        raise GeometryError("figure_range_profile power: got no power, wanted some")
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range_m * 1e3, 10 * np.log10(np.maximum(power / power.max(), 10 ** (floor / 10))), linewidth=1.3)
    if interval is not None:
        low, high = (v * 1e3 for v in interval)
        axes.axvspan(low, high, color="tab:orange", alpha=0.2, label=f"scene: {low:.0f} to {high:.0f} mm")
        axes.legend(loc="upper right", fontsize=9, frameon=False)
    axes.set(xlabel="one-way range [mm]", ylabel="power [dB re peak]", ylim=(floor, 3))
    axes.set_xlim(float(range_m[0]) * 1e3, float(range_m[-1]) * 1e3)
    axes.grid(alpha=0.3)
    if title:
        axes.set_title(title, fontsize=11)
    return figure


def save_figure(
    source: Image | Figure, path: str | os.PathLike[str], *, floor: float = -30.0, kind: str = "mips"
) -> None:
    """Write a figure, or the standard figure of an image; the file appears only when it is complete.

    Parameters
    ----------
    source : Image or Figure
        What to write.
    path : path
        Ending in .png, .pdf or .svg.
    floor, kind
        For an image: lower end of the range [dB], and "mips" or "slices".

    Raises
    ------
    FormatError
        Another ending, or a folder that is not there.
    GeometryError
        An unknown kind.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise FormatError(f"{target}: got the ending {target.suffix!r}, wanted one of {', '.join(FORMATS)}")
    one_of("save_figure kind", kind, KINDS)
    if isinstance(source, Image):
        source = figure_mips(source, floor=floor) if kind == "mips" else figure_slices(source, floor=floor)
    with atomic_path(target) as part:
        source.savefig(part, dpi=DPI, format=target.suffix.lower()[1:])


def can_show() -> bool:
    """Whether a window can be opened: there is a display, and matplotlib has a backend for it."""
    import matplotlib

    if not has_display():
        return False
    return matplotlib.get_backend().lower() not in ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def show_figure(figure: Figure) -> None:
    """Open a window with the figure and wait until it is closed; check `can_show` before."""
    from matplotlib import pyplot

    pyplot.figure(FigureClass=lambda *_, **__: figure)
    pyplot.show()


def _three_views(
    grid: ImageGrid,
    views: dict[tuple[str, str], np.ndarray],
    captions: dict[tuple[str, str], str],
    style: tuple[float, str | None],
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """The drawing of three views (or of the plane or line that a thin grid leaves), and its panels."""
    floor, title = style
    wide = wide_axes(grid)
    if len(wide) < 2:
        name = wide[0] if wide else "x"
        curve = views["z", "y"].max(axis=1) if name == "z" else views["x", "y"].max(axis=0 if name == "x" else 1)
        figure, axes = curve_axes(name, floor, title)
        axes.plot(getattr(grid, name) * 1e3, curve, marker="." if len(curve) < 60 else None, linewidth=1.3)
        return figure, {(name, ""): axes}
    shown = list(VIEWS) if len(wide) == 3 else [plane_of(wide)]
    spans = {name: float(np.diff(extent_mm(grid, name))[0]) for name in wide}
    columns, rows = ([["x", "z"]], [["y", "z"]]) if len(wide) == 3 else ([[shown[0][0]]], [[shown[0][1]]])
    size = panel_sizes(spans, across=columns, up=rows)
    sheet = Sheet(title)
    for name in columns[0]:
        sheet.add_column(size[name])
    for name in rows[0]:
        sheet.add_row(size[name])
    figure, panels, drawn = sheet.figure(), {}, None
    for view in shown:
        first_column, first_row = view[0] == columns[0][0], view[1] == rows[0][0]
        axes = figure.add_axes(sheet.place(0 if first_column else 1, 0 if first_row else 1))
        drawn = draw_panel(axes, views[view], view, grid, floor)
        axes.set_title(captions[view], fontsize=9)
        label_panel(axes, view, x=first_row, y=first_column)
        panels[view] = axes
    colour_bar(figure, sheet.bar(), drawn, floor)
    return figure, panels


def learned_mark(images: Sequence[Image], titles: Sequence[str] = ("",)) -> str:
    """What a figure says of the images which a network has enhanced; empty where there is none."""
    parts = []
    for image, title in zip(images, titles, strict=True):
        steps = [step for step in image.history if step.get("step") == LEARNED]
        if steps:
            blend = float(steps[-1].get("blend", 1))
            share = "" if blend == 1 else f", blend {blend:g}"
            parts.append(f"{title}: {steps[-1].get('method')}{share}".removeprefix(": "))
    return f"{LEARNED}: {'; '.join(parts)}" if parts else ""


def _marked(figure: Figure, images: Sequence[Image], titles: Sequence[str] = ("",)) -> Figure:
    """The figure, with a small line at its lower edge that names the images which a network has enhanced."""
    mark = learned_mark(images, titles)
    if mark:
        figure.text(4 / DPI / figure.get_figwidth(), 4 / DPI / figure.get_figheight(), mark)
        figure.texts[-1].set(fontsize=7, color="0.25", ha="left", va="bottom")
        if figure.get_layout_engine() is not None:  # a curve: its axes make room for the line
            figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    return figure


def _compare_curves(images: Sequence[Image], titles: Sequence[str], floor: float, title: str | None) -> Figure:
    wide = wide_axes(images[0].grid)
    name = wide[0] if wide else "x"
    figure, axes = curve_axes(name, checked_floor(floor), title)
    for image, label in zip(images, titles, strict=True):
        axes.plot(getattr(image.grid, name) * 1e3, _decibel(image, floor).ravel(), label=label, linewidth=1.3)
    axes.legend(fontsize=9)
    return figure


def _projected(image: Image, name: str) -> str:
    """What a projection along an axis shows; with one voxel along it, where that is."""
    along = getattr(image.grid, name)
    return f"max over {name}" if len(along) > 1 else f"{name} = {along[0] * 1e3:.4g} mm"


def _decibel(image: Image, floor: float) -> np.ndarray:
    return image.db(checked_floor(floor))


def nearest_voxel(image: Image, point: tuple[float, float, float] | None) -> tuple[int, int, int]:
    """Index (z, y, x) of the voxel nearest to a point [m], or of the brightest; GeometryError for a point outside."""
    shape = image.data.shape
    if point is None:
        z, y, x = np.unravel_index(int(np.argmax(image.magnitude())), shape)
        return int(z), int(y), int(x)
    xyz = real_array("point", point, (3,), "m")
    index = np.round((xyz - image.grid.origin) / image.grid.spacing)[::-1].astype(int)
    if np.any(index < 0) or np.any(index >= shape):
        limits = zip("xyz", image.grid.extent, strict=True)
        text = ", ".join(f"{n} {a * 1e3:g} to {b * 1e3:g}" for n, (a, b) in limits)
        got = ", ".join(f"{v * 1e3:g}" for v in xyz)
        raise GeometryError(f"point: got {got} mm, wanted it within {text} mm")
    z, y, x = (int(i) for i in index)
    return z, y, x
