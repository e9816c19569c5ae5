"""Captures that give frames (a recording, a packet capture, the cascade) as the signal and validity of a scan."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from mmsar.hardware.config.radar import RadarConfig
from mmsar.io.importers.description import Description
from mmsar.io.importers.frames_scan import frames_of, frames_scan
from mmsar.io.importers.geometry import array_of, chirp_of
from mmsar.io.importers.raw_frames import Frames
from mmsar.io.lazy import FileSignal
from mmsar.model import Scan

BLOCK = 2**26
"""Samples are looked at in pieces of about this size [bytes]."""


class FrameSource(Protocol):
    """What has frames: a recording folder, a packet capture, a cascade recording."""

    config: RadarConfig

    @property
    def n_frames(self) -> int:
        """Frames, lost ones included."""

    @property
    def frames_complete(self) -> np.ndarray:
        """Which frames are whole, (n_frames,) bool."""

    def samples(self, frames: slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Samples (frame, loop, tx, rx, sample) complex64, and which are valid (bool, same shape)."""


class CaptureSignal(FileSignal):
    """The samples of a capture by pose: one per frame, or one per loop.

    A channel of a pose is 0 unless it was captured whole. The average over the loops of a frame is taken over the whole
    ones; on a board that moved meanwhile (`moves`) all of them are needed, or the mean would belong to another place.
    """

    def __init__(self, capture: FrameSource, frames: Frames, *, moves: bool) -> None:
        shape = (capture.n_frames * frames.poses_per_frame, frames.tx, frames.rx, frames.samples)
        whole = not frames.conjugate and frames.poses_per_frame == frames.loops
        super().__init__(shape, 1.0 if whole else None)
        self.capture, self.frames, self.moves = capture, frames, moves

    def _read(self, first: int, last: int) -> np.ndarray:
        per = self.frames.poses_per_frame
        start = first // per
        signal, _ = self.poses(start, -(-last // per))
        return signal[first - start * per : last - start * per]

    def poses(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Poses of the frames first .. last - 1: signal (n, tx, rx, sample), channels captured whole (n, tx, rx)."""
        cube, seen = self.capture.samples(slice(first, last))
        whole = seen.all(axis=-1)
        cube = np.where(whole[..., None], cube, np.complex64(0))
        if self.frames.conjugate:
            np.conjugate(cube, out=cube)
        if not self.frames.average:
            return cube.reshape(-1, *self.shape[1:]), whole.reshape(-1, *self.shape[1:3])
        count = whole.sum(axis=1)
        good = count == self.frames.loops if self.moves else count > 0
        mean = cube.sum(axis=1) / np.maximum(count, 1)[..., None].astype(np.float32)
        return np.where(good[..., None], mean, np.complex64(0)), good

    def valid(self) -> np.ndarray:
        """Channels captured whole, (n_pose, tx, rx) bool; reads the frames that are not complete."""
        per, out = self.frames.poses_per_frame, np.ones(self.shape[:3], dtype=bool)
        for first, last in self._pieces():
            if not self.capture.frames_complete[first:last].all():
                out[first * per : last * per] = self.poses(first, last)[1]
        return out

    def _pieces(self) -> Iterator[tuple[int, int]]:
        n = self.capture.n_frames
        step = max(1, BLOCK // (8 * self.frames.chirps * self.frames.rx * self.frames.samples))
        for first in range(0, n, step):
            yield first, min(first + step, n)


def capture_scan(capture: FrameSource, description: Description) -> Scan:
    """A scan of a capture with a description whose waveform and [capture] say what its configuration says.

    Raises
    ------
    FormatError
        Poses that the description does not tell, or that disagree with the frames.
    GeometryError
        No frame was captured whole.
    """
    chirp, array = chirp_of(description), array_of(description)
    frames = frames_of(description, chirp.n_samples, array.n_tx, array.n_rx)
    moves = description.get("scan", "motion", "continuous") == "continuous"
    signal = CaptureSignal(capture, frames, moves=moves)
    return frames_scan(description, frames, signal, chirp=chirp, array=array, valid=signal.valid())
