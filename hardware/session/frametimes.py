"""When the frames of a recording were, on the computer's clock."""

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.clocks import ClockPairs
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.timing import FrameClock, frame_clock

LEAST = 3
"""Frames with a stamp that a clock is fitted to, at least."""


def frame_times(capture: Capture, *, latency: float = 0.0) -> FrameClock:
    """The clock fitted to the frames of a recording: it tells the start of lost frames too.

    Parameters
    ----------
    capture : Capture
        A recording of a radar that runs freely.
    latency : float
        What the stamps are late by [s], from a calibration of the bench; 0 where the time offset is found otherwise.

    Raises
    ------
    FormatError
        Fewer than three frames with a stamp, or a clock that was set meanwhile.
    """
    stamps = capture.frame_stamps
    seen = np.flatnonzero(stamps >= 0)
    if len(seen) < LEAST:
        raise FormatError(f"{capture.folder}: got {len(seen)} frames with a time, wanted {LEAST} or more")
    clock = frame_clock(stamps, capture.config, pairs=ClockPairs.from_events(capture.events))
    if clock.clock != "unix":
        raise FormatError(
            f"{capture.folder}: the computer's clock was set while this was recorded, so the times of the stage or "
            "tracker are not those of the frames; switch the time service off for a scan and record it again"
        )
    return clock.shifted(-latency)
