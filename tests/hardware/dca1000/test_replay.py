"""Replay: the datagrams of a journal or a packet capture, byte for byte, in order and in time."""

import struct
import threading
import time

import pytest

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.dca1000.journal import JournalWriter
from mmsar.hardware.dca1000.records import pack
from mmsar.hardware.dca1000.replay import Recorded, replay

DATAGRAMS = [
    (10**18 + k * 10_000_000, struct.pack("<IIH", k + 1, 1456 * k, 0) + bytes([k]) * (1456 if k < 29 else 100))
    for k in range(30)
]


def journal(folder, datagrams=DATAGRAMS):
    folder.mkdir()
    writer = JournalWriter(folder)
    for first in range(0, len(datagrams), 7):
        part = datagrams[first : first + 7]
        writer.append(b"".join(pack(data, stamp) for stamp, data in part), len(part))
    writer.close()
    return folder


def pcap(path, datagrams=DATAGRAMS):
    """A packet capture of the datagrams, Ethernet and nanoseconds."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)]
    for stamp, data in datagrams:
        udp = struct.pack(">HHHH", 1024, 4098, 8 + len(data), 0) + data
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + bytes(
            [192, 168, 33, 180, 192, 168, 33, 30]
        )
        frame = bytes(12) + b"\x08\x00" + ip + udp
        parts.append(struct.pack("<IIII", stamp // 10**9, stamp % 10**9, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("order", ["as recorded", "disturbed"])
def test_both_kinds_give_every_datagram_in_order(tmp_path, order):
    given = DATAGRAMS if order == "as recorded" else [DATAGRAMS[k] for k in (2, 0, 0, 1, 5, 29)]
    assert list(Recorded(journal(tmp_path / "rec", given))) == given
    assert list(Recorded(pcap(tmp_path / "card.pcap", given))) == given


def test_damage_is_said_and_the_rest_is_sent(tmp_path):
    folder = journal(tmp_path / "rec")
    chunk = next(folder.glob("*.bin"), None) or sorted(p for p in folder.iterdir() if p.suffix != ".json")[0]
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    recorded = Recorded(folder)
    got = list(recorded)
    assert len(got) == 23
    assert set(got) < set(DATAGRAMS)
    assert "was left out" in recorded.notes[0]


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_speed_and_times(speed):
    sent = []
    began = time.monotonic()
    done = replay(DATAGRAMS, lambda data: sent.append((time.monotonic(), data)), speed=speed)
    assert [data for _, data in sent] == [data for _, data in DATAGRAMS]
    assert done.datagrams == 30
    assert done.size == sum(len(data) for _, data in DATAGRAMS)
    assert done.seconds >= 0.29 / speed
    assert all(at - began >= k * 0.01 / speed for k, (at, _) in enumerate(sent))


def test_unknown_times_follow_at_once_and_stop_ends_it():
    stop = threading.Event()
    sent = []

    def send(data: bytes) -> None:
        sent.append(data)
        if len(sent) == 3:
            stop.set()

    done = replay([(-1, b"a"), (10**18, b"b"), (-1, b"c"), (10**18 + 10**12, b"d")], send, stop=stop)
    assert sent == [b"a", b"b", b"c"]
    assert done.datagrams == 3


def test_refusals(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("not a capture")
    with pytest.raises(FormatError, match="folder without packets"):
        Recorded(tmp_path / "empty")
    with pytest.raises(FormatError, match="got another kind of file"):
        Recorded(tmp_path / "text.txt")
    with pytest.raises(FileNotFoundError):
        Recorded(tmp_path / "nothing")
    with pytest.raises(GeometryError, match="replay speed"):
        replay([], bytes, speed=0.0)
