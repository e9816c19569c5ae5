"""The card's wire format: every command byte for byte, packets and their counters, and garbage in any form."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.dca1000 import protocol
from mmsar.hardware.dca1000.protocol import AsyncStatus, Command, Packet, Request, Response, Version

BARE = {
    Command.RESET_FPGA: "5aa5 0100 0000 aaee",
    Command.RESET_RADAR: "5aa5 0200 0000 aaee",
    Command.START_RECORD: "5aa5 0500 0000 aaee",
    Command.STOP_RECORD: "5aa5 0600 0000 aaee",
    Command.START_PLAYBACK: "5aa5 0700 0000 aaee",
    Command.STOP_PLAYBACK: "5aa5 0800 0000 aaee",
    Command.ALIVENESS: "5aa5 0900 0000 aaee",
    Command.CONFIG_RADAR: "5aa5 0c00 0000 aaee",
    Command.INIT_PLAYBACK: "5aa5 0d00 0000 aaee",
    Command.READ_VERSION: "5aa5 0e00 0000 aaee",
}


@pytest.mark.parametrize("command", BARE)
def test_bare_request_is_byte_exact(command):
    assert protocol.encode_request(command) == bytes.fromhex(BARE[command])
    assert protocol.decode_request(bytes.fromhex(BARE[command])) == Request(command=command)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"lanes": 2}, "01020102031e"),
        ({"lanes": 4}, "01010102031e"),
        ({"lanes": 4, "bits": 12, "timer": 255}, "0101010201ff"),
        ({"lanes": 2, "bits": 14, "separated": True, "timer": 0}, "020201020200"),
    ],
)
def test_config_fpga_is_byte_exact(settings, values):
    request = protocol.config_fpga(**settings)
    assert request == bytes.fromhex(f"5aa5 0300 0600 {values} aaee")
    read = protocol.decode_config_fpga(protocol.decode_request(request).payload)
    assert {name: getattr(read, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("delay", "values"),
    [(5e-6, "be05 7102 0000"), (25e-6, "be05 350c 0000"), (500e-6, "be05 24f4 0000")],
)
def test_config_record_is_byte_exact(delay, values):
    request = protocol.config_record(delay)
    assert request == bytes.fromhex(f"5aa5 0b00 0600 {values} aaee")
    read = protocol.decode_config_record(protocol.decode_request(request).payload)
    assert read.max_bytes == 1470
    assert read.delay == pytest.approx(delay, rel=1e-12)
    assert protocol.config_record(delay, max_bytes=1472)[6:8] == b"\xc0\x05"


def test_config_eeprom_is_byte_exact_and_only_behind_its_own_call():
    request = protocol.config_eeprom(
        host_ip="192.168.33.30",
        card_ip="192.168.33.180",
        mac="12-34-56-78-90-12",
        config_port=4096,
        data_port=4098,
    )
    assert request == bytes.fromhex("5aa5 0400 1200 1e21a8c0 b421a8c0 129078563412 0010 0210 aaee")
    with pytest.raises(GeometryError, match="config_eeprom"):
        protocol.encode_request(Command.CONFIG_EEPROM, request[6:-2])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"host_ip": "192.168.33"}, "address: .*192.168.33"),
        ({"card_ip": "card"}, "address: .*card"),
        ({"mac": "12-34-56-78-90"}, "mac: got '12-34-56-78-90'"),
        ({"mac": "12-34-56-78-90-zz"}, "mac"),
        ({"mac": "1-2-3-4-5-6"}, "mac"),
        ({"config_port": 0}, "config_port: got 0"),
        ({"data_port": 70000}, "data_port: got 70000"),
    ],
)
def test_config_eeprom_refuses(change, complaint):
    good = {"host_ip": "1.2.3.4", "card_ip": "1.2.3.5", "mac": "12:34:56:78:90:12", "config_port": 1, "data_port": 2}
    with pytest.raises(GeometryError, match=complaint):
        protocol.config_eeprom(**{**good, **change})


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: protocol.config_fpga(lanes=1), "lanes: got 1"),
        (lambda: protocol.config_fpga(lanes=2, bits=8), "bits: got 8"),
        (lambda: protocol.config_fpga(lanes=2, timer=256), "timer: got 256"),
        (lambda: protocol.config_record(4.9e-6), "packet delay: got 4.9 us"),
        (lambda: protocol.config_record(25.0), "packet delay"),
        (lambda: protocol.config_record(float("nan")), "packet delay: got nan"),
        (lambda: protocol.config_record(25e-6, max_bytes=1465), "max_bytes: got 1465"),
        (lambda: protocol.encode_request(Command.ALIVENESS, bytes(505)), "505 bytes"),
        (lambda: protocol.encode_request(Command.ASYNC_STATUS), "wanted a request"),
        (lambda: protocol.encode_request(0x20), "wanted a request"),
    ],
)
def test_values_the_card_does_not_know_are_refused(call, complaint):
    with pytest.raises(GeometryError, match=complaint):
        call()


def test_answers_are_byte_exact():
    assert protocol.encode_response(Command.START_RECORD) == bytes.fromhex("5aa5 0500 0000 aaee")
    assert protocol.decode_response(bytes.fromhex("5aa5 0300 0100 aaee")) == Response(
        command=Command.CONFIG_FPGA, status=1
    )
    done = protocol.decode_response(bytes.fromhex("5aa5 0a00 0001 aaee"))
    assert done.command == Command.ASYNC_STATUS
    assert AsyncStatus(done.status) == AsyncStatus.RECORD_COMPLETED


def test_version_word():
    answer = protocol.decode_response(bytes.fromhex("5aa5 0e00 0204 aaee"))
    assert protocol.decode_version(answer.status) == Version(major=2, minor=8, playback=False)
    assert str(protocol.decode_version(0x0402)) == "2.8"
    assert str(protocol.decode_version(0x4482)) == "2.9 (playback image)"
    assert protocol.encode_version(Version(major=2, minor=8, playback=False)) == 0x0402


@given(st.sampled_from(sorted(BARE)), st.binary(max_size=504))
def test_requests_round_trip(command, payload):
    assert protocol.decode_request(protocol.encode_request(command, payload)) == Request(
        command=command, payload=payload
    )


@given(st.sampled_from(list(Command)), st.integers(0, 0xFFFF))
def test_answers_round_trip(command, status):
    assert protocol.decode_response(protocol.encode_response(command, status)) == Response(
        command=command, status=status
    )


@given(st.integers(0, (1 << 48) // 1456 - 1), st.integers(0, 1 << 20), st.binary(min_size=1, max_size=1456))
def test_packets_round_trip_over_the_wraps_of_both_counters(before, shortfall, payload):
    """`before` packets went first: the 32-bit number wraps 45 times before the byte count does."""
    offset = max(before * 1456 - shortfall, 0)
    sequence = (before + 1) % (1 << 32)
    packet = protocol.decode_packet(protocol.encode_packet(sequence, offset, payload))
    assert packet == Packet(sequence=sequence, offset=offset, payload=payload)


def test_packets_of_a_frame_of_16384_bytes():
    """As a card was seen to send it: numbers 1 to 12, the last with 368 bytes at byte 16016."""
    data = bytes(range(256)) * 64
    sent = [data[i : i + 1456] for i in range(0, len(data), 1456)]
    packets = [protocol.decode_packet(protocol.encode_packet(i + 1, 1456 * i, part)) for i, part in enumerate(sent)]
    assert [p.sequence for p in packets] == list(range(1, 13))
    assert (packets[-1].offset, len(packets[-1].payload)) == (16016, 368)
    assert protocol.encode_packet(12, 16016, b"")[:10] == bytes.fromhex("0c000000 903e00000000")
    assert protocol.encode_packet(1, 0xA1B2C3D4E5F6, b"")[4:] == bytes.fromhex("f6e5d4c3b2a1")


@pytest.mark.parametrize(
    ("sequence", "offset", "size"),
    [(1, 0, 0), (1, 0, 1457), (1, 1456, 1456), (2, 1460, 1456), (1, 1 << 40, 8), (20_000, 0, 1456)],
)
def test_packets_that_cannot_be(sequence, offset, size):
    assert protocol.decode_packet(protocol.encode_packet(sequence, offset, bytes(size))) is None


@pytest.mark.parametrize("decode", [protocol.decode_request, protocol.decode_response, protocol.decode_packet])
@given(noise=st.binary(max_size=1600))
def test_garbage_is_none(decode, noise):
    found = decode(noise)
    assert found is None or decode is protocol.decode_packet


@given(st.sampled_from(sorted(BARE)), st.binary(max_size=40), st.data())
def test_a_request_changed_in_its_frame_is_none(command, payload, data):
    good = protocol.encode_request(command, payload)
    frame = [0, 1, 4, 5, len(good) - 2, len(good) - 1]
    at, flip = data.draw(st.sampled_from(frame)), data.draw(st.integers(1, 255))
    bad = bytearray(good)
    bad[at] ^= flip
    assert protocol.decode_request(bytes(bad)) is None
    cut = data.draw(st.integers(0, len(good) - 1))
    assert protocol.decode_request(good[:cut]) is None


def test_a_million_random_datagrams():
    """No exception, no command or answer, and no more data packets than chance puts within the counters' rule."""
    source = random.Random(20_240_501)
    pool = source.randbytes(1 << 20)
    packets = 0
    for _ in range(1_000_000):
        start, size = source.randrange(1 << 20), source.randrange(1, 1600)
        datagram = pool[start : start + min(size, 24)]  # the head decides; its length is set below
        if size > 24:
            datagram += _TAIL[: size - 24]
        assert protocol.decode_request(datagram) is None
        assert protocol.decode_response(datagram) is None
        packets += protocol.decode_packet(datagram) is not None
    assert packets <= 12  # 2.5 expected: 1456 lengths of 1599, counters within 2**24 of 1456 * 2**32


_TAIL = bytes(1600)


def test_random_bytes_behind_a_true_head_are_no_commands():
    rng = np.random.default_rng(7)
    for _ in range(20_000):
        noise = rng.bytes(int(rng.integers(0, 12)))
        datagram = bytes.fromhex("5aa5") + noise
        request, answer = protocol.decode_request(datagram), protocol.decode_response(datagram)
        assert request is None or datagram.endswith(b"\xaa\xee")
        assert answer is None or datagram.endswith(b"\xaa\xee")


@given(st.binary(max_size=12))
def test_settings_of_a_wrong_shape_are_none(payload):
    fpga, record = protocol.decode_config_fpga(payload), protocol.decode_config_record(payload)
    assert fpga is None or len(payload) == 6
    assert record is None or len(payload) == 6


def test_least_time_between_packets_gives_the_cards_table():
    """Rates of the user guide: 706, 545, 325, 193 Mb/s at 5, 10, 25, 50 us; packets counted whole."""
    rates = [(10 + 1456) * 8 / protocol.packet_interval(us * 1e-6) / 1e6 for us in (5, 10, 25, 50)]
    assert rates == pytest.approx([706, 545, 325, 193], rel=0.02)
