r"""When every frame was sent: a line through the kernel's stamps, and the times of its chirps.

A radar that runs freely starts frame k at

    t_k = t_0 + k T (1 + eps),

T the configured period, eps the two crystals' difference. The kernel stamps a frame's first packet when it arrives:
after t_k by the time the packet took to fill (known, `first_packet_delay`), a constant of the card (a few microseconds
and not observable from the stamps: `mmsar.hardware.offset` absorbs it), and by queueing, which is never negative. So
the line is not the mean of the stamps but what they stand on: of all lines below the stamps, the one with the least
sum of distances, which is the edge of their lower convex hull under the middle of the recording. For queueing times
that fall off exponentially it is the most likely line; stalls, however long, do not move it.

Chirp c of a frame (loops times transmitters, c = loop n_tx + tx) is in the middle at t_k + (c + 1/2) T_c.

A frame started by a hardware trigger has no period: its time is its trigger's (`TriggeredClock`).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mmsar.core.checks import finite_number, real_array
from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.clocks import ClockPairs
from mmsar.hardware.dca1000.protocol import PAYLOAD

if TYPE_CHECKING:
    from mmsar.hardware.config.radar import RadarConfig

MAX_DRIFT_PPM = 200.0
"""Largest difference of two crystals that is believed [1e-6]."""
NS = 1e9


class Clock(Protocol):
    """Times of frames."""

    clock: str

    def at(self, frame_index: np.ndarray) -> np.ndarray:
        """Start of frames [ns], int64."""


@dataclass(frozen=True, kw_only=True)
class FrameClock:
    """Start times of the frames of a free-running radar, and how well the stamps fit them."""

    t0_ns: int
    """Start of frame 0 [ns]."""
    period: float
    """Time between frames by this clock [s]: T (1 + eps)."""
    nominal_period: float
    """Time between frames as configured [s]."""
    clock: str = "unix"
    """Whose time: "unix" (CLOCK_REALTIME) or "monotonic"."""
    n_frames: int = 0
    """Stamps the line was fitted to."""
    residual_rms: float = 0.0
    """RMS of stamp less line [s]: queueing and stalls, not the error of the line."""
    residual_median: float = 0.0
    """Median of stamp less line [s]."""
    residual_max: float = 0.0
    """Longest stall [s]."""
    sigma: float = 0.0
    """Rough standard error of the line in the middle of the recording [s]."""
    bow: float = 0.0
    """Largest distance of the line from the lowest stamps of any eighth of the recording [s]: above some tenths of a
    millisecond the crystals drifted, a clock was stepped, or single stamps are too early."""

    @property
    def drift_ppm(self) -> float:
        """How much longer the period is than configured [1e-6]."""
        return (self.period / self.nominal_period - 1) * 1e6

    @classmethod
    def fit(
        cls,
        frame_index: np.ndarray,
        arrival_ns: np.ndarray,
        *,
        nominal_period: float,
        delay: np.ndarray | float = 0.0,
        clock: str = "unix",
    ) -> "FrameClock":
        """Fit the line to stamps.

        Parameters
        ----------
        frame_index : (n,) int array
            Absolute index of the frames whose first packet was stamped, in any order; lost ones left out.
        arrival_ns : (n,) int array
            Stamps [ns].
        nominal_period : float
            Configured time between frames [s].
        delay : (n,) array or float
            Known time from a frame's start to its stamp [s], see `first_packet_delay`; frames with NaN are left out.
        clock : str
            Clock of the stamps.

        Raises
        ------
        GeometryError
            Fewer than two frames, or shapes that disagree.
        CaptureError
            A period that is not the configured one.
        """
        nominal = finite_number("FrameClock nominal_period", nominal_period, "s", above=0.0)
        index, stamp = np.asarray(frame_index), np.asarray(arrival_ns)
        late = np.broadcast_to(np.asarray(delay, float), index.shape)
        if index.ndim != 1 or stamp.shape != index.shape:
            raise GeometryError(f"FrameClock: got {stamp.shape} stamps for {index.shape} frames, wanted one for each")
        known = np.isfinite(late)
        index, stamp, late = index[known].astype(np.int64), stamp[known].astype(np.int64), late[known]
        if len(np.unique(index)) < 2:
            raise GeometryError(f"FrameClock: got {len(np.unique(index))} stamped frames, wanted two or more")
        order = np.argsort(index, kind="stable")
        index, stamp, late = index[order], stamp[order], late[order]
        first, origin = int(index[0]), int(stamp[0])
        x = (index - first).astype(float)
        y = (stamp - origin) / NS - late - x * nominal
        slope = _support_slope(x, y)
        limit = MAX_DRIFT_PPM * 1e-6 * nominal
        if abs(slope) > limit:
            _check_period(x, y, slope, limit, nominal)
            slope = float(np.clip(slope, -limit, limit))
        start = float((y - slope * x).min())
        rest = y - slope * x - start
        median = float(np.median(rest))
        period = nominal + slope
        parts = np.array_split(rest, min(8, max(1, len(rest) // 16)))
        return cls(
            t0_ns=origin + round((start - first * period) * NS),
            period=period,
            nominal_period=nominal,
            clock=clock,
            n_frames=len(rest),
            residual_rms=float(np.sqrt(np.mean(rest**2))),
            residual_median=median,
            residual_max=float(rest.max()),
            sigma=2 * median / len(rest),
            bow=float(max(part.min() for part in parts)),
        )

    def at(self, frame_index: np.ndarray) -> np.ndarray:
        """Start of frames [ns], int64, of the shape of `frame_index`."""
        index = np.asarray(frame_index)
        return self.t0_ns + np.rint(index * (self.period * NS)).astype(np.int64)

    def slots(self, config: "RadarConfig", frame_index: np.ndarray) -> np.ndarray:
        """Middle of every chirp of frames (n,) [ns], int64, (n, n_loops, n_tx)."""
        return slot_times(self, config, frame_index)

    def pose_times(self, config: "RadarConfig", frame_index: np.ndarray) -> np.ndarray:
        """Time of the poses of frames whose loops are averaged [ns]; see `pose_times`."""
        return pose_times(self, config, frame_index)

    def shifted(self, offset: float, drift_ppm: float = 0.0) -> "FrameClock":
        """The same with times `offset` [s] later, and `drift_ppm` more for each second after frame 0."""
        later = round(finite_number("FrameClock.shifted offset", offset, "s") * NS)
        rate = 1 + finite_number("FrameClock.shifted drift", drift_ppm, "ppm") * 1e-6
        return replace(self, t0_ns=self.t0_ns + later, period=self.period * rate)


@dataclass(frozen=True, kw_only=True, eq=False)
class TriggeredClock:
    """Start times of frames that a hardware trigger started, one by one: stamps or a trigger log.

    Raises
    ------
    GeometryError
        Frames that are not in order, or another number of times.
    """

    frame_index: np.ndarray
    """Frames with a known time, (n,) int, increasing."""
    time_ns: np.ndarray
    """Their start [ns], (n,) int64."""
    clock: str = "unix"
    """Whose time."""

    def __post_init__(self) -> None:
        index, times = np.array(self.frame_index), np.array(self.time_ns)
        if index.ndim != 1 or len(index) == 0 or times.shape != index.shape or times.dtype.kind not in "iu":
            raise GeometryError(
                f"TriggeredClock: got {times.dtype} {times.shape} for {index.shape} frames, wanted whole nanoseconds"
            )
        if np.any(np.diff(index) <= 0):
            raise GeometryError("TriggeredClock.frame_index: got frames out of order, wanted them increasing")
        object.__setattr__(self, "frame_index", index.astype(np.int64))
        object.__setattr__(self, "time_ns", times.astype(np.int64))

    def at(self, frame_index: np.ndarray) -> np.ndarray:
        """Start of frames [ns], int64.

        Raises
        ------
        GeometryError
            A frame without a known time: it is never interpolated.
        """
        wanted = np.asarray(frame_index)
        place = np.minimum(np.searchsorted(self.frame_index, wanted), len(self.frame_index) - 1)
        missing = self.frame_index[place] != wanted
        if missing.any():
            first = int(np.atleast_1d(wanted)[np.argmax(np.atleast_1d(missing))])
            raise GeometryError(
                f"TriggeredClock.at: got {int(missing.sum())} frames without a trigger time, first {first}; "
                "leave them out"
            )
        return self.time_ns[place]

    def slots(self, config: "RadarConfig", frame_index: np.ndarray) -> np.ndarray:
        """Middle of every chirp of frames (n,) [ns], int64, (n, n_loops, n_tx)."""
        return slot_times(self, config, frame_index)

    def pose_times(self, config: "RadarConfig", frame_index: np.ndarray) -> np.ndarray:
        """Time of the poses of frames whose loops are averaged [ns]; see `pose_times`."""
        return pose_times(self, config, frame_index)


def frame_clock(
    stamps_ns: np.ndarray, config: "RadarConfig", *, pairs: ClockPairs | None = None
) -> FrameClock | TriggeredClock:
    """The clock of a recording.

    Parameters
    ----------
    stamps_ns : (n,) int array
        Kernel stamp of every frame's first packet [ns, CLOCK_REALTIME], -1 where it was lost, from frame 0
        (`Capture.frame_stamps`).
    config : RadarConfig
        Period, trigger and size of the frames.
    pairs : ClockPairs, optional
        Clocks noted while recording. Where CLOCK_REALTIME was stepped the times are CLOCK_MONOTONIC, and stamps from
        that second are left out; without pairs nobody can tell.

    Raises
    ------
    GeometryError, CaptureError
        As `FrameClock.fit`.
    """
    stamps = np.asarray(stamps_ns)
    index = np.flatnonzero(stamps >= 0)
    arrival, clock = stamps[index].astype(np.int64), "unix"
    if pairs is not None and pairs.steps:
        arrival, certain = pairs.to_monotonic(arrival)
        index, arrival, clock = index[certain], arrival[certain], "monotonic"
    delay = first_packet_delay(config, index, n_frames=len(stamps))
    if config.trigger == "hardware":
        known = np.isfinite(delay)
        starts = arrival[known] - np.rint(delay[known] * NS).astype(np.int64)
        return TriggeredClock(frame_index=index[known], time_ns=starts, clock=clock)
    return FrameClock.fit(index, arrival, nominal_period=config.frame_period, delay=delay, clock=clock)


def first_packet_delay(config: "RadarConfig", frame_index: np.ndarray, *, n_frames: int = 0) -> np.ndarray:
    """Time from a frame's start until the packet with its first byte is full [s], (n,).

    A packet goes out when it holds 1456 bytes, wherever frames end in it; a frame's bytes come evenly over its active
    time (to within a chirp). NaN where it takes bytes of later frames that are not sent at regular times (hardware
    trigger) or not at all (after frame `n_frames` - 1): that packet waits for the next frame, or for the card's flush
    2 s later.
    """
    size = config.frame_bytes
    begin = np.asarray(frame_index, dtype=np.int64) * size
    needed = (begin // PAYLOAD + 1) * PAYLOAD - begin
    later, inside = (needed - 1) // size, (needed - 1) % size + 1
    delay = later * config.frame_period + config.frame_active * inside / size
    unknown = (later > 0) & (config.trigger == "hardware")
    if n_frames:
        unknown |= begin + needed > n_frames * size
    return np.where(unknown, np.nan, delay)


def slot_times(clock: Clock, config: "RadarConfig", frame_index: np.ndarray) -> np.ndarray:
    """Middle of every chirp of frames (n,) [ns], int64, (n, n_loops, n_tx)."""
    chirp = (np.arange(config.n_loops * config.n_tx) + 0.5) * config.chirp_time
    offset = np.rint(chirp * NS).astype(np.int64).reshape(config.n_loops, config.n_tx)
    return clock.at(np.atleast_1d(frame_index))[:, None, None] + offset


def pose_times(clock: Clock, config: "RadarConfig", frame_index: np.ndarray) -> np.ndarray:
    """Time of the poses of frames whose loops are averaged [ns], int64, (n,).

    The middle of the first transmitter's chirps; the other transmitters follow by `config.tx_delay()`, as the
    `tx_delay` of a `Scan` has it.
    """
    middle = ((config.n_loops - 1) / 2 * config.n_tx + 0.5) * config.chirp_time
    return clock.at(np.atleast_1d(frame_index)) + round(middle * NS)


def _support_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of the lower convex hull of points (x increasing, repeats allowed) under the mean of x."""
    starts = np.flatnonzero(np.diff(x, prepend=-np.inf))
    x, y, middle = x[starts], np.minimum.reduceat(y, starts), float(np.mean(x))
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    edge = int(np.clip(np.searchsorted(x[hull], middle), 1, len(hull) - 1))
    a, b = hull[edge - 1], hull[edge]
    return float((y[b] - y[a]) / (x[b] - x[a]))


def _check_period(x: np.ndarray, y: np.ndarray, slope: float, limit: float, nominal: float) -> None:
    """Raise unless a slope beyond the limit may be the queueing of a short recording: a stall or two in few frames."""
    room = 1e-4 if len(x) >= 20 else 0.05
    flat = y - np.clip(slope, -limit, limit) * x
    spread = real_array("stamps", flat - flat.min(), flat.shape, "s")
    steep = y - slope * x
    if np.median(spread) > 10 * np.median(steep - steep.min()) + room:
        raise CaptureError(
            f"frame times: got a period of {(nominal + slope) * 1e3:.6g} ms from the stamps, wanted "
            f"{nominal * 1e3:.6g} ms as configured; check that the recording belongs to this configuration"
        )
