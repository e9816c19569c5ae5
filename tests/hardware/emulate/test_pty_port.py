"""The pseudo-terminal under every emulated serial instrument."""

import os
import time

import pytest
import serial

from mmsar.hardware.emulate.pty_port import PtyFaults, PtyPort


class Lines(PtyPort):
    """Answers every line with its length."""

    def __init__(self, **options):
        self.rest = b""
        super().__init__(**options)

    def receive(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line == b"boom":
                raise ValueError("boom")
            self.answer(b"%d\n" % len(line))


def ask(port: serial.Serial, line: bytes) -> bytes:
    port.write(line + b"\n")
    return port.readline()


def test_answers_raw_bytes_and_keeps_a_transcript():
    with Lines() as lines, serial.Serial(lines.port, 115200, timeout=5) as port:
        before = time.time_ns()
        assert ask(port, b"abc") == b"3\n"
        assert ask(port, bytes(range(32, 256))) == b"224\n"
        lines.write(bytes(range(256)))
        assert port.read(256) == bytes(range(256))
        stamps, ways, data = zip(*lines.transcript, strict=True)
        assert before < stamps[0] <= stamps[-1] < time.time_ns()
        assert b"".join(d for w, d in zip(ways, data, strict=True) if w == "in").startswith(b"abc\n !")


def test_other_side_may_come_and_go():
    with Lines() as lines:
        for _ in range(3):
            with serial.Serial(lines.port, 115200, timeout=5) as port:
                assert ask(port, b"12") == b"2\n"


def test_faults_are_counted_by_answer():
    plan = PtyFaults(drop=frozenset({1}), noise={2: b"\xff?"}, mute_after=3)
    with Lines(faults=plan) as lines, serial.Serial(lines.port, 115200, timeout=0.2) as port:
        assert ask(port, b"a") == b"1\n"
        assert ask(port, b"bb") == b""
        assert ask(port, b"ccc") == b"\xff?3\n"
        assert ask(port, b"dddd") == b""
        assert lines.answers == 4
        lines.faults = PtyFaults()
        assert ask(port, b"eeeee") == b"5\n"


def test_delayed_answers_keep_their_order():
    with Lines(faults=PtyFaults(delay=0.2)) as lines, serial.Serial(lines.port, 115200, timeout=5) as port:
        began = time.monotonic()
        port.write(b"a\nbb\n")
        time.sleep(0.05)
        lines.faults = PtyFaults()
        port.write(b"ccc\n")
        assert [port.readline() for _ in range(3)] == [b"1\n", b"2\n", b"3\n"]
        assert time.monotonic() - began >= 0.2


def test_line_speed_paces_bytes():
    with Lines(byte_time=0.002) as lines, serial.Serial(lines.port, 115200, timeout=5) as port:
        began = time.monotonic()
        lines.write(b"x" * 50)
        assert port.read(50) == b"x" * 50
        assert time.monotonic() - began >= 0.1


def test_more_than_the_terminal_holds_arrives_whole():
    with Lines() as lines, serial.Serial(lines.port, 115200, timeout=5) as port:
        data = os.urandom(200_000)
        lines.write(data)
        assert port.read(len(data)) == data


def test_later_runs_in_the_instruments_thread():
    with Lines() as lines, serial.Serial(lines.port, 115200, timeout=5) as port:
        lines.later(0.05, lambda: lines.write(b"second\n"))
        lines.later(0.01, lambda: lines.write(b"first\n"))
        assert port.readline() == b"first\n"
        assert port.readline() == b"second\n"


def test_close_unplugs_and_does_not_wait_for_a_silent_reader():
    lines = Lines()
    port = serial.Serial(lines.port, 115200, timeout=5)
    lines.write(b"x" * 10_000_000)
    lines.close()
    lines.close()
    with pytest.raises((serial.SerialException, OSError)):
        while port.read(65536):
            pass
        raise OSError("end of file")
    port.close()


def test_an_error_of_the_instrument_comes_out_of_close():
    lines = Lines()
    with serial.Serial(lines.port, 115200, timeout=0.2) as port:
        assert ask(port, b"boom") == b""
    with pytest.raises(ValueError, match="boom"):
        lines.close()
    lines.close()
