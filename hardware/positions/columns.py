"""CSV logs with named columns: gantries, ARKit, ARCore and T265 loggers, which have no one layout.

The header says what a column is, and its unit when it can: `t`, `time`, `timestamp` with a unit as in `time_s`,
`timestamp_ns`, `t [ms]`; `x y z`, `tx ty tz`, `px py pz`, `t_x t_y t_z`, `p_x p_y p_z` with a unit as in `x_mm`,
`x [m]`; `qx qy qz qw`, `q_x ..`, `rx ry rz rw`, `r_x ..`; `tracker_confidence`. Other columns are left alone. What
neither the header nor the format says must be declared.

| kind | clock | lengths | times | rotation |
|---|---|---|---|---|
| gantry-csv | declared, or Unix if the stamps are | header or declared | header or declared | none: it does not turn |
| arkit-csv | boot (seconds since the phone started) | m | s | x, y, z, w |
| arcore-csv | monotonic | m | ns | x, y, z, w |
| t265-csv | device | m | ms | x, y, z, w |

Poses of tracker confidence 0 are not valid. Phones and the T265 have y up; ARKit and T265 look along -z.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.declared import LENGTHS, TIMES, Declared
from mmsar.hardware.positions.text import epoch_clock, nanoseconds, need_rows, numbers, read_text, rows_of
from mmsar.hardware.positions.track import PoseTrack

USES = frozenset(("clock", "frame", "units", "time_unit"))
HEAD = re.compile(r"#?\s*([a-z0-9_ ./#]*?)\s*(?:[\[(]\s*([a-z]*)\s*[\])])?")
TIME = ("t", "time", "timestamp")
ANGLES = ("deg", "rad")
CONFIDENCE = ("tracker_confidence", "tracker confidence", "confidence")


@dataclass(frozen=True)
class Kind:
    """What a format says of itself."""

    clock: str | None
    units: str | None
    time_unit: str | None
    frame: str
    turns: bool


KINDS = {
    "gantry-csv": Kind(None, None, None, "gantry", False),
    "arkit-csv": Kind("boot", "m", "s", "ARKit world, y up", True),
    "arcore-csv": Kind("monotonic", "m", "ns", "ARCore world, y up", True),
    "t265-csv": Kind("device", "m", "ms", "T265 world, y up, looks along -z", True),
}


@dataclass(frozen=True)
class Header:
    """Columns found by name: indices, and the units the names carry (None where they carry none)."""

    time: int
    position: tuple[int, ...]
    rotation: tuple[int, ...]
    confidence: int | None
    time_unit: str | None
    units: str | None


def find(cells: Sequence[str]) -> Header | None:
    """The columns of a header row, or None when it names no time or no position."""
    names, units = [], []
    for cell in cells:
        name, unit = name_and_unit(cell)
        names.append(name)
        units.append(unit)
    time = next((i for i, n in enumerate(names) if n in TIME), None)
    position = _first(names, "xyz", ("", "t", "p", "t_", "p_", "pos_", "position_"))
    rotation = _first(names, "xyzw", ("q", "q_", "r", "r_", "rot_", "rotation_"))
    if time is None or position is None:
        return None
    lengths = {units[i] for i in position}
    confidence = next((i for i, n in enumerate(names) if n in CONFIDENCE), None)
    unit = lengths.pop() if len(lengths) == 1 else None
    return Header(time, position, rotation or (), confidence, units[time], unit)


def reader(kind: str):
    """The reader of one of KINDS."""

    def read(path: str, told: Declared) -> PoseTrack:
        return read_named(path, told, kind)

    return read


def read_named(path: str, told: Declared, kind: str) -> PoseTrack:
    """The track of a log with named columns.

    Raises
    ------
    FormatError
        No header, units that nobody says or that contradict what was declared, rotation columns missing.
    """
    known, rows = KINDS[kind], rows_of(read_text(path), path)
    header = find(rows[0])
    if header is None:
        raise FormatError(f"{path}, line 1: got {','.join(rows[0])[:60]!r}, wanted a header with time and x, y, z")
    time_unit = _agreed(path, "time-unit", header.time_unit, told.time_unit, known.time_unit)
    scale = LENGTHS[_agreed(path, "units", header.units, told.units, known.units)]
    data, time_ns = timed_rows(path, rows, header.time, TIMES[time_unit])
    rotation = np.tile([0.0, 0.0, 0.0, 1.0], (len(data), 1))
    if header.rotation:
        rotation = numbers(data, header.rotation, path)
    elif known.turns:
        raise FormatError(f"{path}, line 1: got no columns qx, qy, qz, qw, wanted them in a {kind} log")
    sure = np.ones(len(data), dtype=bool)
    if header.confidence is not None:
        sure = numbers(data, [header.confidence], path)[:, 0] > 0
    return PoseTrack.from_log(
        time_ns,
        numbers(data, header.position, path) * scale,
        rotation,
        valid=sure,
        clock=told.clock or known.clock or epoch_clock(time_ns),
        frame=told.frame or known.frame,
        sigma=told.sigma,
        source=f"{kind} {path}",
    )


def timed_rows(
    path: str, rows: list[list[str]], column: int, power: int
) -> tuple[list[tuple[int, list[str]]], np.ndarray]:
    """The rows below the header with their line numbers, and their times of the unit 10**power ns [ns].

    Raises
    ------
    FormatError
        Fewer than two rows, or one without a time.
    """
    data = [(i, row) for i, row in enumerate(rows[1:], start=2) if any(row) and not row[0].startswith("#")]
    need_rows(path, len(data))
    short = next((i for i, row in data if len(row) <= column), None)
    if short is not None:
        raise FormatError(f"{path}, line {short}: got no time, wanted the columns of the header")
    return data, np.array([nanoseconds(row[column], power, f"{path}, line {i}") for i, row in data])


def name_and_unit(cell: str) -> tuple[str, str | None]:
    """Name and unit of a header cell: `time_s`, `t [ms]`, `x_mm`, `x`."""
    match = HEAD.fullmatch(cell.lower())
    if match is None:
        return cell.lower(), None
    name, unit = match[1], match[2] or None
    stem, _, last = name.rpartition("_")
    if unit is None and stem and last in (*LENGTHS, *TIMES, *ANGLES):
        name, unit = stem, last
    return name, unit


def _first(names: list[str], axes: str, prefixes: Sequence[str]) -> tuple[int, ...] | None:
    """Indices of the names prefix + axis, for the first prefix that all axes have."""
    for prefix in prefixes:
        if all(prefix + axis in names for axis in axes):
            return tuple(names.index(prefix + axis) for axis in axes)
    return None


def _agreed(path: str, what: str, header: str | None, told: str | None, known: str | None) -> str:
    """The unit of the header or the declared one; the format's own where both are silent."""
    choices = TIMES if what == "time-unit" else LENGTHS
    if header is not None and header not in choices:
        raise FormatError(f"{path}, line 1: {what}: got {header!r}, wanted one of {', '.join(choices)}")
    if header is not None and told is not None and header != told:
        raise FormatError(f"{path}, line 1: {what}: the header says {header!r} and --{what} {told!r}; leave one out")
    unit = header or told or known
    if unit is None:
        raise FormatError(f"{path}: {what}: neither header nor format says it; give --{what} {' or '.join(choices)}")
    return unit
