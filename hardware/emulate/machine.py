"""The mechanics behind an emulated stage controller: a track, a clock, the truth, and encoder pulses.

The controller's emulator plans moves on `track` in its own units and seconds; everything outside asks by
CLOCK_REALTIME and gets metres or radians. `speedup` lets the machine run faster than the wall clock.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from mmsar.hardware.emulate.kinematics import Track

PULSE_POLL = 0.004
"""Pulses are reported at least this often while the machine moves [s of wall clock]; their times are exact."""


class Machine:
    """Drives and table of a stage. Thread-safe."""

    def __init__(
        self,
        start: Sequence[float],
        *,
        speedup: float = 1.0,
        backlash: Sequence[float] = (),
        rotary: Sequence[bool] = (),
    ) -> None:
        """Stand still.

        Parameters
        ----------
        start : sequence of float
            Where the axes stand when the power comes on [mm or degrees], in homed coordinates.
        speedup : float
            Emulated seconds per second.
        backlash : sequence of float
            Play of each axis [mm or degrees].
        rotary : sequence of bool
            Which axes turn.
        """
        self.track = Track(start, backlash=backlash)
        self.lock = threading.RLock()
        self.speedup = float(speedup)
        self._scale = np.array([math.pi / 180 if r else 1e-3 for r in (rotary or [False] * len(start))])
        self._monotonic, self._real = time.monotonic_ns(), time.time_ns()
        self._pulses: tuple[int, float, Callable[[int, int], None]] | None = None
        self._reported = 0.0

    def now(self) -> float:
        """Time of the machine [s]."""
        return (time.monotonic_ns() - self._monotonic) * 1e-9 * self.speedup

    def wall(self, seconds: float) -> float:
        """Wall-clock seconds that `seconds` of the machine last."""
        return max(0.0, seconds) / self.speedup

    def time_ns(self, seconds: float) -> int:
        """CLOCK_REALTIME [ns] of a time of the machine."""
        return self._real + round(seconds / self.speedup * 1e9)

    def position_at(self, time_ns: int) -> np.ndarray:
        """True position of the table [m or rad], (n_axes,), at a CLOCK_REALTIME [ns], past or planned."""
        with self.lock:
            place = self.track.table((time_ns - self._real) * 1e-9 * self.speedup)
        return np.array(place) * self._scale

    def moving(self, time: float | None = None) -> bool:
        """Whether something moves or is planned, now or at a `time` of this machine [s] that was read before."""
        with self.lock:
            return self.track.end > (self.now() if time is None else time)

    def set_pulses(self, axis: int, spacing: float, callback: Callable[[int, int], None]) -> None:
        """Call `callback(time_ns, index)` whenever the drive of `axis` arrives at index * spacing [mm or degrees]."""
        self._pulses = (axis, spacing, callback)
        self._reported = self.now()

    def report_pulses(self) -> float | None:
        """Report the pulses up to now; wall seconds until it should be called again, None at rest."""
        if self._pulses is None:
            return None
        axis, spacing, callback = self._pulses
        with self.lock:
            now = self.now()
            found = self.track.crossings(axis, spacing, self._reported, now)
            self._reported = now
            moving = self.track.end > now
        for seconds, index in found:
            callback(self.time_ns(seconds), index)
        return PULSE_POLL if moving else None
