"""Frames of a scene: decoded bytes are the forward model within quantisation, at the poses of every chirp."""

import numpy as np
import pytest

from mmsar.constants import C0
from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.radar import parse_cfg
from mmsar.hardware.emulate.scene_source import SceneSource, by_frame, by_time, still
from mmsar.io.importers.iq_layout import decode
from mmsar.model.array import AntennaArray
from mmsar.model.calibration import Calibration
from mmsar.model.scan import Scan
from mmsar.model.trajectory import Trajectory
from mmsar.signal.calibrate import apply_calibration
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene

CFG = """sensorStop
flushCfg
dfeDataOutputMode 1
channelCfg {rx} 5 0
adcCfg {bits} {fmt}
adcbufCfg -1 {real} {swap} {chain} 1
profileCfg 0 77 7 6 40 0 0 70 1 64 4000 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 4
frameCfg 0 1 {loops} 10 20 1 0
lvdsStreamCfg -1 0 1 0
sensorStart
"""
SCENE = Scene.points([[0.02, -0.01, 0.31], [-0.05, 0.03, 0.42]], [1.0, 0.5 - 0.5j])
ARRAY = AntennaArray.iwr1443(2)


def config(device="xWR1843", *, rx=15, bits=2, fmt=1, swap=1, loops=1):
    text = CFG.format(
        rx=rx, bits=bits, fmt=fmt, real=int(fmt == 0), swap=swap, loops=loops, chain=int(device != "xWR1443")
    )
    return parse_cfg(text, device=device)


def decoded(source, k=0, time_ns=0):
    """Samples of a frame in counts, (loop, tx, rx, sample)."""
    cfg = source.config
    raw = np.frombuffer(source.frame(k, time_ns), dtype="<i2")
    assert raw.nbytes == source.frame_bytes == cfg.frame_bytes
    cube = decode(raw, cfg.layout, chirps=cfg.chirps_per_frame, samples=cfg.n_samples, rx=cfg.n_rx)
    return cube.reshape(cfg.n_loops, cfg.n_tx, cfg.n_rx, cfg.n_samples)


def worst(a, b):
    """Largest difference of the real or imaginary parts."""
    d = a - b
    return max(np.abs(d.real).max(), np.abs(d.imag).max())


@pytest.mark.parametrize(
    ("device", "options", "layout"),
    [
        ("xWR1843", {"swap": 1}, "2lane-qqii"),
        ("xWR1843", {"swap": 0}, "2lane-iiqq"),
        ("xWR1843", {"fmt": 0}, "real"),
        ("xWR1443", {"swap": 0}, "4lane"),
        ("xWR1443", {"fmt": 0, "swap": 0}, "4lane-real"),
        ("xWR1843", {"rx": 5}, "2lane-qqii"),
        ("xWR1443", {"rx": 7, "swap": 0}, "4lane"),
        ("xWR1843", {"bits": 0}, "2lane-qqii"),
    ],
)
def test_bytes_are_the_forward_model_within_quantisation(device, options, layout):
    cfg = config(device, **options)
    assert cfg.layout == layout
    array = AntennaArray(tx=ARRAY.tx, rx=ARRAY.rx[list(cfg.rx)], polarity=[[1, -1, 1, 1][: cfg.n_rx]] * 2)
    pose = Trajectory(time=[0.0], position=[[0.01, 0.02, 0.0]])
    ideal = simulate(SCENE, chirp=cfg.chirp(), array=array, trajectory=pose).signal
    source = SceneSource(cfg, array, SCENE, poses=still([0.01, 0.02, 0.0]), scale=1000.0)
    wanted = 1000 * (ideal if cfg.complex_samples else ideal.real.astype(np.complex64))
    assert worst(decoded(source), wanted) <= 0.51
    assert source.clipped == 0
    assert source.lanes == (4 if device == "xWR1443" else 2)


def test_every_chirp_has_its_own_pose():
    """Four loops of two slots while the board moves and turns: the same as a scan with a pose per chirp."""
    cfg = config(loops=4)
    start = 1_700_000_000_000_000_000
    turn = np.array([[0, 0, 0, 1], [0, np.sin(0.05), 0, np.cos(0.05)]])
    path = Trajectory(time=[0, 1e-3], position=[[0, 0, 0], [4e-3, 1e-3, -2e-3]], rotation=turn)
    source = SceneSource(cfg, ARRAY, SCENE, poses=by_time(path, start), scale=5000.0)
    got = decoded(source, 3, start + 100_000)
    slots = 100e-6 + (np.arange(8) + 0.5) * 47e-6
    for i, slot in enumerate(slots):
        ideal = simulate(SCENE, chirp=cfg.chirp(), array=ARRAY, trajectory=path.at([slot])).signal[0, i % 2]
        assert worst(got[i // 2, i % 2], 5000 * ideal) <= 0.52


def test_poses_by_frame_and_before_and_after_the_times():
    path = Trajectory(time=[0, 1], position=[[0, 0, 0], [1, 0, 0]])
    for poses, asked, x in (
        (by_frame(path), (0, 5), 0),
        (by_frame(path), (7, 5), 1),
        (by_time(path, 10**18), (0, 10**18 - 5), 0),
        (by_time(path, 10**18), (0, 10**18 + 250_000_000), 0.25),
        (by_time(path, 10**18), (0, 10**18 + 5 * 10**9), 1),
    ):
        position, rotation = poses(asked[0], np.array([asked[1]] * 3))
        np.testing.assert_allclose(position, [[x, 0, 0]] * 3, atol=1e-9)
        np.testing.assert_allclose(rotation, [[0, 0, 0, 1]] * 3)


def test_instrument_errors_are_those_that_its_calibration_removes():
    cfg = config()
    rng = np.random.default_rng(0)
    gain = (1 + 0.2 * rng.standard_normal((2, 4))) * np.exp(1j * rng.uniform(-3, 3, (2, 4)))
    instrument = Calibration(gain=gain, range_bias=0.0654, source="test")
    raw = SceneSource(cfg, ARRAY, SCENE, instrument=instrument, scale=3000.0)
    ideal = SceneSource(cfg, ARRAY, SCENE, scale=3000.0).samples(0, 0)
    measured = raw.samples(0, 0)
    k = cfg.chirp().k
    np.testing.assert_allclose(measured[0, 1, 2], gain[1, 2] * ideal[0, 1, 2] * np.exp(2j * k * 0.0654), rtol=1e-4)
    pose = Trajectory(time=[0.0], position=[[0, 0, 0]])
    scan = Scan(signal=measured, chirp=cfg.chirp(), array=ARRAY, trajectory=pose, calibration=instrument)
    np.testing.assert_allclose(apply_calibration(scan).signal, ideal, rtol=1e-4, atol=1e-2)


def test_one_point_beats_at_its_range():
    cfg = config()
    source = SceneSource(cfg, ARRAY, Scene.points([[0, 0, 0.5]]))
    chirp = cfg.chirp()
    line = decoded(source)[0, 0, 0]
    spectrum = np.abs(np.fft.fft(line, 4096))
    peak = np.argmax(spectrum) / 4096 * chirp.fs * C0 / (2 * chirp.slope)
    tx, rx = ARRAY.tx[0], ARRAY.rx[0]
    path = np.linalg.norm(tx - [0, 0, 0.5]) + np.linalg.norm(rx - [0, 0, 0.5])
    assert peak == pytest.approx(path / 2, abs=0.01)
    assert np.abs(line).max() == pytest.approx(0.5 * 32767, rel=0.01)


def test_noise_is_as_large_as_asked_and_the_same_again():
    cfg = config(loops=16)
    source, again = (SceneSource(cfg, ARRAY, SCENE, scale=1000.0, noise=40.0, seed=3) for _ in range(2))
    noise = decoded(source, 5) - source.samples(5, 0)
    assert np.std(noise.real) == pytest.approx(40, rel=0.05)
    assert np.std(noise.imag) == pytest.approx(40, rel=0.05)
    assert source.frame(5, 0) == again.frame(5, 0) != source.frame(6, 0)


def test_full_scale_limits_and_counts():
    source = SceneSource(config(bits=0), ARRAY, SCENE, scale=2000.0)
    got = decoded(source)
    assert max(got.real.max(), got.imag.max()) == 2047
    assert source.clipped > 0
    options = SimulationOptions(amplitude=True, progress=False)
    assert SceneSource(config(), ARRAY, SCENE, options=options).samples(0, 0).shape == (1, 2, 4, 64)


def test_refusals():
    with pytest.raises(GeometryError, match=r"SceneSource.array: got shape \(1, 1\), wanted \(2, 4\)"):
        SceneSource(config(), AntennaArray.single(), SCENE)
    with pytest.raises(GeometryError, match="without reflectivity"):
        SceneSource(config(), ARRAY, Scene.points([[0, 0, 1]], 0.0))
    header = parse_cfg(
        CFG.format(rx=15, bits=2, fmt=1, real=0, swap=1, loops=1, chain=1).replace(
            "lvdsStreamCfg -1 0", "lvdsStreamCfg -1 1"
        ),
        device="xWR1843",
        for_capture=False,
    )
    with pytest.raises(FormatError):
        SceneSource(header, ARRAY, SCENE)
