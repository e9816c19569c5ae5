"""UDP datagrams out of a packet capture (`tcpdump -w dca.pcap`): classic libpcap and pcapng.

A recording that another program made with the network card's own stamps: every datagram to the data port comes out
with its arrival time, and goes through the same frame assembler as a live capture. Nothing is repaired: fragments,
packets cut by a snap length and captures of two cards are refused with what to do; a last packet that is cut off (the
program was stopped) ends the file and is said in `notes`.

Formats: libpcap (draft-gharris-opsawg-pcap), pcapng (draft-ietf-opsawg-pcapng). Link types: Ethernet (also with VLAN
tags), Linux "any" (SLL, SLL2), raw IP, BSD loopback.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mmsar.errors import FormatError

CLASSIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""First bytes of a classic file -> byte order, nanoseconds per unit of the fraction."""
PCAPNG = b"\x0a\x0d\x0d\x0a"
LINKS = {1: "Ethernet", 0: "BSD loopback", 101: "raw IP", 113: "Linux SLL", 276: "Linux SLL2", 12: "raw IP"}
IPV4, VLAN = 0x0800, (0x8100, 0x88A8)
UDP = 17
LARGEST = 2**18
"""A packet longer than this is not believed [bytes]."""


class Datagram(NamedTuple):
    """One UDP datagram."""

    time_ns: int
    """Arrival, nanoseconds since 1970."""
    source: str
    """Address it came from, "192.168.33.180"."""
    port: int
    """Port it was sent to."""
    payload: bytes
    at: int
    """Where the payload begins in the file."""


class Frame(NamedTuple):
    """One captured link-layer frame."""

    time_ns: int
    link: int
    data: bytes
    original: int
    """Its length on the wire [bytes]; more than len(data) when it was cut."""
    at: int
    """Where the data begins in the file."""


def is_pcap(path: Path) -> bool:
    """Whether a file starts like a packet capture."""
    with open(path, "rb") as stream:
        start = stream.read(4)
    return start in CLASSIC or start == PCAPNG


class PcapFile:
    """The datagrams of a packet capture to one port, from one card, in the order of the file.

    Parameters
    ----------
    path : path
        A .pcap or .pcapng file.
    port : int
        The data port.
    source : str, optional
        Address of the card; needed when several sent to that port.

    Raises
    ------
    FormatError
        While it is read: no packet capture, an unknown link type, fragments, cut packets, several cards.
    """

    def __init__(self, path: str | Path, *, port: int = 4098, source: str | None = None) -> None:
        self.path, self.port, self.source = Path(path), port, source
        self.notes: list[str] = []
        """What was noticed; complete after a pass over the datagrams."""

    def __iter__(self) -> Iterator[Datagram]:
        self.notes = []
        senders: dict[str, int] = {}
        others: dict[int, int] = {}
        try:
            with open(self.path, "rb") as stream:
                for number, frame in enumerate(self._frames(stream), start=1):
                    found = self._datagram(number, frame, others)
                    if found is None or (self.source is not None and found.source != self.source):
                        continue
                    senders[found.source] = senders.get(found.source, 0) + 1
                    if len(senders) > 1:
                        raise FormatError(
                            f"{self.path.name}: packet {number}: got datagrams to port {self.port} from "
                            f"{' and '.join(senders)}, wanted one card; name its address (source)"
                        )
                    yield found
        except OSError as error:
            raise FormatError(f"{self.path}: got {error.strerror}, wanted a readable packet capture") from None
        if not senders:
            heard = ", ".join(f"{n} to port {port}" for port, n in sorted(others.items())[:5]) or "none at all"
            who = f" from {self.source}" if self.source else ""
            raise FormatError(
                f"{self.path.name}: got no UDP datagram to port {self.port}{who}, wanted raw data of the card; "
                f"it holds: {heard}"
            )

    def _frames(self, stream: BinaryIO) -> Iterator[Frame]:
        start = stream.read(4)
        if start in CLASSIC:
            yield from self._classic(stream, *CLASSIC[start])
        elif start == PCAPNG:
            stream.seek(0)
            yield from self._pcapng(stream)
        else:
            raise FormatError(
                f"{self.path.name}: starts with {start.hex(' ') or 'nothing'}, wanted a packet capture (.pcap, .pcapng)"
            )

    def _classic(self, stream: BinaryIO, order: str, unit: int) -> Iterator[Frame]:
        head = stream.read(20)
        if len(head) < 20:
            raise FormatError(f"{self.path.name}: got {4 + len(head)} bytes, wanted a packet capture's 24-byte header")
        link = struct.unpack(f"{order}HHiIII", head)[5] & 0xFFFF
        while head := stream.read(16):
            if len(head) < 16:
                return self._cut(len(head))
            seconds, fraction, held, original = struct.unpack(f"{order}IIII", head)
            if held > LARGEST:
                raise FormatError(f"{self.path.name}: got a packet of {held} bytes, wanted at most {LARGEST}: damaged")
            data = stream.read(held)
            if len(data) < held:
                return self._cut(16 + len(data))
            yield Frame(seconds * 10**9 + fraction * unit, link, data, original, stream.tell() - held)

    def _pcapng(self, stream: BinaryIO) -> Iterator[Frame]:
        order, links, units = "<", [], []
        while head := stream.read(8):
            if len(head) < 8:
                return self._cut(len(head))
            if head[:4] == PCAPNG:
                magic = stream.read(4)
                order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(magic, "")
                if not order:
                    raise FormatError(f"{self.path.name}: got byte-order mark {magic.hex()}, wanted 1a2b3c4d: damaged")
                stream.seek(-4, 1)
                links, units = [], []
            kind, length = struct.unpack(f"{order}II", head)
            if length < 12 or length % 4 or length > LARGEST:
                raise FormatError(f"{self.path.name}: got a block of {length} bytes, wanted 12 to {LARGEST}: damaged")
            body = stream.read(length - 8)
            if len(body) < length - 8:
                return self._cut(8 + len(body))
            if len(body) < {1: 12, 6: 24}.get(kind, 4):
                raise FormatError(f"{self.path.name}: got a block of {length} bytes of type {kind}: damaged")
            if kind == 1:
                links.append(struct.unpack_from(f"{order}H", body)[0])
                units.append(_resolution(body[8:-4], order))
            elif kind == 6:
                which, high, low, held, original = struct.unpack_from(f"{order}IIIII", body)
                if which >= len(links) or held > len(body) - 24:
                    raise FormatError(f"{self.path.name}: got a packet of interface {which}, {held} bytes: damaged")
                stamp = (high << 32 | low) * 10**9 // units[which]
                yield Frame(stamp, links[which], body[20 : 20 + held], original, stream.tell() - len(body) + 20)
            elif kind == 3:
                raise FormatError(
                    f"{self.path.name}: got packets without times (simple packet blocks), wanted stamps; record with "
                    "tcpdump -w"
                )

    def _cut(self, n: int) -> None:
        self.notes.append(f"{self.path.name}: the last packet is cut off ({n} bytes of it are there) and was left out")

    def _datagram(self, number: int, frame: Frame, others: dict[int, int]) -> Datagram | None:
        where = f"{self.path.name}: packet {number}"
        start = _ip_start(frame, where)
        data = frame.data
        if start is None or len(data) < start + 20 or data[start] >> 4 != 4 or data[start + 9] != UDP:
            return None
        head = start + (data[start] & 15) * 4
        if len(data) < head + 8 or int.from_bytes(data[start + 6 : start + 8]) & 0x1FFF:
            return None  # the rest of a fragmented datagram: it has no port of its own
        port, length = struct.unpack_from(">HH", data, head + 2)
        if port != self.port:
            others[port] = others.get(port, 0) + 1
            return None
        if data[start + 6] & 0x20:
            raise FormatError(
                f"{where}: got a fragment of a datagram to port {port}, wanted whole ones; the card's 1,466 bytes fit "
                "an MTU of 1500: correct the network card's and record again"
            )
        payload = data[head + 8 : head + length]
        if length < 8 or len(payload) < length - 8 or frame.original > len(data):
            raise FormatError(
                f"{where}: got {len(payload)} of {length - 8} bytes (cut by the snap length), wanted whole packets; "
                "record with tcpdump -s 0"
            )
        source = ".".join(map(str, data[start + 12 : start + 16]))
        return Datagram(frame.time_ns, source, port, payload, frame.at + head + 8)


def _resolution(options: bytes, order: str) -> int:
    """Units per second of an interface's stamps (option if_tsresol; microseconds without it)."""
    at = 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from(f"{order}HH", options, at)
        if code == 0:
            break
        if code == 9 and length >= 1 and at + 4 < len(options):
            value = options[at + 4]
            return 2 ** (value & 0x7F) if value & 0x80 else 10**value
        at += 4 + (length + 3) // 4 * 4
    return 10**6


def _ip_start(frame: Frame, where: str) -> int | None:
    """Where the IPv4 header of a link-layer frame begins, or None when it carries something else."""
    data, link = frame.data, frame.link
    if link == 1:
        at = 12
        kind = int.from_bytes(data[at : at + 2])
        while kind in VLAN:
            at += 4
            kind = int.from_bytes(data[at : at + 2])
        return at + 2 if kind == IPV4 else None
    if link == 113:
        return 16 if int.from_bytes(data[14:16]) == IPV4 else None
    if link == 276:
        return 20 if int.from_bytes(data[0:2]) == IPV4 else None
    if link in (101, 12):
        return 0
    if link == 0:
        return 4 if data[:4] in (b"\x02\0\0\0", b"\0\0\0\x02") else None
    known = ", ".join(f"{name} ({number})" for number, name in LINKS.items())
    raise FormatError(f"{where}: got link type {link}, wanted one of {known}")
