"""The data path of the emulated card: bytes of the radar in, numbered datagrams out, at the card's pace.

One `PacketStream` is one recording, from START_RECORD on. As on the card, only full payloads of 1456 bytes go out; the
rest waits for more data and is sent after a silence, see `tail`. Every datagram has an absolute time at which it is
due: when its last byte has come from the radar, and not before the one ahead of it has had its time on the wire.

A plain `sendto` per datagram takes 2 to 4 us, a quarter of what the fastest pace leaves: enough without sending many
with one call.
"""

import time
from collections.abc import Callable
from threading import Event

import numpy as np

from mmsar.hardware.dca1000.protocol import PAYLOAD, encode_packet
from mmsar.hardware.emulate.faults import FaultLane, FaultPlan, StreamLog

_BATCH = 512
_GROUP = 80
_GROUP_STEP = 12e-6
"""After a stall the emulator catches up by groups, 12 us for each packet: little faster than a card can (16.7 us)."""
_NAP = 0.2e-3
"""Least sleep within a burst [s]: packets 17 us apart go out some at a time, as waking up for each is too slow."""
_IDLE = 0.02
"""Silence after which no packet waits to be overtaken any more [s]."""


class PacketStream:
    """The packets of one recording. Times are `time.monotonic` [s]."""

    def __init__(
        self,
        send: Callable[[bytes], None],
        *,
        interval: float,
        faults: FaultPlan,
        memory: int,
        stop: Event,
    ) -> None:
        """Begin a recording.

        Parameters
        ----------
        send : callable
            Puts one datagram on the wire.
        interval : float
            Least time between two packets [s]; 0: none.
        faults : FaultPlan
            What goes wrong.
        memory : int
            Data the card can hold back [bytes].
        stop : Event
            Ends everything at once when set.
        """
        self.log = StreamLog()
        self.began = time.monotonic()
        self.last_data: float | None = None
        """When the last byte came from the radar."""
        self.full = False
        """Whether the memory ran over; nothing is taken after that."""
        self._send = send
        self._interval = interval
        self._faults = faults
        self._lane = FaultLane(faults, self.log) if faults.touches_data else None
        self._memory = memory
        self._stop = stop
        self._rest = b""
        self._base = 0, 0
        """Place and byte count at the last restart of the numbering."""
        self._free = -np.inf
        self._last_sent = -np.inf

    def take(self, data: bytes, begin: float, active: float, *, time_ns: int, grain: int = 16) -> None:
        """Take the bytes of a frame and send the packets they fill.

        Parameters
        ----------
        data : bytes
            The frame.
        begin, active : float
            Start of the frame, and the time its bytes are spread over [s].
        time_ns : int
            Start of the frame for the log, CLOCK_REALTIME [ns].
        grain : int
            What came before the recording began is left out in steps of this many bytes.
        """
        if self.full:
            self.log.lost_bytes += len(data)
            return
        if begin + active < self.began:
            return
        self.log.frame_times.append(time_ns)
        size = len(data)
        if begin < self.began:  # the radar was running already: the record begins inside a frame
            data = data[int((self.began - begin) / active * size / grain) * grain :]
        came_before = size - len(data)
        self.last_data = begin + active
        waiting = len(self._rest)
        stream = self._rest + data
        count = len(stream) // PAYLOAD
        filled = came_before + np.arange(1, count + 1) * PAYLOAD - waiting
        ready = begin + active * filled / size
        step = self._interval * np.arange(count)
        due = np.maximum.accumulate(np.maximum(ready, self._free) - step) + step if count else ready
        for first in range(0, count, _BATCH):
            end = min(first + _BATCH, count)
            held = (due[end - 1] - ready[end - 1]) / self._interval * PAYLOAD if self._interval else 0.0
            if held > self._memory:
                self.full = True
                self.log.lost_bytes += len(stream) - first * PAYLOAD
                self._rest = b""
                return
            parts = [stream[i * PAYLOAD : (i + 1) * PAYLOAD] for i in range(first, end)]
            self._emit(parts, due[first:end])
            if self._stop.is_set():
                return
        self._rest = stream[count * PAYLOAD :]

    def idle(self) -> None:
        """To be called while nothing comes: sends what only waited for others to overtake."""
        now = time.monotonic()
        if self._lane is not None and now - self._last_sent > _IDLE:
            self._transmit(*self._lane.idle(now))

    def tail(self) -> None:
        """Send the part packet that is left, as the card does after a silence."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self.log.tails += 1
            self._emit([rest], np.array([time.monotonic()]))
        if self._lane is not None:
            self._transmit(*self._lane.idle(np.inf))

    def _emit(self, parts: list[bytes], due: np.ndarray) -> None:
        log, first = self.log, self.log.packed
        restart = self._faults.restart_after
        datagrams = []
        for part in parts:
            if restart is not None and log.packed == restart:
                self._base = log.packed, log.packed_bytes
                log.restarts += 1
            place, offset = self._base
            datagrams.append(encode_packet(log.packed - place + 1, log.packed_bytes - offset, part))
            log.packed += 1
            log.packed_bytes += len(part)
        self._free = float(due[-1]) + self._interval
        if self._lane is None:
            self._transmit(range(first, first + len(parts)), datagrams, due)
        else:
            self._transmit(*self._lane.through(first, datagrams, due))

    def _transmit(self, places: np.ndarray | range, datagrams: list[bytes], due: np.ndarray) -> None:
        """Send datagrams at their times; returns early when stopped."""
        i, count = 0, len(datagrams)
        times = due.tolist()
        while i < count and not self._stop.is_set():
            now = time.monotonic()
            if times[i] > now:
                wait = times[i] - now
                time.sleep(min(wait, 0.05) if i == 0 or wait > _NAP else _NAP)
                continue
            self.log.max_lag = max(self.log.max_lag, now - times[i])
            first = i
            while i < count and times[i] <= now and i - first < _GROUP and not self._stop.is_set():
                self._send(datagrams[i])
                i += 1
            if isinstance(places, range):
                self.log.count_run(places[first], i - first)
            else:
                self.log.count(places[first:i])
            self._last_sent = now
            if i - first == _GROUP and self._interval > 0:
                time.sleep(max(0.0, now + _GROUP * _GROUP_STEP - time.monotonic()))
