"""The emulated card in a process of its own, so that sender and receiver share no interpreter: for benchmarks.

with CardProcess(card_ip, host_ip, source=CountingSource(...), pace=16.728e-6) as card:
    ...                      # the host starts a recording
    card.start_stream()
    card.wait(60)
    log = card.log()
"""

import multiprocessing
from typing import Any, Self

from mmsar.errors import CaptureError
from mmsar.hardware.emulate.dca import DcaEmulator
from mmsar.hardware.emulate.faults import StreamLog
from mmsar.hardware.emulate.source import FrameSource

READY_WITHIN = 60.0
"""Longest time the process may take to start [s]."""


class CardProcess:
    """A `DcaEmulator` in a process of its own; a context manager."""

    def __init__(self, card_ip: str, host_ip: str, *, source: FrameSource, **options: Any) -> None:
        """Start it; returns when its ports are bound.

        Parameters
        ----------
        card_ip, host_ip, source, options
            Those of `DcaEmulator`; they are sent to the process, so a source must be one that can be pickled.

        Raises
        ------
        CaptureError
            An address or port that cannot be had, or a process that does not start.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, card_ip, host_ip, source, options), daemon=True)
        self._process.start()
        far.close()
        try:
            self._answer(READY_WITHIN)
        except BaseException:
            self._end()
            raise

    def start_stream(self) -> None:
        """The radar starts; see `DcaEmulator.start_stream`."""
        self._ask("start_stream", 10.0)

    def stop_stream(self) -> None:
        """The radar stops after the frame it is in."""
        self._ask("stop_stream", 10.0)

    def wait(self, timeout: float) -> bool:
        """Wait until the stream and its tail are sent; False when it takes longer than `timeout` [s]."""
        return self._ask("wait", timeout + 10.0, timeout)

    def log(self) -> StreamLog:
        """What was really sent in the newest recording."""
        return self._ask("log", 60.0)

    def close(self) -> None:
        """End the process."""
        if self._process.is_alive():
            try:
                self._ask("close", 30.0)
            finally:
                self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, what: str, timeout: float, *values: Any) -> Any:
        self._pipe.send((what, values))
        return self._answer(timeout)

    def _answer(self, timeout: float) -> Any:
        try:
            if not self._pipe.poll(timeout):
                raise CaptureError(f"emulated card: no answer of its process within {timeout:g} s")
            fine, value = self._pipe.recv()
        except EOFError:
            raise CaptureError("emulated card: its process has ended") from None
        if not fine:
            raise CaptureError(value)
        return value

    def _end(self) -> None:
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self._pipe.close()
        self._process = _Ended()


class _Ended:
    """Stands for a process that is gone."""

    def is_alive(self) -> bool:
        return False


def _serve(pipe: Any, card_ip: str, host_ip: str, source: FrameSource, options: dict[str, Any]) -> None:
    """The process: does what the pipe asks until it is closed."""
    try:
        with DcaEmulator(card_ip, host_ip, source=source, **options) as card:
            pipe.send((True, None))
            while True:
                what, values = pipe.recv()
                if what == "close":
                    break
                pipe.send((True, card.log if what == "log" else getattr(card, what)(*values)))
        pipe.send((True, None))
    except EOFError:  # the parent has gone
        pass
    except Exception as error:
        pipe.send((False, str(error)))
