"""What a user declares about a log because its file does not say it."""

from dataclasses import dataclass, fields

from mmsar.core.checks import one_of
from mmsar.errors import GeometryError

ROTATIONS = ("helical", "euler-xyz", "euler-xyz-fixed")
LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
DIRECTIONS = ("ccw", "cw")
TIMES = {"s": 9, "ms": 6, "us": 3, "ns": 0}
"""Time units: power of ten that makes them nanoseconds."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """Facts told beside the file; None where nothing was told.

    Raises
    ------
    GeometryError
        A value outside its choices.
    """

    body: str | None = None
    """Which body, child frame, rigid body or marker of several."""
    rotation: str | None = None
    """How three rotation columns are meant: "helical" (rotation vector), "euler-xyz" (about the moving axes x, y, z:
    Rx Ry Rz) or "euler-xyz-fixed" (about the fixed axes: Rz Ry Rx)."""
    units: str | None = None
    """Length unit of the columns: m, cm or mm."""
    time_unit: str | None = None
    """Time unit of the time column: s, ms, us or ns."""
    zone: str | None = None
    """Time zone of a start time in local time: an IANA name or an offset as +02:00."""
    clock: str | None = None
    """Clock of the stamps, or which of several clocks in the file."""
    topic: str | None = None
    """Topic of a bag."""
    frame: str | None = None
    """Fixed (parent) frame of a chain of transforms."""
    sigma: float | None = None
    """Standard error of a position [m]."""
    radius: float | None = None
    """Distance of the board from the axis of a turntable [m]."""
    start: float | None = None
    """Angle of the board at table angle 0 [rad]; default -pi/2, where it looks along +z."""
    direction: str | None = None
    """Which way a turntable's angle grows, seen from above: "ccw" (the default) or "cw"."""

    def __post_init__(self) -> None:
        for name, choices in (
            ("rotation", ROTATIONS),
            ("units", tuple(LENGTHS)),
            ("time_unit", tuple(TIMES)),
            ("direction", DIRECTIONS),
        ):
            if getattr(self, name) is not None:
                one_of(f"read_track {name}", getattr(self, name), choices)

    def refuse_unused(self, kind: str, used: frozenset[str]) -> None:
        """Raise GeometryError for a fact that the format `kind` states itself or cannot hold."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name not in used | {"sigma"}:
                name = field.name.replace("_", "-")
                raise GeometryError(f"{name}: got {value!r}, which a {kind} log has no use for; leave it out")
