"""Outlines of hand tools as polygons, drawn for this project, and what masks have: edges and triangles.

A tool is a list of polygons painted one after the other, solid or as holes, in units of its length, from y = -1/2 (the
handle) to 1/2. Masks are pictures: first row at the top, columns towards +x; their pixel (row r, column c) lies at
x = c - (columns - 1) / 2, y = (rows - 1) / 2 - r.
"""

from collections.abc import Callable

import numpy as np

from mmsar.core.checks import one_of

Shape = tuple[bool, np.ndarray]
"""Solid or hole, and the corners (n, 2)."""


def tool_mask(kind: str, length: float) -> np.ndarray:
    """A "knife", "wrench" or "scissors" as bool (rows, columns), `length` [pixels] long, no empty column at the sides.

    Raises
    ------
    GeometryError
        Another kind.
    """
    shapes = TOOLS[one_of("tool kind", kind, tuple(TOOLS))]()
    corners = np.concatenate([polygon for _, polygon in shapes])
    rows = max(1, round(length))
    reach = int(np.ceil(np.abs(corners[:, 0]).max() * rows))
    x, y = (np.arange(2 * reach + 1) - reach) / rows, ((rows - 1) / 2 - np.arange(rows)) / rows
    mask = np.zeros((len(y), len(x)), dtype=bool)
    for solid, polygon in shapes:
        mask[inside_polygon(polygon, x[None, :], y[:, None])] = solid
    used = np.flatnonzero(mask.any(axis=0))
    return mask[:, used[0] : used[-1] + 1] if used.size else mask


def mask_edges(amplitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sides of pixels where a picture jumps: midpoints (n, 3) [pixels], z = 0, and the sizes of the jumps (n,)."""
    padded = np.pad(amplitude, 1)
    places, jumps = [], []
    for axis in (0, 1):
        jump = np.abs(np.diff(padded, axis=axis))
        row, column = np.nonzero(jump)
        along = np.array([row, column], dtype=float)
        along[axis] += 0.5
        x = along[1] - (padded.shape[1] - 1) / 2
        y = (padded.shape[0] - 1) / 2 - along[0]
        places.append(np.stack([x, y, 0 * x], axis=1))
        jumps.append(jump[row, column])
    return np.concatenate(places), np.concatenate(jumps)


def mask_triangles(mask: np.ndarray) -> np.ndarray:
    """A mask as triangles (m, 3, 3) [pixels] in the plane z = 0: runs of rows, equal ones below each other joined."""
    rows, columns = mask.shape
    done: list[tuple[int, int, int, int]] = []
    growing: dict[tuple[int, int], int] = {}
    for r in range(rows + 1):
        line = mask[r] if r < rows else np.zeros(columns, dtype=bool)
        ends = np.flatnonzero(np.diff(np.pad(line.astype(np.int8), 1)))
        runs = {(int(a), int(b)) for a, b in ends.reshape(-1, 2)}
        for run in [run for run in growing if run not in runs]:
            done.append((*run, growing.pop(run), r))
        for run in runs:
            growing.setdefault(run, r)
    left, right, top, bottom = np.array(done, dtype=float).T - 0.5
    x0, x1 = left - (columns - 1) / 2, right - (columns - 1) / 2
    y0, y1 = (rows - 1) / 2 - bottom, (rows - 1) / 2 - top
    corners = [np.stack([x, y, 0 * x], axis=1) for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    return np.concatenate([np.stack([corners[k] for k in (0, a, b)], axis=1) for a, b in ((1, 2), (2, 3))])


def inside_polygon(polygon: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether points lie within a polygon: an odd number of its sides to their right."""
    odd = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            odd ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return odd


def _circle(x: float, y: float, radius: float, n: int = 48) -> np.ndarray:
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def _curve(start: tuple, bend: tuple, end: tuple, n: int = 16) -> np.ndarray:
    """A quadratic Bezier curve, both ends included."""
    t = np.linspace(0, 1, n)[:, None]
    return (1 - t) ** 2 * np.array(start) + 2 * t * (1 - t) * np.array(bend) + t**2 * np.array(end)


def _turned(polygon: np.ndarray, degrees: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Turned about the origin, then moved."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return polygon @ np.array([[c, s], [-s, c]]) + (x, y)


def _knife() -> list[Shape]:
    """A kitchen knife, the back of the blade to the right."""
    blade = np.concatenate(
        [
            [(-0.055, -0.10), (0.045, -0.10)],
            _curve((0.045, 0.25), (0.045, 0.42), (0.015, 0.50)),
            _curve((0.015, 0.50), (-0.050, 0.34), (-0.055, 0.15)),
        ]
    )
    handle = np.concatenate(
        [
            _curve((0.040, -0.12), (0.025, -0.30), (0.040, -0.46)),
            _curve((0.040, -0.46), (0.020, -0.50), (-0.020, -0.50)),
            _curve((-0.020, -0.50), (-0.030, -0.30), (-0.020, -0.12)),
        ]
    )
    bolster = np.array([(-0.025, -0.13), (0.045, -0.13), (0.045, -0.09), (-0.025, -0.09)])
    return [(True, blade), (True, handle), (True, bolster)]


def _wrench() -> list[Shape]:
    """A combination wrench: an open jaw at the top, set askew by 15 degrees, and a ring at the bottom."""
    shaft = np.array([(-0.040, -0.38), (0.040, -0.38), (0.050, 0.36), (-0.050, 0.36)])
    jaw = np.array([(-0.055, 0.0), (-0.030, -0.04), (0.030, -0.04), (0.055, 0.0), (0.055, 0.20), (-0.055, 0.20)])
    return [
        (True, shaft),
        (True, _circle(0.0, 0.385, 0.115)),
        (False, _turned(jaw, -15.0, 0.0, 0.40)),
        (True, _circle(0.0, -0.40, 0.10)),
        (False, _circle(0.0, -0.40, 0.058, 12)),
    ]


def _scissors() -> list[Shape]:
    """A pair of scissors, a little open, the two halves mirror images that cross at the pivot."""
    half = np.array([(-0.028, -0.27), (0.022, -0.27), (0.034, 0.02), (0.010, 0.517), (-0.004, 0.517), (-0.018, 0.02)])
    shapes: list[Shape] = []
    for side in (-1, 1):
        part = _turned(half, 11.0)
        part[:, 0] *= side
        shapes += [
            (True, part),
            (True, _circle(side * 0.13, -0.345, 0.155)),
            (False, _circle(side * 0.13, -0.345, 0.1)),
        ]
    shapes.append((False, _circle(0.0, 0.0, 0.012, 12)))
    return shapes


TOOLS: dict[str, Callable[[], list[Shape]]] = {"knife": _knife, "wrench": _wrench, "scissors": _scissors}
"""What `tool_mask` can draw."""
