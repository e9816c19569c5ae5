"""The emulated trigger box spoken to by hand: the firmware's log lines, quirks included."""

import pytest
import serial

from mmsar.hardware.emulate.esp32 import Esp32Pty


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"$RTG#", ["Radar trigger command is received"]),
        (b"$RTG1#", ["Invalid command is received"]),
        (b"$FOO#", ["Invalid command is received"]),
        (b"RTG#", ["Invalid start symbol is received"]),
        (b"$R#", ["Received packet is too small (received:3 < expected:5)"]),
        (b"$PLS7#", ["Set pulse count command is received", "Pulse counter threshold 10 is changed to 7"]),
        (
            b"$PLS0#",
            ["Set pulse count command is received", "There is no valid configuration parameter in the command"],
        ),
        (
            b"$DTG123456#",
            ["Set desired number of Radar trigger command is received", "Configuration parameter is too long"],
        ),
        (b"$CTG#", ["Clear number of Radar trigger command is received"]),
    ],
)
def test_log_lines(sent, said):
    with Esp32Pty() as box, serial.Serial(box.port, 115200, timeout=2) as port:
        port.write(sent)
        for text in said:
            line = port.readline()
            assert line.endswith(b"\r\n")
            assert line.decode().strip().split(": ", 1)[1] == text


def test_commands_in_pieces():
    with Esp32Pty() as box, serial.Serial(box.port, 115200, timeout=2) as port:
        for piece in (b"$P", b"LS", b"12#$R", b"TG#"):
            port.write(piece)
        assert [port.readline() for _ in range(3)][-1].endswith(b"Radar trigger command is received\r\n")
        port.write(b"$PAU#")
        port.readline()
        assert box.threshold == 12
        assert len(box.triggers) == 1
        assert not box.counting
