"""CSV logs of a turntable: its angle against time, and possibly the height of the board.

What turned is the target, so in its own frame the board went round it: with the table at the angle t it stood at
a = start + direction t, at (R cos a, y, R sin a), looking at the axis (`mmsar.hardware.session.world`). The log knows
neither R nor the start: they are told. The header says what a column is, with its unit: `time_s` or `t [ms]`,
`angle_deg` or `angle [rad]`, and `height_mm` or `y [m]`. Angles may be counted on or anew after every turn. The stage
log of a session (`time_ns,angle,y`) has radians and metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.columns import TIME, name_and_unit, timed_rows
from mmsar.hardware.positions.declared import LENGTHS, TIMES, Declared
from mmsar.hardware.positions.text import epoch_clock, numbers, read_text, rows_of
from mmsar.hardware.positions.track import PoseTrack
from mmsar.model import Trajectory

USES = frozenset(("clock", "time_unit", "units", "radius", "start", "direction"))
ANGLES = {"deg": float(np.deg2rad(1.0)), "rad": 1.0}
STAGE_LOG = (["time_ns", "angle"], ["time_ns", "angle", "y"])
"""Headers of the stage log of a session with a turntable."""


@dataclass(frozen=True)
class Header:
    """Columns found by name: indices, and their units (None where the name carries none)."""

    time: int
    angle: int
    height: int | None
    time_unit: str | None
    angle_unit: str | None
    units: str | None


def find(cells: Sequence[str]) -> Header | None:
    """The columns of a header row, or None when it names no time or no angle."""
    found = [name_and_unit(cell) for cell in cells]
    names = [name for name, _ in found]
    time, angle, height = (
        next((i for i, name in enumerate(names) if name in known), None)
        for known in (TIME, ("angle",), ("height", "y"))
    )
    if time is None or angle is None:
        return None
    if [cell.lower() for cell in cells] in STAGE_LOG:
        return Header(time, angle, height, "ns", "rad", "m")
    unit = None if height is None else found[height][1]
    return Header(time, angle, height, found[time][1], found[angle][1], unit)


def read(path: str, told: Declared) -> PoseTrack:
    """The track of the board round the target.

    Raises
    ------
    FormatError
        No header, units that nobody says, no radius.
    """
    rows = rows_of(read_text(path), path)
    header = find(rows[0])
    if header is None:
        raise FormatError(f"{path}, line 1: got {','.join(rows[0])[:60]!r}, wanted a header with time and angle")
    if told.radius is None:
        raise FormatError(
            f"{path}: radius: a log of angles does not say it; give the distance of the board from the axis (--radius, "
            "radius_mm)"
        )
    time_unit, units = header.time_unit or told.time_unit, header.units or told.units
    wanted = [("time", time_unit, TIMES), ("angle", header.angle_unit, ANGLES)]
    wanted += [] if header.height is None else [("height", units, LENGTHS)]
    for what, unit, known in wanted:
        if unit not in known:
            got = "no unit" if unit is None else repr(unit)
            raise FormatError(f"{path}, line 1: {what}: got {got}, wanted {' or '.join(known)} in its name")
    data, time_ns = timed_rows(path, rows, header.time, TIMES[time_unit])
    angle, height = numbers(data, [header.angle], path)[:, 0] * ANGLES[header.angle_unit], np.zeros(len(data))
    if header.height is not None:
        height = numbers(data, [header.height], path)[:, 0] * LENGTHS[units]
    known = np.isfinite(angle + height)
    start = -np.pi / 2 if told.start is None else told.start
    turned = start + (-1 if told.direction == "cw" else 1) * np.where(known, angle, 0.0)
    board = Trajectory.around(turned % (2 * np.pi), told.radius, height=np.where(known, height, 0.0))
    return PoseTrack.from_log(
        time_ns,
        board.position,
        board.rotation,
        valid=known,
        clock=told.clock or epoch_clock(time_ns),
        frame="target on the turntable, y up",
        sigma=told.sigma,
        source=f"turntable-csv {path}",
    )
