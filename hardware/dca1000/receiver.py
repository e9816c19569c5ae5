"""The process that receives: it copies datagrams from the socket to the shared ring, and does nothing else.

Losses of a software receiver come from pauses, not from the cost of a packet. So this is a process of its own: no other
thread competes for its interpreter, nothing is written to disk here, the garbage collector is off, and the
socket's buffer bridges the rest. Every datagram gets the kernel's arrival stamp (SO_TIMESTAMPNS), and the kernel says
how many it dropped for want of room (SO_RXQ_OVFL, and SO_MEMINFO at the end). When the ring is full the receiver waits:
what is lost then is dropped by the kernel and counted by it, like any other drop.

The process ends when it is told to (`Slot.STOP`), or when the process that started it is gone; either way it first
takes what the socket still holds.
"""

import contextlib
import errno
import gc
import json
import os
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass

from mmsar.errors import CaptureError
from mmsar.hardware.dca1000.ring import MAX_RECORD, Ring, Slot

SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
SO_MEMINFO = 55
MEMINFO_DROPS = 8
"""Where the drops stand in SO_MEMINFO."""

BUFFER = 64 << 20
"""Socket buffer asked for [bytes]; the kernel books twice as much."""
PACKET_COST = 2304
"""What a full datagram takes of the booked buffer [bytes]; measured on Linux."""
POLL = 0.05
"""Longest time between two looks at whether to stop [s]."""
BIND_PATIENCE = 1.0
"""Time a receiver of a recorder that was killed may need to leave the port [s]."""

_STAMP = struct.Struct("@qq")
_COUNT = struct.Struct("@I")
_HEAD = struct.Struct("<Hq")


@dataclass(frozen=True, kw_only=True)
class Buffer:
    """The socket buffer that was asked for and the one the kernel gave."""

    requested: int
    """Size asked for [bytes]."""
    granted: int
    """Size the kernel books, by getsockopt [bytes]; twice the request when all of it was given."""
    forced: bool
    """Whether SO_RCVBUFFORCE was allowed (CAP_NET_ADMIN)."""

    @property
    def packets(self) -> int:
        """Full data packets that fit."""
        return self.granted // PACKET_COST

    def seconds(self, packets_per_second: float) -> float:
        """How long a pause of the receiver it bridges [s]."""
        return self.packets / packets_per_second if packets_per_second > 0 else float("inf")


def open_data_socket(host_ip: str, port: int, *, buffer: int = BUFFER) -> tuple[socket.socket, Buffer]:
    """A socket bound to where the card sends its data, with kernel stamps and drop counts.

    Parameters
    ----------
    host_ip, port : str, int
        Address and port the card sends to.
    buffer : int
        Socket buffer to ask for [bytes].

    Raises
    ------
    CaptureError
        An address this machine does not have, or a port that is taken.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        forced = True
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
        except PermissionError:
            forced = False
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, int(POLL * 1e6)))
        _bind(sock, host_ip, port)
        granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        return sock, Buffer(requested=buffer, granted=granted, forced=forced)
    except BaseException:
        sock.close()
        raise


def _bind(sock: socket.socket, host_ip: str, port: int) -> None:
    deadline = time.monotonic() + BIND_PATIENCE
    while True:
        try:
            return sock.bind((host_ip, port))
        except socket.gaierror:
            raise CaptureError(f"host address: got {host_ip!r}, wanted an IPv4 address as 192.168.33.30") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            from mmsar.hardware.dca1000.diagnose import bind_failed

            raise bind_failed(error, host_ip, port) from None


def drain(sock: socket.socket) -> int:
    """Throw away what waits in the socket; how many datagrams that was."""
    count = 0
    scratch = bytearray(65536)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.recv_into(scratch, 0, socket.MSG_DONTWAIT)
            count += 1
    return count


def kernel_drops(sock: socket.socket) -> int:
    """Datagrams the kernel has dropped at this socket since it was opened."""
    return struct.unpack_from("@9I", sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[MEMINFO_DROPS]


def receive(sock: socket.socket, ring: Ring, card_ip: str, *, parent: int | None = None) -> None:
    """Copy datagrams of `card_ip` to the ring until told to stop or until process `parent` is gone.

    The drop count that `sock` has when this begins is not counted.
    """
    slots, data, size = ring.slots, ring.data, ring.size
    recvmsg_into, put_head, head_size = sock.recvmsg_into, _HEAD.pack_into, _HEAD.size
    stamp_of, count_of = _STAMP.unpack, _COUNT.unpack
    HEAD, PACKETS = int(Slot.HEAD), int(Slot.PACKETS)
    before = kernel_drops(sock)
    head = at = packets = 0
    free_until = size  # absolute: the tail is at least this minus size
    flags, deadline, seen_drops = 0, 0.0, before
    slots[Slot.RECEIVER_READY] = 1
    while True:
        if free_until - head < 2 * MAX_RECORD:
            free_until = _wait_for_room(slots, head, size, parent)
            if not free_until:
                break
        try:
            n, extra, _, sender = recvmsg_into((data[at + head_size : at + MAX_RECORD],), 64, flags)
        except BlockingIOError:
            if flags:
                break
            if _must_stop(slots, parent):
                flags, deadline = socket.MSG_DONTWAIT, time.monotonic() + 1.0
            continue
        if sender[0] != card_ip:
            slots[Slot.FOREIGN] += 1
            slots[Slot.FOREIGN_IP] = int.from_bytes(socket.inet_aton(sender[0]), "big")
            n = -1
        else:
            packets += 1
            time_ns = -1
            for _, kind, value in extra:
                if kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = stamp_of(value)
                    time_ns = seconds * 1_000_000_000 + nanoseconds
                elif kind == SO_RXQ_OVFL:
                    (drops,) = count_of(value)
                    if drops != seen_drops:
                        seen_drops = drops
                        slots[Slot.KERNEL_DROPPED] = (drops - before) & 0xFFFFFFFF
            put_head(data, at, n, time_ns)
            head += head_size + n
            at += head_size + n
            if size - at < MAX_RECORD:
                slots[Slot.WRAP] = head
                head += size - at
                at = 0
            slots[HEAD] = head
            slots[PACKETS] = packets
        if flags:
            if time.monotonic() > deadline:
                break
        elif not packets & 511 and _must_stop(slots, parent):
            flags, deadline = socket.MSG_DONTWAIT, time.monotonic() + 1.0
    slots[Slot.KERNEL_DROPPED] = (kernel_drops(sock) - before) & 0xFFFFFFFF
    slots[Slot.RECEIVER_DONE] = 1


def _must_stop(slots: memoryview, parent: int | None) -> bool:
    return bool(slots[Slot.STOP]) or (parent is not None and os.getppid() != parent)


def _wait_for_room(slots: memoryview, head: int, size: int, parent: int | None) -> int:
    """Until which count the ring may be filled; waits for room, but not for a writer that has gone. 0: give up."""
    patience = None
    slots[Slot.RING_FULL] += slots[Slot.TAIL] + size - head < 2 * MAX_RECORD
    while slots[Slot.TAIL] + size - head < 2 * MAX_RECORD:
        if patience is None and _must_stop(slots, parent):
            patience = time.monotonic() + 2.0
        if slots[Slot.WRITER_DONE] or (patience is not None and time.monotonic() > patience):
            return 0
        time.sleep(0.001)
    return slots[Slot.TAIL] + size


def main(text: str) -> None:
    """Entry of the process: `text` is JSON with the descriptors, the card's address and the process to outlive not."""
    given = json.loads(text)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the recorder decides what an interruption means
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(-10)
    ring = Ring(given["ring"])
    with socket.socket(fileno=given["socket"]) as sock:
        gc.disable()
        gc.freeze()
        try:
            receive(sock, ring, given["card_ip"], parent=given["parent"])
        finally:
            ring.slots[Slot.RECEIVER_DONE] = 1
    ring.close()


if __name__ == "__main__":
    main(sys.argv[1])
