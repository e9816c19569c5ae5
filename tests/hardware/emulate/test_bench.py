"""The emulated bench through the product's own instruments: what is captured is what the scene sends."""

import time
from pathlib import Path

import numpy as np
import pytest
import serial

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.board import board
from mmsar.hardware.config.radar import parse_cfg
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.record import Link, record
from mmsar.hardware.emulate.bench import EmulatedBench, Instrument, stage_poses
from mmsar.hardware.emulate.faults import FaultPlan
from mmsar.hardware.emulate.grbl import GrblPty
from mmsar.hardware.emulate.hand import Hand, HandClock, TrackerLog
from mmsar.hardware.emulate.scene_source import SceneSource, still
from mmsar.hardware.motion.stage import Axis
from mmsar.hardware.positions.read import read_track
from mmsar.hardware.radar_cli import RadarCli
from mmsar.hardware.session.world import PlanarWorld
from mmsar.simulate.scene import Scene

CFG = """sensorStop
flushCfg
dfeDataOutputMode 1
channelCfg 15 3 0
adcCfg 2 1
adcbufCfg -1 0 1 1 1
profileCfg 0 77 10 5 55 0 0 70 1 64 2600 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 2
frameCfg 0 1 2 {frames} 20 1 0
lvdsStreamCfg -1 0 1 0
"""
SCENE = Scene.points([[0.03, 0.01, 0.3], [-0.02, 0.02, 0.4]], [1.0, 0.6j])
BOARD = board("IWR1642BOOST")
INSTRUMENT = Instrument(device="xWR1642", array=lambda config: config.array(BOARD), scene=SCENE, scale=5000.0)


def recorded(bench: EmulatedBench, folder: Path, addresses: tuple[str, str], frames: int) -> Capture:
    """A recording made of the bench with the product."""
    config = parse_cfg(CFG.format(frames=frames), device="xWR1642")
    link = Link(host_ip=addresses[0], card_ip=addresses[1])
    with RadarCli(bench.radar.port) as radar:
        record(folder, config, n_frames=frames, link=link, radar=radar)
    return Capture.open(folder)


def ideal(capture: Capture, poses, times_ns) -> np.ndarray:
    """Samples the frames should have, (frame, loop, tx, rx, sample)."""
    config = capture.config
    source = SceneSource(config, config.array(BOARD), SCENE, poses=poses, scale=5000.0)
    return np.stack([source.samples(k, int(t)) for k, t in enumerate(times_ns)])


def test_still_bench_captures_the_scene(addresses, tmp_path):
    host_ip, card_ip = addresses
    with EmulatedBench(INSTRUMENT, host_ip=host_ip, card_ip=card_ip, flush=0.3) as bench:
        capture = recorded(bench, tmp_path / "rec", addresses, 12)
        times = bench.card.log.frame_times
    cube, valid = capture.samples(None)
    assert valid.all() and cube.shape == (12, 2, 2, 4, 64)
    difference = cube - ideal(capture, still(), times)
    assert max(np.abs(difference.real).max(), np.abs(difference.imag).max()) <= 0.51
    assert len(bench.configs) == 1
    late = (np.asarray(capture.frame_stamps) - times) * 1e-9
    assert np.all(late > 0)


def test_moving_stage_is_seen_where_it_truly_is(addresses, tmp_path):
    host_ip, card_ip = addresses
    axes = [Axis(name="x", low=-0.35, high=0.0), Axis(name="y", low=-0.35, high=0.0)]
    world = PlanarWorld(centre=(-0.14, -0.12, 0.0))
    stage = GrblPty(settings={22: 0})
    poses = stage_poses(stage, axes, world)
    with (
        serial.Serial(stage.port, 115200) as port,
        EmulatedBench(INSTRUMENT, stage=stage, poses=poses, host_ip=host_ip, card_ip=card_ip, flush=0.3) as bench,
    ):
        begin = bench.radar.on_start

        def begin_and_move(config) -> None:
            begin(config)
            port.write(b"G91 G1 X-20 F3000\n")

        bench.radar.on_start = begin_and_move
        capture = recorded(bench, tmp_path / "rec", addresses, 15)
        times = bench.card.log.frame_times
        cube, valid = capture.samples(None)
        assert valid.all()
        difference = cube - ideal(capture, poses, times)
        assert max(np.abs(difference.real).max(), np.abs(difference.imag).max()) <= 0.51
        moved = stage.position_at(times[-1]) - stage.position_at(times[0])
        assert -20e-3 <= moved[0] < -5e-3
        assert np.abs(cube[-1] - cube[0]).max() > 1000


def test_faults_are_reported_exactly(addresses, tmp_path):
    host_ip, card_ip = addresses
    plan = FaultPlan(drop=0.03, reorder=0.02, duplicate=0.02, async_before_reply=1.0, seed=4)
    with EmulatedBench(INSTRUMENT, host_ip=host_ip, card_ip=card_ip, flush=0.3, faults=plan) as bench:
        capture = recorded(bench, tmp_path / "rec", addresses, 60)
        log, report = bench.card.log, capture.report
    assert (report.packets_received, report.duplicates, report.late) == (log.distinct, log.duplicated, log.late)
    assert report.upstream_lost == log.dropped > 0
    damaged = log.damaged_frames(capture.config.frame_bytes)
    assert report.frames_damaged == len(damaged)
    cube, valid = capture.samples(None)
    whole = [k for k in range(60) if k not in damaged]
    assert valid[whole].all()
    difference = np.where(valid, cube - ideal(capture, still(), log.frame_times), 0)
    assert max(np.abs(difference.real).max(), np.abs(difference.imag).max()) <= 0.51


def test_radar_reset_through_the_card(addresses):
    from mmsar.hardware.dca1000.card import Card

    host_ip, card_ip = addresses
    with (
        EmulatedBench(INSTRUMENT, host_ip=host_ip, card_ip=card_ip, flush=0.1, reboot_time=0.05) as bench,
        RadarCli(bench.radar.port) as radar,
        Card(host_ip, card_ip) as card,
    ):
        card.connect()
        radar.configure(CFG.format(frames=0))
        radar.start()
        assert bench.radar.running
        card.reset_radar()
        deadline = time.monotonic() + 5
        while bench.radar.running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not bench.radar.running
        assert bench.card.wait(5)


def test_scene_that_does_not_fit_is_said_and_the_radar_lives_on(addresses):
    host_ip, card_ip = addresses
    one = Instrument(device="xWR1642", array=lambda config: BOARD.array(tx=[0], rx=[0]), scene=SCENE)
    with EmulatedBench(one, host_ip=host_ip, card_ip=card_ip) as bench, RadarCli(bench.radar.port) as radar:
        said = []
        bench.radar.on_problem = said.append
        radar.configure(CFG.format(frames=1))
        radar.start()
        assert "SceneSource.array: got shape (1, 1), wanted (2, 4)" in said[0]
        assert radar.stop() is None


def test_addresses_in_use_leave_nothing_open(addresses):
    host_ip, card_ip = addresses
    with EmulatedBench(INSTRUMENT, host_ip=host_ip, card_ip=card_ip):
        with pytest.raises(CaptureError, match="in use"):
            EmulatedBench(INSTRUMENT, host_ip=host_ip, card_ip=card_ip, stage=GrblPty())


def test_hand_is_smooth_rests_at_the_ends_and_starts_when_told():
    hand = Hand(width=0.1, height=0.06, duration=4.0, sweep_time=1.0, tremor=1e-3, seed=2)
    position, rotation = hand.poses(np.linspace(0, 4, 4001))
    assert np.ptp(position[:, 0]) == pytest.approx(0.1, abs=3e-3)
    assert np.ptp(position[:, 1]) == pytest.approx(0.06, abs=3e-3)
    assert np.abs(np.diff(position, axis=0)).max() < 0.2e-3
    np.testing.assert_allclose(np.linalg.norm(rotation, axis=1), 1)
    np.testing.assert_array_equal(hand.poses(np.array([9.0]))[0], hand.poses(np.array([4.0]))[0])
    clock = HandClock(hand)
    rest, _ = clock.poses(0, np.array([10**18]))
    clock.start(10**18)
    clock.start(5)
    np.testing.assert_array_equal(clock.poses(0, np.array([10**18]))[0], rest)
    np.testing.assert_allclose(clock.poses(0, np.array([10**18 + 10**9]))[0], hand.poses(np.array([1.0]))[0], atol=1e-9)
    with pytest.raises(GeometryError, match="wanted more than 0"):
        Hand(duration=0.0)


def test_tracker_log_is_a_track_with_its_clock_off(tmp_path):
    now = [1_700_000_000_000_000_000]
    clock = HandClock(Hand(duration=2.0))
    clock.start(now[0])
    path = tmp_path / "log.txt"
    with TrackerLog(path, clock.poses, rate=100.0, offset=0.25, clock=lambda: now[0]):
        now[0] += 2_000_000_000
    track = read_track(path)
    assert len(track.time_ns) == 200
    assert track.time_ns[0] == 1_700_000_000_000_000_000 - 250_000_000
    position, rotation = clock.poses(0, track.time_ns + 250_000_000)
    np.testing.assert_allclose(track.position, position, atol=1e-8)
    np.testing.assert_allclose(track.rotation, rotation, atol=1e-8)
