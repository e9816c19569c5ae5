"""Accounts of a packet stream: what came, what came twice or late, what is missing, and which frames are whole.

Every packet says which bytes of the stream it carries, so its place is absolute: a lost packet moves nothing. The
reference is the accepted packet with the highest number; a packet fits when the numbers between it and the reference
leave room for its bytes (each missing packet carries 1 to `payload_max` bytes, and the earlier of the two may have been
cut short). After a gap of more than `WINDOW` the bytes must also agree with the usual size of a packet, so that one
stray datagram cannot move the reference far away. What does not fit is counted as inconsistent and not used. Numbers
may wrap at 32 bits; sizes of packets may vary.

When the card is reset or told again to record, it begins to count anew. A packet from the beginning of a stream is
taken for that when it is far behind the reference or when it differs from the packet of that number seen before. From
then on nothing can be placed any more, because nobody knows how many frames went by: it is only counted.
"""

import zlib
from bisect import bisect_right
from collections import Counter
from enum import IntEnum

import numpy as np

from mmsar.hardware.dca1000.protocol import MAX_SHORTFALL
from mmsar.hardware.dca1000.records import Records

WINDOW = 1 << 16
"""How far behind the reference a packet may come [packets]: more than a second at full rate."""
BEGINNING = 1024
"""Packets of a stream's beginning whose checksums are kept, to tell a restart from a copy."""
USUAL_PAYLOAD = 1456
LARGEST_PAYLOAD = 1462
"""Payload of the largest datagram that fits Ethernet's 1500 bytes."""
SPAN = 1 << 32


class Verdict(IntEnum):
    """What a packet was."""

    NEW = 0
    DUPLICATE = 1
    SURPLUS = 2
    """Beyond the wanted frames."""
    INCONSISTENT = 3
    AFTER_RESTART = 4


class Gaps:
    """Numbers that have not come yet, as disjoint rising intervals [start, stop)."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.stops: list[int] = []

    def add(self, start: int, stop: int) -> None:
        """Append an interval above all others."""
        self.starts.append(start)
        self.stops.append(stop)

    def take(self, number: int) -> bool:
        """Remove a number; False when it was not missing."""
        k = bisect_right(self.starts, number) - 1
        if k < 0 or number >= self.stops[k]:
            return False
        start, stop = self.starts[k], self.stops[k]
        parts = [(a, b) for a, b in ((start, number), (number + 1, stop)) if a < b]
        self.starts[k : k + 1] = [a for a, _ in parts]
        self.stops[k : k + 1] = [b for _, b in parts]
        return True

    def forget(self, below: int) -> None:
        """Drop the intervals that end at or before `below`: memory stays bounded."""
        k = bisect_right(self.stops, below)
        del self.starts[:k], self.stops[:k]


class Ledger:
    """Accounts of the packets of `n_frames` frames of `frame_bytes` bytes.

    Add packets in the order they arrived, one by one or in batches: the result is the same.
    """

    def __init__(self, frame_bytes: int, n_frames: int) -> None:
        self.frame_bytes, self.n_frames = frame_bytes, n_frames
        self.total = frame_bytes * n_frames
        self.covered = np.zeros(n_frames, dtype=np.int64)
        """Bytes received of every frame."""
        self.stamps = np.full(n_frames, -1, dtype=np.int64)
        """Kernel time of the packet with a frame's first byte [ns]; -1 when it did not come."""
        self.complete = 0
        """Frames of which all bytes came."""
        self.received = 0
        """Distinct packets with bytes of the wanted frames."""
        self.duplicates = 0
        self.late = 0
        """Distinct packets that came after one with a higher number."""
        self.surplus = 0
        self.inconsistent = 0
        self.after_restart = 0
        self.malformed = 0
        self.bytes_received = 0
        """Bytes of the wanted frames."""
        self.restart_ns: int | None = None
        """Kernel time of the packet that began to count anew."""
        self.first_ns = self.last_ns = -1
        self.lengths: Counter[int] = Counter()
        """Payload sizes of the distinct packets."""
        self.payload_max = LARGEST_PAYLOAD
        self.number = 0
        """Number of the reference, unwrapped; 0 before the first packet."""
        self.reference = (0, 0)
        """Begin and end of the reference's bytes."""
        self.last_wanted = (0, 0)
        """Number and end of the highest packet with bytes of the wanted frames."""
        self._gaps = Gaps()
        self._checks: dict[int, tuple[int, int]] = {}

    @property
    def payload(self) -> int:
        """Usual payload of a packet [bytes]."""
        return max(self.lengths, key=lambda n: (self.lengths[n], n)) if self.lengths else USUAL_PAYLOAD

    @property
    def reached(self) -> int:
        """End of the stream seen so far [bytes]."""
        return self.reference[1]

    @property
    def frames_reached(self) -> int:
        """Frames of which some byte, or some byte of a later one, came."""
        return min(self.n_frames, -(-self.reached // self.frame_bytes))

    def packets_expected(self, *, whole: bool = True) -> int:
        """Packets the card sent for the wanted frames; only those up to the last one seen when not `whole`."""
        number, end = self.last_wanted
        return number + (-(-max(0, self.total - end) // self.payload) if whole else 0)

    def add(self, sequence: int, offset: int, payload: bytes | np.ndarray, time_ns: int = -1) -> Verdict:
        """Account for one packet: number and offset as sent."""
        if self.restart_ns is not None:
            self.after_restart += 1
            return Verdict.AFTER_RESTART
        size = len(payload)
        self.payload_max = max(self.payload_max, size)
        number = self.number + (sequence - self.number + SPAN // 2) % SPAN - SPAN // 2
        if self._restarts(sequence, offset, payload):
            self.restart_ns = time_ns
            self.after_restart += 1
            return Verdict.AFTER_RESTART
        if not self._fits(number, offset, size):
            self.inconsistent += 1
            return Verdict.INCONSISTENT
        forward = number > self.number
        if forward:
            if number > self.number + 1:
                self._gaps.add(self.number + 1, number)
                self._gaps.forget(number - WINDOW)
            self.number, self.reference = number, (offset, offset + size)
            self.last_ns = time_ns
            if self.first_ns < 0:
                self.first_ns = time_ns
        elif not self._gaps.take(number):
            self.duplicates += offset < self.total
            self.surplus += offset >= self.total
            return Verdict.DUPLICATE
        if offset >= self.total:
            self.surplus += 1
            return Verdict.SURPLUS
        self.late += not forward
        self.received += 1
        self.lengths[size] += 1
        if number <= BEGINNING:
            self._checks[number] = size, zlib.crc32(payload)
        if number > self.last_wanted[0]:
            self.last_wanted = (number, offset + size)
        self._cover(offset, min(offset + size, self.total))
        frame = -(-offset // self.frame_bytes)
        while frame < self.n_frames and frame * self.frame_bytes < offset + size:
            self.stamps[frame] = time_ns
            frame += 1
        return Verdict.NEW

    def add_records(self, records: Records) -> np.ndarray:
        """Account for a batch; the verdict of every packet, uint8."""
        self.malformed += records.malformed
        if self.restart_ns is None and len(records) > 1 and self._add_run(records):
            return np.where(records.offset < self.total, Verdict.NEW, Verdict.SURPLUS).astype(np.uint8)
        fields = zip(records.sequence.tolist(), records.offset.tolist(), records.time_ns.tolist(), strict=True)
        verdicts = [self.add(s, o, records.payload(k), t) for k, (s, o, t) in enumerate(fields)]
        return np.array(verdicts, dtype=np.uint8)

    def _restarts(self, sequence: int, offset: int, payload: bytes | np.ndarray) -> bool:
        """Whether a packet belongs to a stream that began anew."""
        at_the_beginning = 1 <= sequence <= BEGINNING and sequence - 1 <= offset <= (sequence - 1) * self.payload_max
        if not at_the_beginning or self.number <= sequence:
            return False
        if self.number - sequence > WINDOW:
            return True
        size, check = self._checks.get(sequence, (0, 0))
        return size == len(payload) and check != zlib.crc32(payload)

    def _fits(self, number: int, offset: int, size: int) -> bool:
        """Whether the packets between this one and the reference leave room for its bytes."""
        begin, end = self.reference
        short = self.payload_max - (end - begin if number > self.number else size)  # what a cut packet may lack
        if number > self.number:
            room, between = offset - end, number - self.number - 1
            short *= self.number > 0
        elif number == self.number:
            return offset == begin and number > 0
        else:
            room, between = begin - offset - size, self.number - number - 1
            if between >= WINDOW or number < 1:
                return False
        if between > WINDOW and abs(between * self.payload - room) > MAX_SHORTFALL:
            return False
        return between <= room <= between * self.payload_max + short

    def _add_run(self, records: Records) -> bool:
        """Account for a batch of rising numbers all at once; False, and nothing done, when it is not that simple."""
        offset, length, times = records.offset, records.length, records.time_ns
        end = offset + length
        steps = np.diff(records.sequence) % SPAN
        first = self.number + (int(records.sequence[0]) - self.number + SPAN // 2) % SPAN - SPAN // 2
        numbers = first + np.concatenate(([0], np.cumsum(steps)))
        largest = max(self.payload_max, int(length.max()))
        between = np.concatenate(([first - self.number - 1], steps - 1))
        room = offset - np.concatenate(([self.reference[1]], end[:-1]))
        last = self.reference[1] - self.reference[0] if self.number else largest
        short = largest - np.concatenate(([last], length[:-1]))
        if first <= self.number or (steps > SPAN // 2).any() or (steps == 0).any():
            return False
        if (room < between).any() or (room > between * largest + short).any() or (between > WINDOW).any():
            return False
        self.payload_max = largest
        for k in np.flatnonzero(between):
            self._gaps.add(int(numbers[k] - between[k]), int(numbers[k]))
        self.number, self.reference = int(numbers[-1]), (int(offset[-1]), int(end[-1]))
        self._gaps.forget(self.number - WINDOW)
        self.first_ns = int(times[0]) if self.first_ns < 0 else self.first_ns
        self.last_ns = int(times[-1])
        n = int(np.searchsorted(offset, self.total))  # packets with bytes of the wanted frames
        self.surplus += len(offset) - n
        if not n:
            return True
        self.received += n
        sizes, counts = np.unique(length[:n], return_counts=True)
        self.lengths.update(dict(zip(sizes.tolist(), counts.tolist(), strict=True)))
        for k in range(min(n, max(0, BEGINNING - first + 1))):
            if numbers[k] <= BEGINNING:
                self._checks[int(numbers[k])] = int(length[k]), zlib.crc32(records.payload(k))
        self.last_wanted = (int(numbers[n - 1]), int(end[n - 1]))
        breaks = np.flatnonzero(room[1:n]) + 1
        for a, b in zip(offset[[0, *breaks]], end[[*(breaks - 1), n - 1]], strict=True):
            self._cover(int(a), min(int(b), self.total))
        frame = -(-offset[:n] // self.frame_bytes)
        while True:
            hit = (frame < self.n_frames) & (frame * self.frame_bytes < end[:n])
            if not hit.any():
                return True
            self.stamps[frame[hit]] = times[:n][hit]
            frame = frame + 1

    def _cover(self, begin: int, end: int) -> None:
        """Count the bytes [begin, end) for the frames they belong to."""
        size = self.frame_bytes
        first, last = begin // size, (end - 1) // size
        part = self.covered[first : last + 1]
        before = int(np.count_nonzero(part == size))
        if first == last:
            part[0] += end - begin
        else:
            part[0] += (first + 1) * size - begin
            part[1:-1] += size
            part[-1] += end - last * size
        self.complete += int(np.count_nonzero(part == size)) - before
        self.bytes_received += end - begin
