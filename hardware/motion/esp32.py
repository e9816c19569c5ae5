"""The ESP32 trigger box: counts the stage's pulses and gives the radar a hardware trigger every n of them.

UART at 115200 baud; commands are `$RTG#` trigger once, `$DTG<n>#` triggers wanted, `$CTG#` clear their count,
`$PLS<n>#` pulses per trigger (10 at start; clears and starts the counter), `$RST#` / `$PAU#` / `$RES#` clear / pause /
resume the counter, `$MSR<n>#`; numbers have at most five digits; 100 ms are allowed per command. There is no
acknowledgement in the protocol: what comes back are log lines of the firmware ("... command is received", "Pulse
counter threshold 10 is changed to 20"), and these are used as one. The firmware does not terminate its number strings,
so the threshold it says it took is compared with the one sent. Pulses count on their **falling** edge. The trigger
passes a queue and a task: microseconds late, not nanoseconds.
"""

import re
import threading
import time
from collections.abc import Callable
from typing import Self

from mmsar.core.checks import positive_int
from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.motion.serial_line import LineReader, open_port

COMMAND_TIME = 0.1
"""Time a command needs [s]."""
ANSWER = 0.5
"""Longest wait for the log line that confirms a command [s]."""
QUIET, BOOT = 0.2, 2.0
"""Opening the port restarts many boards: a box is ready once it was quiet this long; longest wait for that [s]."""
MOST = 99999
"""Largest number a command can carry: five digits."""

_REFUSALS = ("invalid", "no valid", "too long", "too small")
_THRESHOLD = re.compile(r"threshold (\d+) is changed to (-?\d+)")


class SyncTrigger:
    """A trigger box on a serial port."""

    def __init__(self, port: str, *, confirm: bool = True, baudrate: int = 115200) -> None:
        """Open the port.

        Parameters
        ----------
        confirm : bool
            Whether each command must be confirmed by a log line. Firmware built without its log gives none: False then
            only sends, and nothing is known of the box.

        Raises
        ------
        CaptureError
            A port that cannot be opened.
        """
        self.port = port
        self.confirm = confirm
        self.pulses: int | None = None
        """Pulses per trigger, once set and confirmed."""
        self._changed = threading.Condition()
        self._log: list[str] = []
        self._lost: str | None = None
        self._sending = threading.Lock()
        serial_port = open_port(port, baudrate=baudrate)
        self._reader = LineReader(serial_port, self._on_line, self._on_lost, name=f"trigger {port}")
        ready = time.monotonic() + BOOT
        with self._changed:
            while self._changed.wait(QUIET) and time.monotonic() < ready:
                pass  # it still says something

    def set_pulses(self, count: int) -> None:
        """Trigger every `count` pulses; the counter starts anew.

        Raises
        ------
        GeometryError
            Not a whole number from 1 to 99999.
        CaptureError
            No confirmation, or another threshold taken than sent.
        """
        count = _number("pulses per trigger", count)
        self.pulses = None
        lines = self._command(f"PLS{count}", until=_THRESHOLD.search)
        if self.confirm:
            taken = next(int(found[2]) for line in lines if (found := _THRESHOLD.search(line)))
            if taken != count:
                raise CaptureError(
                    f"trigger on {self.port}: got a threshold of {taken} pulses, wanted {count}; send it again"
                )
        self.pulses = count

    def set_wanted(self, count: int) -> None:
        """Announce how many triggers are wanted (the firmware keeps the number, and does no more with it)."""
        self._command(f"DTG{_number('triggers wanted', count)}")

    def set_measurements(self, count: int) -> None:
        """Announce the number of measurements (kept by the firmware, not used)."""
        self._command(f"MSR{_number('measurements', count)}")

    def clear_count(self) -> None:
        """Clear the count of triggers."""
        self._command("CTG")

    def trigger(self) -> None:
        """Give one trigger now."""
        self._command("RTG")

    def reset(self) -> None:
        """Clear the pulse counter and start it: the next trigger comes after a full number of pulses."""
        self._command("RST")

    def pause(self) -> None:
        """Stop counting pulses."""
        self._command("PAU")

    def resume(self) -> None:
        """Count pulses again, from where `pause` left off."""
        self._command("RES")

    def close(self) -> None:
        """Close the port."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _command(self, text: str, *, until: Callable[[str], object] | None = None) -> list[str]:
        """Send `$text#`, wait for its time and its confirmation; the log lines that came."""

        def confirmed() -> bool:
            """Whether the log says what was waited for, or a refusal, or the line is gone."""
            joined = "\n".join(self._log).lower()
            done = any(until(line) for line in self._log) if until else "command is received" in joined
            return bool(self._lost or done or any(word in joined for word in _REFUSALS))

        with self._sending:
            with self._changed:
                self._log = []
            self._reader.write(f"${text}#".encode("ascii"))
            with self._changed:
                self._changed.wait_for(lambda: self._lost is not None, COMMAND_TIME)
                arrived = self._changed.wait_for(confirmed, ANSWER) if self.confirm else True
                lines = list(self._log)
            if self._lost is not None:
                raise CaptureError(f"trigger on {self.port}: got {self._lost}, wanted an open line; check the cable")
            refusal = next((line for line in lines if any(word in line.lower() for word in _REFUSALS)), None)
            if refusal is not None:
                raise CaptureError(f"trigger on {self.port}: got {refusal!r} to ${text}#, wanted it accepted")
            if not arrived:
                raise CaptureError(
                    f"trigger on {self.port}: got {lines or 'no answer'} to ${text}#, wanted a log line that confirms "
                    "it; check the port, or open with confirm=False for firmware without a log"
                )
            return lines

    def _on_line(self, text: str, now: int) -> None:
        with self._changed:
            self._log.append(text)
            self._changed.notify_all()

    def _on_lost(self, reason: str) -> None:
        with self._changed:
            self._lost = reason
            self._changed.notify_all()


def _number(name: str, value: int) -> int:
    value = positive_int(f"trigger {name}", value)
    if value > MOST:
        raise GeometryError(f"trigger {name}: got {value}, wanted at most {MOST} (five digits)")
    return value
