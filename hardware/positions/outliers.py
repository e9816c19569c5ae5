"""Single poses off their neighbours: a Hampel test of position and rotation over 0.1 s.

A pose is compared with the median, over j, of what the neighbours j and 2 j rows before and after say of it,

    (4 m_j - m_2j) / 3,    m_j the mean of the two neighbours at distance j,

which is exact for any steady or evenly accelerated motion (the error of a tremor of angular frequency w is its
amplitude times (w j dt)^4 / 6) and untouched by a few bad neighbours. It is an outlier when its distance is more than
three times the median distance (MAD) of the poses around and more than lambda/32 at 79 GHz, 0.12 mm, for positions, or
0.12 mm at a lever of 0.1 m for rotations; and when its two nearest neighbours miss it by at least 0.4 of that distance,
as they do not at a sharp but real turn. Rotations are compared by their matrices, which have no sign to flip. The two
poses on either side of a gap are not tested. Source: median +- 3 MAD in 0.1 s, as in the practice of interpolation.
"""

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from mmsar.hardware.positions.findings import Finding
from mmsar.hardware.positions.track import PoseTrack

WINDOW = 0.1
MADS = 3.0
AROUND = 31
"""Fewest poses that the median distance is taken over."""
MOST = 8
"""Most distances j."""
SHARE = 0.4
"""Least part of the distance that the mean of the two nearest neighbours must see too."""
FLOOR = (0.12e-3, 1.2e-3)
"""Smallest outlier: [m], [rad]."""
BLOCK = 1 << 14


def find_outliers(track: PoseTrack) -> list[Finding]:
    """One finding per outlying row, in order of time; none for tracks of less than 20 poses a second."""
    if not 0 < track.period <= WINDOW / 2:
        return []
    half = max(3, round(WINDOW / 2 / track.period))
    reach = np.unique(np.linspace(1, half, min(half, MOST)).round().astype(int))
    runs = [rows for rows in track.segments(1.5 * track.period) if len(rows) > 4]
    if not runs:
        return []
    rows = np.concatenate(runs)
    found, taken = [], np.zeros(len(track), dtype=bool)
    for name, floor, factor, unit in (("position", FLOOR[0], 1e3, "mm"), ("rotation", FLOOR[1], 180 / np.pi, "deg")):
        parts = []
        for run in runs:
            values = track.position[run]
            if name == "rotation":
                values = Rotation.from_quat(track.rotation[run]).as_matrix().reshape(-1, 9) / np.sqrt(2)
            parts.append(distances(values, reach))
        away, near = (np.concatenate(part) for part in zip(*parts, strict=True))
        tested = np.flatnonzero(np.isfinite(away))
        scatter = median_filter(away[tested], size=max(2 * half + 1, AROUND), mode="reflect")
        bad = (away[tested] > MADS * scatter) & (away[tested] > floor) & (near[tested] >= SHARE * away[tested])
        for place, spread in zip(tested[bad], scatter[bad], strict=True):
            row = rows[place]
            if taken[row]:
                continue
            taken[row] = True
            found.append(
                Finding(
                    severity="note",
                    what="outlier",
                    time=float(track.time_ns[row] - track.time_ns[0]) / 1e9,
                    size=float(away[place]) * factor,
                    unit=unit,
                    rows=np.array([row]),
                    explanation=f"{name} {away[place] / max(spread, floor / 100):.1f} MAD off its neighbours; masked",
                )
            )
    return sorted(found, key=lambda finding: finding.time)


def distances(values: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far every row (n, m) is from what its neighbours say, and from the mean of the nearest two, (n,) each.

    NaN for the two rows at either end. `reach` are the distances j, ascending from 1.
    """
    n, away = len(values), np.full(len(values), np.nan)
    near = np.full(n, np.nan)
    near[1:-1] = np.linalg.norm(values[1:-1] - (values[:-2] + values[2:]) / 2, axis=1)
    last = 2 * int(reach[-1])
    for start in range(last, n - last, BLOCK):
        inner = np.arange(start, min(start + BLOCK, n - last))
        away[inner] = _away(values, inner, reach)
    for i in (*range(2, min(last, n - 2)), *range(max(n - last, last, 2), n - 2)):
        away[i] = _away(values, np.array([i]), reach[2 * reach <= min(i, n - 1 - i)])[0]
    return away, near


def _away(values: np.ndarray, rows: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Distance of rows from the median of the estimates of all their neighbours."""
    said = [
        (4 * (values[rows - j] + values[rows + j]) - (values[rows - 2 * j] + values[rows + 2 * j])) / 6 for j in reach
    ]
    return np.linalg.norm(values[rows] - np.median(said, axis=0), axis=1)
