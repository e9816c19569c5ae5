"""The ring of shared memory between the process that receives and the process that writes.

A page of counters, then the ring. One side writes records, the other reads them; each advances its own counter, so no
lock is needed. Counters are absolute (they never wrap); a record never crosses the end of the ring: the rest of a lap
is skipped, and `WRAP` says where the skipped part begins. A record is what the journal holds (`records`):

    u16 length, i64 kernel time [ns], datagram

The memory has no name (memfd): it is gone when the last process that holds it has gone, however that happens.
Aligned 64-bit counters are written and read in one piece on the 64-bit machines this runs on.
"""

import mmap
import os
from enum import IntEnum
from errno import EFBIG

from mmsar.errors import CaptureError
from mmsar.io.atomic import DISK_ADVICE

PAGE = 4096
MAX_RECORD = 10 + 65507
"""Room one record may need: the longest UDP datagram with its head [bytes]."""


class Slot(IntEnum):
    """Counters of the first page, 64 bits each. After the first two, who writes them is in the name of the group."""

    SIZE = 0
    """Size of the ring [bytes]."""
    STOP = 1
    """Set by the recorder: stop receiving."""

    HEAD = 8
    """Receiver: end of the records in the ring."""
    WRAP = 9
    """Receiver: end of the records of the last full lap."""
    RECEIVER_READY = 10
    RECEIVER_DONE = 11
    PACKETS = 12
    """Datagrams taken from the card."""
    FOREIGN = 13
    """Datagrams from other addresses, not kept."""
    KERNEL_DROPPED = 14
    """Datagrams the kernel dropped because the socket's buffer was full."""
    RING_FULL = 15
    """Times the receiver had to wait for the writer."""
    FOREIGN_IP = 16
    """IPv4 address of the last foreign sender."""

    TAIL = 32
    """Writer: end of the records that are written."""
    WRITER_READY = 33
    WRITER_DONE = 34
    FRAMES = 35
    """Frames that are complete."""
    BYTES = 36
    """Bytes of the wanted frames received."""
    REACHED = 37
    """End of the stream seen so far [bytes]."""
    LOST = 38
    """Sequence numbers skipped so far."""
    RESTARTED = 39
    """1 when the card began to count anew."""
    ERRNO = 40
    """Error that ended the writing, 0 for none."""


class Ring:
    """The shared memory, mapped.

    Parameters
    ----------
    fd : int
        Descriptor of the memory; see `create`. Owned: closed with the ring.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.memory = mmap.mmap(fd, os.fstat(fd).st_size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        self._whole = memoryview(self.memory)
        self.slots = self._whole[:PAGE].cast("Q")
        """The counters, by `Slot`."""
        self.size = self.slots[Slot.SIZE]
        self.data = self._whole[PAGE : PAGE + self.size]
        """The ring."""

    @classmethod
    def create(cls, size: int) -> "Ring":
        """A new ring of `size` bytes, all of it in memory; the descriptor can be passed to child processes.

        Raises
        ------
        CaptureError
            The system does not give that much.
        """
        size = max(-(-size // PAGE) * PAGE, 4 * MAX_RECORD // PAGE * PAGE)
        fd = os.memfd_create("mmsar-ring")
        try:
            os.ftruncate(fd, PAGE + size)
            os.pwrite(fd, size.to_bytes(8, "little"), 8 * Slot.SIZE)
            return cls(fd)
        except BaseException as error:
            os.close(fd)
            if not isinstance(error, OSError):
                raise
            advice = DISK_ADVICE[EFBIG] + ", it counts for memory too" if error.errno == EFBIG else "end other programs"
            raise CaptureError(
                f"ring of packets: got {os.strerror(error.errno).lower()}, wanted {(PAGE + size) / 2**20:.0f} MiB of "
                f"memory; {advice}"
            ) from error

    def take(self) -> tuple[memoryview, int]:
        """The next records, in one piece (empty: none), and the value of `Slot.TAIL` they begin at.

        To free the first n bytes of it, set `Slot.TAIL` to that value + n. Release it before the ring is closed.
        """
        slots, size = self.slots, self.size
        head, tail = slots[Slot.HEAD], slots[Slot.TAIL]
        end = head
        if tail // size != head // size:
            end = slots[Slot.WRAP]
            if tail == end:  # all of the last lap is taken
                tail = slots[Slot.TAIL] = head // size * size
                end = head
        begin = tail % size
        return self.data[begin : begin + end - tail], tail

    def close(self) -> None:
        """Unmap; the memory goes with the last process that holds it."""
        if self.fd < 0:
            return
        self.slots.release()
        self.data.release()
        self._whole.release()
        self.memory.close()
        os.close(self.fd)
        self.fd = -1
