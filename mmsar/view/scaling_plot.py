"""Figure of how time grows with the size of the work."""

from collections.abc import Iterable

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mmsar.view.given import AxesLike, given_axes, root_figure

PANELS = {"samples": "channels", "voxels": "voxels", "frequencies": "frequencies", "threads": "threads"}
"""Axis -> label of what is counted."""


def figure_scaling(
    curves: Iterable[tuple[str, str, tuple[int, ...], tuple[float, ...], float]],
    *,
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """Time over size in log-log, one panel per axis, one line per method with its slope in the legend.

    Parameters
    ----------
    curves : iterable of (axis, method, sizes, seconds, slope)
        axis is one of `PANELS`; sizes and seconds are as long as each other.
    title : str, optional
        Heading.
    axes : four Axes, optional
        Where to draw, in the order of `PANELS`. Default: a new figure.

    Raises
    ------
    GeometryError
        Another number of axes.
    """
    if axes is None:
        axes = Figure(figsize=(10.0, 7.0), layout="constrained").subplots(2, 2)
    panels = dict(zip(PANELS, given_axes("figure_scaling", axes, list(PANELS)), strict=True))
    colours: dict[str, str] = {}
    for axis, method, sizes, seconds, slope in curves:
        colour = colours.setdefault(method, f"C{len(colours)}")
        label = f"{method}, slope {slope:.2f}" if len(sizes) > 1 else method
        panels[axis].plot(sizes, [1e3 * s for s in seconds], "o-", color=colour, label=label)
    for axis, panel in panels.items():
        panel.set(xscale="log", yscale="log", xlabel=PANELS[axis], ylabel="time [ms]")
        ticks = sorted({int(n) for line in panel.lines for n in line.get_xdata()})
        panel.set_xticks(ticks, [f"{n:,}" for n in ticks])
        panel.set_xticks([], minor=True)
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(True, alpha=0.3)
        if panel.lines:
            panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=8)
    figure = root_figure(panels["samples"])
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
