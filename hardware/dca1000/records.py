"""Records of datagrams: what the ring and the journal hold, and their fields as arrays.

    u16 length, i64 kernel time [ns, CLOCK_REALTIME; -1: unknown], datagram (length bytes)

and a datagram of the card is u32 sequence number, u48 bytes before this packet, payload (see `protocol`).
"""

import struct
from dataclasses import dataclass

import numpy as np

HEAD = struct.Struct("<Hq")
"""Head of a record: length of the datagram, kernel time [ns]."""
PACKET_HEAD = 10
"""Bytes of a datagram before its payload."""
_FIELDS = HEAD.size + PACKET_HEAD


@dataclass(frozen=True, kw_only=True, eq=False)
class Records:
    """The packets of a span of records, in the order they arrived."""

    data: np.ndarray
    """The span, uint8."""
    end: int
    """Bytes of the span that are whole records."""
    time_ns: np.ndarray
    """Kernel stamps, int64, (n,)."""
    sequence: np.ndarray
    """Sequence numbers as sent, int64, (n,)."""
    offset: np.ndarray
    """Bytes before the packet as sent, int64, (n,)."""
    length: np.ndarray
    """Bytes of payload, int64, (n,)."""
    at: np.ndarray
    """Where the payloads begin in `data`, int64, (n,)."""
    malformed: int
    """Datagrams too short for a packet with payload; left out."""

    def __len__(self) -> int:
        return len(self.sequence)

    def payload(self, k: int) -> np.ndarray:
        """Payload of packet `k`, uint8, a view."""
        return self.data[self.at[k] : self.at[k] + self.length[k]]

    def first(self, n: int) -> "Records":
        """Only the first `n` packets."""
        fields = {name: getattr(self, name)[:n] for name in ("time_ns", "sequence", "offset", "length", "at")}
        return Records(data=self.data, end=self.end, malformed=self.malformed, **fields)


def pack(datagram: bytes, time_ns: int = -1) -> bytes:
    """One record."""
    return HEAD.pack(len(datagram), time_ns) + datagram


def parse(span: bytes | memoryview | np.ndarray) -> Records:
    """The records of a span; what is left over at its end is not a whole record (`Records.end`)."""
    data = np.frombuffer(span, dtype=np.uint8)
    starts, end = _starts(data)
    length = _field(data, starts, 0, 2).astype(np.int64) - PACKET_HEAD
    good = length > 0
    malformed = int(np.count_nonzero(~good))
    if malformed:
        starts, length = starts[good], length[good]
    offset = _field(data, starts, HEAD.size + 4, 6)
    return Records(
        data=data,
        end=end,
        time_ns=_field(data, starts, 2, 8),
        sequence=_field(data, starts, HEAD.size, 4),
        offset=offset,
        length=length,
        at=starts + _FIELDS,
        malformed=malformed,
    )


def boundaries(span: bytes | memoryview, limit: int) -> list[int]:
    """Where to cut a span of whole records into pieces of at most `limit` bytes (or one record): 0, ..., its length."""
    if len(span) <= limit:
        return [0, len(span)]
    starts, end = _starts(np.frombuffer(span, dtype=np.uint8))
    cuts = [0]
    while end - cuts[-1] > limit:
        k = int(np.searchsorted(starts, cuts[-1] + limit, side="right")) - 1
        if starts[k] == cuts[-1]:  # one record is longer than the limit
            k += 1
        if k >= len(starts):
            break
        cuts.append(int(starts[k]))
    return [*cuts, end]


def _starts(data: np.ndarray) -> tuple[np.ndarray, int]:
    """Where the whole records begin, int64, and where the last of them ends."""
    size = len(data)
    if size < HEAD.size:
        return np.empty(0, dtype=np.int64), 0
    stride = HEAD.size + int(data[0]) + 256 * int(data[1])
    n = size // stride
    if n * stride == size:  # nearly always: all of one length
        table = data.reshape(n, stride)
        if (table[:, 0] == data[0]).all() and (table[:, 1] == data[1]).all():
            return np.arange(0, size, stride, dtype=np.int64), size
    view, found, at = memoryview(data), [], 0
    while at + HEAD.size <= size:
        after = at + HEAD.size + (view[at] | view[at + 1] << 8)
        if after > size:
            break
        found.append(at)
        at = after
    return np.array(found, dtype=np.int64), at


def _field(data: np.ndarray, starts: np.ndarray, skip: int, size: int) -> np.ndarray:
    """The little-endian number of `size` bytes that stands `skip` bytes after every start, int64; -1 keeps its sign."""
    wide = np.zeros((len(starts), 8), dtype=np.uint8)
    # a short datagram may stand at the very end: what would lie behind the data is read from its last byte, unused
    index = np.minimum(starts[:, None] + np.arange(skip, skip + size), max(len(data) - 1, 0))
    wide[:, :size] = data[index] if len(data) else 0
    return wide.view("<i8").reshape(-1)
