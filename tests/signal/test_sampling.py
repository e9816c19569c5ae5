"""The sampling report: pitch of regular, jittered, stepped-array and random apertures, ghosts, resolution, motion."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Chirp, Scan, Trajectory
from mmsar.signal.pitch import pitch_along
from mmsar.signal.sampling import rotation_spread, sampling_report

CHIRP = Chirp(f0=77e9, slope=60e12, fs=1e6, n_samples=64)
LAM = CHIRP.wavelength


def make_scan(trajectory: Trajectory, array: AntennaArray | None = None, **changes: object) -> Scan:
    array = array or AntennaArray.single()
    shape = (len(trajectory), array.n_tx, array.n_rx, CHIRP.n_samples)
    signal = np.zeros(shape, np.complex64)
    return Scan(signal=signal, chirp=CHIRP, array=array, trajectory=trajectory, **changes)


def test_a_coarse_raster_has_its_ghosts_where_theory_says() -> None:
    report = sampling_report(make_scan(Trajectory.raster((21, 101), (0.9e-3, 2.5e-3))), z=0.25)
    assert report.x.pitch == pytest.approx(0.9e-3) and report.y.pitch == pytest.approx(2.5e-3)
    assert report.x.fold_angle is None and report.x.ghost_angle is None
    # the phase of a monostatic echo advances by 2 k p sin(theta) from row to row: equal modulo 2 pi means ghost
    k = 2 * np.pi / LAM
    assert 2 * k * 2.5e-3 * np.sin(report.y.ghost_angle) == pytest.approx(2 * np.pi)
    assert 2 * k * 2.5e-3 * 2 * np.sin(report.y.fold_angle) == pytest.approx(2 * np.pi)
    assert report.x.extent == pytest.approx(90e-3) and report.y.extent == pytest.approx(50e-3)
    assert report.x.resolution == pytest.approx(LAM * 0.25 / 0.18)
    assert report.range_max == CHIRP.range_max and report.range_resolution == CHIRP.range_resolution
    assert [text[:2] for text in report.warnings] == ["y:"] and "coarser than lambda/4" in report.warnings[0]
    json.dumps(report.to_dict())


def test_resolution_is_never_below_a_quarter_wavelength() -> None:
    report = sampling_report(make_scan(Trajectory.raster((3, 300), (0.9e-3, 0.9e-3))), z=0.02)
    assert report.x.resolution == pytest.approx(LAM / 4)


def test_an_array_fills_the_steps_and_gaps_are_seen() -> None:
    pitch = AntennaArray.iwr1443().uniform_pitch()
    filled = sampling_report(make_scan(Trajectory.raster((6, 40), (0.9e-3, 8 * pitch)), AntennaArray.iwr1443()))
    assert filled.y.pitch == pytest.approx(pitch) and filled.y.widest == pytest.approx(pitch)
    assert filled.warnings == ()
    gaps = sampling_report(make_scan(Trajectory.raster((6, 40), (0.9e-3, 11 * pitch)), AntennaArray.iwr1443()))
    assert gaps.y.pitch == pytest.approx(pitch) and gaps.y.widest == pytest.approx(4 * pitch)
    assert any("gaps of" in text for text in gaps.warnings)


def test_jitter_and_random_positions() -> None:
    hand = sampling_report(make_scan(Trajectory.freehand((20, 60), (1e-3, 1.5e-3), seed=4)))
    assert hand.x.pitch == pytest.approx(1e-3, rel=0.1) and hand.y.pitch == pytest.approx(1.5e-3, rel=0.2)
    assert any("deep in z" in text for text in hand.warnings)
    rng = np.random.default_rng(0)
    cloud = rng.uniform(-0.05, 0.05, (2500, 2))
    # nearest in a quadrant of a Poisson cloud of density n: median sqrt(4 ln 2 / (pi n))
    median = np.sqrt(4 * np.log(2) / (np.pi * 2500 / 0.01))
    for axis in (0, 1):
        assert pitch_along(cloud, axis, same=1e-6)[0] == pytest.approx(median, rel=0.15)


@settings(max_examples=30, deadline=None)
@given(
    n=st.tuples(st.integers(1, 12), st.integers(2, 12)),
    step=st.tuples(st.floats(0.3e-3, 9e-3), st.floats(0.3e-3, 9e-3)),
    repeats=st.integers(1, 3),
)
def test_pitch_of_any_raster(n: tuple[int, int], step: tuple[float, float], repeats: int) -> None:
    points = np.tile(Trajectory.raster(n, step).position, (repeats, 1))
    assert pitch_along(points, 0, same=1e-5) == pytest.approx((step[0], step[0]))
    along_y = pitch_along(points, 1, same=1e-5)
    assert along_y is None if n[0] == 1 else along_y == pytest.approx((step[1], step[1]))


def test_one_pose_and_one_line() -> None:
    single = sampling_report(make_scan(Trajectory(time=[0.0], position=[[0, 0, 0]])))
    assert single.x.pitch is None and single.x.resolution is None and single.x.extent == 0
    line = sampling_report(make_scan(Trajectory.linear(50, 0.9e-3)))
    assert line.x.pitch == pytest.approx(0.9e-3) and line.y.pitch is None
    assert any("no resolution along y" in text for text in line.warnings)


def test_motion_baseline_and_validity() -> None:
    array = AntennaArray(tx=[[0.06, 0, 0], [0.06, 0.001, 0]], rx=[[-0.06, 0, 0]])
    base = Trajectory.linear(50, 0.9e-3)
    angle = np.linspace(-0.1, 0.1, 50) / 2
    turned = Trajectory(
        time=base.time,
        position=base.position + [0, 0, 1] * np.linspace(0, 3e-3, 50)[:, None],
        rotation=np.stack([0 * angle, np.sin(angle), 0 * angle, np.cos(angle)], axis=1),
    )
    valid = np.ones(50, bool)
    valid[:5] = False
    report = sampling_report(make_scan(turned, array, tx_delay=[0, 2.5e-3], valid=valid))
    step = np.hypot(0.9e-3, 3e-3 / 49)
    assert report.tdm_motion == pytest.approx(step / 2)  # half of the 5 ms between poses
    assert report.rotation == pytest.approx(0.1, rel=1e-3)
    assert report.baseline == pytest.approx(np.hypot(0.12, 0.001))
    assert report.valid == 0.9 and report.nbytes == 50 * 2 * 64 * 8
    text = "\n".join(report.warnings)
    assert "between the transmit slots" in text and "monostatic approximations fail" in text
    assert "10 % of the channels are marked invalid" in text


def test_rotation_spread_ignores_the_sign_of_quaternions() -> None:
    q = np.array([[0, 0, 0, 1.0], [0, 0, 0, -1.0]])
    assert rotation_spread(q) == pytest.approx(0, abs=1e-12)


def test_beyond_the_unambiguous_range() -> None:
    report = sampling_report(make_scan(Trajectory.linear(50, 0.9e-3)), z=3 * CHIRP.range_max)
    assert any("unambiguous" in text for text in report.warnings)
    with pytest.raises(GeometryError, match="sampling_report z"):
        sampling_report(make_scan(Trajectory.linear(50, 0.9e-3)), z=0.0)
