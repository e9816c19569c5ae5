"""A serial instrument on a pseudo-terminal: bytes in, bytes out, with faults.

`PtyPort` opens a raw pseudo-terminal and serves it from one thread; a subclass says what the instrument does in
`receive`. The path in `port` is opened by pyserial like any serial port. Everything sent and received is kept with
its time in `transcript`, so that a test can look at what really went over the wire.

    class Echo(PtyPort):
        def receive(self, data: bytes) -> None:
            self.answer(data)

    with Echo() as echo, serial.Serial(echo.port, 115200, timeout=1) as port:
        ...
"""

import heapq
import os
import select
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Self

_CHUNK = 4096
_TRANSCRIPT = 100_000


@dataclass(frozen=True, kw_only=True)
class PtyFaults:
    """What goes wrong with the answers of an instrument; answers are counted from 0 since it was opened."""

    drop: frozenset[int] = frozenset()
    """Answers that are never sent."""
    drop_chance: float = 0.0
    """Chance of any other answer to get lost."""
    mute_after: int | None = None
    """From this answer on nothing is sent."""
    delay: float = 0.0
    """Time every answer takes longer [s]."""
    noise: Mapping[int, bytes] = field(default_factory=dict)
    """Bytes that stand before an answer."""
    seed: int = 0
    """Seed of what is random."""


class PtyPort:
    """A pseudo-terminal with an instrument behind it; a context manager.

    `receive`, the functions given to `later` and nothing else run in the instrument's thread, one at a time. An
    exception in it ends the instrument and comes out of `close`. A subclass sets its own attributes before it calls
    `super().__init__`, which starts the thread.
    """

    def __init__(self, *, faults: PtyFaults = PtyFaults(), byte_time: float = 0.0) -> None:
        """Open the terminal and start to serve it.

        Parameters
        ----------
        faults : PtyFaults
            What goes wrong; `faults` may be replaced while the instrument runs.
        byte_time : float
            Time a sent byte takes on the line [s]; 0: none (87e-6 is 115200 baud).
        """
        self.faults = faults
        self.byte_time = byte_time
        self.transcript: deque[tuple[int, str, bytes]] = deque(maxlen=_TRANSCRIPT)
        """(CLOCK_REALTIME [ns], "in" or "out", bytes), the newest 100,000 entries."""
        self.answers = 0
        """Answers given so far, lost ones included."""
        self._random = Random(faults.seed)
        self._queue: list[tuple[float, int, bytes | Callable[[], None]]] = []
        self._order = count()
        self._line_free = 0.0
        self._lock = threading.Lock()
        self._closing = False
        self._error: BaseException | None = None
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        """Path of the terminal, to be opened by the program under test."""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(target=self._serve, name=type(self).__name__, daemon=True)
        self._thread.start()

    def receive(self, data: bytes) -> None:
        """Handle bytes from the other side; they come in arbitrary pieces. To be written by the instrument."""
        raise NotImplementedError

    def answer(self, data: bytes) -> None:
        """Send one answer, through the faults."""
        number, self.answers = self.answers, self.answers + 1
        plan = self.faults
        lost = plan.drop_chance > 0 and self._random.random() < plan.drop_chance
        if lost or number in plan.drop or (plan.mute_after is not None and number >= plan.mute_after):
            return
        self.write(plan.noise.get(number, b"") + data, delay=plan.delay)

    def write(self, data: bytes, *, delay: float = 0.0) -> None:
        """Send bytes as they are, `delay` [s] from now, never before bytes written earlier; from any thread."""
        with self._lock:
            due = max(time.monotonic() + delay, self._line_free)
            if self.byte_time > 0:
                for byte in data:
                    due += self.byte_time
                    heapq.heappush(self._queue, (due, next(self._order), bytes([byte])))
            elif data:
                heapq.heappush(self._queue, (due, next(self._order), bytes(data)))
            self._line_free = due
        self._wake()

    def later(self, delay: float, function: Callable[[], None]) -> None:
        """Call a function in the instrument's thread, `delay` [s] from now."""
        with self._lock:
            heapq.heappush(self._queue, (time.monotonic() + delay, next(self._order), function))
        self._wake()

    def close(self) -> None:
        """Unplug: the other side reads an end of file or an error. Raises what went wrong in the instrument."""
        if not self._closing:
            self._closing = True
            self._wake()
            if self._thread is not threading.current_thread():
                self._thread.join()
            for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
                os.close(descriptor)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"w")
        except (BlockingIOError, OSError):
            pass  # awake already, or closed

    def _serve(self) -> None:
        try:
            while not self._closing:
                readable, _, _ = select.select([self._master, self._wake_read], [], [], self._run_due())
                if self._wake_read in readable:
                    os.read(self._wake_read, _CHUNK)
                if self._master in readable:
                    data = os.read(self._master, _CHUNK)
                    self.transcript.append((time.time_ns(), "in", data))
                    self.receive(data)
        except BaseException as error:
            self._error = error

    def _run_due(self) -> float | None:
        """Do what is due; seconds until the next thing, or None."""
        while not self._closing:
            with self._lock:
                if not self._queue:
                    return None
                wait = self._queue[0][0] - time.monotonic()
                if wait > 0:
                    return wait
                action = heapq.heappop(self._queue)[2]
            if callable(action):
                action()
            else:
                self._send(action)
        return None

    def _send(self, data: bytes) -> None:
        self.transcript.append((time.time_ns(), "out", data))
        while data and not self._closing:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:  # nobody reads: wait as a line with flow control would
                select.select([], [self._master], [], 0.05)
