"""Axes, their units and limits, and the checks before a move."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.motion.stage import Axis, check_speed, check_target, open_stage

X = Axis(name="x", low=-0.2, high=0.2, max_speed=0.1)
Y = Axis(name="y", low=0.0, high=0.3)
TURN = Axis(name="angle", channel="Z", low=-math.pi, high=math.pi, rotary=True)


@given(value=st.floats(-10, 10), zero=st.floats(-1, 1), rotary=st.booleans(), reverse=st.booleans())
def test_controller_units_round_trip(value, zero, rotary, reverse):
    axis = Axis(name="x", low=-10, high=10, zero=zero, rotary=rotary, reverse=reverse)
    assert axis.from_controller(axis.to_controller(value)) == pytest.approx(value, abs=1e-12)


def test_controller_units_by_hand():
    axis = Axis(name="x", low=-1, high=1, zero=-0.15, reverse=True)
    assert axis.to_controller(0.0) == pytest.approx(-150)
    assert axis.to_controller(0.01) == pytest.approx(-160)
    assert TURN.to_controller(math.pi / 2) == pytest.approx(90)


def test_actual_position_per_direction():
    axis = Axis(name="x", low=-1, high=1, backlash=2e-4, latency=0.01)
    assert axis.actual(0.1, 0.05) == pytest.approx(0.1005)
    assert axis.actual(0.1, -0.05) == pytest.approx(0.1 - 0.0005 + 2e-4)
    assert axis.actual(0.1, 0.0) == 0.1
    assert axis.actual(0.1, 0.0, backward=True) == pytest.approx(0.1002)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"low": 0.2, "high": 0.1}, "limits: got 0.2 to 0.1"),
        ({"low": float("nan")}, "low: got nan"),
        ({"name": "angle"}, "channel: got none"),
        ({"max_speed": 0}, "max_speed: got 0"),
        ({"backlash": -1e-4}, "backlash"),
        ({"tolerance": -1}, "tolerance"),
    ],
)
def test_impossible_axes_are_refused(values, complaint):
    with pytest.raises(GeometryError, match=complaint):
        Axis(**{"name": "x", "low": 0.0, "high": 0.3, **values})


@pytest.mark.parametrize(
    ("target", "speed", "complaint"),
    [
        ({}, 0.1, "got no axis"),
        ({"q": 0.1}, 0.1, "wanted one of x, y, angle"),
        ({"x": 0.3}, 0.1, r"move_to x: got 0.3, wanted -0.2 to 0.2 \[m\] \(soft limits\)"),
        ({"x": float("inf")}, 0.1, "finite"),
        ({"x": "far"}, 0.1, "wanted a number"),
        ({"x": 0.1}, 0.0, "speed: got 0"),
        ({"x": 0.1}, -0.1, "speed: got -0.1"),
        ({"x": 0.1}, float("nan"), "speed: got nan"),
        ({"x": 0.1}, 0.2, "at most 0.1"),
        ({"x": 0.1, "angle": 0.1}, 0.1, "one kind"),
    ],
)
def test_impossible_moves_are_refused(target, speed, complaint):
    with pytest.raises(GeometryError, match=complaint):
        check_target((X, Y, TURN), target, speed)


def test_speed_is_shared_among_the_axes_of_a_move():
    start = {"x": 0.0, "y": 0.0}
    check_speed((X, Y), start, {"x": 0.1, "y": 0.1}, 0.14)
    with pytest.raises(GeometryError, match=r"which is 0\.106066 along x"):
        check_speed((X, Y), start, {"x": 0.1, "y": 0.1}, 0.15)
    check_speed((X, Y), start, start, 5.0)


def test_unknown_kinds_and_ports_are_explained():
    with pytest.raises(GeometryError, match="wanted one of grbl, amc4030, zaber"):
        open_stage("gantry", "/dev/null", axes=[X])
    for kind in ("grbl", "amc4030"):
        with pytest.raises(CaptureError, match="serial port /dev/nowhere: not there; ports of this machine"):
            open_stage(kind, "/dev/nowhere", axes=[X])
    with pytest.raises(GeometryError, match="a name and a channel of its own"):
        open_stage("grbl", "/dev/nowhere", axes=[X, Axis(name="y", channel="X", low=0, high=1)])
    with pytest.raises(GeometryError, match="got none"):
        open_stage("grbl", "/dev/nowhere", axes=[])
