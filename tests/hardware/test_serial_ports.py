"""Telling the radar's command line from other serial ports by what USB says of them."""

import os
from types import SimpleNamespace

import pytest
import serial

from mmsar.errors import CaptureError
from mmsar.hardware import serial_ports
from mmsar.hardware.emulate.pty_port import PtyPort
from mmsar.hardware.serial_ports import cli_port, find_ports, open_port


class Silent(PtyPort):
    """A port nobody answers on."""

    def receive(self, data):
        pass


def usb(device, ids=(None, None), *, interface=None, number=None, serial_number="R1", description=None):
    """What pyserial says of a port."""
    return SimpleNamespace(
        device=device,
        vid=ids[0],
        pid=ids[1],
        serial_number=serial_number,
        location=f"1-2:1.{number}" if number is not None else "1-2",
        interface=interface,
        description=description or interface or "n/a",
    )


XDS = [usb("/dev/ttyACM1", serial_ports.XDS110, number=3), usb("/dev/ttyACM0", serial_ports.XDS110, number=0)]
CP = [
    usb("/dev/ttyUSB0", serial_ports.CP2105, interface="Standard Com Port", number=1),
    usb("/dev/ttyUSB1", serial_ports.CP2105, interface="Enhanced Com Port", number=0),
]
FTDI = [usb(f"/dev/ttyUSB{i}", serial_ports.DEVPACK, number=i) for i in range(4)]
OTHER = usb("/dev/ttyS0", serial_number=None, description="ttyS0")


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        (XDS, "/dev/ttyACM0"),
        (CP, "/dev/ttyUSB1"),
        ([*FTDI, *XDS, OTHER], "/dev/ttyACM0"),
        ([usb("/dev/ttyACM5", serial_ports.XDS110, interface="Application/User UART", number=3)], "/dev/ttyACM5"),
    ],
)
def test_the_one_command_line_is_found(entries, path):
    assert cli_port(entries=entries).path == path


def test_ports_are_sorted_by_number_and_explained():
    ports = find_ports([usb("/dev/ttyACM10"), *XDS, *FTDI, OTHER])
    assert [p.path for p in ports] == [
        "/dev/ttyACM0",
        "/dev/ttyACM1",
        "/dev/ttyACM10",
        "/dev/ttyS0",
        *(f"/dev/ttyUSB{i}" for i in range(4)),
    ]
    assert [p.role for p in ports] == ["cli", "data", "other", "other"] + ["devpack"] * 4
    assert str(ports[0]) == "/dev/ttyACM0 (XDS110, serial R1: the radar's command line)"


def test_two_boards_need_a_choice():
    both = [*XDS, usb("/dev/ttyACM2", serial_ports.XDS110, number=0, serial_number="R2")]
    with pytest.raises(CaptureError, match=r"2 command lines: /dev/ttyACM0 .*R1.*/dev/ttyACM2 .*R2.*--port"):
        cli_port(entries=both)
    assert cli_port(serial_number="R2", entries=both).path == "/dev/ttyACM2"
    with pytest.raises(CaptureError, match="no command line of board R3"):
        cli_port(serial_number="R3", entries=both)


def test_usb_in_the_capture_card_is_explained():
    with pytest.raises(CaptureError, match=r"debug lines of the DevPack.*plug USB into the radar board"):
        cli_port(entries=FTDI)


@pytest.mark.parametrize(
    "entry", [usb("/dev/ttyACM0", serial_ports.XDS110), usb("/dev/ttyUSB0", serial_ports.CP2105, number=0)]
)
def test_what_usb_does_not_tell_apart_is_not_guessed(entry):
    with pytest.raises(CaptureError, match="USB does not say which: name it with --port"):
        cli_port(entries=[entry])


def test_no_port_at_all():
    with pytest.raises(CaptureError, match=r"no serial port at all; plug the USB cable into the radar board"):
        cli_port(entries=[])
    assert all(isinstance(p.path, str) for p in find_ports())


def test_a_port_is_held_by_one_program():
    with Silent() as silent:
        with open_port(silent.port, baud=115200):
            with pytest.raises(CaptureError, match="in use by another program"):
                open_port(silent.port, baud=115200)
        open_port(silent.port, baud=115200).close()


def test_ports_that_cannot_be_opened_are_explained(tmp_path):
    with pytest.raises(CaptureError, match="port /dev/ttyNONE9: not there; ports of this machine:"):
        open_port("/dev/ttyNONE9", baud=115200)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(CaptureError, match="wanted a serial port"):
        open_port(str(file), baud=115200)
    denied = serial_ports.open_advice(str(file), serial.SerialException(13, "Permission denied"))
    assert denied.startswith("this user may not open it; ")


def test_what_is_no_serial_port_is_said():
    """A device of another kind: pyserial says (25, 'Inappropriate ioctl for device')."""
    with pytest.raises(
        CaptureError, match=r"port /dev/null: something else, wanted a serial port; ports of this machine"
    ):
        open_port("/dev/null", baud=115200)


@pytest.mark.parametrize(
    "error",
    [
        serial.SerialException(
            "device reports readiness to read but returned no data (device disconnected or multiple access on port?)"
        ),
        OSError(5, "Input/output error"),
        serial.SerialException("write failed: [Errno 5] Input/output error"),
        OSError(6, "No such device or address"),
    ],
)
def test_a_port_that_was_unplugged_is_said(error):
    assert serial_ports.said(error) == "that the device was unplugged or switched off"
    assert serial_ports.said(OSError(28, "No space\nleft")) == "[Errno 28] No space left"


def test_permission_advice(tmp_path):
    with Silent() as silent:
        assert serial_ports.may_open(silent.port)
        group = os.stat(silent.port).st_gid
        assert ("usermod -aG" in serial_ports.permission_advice(silent.port)) == (group != 0)
    assert "usermod -aG dialout" in serial_ports.permission_advice(str(tmp_path / "gone"))
