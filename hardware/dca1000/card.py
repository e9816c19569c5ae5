"""Control of a DCA1000 capture card: one command at a time, and its unasked status messages beside them.

The card answers to the address and port it was configured with, from source port 1024: the socket is bound to the host
address and never connected, and whatever comes from the card's address is sorted by its command code. A thread only
receives; a status message between a request and its answer is kept with its kernel time stamp. An answer carries no
number: while one to an earlier, unanswered request of the same code may still come, the next such request waits.
Source: TI DCA1000EVM user guide, TI DCA1000 CLI 1.0, traffic captures.
"""

import contextlib
import selectors
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from mmsar.errors import CaptureError
from mmsar.hardware.dca1000 import diagnose, protocol
from mmsar.hardware.dca1000.protocol import AsyncStatus, Command, Response, Version

SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
TIMEOUT = 1.0
"""Time an answer may take [s]; the card needs about 0.1 ms."""
TRIES = 4
"""A request and three repetitions, of the commands that may be repeated."""
DEAF_TRIES = 30
DEAF_TIMEOUT = 0.2
RESET_WAIT = 1.0
"""Time the card needs after a reset before it listens [s]."""

IDEMPOTENT = frozenset(
    {Command.CONFIG_FPGA, Command.STOP_RECORD, Command.ALIVENESS, Command.CONFIG_RECORD, Command.READ_VERSION}
)
"""Commands that mean the same when the card has heard them already; the others are sent once."""


@dataclass(frozen=True, kw_only=True)
class CardStatus:
    """A status message the card sent unasked, and when it arrived (kernel stamp, CLOCK_REALTIME [ns])."""

    time_ns: int
    status: AsyncStatus

    def __str__(self) -> str:
        return diagnose.explain_status(self.status)


class Card:
    """A capture card at `card_ip`, spoken to from `host_ip`; a context manager.

    Parameters
    ----------
    host_ip : str
        Address of this machine that the card sends to.
    card_ip : str
        Address of the card.
    config_port : int
        Port of commands and answers, on both sides.
    timeout : float
        Time an answer may take [s].
    reset_wait : float
        Time to wait after a reset [s].

    Raises
    ------
    GeometryError
        Something that is no IPv4 address: the card's answers are told by it.
    """

    def __init__(
        self,
        host_ip: str = protocol.HOST_IP,
        card_ip: str = protocol.CARD_IP,
        *,
        config_port: int = protocol.CONFIG_PORT,
        timeout: float = TIMEOUT,
        reset_wait: float = RESET_WAIT,
    ) -> None:
        diagnose.check_address("host address", host_ip)
        diagnose.check_address("card address", card_ip)
        self.host_ip, self.card_ip, self.config_port = host_ip, card_ip, config_port
        self.timeout, self.reset_wait = timeout, reset_wait
        self.foreign: Counter[str] = Counter()
        """Datagrams from other addresses, which are not read."""
        self.garbage = 0
        """Datagrams of the card that are no answer and no status."""
        self.stale = 0
        """Answers that came when nothing waited for them."""
        self._one = threading.Lock()
        self._news = threading.Condition()
        self._statuses: list[CardStatus] = []
        self._callbacks: list[Callable[[CardStatus], None]] = []
        self._wanted: Command | None = None
        self._answer: Response | None = None
        self._owed: Counter[Command] = Counter()
        self._asked: dict[Command, float] = {}
        self._socket: socket.socket | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> "Card":
        return self.connect()

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> "Card":
        """Take the configuration port and start receiving; CaptureError when the address or the port is not free."""
        if self._socket is not None:
            return self
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            bound.bind((self.host_ip, self.config_port))
            bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            bound.setblocking(False)
        except OSError as error:
            bound.close()
            raise diagnose.bind_failed(error, self.host_ip, self.config_port) from error
        self._wake, waker = socket.socketpair()
        self._socket = bound
        self._reader = threading.Thread(target=self._receive, args=(bound, waker), name="dca1000-control", daemon=True)
        self._reader.start()
        return self

    def close(self) -> None:
        """Give the port back; further calls do nothing. The card is left as it is."""
        if self._socket is None:
            return
        self._wake.close()
        if self._reader is not threading.current_thread():
            self._reader.join()
        self._socket.close()
        self._socket = None

    # What the card says unasked

    @property
    def statuses(self) -> tuple[CardStatus, ...]:
        """The status messages so far, in order of arrival."""
        with self._news:
            return tuple(self._statuses)

    def on_status(self, callback: Callable[[CardStatus], None]) -> None:
        """Call `callback` with every further status message, from the receiving thread: it must not wait."""
        with self._news:
            self._callbacks.append(callback)

    def wait_status(self, mask: AsyncStatus, *, timeout: float, after: int = 0) -> CardStatus | None:
        """The first status with a bit of `mask` among those from number `after` on; None after `timeout` [s]."""

        def found() -> CardStatus | None:
            return next((s for s in self._statuses[after:] if s.status & mask), None)

        with self._news:
            self._news.wait_for(found, timeout)
            return found()

    # Commands

    def aliveness(self) -> None:
        """Ask whether the card is there; CaptureError when it is not."""
        self._done(protocol.encode_request(Command.ALIVENESS))

    def version(self) -> Version:
        """The card's firmware."""
        return protocol.decode_version(self._request(protocol.encode_request(Command.READ_VERSION)))

    def configure(self, *, lanes: int, bits: int = 16, separated: bool = False, timer: int = 30) -> None:
        """Set the card for LVDS to Ethernet (see `protocol.config_fpga`) and wait until it listens again."""
        self._done(protocol.config_fpga(lanes=lanes, bits=bits, separated=separated, timer=timer))
        self._await_hearing()

    def set_packet_delay(self, delay: float) -> None:
        """Set the pause between two datagrams [s], 5e-6 to 500e-6."""
        self._done(protocol.config_record(delay))

    def start_record(self) -> None:
        """Let the card send what comes over LVDS from now on; before the radar is started. Sent once."""
        self._done(protocol.encode_request(Command.START_RECORD))

    def stop_record(self) -> bool:
        """End a recording; False when the card says that it could not, as when none was running."""
        return self._request(protocol.encode_request(Command.STOP_RECORD)) == 0

    def reset(self) -> None:
        """Restart the card, wait `reset_wait` and until it answers. Its settings and counters are lost."""
        with contextlib.suppress(diagnose.NoAnswer):  # a card that restarts at once answers no more; aliveness decides
            self._request(protocol.encode_request(Command.RESET_FPGA))
        time.sleep(self.reset_wait)
        self._await_hearing()

    def reset_radar(self) -> None:
        """Reboot the radar behind the card: the one stop that always works. Its configuration is lost."""
        self._done(protocol.encode_request(Command.RESET_RADAR))

    def write_eeprom(self, *, host_ip: str, card_ip: str, mac: str, config_port: int, data_port: int) -> None:
        """Store other addresses in the card, used from its next power cycle on: see `protocol.config_eeprom`."""
        self._done(
            protocol.config_eeprom(
                host_ip=host_ip, card_ip=card_ip, mac=mac, config_port=config_port, data_port=data_port
            )
        )

    def prepare(self, *, lanes: int, packet_delay: float = 25e-6, bits: int = 16, reset_radar: bool = True) -> Version:
        """Everything before `start_record`, in the order that works; the version of the card.

        Stop what runs, reboot the radar (unless something else controls it), aliveness, version, mode, packet delay.
        Empty the data socket between this and `start_record`.
        """
        self.stop_record()
        if reset_radar:
            self.reset_radar()
        self.aliveness()
        version = self.version()
        self.configure(lanes=lanes, bits=bits)
        self.set_packet_delay(packet_delay)
        return version

    # Request and answer

    def _done(self, request: bytes) -> None:
        status = self._request(request)
        if status:
            raise diagnose.refused(protocol.decode_request(request).command, status)

    def _await_hearing(self) -> None:
        """Poll until the card listens again: it is deaf for a moment after a change of mode."""
        request = protocol.encode_request(Command.ALIVENESS)
        status = self._request(request, tries=DEAF_TRIES, timeout=min(DEAF_TIMEOUT, self.timeout))
        if status:
            raise diagnose.refused(Command.ALIVENESS, status)

    def _request(self, request: bytes, *, tries: int | None = None, timeout: float | None = None) -> int:
        """Send a request, again when it may be repeated and nothing comes, and return the answer's status word."""
        command = protocol.decode_request(request).command
        tries = tries or (TRIES if command in IDEMPOTENT else 1)
        with self._one:
            if self._socket is None:
                raise CaptureError(f"card: {command.name} before connect(); use `with Card(...) as card:`")
            self._await_stale(command)
            with self._news:
                self._wanted, self._answer = command, None
            try:
                for _ in range(tries):
                    self._send(command, request)
                    with self._news:
                        if self._news.wait_for(lambda: self._answer is not None, timeout or self.timeout):
                            return self._answer.status
            finally:
                with self._news:
                    self._wanted = None
        raise diagnose.no_answer(command, host_ip=self.host_ip, card_ip=self.card_ip, tries=tries, seen=self._seen())

    def _send(self, command: Command, request: bytes) -> None:
        with self._news:
            self._owed[command] += 1
            self._asked[command] = time.monotonic()
        try:
            self._socket.sendto(request, (self.card_ip, self.config_port))
        except BlockingIOError:  # the send buffer is full: as good as lost on the way
            return
        except OSError as error:
            raise CaptureError(
                f"card {self.card_ip}: {command.name} could not be sent from {self.host_ip} "
                f"({error.strerror or error}); check the cable, the address and its netmask"
            ) from error

    def _await_stale(self, command: Command) -> None:
        """Wait until no answer to an earlier request of this code can come any more."""
        with self._news:
            left = self._asked.get(command, 0.0) + 2 * self.timeout - time.monotonic()
            self._news.wait_for(lambda: self._owed[command] <= 0, max(left, 0.0))
            self._owed[command] = 0

    def _seen(self) -> str:
        notes = [f"{n} datagrams came from {ip}, which is not the card" for ip, n in dict(self.foreign).items()]
        notes += [f"{self.garbage} datagrams of the card made no sense"] if self.garbage else []
        return "; ".join(notes)

    # The receiving thread

    def _receive(self, bound: socket.socket, waker: socket.socket) -> None:
        with waker, selectors.DefaultSelector() as selector:
            selector.register(bound, selectors.EVENT_READ)
            selector.register(waker, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if waker in ready:
                    return
                with contextlib.suppress(OSError):  # an error of an earlier datagram on its way; the next read works
                    datagram, extra, _, (sender, _) = bound.recvmsg(2048, 64)
                    self._sort(datagram, sender, _stamp(extra))

    def _sort(self, datagram: bytes, sender: str, stamp: int) -> None:
        """Put one datagram where it belongs."""
        if sender != self.card_ip:
            self.foreign[sender] += 1
            return
        response = protocol.decode_response(datagram)
        if response is None:
            self.garbage += 1
            return
        if response.command == Command.ASYNC_STATUS:
            self._keep(CardStatus(time_ns=stamp, status=AsyncStatus(response.status)))
            return
        with self._news:
            self._owed[response.command] -= 1
            if response.command == self._wanted and self._answer is None:
                self._answer = response
            else:
                self.stale += 1
            self._news.notify_all()

    def _keep(self, status: CardStatus) -> None:
        with self._news:
            self._statuses.append(status)
            callbacks = tuple(self._callbacks)
            self._news.notify_all()
        for callback in callbacks:
            try:
                callback(status)
            except Exception:  # the thread must go on; the error is reported like that of any thread
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


def _stamp(extra: list[tuple[int, int, bytes]]) -> int:
    """Kernel arrival time of a datagram [ns]; the present where the kernel gave none."""
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return seconds * 1_000_000_000 + nanoseconds
    return time.time_ns()
