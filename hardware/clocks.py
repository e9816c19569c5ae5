"""The host's clocks against each other: finding out where CLOCK_REALTIME was stepped, and stamps without the step.

Kernel stamps of packets are CLOCK_REALTIME, which a time service may set back or forth at any moment; CLOCK_MONOTONIC
only ever runs, slewed by some hundred parts per million at most. A recording notes both together about once a second.
What lies between two such pairs is a straight line, unless the clock was stepped in between: then no stamp from that
second can be told to be before or after the step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mmsar.errors import GeometryError

SLEW = 600e-6
"""Largest rate at which a time service runs the clock fast or slow: 500 ppm, and a little for the pairs."""
PAIR_ERROR_NS = 1_000_000
"""How far apart the readings of a pair may be taken: longer than that, and it is taken for a step [ns]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClockPairs:
    """CLOCK_REALTIME and CLOCK_MONOTONIC read together, several times.

    Raises
    ------
    GeometryError
        No pair, another shape, or a monotonic clock that does not run forward.
    """

    realtime_ns: np.ndarray
    """[ns], (n,) int64."""
    monotonic_ns: np.ndarray
    """[ns], (n,) int64, increasing."""

    def __post_init__(self) -> None:
        for name in ("realtime_ns", "monotonic_ns"):
            value = np.array(getattr(self, name))
            if value.ndim != 1 or len(value) == 0 or value.dtype.kind not in "iu":
                raise GeometryError(
                    f"ClockPairs.{name}: got {value.dtype} {value.shape}, wanted whole nanoseconds (n,)"
                )
            value = value.astype(np.int64)
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        if self.realtime_ns.shape != self.monotonic_ns.shape:
            raise GeometryError("ClockPairs: got different numbers of readings, wanted pairs")
        if np.any(np.diff(self.monotonic_ns) <= 0):
            raise GeometryError(
                "ClockPairs.monotonic_ns: got times that do not increase, wanted them as they were read"
            )

    @classmethod
    def from_events(cls, events: Iterable[Mapping]) -> "ClockPairs | None":
        """The pairs among a recording's events (`realtime_ns` and `monotonic_ns`), in order; None without any."""
        pairs = [(e["realtime_ns"], e["monotonic_ns"]) for e in events if {"realtime_ns", "monotonic_ns"} <= set(e)]
        pairs = sorted(set(pairs), key=lambda pair: pair[1])
        if not pairs:
            return None
        realtime, monotonic = np.array(pairs, dtype=np.int64).T
        return cls(realtime_ns=realtime, monotonic_ns=monotonic)

    @property
    def steps(self) -> tuple[tuple[int, int], ...]:
        """(index of the pair before, size [ns]) of every step of CLOCK_REALTIME, forwards positive."""
        passed = np.diff(self.monotonic_ns)
        change = np.diff(self.realtime_ns) - passed
        stepped = np.flatnonzero(np.abs(change) > PAIR_ERROR_NS + SLEW * passed)
        return tuple((int(i), int(change[i])) for i in stepped)

    def to_monotonic(self, realtime_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """CLOCK_MONOTONIC of CLOCK_REALTIME stamps.

        Returns
        -------
        monotonic_ns : (n,) int64
            By the straight line through the pairs around a stamp, or the nearest pair's offset outside of them.
        certain : (n,) bool
            False for a stamp that may be from a second in which the clock was stepped, or that two seconds lay claim
            to because the clock was set back.
        """
        stamps = np.asarray(realtime_ns, dtype=np.int64)
        stepped = {index for index, _ in self.steps}
        real, mono = self.realtime_ns, self.monotonic_ns
        n = len(real)
        claims, unsure = np.zeros(stamps.shape, int), np.zeros(stamps.shape, bool)
        out = stamps - real[0] + mono[0]
        for index in range(-1, n):
            low = real[index] if index >= 0 else np.iinfo(np.int64).min
            high = real[index + 1] if index + 1 < n else np.iinfo(np.int64).max
            if index in stepped:  # anywhere from the earlier to the later reading, on either side of the step
                passed = mono[index + 1] - mono[index]
                low, high = min(low, high - passed), max(high, low + passed)
                unsure |= (stamps >= low) & (stamps < high)
                continue
            inside = (stamps >= low) & (stamps < high)
            claims += inside
            if 0 <= index < n - 1:
                rate = (mono[index + 1] - mono[index]) / (real[index + 1] - real[index])
                out[inside] = mono[index] + np.rint((stamps[inside] - real[index]) * rate).astype(np.int64)
            else:
                end = max(index, 0)
                out[inside] = stamps[inside] - real[end] + mono[end]
        return out, (claims == 1) & ~unsure
