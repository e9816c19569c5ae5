"""The GRBL stage against the emulated controller: targets confirmed, failures found, nothing moved when refused."""

import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.emulate.grbl import GrblPty
from mmsar.hardware.emulate.pty_port import PtyFaults
from mmsar.hardware.motion import grbl_link
from mmsar.hardware.motion.controller import POLL
from mmsar.hardware.motion.grbl import GrblStage
from mmsar.hardware.motion.stage import Axis, open_stage

X = Axis(name="x", low=-0.399, high=0.0)
Y = Axis(name="y", low=-0.399, high=0.0)
HANG = 10.0
"""Far more than anything here may take [s]."""


@pytest.fixture
def grbl():
    with GrblPty(speedup=40) as emulator:
        yield emulator


@pytest.fixture
def stage(grbl):
    with GrblStage(grbl.port, axes=[X, Y]) as opened:
        opened.home()
        yield opened


@pytest.fixture
def slow():
    """A stage in real time, homed."""
    with (
        GrblPty(start=(-1.0, -1.0, -1.0)) as emulator,
        GrblStage(emulator.port, axes=[X, Y]) as opened,
    ):
        opened.home()
        yield emulator, opened


def soon(start):
    """A limit against hanging; that the waits add up to less than a second is tested without a clock."""
    assert time.monotonic() - start < 3.0


def test_failures_are_found_within_a_second():
    assert 2 * grbl_link.ANSWER + POLL < 0.9


def test_settings_are_read(stage):
    assert stage.axis["x"].max_speed == pytest.approx(0.1)
    assert stage.acceleration == {"x": pytest.approx(0.5), "y": pytest.approx(0.5)}
    assert stage.settings[130] == 400


def test_position_is_unknown_until_homed(grbl):
    with GrblStage(grbl.port, axes=[X, Y]) as stage:
        assert stage.state().alarm == "locked since its start: home first"
        with pytest.raises(CaptureError, match="before homing"):
            stage.move_to({"x": -0.1}, speed=0.05)
        assert not grbl.machine.moving()
        stage.home()
        state = stage.state()
        assert state.idle
        assert state.position == {"x": pytest.approx(-1e-3), "y": pytest.approx(-1e-3)}
        np.testing.assert_allclose(grbl.position_at(time.time_ns()), [-1e-3] * 3, atol=1e-9)


def test_every_target_is_confirmed_where_the_table_is(stage, grbl):
    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(x=st.floats(-0.399, 0.0), y=st.floats(-0.399, 0.0), speed=st.floats(0.01, 0.1))
    def confirmed(x, y, speed):
        stage.move_to({"x": x, "y": y}, speed=speed)
        state = stage.wait_idle(timeout=HANG)
        assert state.idle
        assert abs(state.position["x"] - x) < 3e-5
        assert abs(state.position["y"] - y) < 3e-5
        np.testing.assert_allclose(grbl.position_at(state.time_ns)[:2], [x, y], atol=1e-6)

    confirmed()


def test_reports_are_true_at_their_time():
    with GrblPty(start=(-1.0, -1.0, -1.0)) as grbl, GrblStage(grbl.port, axes=[X]) as stage:
        stage.home()
        stage.move_to({"x": -0.05}, speed=0.1)
        seen = [stage.state() for _ in range(5)]
        stage.wait_idle(timeout=HANG)
        off = [grbl.position_at(s.time_ns)[0] - s.position["x"] for s in seen]
        assert np.median(np.abs(off)) < 0.1 * 10e-3  # 10 ms at 0.1 m/s, on a machine that may be busy
        assert len({s.position["x"] for s in seen}) > 2
        assert np.all(np.diff([s.time_ns for s in seen]) >= 0.09e9)  # ten questions a second at most


def test_two_threads_share_answers(slow):
    emulator, stage = slow
    found = []

    def log():
        for _ in range(6):
            found.append(stage.state())

    threads = [threading.Thread(target=log) for _ in range(3)]
    before = len([d for _, way, d in emulator.transcript if way == "in" and b"?" in d])
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = len([d for _, way, d in emulator.transcript if way == "in" and b"?" in d]) - before
    assert len(found) == 18
    assert asked <= 10 * (time.monotonic() - begun) + 2


@pytest.mark.parametrize(
    "target", [{"x": 0.001}, {"x": -0.4}, {"x": -0.1, "y": 0.5}, {"z": -0.1}, {"x": float("nan")}, {}]
)
def test_refused_targets_move_nothing(stage, grbl, target):
    before = len(grbl.lines)
    with pytest.raises(GeometryError):
        stage.move_to(target, speed=0.05)
    with pytest.raises(GeometryError, match="speed"):
        stage.move_to({"x": -0.2}, speed=0.11)
    assert len(grbl.lines) == before
    assert not grbl.machine.moving()


def test_the_controllers_own_soft_limit_is_an_error_not_an_alarm(grbl):
    grbl.settings[130] = 50
    grbl.settings[20] = 0
    with GrblStage(grbl.port, axes=[X]) as stage:
        stage.home()
        grbl.settings[20] = 1
        with pytest.raises(CaptureError, match="error 15: jog target outside"):
            stage.move_to({"x": -0.1}, speed=0.05)
        assert stage.state().alarm is None


def test_alarm_in_a_move_ends_the_wait(slow):
    grbl, stage = slow
    stage.move_to({"x": -0.3}, speed=0.02)
    threading.Timer(0.3, grbl.trip).start()
    begun = time.monotonic()
    with pytest.raises(CaptureError, match="alarm 1: hard limit"):
        stage.wait_idle(timeout=HANG)
    soon(begun)
    stage.stop()
    assert not stage.homed
    stage.rearm()
    with pytest.raises(CaptureError, match="before homing"):
        stage.move_to({"x": -0.1}, speed=0.05)
    stage.home()
    stage.move_to({"x": -0.005}, speed=0.05)
    stage.wait_idle(timeout=HANG)


def test_lost_ok_is_found(slow):
    grbl, stage = slow
    grbl.lose_ok()
    begun = time.monotonic()
    with pytest.raises(CaptureError, match="an ok was lost"):
        stage.move_to({"x": -0.3}, speed=0.01)
    soon(begun)
    stage.stop()
    assert not grbl.machine.moving()
    assert stage.homed  # held before it was cut: the position is kept


def test_silence_is_found(slow):
    grbl, stage = slow
    stage.move_to({"x": -0.3}, speed=0.01)
    grbl.freeze()
    begun = time.monotonic()
    with pytest.raises(CaptureError, match="no answer to 2 status queries"):
        stage.wait_idle(timeout=HANG)
    soon(begun)


def test_unplugged_in_a_move():
    with GrblPty(speedup=40) as grbl, GrblStage(grbl.port, axes=[X]) as stage:
        stage.home()
        grbl.machine.speedup = 40
        stage.move_to({"x": -0.3}, speed=0.01)
        threading.Timer(0.1, grbl.close).start()
        begun = time.monotonic()
        with pytest.raises(CaptureError, match=r"the device was unplugged or switched off.*check the cable"):
            stage.wait_idle(timeout=HANG)
        soon(begun)
        with pytest.raises(CaptureError, match="check the cable"):
            stage.stop()


def test_restart_in_a_move(slow):
    grbl, stage = slow
    stage.move_to({"x": -0.3}, speed=0.01)
    grbl.restart()
    with pytest.raises(CaptureError, match="restarted by itself"):
        stage.wait_idle(timeout=HANG)
    assert not stage.homed


def test_stop_from_another_thread(slow):
    grbl, stage = slow
    stage.move_to({"x": -0.3}, speed=0.05)
    time.sleep(0.2)
    failures = []

    def wait():
        try:
            stage.wait_idle(timeout=HANG)
        except CaptureError as error:
            failures.append(str(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    begun = time.monotonic()
    stage.stop()
    soon(begun)
    assert not grbl.machine.moving()
    waiter.join()
    assert len(failures) == 1
    assert "got stop()" in failures[0]
    with pytest.raises(CaptureError, match="rearm"):
        stage.move_to({"x": -0.1}, speed=0.05)
    stage.rearm()
    state = stage.state()
    assert state.idle
    assert stage.homed
    assert state.position["x"] == pytest.approx(grbl.position_at(time.time_ns())[0], abs=1e-5)


def test_stop_while_homing_costs_the_position():
    with GrblPty() as grbl, GrblStage(grbl.port, axes=[X]) as stage:
        threading.Timer(0.2, stage.stop).start()
        with pytest.raises(CaptureError, match=r"got stop\(\)"):
            stage.home()
        time.sleep(0.2)
        assert not grbl.machine.moving()
        assert not stage.homed


def test_homing_without_a_switch_and_again(grbl):
    grbl.homing_fault = 9
    with GrblStage(grbl.port, axes=[X]) as stage:
        with pytest.raises(CaptureError, match="alarm 9: homing: no limit switch found"):
            stage.home()
        time.sleep(0.05)  # its banner
        assert stage.state().alarm == "alarm 9: homing: no limit switch found"
        assert not stage.homed
        grbl.homing_fault = None
        stage.home()
        assert stage.state().alarm is None
        stage.move_to({"x": -0.1}, speed=0.1)
        stage.wait_idle(timeout=HANG)


def test_stopped_short_is_not_arrived(slow):
    grbl, stage = slow
    stage.move_to({"x": -0.3}, speed=0.02)
    grbl.later(0.0, lambda: grbl.receive(b"\x85"))  # somebody cancels the jog behind our back
    with pytest.raises(CaptureError, match=r"got idle at x -[\d.]+ mm, wanted x -300.0000 mm; the move was lost"):
        stage.wait_idle(timeout=HANG)


def test_timeout_says_where_it_is(slow):
    _, stage = slow
    stage.move_to({"x": -0.3}, speed=0.01)
    with pytest.raises(CaptureError, match=r"no end of the move in 0.2 s \(at x -"):
        stage.wait_idle(timeout=0.2)
    with pytest.raises(CaptureError, match="while another runs"):
        stage.move_to({"x": -0.1}, speed=0.01)


def test_many_moves_with_counted_characters(stage, grbl):
    rng = np.random.default_rng(5)
    path = [{"x": -0.2 + dx, "y": -0.2 + dy} for dx, dy in rng.uniform(-0.01, 0.01, (60, 2))]
    stage.move_through(path, speed=0.1)
    state = stage.wait_idle(timeout=HANG)
    assert state.position["x"] == pytest.approx(path[-1]["x"], abs=3e-5)
    assert sum(line.startswith("$J=") for line in grbl.lines) == 60
    assert not grbl.overflowed


def test_lost_ok_in_many_moves(stage, grbl):
    grbl.lose_ok()
    path = [{"x": -0.2 + 0.001 * k} for k in range(30)]
    with pytest.raises(CaptureError, match="an ok was lost"):
        stage.move_through(path, speed=0.1)


def test_the_emulator_notices_uncounted_characters(grbl):
    with GrblStage(grbl.port, axes=[X]) as stage:
        stage.home()
        for k in range(60):
            stage._link._reader.write(b"$J=G53 G90 G21 X-%.4f F60.000\n" % (1 + k))
        deadline = time.monotonic() + HANG
        while not grbl.overflowed and time.monotonic() < deadline:
            time.sleep(0.01)
        assert grbl.overflowed


def test_backlash_is_data():
    axis = Axis(name="x", low=-0.399, high=0.0, backlash=0.5e-3)
    with GrblPty(speedup=40, backlash=(0.5, 0, 0)) as grbl, GrblStage(grbl.port, axes=[axis]) as stage:
        stage.home()
        for goal, backward in ((-0.2, True), (-0.1, False), (-0.15, True)):
            stage.move_to({"x": goal}, speed=0.1)
            state = stage.wait_idle(timeout=HANG)
            assert state.position["x"] == pytest.approx(goal, abs=3e-5)
            true = grbl.position_at(time.time_ns())[0]
            assert axis.actual(state.position["x"], 0.0, backward=backward) == pytest.approx(true, abs=1e-5)


def test_a_turntable_is_a_stage():
    axis = Axis(name="angle", channel="X", low=-6.9, high=0.0, rotary=True)
    with GrblPty(speedup=40, rotary=(True, False, False)) as grbl, open_stage("grbl", grbl.port, axes=[axis]) as stage:
        stage.home()
        stage.move_to({"angle": -np.pi / 2}, speed=1.0)
        state = stage.wait_idle(timeout=HANG)
        assert state.position["angle"] == pytest.approx(-np.pi / 2, abs=1e-4)
        assert grbl.position_at(time.time_ns())[0] == pytest.approx(-np.pi / 2, abs=1e-4)
        with pytest.raises(GeometryError, match="rad"):
            stage.move_to({"angle": 0.1}, speed=1.0)


def test_own_zero_and_direction(grbl):
    axis = Axis(name="x", low=-0.15, high=0.15, zero=-0.2, reverse=True)
    with GrblStage(grbl.port, axes=[axis]) as stage:
        stage.home()
        stage.move_to({"x": 0.1}, speed=0.1)
        assert stage.wait_idle(timeout=HANG).position["x"] == pytest.approx(0.1, abs=3e-5)
        assert grbl.position_at(time.time_ns())[0] == pytest.approx(-0.3, abs=1e-5)


def test_work_positions_are_turned_into_machine_positions():
    with (
        GrblPty(speedup=40, settings={10: 2}, work_offset=(-7.5, 3.0, 0.0)) as grbl,
        GrblStage(grbl.port, axes=[X]) as stage,
    ):
        stage.home()
        stage.move_to({"x": -0.1}, speed=0.1)
        assert stage.wait_idle(timeout=HANG).position["x"] == pytest.approx(-0.1, abs=3e-5)
        assert grbl.position_at(time.time_ns())[0] == pytest.approx(-0.1, abs=1e-5)


def test_without_switches_only_on_the_users_word():
    with GrblPty(speedup=40, start=(0.0, 0.0, 0.0), settings={22: 0}) as grbl:
        with GrblStage(grbl.port, axes=[X]) as stage:
            with pytest.raises(CaptureError, match=r"\$22=0"):
                stage.home()
            with pytest.raises(CaptureError, match="before homing"):
                stage.move_to({"x": -0.1}, speed=0.1)
        with GrblStage(grbl.port, axes=[X], trust_position=True) as stage:
            stage.move_to({"x": -0.1}, speed=0.1)
            stage.wait_idle(timeout=HANG)


def test_trust_unlocks_the_start(grbl):
    with GrblStage(grbl.port, axes=[X], trust_position=True) as stage:
        assert stage.state().alarm is None
        assert "$X" in grbl.lines


@pytest.mark.parametrize(
    ("changes", "axis", "complaint"),
    [
        ({13: 1}, X, "inches"),
        ({}, Axis(name="x", low=-0.5, high=0), "travel"),
        ({}, Axis(name="x", low=-0.1, high=0, max_speed=0.2), r"\$110"),
        ({}, Axis(name="x", low=-0.1, high=0, channel="A"), "wanted an axis that this controller has"),
        ({}, Axis(name="x", low=-0.1, high=0, channel="U"), "wanted one of X, Y, Z"),
    ],
)
def test_controllers_that_do_not_fit_are_refused(changes, axis, complaint):
    with GrblPty(settings=changes) as grbl, pytest.raises((CaptureError, GeometryError), match=complaint):
        GrblStage(grbl.port, axes=[axis])


def test_silent_port_and_old_firmware(monkeypatch):
    monkeypatch.setattr("mmsar.hardware.motion.grbl_link.BOOT", 0.2)
    with GrblPty(faults=PtyFaults(mute_after=0)) as grbl:
        grbl.freeze()
        time.sleep(0.05)
        with pytest.raises(CaptureError, match="no banner after a reset"):
            GrblStage(grbl.port, axes=[X])
    monkeypatch.setattr("mmsar.hardware.emulate.grbl.BANNER", b"\r\nGrbl 0.9j ['$' for help]\r\n")
    with GrblPty() as grbl, pytest.raises(CaptureError, match=r"got version 0\.9, wanted 1\.1"):
        GrblStage(grbl.port, axes=[X])


def test_garbage_between_answers(grbl):
    with GrblStage(grbl.port, axes=[X]) as stage:
        stage.home()
        grbl.faults = PtyFaults(noise={grbl.answers: b"\xff\x00~~<Idle|MPos:1\r\n", grbl.answers + 2: b"\r\n[MSG:x]\n"})
        stage.move_to({"x": -0.1}, speed=0.1)
        assert stage.wait_idle(timeout=HANG).position["x"] == pytest.approx(-0.1, abs=3e-5)
