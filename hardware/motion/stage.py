"""What every stage offers: axes in metres and radians, checked moves, states with a time, and one way to open it.

A position is what the controller reports, never what was commanded. Where the table really is depends on the direction
it came from (backlash) and on the age of the report (latency); both are data of an `Axis`, applied by `Axis.actual`
when poses are made, not hidden in the reports.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mmsar.core.checks import finite_number, one_of
from mmsar.errors import GeometryError

KINDS = ("grbl", "amc4030", "zaber")
"""Controllers that `open_stage` knows."""


@dataclass(frozen=True, kw_only=True)
class StageState:
    """What a controller reported, and when."""

    time_ns: int
    """CLOCK_REALTIME [ns] at the middle of the query."""
    position: Mapping[str, float]
    """Position of every axis [m or rad], in the axes' own coordinates."""
    idle: bool
    """Whether the controller says that nothing moves and nothing is queued."""
    alarm: str | None = None
    """What is wrong, or None."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: its name, its channel of the controller, its limits and what is known of its errors.

    Raises
    ------
    GeometryError
        Limits that are not finite or not rising, or a negative speed, backlash or tolerance.
    """

    name: str
    """Name used in targets and states, as "x" or "angle"."""
    low: float
    """Lowest position allowed [m or rad]."""
    high: float
    """Highest position allowed [m or rad]."""
    channel: str | None = None
    """Channel of the controller: "X", "Y", "Z" (GRBL, AMC4030), "1" or "2.1" (Zaber: axis, or device.axis).
    Default: the name in capitals where it is x, y or z."""
    rotary: bool = False
    """Whether the axis turns: radians here, degrees in the controller."""
    reverse: bool = False
    """Whether the axis runs against the controller's."""
    zero: float = 0.0
    """Where this axis has its zero, in the controller's coordinates [m or rad]."""
    max_speed: float | None = None
    """Highest speed allowed [m/s or rad/s]; None: what the controller allows."""
    tolerance: float = 20e-6
    """How far from its target the axis may stand when it is called arrived [m or rad]."""
    backlash: float = 0.0
    """What the table lags behind the report after a move towards lower positions [m or rad], >= 0."""
    latency: float = 0.0
    """Age of a reported position at the time it is stamped with [s]."""

    def __post_init__(self) -> None:
        unit = self.unit
        for name in ("low", "high", "zero", "backlash", "tolerance", "latency"):
            label = f"Axis {self.name} {name}"
            object.__setattr__(
                self, name, finite_number(label, getattr(self, name), "s" if name == "latency" else unit)
            )
        if not self.low < self.high:
            raise GeometryError(
                f"Axis {self.name} limits: got {self.low:g} to {self.high:g}, wanted low < high [{unit}]"
            )
        for name in ("backlash", "tolerance"):
            if getattr(self, name) < 0:
                raise GeometryError(f"Axis {self.name} {name}: got {getattr(self, name):g}, wanted >= 0 [{unit}]")
        if self.max_speed is not None:
            object.__setattr__(
                self, "max_speed", finite_number(f"Axis {self.name} max_speed", self.max_speed, f"{unit}/s", above=0)
            )
        if self.channel is None:
            if self.name.lower() not in ("x", "y", "z"):
                raise GeometryError(f"Axis {self.name} channel: got none, wanted the controller's channel, as X or 1")
            object.__setattr__(self, "channel", self.name.upper())

    @property
    def unit(self) -> str:
        """ "m" or "rad"."""
        return "rad" if self.rotary else "m"

    @property
    def scale(self) -> float:
        """Controller units (mm or degrees) per metre or radian, with the sign of the direction."""
        return (180 / math.pi if self.rotary else 1e3) * (-1 if self.reverse else 1)

    def to_controller(self, value: float) -> float:
        """A position of this axis in the controller's coordinates [mm or degrees]."""
        return value * self.scale + self.zero * abs(self.scale)

    def from_controller(self, value: float) -> float:
        """A position of the controller [mm or degrees] in this axis' coordinates [m or rad]."""
        return (value - self.zero * abs(self.scale)) / self.scale

    def actual(self, reported: float, velocity: float, *, backward: bool | None = None) -> float:
        """Where the table was at the time of a report [m or rad].

        Holds once a move has taken up the slack, so for all of a row's section at constant speed.

        Parameters
        ----------
        reported : float
            Reported position [m or rad].
        velocity : float
            Velocity at that time [m/s or rad/s].
        backward : bool, optional
            Whether the table came from higher positions; default: whether `velocity` is negative. For an axis at rest.
        """
        backward = velocity < 0 if backward is None else backward
        return reported + self.latency * velocity + (self.backlash if backward else 0.0)


class Stage(Protocol):
    """A stage. Positions and speeds in m, m/s or rad, rad/s."""

    axes: tuple[str, ...]
    """Names of the axes."""

    def home(self) -> None:
        """Drive to the reference and wait for it."""

    def move_to(self, target: Mapping[str, float], *, speed: float) -> None:
        """Start an absolute move; returns once the controller accepted it."""

    def state(self) -> StageState:
        """Ask the controller."""

    def wait_idle(self, *, timeout: float) -> StageState:
        """Wait until the last move is confirmed to have ended at its target."""

    def stop(self) -> None:
        """Stop now; from any thread."""

    def close(self) -> None:
        """Let go of the controller."""


def check_target(axes: Sequence[Axis], target: Mapping[str, float], speed: float) -> dict[str, float]:
    """A target and speed, checked before anything moves.

    Returns
    -------
    dict
        The target as floats [m or rad].

    Raises
    ------
    GeometryError
        An unknown axis, a position outside the soft limits, metres and radians in one move, a speed that is not
        finite, not above 0, or above an axis' limit.
    """
    known = {axis.name: axis for axis in axes}
    if not target:
        raise GeometryError(f"move_to target: got no axis, wanted some of {', '.join(known)}")
    checked = {}
    for name, value in target.items():
        axis = known[one_of("move_to axis", name, tuple(known))]
        value = finite_number(f"move_to {name}", value, axis.unit)
        if not axis.low <= value <= axis.high:
            raise GeometryError(
                f"move_to {name}: got {value:.6g}, wanted {axis.low:.6g} to {axis.high:.6g} [{axis.unit}] (soft limits)"
            )
        checked[name] = value
    moved = [known[name] for name in checked]
    if len({axis.rotary for axis in moved}) > 1:
        raise GeometryError(
            "move_to target: got linear and rotary axes in one move, wanted one kind; its speed has one unit"
        )
    speed = finite_number("move_to speed", speed, f"{moved[0].unit}/s", above=0)
    if len(moved) == 1 and moved[0].max_speed is not None and speed > moved[0].max_speed * (1 + 1e-9):
        raise GeometryError(
            f"move_to speed: got {speed:g}, wanted at most {moved[0].max_speed:g} [{moved[0].unit}/s] "
            f"for axis {moved[0].name}"
        )
    return checked


def check_speed(axes: Sequence[Axis], start: Mapping[str, float], target: Mapping[str, float], speed: float) -> None:
    """Raise GeometryError when a straight move at `speed` would drive one of its axes faster than it may go."""
    steps = {axis.name: target[axis.name] - start[axis.name] for axis in axes if axis.name in target}
    length = math.hypot(*steps.values())
    for axis in axes:
        share = abs(steps.get(axis.name, 0.0)) / length if length else 0.0
        if axis.max_speed is not None and speed * share > axis.max_speed * (1 + 1e-6):
            raise GeometryError(
                f"move_to speed: got {speed:g}, which is {speed * share:g} along {axis.name}, "
                f"wanted at most {axis.max_speed:g} [{axis.unit}/s] there"
            )


def open_stage(kind: str, port: str, *, axes: Sequence[Axis], **options: Any) -> Stage:
    """Connect to a stage.

    Parameters
    ----------
    kind : str
        "grbl", "amc4030" or "zaber".
    port : str
        Serial port, as /dev/ttyUSB0.
    axes : sequence of Axis
        The axes in use, with their limits.
    options
        Those of GrblStage, Amc4030Stage or ZaberStage: `trust_position`, `home_timeout`, the AMC4030's scales.

    Raises
    ------
    GeometryError
        An unknown kind, or axes that the controller cannot have.
    CaptureError
        A port that cannot be opened, a controller that does not answer or is another one.
    """
    one_of("stage kind", kind, KINDS)
    if kind == "grbl":
        from mmsar.hardware.motion.grbl import GrblStage

        return GrblStage(port, axes=axes, **options)
    if kind == "amc4030":
        from mmsar.hardware.motion.amc4030 import Amc4030Stage

        return Amc4030Stage(port, axes=axes, **options)
    from mmsar.hardware.motion.zaber import ZaberStage

    return ZaberStage(port, axes=axes, **options)
