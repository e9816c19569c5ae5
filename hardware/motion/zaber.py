"""A stage driven by Zaber devices, through the vendor's library `zaber-motion` (an optional extra).

The library speaks the protocol, knows every device's units and is asked in metres, radians and seconds. Zaber devices
know whether they were homed. A move of several axes is made straight by giving each its share of the speed.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mmsar.core.checks import finite_number
from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.motion.controller import Controller
from mmsar.hardware.motion.stage import Axis, StageState


def _library() -> tuple[Any, Any, type[Exception]]:
    """(Connection, Units, the library's error); imported only when a Zaber stage is opened."""
    try:
        from zaber_motion import MotionLibException, Units
        from zaber_motion.ascii import Connection
    except ImportError:
        raise CaptureError(
            "Zaber stage: got no library zaber-motion, wanted it installed; run: pip install 'mmsar[zaber]'"
        ) from None
    return Connection, Units, MotionLibException


class ZaberStage(Controller):
    """Zaber devices on one serial port.

    An axis' channel is "2" (axis 2 of the first device) or "3.1" (axis 1 of the device with address 3).
    `acceleration` holds that of each axis [m/s^2 or rad/s^2].
    """

    def __init__(
        self,
        port: str,
        *,
        axes: Sequence[Axis],
        trust_position: bool = False,
        home_timeout: float = 120.0,
        baudrate: int = 115200,
    ) -> None:
        """Connect, find the devices and read their limits.

        Parameters
        ----------
        port : str
            Serial port.
        axes : sequence of Axis
            The axes in use.
        trust_position : bool
            Take the devices' positions for right although they were not homed.
        home_timeout : float
            Longest time homing may take [s].

        Raises
        ------
        CaptureError
            zaber-motion not installed, no device at this port.
        GeometryError
            A channel without a device, or limits and speeds beyond the device's.
        """
        super().__init__("Zaber stage", axes, trust_position=trust_position)
        connection_type, self._units, self._error = _library()
        self._home_timeout = finite_number("Zaber home_timeout", home_timeout, "s", above=0)
        with self._explained("opening the port"):
            self._connection = connection_type.open_serial_port(port, baud_rate=baudrate)
        try:
            self._drives = self._find_drives()
            self.acceleration = {name: self._adopt_limits(name, drive) for name, drive in self._drives.items()}
            with self._explained("asking for the reference"):
                self.homed = trust_position or all(drive.is_homed() for drive in self._drives.values())
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the port; a move that runs goes on."""
        self._connection.close()

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """The library's errors as ours."""
        try:
            yield
        except self._error as error:
            text = (str(error) or type(error).__name__).splitlines()[0]
            raise CaptureError(
                f"Zaber stage: got {text} while {doing}, wanted it to work; check cable and power"
            ) from None

    def _find_drives(self) -> dict[str, Any]:
        """The library's axis of each of ours."""
        with self._explained("looking for devices"):
            devices = {device.device_address: device for device in self._connection.detect_devices()}
        drives = {}
        for name, axis in self.axis.items():
            first, _, second = axis.channel.partition(".")
            address, number = (first, second) if second else (str(min(devices, default=1)), first)
            if not (address.isdecimal() and number.isdecimal() and int(address) in devices and int(number) >= 1):
                raise GeometryError(
                    f"Axis {name} channel: got {axis.channel!r}, wanted axis or device.axis, with a device among "
                    f"{', '.join(map(str, sorted(devices))) or 'none found'}"
                )
            drives[name] = devices[int(address)].get_axis(int(number))
        return drives

    def _unit(self, name: str) -> tuple[Any, Any, Any]:
        """The library's units of position, speed and acceleration of an axis."""
        u = self._units
        if self.axis[name].rotary:
            return (
                u.ANGLE_RADIANS,
                u.ANGULAR_VELOCITY_RADIANS_PER_SECOND,
                u.ANGULAR_ACCELERATION_RADIANS_PER_SECOND_SQUARED,
            )
        return u.LENGTH_METRES, u.VELOCITY_METRES_PER_SECOND, u.ACCELERATION_METRES_PER_SECOND_SQUARED

    def _adopt_limits(self, name: str, drive: Any) -> float:
        """Check our limits against the device's; returns its acceleration."""
        axis = self.axis[name]
        position, velocity, acceleration = self._unit(name)
        with self._explained(f"reading the limits of axis {name}"):
            low, high = (drive.settings.get(f"limit.{end}", position) for end in ("min", "max"))
            fastest = drive.settings.get("maxspeed", velocity)
            gain = drive.settings.get("accel", acceleration)
        ends = sorted(self._to_drive(axis, value) for value in (axis.low, axis.high))
        if ends[0] < low - 1e-9 or ends[1] > high + 1e-9:
            raise GeometryError(
                f"Axis {name} limits: got {ends[0]:g} to {ends[1]:g} in the device's coordinates, wanted them within "
                f"{low:g} to {high:g} [{axis.unit}]"
            )
        if axis.max_speed is not None and axis.max_speed > fastest * (1 + 1e-6):
            raise GeometryError(
                f"Axis {name} max_speed: got {axis.max_speed:g}, wanted at most the device's maxspeed = {fastest:g} "
                f"[{axis.unit}/s]"
            )
        self.axis[name] = replace(axis, max_speed=axis.max_speed or fastest)
        return gain

    @staticmethod
    def _to_drive(axis: Axis, value: float) -> float:
        """Our position in the device's coordinates, both in m or rad."""
        return axis.to_controller(value) / abs(axis.scale)

    def _query(self) -> StageState:
        wall, begun = time.time_ns(), time.monotonic_ns()
        position, idle, faults = {}, True, []
        with self._explained("asking for the state"):
            for name, drive in self._drives.items():
                axis = self.axis[name]
                position[name] = axis.from_controller(drive.get_position(self._unit(name)[0]) * abs(axis.scale))
            middle = wall + (time.monotonic_ns() - begun) // 2
            for name, drive in self._drives.items():
                idle &= not drive.is_busy()
                flags = drive.warnings.get_flags()
                faults += [f"axis {name}: fault {flag}" for flag in sorted(flags) if flag.startswith("F")]
                if "WR" in flags:
                    self.homed = False
        return StageState(time_ns=middle, position=position, idle=idle, alarm="; ".join(faults) or None)

    def _start(self, target: Mapping[str, float], speed: float, now: StageState) -> None:
        steps = {name: value - now.position[name] for name, value in target.items()}
        length = math.hypot(*steps.values())
        with self._explained("starting a move"):
            for name, step in steps.items():
                if step == 0:
                    continue
                axis = self.axis[name]
                position, velocity, _ = self._unit(name)
                self._raise_if_stopped()
                self._drives[name].move_absolute(
                    self._to_drive(axis, target[name]),
                    position,
                    wait_until_idle=False,
                    velocity=speed * abs(step) / length,
                    velocity_unit=velocity,
                )

    def _find_home(self) -> None:
        self._each("homing", lambda drive: drive.home(wait_until_idle=False))
        begun = time.monotonic()
        while True:
            state = self.state()
            self._raise_if_stopped()
            if state.alarm:
                raise CaptureError(f"Zaber stage: got {state.alarm} while homing, wanted the reference")
            if state.idle:
                break
            if time.monotonic() - begun > self._home_timeout:
                raise CaptureError(f"Zaber stage: got no end of homing in {self._home_timeout:g} s; call stop()")
        with self._explained("asking for the reference"):
            missing = [name for name, drive in self._drives.items() if not drive.is_homed()]
        if missing:
            raise CaptureError(f"Zaber stage: got no reference on axis {', '.join(missing)} after homing, wanted it")

    def _halt(self) -> None:
        self._each("stopping", lambda drive: drive.stop(wait_until_idle=False))

    def _each(self, doing: str, action: Callable[[Any], None]) -> None:
        """Do something with every axis, also when one of them fails; raises the first failure afterwards."""
        failure = None
        for drive in self._drives.values():
            try:
                with self._explained(doing):
                    action(drive)
            except CaptureError as error:
                failure = failure or error
        if failure is not None:
            raise failure
