"""A hand-held scan and its track on another clock: the offset comes back, or the reason why it cannot."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.echo_track import EchoTrack, track_scatterer
from mmsar.hardware.offset import estimate_offset
from mmsar.hardware.positions.track import PoseTrack
from mmsar.model import AntennaArray, Chirp, Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene

EPOCH = 1_700_000_000_000_000_000
CHIRP = Chirp(f0=77.3e9, slope=60e12, fs=4e6, n_samples=128)
BOARD = AntennaArray.iwr1443()
PLACE = np.array([0.03, -0.02, 0.45])


def hand(t: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and rotations of a hand that sweeps and trembles: 0.05 m/s, a few degrees."""
    rng = np.random.default_rng(seed)
    turn = 2 * np.pi * t
    sizes, rates = (0.08, 0.05, 0.01), (0.35, 0.13, 0.5)
    position = np.stack([a * np.sin(f * turn + 6 * rng.random()) for a, f in zip(sizes, rates, strict=True)], axis=1)
    for f in rng.uniform(0.8, 4, 6):
        position += np.outer(np.sin(f * turn + 6 * rng.random()), rng.normal(size=3) * 4e-3 / f)
    angle = np.stack([np.radians(4) * np.sin(f * turn + 6 * rng.random()) for f in rng.uniform(0.2, 2, 3)], axis=1)
    return position, Rotation.from_rotvec(angle).as_quat()


def ns(t: np.ndarray) -> np.ndarray:
    return EPOCH + np.rint(t * 1e9).astype(np.int64)


def echo_of(seed: int, t: np.ndarray, *, points=(PLACE, [0.2, 0.1, 0.8], [-0.15, 0.05, 0.6]), snr_db: float = 15.0):
    """Samples of the first channel of a hand-held scan with two weaker things around."""
    position, rotation = hand(t, seed)
    scan = simulate(
        Scene.points(list(points), [1.0, 0.15, 0.1][: len(points)]),
        chirp=CHIRP,
        array=BOARD,
        trajectory=Trajectory(time=t, position=position, rotation=rotation),
        options=SimulationOptions(snr_db=snr_db, seed=seed),
    )
    leak = 2 * np.exp(1j * CHIRP.k * 0.03)
    bias = np.exp(2j * CHIRP.k * 0.0678)
    return scan, ((scan.read()[:, 0, 0] + leak) * bias).astype(np.complex64)


def track_of(seed: int, offset: float, *, end: float, noise: float = 1e-4, drift: float = 0.0, middle: float = 0.0):
    """120 Hz poses on a clock that shows `offset` more than the radar's (and `drift` more per second from `middle`)."""
    time = np.arange(0, end, 1 / 120)
    radar = time - offset
    radar = radar - drift * (radar - middle)
    position, rotation = hand(radar, seed)
    position = position + np.random.default_rng(seed).normal(size=position.shape) * noise
    return PoseTrack(time_ns=ns(time), position=position, rotation=rotation, clock="unix")


def estimate(echo: EchoTrack, track: PoseTrack, **rest):
    return estimate_offset(echo, track, tx=BOARD.tx[0], rx=BOARD.rx[0], **rest)


@pytest.mark.parametrize(("seed", "offset"), [(0, 0.0374), (1, -0.21), (2, 0.5003), (3, -0.0008), (4, 0.123), (5, 0.9)])
def test_the_offset_of_a_hand_held_scan(seed: int, offset: float) -> None:
    t = 1.0 + np.arange(0, 8, 5e-3)
    scan, samples = echo_of(seed, t)
    echo = track_scatterer(samples, ns(t), CHIRP)
    paths = [np.linalg.norm(p[:, 0, 0] - PLACE, axis=1) for p in (scan.tx_position, scan.rx_position)]
    error = echo.range_m - sum(paths) / 2
    assert np.std(error) < CHIRP.wavelength / 32
    assert echo.seen > 0.99
    found = estimate(echo, track_of(seed, offset, end=10.5))
    assert abs(found.offset - offset) < 0.2e-3
    assert abs(found.offset - offset) < 5 * found.sigma
    assert found.sigma < 0.15e-3 and found.contrast > 5 and found.drift_ppm == 0
    assert np.linalg.norm(np.array(found.place) - PLACE) < 5e-3
    shifted = found.to_track(ns(t))
    assert np.abs(shifted - ns(t + offset)).max() < 200_000


def test_gaps_of_both_are_left_out_and_a_guess_is_used() -> None:
    t = 1.0 + np.arange(0, 8, 5e-3)
    t = t[(np.random.default_rng(0).random(len(t)) > 0.02) & ~((t > 3) & (t < 3.2))]
    _, samples = echo_of(6, t)
    track = track_of(6, 0.05, end=10.5)
    seconds = (track.time_ns - EPOCH) / 1e9
    gapped = replace(track, valid=~((seconds > 5) & (seconds < 5.4)))
    late = replace(gapped, time_ns=gapped.time_ns + 3600 * 10**9)
    found = estimate(track_scatterer(samples, ns(t), CHIRP), late, guess_ns=3600 * 10**9, max_offset=0.3)
    assert abs(found.offset - 0.05) < 0.2e-3
    assert np.abs(found.to_track(ns(t)) - ns(t + 3600.05)).max() < 200_000


@pytest.mark.parametrize(("frame", "loops"), [(20e-3, 24), (40e-3, 12), (5e-3, 20)])
def test_chirps_that_come_in_bursts_are_followed(frame: float, loops: int) -> None:
    t = (1 + np.arange(0, 4, frame)[:, None] + np.arange(loops) * 150e-6).ravel()
    scan, samples = echo_of(10, t, points=(PLACE,))
    echo = track_scatterer(samples, ns(t), CHIRP)
    kept = np.searchsorted(ns(t), echo.time_ns)
    paths = [np.linalg.norm(p[kept, 0, 0] - PLACE, axis=1) for p in (scan.tx_position, scan.rx_position)]
    assert np.std(echo.range_m - sum(paths) / 2) < CHIRP.wavelength / 32
    assert abs(estimate(echo, track_of(10, 0.2, end=6.5)).offset - 0.2) < 0.4e-3


def test_the_drift_of_a_long_scan() -> None:
    t = 1.0 + np.arange(0, 70, 10e-3)
    _, samples = echo_of(7, t, points=(PLACE,))
    middle = float(t.mean())
    track = track_of(7, 0.08, end=73, drift=50e-6, middle=middle)
    found = estimate(track_scatterer(samples, ns(t), CHIRP), track, max_offset=0.3)
    assert found.drift_ppm == pytest.approx(50, abs=6)
    assert abs(found.offset - 0.08) < 0.2e-3
    wanted = ns(t + 0.08 + 50e-6 * (t - middle))
    assert np.abs(found.to_track(ns(t)) - wanted).max() < 400_000


def test_a_track_of_another_motion_is_refused() -> None:
    t = 1.0 + np.arange(0, 8, 5e-3)
    echo = track_scatterer(echo_of(8, t)[1], ns(t), CHIRP)
    with pytest.raises(CaptureError, match="radar and track apart by"):
        estimate(echo, track_of(9, 0.0, end=10.5))
    far = replace(track_of(8, 0.0, end=10.5), time_ns=track_of(8, 0.0, end=10.5).time_ns + 10**12)
    with pytest.raises(GeometryError, match="covers the echoes at no offset"):
        estimate(echo, far)


def test_a_regular_motion_fits_at_many_offsets() -> None:
    t = np.arange(0, 6, 5e-3) + 1
    time = np.arange(0, 8.5, 1 / 120)
    position = np.stack([0.05 * np.sin(4 * np.pi * (time - 0.02)), 0 * time, 0 * time], axis=1)
    rotation = np.tile([0.0, 0, 0, 1], (len(time), 1))
    track = PoseTrack(time_ns=ns(time), position=position, rotation=rotation)
    board = np.stack([0.05 * np.sin(4 * np.pi * t), 0 * t, 0 * t], axis=1)
    path = sum(np.linalg.norm(board + e - PLACE, axis=1) for e in (BOARD.tx[0], BOARD.rx[0])) / 2
    path = path + np.random.default_rng(0).normal(size=len(t)) * 1e-5
    echo = EchoTrack(time_ns=ns(t), range_m=path, coarse_m=path, wavelength=3.9e-3, seen=1.0)
    with pytest.raises(CaptureError, match="another offset that fits"):
        estimate(echo, track)
    assert abs(estimate(echo, track, max_offset=0.2).offset - 0.02) < 0.2e-3


def test_nothing_to_follow_is_refused() -> None:
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal((200, 128)) + 1j * rng.standard_normal((200, 128))).astype(np.complex64)
    times = ns(np.arange(200) * 5e-3)
    with pytest.raises(GeometryError, match="stronger reflector"):
        track_scatterer(noise, times, CHIRP)
    with pytest.raises(GeometryError, match="22 or more"):
        track_scatterer(noise[:10], times[:10], CHIRP)
    with pytest.raises(GeometryError, match="one rising time"):
        track_scatterer(noise, times[::-1], CHIRP)
    with pytest.raises(GeometryError, match="wanted a range below"):
        track_scatterer(noise, times, CHIRP, near=50.0)
