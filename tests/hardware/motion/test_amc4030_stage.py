"""The AMC4030 stage against the emulated controller: relative moves to absolute targets, unknown scales found out."""

import threading
import time

import numpy as np
import pytest

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.emulate.amc4030 import Amc4030Pty
from mmsar.hardware.emulate.pty_port import PtyFaults
from mmsar.hardware.motion.amc4030 import Amc4030Stage
from mmsar.hardware.motion.stage import Axis, open_stage

X = Axis(name="x", low=0.0, high=0.4)
Y = Axis(name="y", low=0.0, high=0.4)
HANG = 10.0
FAST = {"start": (0.5, 0.5, 0.0), "acceleration": 500.0}
TEST = {"test_time": 0.3}


@pytest.fixture
def pair():
    """A homed stage whose scales need no check."""
    with Amc4030Pty(**FAST) as amc, open_stage("amc4030", amc.port, axes=[X], **TEST) as stage:
        stage.verified = True
        stage.home()
        yield amc, stage


def test_homes_verifies_and_confirms_targets():
    with Amc4030Pty(**FAST) as amc, Amc4030Stage(amc.port, axes=[X, Y], **TEST) as stage:
        assert stage.firmware == 0x0203
        with pytest.raises(CaptureError, match="before homing"):
            stage.move_to({"x": 0.1}, speed=0.1)
        stage.home()
        assert stage.verified
        np.testing.assert_allclose(amc.position_at(time.time_ns())[:2], 0, atol=1e-8)
        for x, y in ((0.02, 0.01), (0.005, 0.03), (0.005, 0.0)):
            stage.move_to({"x": x, "y": y}, speed=0.2)
            state = stage.wait_idle(timeout=HANG)
            assert state.position == {"x": pytest.approx(x, abs=1e-6), "y": pytest.approx(y, abs=1e-6)}
            np.testing.assert_allclose(amc.position_at(time.time_ns())[:2], [x, y], atol=1e-6)


@pytest.mark.parametrize(("scale", "ratio"), [(1e4, "0.1"), (2.5e5, "2.5")])
def test_a_wrong_position_scale_is_found_with_its_ratio(scale, ratio):
    with Amc4030Pty(position_scale=scale, **FAST) as amc, Amc4030Stage(amc.port, axes=[X], **TEST) as stage:
        with pytest.raises(CaptureError, match=rf"\(ratio {ratio}\).*position_scale is {scale:g}"):
            stage.home()
        with pytest.raises(CaptureError, match="before homing"):
            stage.move_to({"x": 0.1}, speed=0.1)
    with Amc4030Pty(position_scale=scale, **FAST) as amc:
        with Amc4030Stage(amc.port, axes=[X], position_scale=scale, **TEST) as stage:
            stage.home()
            stage.move_to({"x": 0.01}, speed=0.1)
            stage.wait_idle(timeout=HANG)
            assert amc.position_at(time.time_ns())[0] == pytest.approx(0.01, abs=1e-6)


def test_speeds_in_mm_per_minute_are_found():
    with Amc4030Pty(speed_scale=60, **FAST) as amc:
        with Amc4030Stage(amc.port, axes=[X], test_time=0.2) as stage:
            with pytest.raises(CaptureError, match=r"speed_scale is wrong|no end of a move in 2 s"):
                stage.home()
            stage.stop()
            stage.rearm()
        with Amc4030Stage(amc.port, axes=[X], speed_scale=60, **TEST) as stage:
            stage.home()
            assert stage.verified


def test_trusted_position_is_verified_before_the_first_move():
    with Amc4030Pty(start=(5.0, 0.0, 0.0), acceleration=500.0) as amc:
        with Amc4030Stage(amc.port, axes=[X], trust_position=True, **TEST) as stage:
            stage.move_to({"x": 0.004}, speed=0.1)
            stage.wait_idle(timeout=HANG)
            assert stage.verified
            assert amc.position_at(time.time_ns())[0] == pytest.approx(0.009, abs=1e-6)


def test_refused_targets_move_nothing(pair):
    amc, stage = pair
    asked = len(amc.requests)
    for target in ({"x": 0.5}, {"x": -0.001}, {"y": 0.1}):
        with pytest.raises(GeometryError):
            stage.move_to(target, speed=0.1)
    assert len(amc.requests) == asked


def test_a_move_that_was_not_made_is_found(pair):
    amc, stage = pair
    amc.ignore_moves = 1
    stage.move_to({"x": 0.1}, speed=0.1)
    begun = time.monotonic()
    with pytest.raises(CaptureError, match=r"got idle at x 0\.0000 mm, wanted x 100\.0000 mm"):
        stage.wait_idle(timeout=HANG)
    assert time.monotonic() - begun < 3.0


def test_alarm_in_a_move(pair):
    amc, stage = pair
    stage.move_to({"x": 0.3}, speed=0.05)
    threading.Timer(0.2, amc.trip).start()
    begun = time.monotonic()
    with pytest.raises(CaptureError, match="alarm bit"):
        stage.wait_idle(timeout=HANG)
    assert time.monotonic() - begun < 3.0
    assert not stage.homed
    with pytest.raises(CaptureError, match="before homing"):
        stage.move_to({"x": 0.1}, speed=0.05)


def test_stop_from_another_thread(pair):
    amc, stage = pair
    stage.move_to({"x": 0.3}, speed=0.05)
    timer = threading.Timer(0.3, stage.stop)
    timer.start()
    with pytest.raises(CaptureError, match=r"got stop\(\)"):
        stage.wait_idle(timeout=HANG)
    timer.join()
    assert not amc.machine.moving()
    stage.rearm()
    stage.move_to({"x": 0.0}, speed=0.1)
    stage.wait_idle(timeout=HANG)


def test_silence_and_unplugging(pair):
    amc, stage = pair
    stage.move_to({"x": 0.3}, speed=0.05)
    amc.faults = PtyFaults(mute_after=0)
    begun = time.monotonic()
    with pytest.raises(CaptureError, match="no answer"):
        stage.wait_idle(timeout=HANG)
    assert time.monotonic() - begun < 3.0
    amc.close()
    with pytest.raises(CaptureError, match="check the cable"):
        stage.state()


def test_lost_answer_to_a_move_is_not_repeated(pair):
    amc, stage = pair
    stage.state()
    amc.faults = PtyFaults(drop=frozenset({amc.answers + 2}))  # a query, the registers, then the coil
    with pytest.raises(CaptureError, match=r"function 5.*not known"):
        stage.move_to({"x": 0.1}, speed=0.1)
    assert [request[1] for request in amc.requests[-3:]] == [3, 16, 5]


def test_channels_are_checked():
    with pytest.raises(GeometryError, match="wanted one of X, Y, Z"):
        Amc4030Stage("/dev/nowhere", axes=[Axis(name="angle", channel="A", low=0, high=1, rotary=True)])
