"""Ctrl-C and SIGTERM: what a command does when it is stopped."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminable() -> Iterator[list[int]]:
    """Within it, SIGTERM, by which batch systems end a job, raises KeyboardInterrupt as Ctrl-C does, once.

    Yields a list that holds the signal's number when it has come. Where it is ignored it stays so, and threads other
    than the main one leave it as it is.
    """
    came: list[int] = []

    def handle(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        came.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    try:
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGTERM, handle)
    except ValueError:  # not the main thread
        yield came
        return
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


class Interruptions:
    """For commands that drive instruments: Ctrl-C and SIGTERM raise KeyboardInterrupt once; while things are being
    stopped, further ones are ignored."""

    def __init__(self) -> None:
        self.terminated = False
        """Whether it was SIGTERM."""

    def __enter__(self) -> "Interruptions":
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def code(self) -> int:
        """Exit code of an interrupted command: 130, or 143 after SIGTERM."""
        return 143 if self.terminated else 130

    def ignore(self) -> None:
        """From now on nothing interrupts."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _: object) -> None:
        self.ignore()
        self.terminated = number == signal.SIGTERM
        raise KeyboardInterrupt
