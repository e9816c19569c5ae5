"""Single poses off their neighbours: a Hampel test of position and rotation over 0.1 s.

A pose is compared with the median, over j, of the means of its j-th neighbours before and after: exact for steady
motion and untouched by a few bad neighbours. The residual vector r is an outlier when its distance from the median of
r over the window is more than three times the median distance (MAD) and more than lambda/32 at 79 GHz, 0.12 mm, for
positions, or 0.12 mm at a lever of 0.1 m for rotations; and when its two nearest neighbours miss it by at least 0.4 of
that distance, as they do not at a sharp but real turn. Rotations are compared by their matrices, which have no sign to
flip. Source: median +- 3 MAD in 0.1 s, as in the practice of interpolation.
"""

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from mmsar.hardware.positions.findings import Finding
from mmsar.hardware.positions.track import PoseTrack

WINDOW = 0.1
MADS = 3.0
SHARE = 0.4
"""Least part of the distance that the mean of the two nearest neighbours must see too."""
FLOOR = (0.12e-3, 1.2e-3)
"""Smallest outlier: [m], [rad]."""


def find_outliers(track: PoseTrack, max_gap: float) -> list[Finding]:
    """One finding per outlying row, in order of time."""
    found = []
    for rows in track.segments(max(max_gap, 3 * track.period)):
        half = max(3, round(WINDOW / 2 / track.period))
        if len(rows) < 2 * half + 1:
            continue
        matrices = Rotation.from_quat(track.rotation[rows]).as_matrix().reshape(-1, 9)
        parts = (
            (track.position[rows], FLOOR[0], 1e3, "mm", "position"),
            (matrices / np.sqrt(2), FLOOR[1], 180 / np.pi, "deg", "rotation"),
        )
        taken = np.zeros(len(rows), dtype=bool)
        for values, floor, factor, unit, name in parts:
            away, scatter = residual(values, half)
            for i in np.flatnonzero((away > MADS * scatter) & (away > floor) & ~taken):
                taken[i] = True
                found.append(
                    Finding(
                        severity="note",
                        what="outlier",
                        time=float(track.time_ns[rows[i]] - track.time_ns[0]) / 1e9,
                        size=float(away[i]) * factor,
                        unit=unit,
                        rows=rows[i : i + 1],
                        explanation=f"{name} {away[i] / max(scatter[i], 1e-12):.1f} MAD off its neighbours; masked",
                    )
                )
    return sorted(found, key=lambda finding: finding.time)


def residual(values: np.ndarray, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance of rows (n, m) from what `half` neighbours on either side say, and its local median, (n,) each.

    The distance is 0 where the nearest neighbours do not see it, and at the ends.
    """
    n = len(values)
    padded = np.pad(values, ((half, half), (0, 0)), mode="reflect", reflect_type="odd")
    pairs = [(padded[half - j : half - j + n] + padded[half + j : half + j + n]) / 2 for j in range(1, half + 1)]
    rest = values - np.median(pairs, axis=0)
    away = np.linalg.norm(rest - median_filter(rest, size=(2 * half + 1, 1), mode="nearest"), axis=1)
    scatter = median_filter(away, size=2 * half + 1, mode="nearest")
    away[np.linalg.norm(values - pairs[0], axis=1) < SHARE * away] = 0.0
    away[[0, -1]] = 0.0  # the ends have no neighbours on both sides
    return away, scatter
