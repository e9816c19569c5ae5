"""Steps that no hand or stage can make: marker swaps, glitches and jumps.

The step between neighbouring valid rows is compared with its neighbours: a break is a step further from the median of
the eleven steps around it than ten times the median distance of those (a Hampel test of velocity and of angular
velocity, both as vectors) plus half a usual step and a floor, or one faster than 5 m/s or 25 rad/s and twice as large
as usual. What a break and the large steps after it (a quarter of it or more) add to the usual motion is summed: when
within half a second the sum falls to half the break, the track has come back from an excursion: a *marker swap* when
the rotation broke and the position moved with it, else a *glitch*. The ordinary steps between are left out of the sum,
so that what the body did meanwhile does not matter. Without a return the track has *jumped*, as trackers do when they
relocalise: both sides may be right, but nothing may be interpolated across.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from mmsar.hardware.positions.findings import Finding
from mmsar.hardware.positions.track import PoseTrack

AROUND = 11
"""Steps in the median."""
FACTOR = 10.0
FLOOR = np.array([2e-3, np.radians(2.0)])
"""Smallest break: [m], [rad]."""
FASTEST = np.array([5.0, 25.0])
"""Speed [m/s] and angular speed [rad/s] that no scan by hand, stage or vehicle has."""
EXCURSION = 0.5
"""Longest excursion [s]."""
HOME = 0.5
"""Part of the break that may remain after a return."""
SHARE = 0.25
"""Part of the break from which a step counts towards a return."""


@dataclass(frozen=True)
class Steps:
    """Steps along one run of valid rows: everything that the search for breaks needs."""

    rows: np.ndarray
    time: np.ndarray
    position: np.ndarray
    turn: Rotation
    size: np.ndarray
    """Length [m] and angle [rad] of every step, (n - 1, 2)."""
    pace: np.ndarray
    """Medians of the velocities around: [m/s] and, in the body frame, [rad/s], (n - 1, 2, 3)."""
    away: np.ndarray
    """Distance of every step from the usual one: [m], [rad], (n - 1, 2)."""
    broken: np.ndarray
    """Breaks of position and of rotation, (n - 1, 2) bool."""

    def off_course(self, i: int, later: np.ndarray) -> np.ndarray:
        """Distance [m] and angle [rad] of rows from where row i would be by then at the usual pace, (n_later, 2)."""
        since = (self.time[later] - self.time[i])[:, None] / 1e9
        length = np.linalg.norm(self.position[later] - self.position[i] - since * self.pace[i, 0], axis=1)
        course = self.turn[i] * Rotation.from_rotvec(since * self.pace[i, 1])
        return np.stack([length, (course.inv() * self.turn[later]).magnitude()], axis=1)


def find_breaks(track: PoseTrack, max_gap: float) -> list[Finding]:
    """Marker swaps, glitches and jumps of a track, in order of time."""
    found = []
    for rows in track.segments(max(max_gap, 3 * track.period)):
        if len(rows) > AROUND:
            found += _walk(_steps(track, rows), max_gap, track.time_ns[0])
    return found


def _steps(track: PoseTrack, rows: np.ndarray) -> Steps:
    """The steps of a run of rows, and which of them are breaks."""
    time = track.time_ns[rows]
    span = np.diff(time)[:, None] / 1e9
    turn = Rotation.from_quat(track.rotation[rows])
    moved = np.diff(track.position[rows], axis=0), (turn[:-1].inv() * turn[1:]).as_rotvec()
    even, shape = float(np.median(span)), (len(rows) - 1, 2)
    size = np.stack([np.linalg.norm(m, axis=1) for m in moved], axis=1)
    pace, away, scatter = np.empty((*shape, 3)), np.empty(shape), np.empty(shape)
    for k, vector in enumerate(moved):
        pace[:, k] = median_filter(vector / span, size=(AROUND, 1), mode="nearest")
        away[:, k] = np.linalg.norm(vector / span - pace[:, k], axis=1) * even
        scatter[:, k] = median_filter(away[:, k], size=AROUND, mode="nearest")
    usual = np.linalg.norm(pace, axis=2) * even
    broken = (away > FACTOR * scatter + 0.5 * usual + FLOOR) | ((size > FASTEST * span) & (size > 2 * usual))
    return Steps(rows, time, track.position[rows], turn, size, pace, away, broken)


def _walk(steps: Steps, max_gap: float, start_ns: int) -> list[Finding]:
    """Follow the track from break to break."""
    found, done = [], 0
    for i in np.flatnonzero(steps.broken.any(axis=1)):
        if i < done:
            continue
        back = _return(steps, int(i))
        at = float(steps.time[i + 1] - start_ns) / 1e9
        if back is not None:
            found.append(_excursion(steps, int(i), back, at))
            done = back
        else:
            found.append(_jump(steps, int(i), max_gap, at))
            done = i + 1
    return found


def _return(steps: Steps, i: int) -> int | None:
    """The first row after the break i -> i + 1 that is back from it; None if there is none in time."""
    last = int(np.searchsorted(steps.time, steps.time[i] + round(EXCURSION * 1e9), side="right")) - 1
    broke, counts = steps.away[i], steps.away[i:last] >= SHARE * steps.away[i]
    shift, turned = np.zeros(3), Rotation.identity()
    for k in i + np.flatnonzero((counts & steps.broken[i]).any(axis=1)):
        span = (steps.time[k + 1] - steps.time[k]) / 1e9
        if counts[k - i, 0]:
            shift = shift + steps.position[k + 1] - steps.position[k] - span * steps.pace[k, 0]
        if counts[k - i, 1]:
            turned = turned * (steps.turn[k].inv() * steps.turn[k + 1])
        left = np.array([np.linalg.norm(shift), turned.magnitude()])
        if k > i and np.all((left <= HOME * broke) | ~steps.broken[i]):
            return int(k) + 1
    return None


def _excursion(steps: Steps, i: int, back: int, at: float) -> Finding:
    """The rows between a break and the return from it."""
    rows = np.arange(i + 1, back)
    length, angle = steps.off_course(i, rows).max(axis=0)
    swap = steps.broken[i:back, 1].any() and length > FLOOR[0]
    count = "1 pose" if len(rows) == 1 else f"{len(rows)} poses"
    return Finding(
        severity="warning",
        what="marker swap" if swap else "glitch",
        time=at,
        size=float(length) * 1e3,
        unit="mm",
        rows=steps.rows[rows],
        explanation=f"{count} off course, turned by up to {np.degrees(angle):.1f} deg, then back; masked",
    )


def _jump(steps: Steps, i: int, max_gap: float, at: float) -> Finding:
    """A break without return: rows nearer than half of `max_gap` are masked, so that nothing bridges it."""
    middle = (steps.time[i] + steps.time[i + 1]) / 2
    reach = max_gap * 0.5e9 + 1e6
    first, last = np.searchsorted(steps.time, [middle - reach, middle + reach])
    return Finding(
        severity="error",
        what="jump",
        time=at,
        size=float(steps.size[i, 0]) * 1e3,
        unit="mm",
        rows=steps.rows[min(first, i) : max(last, i + 2)],
        explanation=f"turned by {np.degrees(steps.size[i, 1]):.1f} deg and stays there (relocalisation?); "
        "before and after may be in different worlds; masked around it so that nothing bridges it",
    )
