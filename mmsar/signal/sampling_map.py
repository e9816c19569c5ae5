"""Where an aperture is sampled how densely: the distance to the next phase centre, cell by cell.

The distances are those that `sampling_report` sums up: along an axis, to the nearest phase centre in front within 45
degrees of it; for turns round the y axis, to the next angle of the same turn and to the next turn. A cell shows the
largest distance of the phase centres in it, and nothing where it holds none.
"""

from dataclasses import dataclass, replace

import numpy as np

from mmsar.model import Scan
from mmsar.signal.cylinder import round_of, turns_of, unrolled
from mmsar.signal.pitch import SAME_PLACE, different_places, next_along, pitch_along

MOST_CELLS = 100
"""Along an axis."""
MOST_ASKED = 6
"""Phase centres of a cell whose distances are looked up when there are many."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplingMap:
    """Distances to the next phase centre, over x and y of a plane or over angle and height round the y axis."""

    round: bool
    """Whether the aperture goes round the y axis."""
    across: np.ndarray
    """Edges of the cells along x [m], or of the angle atan2(z, x) [rad], (n + 1,)."""
    up: np.ndarray
    """Edges of the cells along y [m], (m + 1,)."""
    step_across: np.ndarray
    """Largest distance along x [m], or step of the angle [rad], (m, n); NaN where there is no phase centre."""
    step_up: np.ndarray
    """Largest distance along y [m], (m, n); NaN where there is no phase centre or no other along y."""


def sampling_map(scan: Scan) -> SamplingMap:
    """The map of a scan's valid channels. The signal is not read."""
    wavelength, same = scan.chirp.wavelength, scan.chirp.wavelength * SAME_PLACE
    cylinder = round_of(scan.geometry)
    if cylinder is None:
        plane = different_places(scan.virtual_position[scan.valid][:, :2], same)
        asked, cells, edges = _cells(plane, same)
        steps = [_step(plane, asked, axis, same) for axis in (0, 1)]
        return SamplingMap(
            round=False,
            across=edges[0],
            up=edges[1],
            step_across=_largest(steps[0], cells, edges),
            step_up=_largest(steps[1], cells, edges),
        )
    if cylinder.closed:
        cylinder = replace(cylinder, cut=np.pi)  # from -180 to 180 degrees
    plane = different_places(unrolled(cylinder)[scan.geometry.weight != 0][:, :2], same)
    asked, cells, edges = _cells(plane, same)
    turns = turns_of(plane, wavelength)
    if turns is None:
        around, upward = (_step(plane, asked, axis, same) for axis in (0, 1))
    else:
        turn, heights = turns
        apart = np.stack([plane[:, 0], turn * 4 * np.pi * cylinder.radius], axis=1)  # no other turn is in front
        around = _step(apart, asked, 0, same)
        gaps = np.diff(heights)
        upward = np.append(gaps, gaps[-1:])[turn[asked]] if len(gaps) else np.full(len(asked), np.inf)
    middle = cylinder.cut % (2 * np.pi) - np.pi  # opposite the cut
    return SamplingMap(
        round=True,
        across=edges[0] / cylinder.radius - np.pi + middle,
        up=edges[1],
        step_across=_largest(around, cells, edges) / cylinder.radius,
        step_up=_largest(upward, cells, edges),
    )


def _cells(plane: np.ndarray, same: float) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Indices of the points to ask about, (k,), the cells (row, column) they are in, (2, k), and the cells' edges.

    Cells are two pitches wide, so that an even raster leaves none of them empty, or more where that makes too many.
    """
    low, extent = plane.min(axis=0), np.ptp(plane, axis=0)
    edges, index = [], []
    for axis in (0, 1):
        steps = pitch_along(plane, axis, same=same) if extent[axis] > same else None
        pitch = steps[0] if steps else max(extent.max() / 10, same)
        count = int(np.clip((extent[axis] + pitch) / (2 * pitch), 1, MOST_CELLS))
        edge = np.linspace(low[axis] - pitch / 2, low[axis] + extent[axis] + pitch / 2, count + 1)
        edges.append(edge)
        index.append(np.clip(np.searchsorted(edge, plane[:, axis], side="right") - 1, 0, count - 1))
    number = index[1] * (len(edges[0]) - 1) + index[0]
    order = np.argsort(number, kind="stable")
    ordered = number[order]
    first = np.searchsorted(ordered, ordered)
    size = np.searchsorted(ordered, ordered, side="right") - first
    rank = np.arange(len(order)) - first
    spread = (rank * MOST_ASKED) // size != ((rank - 1) * MOST_ASKED) // size  # evenly over the cell's points
    asked = order[spread | (size <= MOST_ASKED)]
    return asked, np.stack([index[1][asked], index[0][asked]]), edges


def _step(plane: np.ndarray, asked: np.ndarray, axis: int, same: float) -> np.ndarray:
    """Distances to the next point, or at the far end to the one before, (k,) [m]; inf where there is neither."""
    found = next_along(plane, asked, axis, same=same)
    last = np.flatnonzero(~np.isfinite(found))
    if last.size:
        found[last] = next_along(-plane, asked[last], axis, same=same)
    return found


def _largest(step: np.ndarray, cells: np.ndarray, edges: list[np.ndarray]) -> np.ndarray:
    """The largest finite step in each cell, (m, n); NaN where there is none."""
    found = np.full((len(edges[1]) - 1, len(edges[0]) - 1), np.nan)
    finite = np.isfinite(step)
    np.fmax.at(found, tuple(cells[:, finite]), step[finite])
    return found
