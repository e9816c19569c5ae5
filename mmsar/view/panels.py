"""Pieces of the figures: one panel of a volume, its labels, the colour bar, axes for a curve."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap
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


def draw_panel(
    axes: Axes,
    values: np.ndarray,
    view: tuple[str, str],
    grid: ImageGrid,
    limits: float | tuple[float, float],
    *,
    cmap: str | Colormap = COLOURS,
    alpha: np.ndarray | None = None,
) -> AxesImage:
    """Draw a projection or slice, given in the image's axis order, with the view's axes across and up.

    `limits` are those of the colours, or the floor of a range in dB that ends at 0; `alpha` is the opacity.
    """
    if axis_of(view[0]) < axis_of(view[1]):
        values, alpha = values.T, None if alpha is None else alpha.T
    (left, right), (bottom, top) = (extent_mm(grid, name) for name in view)
    low, high = limits if isinstance(limits, tuple) else (limits, 0)
    return axes.imshow(
        values,
        extent=(left, right, bottom, top),
        origin="lower",
        vmin=low,
        vmax=high,
        cmap=cmap,
        alpha=alpha,
        interpolation="nearest",
        aspect="auto",
    )


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


def label_given(axes: Axes, view: tuple[str, str]) -> None:
    """Labels and equal scales on axes that the caller placed."""
    axes.set_aspect("equal")
    axes.set(xlabel=f"{view[0]} [mm]", ylabel=f"{view[1]} [mm]")


def projected(grid: ImageGrid, name: str) -> str:
    """What a projection along an axis shows; with one voxel along it, where that is."""
    along = getattr(grid, name)
    return f"max over {name}" if len(along) > 1 else f"{name} = {along[0] * 1e3:.4g} mm"


def decibel_label(floor: float) -> str:
    return f"dB re peak ({floor:g} to 0)"


def colour_bar(
    figure: Figure, where: Rectangle | list[Axes], drawn: ScalarMappable, label: str, *, slender: float = 20.0
) -> Colorbar:
    """A vertical bar in a place of the page, or beside axes, which make room for it, as many times as high as wide."""
    beside = isinstance(where, list)
    bar = figure.colorbar(drawn, **({"ax": where, "aspect": slender} if beside else {"cax": figure.add_axes(where)}))
    bar.set_label(label, fontsize=10)
    bar.locator = MaxNLocator(nbins=6, steps=[1, 2, 3, 5, 10])
    bar.ax.tick_params(labelsize=9)
    bar.update_ticks()
    return bar


def curve_axes(name: str, label: str, title: str | None, axes: Axes | None = None) -> Axes:
    """Axes for a curve along an axis, new ones if none are given."""
    if axes is None:
        axes = Figure(figsize=(6.5, 3.6), layout="constrained").add_subplot()
    axes.set(xlabel=f"{name} [mm]", ylabel=label)
    axes.grid(alpha=0.3)
    if title:
        axes.set_title(title, fontsize=11)
    return axes
