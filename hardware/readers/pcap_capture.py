"""The frames of a packet capture: the same accounts and the same places of bytes as in a live recording.

One pass over the file gives every datagram to the recorder's `Ledger` (copies, late and lost packets, whole frames) and
remembers where the new ones' bytes lie; frames are then read when they are asked for.
"""

from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.adc import decode_frames
from mmsar.hardware.config.radar import RadarConfig
from mmsar.hardware.dca1000.assemble import FrameBuffer
from mmsar.hardware.dca1000.ledger import Ledger, Verdict
from mmsar.hardware.dca1000.protocol import decode_packet
from mmsar.hardware.readers.pcap import PcapFile

SPARSE = 100
"""A stream is not believed to be longer than this many times the file: that would be a damaged packet."""


class PcapCapture:
    """A packet capture as frames.

    Attributes
    ----------
    config : RadarConfig
    n_frames : int
        The configuration's number; where that is 0 (endless), the whole frames that the packets reach.
    frame_stamps : ndarray
        Arrival of each frame's first byte [ns since 1970], -1 where its packet is missing, (n_frames,) int64.
    ledger : Ledger
        Counts of packets: received, duplicates, late, frames complete.
    lost : int
        Packets that the card sent for these frames and the file does not hold.
    notes : tuple of str
        What was found and is worth saying.
    """

    def __init__(self, path: str | Path, config: RadarConfig, *, port: int = 4098, source: str | None = None) -> None:
        """Read the file once.

        Raises
        ------
        FormatError
            As `PcapFile`; or data that ends before one frame.
        """
        config.require_capture()
        self.path, self.config = Path(path), config
        size = config.frame_bytes
        packets = PcapFile(self.path, port=port, source=source)
        self.n_frames = config.n_frames or self._bound(packets)
        index, alien = self._take(packets)
        if not config.n_frames and self.ledger.reached // size not in (0, self.n_frames):
            self.n_frames = self.ledger.reached // size
            index, alien = self._take(packets)
        if self.ledger.reached < size:
            raise FormatError(
                f"{self.path.name}: got {self.ledger.reached} bytes of samples, wanted at least a frame of {size} "
                f"({config.chirps_per_frame} chirps x {config.n_samples} samples); is it the right configuration?"
            )
        self._index = np.array(sorted(index), dtype=np.int64).reshape(-1, 3)
        self.frame_stamps = self.ledger.stamps
        self.lost = self.ledger.packets_expected(whole=bool(config.n_frames)) - self.ledger.received
        self.notes = (*packets.notes, *self._notes(alien))

    def _bound(self, packets: PcapFile) -> int:
        """At least as many frames as the packets reach, at least 1."""
        size, end = self.config.frame_bytes, 0
        for datagram in packets:
            packet = decode_packet(datagram.payload)
            end = max(end, packet.offset + len(packet.payload)) if packet else end
        return max(1, min(end, SPARSE * self.path.stat().st_size) // size)

    def _take(self, packets: PcapFile) -> tuple[list[tuple[int, int, int]], int]:
        """Account for all packets: (place in the stream, length, place in the file) of the new ones; strange ones."""
        self.ledger, index, alien = Ledger(self.config.frame_bytes, self.n_frames), [], 0
        for datagram in packets:
            packet = decode_packet(datagram.payload)
            if packet is None:
                alien += 1
                continue
            verdict = self.ledger.add(packet.sequence, packet.offset, packet.payload, datagram.time_ns)
            if verdict == Verdict.NEW:
                at = datagram.at + len(datagram.payload) - len(packet.payload)
                index.append((packet.offset, len(packet.payload), at))
        return index, alien

    def _notes(self, alien: int) -> list[str]:
        ledger, notes, reached = self.ledger, [], self.ledger.reached
        damaged = self.n_frames - ledger.complete
        notes.append(
            f"{self.n_frames} frames, {damaged} of them damaged; {ledger.received} packets, {self.lost} lost, "
            f"{ledger.duplicates} twice, {ledger.late} late"
        )
        whole = reached // self.config.frame_bytes
        if reached % self.config.frame_bytes and not self.config.n_frames:
            notes.append(f"{reached % self.config.frame_bytes} bytes after the last whole frame were left out")
        if self.config.n_frames and whole > self.config.n_frames:
            notes.append(f"the packets reach to frame {whole}, the configuration says {self.config.n_frames}")
        if alien:
            notes.append(f"{alien} datagrams to the data port are no data packets and were left out")
        if ledger.inconsistent:
            notes.append(f"{ledger.inconsistent} packets fit nowhere in the stream and were left out")
        if ledger.after_restart:
            notes.append(
                f"the card began to count anew: {ledger.after_restart} packets after that belong to another recording "
                "and were left out"
            )
        return notes

    def samples(self, frames: slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Samples (frame, loop, tx, rx, sample) complex64, 0 where lost, and which are valid (bool, same shape)."""
        index = range(self.n_frames)[frames if frames is not None else slice(None)]
        if index.step != 1:
            raise FormatError(f"frames: got a step of {index.step}, wanted 1")
        size = self.config.frame_bytes
        buffer = FrameBuffer(size, first=index.start, count=len(index))
        begin, end = index.start * size, index.stop * size
        low = np.searchsorted(self._index[:, 0], begin - 2048)
        high = np.searchsorted(self._index[:, 0], end)
        content = np.memmap(self.path, dtype=np.uint8, mode="r")
        for offset, length, at in self._index[low:high].tolist():
            buffer.place(offset, content[at : at + length])
        cube = decode_frames(buffer.data, self.config)
        valid = np.ones(cube.shape, dtype=bool)
        for k in np.flatnonzero(~self.frames_complete[index.start : index.stop]):
            valid[k] = _valid(buffer.seen[k], self.config)
            cube[k][~valid[k]] = 0
        return cube, valid

    @property
    def frames_complete(self) -> np.ndarray:
        """Which frames are whole, (n_frames,) bool."""
        return self.ledger.covered == self.config.frame_bytes


def _valid(seen: np.ndarray, config: RadarConfig) -> np.ndarray:
    """Which samples of a frame have all their bytes: the decoder itself says which words make a sample."""
    words = seen.reshape(-1, 2).all(axis=1).astype("<i2")
    return decode_frames(words, config)[0] == (1 + 1j if config.complex_samples else 1)
