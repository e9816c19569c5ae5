"""What the emulated radar sends: frames of bytes, as the capture card receives them.

A `FrameSource` gives the bytes of frame k; the card emulator asks for them when the frame is due and cuts them into
packets. The sources here need no physics; see `scene_source` for one that does.
"""

from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np

from mmsar.core.checks import finite_number, positive_int
from mmsar.errors import FormatError, GeometryError

_PRIME = 65521


class FrameSource(Protocol):
    """Frames of a radar."""

    frame_bytes: int
    """Size of a frame as the card sends it [bytes]."""
    n_frames: int
    """Frames until the radar stops by itself; 0: it does not."""
    period: float
    """Time from frame to frame [s]."""
    active: float
    """Part of the period in which the frame's samples come [s]."""
    ahead: float
    """How long before its start a frame is asked for [s], so that the time to make it does not delay it."""
    lanes: int | None
    """LVDS lanes the radar sends on; None: any number the card is set to."""

    def frame(self, k: int, time_ns: int) -> bytes:
        """Bytes of frame `k`, which starts at `time_ns` (CLOCK_REALTIME)."""
        ...


class CountingSource:
    """Frames whose every sample is known from its place: int16 number i of the stream is i modulo 65521.

    65521 is a prime, so that no frame or packet length brings the same bytes back. Values above 32767 read as negative.
    """

    lanes = None

    def __init__(
        self, frame_bytes: int, *, n_frames: int = 0, period: float = 0.0, active: float = 0.0, ahead: float = 0.0
    ) -> None:
        """Describe the frames; with `period` 0 they come as fast as the card can send them.

        Raises
        ------
        GeometryError
            An odd or empty frame, or a negative time.
        """
        if positive_int("CountingSource.frame_bytes", frame_bytes) % 2:
            raise GeometryError(f"CountingSource.frame_bytes: got {frame_bytes}, wanted an even number (int16 samples)")
        self.frame_bytes, self.n_frames = frame_bytes, n_frames
        self.period, self.active = _times(period, active)
        self.ahead = ahead
        self._stream = counting_bytes(0, frame_bytes + 2 * _PRIME)

    def frame(self, k: int, time_ns: int = 0) -> bytes:
        """Bytes of frame `k`; the time does not matter."""
        start = k * self.frame_bytes % (2 * _PRIME)
        return self._stream[start : start + self.frame_bytes]


def counting_bytes(start: int, size: int) -> bytes:
    """`size` bytes of the counting stream from byte `start`; both even."""
    first = start // 2
    return (np.arange(first, first + size // 2, dtype=np.int64) % _PRIME).astype("<u2").tobytes()


class FileSource:
    """Frames from a raw capture file, once through or again and again."""

    lanes = None

    def __init__(
        self,
        path: str | PathLike[str],
        frame_bytes: int,
        *,
        period: float = 0.0,
        active: float = 0.0,
        repeat: bool = False,
    ) -> None:
        """Open a file of whole frames.

        Raises
        ------
        FormatError
            A size that is no whole number of frames.
        """
        size = Path(path).stat().st_size
        positive_int("FileSource.frame_bytes", frame_bytes)
        if size == 0 or size % frame_bytes:
            raise FormatError(
                f"{path}: got {size} bytes, wanted a whole number of frames of {frame_bytes} bytes; "
                "check the configuration or cut the file"
            )
        self._data = np.memmap(path, dtype=np.uint8, mode="r")
        self._count = size // frame_bytes
        self.frame_bytes = frame_bytes
        self.n_frames = 0 if repeat else self._count
        self.period, self.active = _times(period, active)
        self.ahead = 0.0

    def frame(self, k: int, time_ns: int = 0) -> bytes:
        """Bytes of frame `k` of the file, which begins anew after its last."""
        start = k % self._count * self.frame_bytes
        return self._data[start : start + self.frame_bytes].tobytes()


def _times(period: float, active: float) -> tuple[float, float]:
    period = finite_number("frame period", period, "s")
    active = finite_number("frame active time", active, "s")
    if not 0 <= active <= period:
        raise GeometryError(f"frame times: got {active:g} s of {period:g} s, wanted 0 <= active <= period")
    return period, active
