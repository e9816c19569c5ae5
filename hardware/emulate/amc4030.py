"""An AMC4030 on a pseudo-terminal: the Modbus RTU slave of the vendor's description, with a machine behind it.

Only what `mmsar.hardware.motion.amc4030` names is there, with the parts that are unknown of the real one as settings:
how many counts make a millimetre, and how many units of speed a mm/s.
"""

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmsar.hardware.emulate.machine import Machine
from mmsar.hardware.emulate.pty_port import PtyPort
from mmsar.hardware.motion import modbus

_FIRMWARE = 0x0203
_COILS, _REGISTERS = 0x12, 0x40


class Amc4030Pty(PtyPort):
    """An emulated AMC4030 with three axes, homed towards 0."""

    def __init__(
        self,
        *,
        start: Sequence[float] = (37.0, 21.0, 5.0),
        position_scale: float = 1e5,
        speed_scale: float = 1.0,
        acceleration: float = 200.0,
        home_speed: float = 20.0,
        travel: Sequence[float] = (400.0, 400.0, 400.0),
        unit: int = 1,
        speedup: float = 1.0,
        backlash: Sequence[float] = (0.0, 0.0, 0.0),
        rotary: Sequence[bool] = (False, False, False),
        **options: Any,
    ) -> None:
        """Switch it on.

        Parameters
        ----------
        start : sequence of float
            Where the axes really stand [mm or degrees]; reported as 0 until homed.
        position_scale, speed_scale : float
            Counts per mm, and units of speed per mm/s, that this controller uses.
        acceleration, home_speed : float
            [mm/s^2], [mm/s].
        travel : sequence of float
            Running beyond 0 or this raises the alarm [mm].
        unit : int
            Modbus address.
        speedup, backlash, rotary
            See `Machine`.
        options
            Those of `PtyPort`.
        """
        self.machine = Machine(start, speedup=speedup, backlash=backlash, rotary=rotary)
        self.position_scale = position_scale
        self.speed_scale = speed_scale
        self.acceleration = acceleration
        self.home_speed = home_speed
        self.travel = tuple(travel)
        self.unit = unit
        self.requests: list[bytes] = []
        """Valid requests, check sum removed."""
        self.corrupt = 0
        """How many of the next answers get a wrong check sum."""
        self.ignore_moves = 0
        """How many of the next moves are acknowledged but not made."""
        self._offset = [-s for s in start]
        self._alarm = False
        self._activity = 0
        self._memory = [0] * _REGISTERS
        self._rx = b""
        super().__init__(**options)

    def position_at(self, time_ns: int) -> np.ndarray:
        """True position of the table [m or rad], (3,), at a CLOCK_REALTIME [ns]."""
        return self.machine.position_at(time_ns)

    def on_pulse(self, axis: str, spacing: float, callback: Callable[[int, int], None]) -> None:
        """Call `callback(time_ns, index)` whenever the drive of `axis` arrives at index * spacing [mm or degrees]."""
        self.machine.set_pulses("XYZ".index(axis), spacing, callback)

    def trip(self) -> None:
        """Raise the alarm now: the machine stands at once."""
        self.later(0.0, self._trip)

    def receive(self, data: bytes) -> None:
        """Answer complete requests; garbage is dropped."""
        self._rx += data
        while len(self._rx) >= 8:
            length = 9 + self._rx[6] if self._rx[1] == modbus.WRITE_REGISTERS else 8
            if len(self._rx) < length:
                return
            body = modbus.check_frame(self._rx[:length])
            if body is None:
                self._rx = self._rx[1:]  # look for a frame further on
                continue
            self._rx = self._rx[length:]
            if body[0] == self.unit:
                self.requests.append(body)
                self._reply(body[1], self._handle(body[1], body[2:]))

    def _reply(self, function: int, result: bytes | int) -> None:
        if isinstance(result, int):
            function, result = function | 0x80, bytes((result,))
        raw = modbus.frame(self.unit, function, result)
        if self.corrupt:
            self.corrupt -= 1
            raw = raw[:-1] + bytes((raw[-1] ^ 0x55,))
        self.answer(raw)

    def _handle(self, function: int, data: bytes) -> bytes | int:
        """Data of the answer, or an exception code."""
        address, value = struct.unpack(">HH", data[:4])
        if function == modbus.READ_REGISTERS:
            if value < 1 or address + value > _REGISTERS:
                return 2
            self._refresh()
            return bytes((2 * value,)) + struct.pack(f">{value}H", *self._memory[address : address + value])
        if function == modbus.READ_COILS:
            if value < 1 or address + value > _COILS:
                return 2
            return bytes(((value + 7) // 8,)) + bytes((value + 7) // 8)
        if function == modbus.WRITE_COIL:
            if address >= _COILS:
                return 2
            if value not in (0, 0xFF00):
                return 3
            if value:
                self._coil(address)
            return data
        if function == modbus.WRITE_REGISTERS:
            if address < 0x30 or address + value > _REGISTERS:
                return 2
            self._memory[address : address + value] = struct.unpack(f">{value}H", data[5:])
            return data[:4]
        return 1

    def _float(self, address: int) -> float:
        return struct.unpack(">f", struct.pack(">HH", *self._memory[address : address + 2]))[0]

    def _coil(self, address: int) -> None:
        with self.machine.lock:
            now = self.machine.now()
            track = self.machine.track
            if address == 3:
                track.halt(now, acceleration=self.acceleration)
            elif address in (4, 5, 6) and not self.machine.moving():
                self._home(address - 4)
            elif address == 0x0D and not self.machine.moving() and not self._alarm:
                if self.ignore_moves:
                    self.ignore_moves -= 1
                    return
                step = [self._float(0x3A + 2 * i) for i in range(3)]
                speed = self._float(0x38) / self.speed_scale
                if speed > 0:
                    self._activity = 2
                    place = track.drive(now)
                    target = [p + s for p, s in zip(place, step, strict=True)]
                    bounded = [min(max(t, 0.0), limit) for t, limit in zip(target, self.travel, strict=True)]
                    end = track.move(now, bounded, speed=speed, acceleration=self.acceleration)
                    if max(abs(b - t) for b, t in zip(bounded, target, strict=True)) > 1e-3:
                        self.later(self.machine.wall(end - now), self._trip)
        self._pulse()

    def _home(self, axis: int) -> None:
        """Drive one axis to its switch at 0."""
        now = self.machine.now()
        self._activity, self._alarm = 8, False
        target = list(self.machine.track.drive(now))
        target[axis] = 0.0
        end = self.machine.track.move(now, target, speed=self.home_speed, acceleration=self.acceleration)

        def arrived() -> None:
            if abs(self.machine.track.drive(self.machine.now())[axis]) < 1e-6:
                self._offset[axis] = 0.0

        self.later(self.machine.wall(end - now), arrived)

    def _trip(self) -> None:
        with self.machine.lock:
            self.machine.track.halt(self.machine.now(), acceleration=math.inf)
        self._alarm = True

    def _pulse(self) -> None:
        wait = self.machine.report_pulses()
        if wait is not None:
            self.later(wait, self._pulse)

    def _refresh(self) -> None:
        """Put firmware, status and positions into the registers."""
        with self.machine.lock:
            now = self.machine.now()
            drive = self.machine.track.drive(now)
            status = (self._activity if self.machine.moving(now) else 0) | (16 if self._alarm else 0)
        counts = [round((d + o) * self.position_scale) for d, o in zip(drive, self._offset, strict=True)]
        raw = struct.pack(">I4xI3i", _FIRMWARE, status, *counts)
        self._memory[: len(raw) // 2] = struct.unpack(f">{len(raw) // 2}H", raw)
