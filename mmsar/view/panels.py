"""Pieces of the figures: one panel of a volume, its labels, the colour bar, axes for a curve."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from mmsar.core.checks import finite_number
from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.view.layout import Rectangle

VIEWS = (("x", "y"), ("x", "z"), ("z", "y"))
"""Horizontal and vertical axis of the front, top and side view."""
COLOURS = "viridis"
STEPS = [1, 2, 2.5, 4, 5, 10]


def checked_floor(floor: float) -> float:
    floor = finite_number("floor", floor, "dB")
    if floor >= 0:
        raise GeometryError(f"floor: got {floor:g}, wanted less than 0 [dB re peak]")
    return floor


def axis_of(name: str) -> int:
    return "zyx".index(name)


def left_over(view: tuple[str, str]) -> str:
    return next(name for name in "xyz" if name not in view)


def wide_axes(grid: ImageGrid) -> list[str]:
    """The axes with more than one voxel."""
    return [name for name, n in zip("xyz", grid.shape[::-1], strict=True) if n > 1]


def plane_of(wide: list[str]) -> tuple[str, str]:
    """The view that shows two axes."""
    return next(view for view in VIEWS if set(view) == set(wide))


def extent_mm(grid: ImageGrid, name: str) -> tuple[float, float]:
    """Outer edges of the first and last voxel [mm]."""
    low, high = grid.extent["xyz".index(name)]
    half = grid.spacing["xyz".index(name)] / 2
    return (low - half) * 1e3, (high + half) * 1e3


def draw_panel(axes: Axes, decibel: np.ndarray, view: tuple[str, str], grid: ImageGrid, floor: float) -> AxesImage:
    """Draw a projection or slice, given in the image's axis order, with the view's axes across and up."""
    if axis_of(view[0]) < axis_of(view[1]):
        decibel = decibel.T
    (left, right), (bottom, top) = (extent_mm(grid, name) for name in view)
    drawn = axes.imshow(
        decibel,
        extent=(left, right, bottom, top),
        origin="lower",
        vmin=floor,
        vmax=0,
        cmap=COLOURS,
        interpolation="nearest",
        aspect="auto",
    )
    return drawn


def label_panel(axes: Axes, view: tuple[str, str], *, x: bool, y: bool) -> None:
    """Ticks that fit, and labels where they are wanted; elsewhere the tick labels go too (the neighbour has them).

    An axis drawn at a larger scale than the other says so: "z [mm] x2" is twice as large.
    """
    box, page = axes.get_position(), axes.figure.get_size_inches()
    inches = np.array([box.width, box.height]) * page
    scales = inches / np.abs([np.diff(axes.get_xlim())[0], np.diff(axes.get_ylim())[0]])
    stretch = scales / scales.min()
    axes.tick_params(labelsize=9)
    for i, (wanted, axis, room) in enumerate(((x, axes.xaxis, 0.6), (y, axes.yaxis, 0.4))):
        bins = max(2, int(inches[i] / room))
        axis.set_major_locator(MaxNLocator(nbins=bins, steps=STEPS, min_n_ticks=2))
        if wanted:
            factor = f" ×{stretch[i]:.2g}" if stretch[i] > 1.01 else ""
            axis.set_label_text(f"{view[i]} [mm]{factor}", fontsize=10)
        else:
            axis.set_tick_params(labelleft=False, labelbottom=False)
    axes.yaxis.set_label_coords(-0.6 / inches[0], 0.5)
    axes.xaxis.set_label_coords(0.5, -0.35 / inches[1])


def colour_bar(figure: Figure, place: Rectangle, drawn: AxesImage, floor: float) -> None:
    axes = figure.add_axes(place)
    bar = figure.colorbar(drawn, cax=axes)
    bar.set_label(f"dB re peak ({floor:g} to 0)", fontsize=10)
    bar.locator = MaxNLocator(nbins=6, steps=[1, 2, 3, 5, 10])
    bar.ax.tick_params(labelsize=9)
    bar.update_ticks()


def curve_axes(name: str, floor: float, title: str | None) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(f"{name} [mm]")
    axes.set_ylabel(f"dB re peak ({floor:g} to 0)")
    axes.set_ylim(floor, 1)
    axes.grid(alpha=0.3)
    if title:
        axes.set_title(title, fontsize=11)
    return figure, axes
