"""Packet captures written byte by byte: classic and pcapng, byte orders, link types, and what is refused."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import FormatError
from mmsar.hardware.readers.pcap import Datagram, PcapFile, is_pcap

CARD, HOST = bytes([192, 168, 33, 180]), bytes([192, 168, 33, 30])


def udp(payload: bytes, port: int = 4098, *, source: bytes = CARD, flags: int = 0, options: bytes = b"") -> bytes:
    """An IPv4 packet."""
    body = struct.pack(">HHHH", 1024, port, 8 + len(payload), 0) + payload
    words = 5 + len(options) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), 7, flags, 64, 17, 0)
    return head + source + HOST + options + body


def ethernet(packet: bytes, kind: int = 0x0800, vlan: bytes = b"") -> bytes:
    return b"\x12\x34\x56\x78\x90\x12" * 2 + vlan + struct.pack(">H", kind) + packet


def classic(packets: list[bytes], *, order: str = "<", nano: bool = False, link: int = 1, cut: int = 0) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for k, packet in enumerate(packets):
        held = packet[: len(packet) - cut]
        out += struct.pack(f"{order}IIII", 1_700_000_000 + k, 123, len(held), len(packet)) + held
    return out


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def pcapng(packets: list[bytes], *, order: str = "<", resolution: int | None = None, link: int = 1) -> bytes:
    out = block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    options = b"" if resolution is None else struct.pack(f"{order}HHB3xHH", 9, 1, resolution, 0, 0)
    out += block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)
    out += block(5, bytes(12), order)  # statistics: of no concern
    unit = {None: 10**6, 9: 10**9, 0x8A: 2**10}[resolution]
    for k, packet in enumerate(packets):
        stamp = (1_700_000_000 + k) * unit + 5
        body = struct.pack(f"{order}IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(packet), len(packet)) + packet
        out += block(6, body, order)
    return out


def read(path: Path, content: bytes, **kwargs) -> list[Datagram]:
    path.write_bytes(content)
    found = list(PcapFile(path, **kwargs))
    for one in found:  # the place in the file is where the payload is
        assert content[one.at : one.at + len(one.payload)] == one.payload
    return found


PAYLOADS = [b"one", b"second packet", b"3"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_classic(tmp_path: Path, order: str, nano: bool) -> None:
    others = [ethernet(b"arp", 0x0806), ethernet(udp(b"config", 4096)), ethernet(udp(b"x", options=b"\1" * 8))]
    packets = [*others[:2], *(ethernet(udp(p)) for p in PAYLOADS), others[2]]
    found = read(tmp_path / "a.pcap", classic(packets, order=order, nano=nano))
    assert is_pcap(tmp_path / "a.pcap")
    assert [d.payload for d in found] == [*PAYLOADS, b"x"]
    assert [d.time_ns for d in found] == [(1_700_000_000 + k) * 10**9 + (123 if nano else 123_000) for k in range(2, 6)]
    assert {d.source for d in found} == {"192.168.33.180"} and {d.port for d in found} == {4098}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("resolution", "extra"), [(None, 5000), (9, 5), (0x8A, 5 * 10**9 // 1024)])
def test_pcapng(tmp_path: Path, order: str, resolution: int | None, extra: int) -> None:
    packets = [ethernet(udp(p)) for p in PAYLOADS]
    found = read(tmp_path / "a.pcapng", pcapng(packets, order=order, resolution=resolution))
    assert [d.payload for d in found] == PAYLOADS
    assert [d.time_ns for d in found] == [(1_700_000_000 + k) * 10**9 + extra for k in range(3)]


@pytest.mark.parametrize(
    ("link", "wrap"),
    [
        (1, lambda p: ethernet(p, vlan=b"\x81\x00\x00\x05")),
        (1, lambda p: ethernet(p) + bytes(20)),  # padding of a short frame
        (0, lambda p: b"\x02\0\0\0" + p),
        (101, lambda p: p),
        (113, lambda p: bytes(14) + b"\x08\x00" + p),
        (276, lambda p: b"\x08\x00" + bytes(18) + p),
    ],
)
def test_link_types(tmp_path: Path, link: int, wrap) -> None:
    assert [d.payload for d in read(tmp_path / "a", classic([wrap(udp(b"hello"))], link=link))] == [b"hello"]
    assert [d.payload for d in read(tmp_path / "a", pcapng([wrap(udp(b"hello"))], link=link))] == [b"hello"]


def refusal(path: Path, content: bytes, **kwargs) -> str:
    with pytest.raises(FormatError) as caught:
        read(path, content, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "dca.pcap"
    good = ethernet(udp(b"payload"))
    assert "wanted a packet capture" in refusal(path, b"no capture at all")
    assert "nothing" in refusal(path, b"")
    assert "24-byte header" in refusal(path, classic([])[:10])
    assert "none at all" in refusal(path, classic([]))
    message = refusal(path, classic([ethernet(udp(b"c", 4096))] * 3))
    assert "no UDP datagram to port 4098" in message and "3 to port 4096" in message
    message = refusal(path, classic([good, ethernet(udp(b"half", flags=0x2000))]))
    assert "packet 2: got a fragment" in message and "MTU" in message
    assert "tcpdump -s 0" in refusal(path, classic([good], cut=3))
    other = ethernet(udp(b"x", source=bytes([192, 168, 33, 181])))
    message = refusal(path, classic([good, other]))
    assert "192.168.33.180 and 192.168.33.181" in message and "source" in message
    assert len(read(path, classic([good, other]), source="192.168.33.181")) == 1
    assert "got no UDP datagram" in refusal(path, classic([good]), source="10.0.0.1")
    assert "link type 147" in refusal(path, classic([good], link=147))
    assert "simple packet blocks" in refusal(path, pcapng([]) + block(3, struct.pack("<I", 4) + b"abcd"))
    assert "byte-order mark" in refusal(path, block(0x0A0D0D0A, bytes(16)))
    assert "damaged" in refusal(path, classic([good]) + struct.pack("<IIII", 0, 0, 2**30, 2**30))
    assert "damaged" in refusal(path, pcapng([good]) + struct.pack("<II", 6, 7))
    assert "damaged" in refusal(path, pcapng([good]) + block(6, bytes(8)))
    with pytest.raises(FormatError, match="No such file"):
        list(PcapFile(tmp_path / "gone"))
    (tmp_path / "rest").write_bytes(classic([good, ethernet(udp(b"rest", flags=0x0010))]))
    assert len(list(PcapFile(tmp_path / "rest"))) == 1  # the rest of somebody's fragments has no port


@settings(max_examples=60, deadline=None)
@given(data=st.data(), ng=st.booleans())
def test_cut_and_damaged_files_never_do_anything_else(data, ng: bool, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.pcap"
    packets = [ethernet(udp(p)) for p in PAYLOADS]
    content = bytearray(pcapng(packets) if ng else classic(packets))
    content = content[: data.draw(st.integers(4, len(content)))]
    for _ in range(data.draw(st.integers(0, 2))):
        content[data.draw(st.integers(4, len(content))) - 1] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    capture = PcapFile(path)
    try:
        found = list(capture)
    except FormatError as error:
        assert "\n" not in str(error)
    else:
        assert len(found) <= len(PAYLOADS)


def test_a_stopped_program_leaves_a_cut_packet(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    for content in (classic([ethernet(udp(p)) for p in PAYLOADS]), pcapng([ethernet(udp(p)) for p in PAYLOADS])):
        path.write_bytes(content[:-2])
        capture = PcapFile(path)
        assert [d.payload for d in capture] == PAYLOADS[:2] and "cut off" in capture.notes[0]
