"""A DCA1000 of the acceptance tests' own: plain sockets and struct, written from the card's protocol alone.

It shares no line with the product, so that a mistake in the product's reading of the protocol cannot be made twice.
Config requests come to (card_ip, 4096); replies, asynchronous statuses and data leave from one source port to
(host_ip, 4096) and (host_ip, 4098). Data are emitted in full payloads of 1456 bytes; what remains of the last one
follows `tail` seconds after the data, with the asynchronous status "record completed" (bit 8).
"""

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

CONFIG_PORT = 4096
DATA_PORT = 4098
PAYLOAD = 1456

RESET_FPGA, RESET_RADAR, CONFIG_FPGA = 0x01, 0x02, 0x03
START, STOP, ALIVE, ASYNC, RECORD, VERSION = 0x05, 0x06, 0x09, 0x0A, 0x0B, 0x0E
COMPLETED = 1 << 8


def split(data: bytes) -> list[bytes]:
    """The datagrams that carry `data`, numbered from 1, each with the number of bytes before it."""
    datagrams = []
    for number, offset in enumerate(range(0, len(data), PAYLOAD), start=1):
        header = struct.pack("<IIH", number, offset & 0xFFFFFFFF, offset >> 32)
        datagrams.append(header + data[offset : offset + PAYLOAD])
    return datagrams


def shuffle(
    count: int, seed: int, *, loss: float = 0.0, reorder: float = 0.0, depth: int = 32, double: float = 0.0
) -> list[int]:
    """Indices of the packets in the order they are emitted: some never, some up to `depth` places late, some twice."""
    rng = random.Random(seed)
    places = []
    for index in range(count):
        if rng.random() < loss:
            continue
        late = rng.randint(1, depth) if rng.random() < reorder else 0
        places.append((index + late + 0.5 * bool(late), index))
        if rng.random() < double:
            places.append((index + rng.randint(0, 40) + 0.25, index))
    return [index for _, index in sorted(places)]


def as_emitted(datagrams: Sequence[bytes], order: Sequence[int]) -> list[int]:
    """The order in which packets really leave: a short last one waits for the flush."""
    last = len(datagrams) - 1
    if len(datagrams[last]) == PAYLOAD + 10:
        return list(order)
    return [index for index in order if index != last] + [index for index in order if index == last]


class Card:
    """An emulated card. `emit(datagrams, order)` sends from the calling thread; `stream(...)` from a thread of its own.

    mute: commands that are never answered; deaf: seconds without ears after CONFIG_FPGA; chatter: an asynchronous
    status goes out before every reply; source_port: where replies and data leave from (0: whichever is free).
    """

    def __init__(
        self,
        host_ip: str,
        card_ip: str,
        *,
        mute: Sequence[int] = (),
        deaf: float = 0.0,
        chatter: bool = False,
        source_port: int = 1024,
        version: int = 0x0402,
        refuse: Sequence[int] = (),
    ) -> None:
        self.host_ip = host_ip
        self.card_ip = card_ip
        self.mute = mute
        self.deaf = deaf
        self.chatter = chatter
        self.version = version
        self.refuse = refuse
        self.requests: list[tuple[float, bytes]] = []
        self.recording = threading.Event()
        self.stopped = threading.Event()
        self.sent: list[tuple[float, int]] = []
        self.failure: BaseException | None = None
        self._closing = threading.Event()
        self._deaf_until = 0.0
        self._ears = _bound(card_ip, CONFIG_PORT)
        self._mouth = _bound(card_ip, source_port)
        self._ears.settimeout(0.05)
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "Card":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(20)
        self._ears.close()
        self._mouth.close()

    @property
    def commands(self) -> list[int]:
        """Codes of the requests so far, in order."""
        return [struct.unpack_from("<H", request, 2)[0] for _, request in self.requests]

    def payload_of(self, command: int) -> bytes:
        """The payload of the last request of a command."""
        return next(r[6:-2] for _, r in reversed(self.requests) if struct.unpack_from("<H", r, 2)[0] == command)

    def status(self, bits: int) -> None:
        """An asynchronous status."""
        self._say(struct.pack("<HHHH", 0xA55A, ASYNC, bits, 0xEEAA))

    def raw(self, datagram: bytes, port: int = DATA_PORT) -> None:
        """Any datagram from the card's source port."""
        with suppress(ConnectionRefusedError):
            self._mouth.sendto(datagram, (self.host_ip, port))

    def emit(
        self, datagrams: Sequence[bytes], order: Sequence[int] | None = None, *, rate: float = 8000.0, tail: float = 2.0
    ) -> None:
        """Send datagrams at `rate` a second; a short last one comes `tail` seconds after the rest, with bit 8."""
        order = as_emitted(datagrams, range(len(datagrams)) if order is None else order)
        last = len(datagrams) - 1
        short = len(datagrams[last]) < PAYLOAD + 10
        held = [index for index in order if short and index == last]
        start = time.monotonic()
        host = (self.host_ip, DATA_PORT)
        mouth = self._mouth
        log = self.sent
        for count, index in enumerate(order[: len(order) - len(held)]):
            if not count % 32:
                if self._closing.is_set():
                    return
                wait = start + count / rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                log.append((time.monotonic(), index))
            with suppress(ConnectionRefusedError):
                mouth.sendto(datagrams[index], host)
        if tail and self._closing.wait(tail):
            return
        for index in held:
            self.raw(datagrams[index])
        self.status(COMPLETED)

    def stream(self, *args, **options) -> threading.Thread:
        """`emit` from a thread."""
        return self.background(lambda: self.emit(*args, **options))

    def background(self, work: Callable[[], None]) -> threading.Thread:
        """Run something in a thread that ends before the card is closed."""

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self.failure = error

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _say(self, datagram: bytes) -> None:
        with suppress(ConnectionRefusedError):
            self._mouth.sendto(datagram, (self.host_ip, CONFIG_PORT))

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                request = self._ears.recv(2048)
            except TimeoutError:
                continue
            now = time.monotonic()
            if now < self._deaf_until:
                continue
            self.requests.append((now, request))
            self._answer(request, now)

    def _answer(self, request: bytes, now: float) -> None:
        size = len(request) - 8
        if size < 0 or request[:2] != b"\x5a\xa5" or request[-2:] != b"\xaa\xee":
            return
        command, length = struct.unpack_from("<HH", request, 2)
        if length != size or command in self.mute:
            return
        if command == START:
            self.recording.set()
        elif command == STOP:
            self.stopped.set()
        if self.chatter:
            self.status(1 << 3)
        status = self.version if command == VERSION else int(command in self.refuse)
        self._say(struct.pack("<HHHH", 0xA55A, command, status, 0xEEAA))
        if self.chatter:
            self.status(1 << 0)
        if command == CONFIG_FPGA:
            self._deaf_until = now + self.deaf


def _bound(ip: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind((ip, port))
    except OSError:
        made.close()
        raise
    return made
