"""The bench of a session file: the stage it names, the file that points at it, the tracker of a freehand scan."""

import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.errors import GeometryError
from mmsar.hardware.emulate.amc4030 import Amc4030Pty
from mmsar.hardware.emulate.grbl import GrblPty
from mmsar.hardware.emulate.hand import Hand
from mmsar.hardware.emulate.session_bench import Before, bench_for, redirected, stage_for
from mmsar.hardware.motion.stage import Axis, open_stage
from mmsar.hardware.positions.read import read_track
from mmsar.hardware.session.setup import StageSetup, TrackerSetup, read_session
from mmsar.simulate.scene import Scene

SESSIONS = Path(__file__).resolve().parents[3] / "data" / "sessions"
SCENE = Scene.points([[0.0, 0.0, 0.3]])


def stage_setup(kind, axes, acceleration=0.3) -> StageSetup:
    return StageSetup(kind=kind, port="none", axes=tuple(axes), acceleration=acceleration, travel_speed=0.05)


@pytest.mark.parametrize(
    ("kind", "axes"),
    [
        ("grbl", [Axis(name="x", low=0.0, high=0.4), Axis(name="y", low=0.0, high=0.3)]),
        ("grbl", [Axis(name="x", low=0.0, high=0.4, zero=-0.4)]),
        ("grbl", [Axis(name="x", low=-0.1, high=0.1, zero=-0.2, reverse=True)]),
        ("grbl", [Axis(name="angle", low=-0.3, high=6.6, channel="X", rotary=True), Axis(name="y", low=0, high=0.2)]),
    ],
)
def test_every_place_a_session_allows_can_be_driven_to(kind, axes):
    with stage_for(stage_setup(kind, axes), speedup=100) as emulator:
        stage = open_stage(kind, emulator.port, axes=axes)
        try:
            stage.home()
            for axis in axes:
                for place in (axis.low, axis.high):
                    stage.move_to({axis.name: place}, speed=1.0 if axis.rotary else 0.1)
                    state = stage.wait_idle(timeout=20)
                    table = emulator.position_at(state.time_ns)["XYZ".index(axis.channel)]
                    assert axis.from_controller(table * abs(axis.scale)) == pytest.approx(place, abs=5e-5)
        finally:
            stage.close()


def test_a_short_stage_stands_within_its_travel_before_it_is_homed():
    with stage_for(stage_setup("grbl", [Axis(name="x", low=0.0, high=0.04, zero=-0.04)])) as emulator:
        assert emulator.position_at(time.time_ns())[:2] == pytest.approx([-0.02, -0.12])


def test_what_cannot_be_emulated_is_refused():
    with pytest.raises(GeometryError, match="got 'zaber', wanted grbl or amc4030"):
        stage_for(stage_setup("zaber", [Axis(name="x", low=0, high=1, channel="X")]))
    with pytest.raises(GeometryError, match="got channel 'A', wanted X, Y or Z"):
        stage_for(stage_setup("grbl", [Axis(name="angle", low=0, high=6, channel="A", rotary=True)]))


@pytest.mark.parametrize("name", ["raster.toml", "freehand.toml"])
def test_example_sessions_get_a_bench(name, addresses, tmp_path):
    session = read_session(SESSIONS / name)
    before = Before(scene=SCENE, tracker_log=tmp_path / "log.txt")
    with bench_for(session, before, host_ip=addresses[0], card_ip=addresses[1]) as bench:
        assert bench.radar.device == "xWR1642"
        assert (bench.stage is None) == (name == "freehand.toml")
        assert isinstance(bench.stage, GrblPty | None)
    assert (tmp_path / "log.txt").exists() == (name == "freehand.toml")


def test_limits_and_acceleration_in_the_controllers_own_unit():
    with stage_for(stage_setup("amc4030", [Axis(name="x", low=0, high=0.3)], acceleration=0.25)) as stage:
        assert isinstance(stage, Amc4030Pty)
        assert stage.acceleration == 250
        assert stage.travel[0] == 300
    turntable = [Axis(name="angle", low=-1, high=7, channel="X", rotary=True)]
    with stage_for(stage_setup("grbl", turntable, acceleration=np.pi / 3)) as stage:
        assert stage.settings[120] == pytest.approx(60)
        assert stage.settings[20] == 0


def test_tracked_body_and_mounting_give_the_board(addresses, tmp_path):
    from dataclasses import replace

    turn = Rotation.from_euler("xyz", [10, 20, 30], degrees=True)
    tracker = TrackerSetup(lever_arm=(0.1, -0.02, 0.05), rotation=tuple(turn.as_quat()), offset=0.5)
    session = replace(read_session(SESSIONS / "freehand.toml"), tracker=tracker)
    log = tmp_path / "log.txt"
    before = Before(scene=SCENE, hand=Hand(duration=5.0), tracker_log=log, tracker_noise=0.0)
    with bench_for(session, before, host_ip=addresses[0], card_ip=addresses[1]) as bench:
        hand = bench.poses
        hand.start(0)
        time.sleep(0.1)
    track = read_track(log)
    assert len(track.time_ns) >= 1
    position, rotation = hand.poses(0, track.time_ns + 500_000_000)
    body = Rotation.from_quat(track.rotation)
    np.testing.assert_allclose(track.position + body.apply(tracker.lever_arm), position, atol=1e-7)
    np.testing.assert_allclose((body * turn).as_matrix(), Rotation.from_quat(rotation).as_matrix(), atol=1e-7)


def test_redirected_changes_the_named_values_only():
    for name in ("raster.toml", "freehand.toml", "cylinder.toml"):
        text = (SESSIONS / name).read_text(encoding="utf-8")
        values = {"radar": {"port": "/dev/pts/7"}, "card": {"host_ip": "127.0.0.1", "card_ip": "127.0.0.2"}}
        if name != "freehand.toml":
            values["stage"] = {"port": "/dev/pts/8"}
        wanted = tomllib.loads(text)
        for table, keys in values.items():
            wanted.setdefault(table, {}).update(keys)
        assert tomllib.loads(redirected(text, values)) == wanted
    assert redirected('[a]\nport = "x" # note\n[b]\nport = "y"\n', {"a": {"port": "z"}}).splitlines() == [
        "[a]",
        'port = "z"',
        "[b]",
        'port = "y"',
    ]


def test_a_tracker_whose_clock_is_ahead_writes_later_times(addresses, tmp_path):
    for file in SESSIONS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "freehand.toml"
    path.write_text(path.read_text().replace('offset_ms = "estimate"', "offset_ms = 100_000"))
    before = Before(scene=SCENE, tracker_log=tmp_path / "log.txt")
    start = time.time()
    with bench_for(read_session(path), before, host_ip=addresses[0], card_ip=addresses[1]):
        time.sleep(0.1)
    ahead = read_track(tmp_path / "log.txt").time_ns[0] * 1e-9 - start
    assert 100 <= ahead < 150
