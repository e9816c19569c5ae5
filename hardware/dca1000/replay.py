"""Sending a recording again: the datagrams of a journal or a packet capture, in their order and at their times.

What is sent is exactly what once arrived, duplicates and all; what was lost then is lost again.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from threading import Event

from mmsar.core.checks import finite_number
from mmsar.errors import FormatError
from mmsar.hardware.dca1000.journal import Damage, chunk_paths, read_blocks
from mmsar.hardware.dca1000.records import PACKET_HEAD, parse
from mmsar.hardware.dca1000.recover import missing_parts
from mmsar.hardware.readers.pcap import PcapFile, is_pcap


class Recorded:
    """The datagrams of a recording: (arrival [CLOCK_REALTIME ns; -1 unknown], bytes), in the order they arrived.

    Parameters
    ----------
    source : path
        A folder of `mmsar hw record`, or a .pcap or .pcapng file.
    port : int
        Data port, for packet captures.

    Raises
    ------
    FormatError
        Neither of them, or no packet in it; while it is read: a damaged file.
    """

    def __init__(self, source: str | PathLike[str], *, port: int = 4098) -> None:
        self.path, self.port = Path(source), port
        self.notes: list[str] = []
        """What was noticed; complete after a pass over the datagrams."""
        if self.path.is_dir():
            if not chunk_paths(self.path):
                raise FormatError(f"{self.path}: got a folder without packets, wanted a recording of mmsar hw record")
        elif not is_pcap(self.path):
            raise FormatError(f"{self.path}: got another kind of file, wanted a recording's folder or a packet capture")

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        self.notes = []
        if not self.path.is_dir():
            capture = PcapFile(self.path, port=self.port)
            for datagram in capture:
                yield datagram.time_ns, datagram.payload
            self.notes = list(capture.notes)
            return
        self.notes = missing_parts(self.path)
        for found in read_blocks(self.path):
            if isinstance(found, Damage):
                where = "the unfinished end" if found.tail else "a damaged part"
                self.notes.append(f"{where} of chunk {found.chunk} was left out: {found.size} bytes")
                continue
            records = parse(found[1])
            if records.malformed:
                self.notes.append(f"{records.malformed} datagrams too short for a packet were left out")
            for stamp, at, length in zip(
                records.time_ns.tolist(), records.at.tolist(), records.length.tolist(), strict=True
            ):
                yield stamp, found[1][at - PACKET_HEAD : at + length]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What was sent again."""

    datagrams: int
    size: int
    """Bytes of the datagrams."""
    seconds: float
    """Time it took [s]."""
    max_lag: float
    """Longest time a datagram was late [s]; large when the speed was more than this machine manages."""


def replay(
    datagrams: Iterable[tuple[int, bytes]],
    send: Callable[[bytes], object],
    *,
    speed: float = 1.0,
    stop: Event | None = None,
) -> Replayed:
    """Send datagrams at their recorded times.

    Parameters
    ----------
    datagrams : iterable of (ns, bytes)
        See `Recorded`; one without a time follows the one before it at once.
    send : callable
        Puts one datagram on the wire.
    speed : float
        Times faster than recorded.
    stop : Event, optional
        Ends it early when set.

    Raises
    ------
    GeometryError
        A speed that is not above 0.
    """
    speed = finite_number("replay speed", speed, "times", above=0.0)
    stop = stop or Event()
    began = time.monotonic()
    first: int | None = None
    count = size = 0
    lag = 0.0
    for stamp, datagram in datagrams:
        if stamp >= 0:
            first = stamp if first is None else first
            due = began + (stamp - first) * 1e-9 / speed
            while (wait := due - time.monotonic()) > 0 and not stop.is_set():
                if wait > 0.01:
                    stop.wait(min(wait - 0.005, 0.1))
                else:
                    time.sleep(wait)
            lag = max(lag, -wait)
        if stop.is_set():
            break
        send(datagram)
        count, size = count + 1, size + len(datagram)
    return Replayed(datagrams=count, size=size, seconds=time.monotonic() - began, max_lag=lag)
