"""Where an emulated stage is at any time: a list of pieces of constant acceleration, evaluated exactly.

No thread moves anything: a move appends its ramp, its constant part and its ramp; a hold cuts the list and appends the
slowing down. So the truth can be asked for any time, past or planned, and crossings of an encoder grid have exact
times. Positions are in the controller's units (mm or degrees), times in seconds of the emulated machine.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Straight motion at constant acceleration along `way` (unit vector) from `origin`; speed never negative."""

    start: float
    duration: float
    origin: tuple[float, ...]
    way: tuple[float, ...]
    speed: float
    """At the start [unit/s]."""
    acceleration: float

    def travelled(self, time: float) -> float:
        """Distance since the start of the piece."""
        t = min(max(time - self.start, 0.0), self.duration)
        return self.speed * t + 0.5 * self.acceleration * t * t

    def at(self, time: float) -> tuple[float, ...]:
        """Position; that of its end, after it."""
        s = self.travelled(time)
        return tuple(o + s * w for o, w in zip(self.origin, self.way, strict=True))

    def velocity(self, time: float) -> float:
        """Speed along the way; 0 after the end."""
        t = time - self.start
        return max(0.0, self.speed + self.acceleration * t) if 0 <= t < self.duration else 0.0

    def when(self, distance: float) -> float:
        """Time at which `distance` has been travelled; it must lie on the piece."""
        v, a = self.speed, self.acceleration
        root = math.sqrt(max(0.0, v * v + 2 * a * distance))
        t = 2 * distance / (v + root) if v + root > 0 else 0.0
        return self.start + min(max(t, 0.0), self.duration)


class Track:
    """The motion of all axes of a machine, past and planned."""

    def __init__(self, position: Sequence[float], *, backlash: Sequence[float] = ()) -> None:
        """Start at rest.

        Parameters
        ----------
        position : sequence of float
            Where the axes stand at the beginning.
        backlash : sequence of float
            Play of each axis: after a change of direction the table waits until the drive has taken it up; driven
            upwards it stands where the drive is, downwards by the play above it.
        """
        self._rest = tuple(float(p) for p in position)
        self._play = tuple(float(b) for b in backlash) or (0.0,) * len(self._rest)
        self._pieces: list[Piece] = []
        self._starts: list[float] = []
        self._tables: list[tuple[float, ...]] = []  # table position at the start of each piece

    @property
    def end(self) -> float:
        """Time at which everything planned is over; 0 when nothing ever moved."""
        return self._pieces[-1].start + self._pieces[-1].duration if self._pieces else 0.0

    def drive(self, time: float) -> tuple[float, ...]:
        """Position of the drives: what an ideal controller reports."""
        i = bisect.bisect_right(self._starts, time) - 1
        return self._pieces[i].at(time) if i >= 0 else self._rest

    def table(self, time: float) -> tuple[float, ...]:
        """Position of the table: the drives', behind their play."""
        i = bisect.bisect_right(self._starts, time) - 1
        return self._push(self._tables[i], self._pieces[i].at(time)) if i >= 0 else self._rest

    def speed(self, time: float) -> float:
        """Speed along the path."""
        i = bisect.bisect_right(self._starts, time) - 1
        return self._pieces[i].velocity(time) if i >= 0 else 0.0

    def move(self, time: float, target: Sequence[float], *, speed: float, acceleration: float) -> float:
        """Plan a straight move from rest to rest, after everything planned before; returns when it ends."""
        start = max(time, self.end)
        origin = self._pieces[-1].at(math.inf) if self._pieces else self._rest
        step = [b - a for a, b in zip(origin, target, strict=True)]
        distance = math.hypot(*step)
        if distance == 0:
            return start
        way = tuple(s / distance for s in step)
        peak = min(speed, math.sqrt(acceleration * distance))
        ramp = peak / acceleration
        cruise = max(0.0, distance / peak - ramp)
        for duration, v, a in ((ramp, 0.0, acceleration), (cruise, peak, 0.0), (ramp, peak, -acceleration)):
            if duration > 0:
                piece = Piece(start=start, duration=duration, origin=origin, way=way, speed=v, acceleration=a)
                self._append(piece)
                start, origin = start + duration, piece.at(math.inf)
        return start

    def halt(self, time: float, *, acceleration: float) -> float:
        """Drop what is planned after `time` and slow down; returns when the machine stands."""
        while self._pieces and self._starts[-1] >= time:
            for items in (self._pieces, self._starts, self._tables):
                items.pop()
        if not self._pieces or time >= self.end:
            return time
        last = self._pieces[-1]
        speed, origin = last.velocity(time), last.at(time)
        self._pieces[-1] = Piece(
            start=last.start,
            duration=time - last.start,
            origin=last.origin,
            way=last.way,
            speed=last.speed,
            acceleration=last.acceleration,
        )
        if speed > 0 and math.isfinite(acceleration):
            self._append(
                Piece(
                    start=time,
                    duration=speed / acceleration,
                    origin=origin,
                    way=last.way,
                    speed=speed,
                    acceleration=-acceleration,
                )
            )
        return max(time, self.end)

    def crossings(self, axis: int, spacing: float, since: float, until: float) -> list[tuple[float, int]]:
        """(time, index) of every arrival of the drive of `axis` at index * spacing in (since, until].

        Leaving a mark on which the drive stood is no arrival.
        """
        found = []
        for piece in self._pieces[max(0, bisect.bisect_right(self._starts, since) - 1) :]:
            if piece.start > until:
                break
            share = piece.way[axis]
            if abs(share) < 1e-12:
                continue
            a, b = piece.origin[axis] / spacing, piece.at(math.inf)[axis] / spacing
            if share > 0:
                marks = range(math.floor(a + 1e-9) + 1, math.floor(b + 1e-9) + 1)
            else:
                marks = range(math.ceil(a - 1e-9) - 1, math.ceil(b - 1e-9) - 1, -1)
            for mark in marks:
                time = piece.when(min((mark - a) * spacing / share, piece.travelled(math.inf)))
                if since < time <= until:
                    found.append((time, mark))
        return found

    def _append(self, piece: Piece) -> None:
        self._tables.append(self.table(piece.start))
        self._pieces.append(piece)
        self._starts.append(piece.start)

    def _push(self, table: tuple[float, ...], drive: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(min(max(t, d), d + play) for t, d, play in zip(table, drive, self._play, strict=True))
