"""Figures of an evaluation of enhancement: samples side by side, and sweeps."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.view.given import AxesLike, given_axes, root_figure, set_heading
from mmsar.view.panels import checked_floor, colour_bar, decibel_label, draw_panel

MARKERS = "osv^Dx+*"


def samples_figure(
    rows: Sequence[tuple[str, Mapping[str, np.ndarray]]],
    *,
    spacing: float,
    floor: float = -30.0,
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """Slices in dB re their own peak, a row per sample and a column per image.

    Parameters
    ----------
    rows : sequence of (str, mapping)
        What the sample is, and magnitudes (y, x) by name; the same names in every row.
    spacing : float
        Pixel size [m].
    floor : float
        Bottom of the scale [dB re peak].
    title : str, optional
        Heading.
    axes : Axes or sequence of Axes, optional
        Where to draw: one for every slice, row by row. Default: a new figure.

    Raises
    ------
    GeometryError
        No sample, a floor that is not below 0, another number of axes.
    """
    floor = checked_floor(floor)
    if not rows:
        raise GeometryError("samples_figure: got no sample, wanted at least one")
    names = list(rows[0][1])
    if axes is None:
        figure = Figure(figsize=(2.4 * len(names) + 1.0, 2.5 * len(rows) + 0.4), layout="constrained")
        panels = figure.subplots(len(rows), len(names), squeeze=False, sharex=True, sharey=True).ravel().tolist()
        if title:
            figure.suptitle(title, fontsize=12)
    else:
        panels = given_axes("samples_figure", axes, [f"{name} of {told}" for told, _ in rows for name in names])
        figure = root_figure(panels[0])
    for number, (told, images) in enumerate(rows):
        for panel, name in zip(panels[number * len(names) :], names, strict=False):
            image = Image(data=np.abs(images[name])[None], grid=_grid(images[name].shape, spacing))
            drawn = draw_panel(panel, image.db(floor)[0], ("x", "y"), image.grid, floor)
            panel.set_aspect("equal")
            panel.tick_params(labelsize=8)
        panels[number * len(names)].set_ylabel(f"{told}\ny [mm]", fontsize=8)
    for panel, name in zip(panels, names, strict=False):
        panel.set_title(name, fontsize=9)
    for panel in panels[-len(names) :]:
        panel.set_xlabel("x [mm]", fontsize=8)
    colour_bar(figure, panels, drawn, decibel_label(floor), slender=20.0 * len(rows))
    if axes is not None:
        set_heading(panels[0], title)
    return figure


def sweeps_figure(
    sweeps: Sequence[tuple[str, Sequence[float], Mapping[str, Sequence[float]]]],
    *,
    ylabel: str = "PSNR [dB]",
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """Curves over one thing each, side by side.

    Parameters
    ----------
    sweeps : sequence of (str, values, mapping)
        Axis title, its values, and a curve by name.
    ylabel : str
        What the curves are.
    title : str, optional
        Heading.
    axes : Axes or sequence of Axes, optional
        Where to draw: one for every sweep; the legend stands in the first. Default: a new figure, its legend below.

    Raises
    ------
    GeometryError
        No sweep, another number of axes.
    """
    if not sweeps:
        raise GeometryError("sweeps_figure: got no sweep, wanted at least one")
    if axes is None:
        figure = Figure(figsize=(5.0 * len(sweeps), 4.0), layout="constrained")
        panels: list[Axes] = list(figure.subplots(1, len(sweeps), squeeze=False)[0])
        if title:
            figure.suptitle(title, fontsize=12)
    else:
        panels = given_axes("sweeps_figure", axes, [label for label, _, _ in sweeps])
        figure = root_figure(panels[0])
    for panel, (label, at, curves) in zip(panels, sweeps, strict=True):
        for n, (name, values) in enumerate(curves.items()):
            panel.plot(at, values, marker=MARKERS[n % len(MARKERS)], markersize=4, label=name)
        panel.set(xlabel=label, ylabel=ylabel)
        panel.grid(True, alpha=0.3)
    if axes is None:
        entries = panels[-1].get_legend_handles_labels()
        figure.legend(*entries, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    else:
        panels[0].legend(frameon=False, fontsize=8)
        set_heading(panels[0], title)
    return figure


def _grid(shape: tuple[int, int], spacing: float) -> ImageGrid:
    """The grid of a slice (y, x) about x = y = 0."""
    n_y, n_x = shape
    origin = (-(n_x - 1) / 2 * spacing, -(n_y - 1) / 2 * spacing, 0.0)
    return ImageGrid(shape=(1, n_y, n_x), origin=origin, spacing=(spacing, spacing, spacing))
