"""A stage driven by a FUYU AMC4030 over Modbus RTU (its RS-232 port, 115200 8N1).

Registers, high word first: 0x0000 firmware, 0x0004 status (bits: 0 paused, 1 running, 2 jogging, 3 homing, 4 alarm),
0x0006 / 08 / 0A position of X / Y / Z (int32), 0x0038 speed and 0x003A / 3C / 3E distances of the XYZ move (float32).
Coils: 3 stop, 4 / 5 / 6 home X / Y / Z, 0x0D start the XYZ move, which is *relative*. Source: the vendor's protocol
description as quoted in a public driver project; not tested on hardware by us.

Two things that description leaves open are settings here, and are *checked on the machine*: how many counts of position
make a millimetre (the vendor's DLL uses 100,000), and that speeds are in mm/s. `verify`, run after homing or at the
latest before the first move, drives every axis 2 mm towards the middle of its limits and back, and refuses with the
measured ratio when the report does not follow. Absolute targets are made from the reported position.
"""

import struct
import time
from collections.abc import Mapping, Sequence

from mmsar.core.checks import finite_number
from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.motion.controller import Controller
from mmsar.hardware.motion.modbus import ModbusMaster
from mmsar.hardware.motion.stage import Axis, StageState

FIRMWARE, STATUS, SPEED, DISTANCE = 0x0000, 0x0004, 0x0038, 0x003A
COIL_STOP, COIL_HOME, COIL_MOVE = 0x0003, 0x0004, 0x000D
PAUSED, RUNNING, JOGGING, HOMING, ALARM = 1, 2, 4, 8, 16
CHANNELS = ("X", "Y", "Z")

TEST_MOVE = 2.0
"""Length of the moves of `verify` [mm or degrees]."""
_START_TIME = 1.0


class Amc4030Stage(Controller):
    """AMC4030 on a serial port."""

    def __init__(
        self,
        port: str,
        *,
        axes: Sequence[Axis],
        trust_position: bool = False,
        position_scale: float = 1e5,
        speed_scale: float = 1.0,
        test_time: float = 2.0,
        home_timeout: float = 120.0,
        unit: int = 1,
        baudrate: int = 115200,
    ) -> None:
        """Connect and read the firmware's version.

        Parameters
        ----------
        port : str
            Serial port.
        axes : sequence of Axis
            The axes in use, channels X, Y, Z.
        trust_position : bool
            Take the controller's position for right without homing.
        position_scale : float
            Counts of reported position per mm or degree. The default is that of the vendor's DLL and *unconfirmed* for
            Modbus; `verify` checks it.
        speed_scale : float
            Units of the speed register per mm/s or degree/s. Default 1, *unconfirmed*; 60 where it is mm/min.
        test_time : float
            Time the 2 mm moves of `verify` are to take [s].
        home_timeout : float
            Longest time homing may take, each axis [s].
        unit : int
            Modbus address.

        Raises
        ------
        CaptureError
            No answer at this port.
        GeometryError
            A channel that is not X, Y or Z, or scales that are not above 0.
        """
        super().__init__("AMC4030 stage", axes, trust_position=trust_position)
        for axis in axes:
            if axis.channel not in CHANNELS:
                raise GeometryError(f"Axis {axis.name} channel: got {axis.channel!r}, wanted one of X, Y, Z")
        self.position_scale = finite_number("AMC4030 position_scale", position_scale, "counts/mm", above=0)
        self.speed_scale = finite_number("AMC4030 speed_scale", speed_scale, "1/(mm/s)", above=0)
        self.verified = False
        """Whether reports were seen to follow commanded moves."""
        self._test_time = finite_number("AMC4030 test_time", test_time, "s", above=0)
        self._home_timeout = finite_number("AMC4030 home_timeout", home_timeout, "s", above=0)
        self._modbus = ModbusMaster(port, unit=unit, baudrate=baudrate)
        try:
            self.firmware = _u32(self._modbus.read_registers(FIRMWARE, 2))
        except BaseException:
            self._modbus.close()
            raise

    def verify(self) -> None:
        """Drive each axis 2 mm (2 degrees) towards the middle of its limits and back, and compare the reports.

        Raises
        ------
        CaptureError
            A report that does not follow (with the measured ratio), or moves that do not take `test_time`.
        """
        for name, axis in self.axis.items():
            start = self._idle_state()
            way = 1.0 if start.position[name] < (axis.low + axis.high) / 2 else -1.0
            step = way * TEST_MOVE / abs(axis.scale)
            wanted = way * TEST_MOVE
            speed = TEST_MOVE / self._test_time / abs(axis.scale)
            begun = time.monotonic()
            self._relative({name: step}, speed)
            moved = (self._end_of_move(10 * self._test_time).position[name] - start.position[name]) * abs(axis.scale)
            took = time.monotonic() - begun
            if abs(moved - wanted) > 0.02 * TEST_MOVE:
                raise CaptureError(
                    f"AMC4030 stage: got {moved:.5g} reported for {wanted:.5g} commanded on axis {name} (ratio "
                    f"{moved / wanted:.5g}), wanted them equal; if the table really moved {TEST_MOVE:g} mm (degrees), "
                    f"position_scale is {self.position_scale * abs(moved / wanted):.6g}, else check the pulses per mm"
                )
            if not 0.6 * self._test_time < took < 4 * self._test_time + 0.5:
                raise CaptureError(
                    f"AMC4030 stage: got {took:.1f} s for a move of {self._test_time:g} s on axis {name}, wanted about "
                    "that; speed_scale is wrong: 60 if the controller takes mm/min"
                )
            self._relative({name: -step}, speed)
            self._end_of_move(10 * self._test_time)
        self.verified = True

    def close(self) -> None:
        """Close the port; a move that runs goes on."""
        self._modbus.close()

    def _query(self) -> StageState:
        wall, begun = time.time_ns(), time.monotonic_ns()
        words = self._modbus.read_registers(STATUS, 8)
        middle = wall + (time.monotonic_ns() - begun) // 2
        status = _u32(words[:2])
        position = {}
        for name, axis in self.axis.items():
            at = 2 + 2 * CHANNELS.index(axis.channel)
            position[name] = axis.from_controller(_i32(words[at : at + 2]) / self.position_scale)
        alarm = "alarm bit of the status register" if status & ALARM else None
        if alarm:
            self.homed = False
        idle = not status & (PAUSED | RUNNING | JOGGING | HOMING)
        return StageState(time_ns=middle, position=position, idle=idle, alarm=alarm)

    def _start(self, target: Mapping[str, float], speed: float, now: StageState) -> None:
        if not self.verified:
            self.verify()
            now = self._idle_state()
        self._relative({name: value - now.position[name] for name, value in target.items()}, speed)

    def _relative(self, steps: Mapping[str, float], speed: float) -> None:
        """Start a relative move; returns when the controller reports that it runs, or is over already."""
        distance = [0.0, 0.0, 0.0]
        for name, step in steps.items():
            axis = self.axis[name]
            distance[CHANNELS.index(axis.channel)] = step * axis.scale
        if not any(distance):
            return
        rate = speed * abs(self.axis[next(iter(steps))].scale) * self.speed_scale
        self._raise_if_stopped()
        self._modbus.write_registers(SPEED, [w for value in (rate, *distance) for w in _f32(value)])
        self._raise_if_stopped()
        self._modbus.write_coil(COIL_MOVE, True)

    def _idle_state(self) -> StageState:
        state = self.state()
        if state.alarm or not state.idle:
            raise CaptureError(f"AMC4030 stage: got {state.alarm or 'a move that runs'}, wanted it idle")
        return state

    def _end_of_move(self, timeout: float) -> StageState:
        """Wait for an end anywhere: idle, and the same position twice."""
        begun, last = time.monotonic(), None
        while time.monotonic() - begun < timeout:
            state = self.state()
            self._raise_if_stopped()
            if state.alarm:
                raise CaptureError(f"AMC4030 stage: got an alarm ({state.alarm}), wanted the move to end")
            moved_on = last is None or last.position != state.position
            if state.idle and not moved_on:
                return state
            last = state if state.idle else None
        raise CaptureError(f"AMC4030 stage: got no end of a move in {timeout:g} s, wanted idle")

    def _find_home(self) -> None:
        for name, axis in self.axis.items():
            self._modbus.write_coil(COIL_HOME + CHANNELS.index(axis.channel), True)
            begun, seen = time.monotonic(), False
            while True:
                state = self.state()
                self._raise_if_stopped()
                waited = time.monotonic() - begun
                if state.alarm:
                    raise CaptureError(f"AMC4030 stage: got an alarm ({state.alarm}), wanted axis {name} home")
                seen |= not state.idle
                if state.idle and (seen or waited > _START_TIME):
                    break
                if waited > self._home_timeout:
                    raise CaptureError(
                        f"AMC4030 stage: got no end of homing {name} in {self._home_timeout:g} s, wanted idle; call "
                        "stop() and check the reference switch"
                    )

        if not self.verified:
            self.verify()

    def _halt(self) -> None:
        self._modbus.write_coil(COIL_STOP, True, tries=3)  # twice does as once
        begun = time.monotonic()
        while time.monotonic() - begun < 0.7:
            if self.state().idle:
                return
        raise CaptureError("AMC4030 stage: got motion 0.7 s after stop, wanted it idle; use the emergency stop")


def _u32(words: Sequence[int]) -> int:
    return words[0] << 16 | words[1]


def _i32(words: Sequence[int]) -> int:
    return struct.unpack(">i", struct.pack(">HH", *words))[0]


def _f32(value: float) -> tuple[int, int]:
    return struct.unpack(">HH", struct.pack(">f", value))
