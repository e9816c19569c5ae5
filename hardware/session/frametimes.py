"""When the frames of a recording were, on the computer's clock."""

from dataclasses import dataclass

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.timing import FrameClock

LEAST = 3
"""Frames with a stamp that a clock is fitted to, at least."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameTimes:
    """Start of every frame of a recording."""

    start_ns: np.ndarray
    """Start of the first chirp [ns, CLOCK_REALTIME], (n_frames,), int64."""
    residual: float
    """RMS of the stamps about the fitted clock [s]; transport delays are in it."""
    drift_ppm: float
    """How much longer than nominal the frame period is [1e-6]."""


def frame_times(capture: Capture, *, latency: float = 0.0) -> FrameTimes:
    """The frame times of a recording by its fitted frame clock, for lost frames too.

    Parameters
    ----------
    capture : Capture
        A recording of a radar that runs freely.
    latency : float
        What the stamps are late by [s], from a calibration of the bench; 0 where the time offset is found otherwise.

    Raises
    ------
    FormatError
        Fewer than three frames with a stamp.
    """
    stamps = capture.frame_stamps
    seen = np.flatnonzero(stamps >= 0)
    if len(seen) < LEAST:
        raise FormatError(f"{capture.folder}: got {len(seen)} frames with a time, wanted {LEAST} or more")
    config = capture.config
    full = filling_time(
        seen, frame_bytes=config.frame_bytes, payload=capture.report.payload_bytes, active=config.frame_active
    )
    began = stamps[seen] - np.rint(full * 1e9).astype(np.int64)
    clock = FrameClock.fit(seen, began, nominal_period=config.frame_period)
    start = np.asarray(clock.at(np.arange(len(stamps)))) - round(latency * 1e9)
    return FrameTimes(
        start_ns=np.rint(start).astype(np.int64), residual=float(clock.residual_rms), drift_ppm=float(clock.drift_ppm)
    )


def filling_time(frames: np.ndarray, *, frame_bytes: int, payload: int, active: float) -> np.ndarray:
    """How long after a frame's start its first packet is full and leaves the card [s], (n,).

    Packets do not end with frames: the packet with the first byte of frame k ends 1 to `payload` bytes into it.

    Parameters
    ----------
    frames : ndarray
        Numbers of the frames, (n,).
    frame_bytes, payload : int
        Size of a frame and of the data of a packet [bytes].
    active : float
        Time in which the bytes of a frame come [s].
    """
    first = np.asarray(frames, dtype=np.int64) * frame_bytes
    into = payload - first % payload
    return active * np.minimum(into / frame_bytes, 1.0)
