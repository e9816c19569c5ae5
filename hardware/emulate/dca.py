"""An emulated DCA1000 on loopback addresses, with the real ports, answers, pace and habits.

The card listens on (card_ip, config_port) and answers, as the real one does, from another port to the host's fixed
address (host_ip, config_port), never to where the request came from. Data goes from the same port to (host_ip,
data_port). Linux answers on all of 127.0.0.0/8, so that 127.0.0.2 can be a card for a host at 127.0.0.1.

What the sources leave open is decided here, and only here: a request the real card's answer to is not known gets
status 1 (failed) or none; with a number of lanes other than the radar's no data goes out; when its memory runs over
the card says DDR_FULL, sends what it holds and takes no more; after the tail it goes on if more data comes (`Habits`).
"""

import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Self

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.dca1000.protocol import (
    CONFIG_PORT,
    DATA_PORT,
    FLUSH,
    AsyncStatus,
    Command,
    FpgaConfig,
    RecordConfig,
    Request,
    Version,
    decode_config_fpga,
    decode_config_record,
    decode_request,
    encode_response,
    encode_version,
    packet_interval,
)
from mmsar.hardware.emulate.faults import FaultPlan, StreamLog
from mmsar.hardware.emulate.packets import PacketStream
from mmsar.hardware.emulate.source import FrameSource

DEFAULT_DELAY = 25e-6
"""Packet delay at power-up [s]."""
_FIRST_FRAME = 0.02
"""From the start of the radar to its first frame [s]."""
_OK, _FAILED = 0, 1
_UNSUPPORTED = (Command.START_PLAYBACK, Command.STOP_PLAYBACK, Command.CONFIG_RADAR, Command.INIT_PLAYBACK)


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How the card behaves beside its protocol."""

    deaf: float = 0.05
    """Time without ears after CONFIG_FPGA [s]."""
    reset_time: float = 1.0
    """Time without ears after RESET_FPGA [s]."""
    source_port: int = 1024
    """Port that answers and data come from; 0: any free one."""
    memory: int = 2 << 30
    """Data the card holds back when the radar is faster than the network [bytes]."""
    goes_on: bool = True
    """Whether data that comes after the tail still belongs to the recording; not known of the real card."""
    version: Version = Version(major=2, minor=8, playback=False)  # noqa: RUF009 - an immutable value


class DcaEmulator:
    """The card; a context manager. Its threads run from the beginning to `close`."""

    def __init__(
        self,
        card_ip: str = "127.0.0.2",
        host_ip: str = "127.0.0.1",
        *,
        config_port: int = CONFIG_PORT,
        data_port: int = DATA_PORT,
        source: FrameSource | None = None,
        faults: FaultPlan = FaultPlan(),
        flush: float = FLUSH,
        pace: float | None = None,
        habits: Habits = Habits(),
    ) -> None:
        """Bind the card's ports.

        Parameters
        ----------
        card_ip, host_ip : str
            Addresses of card and host.
        config_port, data_port : int
            UDP ports.
        source : FrameSource, optional
            What the radar sends when `start_stream` is called without one.
        faults : FaultPlan
            What goes wrong.
        flush : float
            Silence after which the part packet goes out [s]; 2 on the card, less for tests in a hurry.
        pace : float, optional
            Least time between packets [s], instead of what the host configures; 0: none.
        habits : Habits
            Deaf times, source port, memory.

        Raises
        ------
        GeometryError
            One address for both.
        CaptureError
            An address that is not this machine's or a port in use.
        """
        if card_ip == host_ip:
            raise GeometryError(f"emulated card: got {card_ip} for card and host, wanted an address for each")
        self.card_ip, self.host_ip = card_ip, host_ip
        self.source, self.faults, self.flush, self.pace, self.habits = source, faults, flush, pace, habits
        self.on_reset_radar: Callable[[], None] | None = None
        """Called when the host resets the radar through the card; the stream has stopped then."""
        self.on_start_record: Callable[[], None] | None = None
        """Called when the host has started a recording, for what starts the radar by itself; must not wait."""
        self.fpga: FpgaConfig | None = None
        self.record: RecordConfig | None = None
        self.requests: list[tuple[int, bytes]] = []
        """(CLOCK_REALTIME [ns], datagram) of everything that came to the configuration port, heard or not."""
        self.statuses: list[tuple[int, AsyncStatus]] = []
        """(CLOCK_REALTIME [ns], bits) of every asynchronous status sent."""
        self.logs: list[StreamLog] = []
        """One for every START_RECORD."""
        self._host_config, self._host_data = (host_ip, config_port), (host_ip, data_port)
        self._random = Random(faults.seed)
        self._answered = 0
        self._deaf_until = 0.0
        self._packets: PacketStream | None = None
        self._halt = threading.Event()
        self._lock = threading.RLock()
        self._radar: _Radar | None = None
        self._closing = False
        self._errors: list[BaseException] = []
        self._control = _bound(card_ip, config_port)
        try:
            self._out = _bound(card_ip, habits.source_port)
        except CaptureError:
            self._control.close()
            raise
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="DcaEmulator", daemon=True)
        self._thread.start()

    @property
    def recording(self) -> bool:
        """Whether the host has started a recording and not stopped it."""
        return self._packets is not None

    @property
    def log(self) -> StreamLog:
        """What was really sent in the newest recording."""
        return self.logs[-1] if self.logs else StreamLog()

    def start_stream(self, source: FrameSource | None = None, *, hardware_trigger: bool = False) -> None:
        """The radar starts: frames come from now on, or one at each `trigger`."""
        source = self.source if source is None else source
        if source is None:
            raise CaptureError("emulated card: got no source of frames, wanted one; give DcaEmulator a source")
        self._end_radar()
        with self._lock:
            self._radar = _Radar(self, source, hardware_trigger)
            self._radar.start()

    def trigger(self, time_ns: int | None = None) -> None:
        """An edge on the radar's SYNC_IN at `time_ns` (CLOCK_REALTIME), default now."""
        radar = self._radar
        if radar is not None:
            radar.triggers.put(time.time_ns() if time_ns is None else time_ns)

    def stop_stream(self) -> None:
        """The radar stops after the frame it is in; the tail follows `flush` later."""
        radar = self._radar
        if radar is not None:
            radar.last_frame.set()

    def wait(self, timeout: float) -> bool:
        """Wait until the radar has stopped and the tail is sent; False when it takes longer than `timeout` [s]."""
        radar = self._radar
        if radar is not None:
            radar.join(timeout)
            return not radar.is_alive()
        return True

    @property
    def triggers_lost(self) -> int:
        """Trigger edges that came while a frame was still running."""
        return 0 if self._radar is None else self._radar.triggers_lost

    @property
    def cut_off(self) -> bool:
        """Whether the plan's `silent_after` has been reached: nothing leaves the card any more."""
        return self.faults.silent_after is not None and self.log.packed > self.faults.silent_after

    def send_status(self, status: AsyncStatus) -> None:
        """Say something unasked."""
        if self.cut_off:
            return
        self.statuses.append((time.time_ns(), status))
        self._out.sendto(encode_response(Command.ASYNC_STATUS, int(status)), self._host_config)

    def send_data(self, datagram: bytes) -> None:
        """Send a data packet as it is, past stream, faults and log."""
        self._out.sendto(datagram, self._host_data)

    def close(self) -> None:
        """Stop everything; raises what went wrong in the emulator's threads."""
        if not self._closing:
            self._closing = True
            self._end_radar()
            os.write(self._wake_write, b"w")
            self._thread.join()
            self._control.close()
            self._out.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
        if self._errors:
            raise self._errors.pop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the control side

    def _listen(self) -> None:
        try:
            while not self._closing:
                ready, _, _ = select.select([self._control, self._wake_read], [], [])
                if self._control in ready:
                    datagram = self._control.recv(65536)
                    self.requests.append((time.time_ns(), datagram))
                    request = decode_request(datagram)
                    if request is not None and time.monotonic() >= self._deaf_until:
                        self._answer(request)
        except BaseException as error:
            self._errors.append(error)

    def _answer(self, request: Request) -> None:
        status = self._handle(request)
        mute = self.faults.mute_after
        if self.cut_off or (mute is not None and self._answered >= mute):
            return
        self._answered += 1
        if self._random.random() < self.faults.async_before_reply:
            self.send_status(AsyncStatus.SD_DETECTED)
        self._out.sendto(encode_response(request.command, status), self._host_config)

    def _handle(self, request: Request) -> int:
        command, payload = request.command, request.payload
        if command == Command.CONFIG_FPGA:
            fpga = decode_config_fpga(payload)
            self._deaf_until = time.monotonic() + self.habits.deaf
            self.fpga = fpga or self.fpga
            return _OK if fpga else _FAILED
        if command == Command.CONFIG_RECORD:
            record = decode_config_record(payload)
            self.record = record or self.record
            return _OK if record else _FAILED
        if command == Command.CONFIG_EEPROM:  # takes effect after a power cycle, which never comes
            return _OK if len(payload) == 18 else _FAILED
        if payload or command in _UNSUPPORTED:
            return _FAILED
        if command == Command.READ_VERSION:
            return encode_version(self.habits.version)
        if command == Command.RESET_FPGA:
            self._stop_recording()
            self.fpga = self.record = None
            self._deaf_until = time.monotonic() + self.habits.reset_time
        elif command == Command.RESET_RADAR:
            self.stop_stream()
            if self.on_reset_radar is not None:
                self.on_reset_radar()
        elif command == Command.START_RECORD:
            self._start_recording()
            if self.on_start_record is not None:
                self.on_start_record()
        elif command == Command.STOP_RECORD:
            self._stop_recording()
        return _OK

    def _start_recording(self) -> None:
        self._stop_recording()
        delay = DEFAULT_DELAY if self.record is None else self.record.delay
        with self._lock:
            self._halt = threading.Event()
            self._packets = PacketStream(
                self.send_data,
                interval=packet_interval(delay) if self.pace is None else self.pace,
                faults=self.faults,
                memory=self.habits.memory,
                stop=self._halt,
            )
            self.logs.append(self._packets.log)

    def _stop_recording(self) -> None:
        self._halt.set()
        with self._lock:
            self._packets = None

    # the data side, called by the radar's thread

    def _end_radar(self) -> None:
        radar, self._radar = self._radar, None
        if radar is not None:
            radar.end.set()
            if self._closing:
                self._halt.set()
            radar.join()

    def _take(self, source: FrameSource, data: bytes, begin: float, time_ns: int) -> PacketStream | None:
        """Give a frame to the recording there is; returns that."""
        packets = self._packets
        if packets is None:
            return None
        lanes = 4 if self.fpga is None else self.fpga.lanes
        if source.lanes not in (None, lanes) and self.fpga is not None:
            note = f"the card is set to {lanes} lanes, the radar sends on {source.lanes}: no data"
            if note not in packets.log.notes:
                packets.log.notes.append(note)
            return packets
        was_full = packets.full
        packets.take(data, begin, source.active, time_ns=time_ns)
        if packets.full and not was_full:
            self.send_status(AsyncStatus.DDR_FULL)
        return packets

    def _idle(self) -> bool:
        """Do what silence brings; whether there is nothing more to wait for."""
        packets = self._packets
        if packets is None or packets.last_data is None:
            return True
        packets.idle()
        if time.monotonic() < packets.last_data + self.flush:
            return False
        packets.tail()
        packets.last_data = None
        if not self._halt.is_set():
            self.send_status(AsyncStatus.RECORD_COMPLETED)
        if not self.habits.goes_on:
            self._stop_recording()
        return True


class _Radar(threading.Thread):
    """The radar behind the card: asks the source for frames when they are due."""

    def __init__(self, card: DcaEmulator, source: FrameSource, hardware_trigger: bool) -> None:
        super().__init__(name="DcaEmulator radar", daemon=True)
        self.card, self.source, self.hardware_trigger = card, source, hardware_trigger
        self.end, self.last_frame = threading.Event(), threading.Event()
        self.triggers: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.triggers_lost = 0
        self.start_time = time.monotonic() + max(source.ahead, _FIRST_FRAME)
        self.unix = time.time() - time.monotonic()
        self._busy_until = 0.0
        self._frame: tuple[bytes, float, int] | None = None
        self._taken_by: PacketStream | None = None

    def run(self) -> None:
        try:
            source, k = self.source, 0
            while (not source.n_frames or k < source.n_frames) and (begin := self._next(k)) is not None:
                time_ns = round((begin + self.unix) * 1e9)
                self._frame = source.frame(k, time_ns), begin, time_ns
                self._busy_until = begin + source.active
                self._taken_by = self.card._take(source, *self._frame)
                k += 1
            while not self.end.is_set() and (time.monotonic() < self._busy_until or not self.card._idle()):
                self._offer_again()
                self.end.wait(0.002)
        except BaseException as error:
            self.card._errors.append(error)

    def _next(self, k: int) -> float | None:
        """Start of frame k, once it is time to make it; None when there is none."""
        begin = None
        if not self.hardware_trigger:
            begin = self.start_time + k * self.source.period if self.source.period else time.monotonic()
        while not (self.end.is_set() or self.last_frame.is_set()):
            if begin is None:
                begin = self._triggered()
            wait = 0.002 if begin is None else begin - self.source.ahead - time.monotonic()
            if wait <= 0 or not (self.source.period or self.hardware_trigger):
                return begin
            self._offer_again()
            self.card._idle()
            self.end.wait(min(wait, 0.002))
        return None

    def _offer_again(self) -> None:
        """A recording that began inside the frame gets the rest of it."""
        if self._frame is not None and time.monotonic() < self._busy_until and self.card._packets is not self._taken_by:
            self._taken_by = self.card._take(self.source, *self._frame)

    def _triggered(self) -> float | None:
        try:
            begin = self.triggers.get_nowait() / 1e9 - self.unix
        except queue.Empty:
            return None
        if begin < self._busy_until:
            self.triggers_lost += 1
            return None
        return begin


def _bound(ip: str, port: int) -> socket.socket:
    """A UDP socket on an address of this machine."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind((ip, port))
    except OSError as error:
        udp.close()
        raise CaptureError(
            f"emulated card {ip}:{port}: {(error.strerror or str(error)).lower()}; wanted a free port on an address of "
            "this machine, such as 127.0.0.2"
        ) from None
    return udp
