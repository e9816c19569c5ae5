"""Figure of an aperture: the path of the board from the front and from above, and how densely it is sampled where."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from mmsar.model import Scan
from mmsar.signal.pitch import AxisSampling
from mmsar.signal.sampling import SamplingReport, sampling_report
from mmsar.signal.sampling_map import SamplingMap, sampling_map
from mmsar.view.extents import COLOURS
from mmsar.view.given import AxesLike, given_axes, root_figure, set_heading

PANELS = ("path from the front", "path from above", "sampling across", "sampling up")
MOST_POINTS = 4000
"""Phase centres that are drawn, at most."""
MOST_VERTICES = 20_000
"""Poses of a line that is drawn as lines; one of more is drawn as pixels, in files of any kind."""
LOOKS, LOOK = 24, 0.12
"""How many lines show where the board looks, and how long they are for the extent of the phase centres."""
WIDTH, LOWEST, HIGHEST = 4.2, 1.8, 5.0
"""Width of a panel on a page of its own, and what its height may be [inch]."""


def figure_aperture(scan: Scan, *, title: str | None = None, axes: AxesLike | None = None) -> Figure:
    """Path of the board and map of the sampling. The signal is not read.

    Above, the path of the board with its phase centres, from the front (x, y) and from above (x, z), there with lines
    to where it looks. Below, the distance to the next phase centre along x and along y, against lambda/4, which is
    always fine, and lambda/2, from which on a target straight ahead has ghosts; of an aperture round the y axis, over
    angle and height, the distance from the axis that the step of the angle images without ghosts, and the distance
    along y.
    The numbers in the captions are those of `mmsar.signal.sampling.sampling_report` (and `mmsar info`).

    Parameters
    ----------
    scan : Scan
        In memory or lazy.
    title : str, optional
        Heading.
    axes : sequence of Axes, optional
        Where to draw: four, in the order of `PANELS`. Default: a new figure.

    Raises
    ------
    GeometryError
        Another number of axes.
    """
    report, found = sampling_report(scan), sampling_map(scan)
    if axes is None:
        figure, panels = _page(scan, found)
        if title:
            figure.suptitle(title, fontsize=12)
    else:
        panels = given_axes("figure_aperture", axes, PANELS)
        figure = root_figure(panels[0])
    n_pose, seconds = len(scan.trajectory), float(np.ptp(scan.trajectory.time))
    _path(panels[0], scan, "y", f"{n_pose:,} poses in {seconds:.3g} s, from the front")
    _path(panels[1], scan, "z", f"from above, {report.depth * 1e3:.1f} mm deep in z")
    if found.round:
        panels[0].axvline(0, color="0.4", linewidth=0.8, linestyle=(0, (6, 3, 1, 3)))
        panels[1].plot(0, 0, "+", color="0.4", markersize=9, label="axis")
        _round(panels[2], found, report)
        _spacing(panels[3], found, found.step_up, report, _caption("y", report.round.height))
    else:
        _spacing(panels[2], found, found.step_across, report, _caption("x", report.x))
        _spacing(panels[3], found, found.step_up, report, _caption("y", report.y))
    if axes is None:
        figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    else:
        panels[1].legend(fontsize=8, frameon=False)
    if axes is not None:
        set_heading(panels[0], title)
    return figure


def _page(scan: Scan, found: SamplingMap) -> tuple[Figure, list[Axes]]:
    """A page whose rows are as high as what is on them is for its width."""
    x, y, z = np.ptp(scan.virtual_position[scan.valid], axis=0)
    path, cells = (np.clip(WIDTH * high / max(x, 1e-9), LOWEST, HIGHEST) for high in (max(y, 1.2 * z), y))
    heights = (path, 3.0 if found.round else cells)
    figure = Figure(figsize=(2 * WIDTH + 3.0, sum(heights) + 2.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15)  # limits that equal scales widen have wider labels
    return figure, list(figure.subplots(2, 2, height_ratios=heights).ravel())


def _path(axes: Axes, scan: Scan, up: str, caption: str) -> None:
    """One projection of the path, x across."""
    pair = [0, "xyz".index(up)]
    everywhere = scan.virtual_position[scan.valid] * 1e3
    centres = everywhere[:, pair]
    some = centres[np.unique(np.linspace(0, len(centres) - 1, min(len(centres), MOST_POINTS)).astype(int))]
    axes.plot(*some.T, ".", markersize=2, color="0.75", rasterized=True, label="phase centres", zorder=1)
    board = scan.trajectory.position[:, pair] * 1e3
    axes.plot(*board.T, linewidth=0.7, color="tab:blue", rasterized=len(board) > MOST_VERTICES, label="board", zorder=2)
    axes.plot(*board[0], "o", color="black", markersize=5, label="start")
    axes.plot(*board[-1], "s", color="black", markersize=5, fillstyle="none", label="end")
    if up == "z":
        at = np.unique(np.linspace(0, len(board) - 1, LOOKS).astype(int))
        looks = scan.trajectory.matrices()[at][:, pair, 2]
        ends = board[at] + LOOK * np.ptp(everywhere, axis=0).max() * looks
        axes.plot([board[at, 0], ends[:, 0]], [board[at, 1], ends[:, 1]], linewidth=0.8, color="tab:red", zorder=3)
        axes.plot(*ends.T, "o", markersize=2.5, color="tab:red", label="where it looks", zorder=3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="x [mm]", ylabel=f"{up} [mm]")
    axes.set_title(caption, fontsize=10)
    axes.grid(alpha=0.3)


def _spacing(axes: Axes, found: SamplingMap, step: np.ndarray, report: SamplingReport, caption: str) -> None:
    """A map of distances, from 0 to a wavelength whatever the scan."""
    quarter = report.quarter * 1e3
    drawn = _cells(axes, found, step * 1e3, (0, 4 * quarter), caption)
    bar = axes.figure.colorbar(drawn, ax=axes, extend="max", label="to the next phase centre [mm]")
    names = ("", " = λ/4", " = λ/2", " = 3λ/4", " = λ")
    bar.set_ticks([n * quarter for n in range(5)], labels=[f"{n * quarter:.2f}{name}" for n, name in enumerate(names)])
    for n in (1, 2):
        bar.ax.axhline(n * quarter, color="white", linewidth=1.0)


def _round(axes: Axes, found: SamplingMap, report: SamplingReport) -> None:
    """A map of how far from the axis a step of the angle is free of ghosts, from 0 to half the radius of the scan."""
    told = report.round
    free = told.alias_radius * told.step / found.step_across
    within = f"within {told.alias_radius * 1e3:.0f} mm of the axis"
    caption = f"every {np.degrees(told.step):.3g} degrees: free of ghosts\n{within}"
    drawn = _cells(axes, found, free * 1e3, (0, told.radius * 1e3 / 2), caption, cmap=f"{COLOURS}_r")
    axes.figure.colorbar(drawn, ax=axes, extend="max", label="free of ghosts within [mm]")


def _cells(
    axes: Axes, found: SamplingMap, values: np.ndarray, limits: tuple[float, float], caption: str, cmap: str = COLOURS
) -> QuadMesh:
    across = np.degrees(found.across) if found.round else found.across * 1e3
    drawn = axes.pcolormesh(across, found.up * 1e3, values, vmin=limits[0], vmax=limits[1], cmap=cmap, rasterized=True)
    axes.set_facecolor("0.9")
    axes.set(xlabel="angle [degrees]" if found.round else "x [mm]", ylabel="y [mm]")
    if not found.round:
        axes.set_aspect("equal")
    for edges, ticks in ((across, axes.set_xticks), (found.up * 1e3, axes.set_yticks)):
        if len(edges) == 2:
            ticks([edges.mean()])
    axes.set_title(caption, fontsize=9)
    return drawn


def _caption(name: str, axis: AxisSampling) -> str:
    if axis.pitch is None:
        return f"along {name}: one position"
    text = f"along {name}: every {axis.pitch * 1e3:.2f} mm, 95 % below {axis.widest * 1e3:.2f} mm"
    if axis.ghost_angle is not None:
        return f"{text}\nghosts at {np.degrees(axis.ghost_angle):.0f} degrees"
    if axis.fold_angle is not None:
        return f"{text}\nfolds beyond {np.degrees(axis.fold_angle):.0f} degrees"
    return f"{text}\nno ghosts"
