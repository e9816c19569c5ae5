"""A hand that moves the board, and a tracker that logs it.

The hand sweeps to and fro along x while it goes up along y, with a tremor in position and angle: smooth functions of
time, so that poses can be had at any instant. The tracker writes them as a TUM trajectory (seconds, metres, x y z w)
while time passes, with noise of its own and, if wanted, a clock that is off.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Self

import numpy as np

from mmsar.core.checks import finite_number
from mmsar.hardware.emulate.scene_source import Poses

_RATES = (1.93, 2.31, 1.57, 0.83, 1.13, 1.39)
"""Frequencies of the tremor along and about x, y, z [Hz]."""


@dataclass(frozen=True, kw_only=True)
class Hand:
    """A sweep by hand.

    Raises
    ------
    GeometryError
        Values that are not finite, or a duration or sweep time that is not above 0.
    """

    width: float = 0.1
    """Extent of the sweeps along x [m]."""
    height: float = 0.1
    """How far it goes up along y [m]."""
    duration: float = 10.0
    """Time it takes [s]; before and after it the hand rests."""
    sweep_time: float = 3.0
    """Time of one sweep [s]."""
    tremor: float = 0.3e-3
    """Amplitude of the tremor along each axis [m]."""
    tilt: float = 0.01
    """Amplitude of the tremor about each axis [rad]."""
    seed: int = 0
    """Seed of the tremor's phases."""

    def __post_init__(self) -> None:
        for name, unit in (("width", "m"), ("height", "m"), ("tremor", "m"), ("tilt", "rad")):
            finite_number(f"Hand.{name}", getattr(self, name), unit)
        for name in ("duration", "sweep_time"):
            finite_number(f"Hand.{name}", getattr(self, name), "s", above=0.0)

    def poses(self, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 3) [m] and rotations (n, 4) at times after the start [s]."""
        t = np.clip(np.asarray(seconds, dtype=float), 0.0, self.duration)
        phase = np.random.default_rng(self.seed).uniform(0, 2 * np.pi, 6)
        shake = np.sin(2 * np.pi * t[:, None] * _RATES + phase)
        position = self.tremor * shake[:, :3]
        position[:, 0] -= self.width / 2 * np.cos(np.pi * t / self.sweep_time)
        position[:, 1] += self.height * (t / self.duration - 0.5)
        half = self.tilt * shake[:, 3:] / 2
        rotation = np.concatenate([half, np.ones((len(t), 1))], axis=1)
        return position, rotation / np.linalg.norm(rotation, axis=1, keepdims=True)


class HandClock:
    """A `Hand` that begins to move when it is told to: `Poses` for a `SceneSource` and for a tracker."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.start_ns: int | None = None
        """CLOCK_REALTIME [ns] at which the hand begins to move; None: it rests."""

    def start(self, time_ns: int) -> None:
        """Begin to move at this time, unless it has begun."""
        if self.start_ns is None:
            self.start_ns = time_ns

    def poses(self, k: int, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Poses at CLOCK_REALTIME [ns] (n,)."""
        start = self.start_ns
        seconds = np.zeros(len(time_ns)) if start is None else (np.asarray(time_ns) - start) * 1e-9
        return self.hand.poses(seconds)


class TrackerLog:
    """A tracker that writes a TUM file; a context manager."""

    def __init__(
        self,
        path: str | PathLike[str],
        poses: Poses,
        *,
        rate: float = 120.0,
        noise: float = 0.0,
        offset: float = 0.0,
        seed: int = 0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin to log.

        Parameters
        ----------
        path : path
            File to write.
        poses : Poses
            True poses of the tracked body, which is the board's own frame.
        rate : float
            Poses per second [Hz].
        noise : float
            RMS error of the position along each axis [m].
        offset : float
            What the tracker's clock is behind the computer's [s].
        seed : int
            Seed of the noise.
        """
        self._period = round(1e9 / finite_number("TrackerLog.rate", rate, "Hz", above=0.0))
        self._poses, self._noise, self._offset, self._clock = poses, noise, round(offset * 1e9), clock
        self._rng = np.random.default_rng(seed)
        self._stream = open(path, "w", encoding="utf-8")
        self._stream.write("# timestamp tx ty tz qx qy qz qw\n")
        self._next = clock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="TrackerLog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is due and close the file."""
        if not self._end.is_set():
            self._end.set()
            self._thread.join()
            self._write()
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._end.wait(0.05):
            self._write()

    def _write(self) -> None:
        stamps = np.arange(self._next, self._clock(), self._period, dtype=np.int64)
        if not len(stamps):
            return
        self._next = int(stamps[-1]) + self._period
        position, rotation = self._poses(0, stamps)
        position = position + self._noise * self._rng.standard_normal(position.shape)
        for stamp, place, turn in zip(stamps - self._offset, position, rotation, strict=True):
            seconds, rest = divmod(int(stamp), 10**9)
            numbers = " ".join(f"{value:.9f}" for value in (*place, *turn))
            self._stream.write(f"{seconds}.{rest:09d} {numbers}\n")
        self._stream.flush()
