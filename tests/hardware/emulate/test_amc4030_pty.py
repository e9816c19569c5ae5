"""The emulated AMC4030 spoken to in bytes."""

import itertools
import struct
import time

import pytest
import serial

from mmsar.hardware.emulate.amc4030 import Amc4030Pty


def crc(data):
    """The standard's check sum, bit by bit, written again here."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


@pytest.fixture
def line():
    with (
        Amc4030Pty(start=(3.0, 0.0, 0.0), speedup=20) as amc,
        serial.Serial(amc.port, 115200, timeout=2) as port,
    ):

        def ask(text, size):
            body = bytes.fromhex(text)
            port.write(body + crc(body))
            answer = port.read(size + 2)
            assert answer[-2:] == crc(answer[:-2])
            return answer[:-2]

        yield amc, ask


def positions(ask):
    answer = ask("01 03 00 04 00 08", 19)
    assert answer[:3] == b"\x01\x03\x10"
    return struct.unpack(">I3i", answer[3:])


def settle(ask):
    deadline = time.monotonic() + 5
    while (found := positions(ask))[0]:
        assert time.monotonic() < deadline
    return found


def test_home_move_and_stop(line):
    amc, ask = line
    assert positions(ask) == (0, 0, 0, 0)
    assert amc.position_at(time.time_ns())[0] == pytest.approx(3e-3)
    assert ask("01 05 00 04 ff 00", 6) == bytes.fromhex("01 05 00 04 ff 00")
    assert positions(ask)[0] == 8  # homing
    settle(ask)
    assert amc.position_at(time.time_ns())[0] == pytest.approx(0, abs=1e-9)
    request = "01 10 00 38 00 08 10" + struct.pack(">4f", 50, 10, 2.5, 0).hex()
    assert ask(request, 6) == bytes.fromhex("01 10 00 38 00 08")
    ask("01 05 00 0d ff 00", 6)
    assert settle(ask) == (0, 1_000_000, 250_000, 0)
    ask("01 05 00 0d ff 00", 6)  # relative: again
    assert settle(ask) == (0, 2_000_000, 500_000, 0)
    ask("01 10 00 38 00 04 08" + struct.pack(">2f", 1, 100).hex(), 6)
    ask("01 05 00 0d ff 00", 6)
    assert positions(ask)[0] == 2
    ask("01 05 00 03 ff 00", 6)
    stopped = settle(ask)[1]
    assert 2_000_000 <= stopped < 10_000_000


def test_beyond_the_travel_is_an_alarm(line):
    amc, ask = line
    ask("01 10 00 38 00 04 08" + struct.pack(">2f", 100, -5).hex(), 6)
    ask("01 05 00 0d ff 00", 6)
    deadline = time.monotonic() + 5
    while positions(ask)[0] != 16:
        assert time.monotonic() < deadline
    assert amc.position_at(time.time_ns())[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("01 03 01 00 00 01", "01 83 02"),
        ("01 05 00 0d 12 34", "01 85 03"),
        ("01 05 00 40 ff 00", "01 85 02"),
        ("01 06 00 38 00 01", "01 86 01"),
        ("01 01 00 00 00 12", "01 01 03 00 00 00"),
    ],
)
def test_exceptions_and_coils(line, request_, answer):
    _, ask = line
    assert ask(request_, len(bytes.fromhex(answer))) == bytes.fromhex(answer)


@pytest.mark.parametrize("later", [0.0, 0.01])
def test_position_and_status_are_of_one_moment(line, monkeypatch, later):
    """Idle is never said beside a position on the way there, however slow the controller's own program is."""
    amc, ask = line
    ask("01 10 00 38 00 08 10" + struct.pack(">4f", 50, 10, 2.5, 0).hex(), 6)
    ask("01 05 00 0d ff 00", 6)
    clock = itertools.count(amc.machine.track.end - 0.1 + later, 0.01)  # time passes with every look at it
    monkeypatch.setattr(amc.machine, "now", lambda: next(clock))
    while (found := positions(ask))[0]:
        pass
    assert found == (0, 1_000_000, 250_000, 0)
