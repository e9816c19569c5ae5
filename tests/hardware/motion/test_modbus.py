"""Modbus RTU against the standard's vectors, and a master against a faulty device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import CaptureError
from mmsar.hardware.emulate.amc4030 import Amc4030Pty
from mmsar.hardware.emulate.pty_port import PtyFaults
from mmsar.hardware.motion.modbus import ModbusMaster, check_frame, crc16, frame


@pytest.mark.parametrize(
    "text",
    [
        "02 07 41 12",  # the example of the serial-line standard
        "11 03 00 6b 00 03 76 87",
        "11 05 00 ac ff 00 4e 8b",
        "01 03 00 00 00 0a c5 cd",
        "01 05 00 00 ff 00 8c 3a",
        "11 10 00 01 00 02 04 00 0a 01 02 c6 f0",
    ],
)
def test_known_frames(text):
    raw = bytes.fromhex(text)
    assert frame(raw[0], raw[1], raw[2:-2]) == raw
    assert check_frame(raw) == raw[:-2]


def test_crc_check_value():
    assert crc16(b"123456789") == 0x4B37
    assert crc16(b"") == 0xFFFF


@given(body=st.binary(min_size=2, max_size=250), bit=st.integers(0, 2**16))
def test_every_flipped_bit_is_found(body, bit):
    raw = bytearray(frame(body[0], body[1], body[2:]))
    assert check_frame(bytes(raw)) == body
    bit %= 8 * len(raw)
    raw[bit // 8] ^= 1 << bit % 8
    assert check_frame(bytes(raw)) is None


@given(raw=st.binary(max_size=3))
def test_short_frames_are_none(raw):
    assert check_frame(raw) is None


@pytest.fixture
def device():
    with Amc4030Pty() as emulator:
        yield emulator


@pytest.fixture
def master(device):
    opened = ModbusMaster(device.port)
    yield opened
    opened.close()


def test_requests_are_byte_exact(device, master):
    assert master.read_registers(0, 2) == [0, 0x0203]
    master.write_registers(0x38, [0x4120, 0, 0xFFFF])
    master.write_coil(3, True)
    assert master.read_coils(0, 9) == [False] * 9
    assert master.read_registers(0x38, 3) == [0x4120, 0, 0xFFFF]
    assert [request.hex(" ") for request in device.requests] == [
        "01 03 00 00 00 02",
        "01 10 00 38 00 03 06 41 20 00 00 ff ff",
        "01 05 00 03 ff 00",
        "01 01 00 00 00 09",
        "01 03 00 38 00 03",
    ]


def test_reads_are_repeated(device, master):
    device.corrupt = 2
    assert master.read_registers(0, 1) == [0]
    assert master.retries == 2
    device.faults = PtyFaults(drop=frozenset({device.answers}))
    assert master.read_registers(0, 1) == [0]
    assert master.retries == 3


def test_writes_are_not(device, master):
    device.faults = PtyFaults(drop=frozenset({device.answers}))
    with pytest.raises(CaptureError, match="whether it was carried out is not known"):
        master.write_registers(0x38, [1])
    assert len(device.requests) == 1
    device.corrupt = 1
    with pytest.raises(CaptureError, match=r"wrong check sum.*not known"):
        master.write_coil(0xE, True)
    assert len(device.requests) == 2


def test_lasting_faults_are_explained(device, master):
    device.corrupt = 3
    with pytest.raises(CaptureError, match=r"7 bytes with a wrong check sum \(3 tries of function 3\)"):
        master.read_registers(0, 1)
    device.faults = PtyFaults(mute_after=0)
    with pytest.raises(CaptureError, match=r"no answer in 0\.2 s \(3 tries"):
        master.read_registers(0, 1)
    device.close()
    with pytest.raises(CaptureError, match="check the cable"):
        master.read_registers(0, 1)


def test_exceptions_are_named(device, master):
    with pytest.raises(CaptureError, match=r"exception 2 \(address not there\) to function 3"):
        master.read_registers(0x100, 1)
    with pytest.raises(CaptureError, match=r"exception 2 .* to function 16"):
        master.write_registers(0, [1])
    assert master.retries == 0


def test_another_device_does_not_answer(device):
    master = ModbusMaster(device.port, unit=7)
    with pytest.raises(CaptureError, match=r"no answer.*wanted an answer of device 7"):
        master.read_registers(0, 1)
    master.close()


def test_garbage_before_a_request_is_dropped(device, master):
    master._serial.write(b"\x01\x03\x00")
    assert master.read_registers(0, 2) == [0, 0x0203]
