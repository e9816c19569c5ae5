"""What is wrong or doubtful in a pose track: every thing found has a time and a size, nothing is put right.

Looked at: rows out of order or with the same stamp, quaternions off unit length, gaps, the rate and its jitter, signs
of quaternions, plausible units, the order of quaternion components, marker swaps, glitches and jumps (`breaks`), and
outliers (`outliers`). `checked` also returns the track with the doubtful rows masked.

On the order of quaternion components: the angle between two unit quaternions depends on their inner product alone,
which no permutation of components changes; the size of the steps can therefore not tell x, y, z, w from w, x, y, z.
What can: a tracked point is hardly ever the centre of rotation, so part of its motion is R(t) l with a constant l. For
the right order one l explains far more of the fast motion than for a wrong one. Where rotation explains little, nothing
is said.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from mmsar.hardware.positions.breaks import find_breaks
from mmsar.hardware.positions.findings import Finding
from mmsar.hardware.positions.outliers import find_outliers
from mmsar.hardware.positions.track import FARTHEST, MAX_GAP, NORM_TOLERANCE, PoseTrack, lengths

JITTER = 0.2
"""Spread of the steps of time that is reported, as a part of the period."""
LARGE = (100.0, 5.0, 50.0)
"""Extent [m], speed [m/s] and acceleration [m/s2], the last two over 0.1 s, beyond which the unit is doubted."""
SMALL = 2e-3
"""Extent [m] below which a track stands still, or is in another unit."""
LEVER = (5.0, 0.08, 0.05)
"""How many times better another order must explain the motion, how much of it at least, and the time base [s]."""


def check_track(track: PoseTrack, *, max_gap: float = MAX_GAP) -> list[Finding]:
    """All findings, those of the whole track first, the others in order of time.

    Parameters
    ----------
    track : PoseTrack
        As read; its stamps and rows are what is judged.
    max_gap : float
        Longest gap that interpolation will bridge [s].
    """
    if not track.valid.any():
        return [_whole("error", "gap", len(track), "rows", "no row is valid; nothing can be used"), *_bad_rows(track)]
    found = [*_rate(track, max_gap), *_units(track), *_order(track), *_signs(track)]
    timed = [*_bad_rows(track), *_gaps(track, max_gap)]
    if np.count_nonzero(track.valid) > 2 and np.isfinite(track.period):
        breaks = find_breaks(track, max_gap)
        timed += breaks
        timed += find_outliers(track.masked(rows_of(breaks)))
    return found + sorted(timed, key=lambda finding: finding.time)


def checked(track: PoseTrack, *, max_gap: float = MAX_GAP) -> tuple[PoseTrack, list[Finding]]:
    """The track with swaps, glitches, jumps and outliers masked in `valid`, and all findings."""
    found = check_track(track, max_gap=max_gap)
    return track.masked(rows_of(found)), found


def rows_of(found: list[Finding]) -> np.ndarray:
    """Numbers of all rows that findings want masked, ascending."""
    return np.unique(np.concatenate([f.rows for f in found])) if found else np.empty(0, dtype=np.intp)


def _whole(severity: str, what: str, size: float, unit: str, explanation: str) -> Finding:
    return Finding(severity=severity, what=what, size=float(size), unit=unit, explanation=explanation)


def _bad_rows(track: PoseTrack) -> list[Finding]:
    """Rows that the log holds and that cannot be used: off unit length, out of order, masked before."""
    found = []
    finite = np.isfinite(track.position).all(axis=1) & np.isfinite(track.rotation).all(axis=1)
    length = lengths(np.where(finite[:, None], track.rotation, [0.0, 0.0, 0.0, 1.0]))
    away = np.abs(np.where(finite[:, None], track.position, 0.0)).max(axis=1)
    off = np.abs(length - 1) > NORM_TOLERANCE
    newest = np.maximum.accumulate(np.where(track.valid, track.time_ns, np.iinfo(np.int64).min))
    oldest = np.minimum.accumulate(np.where(track.valid, track.time_ns, np.iinfo(np.int64).max)[::-1])[::-1]
    misplaced = ~track.valid & ((track.time_ns <= newest) | (track.time_ns >= oldest))
    for i in np.flatnonzero(~track.valid & finite):
        at = float(track.time_ns[i] - track.time_ns[0]) / 1e9
        if off[i]:
            what, size, unit, why = "norm", length[i], "1", "quaternion not of unit length; not used"
        elif away[i] >= FARTHEST:
            what, size, unit, why = "place", away[i], "m", "a damaged number; not used"
        elif misplaced[i]:
            what, size, unit = (
                "order",
                max(_excess(newest[i], track.time_ns[i]), _excess(track.time_ns[i], oldest[i])),
                "ms",
            )
            why = "stamp repeats or runs against its neighbours; not used"
        else:
            what, size, unit, why = "masked", 1.0, "row", "marked as not valid before the check"
        found.append(Finding(severity="warning", what=what, time=at, size=float(size), unit=unit, explanation=why))
    return found


def _excess(late: np.int64, early: np.int64) -> float:
    """By how much `late` exceeds `early` [ms]; 0 when it does not."""
    return max(int(late) - int(early), 0) / 1e6


def _gaps(track: PoseTrack, max_gap: float) -> list[Finding]:
    """Times without a valid row, at the ends too."""
    found = []
    rows = np.flatnonzero(track.valid)
    period = track.period if np.isfinite(track.period) else 0.0
    spans = np.diff(track.time_ns[rows]) / 1e9
    for k in np.flatnonzero((np.diff(rows) > 1) | (spans > 1.5 * period)):
        a, b, span = int(rows[k]), int(rows[k + 1]), float(spans[k])
        missing = max(round(span / period) - 1, 0) if period else b - a - 1
        bridged = span <= max_gap
        if missing == 0 and bridged:
            continue  # rows out of order between two that are on time
        fate = "bridged" if bridged else f"longer than {max_gap * 1e3:g} ms: not bridged"
        found.append(
            Finding(
                severity="note" if bridged else "warning",
                what="gap",
                time=float(track.time_ns[a] - track.time_ns[0]) / 1e9,
                size=span * 1e3,
                unit="ms",
                explanation=f"{missing} {'pose' if missing == 1 else 'poses'} missing; {fate}",
            )
        )
    for count, at, end in ((rows[0], 0.0, "start"), (len(track) - 1 - rows[-1], track.seconds[rows[-1]], "end")):
        if count:
            why = f"no valid pose in {count} rows at the {end}; nothing is extrapolated"
            found.append(
                Finding(severity="warning", what="gap", time=at, size=float(count), unit="rows", explanation=why)
            )
    return found


def _rate(track: PoseTrack, max_gap: float) -> list[Finding]:
    """Rates too slow to interpolate, and steps of time that scatter."""
    step = np.diff(track.time_ns[track.valid]) / 1e9
    if not len(step) or not np.isfinite(track.period):
        return [_whole("error", "rate", np.count_nonzero(track.valid), "rows", "too few to interpolate between")]
    if track.period > max_gap:
        why = f"poses are further apart than the {max_gap * 1e3:g} ms that are bridged: nothing lies between them"
        return [_whole("error", "rate", track.rate, "Hz", why)]
    even = step[np.abs(step - track.period) < 0.5 * track.period]
    spread = float(np.std(even)) / track.period if len(even) else 0.0
    if spread > JITTER:
        why = f"steps of time scatter by {spread * 100:.0f} % of the period; stamps of arrival rather than of exposure?"
        return [_whole("warning", "rate", spread * track.period * 1e3, "ms", why)]
    return []


def _units(track: PoseTrack) -> list[Finding]:
    """Extents and speeds that no scan has."""
    position, seconds = track.position[track.valid], track.seconds[track.valid]
    extent = float(np.ptp(position, axis=0).max())
    if extent > LARGE[0]:
        return [
            _whole("warning", "units", extent, "m", "this far for a scan: millimetres or centimetres read as metres?")
        ]
    if 0 < extent < SMALL:
        return [_whole("note", "units", extent * 1e3, "mm", "it stands still, or metres were read as millimetres")]
    if np.isfinite(track.period) and len(position) > 2:
        lag = max(1, round(0.1 / track.period))
        span = (seconds[lag:] - seconds[:-lag])[:, None]
        speed = (position[lag:] - position[:-lag]) / np.maximum(span, 1e-9)
        if len(speed) and (fast := float(np.median(np.linalg.norm(speed, axis=1)))) > LARGE[1]:
            return [_whole("warning", "units", fast, "m/s", "this fast for a scan: wrong unit of length or of time?")]
        if len(speed) > lag:
            push = np.linalg.norm((speed[lag:] - speed[:-lag]) / np.maximum(span[lag:], 1e-9), axis=1)
            if (hard := float(np.median(push))) > LARGE[2]:
                return [
                    _whole("warning", "units", hard, "m/s2", "more than 5 g all along: wrong unit of length or time?")
                ]
    return []


def _signs(track: PoseTrack) -> list[Finding]:
    """Flips between q and -q, which mean the same rotation."""
    q = track.rotation[track.valid]
    flips = int(np.count_nonzero(np.einsum("ij,ij->i", q[1:], q[:-1]) < 0))
    return [_whole("note", "sign", flips, "flips", "q and -q are one rotation; nothing to do")] if flips else []


def _order(track: PoseTrack) -> list[Finding]:
    """Whether the quaternions look as if their components were w, x, y, z."""
    if not track.rotation_measured or not np.isfinite(track.period):
        return []
    lag = max(1, round(LEVER[2] / track.period))
    runs = [rows for rows in track.segments(max(MAX_GAP, 3 * track.period)) if len(rows) > 4 * lag]
    if not runs:
        return []
    explained = [_explained(track, runs, lag, order) for order in ([0, 1, 2, 3], [1, 2, 3, 0])]
    as_read, swapped = explained
    if swapped > LEVER[0] * as_read and swapped > LEVER[1]:
        why = (
            f"a constant lever explains {swapped * 100:.0f} % of the fast motion with components taken as w, x, y, z, "
            f"but {as_read * 100:.1f} % as read"
        )
        return [_whole("warning", "quaternion order", swapped / max(as_read, 1e-9), "times better", why)]
    return []


def _explained(track: PoseTrack, runs: list[np.ndarray], lag: int, order: list[int]) -> float:
    """Part of the fast motion that R l explains with the best l, quaternion components taken in `order`."""
    left, right = [], []
    for rows in runs:
        matrix = Rotation.from_quat(track.rotation[rows][:, order]).as_matrix()
        left.append(_fast(matrix, lag).reshape(-1, 3))
        right.append(_fast(track.position[rows], lag).reshape(-1))
    a, b = np.concatenate(left), np.concatenate(right)
    total = float(b @ b)
    if total == 0:
        return 0.0
    lever = np.linalg.lstsq(a, b, rcond=None)[0]
    return 1 - float(np.sum((b - a @ lever) ** 2)) / total


def _fast(values: np.ndarray, lag: int) -> np.ndarray:
    """What lies between rows `lag` before and after: values minus their mean."""
    return values[lag:-lag] - (values[: -2 * lag] + values[2 * lag :]) / 2
