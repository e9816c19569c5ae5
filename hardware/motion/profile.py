"""Motion at limited acceleration: how long a move takes, and where along a row the speed is constant.

A stage that starts and stops at rest with acceleration a reaches speed v after t = v / a and d = v^2 / (2 a) (the
run-up). A move of length D >= 2 d is a trapezoid in speed: D / v + v / a long; a shorter one is a triangle that peaks
at sqrt(a D). A scan uses the constant part only, so a row is driven from d before its first position to d behind its
last one.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import finite_number


def run_up(speed: float, acceleration: float) -> float:
    """Distance from rest to `speed` [m/s] at `acceleration` [m/s^2]: v^2 / (2 a) [m]; angles likewise."""
    speed = finite_number("run_up speed", speed, "m/s", above=0)
    return speed * speed / (2 * finite_number("run_up acceleration", acceleration, "m/s^2", above=0))


@dataclass(frozen=True, kw_only=True)
class Trapezoid:
    """A move from rest to rest: up at constant acceleration, along at constant speed, down.

    Raises
    ------
    GeometryError
        A negative or infinite distance, or a speed or acceleration that is not above 0.
    """

    distance: float
    """Length of the move [m], >= 0."""
    speed: float
    """Speed asked for [m/s]."""
    acceleration: float
    """Acceleration and deceleration [m/s^2]."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "distance", finite_number("Trapezoid.distance", self.distance, "m", above=-1e-300))
        for name, unit in (("speed", "m/s"), ("acceleration", "m/s^2")):
            object.__setattr__(self, name, finite_number(f"Trapezoid.{name}", getattr(self, name), unit, above=0))

    @property
    def peak(self) -> float:
        """Speed that is really reached [m/s]."""
        return float(min(self.speed, np.sqrt(self.acceleration * self.distance)))

    @property
    def ramp_time(self) -> float:
        """Duration of each ramp [s]."""
        return self.peak / self.acceleration

    @property
    def cruise_time(self) -> float:
        """Duration at constant speed [s]; 0 for a move too short to reach it."""
        if self.peak < self.speed or self.distance == 0:
            return 0.0
        return max(0.0, self.distance / self.speed - self.speed / self.acceleration)

    @property
    def duration(self) -> float:
        """Duration of the whole move [s]."""
        return 2 * self.ramp_time + self.cruise_time

    def position(self, time: np.ndarray | float) -> np.ndarray:
        """Distance covered [m] at times [s] after the start; 0 before, `distance` after."""
        t = np.clip(np.asarray(time, dtype=np.float64), 0.0, self.duration)
        ramp, a = self.ramp_time, self.acceleration
        up = 0.5 * a * np.minimum(t, ramp) ** 2
        along = self.peak * np.clip(t - ramp, 0.0, self.cruise_time)
        left = np.clip(t - ramp - self.cruise_time, 0.0, ramp)
        return np.minimum(up + along + self.peak * left - 0.5 * a * left**2, self.distance)

    def velocity(self, time: np.ndarray | float) -> np.ndarray:
        """Speed [m/s] at times [s] after the start; 0 outside the move."""
        t = np.asarray(time, dtype=np.float64)
        v = np.minimum(np.minimum(self.acceleration * t, self.acceleration * (self.duration - t)), self.peak)
        return np.maximum(v, 0.0)


@dataclass(frozen=True, kw_only=True)
class RowMotion:
    """One row driven without a stop: from rest before it, through it at constant speed, to rest behind it."""

    start: float
    """Where the stage starts [m]."""
    stop: float
    """Where the stage comes to rest [m]."""
    first: float
    """Where the section at constant speed begins [m]."""
    last: float
    """Where it ends [m]."""
    profile: Trapezoid
    """The move from `start` to `stop`."""
    t_first: float
    """Time of `first` after the start of the move [s]."""
    t_last: float
    """Time of `last` after the start of the move [s]."""

    @property
    def duration(self) -> float:
        """Duration of the move, ramps included [s]."""
        return self.profile.duration

    def position(self, time: np.ndarray | float) -> np.ndarray:
        """Nominal position [m] at times [s] after the start of the move."""
        return self.start + np.sign(self.stop - self.start) * self.profile.position(time)


def row_motion(first: float, last: float, *, speed: float, acceleration: float, settle: float = 0.0) -> RowMotion:
    """The move that passes from `first` to `last` [m] at constant `speed` [m/s].

    Parameters
    ----------
    acceleration : float
        Acceleration of the stage [m/s^2]; take the controller's setting, or less.
    settle : float
        Time at constant speed before `first` and behind `last` [s], for vibrations and late starts.

    Raises
    ------
    GeometryError
        Values that are not finite, a row without length, or a speed or acceleration that is not above 0.
    """
    first, last = finite_number("row_motion first", first, "m"), finite_number("row_motion last", last, "m")
    length = finite_number("row_motion length", abs(last - first), "m", above=0)
    settle = finite_number("row_motion settle", settle, "s", above=-1e-300)
    lead = run_up(speed, acceleration) + settle * speed
    way = 1.0 if last > first else -1.0
    profile = Trapezoid(distance=length + 2 * lead, speed=speed, acceleration=acceleration)
    t_first = speed / acceleration + settle
    return RowMotion(
        start=first - way * lead,
        stop=last + way * lead,
        first=first,
        last=last,
        profile=profile,
        t_first=t_first,
        t_last=t_first + length / speed,
    )
