"""Poses of a turntable's data, from [scan]: the target turned, so in its own frame the radar went round.

With the table at the angle t the board stands at a = start_deg + t (direction = "ccw", the table counter-clockwise seen
from above; "cw": start_deg - t), at (R cos a, y, R sin a), and looks at the axis, which is the world's y.

    [scan]
    radius_mm = 250.0           # from the axis to the board's origin
    start_deg = -90.0           # board angle at t = 0; -90 looks along +z
    direction = "ccw"           # or "cw"
    heights_mm = [0.0, 7.6]     # y of every turn, one after the other; default one turn at 0
    serpentine = false          # true: every second turn ran backwards
    step_deg = 0.5              # or one of the following for t:
    span_deg = 360.0            #   the whole angle of a turn, equally divided, its end left out
    angles_deg = [0.0, 0.5]     #   of one turn, the same in every turn
    angle_list = "angles.csv"   #   one row for every pose: time, angle_deg, and possibly height_mm
    angle_log = "table.csv"     #   the same against time, interpolated at the frames; never beyond it
    log_offset_ms = 0.0         # clock of the log less that of the frames, which begins at the first
    far_field = true            # samples are referred to the axis: exp(-2j k r.u), radius_mm nominal (1000)

Columns carry their unit: time or time_s (time_ms, time_us, time_ns), angle_deg or angle_rad, height_mm or height_m.
"""

from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.io.importers.columns import columns_of
from mmsar.io.importers.description import Description
from mmsar.model import Trajectory

KEYS = (
    "far_field",
    "radius_mm",
    "start_deg",
    "step_deg",
    "span_deg",
    "angles_deg",
    "angle_list",
    "angle_log",
    "log_offset_ms",
    "heights_mm",
    "serpentine",
)
"""Keys of [scan] that only a turntable has."""
WAYS = ("step_deg", "span_deg", "angles_deg", "angle_list", "angle_log")
"""Keys that tell the angles, one of which is wanted."""
SHARED = ("n_x", "n_y", "direction", "motion")
"""Keys of [scan] that it shares with a raster: angles of a turn, turns, sense, continuous or in steps."""
NOMINAL_RADIUS = 1.0
"""Radius of far-field data that tell none [m]."""
MOST = 90.0
"""Reports of a log that are further apart [deg] do not tell which way the table went."""
UNITS = {
    "time": {"time": 1.0, "time_s": 1.0, "time_ms": 1e-3, "time_us": 1e-6, "time_ns": 1e-9},
    "angle": {"angle_deg": float(np.deg2rad(1.0)), "angle_rad": 1.0},
    "height": {"height_mm": 1e-3, "height_m": 1.0},
}


def is_turntable(description: Description) -> bool:
    """Whether [scan] describes a turntable: it has radius_mm or far_field.

    Raises
    ------
    FormatError
        Other keys of a turntable without them, or keys of a raster beside them.
    """
    given = description.tables.get("scan", {})
    found = "radius_mm" in given or bool(given.get("far_field"))
    for key in given:
        if found and key not in KEYS + SHARED:
            raise description.error(f"[scan] {key}: does not belong to a turntable (radius_mm or far_field); remove it")
        if not found and key in KEYS[1:]:
            raise description.error(f"[scan] {key}: only for a turntable, wanted radius_mm (or far_field = true) too")
    if not found and given.get("direction") in ("ccw", "cw"):
        raise description.error('[scan] direction: "ccw" and "cw" are for a turntable, wanted radius_mm too')
    return found


def turntable_poses(description: Description, n_pose: int, frame_time: np.ndarray) -> Trajectory:
    """The poses of `n_pose` samples before a turntable, in the order of the samples.

    Parameters
    ----------
    frame_time : ndarray
        Time of every pose without the pauses between turns [s], (n_pose,).

    Raises
    ------
    FormatError
        Keys that contradict each other or the data, a log that does not cover the frames.
    """
    get = description.get
    direction = get("scan", "direction", "ccw")
    if direction not in ("ccw", "cw"):
        raise description.error(f'[scan] direction: got "{direction}", wanted "ccw" or "cw" for a turntable')
    if get("scan", "motion") == "none":
        raise description.error('[scan] motion: got "none", wanted "continuous" or "step" for a turntable')
    ways = [key for key in WAYS if get("scan", key) is not None]
    if len(ways) != 1:
        raise description.error(f"[scan]: got {' and '.join(ways) or 'no angles'}, wanted one of {', '.join(WAYS)}")
    if get("scan", "log_offset_ms") is not None and ways != ["angle_log"]:
        raise description.error("[scan] log_offset_ms: only with angle_log; remove it")
    heights, n = _turns(description, n_pose)
    height = np.repeat(heights, n)
    if ways[0] == "angle_list":
        time, angle, height = _listed(description, n_pose, height)
    elif ways[0] == "angle_log":
        time, (angle, height) = frame_time, _logged(description, frame_time, heights)
    else:
        angle = _every_turn(description, ways[0], n, len(heights))
        pause = max(n, 3) * (frame_time[1] - frame_time[0] if n_pose > 1 else 0.0)
        time = frame_time + np.repeat(np.arange(len(heights)), n) * pause
    start = np.deg2rad(get("scan", "start_deg", -90.0))
    turned = start + (1 if direction == "ccw" else -1) * angle
    radius = get("scan", "radius_mm", NOMINAL_RADIUS * 1e3) * 1e-3
    return Trajectory.around(turned % (2 * np.pi), radius, height=height, time=time)


def _turns(description: Description, n_pose: int) -> tuple[np.ndarray, int]:
    """Height of every turn [m] and the number of angles of one."""
    heights = np.atleast_1d(np.array(description.get("scan", "heights_mm", [0.0]), dtype=float)) * 1e-3
    turns, n_x = description.get("scan", "n_y", len(heights)), description.get("scan", "n_x")
    if heights.ndim > 1 or turns != len(heights):
        raise description.error(
            f"[scan] heights_mm: got {heights.size} heights, wanted one for each of the {turns} turns of the data"
        )
    if n_pose % turns or (n_x is not None and n_x * turns != n_pose):
        angles = "equally many" if n_x is None else f"{n_x}"
        raise description.error(
            f"[scan] heights_mm: got {turns} turns, data has {n_pose} poses, wanted {angles} in each"
        )
    return heights, n_pose // turns


def _every_turn(description: Description, way: str, n: int, turns: int) -> np.ndarray:
    """Table angles of turns of `n` poses [rad]."""
    given = description.get("scan", way)
    if way == "angles_deg":
        angle = np.deg2rad(np.array(given, dtype=float))
        if angle.shape != (n,):
            raise description.error(f"[scan] angles_deg: got {angle.size} angles, the data has {n} poses in a turn")
    else:
        step = given if way == "step_deg" else given / n
        if step * (n - 1) >= 360:
            raise description.error(
                f"[scan] {way}: got {n} poses over {step * n:g} degrees, wanted no more than 360 in a turn; list every "
                "turn in heights_mm"
            )
        angle = np.deg2rad(step) * np.arange(n)
    back = [description.get("scan", "serpentine", False) and turn % 2 for turn in range(turns)]
    return np.concatenate([angle[::-1] if backwards else angle for backwards in back])


def _listed(description: Description, n_pose: int, height: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time [s], table angle [rad] and height [m] of every pose from a file of as many rows."""
    path = description.file(description.get("scan", "angle_list"))
    time, angle, told = _columns(path)
    if len(time) != n_pose:
        raise FormatError(
            f"{path}: got {len(time)} angles, the data has {n_pose} poses; wanted one row for every pose, or angle_log "
            "for a log against time"
        )
    return time, angle, height if told is None else told


def _logged(description: Description, frame_time: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Table angle [rad] and height [m] at the frames, linear between the reports of a log."""
    path = description.file(description.get("scan", "angle_log"))
    if len(heights) > 1:
        raise description.error(
            f"[scan] angle_log: got {len(heights)} turns, wanted one recording without pauses that are not known; give "
            "the height as a column of the log"
        )
    description.need("waveform", "frame_period_ms", "the frames are looked up in the log by their time")
    time, angle, told = _columns(path)
    order = np.diff(time)
    if len(time) < 2 or np.any(order <= 0):
        raise FormatError(f"{path}: got {len(time)} reports, wanted two or more in order of time")
    wanted = frame_time + description.get("scan", "log_offset_ms", 0.0) * 1e-3
    if wanted[0] < time[0] or wanted[-1] > time[-1]:
        raise FormatError(
            f"{path}: got reports from {time[0]:.6g} to {time[-1]:.6g} s, wanted them around the frames from "
            f"{wanted[0]:.6g} to {wanted[-1]:.6g} s; check [scan] log_offset_ms"
        )
    angle = np.unwrap(angle)
    used = slice(
        max(int(np.searchsorted(time, wanted[0], side="right")) - 1, 0), int(np.searchsorted(time, wanted[-1])) + 1
    )
    widest = float(np.rad2deg(np.abs(np.diff(angle[used])).max(initial=0.0)))
    if widest > MOST:
        raise FormatError(
            f"{path}: got reports {widest:.0f} degrees apart, wanted less than {MOST:g}, or the way is not known"
        )
    height = np.full(len(wanted), heights[0]) if told is None else np.interp(wanted, time, told)
    return np.interp(wanted, time, angle), height


def _columns(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Time [s], angle [rad] and, where it is there, height [m] of a file."""
    columns = columns_of(path)
    found = []
    for what, units in UNITS.items():
        names = [name for name in units if name in columns]
        if len(names) > 1 or (not names and what != "height"):
            raise FormatError(
                f"{path}: got columns {', '.join(columns)}, wanted one of {', '.join(units)} for the {what}"
            )
        value = columns[names[0]] * units[names[0]] if names else None
        if value is not None and not np.isfinite(value).all():
            raise FormatError(f"{path}: {names[0]}: got values that are not finite")
        found.append(value)
    return found[0], found[1], found[2]
