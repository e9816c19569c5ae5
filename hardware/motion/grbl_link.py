"""The conversation with GRBL: lines that are each answered ok or error, counted characters, real-time bytes.

GRBL holds `RX_BUFFER` received characters; what comes on top is lost. So the characters of all unanswered lines are
counted and a line is sent only when it fits (character counting). Answers come in the order of the lines. `ok` says
"understood and queued", and is withheld while the planner is full; it is *lost* when it stays out for `ANSWER` seconds
although the planner has room. Real-time bytes (`?`, `!`, 0x18, 0x85) bypass the buffer.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mmsar.errors import CaptureError
from mmsar.hardware.motion import grbl_text
from mmsar.hardware.motion.serial_line import LineReader, open_port

RX_BUFFER = 128
"""Characters GRBL can hold."""
PLANNER = 15
"""Moves GRBL can plan ahead."""
ANSWER = 0.35
"""Longest wait for an answer before it is asked again (`?`) or held for lost (twice this, a line) [s]."""
BOOT = 3.0
"""Longest wait for the banner: an Arduino restarts when its port is opened [s]."""

SETTLE = 0.05
"""Time after a reset in which further banners belong to it [s]."""

STATUS, HOLD, RESUME, RESET, JOG_CANCEL = b"?", b"!", b"~", b"\x18", b"\x85"

_ANSWERS = re.compile(r"ok|error:(\d+)")


@dataclass(eq=False)
class Ticket:
    """One line under way."""

    line: str
    size: int
    done: bool = False
    error: int | None = None
    info: list[str] = field(default_factory=list)
    """Lines that came before the answer: settings, messages."""


class GrblLink:
    """A GRBL controller on a serial port. Thread-safe; every wait ends within a second of a failure."""

    def __init__(self, port: str, *, baudrate: int = 115200, on_event: threading.Event | None = None) -> None:
        """Open the port and restart the controller, so that it is in a known state.

        Parameters
        ----------
        on_event : threading.Event
            Set at every alarm, restart and loss of the line.

        Raises
        ------
        CaptureError
            A port that cannot be opened, no banner, or another firmware.
        """
        self.port = port
        self.alarm: int | None = None
        """Number of the last ALARM since the last restart or unlock."""
        self.restarts = 0
        """Banners that nobody asked for."""
        self.position_lost = False
        """Whether an alarm or a restart cost the position; to be cleared by who homes."""
        self.version: tuple[int, int] | None = None
        self._event = on_event or threading.Event()
        self._changed = threading.Condition()
        self._pending: deque[Ticket] = deque()
        self._status: tuple[int, grbl_text.Status] | None = None
        self._lost: str | None = None
        self._banners = 0
        self._expecting_banner = True
        self._since_idle = 0
        self._resets = 0
        self._asking = threading.Lock()
        serial_port = open_port(port, baudrate=baudrate)
        self._reader = LineReader(serial_port, self._on_line, self._on_lost, name=f"grbl {port}")
        try:
            self.reset()
        except BaseException:
            self.close()
            raise

    def reset(self, *, boot: float | None = None) -> None:
        """Soft reset (0x18); returns when the banner is there. Moves that still run are cut and cost the position.

        Parameters
        ----------
        boot : float, optional
            Longest wait for a banner [s], by default that of a board that restarts; then the reset is sent once more.

        Raises
        ------
        CaptureError
            No banner, or not GRBL 1.1.
        """
        boot = BOOT if boot is None else boot
        for wait in (boot, min(boot, 1.0)):
            with self._changed:
                seen, self._expecting_banner = self._banners, True
                self._resets += 1
                self._pending.clear()
                self._since_idle = 0
                self.alarm = None
                self._changed.notify_all()
            self._reader.write(RESET)
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._banners > seen or self._lost, wait)
                self._raise_if_lost()
                if self._banners > seen:
                    self._changed.wait_for(lambda: self._lost, SETTLE)  # the banner of power-up may come on its heels
                    self._expecting_banner = False
                    break
        else:
            raise CaptureError(
                f'GRBL on {self.port}: got no banner after a reset, wanted "Grbl 1.1"; check the port, '
                "the power and 115200 baud"
            )
        if self.version is not None and self.version < (1, 1):
            got = ".".join(map(str, self.version))
            raise CaptureError(f"GRBL on {self.port}: got version {got}, wanted 1.1 or newer; update the firmware")

    def realtime(self, byte: bytes) -> None:
        """Send a real-time byte at once, past everything that waits."""
        self._reader.write(byte)

    def command(self, line: str, *, timeout: float | None = None) -> list[str]:
        """Send a line, wait for its ok, and return what came before it.

        Parameters
        ----------
        timeout : float, optional
            Longest wait [s], for lines that are answered late ($H); default: lost as the module says.

        Raises
        ------
        CaptureError
            error:n, an alarm, a restart, or a lost answer.
        """
        ticket = self.submit(line)
        self.wait(ticket, timeout=timeout)
        return ticket.info

    def submit(self, line: str) -> Ticket:
        """Send a line once it fits in the controller's buffer; do not wait for its answer.

        Raises
        ------
        CaptureError
            A lost answer, an alarm or a restart while waiting for room.
        """
        data = line.encode("ascii") + b"\n"
        if len(data) > RX_BUFFER:
            raise CaptureError(f"GRBL line: got {len(data)} characters, wanted at most {RX_BUFFER}")
        ticket = Ticket(line=line, size=len(data))
        self._wait(lambda: sum(t.size for t in self._pending) + ticket.size <= RX_BUFFER, f"room for {line!r}", None)
        with self._changed:
            self._pending.append(ticket)
        self._reader.write(data)
        return ticket

    def wait(self, ticket: Ticket, *, timeout: float | None = None) -> None:
        """Wait for the answer to a line; raises as `command`."""
        self._wait(lambda: ticket.done, f"the answer to {ticket.line!r}", timeout)
        if ticket.error is not None:
            raise CaptureError(f"GRBL: got {grbl_text.error_text(ticket.error)} for {ticket.line!r}, wanted ok")

    def query(self, *, tries: int = 2) -> tuple[int, grbl_text.Status]:
        """Ask for the status: (CLOCK_REALTIME [ns] in the middle of the round trip, report).

        Raises
        ------
        CaptureError
            No answer to any of the tries, an alarm that silences the controller, or a line that is gone.
        """
        with self._asking:
            for _ in range(tries):
                with self._changed:
                    self._raise_if_lost()
                    self._status = None
                wall, begun = time.time_ns(), time.monotonic_ns()
                self._reader.write(STATUS)
                with self._changed:
                    self._changed.wait_for(lambda: self._status or self._lost or self._mute(), ANSWER)
                    self._raise_if_lost()
                    if self._mute():
                        raise CaptureError(
                            f"GRBL on {self.port}: got {grbl_text.alarm_text(self.alarm)}, after which it answers "
                            "nothing but a reset; call stop(), clear the cause and home again"
                        )
                    if self._status is not None:
                        arrived, status = self._status
                        if status.state == "Idle" and not self._pending:
                            self._since_idle = 0
                        return wall + (arrived - begun) // 2, status
        raise CaptureError(
            f"GRBL on {self.port}: got no answer to {tries} status queries in {tries * ANSWER:g} s, wanted a "
            "report; check the cable and the power"
        )

    def close(self) -> None:
        """Close the port."""
        self._reader.close()

    def _mute(self) -> bool:
        """Whether an alarm keeps the controller from answering."""
        return self.alarm in grbl_text.CRITICAL

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise CaptureError(f"GRBL on {self.port}: got {self._lost}, wanted an open line; check the cable")

    def _wait(self, ready: Callable[[], bool], what: str, timeout: float | None) -> None:
        """Wait until `ready()`; watch for alarms, restarts and, without a timeout, for lost answers."""
        restarts, resets, begun = self.restarts, self._resets, time.monotonic()
        while True:
            with self._changed:
                waiting = timeout if timeout is not None else 2 * ANSWER
                self._changed.wait_for(
                    lambda: (
                        ready()
                        or self._lost
                        or self.alarm is not None
                        or (self.restarts, self._resets) != (restarts, resets)
                    ),
                    max(0.0, begun + waiting - time.monotonic()),
                )
                self._raise_if_lost()
                if self._resets > resets:
                    raise CaptureError(f"GRBL on {self.port}: got a reset from this program, wanted {what}")
                if self.restarts > restarts:
                    raise CaptureError(f"GRBL on {self.port}: got a restart, wanted {what}; home again")
                if self.alarm is not None:
                    raise CaptureError(f"GRBL: got {grbl_text.alarm_text(self.alarm)}, wanted {what}")
                if ready():
                    return
                full = timeout is None and self._since_idle + len(self._pending) > PLANNER
            if (not full or self._has_room()) and not ready():
                raise CaptureError(
                    f"GRBL on {self.port}: got no answer in {time.monotonic() - begun:.1f} s, wanted {what}; "
                    "an ok was lost, so what is queued is not known: stop and home"
                )
            begun = time.monotonic()

    def _has_room(self) -> bool:
        """Whether the controller could have answered: idle, or free places in the planner."""
        state = self.query()[1]
        return state.state not in ("Run", "Jog") or bool(state.planner_free)

    def _on_lost(self, reason: str) -> None:
        with self._changed:
            self._lost = reason
            self._changed.notify_all()
        self._event.set()

    def _on_line(self, text: str, now: int) -> None:
        """One line of the controller; in the reader's thread."""
        event = False
        with self._changed:
            answer = _ANSWERS.fullmatch(text)
            if answer is not None:
                if self._pending:
                    ticket = self._pending.popleft()
                    ticket.done = True
                    ticket.error = int(answer[1]) if answer[1] else None
                    self._since_idle += 1
            elif (status := grbl_text.parse_status(text)) is not None:
                self._status = (now, status)
            elif text.startswith("ALARM:"):
                number = text[6:]
                self.alarm = int(number) if number.isdecimal() else -1
                self.position_lost |= self.alarm in grbl_text.POSITION_LOST
                event = True
            elif (version := grbl_text.parse_banner(text)) is not None:
                self.version = version
                self._banners += 1
                if not self._expecting_banner:
                    self.restarts += self.alarm is None  # after a failed homing GRBL starts again by itself
                    self.position_lost = True
                    self._pending.clear()
                    event = True
            elif self._pending:
                self._pending[0].info.append(text)
            self._changed.notify_all()
        if event:
            self._event.set()

    def unlock(self) -> None:
        """Forget the alarm that was reported: the next lines clear it ($H, $X)."""
        with self._changed:
            self.alarm = None
