"""Drawing on axes that the caller made: how many are wanted, which figure they belong to, headings."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsar.errors import GeometryError

AxesLike = Axes | Sequence[Axes] | np.ndarray
"""One axes, or several, as `figure.subplots` returns them."""


def given_axes(name: str, axes: AxesLike, *wanted: Sequence[str]) -> list[Axes]:
    """The axes as a list, in as great a number as one of the lists of what is drawn on them.

    Raises
    ------
    GeometryError
        Another number, or something that is no axes.
    """
    found = list(np.asarray(axes, dtype=object).ravel())
    bad = next((each for each in found if not isinstance(each, Axes)), None)
    if bad is not None:
        raise GeometryError(f"{name} axes: got {type(bad).__name__}, wanted matplotlib Axes")
    if len(found) not in {len(one) for one in wanted}:
        text = " or ".join(f"{len(one)} ({', '.join(one)})" for one in wanted)
        raise GeometryError(f"{name} axes: got {len(found)}, wanted {text}")
    return found


def root_figure(axes: Axes) -> Figure:
    """The figure that axes belong to, also by way of a subfigure."""
    return axes.figure.figure


def set_heading(axes: Axes, title: str | None) -> None:
    """Put a heading above what the axes' title says."""
    if title:
        axes.set_title("\n".join(part for part in (title, axes.get_title()) if part), fontsize=10)
