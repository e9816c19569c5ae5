"""A serial port that is read by lines in a thread of its own, and the one way ports are opened here.

Lines arrive whenever the other side likes (alarms, banners, log lines), so a reader thread hands each to a callback
with its arrival time. A port that is pulled out is reported once, with what the system said.
"""

import contextlib
import termios
import threading
import time
from collections.abc import Callable

import serial

from mmsar.errors import CaptureError
from mmsar.hardware.serial_ports import open_advice, said

_READ_TIMEOUT = 0.1
_LONGEST = 4096

PORT_ERRORS = (OSError, TypeError, termios.error)
"""What pyserial raises when a port is gone: its own errors are OSError, a port closed meanwhile gives TypeError."""


def open_port(port: str, *, baudrate: int = 115200, timeout: float = _READ_TIMEOUT) -> serial.Serial:
    """Open a serial port, 8N1, for this program alone.

    Parameters
    ----------
    timeout : float
        Longest wait of a read and of a write [s].

    Raises
    ------
    CaptureError
        A port that is not there, not permitted or in use.
    """
    try:
        return serial.Serial(port, baudrate, timeout=timeout, write_timeout=max(timeout, 0.5), exclusive=True)
    except (*PORT_ERRORS, ValueError) as error:
        raise CaptureError(f"serial port {port}: {open_advice(port, error)}") from None


class LineReader:
    """A port, and a thread that calls `on_line(text, monotonic_ns)` for every line; `on_lost(reason)` once at its end.

    Both callbacks run in the reader's thread.
    """

    def __init__(
        self,
        port: serial.Serial,
        on_line: Callable[[str, int], None],
        on_lost: Callable[[str], None],
        *,
        name: str = "serial reader",
    ) -> None:
        self._port = port
        self._on_line = on_line
        self._on_lost = on_lost
        self._closing = False
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Send bytes; from any thread. Raises CaptureError when the port is gone."""
        try:
            with self._writing:
                self._port.write(data)
        except PORT_ERRORS as error:
            raise CaptureError(
                f"serial port {self._port.port}: got {said(error)} while writing, wanted it open; check the cable"
            ) from None

    def close(self) -> None:
        """End the thread and close the port."""
        self._closing = True
        with contextlib.suppress(OSError, AttributeError):
            self._port.cancel_read()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._port.close()

    def _read(self) -> None:
        pending = b""
        try:
            while not self._closing:
                data = self._port.read(max(1, self._port.in_waiting))
                now = time.monotonic_ns()
                *lines, pending = (pending + data).split(b"\n")
                pending = pending[-_LONGEST:]
                for line in lines:
                    text = line.decode("ascii", "replace").strip("\r\0 ")
                    if text:
                        self._on_line(text, now)
        except PORT_ERRORS as error:
            if not self._closing:
                self._on_lost(said(error))
