"""Ctrl-C and SIGTERM for commands that drive instruments: once is enough, and nothing disturbs the stopping."""

import signal


class Interruptions:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt once; while things are being stopped, further ones are ignored."""

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
