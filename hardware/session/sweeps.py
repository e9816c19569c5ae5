"""Plans: the sweeps of a stage, row by row, worked out before anything moves.

A sweep drives one axis at constant speed between `start` and `stop` while the radar records; only what lies between
`first` and `last` is used. The rest is the run-up v^2 / 2a in which the stage is not yet, or no longer, at speed v, and
at either end the time between a few reports of the stage, so that places are never interpolated across a change of
speed. With stops, the axis halts at each of them instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import finite_number, one_of, positive_int, real_array
from mmsar.errors import GeometryError
from mmsar.hardware.motion.profile import Trapezoid, run_up

SETTLE = 0.25
"""Time at constant speed before and behind a sweep [s]: two and a half reports of the stage."""
MODES = ("continuous", "step")
MOST = 65_535
"""Most rows, and most places of one: the frames that frameCfg counts."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One row of a raster or one turn of a cylinder, in stage coordinates [m] or [rad]."""

    index: int
    """Number of the sweep, from 0, in the order they are driven."""
    axis: str
    """The axis that moves."""
    others: Mapping[str, float]
    """Where the other axes stand."""
    start: float
    """Where the axis starts, at rest."""
    stop: float
    """Where it ends, at rest."""
    first: float
    """Where the used part begins, in the direction of the motion."""
    last: float
    """Where the used part ends."""
    speed: float
    """Speed [m/s] or [rad/s]."""
    stops: tuple[float, ...] = ()
    """Places to halt at; empty for a continuous sweep."""

    @property
    def direction(self) -> int:
        """+1 towards larger coordinates, -1 towards smaller ones."""
        return 1 if self.last >= self.first else -1

    def begin(self) -> dict[str, float]:
        """Where all axes stand before the sweep."""
        return {**self.others, self.axis: self.start}


@dataclass(frozen=True, kw_only=True)
class Drive:
    """How fast a stage moves, and how it gets there."""

    speed: float
    """Speed during a sweep [m/s] or [rad/s]."""
    acceleration: float
    """Acceleration of the axis [m/s^2] or [rad/s^2]."""
    frame_period: float
    """Time between frames [s]."""
    mode: str = "continuous"
    """"continuous", or "step" to halt at every position."""
    dwell: float = 0.0
    """Time at a halt [s], in mode "step"."""

    def __post_init__(self) -> None:
        for name, unit in (("speed", "m/s or rad/s"), ("acceleration", "m/s^2 or rad/s^2"), ("frame_period", "s")):
            value = finite_number(f"Drive.{name}", getattr(self, name), unit, above=0.0)
            object.__setattr__(self, name, value)
        one_of("Drive.mode", self.mode, MODES)
        if self.mode == "step" and not self.dwell >= 2 * self.frame_period:
            raise GeometryError(
                f"Drive.dwell: got {self.dwell:g} s, wanted at least {2 * self.frame_period:g} s, two frame periods, "
                "so that a whole frame falls into every halt"
            )

    @property
    def run_up(self) -> float:
        """Way from rest until reports and frames at speed precede the sweep [m] or [rad]; 0 in mode "step"."""
        if self.mode == "step":
            return 0.0
        return run_up(self.speed, self.acceleration) + self.speed * max(self.frame_period, SETTLE)

    def sweep_time(self, sweep: Sweep) -> float:
        """Time of a sweep from rest to rest, halts included [s]."""
        if sweep.stops:
            steps = np.abs(np.diff(sweep.stops))
            return float(sum(self.move_time(step) for step in steps) + self.dwell * len(sweep.stops))
        return self.move_time(abs(sweep.stop - sweep.start))

    def move_time(self, distance: float) -> float:
        """Time of a move from rest to rest [s]."""
        return Trapezoid(distance=distance, speed=self.speed, acceleration=self.acceleration).duration


def raster_sweeps(
    shape: tuple[int, int],
    step: tuple[float, float],
    drive: Drive,
    *,
    centre: tuple[float, float] = (0.0, 0.0),
    serpentine: bool = True,
) -> tuple[Sweep, ...]:
    """The rows of a planar raster, along stage axis x, from low y to high y.

    Parameters
    ----------
    shape : (n_y, n_x)
        Rows and positions per row.
    step : (step_x, step_y)
        Distances [m].
    drive : Drive
        Speeds.
    centre : (x, y)
        Stage coordinates of the raster's centre [m].
    serpentine : bool
        Every second row runs backwards.

    Raises
    ------
    GeometryError
        Counts below 1 or above `MOST`, or steps that are not above 0.
    """
    n_y, n_x = (_count(f"raster {name}", n) for name, n in zip(("rows", "columns"), shape, strict=True))
    step_x, step_y = (
        finite_number(f"raster step_{name}", s, "m", above=0.0 if n > 1 else None)
        for name, s, n in zip("xy", step, (n_x, n_y), strict=True)
    )
    x = centre[0] + (np.arange(n_x) - (n_x - 1) / 2) * step_x
    y = centre[1] + (np.arange(n_y) - (n_y - 1) / 2) * step_y
    return tuple(
        _sweep(row, "x", x if row % 2 == 0 or not serpentine else x[::-1], {"y": float(y[row])}, drive)
        for row in range(n_y)
    )


def cylinder_sweeps(
    n_angles: int,
    drive: Drive,
    *,
    heights: Sequence[float] = (),
    start: float = 0.0,
    span: float = 2 * np.pi,
    serpentine: bool = True,
) -> tuple[Sweep, ...]:
    """The turns of a turntable, stage axis angle, one for every height of stage axis y.

    Parameters
    ----------
    n_angles : int
        Angles, equally spaced over `span`; the end point is left out, as it is the first one of a full turn.
    drive : Drive
        Speeds, in radians.
    heights : sequence of float
        Stage coordinates y of the turns [m]; empty: the stage has no axis y.
    start, span : float
        First stage angle and total angle [rad].
    serpentine : bool
        Every second turn runs backwards; otherwise the table turns back between them.

    Raises
    ------
    GeometryError
        Fewer than two angles or more than `MOST`, or a span that is 0 or more than a turn.
    """
    n = _count("cylinder angles", n_angles)
    span = finite_number("cylinder span", span, "rad", above=0.0)
    if n < 2 or span > 2 * np.pi * (1 + 1e-9):
        raise GeometryError(
            f"cylinder: got {n} angles over {np.rad2deg(span):g} degrees, wanted 2 or more within 360 degrees"
        )
    angle = finite_number("cylinder start", start, "rad") + span * np.arange(n) / n
    rows = [{}] if len(heights) == 0 else [{"y": float(h)} for h in real_array("heights", heights, (None,), "m")]
    return tuple(
        _sweep(i, "angle", angle if i % 2 == 0 or not serpentine else angle[::-1], others, drive)
        for i, others in enumerate(rows)
    )


def _count(name: str, value: object) -> int:
    count = positive_int(name, value)
    if count > MOST:
        raise GeometryError(f"{name}: got {count}, wanted at most {MOST}, the frames a radar counts")
    return count


def _sweep(index: int, axis: str, places: np.ndarray, others: Mapping[str, float], drive: Drive) -> Sweep:
    first, last = float(places[0]), float(places[-1])
    sign = 1 if last >= first else -1
    if len(places) == 1 and drive.mode == "continuous":
        raise GeometryError(
            'raster columns: got 1 with mode "continuous", wanted 2 or more, or mode "step" for a single column'
        )
    return Sweep(
        index=index,
        axis=axis,
        others=others,
        start=first - sign * drive.run_up,
        stop=last + sign * drive.run_up,
        first=first,
        last=last,
        speed=drive.speed,
        stops=tuple(float(p) for p in places) if drive.mode == "step" else (),
    )


def extent(sweeps: Sequence[Sweep]) -> dict[str, tuple[float, float]]:
    """Smallest and largest coordinate of every axis, run-ups included [m] or [rad]."""
    places: dict[str, list[float]] = {}
    for sweep in sweeps:
        places.setdefault(sweep.axis, []).extend([sweep.start, sweep.stop])
        for axis, place in sweep.others.items():
            places.setdefault(axis, []).append(place)
    return {axis: (min(values), max(values)) for axis, values in places.items()}
