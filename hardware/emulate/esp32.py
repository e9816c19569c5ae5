"""The ESP32 trigger box on a pseudo-terminal: counts a stage's pulses, triggers every n of them, logs as the firmware.

Connect `pulse` to the emulated stage (`GrblPty.on_pulse(axis, steps, box.pulse)`) and `on_trigger` to the emulated
radar. A pulse's exact time is handed on, plus the microseconds the real firmware takes.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from mmsar.hardware.emulate.pty_port import PtyPort

LATENCY_NS = 5_000
"""From the pulse that is one too many to the trigger's edge: an interrupt, a queue and a task [ns]."""

_TEXTS = {
    "RTG": "Radar trigger command is received",
    "DTG": "Set desired number of Radar trigger command is received",
    "CTG": "Clear number of Radar trigger command is received",
    "PLS": "Set pulse count command is received",
    "RST": "Reset command is received",
    "PAU": "Pause command is received",
    "RES": "Resume command is received",
    "MSR": "Set number of measurement command is received",
}


class Esp32Pty(PtyPort):
    """An emulated trigger box."""

    def __init__(self, *, on_trigger: Callable[[int], None] | None = None, **options: Any) -> None:
        """Switch it on: 10 pulses per trigger, counting.

        Parameters
        ----------
        on_trigger : callable
            Called with the CLOCK_REALTIME [ns] of every trigger edge, in the thread of the pulse or of the command.
        options
            Those of `PtyPort`.
        """
        self.on_trigger = on_trigger
        self.threshold = 10
        self.count = 0
        self.counting = True
        self.wanted = 0
        self.triggers: list[int] = []
        """CLOCK_REALTIME [ns] of every trigger since the last `$CTG#`."""
        self.log = True
        """Whether the firmware was built with its log."""
        self._guard = threading.RLock()
        self._rx = ""
        super().__init__(**options)

    def pulse(self, time_ns: int, index: int = 0) -> None:
        """Count the falling edge of one pulse at this time; from any thread."""
        with self._guard:
            if not self.counting:
                return
            self.count += 1
            if self.count < self.threshold:
                return
            self.count = 0
        self._trigger(time_ns + LATENCY_NS)

    def receive(self, data: bytes) -> None:
        """Handle commands between $ and #; what is outside them is dropped."""
        self._rx += data.decode("ascii", "replace")
        while "#" in self._rx:
            command, self._rx = self._rx.split("#", 1)
            self._handle(command)

    def _trigger(self, time_ns: int) -> None:
        with self._guard:
            self.triggers.append(time_ns)
        if self.on_trigger is not None:
            self.on_trigger(time_ns)

    def _say(self, text: str) -> None:
        if self.log:
            self.answer(f"I (1234) UART_HANDLE_BUFFER_SIMPLIFIED: {text}\r\n".encode())

    def _handle(self, command: str) -> None:
        if not command.startswith("$"):
            self._say("Invalid start symbol is received")
            return
        name, number = command[1:4], command[4:]
        plain = name not in ("DTG", "PLS", "MSR")
        if len(command) < 4:
            self._say(f"Received packet is too small (received:{len(command) + 1} < expected:5)")
            return
        if name not in _TEXTS or (plain and number):
            self._say("Invalid command is received")
            return
        self._say(_TEXTS[name])
        value = int(number) if number.isdecimal() else 0
        if not plain and len(number) > 5:
            self._say("Configuration parameter is too long")
        elif not plain and value <= 0:
            self._say("There is no valid configuration parameter in the command")
        else:
            self._do(name, value)

    def _do(self, name: str, value: int) -> None:
        with self._guard:
            if name == "PLS":
                self._say(f"Pulse counter threshold {self.threshold} is changed to {value}")
                self.threshold, self.count, self.counting = value, 0, True
            elif name == "DTG":
                self._say(f"Current desired trigger value is: {value}")
                self.wanted = value
            elif name == "CTG":
                self.triggers.clear()
            elif name == "RST":
                self.count, self.counting = 0, True
            elif name in ("PAU", "RES"):
                self.counting = name == "RES"
        if name == "RTG":
            self._trigger(time.time_ns())
