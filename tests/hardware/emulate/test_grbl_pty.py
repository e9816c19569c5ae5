"""The emulated GRBL spoken to by hand, against what the real one is known to say."""

import re
import time

import pytest
import serial

from mmsar.hardware.emulate.grbl import GrblPty


class Terminal:
    """A terminal program: send, read until a line matches."""

    def __init__(self, path):
        self.port = serial.Serial(path, 115200, timeout=3)
        time.sleep(0.02)
        self.port.reset_input_buffer()  # as opening does, with what was said before
        self.port.write(b"\x18")
        self.greeting = self.until(r"\[MSG.*")

    def until(self, pattern):
        lines = []
        while not (lines and re.fullmatch(pattern, lines[-1])):
            line = self.port.readline()
            assert line, f"silence after {lines}"
            if line.strip():
                lines.append(line.decode().strip())
        return lines

    def ask(self, text, pattern=r"ok|error:\d+"):
        self.port.write(text.encode("latin-1") + b"\n")
        return self.until(pattern)

    def status(self):
        self.port.write(b"?")
        return self.until(r"<.*>")[-1]

    def idle(self):
        deadline = time.monotonic() + 5
        while not (found := self.status()).startswith("<Idle"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return found


@pytest.fixture
def grbl():
    with GrblPty(speedup=20) as emulator:
        yield emulator


@pytest.fixture
def terminal(grbl):
    opened = Terminal(grbl.port)
    yield opened
    opened.port.close()


def test_start_lock_and_homing(grbl, terminal):
    assert terminal.greeting == ["Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]"]
    assert terminal.status().startswith("<Alarm|MPos:0.000,0.000,0.000|FS:0,0|WCO:0.000,0.000,0.000>")
    assert terminal.ask("G0 X-1") == ["error:9"]
    assert terminal.ask("$J=G91 X1 F100") == ["error:8"]
    terminal.port.write(b"$H\n")
    time.sleep(0.03)
    terminal.port.write(b"?")
    assert terminal.until("ok") == ["ok"]  # and no report while homing
    assert terminal.status().startswith("<Idle|MPos:-1.000,-1.000,-1.000|FS:0,0")


def test_settings_are_printed_and_set(grbl, terminal):
    lines = terminal.ask("$$")
    assert "$10=1" in lines
    assert "$110=6000.000" in lines
    assert lines[-1] == "ok"
    assert terminal.ask("$110=1234.5") == ["ok"]
    assert "$110=1234.500" in terminal.ask("$$")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("$J=G53 G90 G21 X-10 F1200", "ok"),
        ("$J=G53 G90 G21 X-10", "error:22"),
        ("$J=G53 G90 G21 X10 F1200", "error:15"),
        ("$J=G53 G90 G21 X-10 F1200 S3", "error:16"),
        ("$J=G90 F1200", "error:16"),
        ("$J=G90 X1O F1200", "error:2"),
        ("$Q", "error:3"),
        ("G5 X-1", "error:20"),
        ("G1 X-2", "error:22"),
        ("", "ok"),
        ("(a comment)", "ok"),
        ("G4 P0", "ok"),
        ("$I", "ok"),
    ],
)
def test_answers(grbl, terminal, line, answer):
    terminal.ask("$H")
    assert terminal.ask(line)[-1] == answer


def test_coordinates_and_units(grbl, terminal):
    terminal.ask("$H")
    terminal.ask("$J=G91 G21 X-10 F6000")
    assert "MPos:-11.000,-1.000" in terminal.idle()
    terminal.ask("$J=G91 G20 Y-1 F200")
    assert "MPos:-11.000,-26.400" in terminal.idle()
    terminal.ask("G90 G21 G0 X-5 Y-5")
    assert "MPos:-5.000,-5.000" in terminal.idle()
    terminal.ask("G91 G1 X-1 F3000")
    assert "MPos:-6.000,-5.000" in terminal.idle()
    terminal.ask("$J=G90 X-20.0017 F3000")  # the nearest of 250 steps a millimetre
    assert "MPos:-20.000" in terminal.idle()
    assert grbl.position_at(time.time_ns())[0] == pytest.approx(-20.0017e-3, abs=1e-9)


def test_hold_and_resume_of_a_move():
    with GrblPty(start=(-1.0, -1.0, -1.0)) as grbl:
        terminal = Terminal(grbl.port)
        hold_and_resume(grbl, terminal)
        terminal.port.close()


def hold_and_resume(grbl, terminal):
    terminal.ask("$H")
    terminal.ask("G90 G1 X-8 F3000")
    time.sleep(0.05)
    terminal.port.write(b"!")
    deadline = time.monotonic() + 3
    while not terminal.status().startswith("<Hold:0"):
        assert time.monotonic() < deadline
    held = grbl.position_at(time.time_ns())[0]
    assert -8e-3 < held < -1e-3
    terminal.port.write(b"~")
    assert "MPos:-8.000" in terminal.idle()


def test_reset_in_a_move_costs_the_position(grbl, terminal):
    terminal.ask("$H")
    terminal.ask("$J=G53 X-300 F600")
    terminal.port.write(b"\x18")
    assert terminal.until(r"\[MSG.*") == ["ALARM:3", "Grbl 1.1h ['$' for help]", "[MSG:'$H'|'$X' to unlock]"]
    assert not grbl.machine.moving()
    assert terminal.ask("$X") == ["[MSG:Caution: Unlocked]", "ok"]
    terminal.port.write(b"\x18")
    assert terminal.until("Grbl.*") == ["Grbl 1.1h ['$' for help]"]


def test_a_soft_limit_of_a_move_is_an_alarm(grbl, terminal):
    terminal.ask("$H")
    assert terminal.ask("G90 G0 X5", r"\[MSG.*") == ["ALARM:2", "[MSG:Reset to continue]"]
    terminal.port.write(b"?$H\n\x18")
    lines = terminal.until(r"\[MSG.*")
    assert not any(line.startswith("<") for line in lines)


def test_fifteen_moves_are_planned_and_the_next_waits(grbl, terminal):
    terminal.ask("$H")
    terminal.ask("$10=3")
    for k in range(15):
        assert terminal.ask(f"$J=G53 X-{2 + k % 2} F6") == ["ok"]
    assert "|Bf:0,128|" in terminal.status()
    begun = time.monotonic()
    assert terminal.ask("$J=G53 X-5 F6000") == ["ok"]
    assert time.monotonic() - begun > 0.01
    terminal.port.write(b"\x85")
    assert "|Bf:15,128|" in terminal.idle()
