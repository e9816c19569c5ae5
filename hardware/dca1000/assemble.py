"""Frames from packets, in memory: every packet's bytes go to their absolute place, and which bytes came is kept.

Copies and late packets land where they belong; what never came stays zero and is False in `seen`. Memory is that of the
frames asked for: twice their bytes.
"""

from collections.abc import Iterable

import numpy as np

from mmsar.hardware.dca1000.ledger import Ledger, Verdict
from mmsar.hardware.dca1000.protocol import Packet
from mmsar.hardware.dca1000.records import Records


class FrameBuffer:
    """Room for the frames `first` .. `first + count - 1` of a stream of frames of `frame_bytes` bytes."""

    def __init__(self, frame_bytes: int, *, first: int, count: int) -> None:
        self.first, self.count, self.frame_bytes = first, count, frame_bytes
        self.data = np.zeros((count, frame_bytes), dtype=np.uint8)
        """The bytes, (count, frame_bytes); 0 where none came."""
        self.seen = np.zeros((count, frame_bytes), dtype=bool)
        """Which bytes came, (count, frame_bytes)."""
        self._begin, self._end = first * frame_bytes, (first + count) * frame_bytes

    def place(self, offset: int, payload: np.ndarray) -> None:
        """Put the bytes of a packet, or of several that follow each other, to their place; others are left out."""
        a, b = max(offset, self._begin), min(offset + len(payload), self._end)
        if a < b:
            self.data.reshape(-1)[a - self._begin : b - self._begin] = payload[a - offset : b - offset]
            self.seen.reshape(-1)[a - self._begin : b - self._begin] = True

    def place_records(self, records: Records, skip: Iterable[int] = ()) -> None:
        """Put all packets to their place but those in `skip`."""
        offset, length, at = records.offset, records.length, records.at
        keep = np.ones(len(records), dtype=bool)
        keep[list(skip)] = False
        keep &= (offset < self._end) & (offset + length > self._begin)
        chosen = np.flatnonzero(keep)
        if not len(chosen):
            return
        offset, length, at = offset[chosen], length[chosen], at[chosen]
        size = int(length[0])
        # runs of packets of one size that follow each other in the stream and in the span: one copy each
        joined = (np.diff(offset) == size) & (length[1:] == size) & (length[:-1] == size)
        stride = int(at[1] - at[0]) if len(at) > 1 else 0
        joined &= (np.diff(at) == stride) & (stride > size)
        breaks = np.flatnonzero(~joined) + 1
        for a, b in zip([0, *breaks], [*breaks, len(chosen)], strict=True):
            if b - a == 1:
                self.place(int(offset[a]), records.data[at[a] : at[a] + length[a]])
                continue
            table = np.lib.stride_tricks.as_strided(records.data[at[a] :], (b - a, size), (stride, 1), writeable=False)
            self._place_table(int(offset[a]), table)

    def _place_table(self, offset: int, table: np.ndarray) -> None:
        """`place` for packets of one size, (n, size), that follow each other."""
        n, size = table.shape
        head = min(n, max(0, -(-(self._begin - offset) // size)))  # packets that begin before the frames
        tail = max(head, min(n, (self._end - offset) // size))  # the first that ends after them
        for k in (*range(max(0, head - 1), head), *range(tail, min(n, tail + 1))):
            self.place(offset + k * size, table[k])
        if tail > head:
            a = offset + head * size - self._begin
            b = a + (tail - head) * size
            self.data.reshape(-1)[a:b].reshape(-1, size)[:] = table[head:tail]
            self.seen.reshape(-1)[a:b] = True


class FrameAssembler:
    """Frames and accounts from packets in any order.

    Parameters
    ----------
    frame_bytes : int
        Size of a frame [bytes].
    n_frames : int
        Frames of the stream; all of them are held in memory.
    """

    def __init__(self, frame_bytes: int, n_frames: int) -> None:
        self.ledger = Ledger(frame_bytes, n_frames)
        """Counts, and which frames are whole."""
        self.buffer = FrameBuffer(frame_bytes, first=0, count=n_frames)

    @property
    def data(self) -> np.ndarray:
        """Bytes of the frames, uint8, (n_frames, frame_bytes); 0 where none came."""
        return self.buffer.data

    @property
    def seen(self) -> np.ndarray:
        """Which bytes came, (n_frames, frame_bytes)."""
        return self.buffer.seen

    def add(self, packet: Packet, kernel_ns: int = -1) -> Verdict:
        """Take a packet that arrived at `kernel_ns`; copies and what cannot be placed change no byte."""
        verdict = self.ledger.add(packet.sequence, packet.offset, packet.payload, kernel_ns)
        if verdict == Verdict.NEW:
            self.buffer.place(packet.offset, np.frombuffer(packet.payload, dtype=np.uint8))
        return verdict

    def add_records(self, records: Records) -> np.ndarray:
        """Take a batch; the verdict of every packet."""
        verdicts = self.ledger.add_records(records)
        self.buffer.place_records(records, np.flatnonzero(verdicts != Verdict.NEW))
        return verdicts
