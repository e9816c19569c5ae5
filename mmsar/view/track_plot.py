"""Figure of a pose track: its path from the front and from above, its components against time, and what was found.

On the left the front view (x, y) and the top view (x, z), at equal scales; on the right position and rotation against
time, and below them a strip with a row for each kind of finding. Rows that are not used are left out of the lines and
drawn as points.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsar.core.checks import check_shape, real_array
from mmsar.errors import GeometryError
from mmsar.view.given import AxesLike, given_axes, root_figure, set_heading

COLOURS = ("tab:blue", "tab:orange", "tab:green")
LEFT_OUT = "tab:red"
TICK = 2e-3
"""Shortest bar of the strip, as a part of the time shown."""


def figure_track(
    seconds: np.ndarray,
    position: np.ndarray,
    *,
    turn: np.ndarray | None = None,
    used: np.ndarray | None = None,
    marks: Mapping[str, np.ndarray] | None = None,
    title: str | None = None,
    axes: AxesLike | None = None,
) -> Figure:
    """The picture of a track.

    Parameters
    ----------
    seconds : array_like
        Time of every row [s], (n,).
    position : array_like
        (n, 3) [m]; NaN where there is none.
    turn : array_like, optional
        Rotation vector of every row against the first pose [rad], (n, 3). Default: no such panel.
    used : array_like, optional
        Rows that count, (n,) bool. Default: those that are finite.
    marks : mapping, optional
        Kind of finding -> (k, 2) starts and lengths [s].
    title : str, optional
        Heading.
    axes : sequence of Axes, optional
        Where to draw: the front and the top view, position, rotation where it is given, and the strip of findings.
        Default: a new figure.

    Raises
    ------
    GeometryError
        Shapes that do not fit each other, no row that counts, another number of axes.
    """
    seconds = real_array("figure_track seconds", seconds, (None,), "s")
    n = len(seconds)
    position = np.asarray(position, dtype=np.float64)
    check_shape("figure_track position", position.shape, (n, 3))
    finite = np.isfinite(position).all(axis=1)
    used = finite if used is None else np.asarray(used, dtype=bool) & finite
    check_shape("figure_track used", used.shape, (n,))
    if not used.any():
        raise GeometryError("figure_track: got no row that counts, wanted at least one")
    marks = {name: np.asarray(spans, dtype=np.float64).reshape(-1, 2) for name, spans in (marks or {}).items()}
    if axes is None:
        figure, front, top, *panels = _page(len(marks), turning=turn is not None)
        if title:
            figure.suptitle(title, fontsize=11)
    else:
        names = ["front", "top", "position", *([] if turn is None else ["rotation"]), "findings"]
        front, top, *panels = given_axes("figure_track", axes, names)
        figure = root_figure(front)
    _path(front, position, used, (0, 1), "front: x, y")
    _path(top, position, used, (0, 2), "top: x, z")
    centre = np.median(position[used], axis=0)
    _components(panels[0], seconds, (position - centre) * 1e3, used, "position from its median [mm]")
    if turn is not None:
        turn = np.asarray(turn, dtype=np.float64)
        check_shape("figure_track turn", turn.shape, (n, 3))
        wrapped = (
            np.linalg.norm(np.diff(turn, axis=0, prepend=turn[:1]), axis=1) > np.pi
        )  # no line across +-180 degrees
        _components(panels[1], seconds, np.degrees(turn), used, "rotation from the first pose [deg]", cut=wrapped)
    _strip(panels[-1], marks, float(np.ptp(seconds)))
    if axes is not None:
        set_heading(front, title)
    return figure


def _page(n_marks: int, *, turning: bool) -> tuple[Figure, *tuple[Axes, ...]]:
    """A figure of its own and its panels: front, top, position, rotation if wanted, strip."""
    figure = Figure(figsize=(13, 7), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.7))
    lines = 2 if turning else 1
    heights = [*[2.5] * lines, 0.28 * max(n_marks, 1)]
    return figure, *left.subplots(2, 1), *right.subplots(lines + 1, 1, sharex=True, height_ratios=heights)


def _path(axes: Axes, position: np.ndarray, used: np.ndarray, pair: tuple[int, int], caption: str) -> None:
    """One projection of the path."""
    a, b = (np.where(used, position[:, k], np.nan) for k in pair)
    axes.plot(a, b, linewidth=0.8, color=COLOURS[0])
    out = ~used & np.isfinite(position).all(axis=1)
    axes.plot(
        position[out, pair[0]], position[out, pair[1]], ".", markersize=3, color=LEFT_OUT, label="not used", zorder=1
    )
    first, last = np.flatnonzero(used)[[0, -1]]
    axes.plot(a[first], b[first], "o", color="black", markersize=5, label="start")
    axes.plot(a[last], b[last], "s", color="black", markersize=5, fillstyle="none", label="end")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=f"{'xyz'[pair[0]]} [m]", ylabel=f"{'xyz'[pair[1]]} [m]")
    axes.set_title(caption, fontsize=10)
    axes.grid(alpha=0.3)
    if pair == (0, 1):
        axes.legend(fontsize=8, frameon=False)


def _components(
    axes: Axes, seconds: np.ndarray, values: np.ndarray, used: np.ndarray, label: str, *, cut: np.ndarray | None = None
) -> None:
    """Three components against time, scaled to the rows that count; lines have a break at the rows `cut`."""
    drawn = used if cut is None else used & ~cut
    for k, (name, colour) in enumerate(zip("xyz", COLOURS, strict=True)):
        axes.plot(seconds, np.where(drawn, values[:, k], np.nan), linewidth=0.8, color=colour, label=name)
        axes.plot(seconds[~used], values[~used, k], ".", markersize=2.5, color=LEFT_OUT, zorder=1)
    low, high = np.nanmin(values[used]), np.nanmax(values[used])
    room = 0.06 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)
    axes.set_ylabel(label, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=3, fontsize=8, frameon=False, borderaxespad=0.0)


def _strip(axes: Axes, marks: Mapping[str, np.ndarray], duration: float) -> None:
    """A row of bars for every kind of finding."""
    shortest = max(duration, 1e-9) * TICK
    for row, (name, spans) in enumerate(marks.items()):
        bars = [(start, max(length, shortest)) for start, length in spans.tolist()]
        axes.broken_barh(bars, (row - 0.4, 0.8), color="0.25", label=name)
    axes.set_yticks(range(len(marks)), [f"{name} ({len(spans)})" for name, spans in marks.items()], fontsize=8)
    axes.set_ylim(max(len(marks), 1) - 0.5, -0.5)
    axes.set_xlabel("time after the first row [s]")
    axes.grid(alpha=0.3, axis="x")
    if not marks:
        axes.text(0.5, 0.5, "nothing found", ha="center", va="center", transform=axes.transAxes, fontsize=8)
