"""Figures of an evaluation of enhancement: samples side by side, and sweeps."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.view.panels import checked_floor, draw_panel

MARKERS = "osv^Dx+*"


def samples_figure(
    rows: Sequence[tuple[str, Mapping[str, np.ndarray]]], *, spacing: float, floor: float = -30.0
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

    Raises
    ------
    GeometryError
        A floor that is not below 0.
    """
    floor = checked_floor(floor)
    names = list(rows[0][1])
    figure = Figure(figsize=(2.4 * len(names) + 1.0, 2.5 * len(rows) + 0.4), layout="constrained")
    grid = figure.subplots(len(rows), len(names), squeeze=False, sharex=True, sharey=True)
    for axes_row, (told, images) in zip(grid, rows, strict=True):
        for axes, name in zip(axes_row, names, strict=True):
            image = Image(data=np.abs(images[name])[None], grid=_grid(images[name].shape, spacing))
            drawn = draw_panel(axes, image.db(floor)[0], ("x", "y"), image.grid, floor)
            axes.set_aspect("equal")
        axes_row[0].set_ylabel(f"{told}\ny [mm]", fontsize=8)
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name, fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("x [mm]", fontsize=8)
    figure.colorbar(drawn, ax=grid, label="dB re peak", shrink=0.6)
    return figure


def sweeps_figure(
    sweeps: Sequence[tuple[str, Sequence[float], Mapping[str, Sequence[float]]]], *, ylabel: str = "PSNR [dB]"
) -> Figure:
    """Curves over one thing each, side by side.

    Parameters
    ----------
    sweeps : sequence of (str, values, mapping)
        Axis title, its values, and a curve by name.
    """
    figure = Figure(figsize=(5.0 * len(sweeps), 4.0), layout="constrained")
    for axes, (title, at, curves) in zip(figure.subplots(1, len(sweeps), squeeze=False)[0], sweeps, strict=True):
        for n, (name, values) in enumerate(curves.items()):
            axes.plot(at, values, marker=MARKERS[n % len(MARKERS)], markersize=4, label=name)
        axes.set(xlabel=title, ylabel=ylabel)
        axes.grid(True, alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _grid(shape: tuple[int, int], spacing: float) -> ImageGrid:
    """The grid of a slice (y, x) about x = y = 0."""
    n_y, n_x = shape
    origin = (-(n_x - 1) / 2 * spacing, -(n_y - 1) / 2 * spacing, 0.0)
    return ImageGrid(shape=(1, n_y, n_x), origin=origin, spacing=(spacing, spacing, spacing))
