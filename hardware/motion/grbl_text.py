"""The texts of GRBL 1.1: status reports, settings, and what its error and alarm numbers mean.

Pure functions. Facts: GRBL 1.1 interface (status `<Idle|MPos:0.000,0.000,0.000|FS:0,0>`, `error:n`, `ALARM:n`,
`$n=value`); wording of the explanations is ours.
"""

import re
from dataclasses import dataclass

ERRORS = {
    1: "a word without its letter",
    2: "a number that cannot be read",
    3: "an unknown $ command",
    4: "a negative value where none may be",
    5: "homing is off ($22=0)",
    6: "a step pulse below 3 us",
    7: "settings memory unreadable, defaults restored",
    8: "not idle",
    9: "locked by an alarm or a jog",
    10: "soft limits need homing ($22=1)",
    11: "line too long",
    12: "step rate too high",
    13: "safety door open",
    14: "startup line too long",
    15: "jog target outside the machine's travel",
    16: "jog command invalid",
    17: "laser mode needs a PWM spindle",
    20: "unsupported command",
    21: "two commands of one group",
    22: "no feed rate",
    23: "a whole number is wanted",
    24: "two commands want the axis words",
    25: "a word twice",
    26: "no axis words",
    27: "line number out of range",
    28: "a value is missing",
    29: "work coordinate system unsupported",
    30: "G53 needs G0 or G1",
    31: "axis words without a command",
    32: "an arc without axis words in its plane",
    33: "a target that cannot be reached",
    34: "an arc radius that cannot be",
    35: "an arc without offsets",
    36: "unused words",
    37: "tool length offset on another axis",
    38: "tool number too high",
}
"""error:n of GRBL 1.1."""

ALARMS = {
    1: "hard limit touched, position lost",
    2: "target outside the machine's travel",
    3: "reset while moving, position lost",
    4: "probe not in its initial state",
    5: "probe without contact",
    6: "homing ended by a reset",
    7: "homing ended by the safety door",
    8: "homing: the limit switch did not release",
    9: "homing: no limit switch found",
    10: "homing: second limit switch of the axis not found",
}
"""ALARM:n of GRBL 1.1."""

POSITION_LOST = frozenset({1, 3, 6, 7, 8, 9, 10})
"""Alarms after which the reported position means nothing."""

CRITICAL = frozenset({1, 2})
"""Alarms after which GRBL answers nothing but a reset."""

LETTERS = "XYZABC"
"""Axes in the order of a status report."""

_STATUS = re.compile(r"<([A-Za-z]+)(?::(\d+))?((?:\|[^|>]*)*)>")
_SETTING = re.compile(r"\$(\d+)=(-?[\d.]+)")
_BANNER = re.compile(r"Grbl(?:HAL)? (\d+)\.(\d+)(\S*)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Status:
    """A status report."""

    state: str
    """Idle, Run, Jog, Hold, Home, Alarm, Door, Check or Sleep."""
    detail: int | None = None
    """Number behind the state: Hold:0 has come to rest, Hold:1 still slows down."""
    position: tuple[float, ...]
    """MPos or WPos, as reported [mm or degrees; inches with $13=1]."""
    machine: bool
    """Whether `position` is the machine's (MPos) rather than a work position."""
    offset: tuple[float, ...] | None
    """WCO: work offset, when the report carries it; machine = work + offset."""
    planner_free: int | None
    """Free places in the planner, when the report carries them (Bf)."""


def parse_status(text: str) -> Status | None:
    """A status report, or None for anything else, garbage included."""
    found = _STATUS.fullmatch(text)
    if found is None:
        return None
    fields = dict(part.split(":", 1) for part in found[3].split("|")[1:] if ":" in part)
    try:
        places = fields.get("MPos") or fields["WPos"]
        position = tuple(float(value) for value in places.split(","))
        offset = tuple(float(value) for value in fields["WCO"].split(",")) if "WCO" in fields else None
        free = int(fields["Bf"].split(",")[0]) if "Bf" in fields else None
    except (KeyError, ValueError):
        return None
    return Status(
        state=found[1],
        detail=int(found[2]) if found[2] else None,
        position=position,
        machine="MPos" in fields,
        offset=offset,
        planner_free=free,
    )


def parse_setting(text: str) -> tuple[int, float] | None:
    """(number, value) of a line of `$$`, or None."""
    found = _SETTING.match(text)
    try:
        return (int(found[1]), float(found[2])) if found else None
    except ValueError:
        return None


def parse_banner(text: str) -> tuple[int, int] | None:
    """(major, minor) version of a welcome line, or None."""
    found = _BANNER.match(text)
    return (int(found[1]), int(found[2])) if found else None


def error_text(number: int) -> str:
    """What error:n means."""
    return f"error {number}: {ERRORS.get(number, 'not in the list of GRBL 1.1')}"


def alarm_text(number: int) -> str:
    """What ALARM:n means."""
    return f"alarm {number}: {ALARMS.get(number, 'not in the list of GRBL 1.1')}"
