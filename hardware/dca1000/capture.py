"""A recording as samples: open a folder, read any frames of it.

    capture = Capture.open(folder)
    samples, valid = capture.samples(slice(0, 10))

Frames are assembled from the journal's packets where the index says they lie, and decoded by the project's one decoder.
What did not come is 0 in `samples` and False in `valid`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.errors import GeometryError
from mmsar.hardware.adc import cube_shape, decode_frames
from mmsar.hardware.config.radar import parse_cfg
from mmsar.hardware.dca1000.assemble import FrameBuffer
from mmsar.hardware.dca1000.index import Index
from mmsar.hardware.dca1000.journal import INDEX, read_block, read_events, read_manifest
from mmsar.hardware.dca1000.records import parse
from mmsar.hardware.dca1000.recover import in_progress, read_report, survey
from mmsar.hardware.dca1000.report import Report

if TYPE_CHECKING:
    from mmsar.hardware.config.radar import RadarConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class Capture:
    """A recording in `folder`, not changed by reading. Build it with `open`."""

    folder: Path
    manifest: dict[str, Any]
    """What was recorded and how."""
    config: "RadarConfig"
    report: Report
    """What came and what was lost."""
    index: Index

    @classmethod
    def open(cls, folder: str | Path) -> "Capture":
        """The recording in a folder; also one that was interrupted, or one that is still being made, as it is now.

        Raises
        ------
        FormatError
            No recording, or one of another schema.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        config = parse_cfg(manifest["config"], device=manifest["device"], name=f"{folder}/manifest.json")
        if (folder / INDEX).exists() and not in_progress(folder):
            report, index = read_report(folder), Index.load(folder)
        else:
            found = survey(folder)
            report, index = found.report, found.index
        return cls(folder=folder, manifest=manifest, config=config, report=report, index=index)

    @property
    def n_frames(self) -> int:
        """Frames there are: all that were wanted, or of an interrupted recording those of which something came."""
        return self.report.frames_reached

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(frame, loop, tx, rx, sample); tx in firing order, rx the enabled receivers."""
        return cube_shape(self.config, self.n_frames)

    @property
    def frame_stamps(self) -> np.ndarray:
        """Kernel time of every frame's first packet [ns, CLOCK_REALTIME], int64, (n_frames,); -1 where it is lost."""
        return self.index.stamps[: self.n_frames]

    @property
    def frames_complete(self) -> np.ndarray:
        """Which frames are whole, (n_frames,)."""
        return self.index.covered[: self.n_frames] == self.config.frame_bytes

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """What happened while recording: clock pairs, status messages of the card, start and stop."""
        return read_events(self.folder)

    def raw(self, frames: slice | None = None) -> FrameBuffer:
        """Bytes of some frames, and which of them came.

        Parameters
        ----------
        frames : slice, optional
            Frames in a row; default: all. Memory is twice their size.

        Raises
        ------
        GeometryError
            A slice with a step.
        FormatError
            A journal that was cut or changed after recording.
        """
        start, stop = self._range(frames)
        size = self.config.frame_bytes
        buffer = FrameBuffer(size, first=start, count=stop - start)
        for block in self.index.blocks(start * size, stop * size):
            data = read_block(self.folder, *self.index.place(block))
            buffer.place_records(parse(data), self.index.skipped(block))
        return buffer

    def samples(self, frames: slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Samples of some frames, complex64, (frame, loop, tx, rx, sample), and which came, bool, same shape.

        Parameters and errors as for `raw`; a sample is valid when all its bytes came.
        """
        start, stop = self._range(frames)
        buffer = self.raw(frames)
        cube = decode_frames(buffer.data, self.config)
        valid = np.ones(cube.shape, dtype=bool)
        for k in np.flatnonzero(~self.frames_complete[start:stop]):
            valid[k] = self._valid(buffer.seen[k])
            cube[k][~valid[k]] = 0
        return cube, valid

    def valid(self, frames: slice | None = None) -> np.ndarray:
        """Which samples of some frames came, as `samples` says; reads only the frames that are damaged."""
        start, stop = self._range(frames)
        valid = np.ones((stop - start, *self.shape[1:]), dtype=bool)
        for k in np.flatnonzero(~self.frames_complete[start:stop]):
            valid[k] = self._valid(self.raw(slice(start + k, start + k + 1)).seen[0])
        return valid

    def pieces(self, memory: int = 64 << 20) -> list[slice]:
        """All frames in slices of about `memory` bytes of samples."""
        step = max(1, memory // (8 * int(np.prod(self.shape[1:]))))
        return [slice(k, min(k + step, self.n_frames)) for k in range(0, self.n_frames, step)]

    def _valid(self, seen: np.ndarray) -> np.ndarray:
        """Which samples of a frame came, from which of its bytes did: through the same decoder."""
        words = seen.reshape(-1, 2).all(axis=1).astype("<i2")
        came = decode_frames(words, self.config)[0]
        return came == (1 + 1j if self.config.complex_samples else 1)

    def _range(self, frames: slice | None) -> tuple[int, int]:
        start, stop, step = (frames or slice(None)).indices(self.n_frames)
        if step != 1:
            raise GeometryError(f"frames: got a step of {step}, wanted 1")
        return start, max(start, stop)
