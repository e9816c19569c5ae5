"""The Zaber stage against a small stand-in for zaber-motion: the calls it makes, and the library's errors explained.

The stand-in's names and signatures are those of zaber-motion 10.2; `test_the_stand_in_is_like_the_library` compares
them where the library is installed.
"""

import inspect
import math
import sys
import types

import pytest

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.motion.stage import Axis, open_stage


class MotionLibException(Exception):
    """The library's base error."""


UNITS = types.SimpleNamespace(
    LENGTH_METRES="m",
    VELOCITY_METRES_PER_SECOND="m/s",
    ACCELERATION_METRES_PER_SECOND_SQUARED="m/s2",
    ANGLE_RADIANS="rad",
    ANGULAR_VELOCITY_RADIANS_PER_SECOND="rad/s",
    ANGULAR_ACCELERATION_RADIANS_PER_SECOND_SQUARED="rad/s2",
)


class FakeAxis:
    def __init__(self, unit="m"):
        self.unit, self.position, self.homed, self.flags, self.failing = unit, 0.25, False, {"WR"}, False
        self.calls = []
        self.settings = types.SimpleNamespace(get=self._setting)
        self.warnings = types.SimpleNamespace(get_flags=lambda: set(self.flags))
        self.busy = 0

    def _setting(self, setting, unit):
        table = {"limit.min": (0.0, ""), "limit.max": (0.5, ""), "maxspeed": (0.2, "/s"), "accel": (0.6, "/s2")}
        value, suffix = table[setting]
        assert unit == self.unit + suffix
        return value

    def get_position(self, unit):
        if self.failing:
            raise MotionLibException("Device has not responded in given timeout")
        assert unit == self.unit
        return self.position

    def is_busy(self):
        self.busy = max(0, self.busy - 1)
        return self.busy > 0

    def is_homed(self):
        return self.homed

    def home(self, wait_until_idle=True):
        assert not wait_until_idle
        self.position, self.homed, self.flags = 0.0, True, set()

    def stop(self, wait_until_idle=True):
        assert not wait_until_idle
        self.calls.append("stop")

    def move_absolute(self, position, unit, wait_until_idle=True, velocity=0, velocity_unit=""):
        assert (unit, velocity_unit, wait_until_idle) == (self.unit, self.unit + "/s", False)
        self.calls.append((position, velocity))
        self.position, self.busy = position, 3


class FakeConnection:
    def __init__(self, axes):
        self.axes, self.closed = axes, False

    def detect_devices(self):
        return [
            types.SimpleNamespace(device_address=a, get_axis=lambda n, a=a: self.axes[(a, n)])
            for a in sorted({address for address, _ in self.axes})
        ]

    def close(self):
        self.closed = True


@pytest.fixture
def bench(monkeypatch):
    """The stand-in in the library's place; axes by (device, axis)."""
    axes = {(1, 1): FakeAxis(), (1, 2): FakeAxis(), (3, 1): FakeAxis("rad")}
    connection = FakeConnection(axes)

    def open_serial_port(port_name, baud_rate=115200):
        if port_name == "/dev/nowhere":
            raise MotionLibException("Cannot open serial port")
        return connection

    library = types.ModuleType("zaber_motion")
    library.Units, library.MotionLibException = UNITS, MotionLibException
    library.ascii = types.ModuleType("zaber_motion.ascii")
    library.ascii.Connection = types.SimpleNamespace(open_serial_port=open_serial_port)
    monkeypatch.setitem(sys.modules, "zaber_motion", library)
    monkeypatch.setitem(sys.modules, "zaber_motion.ascii", library.ascii)
    return types.SimpleNamespace(axes=axes, connection=connection)


AXES = [Axis(name="x", channel="1", low=0, high=0.4), Axis(name="y", channel="1.2", low=0, high=0.5, max_speed=0.1)]


def test_homes_and_moves_straight(bench):
    with open_stage("zaber", "/dev/ttyUSB0", axes=AXES) as stage:
        assert not stage.homed
        with pytest.raises(CaptureError, match="before homing"):
            stage.move_to({"x": 0.1}, speed=0.1)
        stage.home()
        assert stage.acceleration == {"x": 0.6, "y": 0.6}
        assert (stage.axis["x"].max_speed, stage.axis["y"].max_speed) == (0.2, 0.1)
        stage.move_to({"x": 0.3, "y": 0.4}, speed=0.1)
        assert bench.axes[1, 1].calls == [(0.3, pytest.approx(0.06))]
        assert bench.axes[1, 2].calls == [(0.4, pytest.approx(0.08))]
        state = stage.wait_idle(timeout=5)
        assert state.position == {"x": pytest.approx(0.3), "y": pytest.approx(0.4)}
        with pytest.raises(GeometryError, match="soft limits"):
            stage.move_to({"x": 0.41}, speed=0.1)
        with pytest.raises(GeometryError, match="along y"):
            stage.move_to({"x": 0.31, "y": 0.0}, speed=0.15)
        stage.stop()
        assert bench.axes[1, 1].calls[-1] == bench.axes[1, 2].calls[-1] == "stop"
    assert bench.connection.closed


def test_a_turntable_is_asked_in_radians(bench):
    axis = Axis(name="angle", channel="3.1", low=0, high=0.5, rotary=True)
    bench.axes[3, 1].homed, bench.axes[3, 1].flags = True, set()
    with open_stage("zaber", "/dev/ttyUSB0", axes=[axis]) as stage:
        assert stage.homed
        stage.move_to({"angle": math.pi / 8}, speed=0.1)
        assert bench.axes[3, 1].calls == [(pytest.approx(math.pi / 8), pytest.approx(0.1))]
        stage.wait_idle(timeout=5)


def test_faults_and_failures_are_explained(bench):
    for axis in bench.axes.values():
        axis.homed, axis.flags = True, set()
    with open_stage("zaber", "/dev/ttyUSB0", axes=AXES) as stage:
        stage.move_to({"x": 0.3}, speed=0.1)
        bench.axes[1, 1].flags = {"FS", "WH"}
        with pytest.raises(CaptureError, match=r"axis x: fault FS"):
            stage.wait_idle(timeout=5)
        bench.axes[1, 1].flags = {"WR"}
        stage.state()
        assert not stage.homed
        bench.axes[1, 2].failing = True
        with pytest.raises(CaptureError, match="has not responded in given timeout while asking"):
            stage.state()
    with pytest.raises(CaptureError, match="Cannot open serial port while opening"):
        open_stage("zaber", "/dev/nowhere", axes=AXES)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"channel": "2.1"}, "among 1, 3"),
        ({"channel": "first"}, "wanted axis or device"),
        ({"high": 0.6}, "within 0 to 0.5"),
        ({"max_speed": 0.3}, "maxspeed = 0.2"),
    ],
)
def test_what_the_device_cannot_is_refused(bench, values, complaint):
    axis = Axis(**{"name": "x", "channel": "1", "low": 0, "high": 0.4, **values})
    with pytest.raises(GeometryError, match=complaint):
        open_stage("zaber", "/dev/ttyUSB0", axes=[axis])
    assert bench.connection.closed


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "zaber_motion", None)
    with pytest.raises(CaptureError, match=r"pip install 'mmsar\[zaber\]'"):
        open_stage("zaber", "/dev/ttyUSB0", axes=AXES)


def test_the_stand_in_is_like_the_library():
    library = pytest.importorskip("zaber_motion", reason="zaber-motion is not installed")
    from zaber_motion import ascii as real

    for method in ("get_position", "is_busy", "is_homed", "home", "stop", "move_absolute"):
        known = inspect.signature(getattr(real.Axis, method)).parameters
        used = inspect.signature(getattr(FakeAxis, method)).parameters
        assert list(known)[: len(used)] == list(used)
    assert "baud_rate" in inspect.signature(real.Connection.open_serial_port).parameters
    assert list(inspect.signature(real.AxisSettings.get).parameters) == ["self", "setting", "unit"]
    assert hasattr(real.Warnings, "get_flags")
    assert all(hasattr(library.Units, name) for name in vars(UNITS))
    assert issubclass(library.MotionLibException, Exception)
