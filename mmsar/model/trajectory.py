"""The trajectory: where the board is and how it is turned, over time.

A board-frame point b sits at R(q) b + p in the world, with q a unit quaternion (x, y, z, w). Planar apertures lie near
z = 0 and look along +z; a turntable turns about the world's y axis.
"""

from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import finite_number, one_of, positive_int, real_array
from mmsar.errors import GeometryError
from mmsar.model.rotation import from_rotation_vectors, matrices, poses_round_y, slerp

COARSEST_TURNS = 0.1
"""Median step of angles over more than one turn from which on they are taken for degrees [rad]."""
GAP_FACTOR = 2.0
"""A step between poses longer than this many median steps is a pause (a row turnaround), not motion."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """Poses of the board, in the order they were taken.

    Raises
    ------
    GeometryError
        Wrong shapes, values that are not finite, time running backwards, or quaternions that are not of unit length.

    Examples
    --------
    >>> import mmsar
    >>> path = mmsar.Trajectory.raster((3, 100), (1e-3, 7.59e-3))
    >>> len(path), path.is_rotated
    (300, False)
    >>> mmsar.Trajectory.turntable(360, 0.25).position[90].round(3)
    array([0.25, 0.  , 0.  ])
    """

    time: np.ndarray
    """Time of the first transmit slot of every pose [s], (n_pose,), not decreasing."""
    position: np.ndarray
    """Origin of the board frame in the world [m], (n_pose, 3)."""
    rotation: np.ndarray | None = None
    """Board to world, unit quaternion x, y, z, w, (n_pose, 4). Default: no rotation."""

    def __post_init__(self) -> None:
        position = real_array("Trajectory.position", self.position, (None, 3), "m")
        n = len(position)
        time = real_array("Trajectory.time", self.time, (n,), "s")
        if np.any(np.diff(time) < 0):
            raise GeometryError("Trajectory.time: got decreasing times, wanted poses in the order they were taken [s]")
        given = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (n, 4)) if self.rotation is None else self.rotation
        rotation = real_array("Trajectory.rotation", given, (n, 4), "unit quaternion x, y, z, w")
        length = np.linalg.norm(rotation, axis=1)
        if np.any(np.abs(length - 1) > 1e-3):
            worst = float(length[np.argmax(np.abs(length - 1))])
            raise GeometryError(
                f"Trajectory.rotation: got a quaternion of length {worst:.4g}, wanted unit quaternions x, y, z, w"
            )
        rotation = rotation / length[:, None]
        rotation.flags.writeable = False
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "rotation", rotation)

    def __len__(self) -> int:
        return len(self.position)

    @property
    def is_rotated(self) -> bool:
        """Whether any pose is turned away from the world axes by more than a microradian."""
        return bool(np.any(np.abs(self.rotation[:, :3]) > 5e-7))

    def matrices(self) -> np.ndarray:
        """Rotation matrices board to world, (n_pose, 3, 3)."""
        return matrices(self.rotation)

    def at(self, time: np.ndarray) -> "Trajectory":
        """Poses at other times: linear in position, spherical-linear in rotation.

        Parameters
        ----------
        time : array_like
            Times [s] within the trajectory's own, not decreasing.

        Raises
        ------
        GeometryError
            A time outside the trajectory: it is never extrapolated.
        """
        time = real_array("Trajectory.at time", np.atleast_1d(time), (None,), "s")
        if time.min() < self.time[0] or time.max() > self.time[-1]:
            raise GeometryError(
                f"Trajectory.at: got times {time.min():.6g} to {time.max():.6g} s, "
                f"wanted them within {self.time[0]:.6g} to {self.time[-1]:.6g} s"
            )
        if len(self) == 1:
            return Trajectory(
                time=time, position=self.position[[0] * len(time)], rotation=self.rotation[[0] * len(time)]
            )
        left = np.clip(np.searchsorted(self.time, time, side="right") - 1, 0, len(self) - 2)
        span = self.time[left + 1] - self.time[left]
        u = np.where(span > 0, (time - self.time[left]) / np.where(span > 0, span, 1.0), 0.0)
        position = self.position[left] + u[:, None] * (self.position[left + 1] - self.position[left])
        return Trajectory(time=time, position=position, rotation=slerp(self.rotation[left], self.rotation[left + 1], u))

    def after(self, delay: float) -> "Trajectory":
        """Every pose moved on by `delay` [s]: where the board is in a later transmit slot.

        The motion is that of the step to the next pose; at the end, or before a pause longer than two median steps
        (a row turnaround), that of the step before. A single pose does not move.
        """
        delay = finite_number("Trajectory.after delay", delay, "s")
        n = len(self)
        if delay == 0 or n == 1:
            return Trajectory(time=self.time + delay, position=self.position, rotation=self.rotation)
        step = np.diff(self.time)
        moving = (step > 0) & (step <= GAP_FACTOR * np.median(step[step > 0])) if np.any(step > 0) else step > 0
        forward = np.append(moving, False)
        backward = np.insert(moving, 0, False) & ~forward
        start = np.arange(n) - backward
        used = forward | backward
        stop = np.minimum(start + 1, n - 1)
        span = np.where(used, self.time[stop] - self.time[start], 1.0)
        u = np.where(used, (self.time - self.time[start] + delay) / span, 0.0)
        position = np.where(
            used[:, None],
            self.position[start] + u[:, None] * (self.position[stop] - self.position[start]),
            self.position,
        )
        rotation = np.where(used[:, None], slerp(self.rotation[start], self.rotation[stop], u), self.rotation)
        return Trajectory(time=self.time + delay, position=position, rotation=rotation)

    @classmethod
    def raster(
        cls,
        shape: tuple[int, int],
        step: tuple[float, float],
        *,
        serpentine: bool = True,
        z: float = 0.0,
        period: float = 5e-3,
    ) -> "Trajectory":
        """A planar raster centred on (0, 0, z), rows along x, from low y to high y.

        Parameters
        ----------
        shape : (n_y, n_x)
            Rows and positions per row.
        step : (step_x, step_y)
            Distances [m].
        serpentine : bool
            Every second row runs backwards; otherwise all rows run towards +x, with a pause of one row between.
        z : float
            Height of the aperture plane [m].
        period : float
            Time between positions [s].
        """
        n_y, n_x = (positive_int(f"Trajectory.raster {n}", v) for n, v in zip(("n_y", "n_x"), shape, strict=True))
        x = (np.arange(n_x) - (n_x - 1) / 2) * finite_number("Trajectory.raster step x", step[0], "m")
        y = (np.arange(n_y) - (n_y - 1) / 2) * finite_number("Trajectory.raster step y", step[1], "m")
        xx = np.tile(x, (n_y, 1))
        if serpentine:
            xx[1::2] = xx[1::2, ::-1]
        position = np.stack([xx, np.repeat(y[:, None], n_x, axis=1), np.full((n_y, n_x), float(z))], axis=-1)
        slots = np.arange(n_y * n_x).reshape(n_y, n_x)
        if not serpentine:
            slots = slots + np.arange(n_y)[:, None] * max(n_x, 3)
        return cls(time=slots.ravel() * float(period), position=position.reshape(-1, 3))

    @classmethod
    def linear(cls, n: int, step: float, *, axis: str = "x", z: float = 0.0, period: float = 5e-3) -> "Trajectory":
        """`n` positions `step` [m] apart along "x" or "y", centred on (0, 0, z)."""
        index = {"x": 0, "y": 1}.get(axis)
        if index is None:
            raise GeometryError(f"Trajectory.linear axis: got {axis!r}, wanted x or y")
        n = positive_int("Trajectory.linear n", n)
        position = np.zeros((n, 3))
        position[:, 2] = z
        position[:, index] = (np.arange(n) - (n - 1) / 2) * finite_number("Trajectory.linear step", step, "m")
        return cls(time=np.arange(n) * float(period), position=position)

    @classmethod
    def freehand(
        cls,
        shape: tuple[int, int],
        step: tuple[float, float],
        *,
        motion: tuple[float, float, float] = (2e-3, 2e-3, 15e-3),
        rotation: float = 0.0,
        seed: int = 0,
    ) -> "Trajectory":
        """A serpentine sweep by a hand: smooth wandering in position and rotation about a raster's rows.

        Parameters
        ----------
        shape : (n_y, n_x)
            Rows and positions per row of the nominal sweep.
        step : (step_x, step_y)
            Nominal distances [m].
        motion : (x, y, z)
            Largest deviation from the nominal sweep along each axis [m].
        rotation : float
            Largest rotation angle about each axis [rad].
        seed : int
            Seed; the same seed gives the same hand.
        """
        base = cls.raster(shape, step)
        rng = np.random.default_rng(seed)
        amplitude = np.array([*real_array("Trajectory.freehand motion", motion, (3,), "m"), *([float(rotation)] * 3)])
        wander = np.stack([_smooth_noise(len(base), shape[1], rng) for _ in range(6)], axis=1) * amplitude
        return cls(
            time=base.time,
            position=base.position + wander[:, :3],
            rotation=from_rotation_vectors(wander[:, 3:]),
        )

    @classmethod
    def turntable(
        cls,
        angles: int | np.ndarray,
        radius: float,
        *,
        heights: np.ndarray | None = None,
        start: float = -np.pi / 2,
        span: float | None = None,
        direction: int = 1,
        fastest: str = "angle",
    ) -> "Trajectory":
        """The board on a cylinder about the y axis, looking at the axis: the equivalent of a target on a turntable.

        With the table at the angle t, the board stands at a = start + direction t, at (R cos a, y, R sin a). Between
        turns (or, with the heights fastest, between columns) there is a pause of one of them.

        Parameters
        ----------
        angles : int or array_like
            Number of table angles t, equally spaced over `span` (the end point excluded); or the angles themselves,
            (n,) [rad], within one turn, in the order they are taken.
        radius : float
            Distance R of the board's origin from the axis [m].
        heights : array_like, optional
            y of each turn [m]; default one turn at y = 0.
        start, span : float
            Board angle a at t = 0, by default -pi/2, where the board looks along +z; and the total angle, by default a
            full turn (not with a list of angles) [rad].
        direction : int
            +1: the target turns counter-clockwise seen from above (about +y), so that a grows; -1: clockwise.
        fastest : "angle" or "height"
            What runs first: turns of the table at one height after the other, or lifts of the board at one angle after
            the other (an array swept on a cylinder).

        Raises
        ------
        GeometryError
            A radius or a span that is not above 0, angles beyond one turn (degrees by mistake), no angles or heights.
        """
        radius = finite_number("Trajectory.turntable radius", radius, "m", above=0.0)
        start = _radians("start", finite_number("Trajectory.turntable start", start, "rad"), turns=2)
        if direction not in (1, -1):
            raise GeometryError(f"Trajectory.turntable direction: got {direction!r}, wanted +1 or -1")
        turned = start + direction * _table_angles(angles, span)
        rows = real_array("Trajectory.turntable heights", [0.0] if heights is None else heights, (None,), "m")
        turns = one_of("Trajectory.turntable fastest", fastest, ("angle", "height")) == "angle"
        slow, fast = (rows, turned) if turns else (turned, rows)
        outer, inner = np.repeat(slow, len(fast)), np.tile(fast, len(slow))
        slots = np.arange(len(outer)) + np.repeat(np.arange(len(slow)), len(fast)) * max(len(fast), 3)
        angle, height = (inner, outer) if turns else (outer, inner)
        position, rotation = poses_round_y(angle, height, radius)
        return cls(time=slots * 5e-3, position=position, rotation=rotation)

    @classmethod
    def around(
        cls, angle: np.ndarray, radius: float, *, height: np.ndarray | float = 0.0, time: np.ndarray | None = None
    ) -> "Trajectory":
        """The board at any angles and heights of a cylinder about the y axis: logged ones, say, or a helix.

        Parameters
        ----------
        angle : array_like
            a of every pose, (n,) [rad]; the board is at (R cos a, y, R sin a) and looks at the axis. Over any number
            of turns, in steps of less than 0.1 rad there: wider ones are taken for degrees, unless they are given
            modulo 2 pi.
        radius : float
            Distance R of the board's origin from the axis [m].
        height : array_like or float
            y of every pose [m], (n,) or one for all.
        time : array_like, optional
            Time of every pose [s], (n,); default every 5 ms.

        Raises
        ------
        GeometryError
            A radius that is not above 0, arrays of other lengths, values that are not finite, angles beyond one turn
            in wide steps (degrees by mistake).
        """
        angle = real_array("Trajectory.around angle", angle, (None,), "rad")
        _not_degrees(angle)
        radius = finite_number("Trajectory.around radius", radius, "m", above=0.0)
        n = len(angle)
        height = real_array(
            "Trajectory.around height", np.full(n, height) if np.ndim(height) == 0 else height, (n,), "m"
        )
        position, rotation = poses_round_y(angle, height, radius)
        return cls(time=np.arange(n) * 5e-3 if time is None else time, position=position, rotation=rotation)


def _table_angles(angles: int | np.ndarray, span: float | None) -> np.ndarray:
    """Angles of a turntable, (n,) [rad], from their number and span or as they are given."""
    if np.ndim(angles) == 0:
        n = positive_int("Trajectory.turntable angles", angles)
        whole = 2 * np.pi if span is None else finite_number("Trajectory.turntable span", span, "rad", above=0.0)
        return _radians("span", whole) * np.arange(n) / n
    if span is not None:
        raise GeometryError("Trajectory.turntable: got both a list of angles and a span, wanted one of them")
    given = real_array("Trajectory.turntable angles", angles, (None,), "rad")
    _radians("angles", float(np.ptp(given)), got=f"angles up to {given[np.argmax(np.abs(given))]:g}")
    return given


def _radians(name: str, value: float, *, turns: int = 1, got: str = "") -> float:
    """The value itself when it is at most so many turns; `got` says in other words what there was."""
    if abs(value) > 2 * np.pi * turns * (1 + 1e-6):
        raise GeometryError(
            f"Trajectory.turntable {name}: got {got or f'{value:g}'}, wanted radians (a turn is 6.28); use "
            "numpy.deg2rad, or Trajectory.around for more than a turn"
        )
    return value


def _not_degrees(angle: np.ndarray) -> None:
    """Refuse angles (n,) that go beyond a turn in steps that no scan has in radians."""
    turns = max(float(np.ptp(angle)), float(np.abs(angle).max()) / 2) / (2 * np.pi)
    step = float(np.median(np.abs(np.diff(angle)))) if len(angle) > 1 else np.inf
    if turns > 1 + 1e-6 and step > COARSEST_TURNS:
        steps = f" in steps of {step:g}" if len(angle) > 1 else ""
        raise GeometryError(
            f"Trajectory.around angle: got angles up to {angle[np.argmax(np.abs(angle))]:g}{steps}, wanted radians (a "
            "turn is 6.28); use numpy.deg2rad, or give radians of several turns modulo 2 pi"
        )


def _smooth_noise(n: int, correlation: int, rng: np.random.Generator) -> np.ndarray:
    """Zero-mean noise of peak 1 whose spectrum falls as a Gaussian of a few cycles per `correlation` samples."""
    frequency = np.fft.rfftfreq(n) * correlation
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    noise = np.fft.irfft(spectrum * np.exp(-0.5 * frequency**2), n)
    noise -= noise.mean()
    peak = np.abs(noise).max()
    return noise / peak if peak > 0 else noise
