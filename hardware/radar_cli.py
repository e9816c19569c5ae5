"""The radar's command line over a serial port: one line, its answer up to the prompt, and what a refusal means.

The mmWave demo firmware echoes a line, prints what it has to say, `Done` or an error, and a prompt such as
`mmwDemo:/>`. Nothing here waits a fixed time: an answer ends with the prompt that follows the echo. Lines go out as
they stand in the configuration (a number rewritten is another number), and the first one refused ends it.
Source: hardware logs of users, mmWave SDK command line (cli.c); see the capture documentation for the causes listed.
"""

import re
import threading
import time
from dataclasses import dataclass
from typing import Protocol, Self

from mmsar.errors import CaptureError
from mmsar.hardware.serial_ports import open_port, said

BAUD = 115200
PROMPT = re.compile(rb"\w+:/>[ \r\n]*\Z")
MAX_LINE = 255
"""Longest line the firmware reads [bytes]."""
TIMEOUT = 5.0
"""Time an answer may take [s]."""
START_TIMEOUT = 15.0
"""The same for sensorStart, which calibrates the radio first."""
DRAIN_TIME = 0.5
"""Longest time to throw bytes away before a line is sent, on a port that never falls quiet [s]."""
BOOT_TIME = 3.0
"""Time a board may take to start its firmware [s]."""
WAKE_TIMEOUT = 2.0
WAKE_EVERY = 1.0
DATA_MAGIC = bytes.fromhex("0201040306050807")
"""How a frame of the demo's data port begins."""


class SerialLike(Protocol):
    """What is used of pyserial's Serial; `read` returns early, with what there is, after a short time."""

    in_waiting: int

    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int: ...
    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the radar said to a line: the lines between echo and prompt, without `Done`; `done` whether it came."""

    line: str
    lines: tuple[str, ...]
    done: bool

    @property
    def text(self) -> str:
        """The lines as one."""
        return "; ".join(self.lines)

    @property
    def refusal(self) -> str | None:
        """Why the line was not obeyed, in the radar's words; None when it was."""
        bad = [text for text in self.lines if _REFUSED.search(text)]
        ignored = [text for text in self.lines if text.startswith("Ignored")]
        if not bad and self.done and (not ignored or command_of(self.line) == "sensorStop"):
            return None
        return self.text or "no Done"


_REFUSED = re.compile(r"^Error\b|^Skipped\b|not recognized as a CLI command")
_UNKNOWN = re.compile(r"'(.*)' is not recognized")


class RadarCli:
    """The command line of a radar board; a context manager.

    Parameters
    ----------
    port : str or serial-like
        Path of the port (115200 baud), or an open port, which stays the caller's to close.
    timeout : float
        Time an answer may take [s].
    """

    def __init__(self, port: str | SerialLike, *, timeout: float = TIMEOUT) -> None:
        self.timeout = timeout
        self._own = isinstance(port, str)
        self.name = port if isinstance(port, str) else str(getattr(port, "port", None) or "serial port")
        self._port: SerialLike = open_port(port, baud=BAUD) if isinstance(port, str) else port
        self._one = threading.RLock()
        self._awake = False
        self._start_line = "sensorStart"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the port if it was opened here. The radar is left as it is."""
        if self._own:
            self._port.close()

    # What a user does with it

    def wake(self, *, timeout: float = WAKE_TIMEOUT) -> None:
        """Get a clean prompt: an empty line every second, boot messages and stray bytes thrown away.

        Raises
        ------
        CaptureError
            No prompt within `timeout` [s], with what came instead and the likely causes.
        """
        with self._one:
            deadline = time.monotonic() + timeout
            heard = self._drain()
            while True:
                self._write(b"\n")
                found = self._read_to(PROMPT, min(time.monotonic() + WAKE_EVERY, deadline))
                heard += found
                if PROMPT.search(found):
                    self._drain()
                    self._awake = True
                    return
                if time.monotonic() >= deadline:
                    raise CaptureError(self._no_prompt(heard))

    def await_boot(self, *, timeout: float = BOOT_TIME) -> None:
        """Call after a reset (through the card, or its button): wait for the prompt of the boot, then `wake`.

        A board whose firmware says nothing when it starts is given `timeout` [s].
        """
        with self._one:
            self._awake = False
            self._read_to(PROMPT, time.monotonic() + timeout)
            self.wake()

    def probe(self) -> str:
        """What the radar answers to `version`, one line per fact.

        Raises
        ------
        CaptureError
            No prompt, or a firmware that does not know `version`.
        """
        with self._one:
            self.wake()
            answer = self._exchange("version", self.timeout)
        if answer.refusal is not None:
            raise CaptureError(
                f"{self.name}: a prompt, but `version` got {answer.refusal!r}; wanted the mmWave demo's answer; flash "
                "a demo firmware with this command line"
            )
        return "\n".join(answer.lines)

    def send(self, line: str, *, timeout: float | None = None) -> str:
        """Send one line and return what the radar says to it (without echo, `Done` and prompt).

        Raises
        ------
        CaptureError
            A line the firmware cannot read, a refusal, an echo that differs, or no prompt.
        """
        return self._obeyed(self.ask(line, timeout=timeout)).text

    def ask(self, line: str, *, timeout: float | None = None) -> Answer:
        """Like `send`, but a refusal is an answer like any other."""
        fault = line_fault(line)
        if fault:
            raise CaptureError(f"radar: {line!r:.80}: {fault}")
        with self._one:
            if not self._awake:
                self.wake()
            try:
                return self._exchange(line, timeout or self.timeout)
            except _BadEcho as error:
                if not error.harmless:
                    raise
                self.wake()  # stray bytes spoilt the line and the radar threw it away: once more
                return self._exchange(line, timeout or self.timeout)

    def configure(self, text: str) -> tuple[Answer, ...]:
        """Send a configuration line by line; comments, blank lines and sensorStart (see `start`) stay here.

        Raises
        ------
        CaptureError
            The first line refused, with its number; nothing after it is sent.
        """
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if command_of(line)]
        for number, line in lines:
            fault = line_fault(line)
            if fault:
                raise CaptureError(f"radar: line {number} {line!r:.80}: {fault}; nothing was sent")
        answers = []
        self._start_line = "sensorStart"
        for number, line in lines:
            if command_of(line) == "sensorStart":
                self._start_line = line
                continue
            try:
                answers.append(self._obeyed(self.ask(line)))
            except CaptureError as error:
                raise CaptureError(f"line {number}: {error}; the lines after it were not sent") from error
        return tuple(answers)

    def start(self, *, reconfigure: bool = True) -> str:
        """Start the frames, after the card records: the configuration's own sensorStart line, or a bare one.

        Parameters
        ----------
        reconfigure : bool
            False: `sensorStart 0`, which keeps the settings of the last start (after a stop, without new lines).
        """
        return self.send(self._start_line if reconfigure else "sensorStart 0", timeout=START_TIMEOUT)

    def stop(self, *, timeout: float | None = None) -> str | None:
        """Stop the frames. None when the radar says it has stopped, else what went wrong: this never raises.

        A radar with tight timing may not listen while it runs; reset it through the card then.
        """
        try:
            answer = self.ask("sensorStop", timeout=timeout)
        except (CaptureError, OSError) as error:
            return f"sensorStop: {error}; the radar may still run: reset it through the card, or switch it off"
        if answer.refusal is None:
            return None
        return f"sensorStop: radar said {answer.refusal!r}; it may still run: reset it through the card"

    # One line and its answer

    def _obeyed(self, answer: Answer) -> Answer:
        if answer.refusal is not None:
            raise CaptureError(f"radar: {answer.line!r} was refused: {answer.refusal}; {advice(answer)}")
        return answer

    def _exchange(self, line: str, timeout: float) -> Answer:
        self._awake = False
        self._drain()
        sent = line.encode("ascii")
        self._write(sent + b"\n")
        whole = re.compile(rb"(?s)" + re.escape(sent) + rb" *[\r\n]+(?P<said>.*?)\w+:/>[ \r\n]*\Z")
        heard = self._read_to(whole, time.monotonic() + timeout, spoilt=sent)
        found = whole.search(heard)
        if not found:
            if not PROMPT.search(heard):
                raise CaptureError(f"{line!r}: {self._no_prompt(heard)}")
            raise _BadEcho(self._disturbed(line, _text(heard)), harmless=b"not recognized" in heard)
        self._awake = True
        said = [text.strip() for text in re.split(r"[\r\n]+", _text(found["said"]))]
        lines = tuple(text for text in said if text and text != "Done")
        stranger = _UNKNOWN.search("\n".join(lines))
        if stranger and stranger[1] != command_of(line):
            raise _BadEcho(self._disturbed(line, stranger[1]), harmless=True)
        return Answer(line=line, lines=lines, done="Done" in said)

    def _read_to(self, pattern: re.Pattern[bytes], deadline: float, *, spoilt: bytes | None = None) -> bytes:
        """Bytes until they match, or all that came by the deadline (of time.monotonic).

        With `spoilt`, the line that was sent, it ends early when the radar has thrown something else away: a refusal
        and a prompt without the echo of that line.
        """
        heard = b""
        while True:
            chunk = self._read()
            heard += chunk
            if chunk and pattern.search(heard):
                return heard
            if not chunk and spoilt and spoilt not in heard and b"not recognized" in heard and PROMPT.search(heard):
                return heard
            if time.monotonic() >= deadline:
                return heard

    def _drain(self) -> bytes:
        """Everything that comes until the line is quiet, for at most `DRAIN_TIME`."""
        heard, deadline = b"", time.monotonic() + DRAIN_TIME
        while (chunk := self._read(wait=False)) and time.monotonic() < deadline:
            heard += chunk
        return heard

    def _read(self, *, wait: bool = True) -> bytes:
        """What there is; if nothing, and `wait`, what comes within the port's own short time."""
        try:
            there = self._port.in_waiting
            return self._port.read(max(1, there)) if there or wait else b""
        except (OSError, TypeError) as error:  # pyserial: TypeError on a closed port
            raise self._gone(error) from error

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: Exception) -> CaptureError:
        if not getattr(self._port, "is_open", True):
            return CaptureError(f"{self.name}: the port is closed; open it again")
        return CaptureError(
            f"{self.name}: got {said(error)}, wanted the radar's answer; check the USB cable and supply"
        )

    def _disturbed(self, line: str, heard: str) -> str:
        if "*****" in heard:
            return (
                f"{self.name}: the radar restarted while {line!r} was sent: its settings are lost; check its supply, "
                "configure it again"
            )
        return (
            f"{self.name}: sent {line!r} but the radar heard {heard!r:.120}; the line is disturbed, or another program "
            "uses the port (see `mmsar hw doctor`)"
        )

    def _no_prompt(self, heard: bytes) -> str:
        """Why there may be no prompt, from what came instead."""
        if not heard:
            return (
                f"{self.name}: no answer; wanted a prompt. Is it the command port (the lower one, Application/User "
                "UART or Enhanced; the other is the data port)? Is the board powered, flashed with a demo that has a "
                "command line, and in functional mode (SOP 001)? The 12xx and 22xx have no command line"
            )
        if DATA_MAGIC in heard:
            return f"{self.name}: this is the data port (its frames arrive); use the other port of the board"
        strange = sum(byte > 126 or (byte < 32 and byte not in b"\r\n\t") for byte in heard)
        what = f"{self.name}: no prompt, but {_text(heard)!r:.120}"
        if strange > len(heard) / 8:
            return f"{what}: unreadable; wrong port (the data port?), or a firmware with a rate other than 115200"
        return f"{what}; the radar hangs or another program reads the port too; reset the board"


class _BadEcho(CaptureError):
    """The radar heard another line than was sent; harmless when it refused that."""

    def __init__(self, message: str, *, harmless: bool) -> None:
        super().__init__(message)
        self.harmless = harmless


def command_of(line: str) -> str:
    """The first word of a configuration line; empty for a blank line or a comment (% or #)."""
    words = line.split()
    return words[0] if words and words[0][0] not in "%#" else ""


def line_fault(line: str) -> str | None:
    """Why the firmware could not read a line, or None."""
    if not line.isascii() or any(ord(c) < 32 for c in line):
        return "got a tab or another character the firmware does not split on, wanted plain ASCII; use spaces"
    if len(line) > MAX_LINE:
        return f"{len(line)} bytes, wanted at most {MAX_LINE}; shorten it"
    return None


def advice(answer: Answer) -> str:
    """What a refusal usually means."""
    if "not recognized" in answer.text:
        return "the firmware does not know it: the configuration is for another device or SDK version"
    if answer.text.startswith("Ignored"):
        return "the radar is already in that state: stop it first, or reset the board"
    if command_of(answer.line) == "sensorStart":
        return (
            "usual causes: a missing line (calibData 0 0 0 with SDK 3), a channelCfg or adcCfg that differs from the "
            "first since power-up (reboot the board), timing beyond the device's limits (see `mmsar hw check`)"
        )
    if "Invalid usage" in answer.text:
        return "wrong number of values: the configuration is for another SDK version or device"
    return "a value outside the device's limits (see `mmsar hw check`), or a radar that runs: stop it first"


def _text(data: bytes) -> str:
    return data.decode("ascii", "replace")
