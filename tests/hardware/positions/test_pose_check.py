"""Faults planted in a known track are found at their time, with their size, and nothing else is."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mmsar.hardware.positions.check import checked
from mmsar.hardware.positions.findings import Finding
from mmsar.hardware.positions.track import PoseTrack, check_track

NOISE = 0.05e-3


def kinds(found: list[Finding]) -> Counter:
    return Counter(one.what for one in found)


def moved(track: PoseTrack, rows: np.ndarray, shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)) -> PoseTrack:
    """The track with some rows displaced and turned."""
    position, rotation = track.position.copy(), track.rotation.copy()
    position[rows] += shift
    rotation[rows] = (Rotation.from_quat(rotation[rows]) * Rotation.from_rotvec(turn)).as_quat()
    return replace(track, position=position, rotation=rotation)


@pytest.mark.parametrize("rate", [60.0, 120.0, 200.0, 360.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_good_track_has_next_to_no_findings(hand, rate, seed):
    track, found = checked(hand.track(rate=rate, noise=NOISE, seed=seed))
    assert set(kinds(found)) <= {"outlier"}
    assert np.count_nonzero(~track.valid) <= 0.01 * len(track)


def test_without_noise_nothing_is_found(hand):
    assert check_track(hand.track()) == []


def test_rest_and_sudden_start_are_no_fault():
    """A stage at rest to the last bit, then 0.5 m/s after 5 m/s2."""
    s = np.arange(600) / 200
    speed = np.clip(5 * (s - 1), 0, 0.5)
    position = np.stack([np.cumsum(speed) / 200, 0 * s, 0 * s], axis=1)
    track = PoseTrack(
        time_ns=np.rint(s * 1e9).astype(np.int64), position=position, rotation=np.tile([0, 0, 0, 1.0], (600, 1))
    )
    assert check_track(track) == []


@given(
    seed=st.integers(0, 1000),
    starts=st.lists(st.integers(2, 22), min_size=1, max_size=6, unique=True),
    length=st.integers(1, 8),
    angle=st.floats(0.15, 3.1),
    shift=st.floats(6e-3, 0.1),
)
@settings(max_examples=40)
def test_marker_swaps_are_counted_and_masked(hand, seed, starts, length, angle, shift):
    good = hand.track(rate=200, noise=NOISE, seed=seed)
    bad = np.concatenate([np.arange(30 * k, 30 * k + length) for k in starts])
    axis = np.random.default_rng(seed).standard_normal(3)
    track, found = checked(moved(good, bad, shift=(0, shift, 0), turn=angle * axis / np.linalg.norm(axis)))
    swaps = [one for one in found if one.what == "marker swap"]
    assert [one.rows.tolist() for one in swaps] == [list(range(30 * k, 30 * k + length)) for k in sorted(starts)]
    for one, k in zip(swaps, sorted(starts), strict=True):
        assert one.time == pytest.approx(30 * k / 200, abs=1e-6)
        assert one.size == pytest.approx(shift * 1e3, rel=0.5, abs=(length + 1) * 3)
    assert not track.valid[bad].any()
    assert "jump" not in kinds(found)
    np.testing.assert_array_equal(track.position, moved(good, bad, shift=(0, shift, 0)).position)


def test_a_glitch_moves_without_turning(hand):
    found = check_track(moved(hand.track(rate=200, noise=NOISE), np.arange(300, 303), shift=(0.02, 0, 0)))
    (glitch,) = [one for one in found if one.what == "glitch"]
    assert glitch.rows.tolist() == [300, 301, 302]
    assert glitch.size == pytest.approx(20, abs=4)


@pytest.mark.parametrize("size", [0.01, 0.04, 0.3])
def test_a_jump_is_found_and_nothing_bridges_it(hand, size):
    good = hand.track(rate=200, noise=NOISE)
    track, found = checked(moved(good, np.arange(400, len(good)), shift=(0, 0, size)))
    (jump,) = [one for one in found if one.what == "jump"]
    assert jump.severity == "error"
    assert jump.time == pytest.approx(2.0, abs=1e-6)
    assert jump.size == pytest.approx(size * 1e3, abs=3)
    middle = (good.time_ns[399] + good.time_ns[400]) // 2
    assert not track.at(np.array([middle])).valid[0]
    assert track.at(np.array([middle - 40_000_000, middle + 40_000_000])).valid.all()


@pytest.mark.parametrize("rate", [120.0, 200.0, 360.0])
def test_outliers(hand, rate):
    good = hand.track(rate=rate, noise=NOISE)
    bad = np.array([100, 200, 300, 301])
    track, found = checked(moved(good, bad, shift=(0, 1.2e-3, 0)))
    assert not track.valid[bad].any()
    sizes = {int(one.rows[0]): one.size for one in found if one.what == "outlier"}
    assert sizes[100] == pytest.approx(1.2, abs=0.3)
    assert len(sizes) <= len(bad) + 0.01 * len(good)


def test_rotation_alone_can_be_an_outlier(hand):
    good = hand.track(rate=200, noise=NOISE)
    found = check_track(moved(good, np.array([250]), turn=(0, np.radians(1.0), 0)))
    (one,) = [one for one in found if one.what == "outlier" and one.rows[0] == 250]
    assert (one.unit, round(one.size)) == ("deg", 1)


def test_gaps(hand):
    track = hand.track(rate=100, noise=NOISE).masked(np.r_[50, 100:103, 200:210, 398:400, 0])
    found = check_track(track)
    gaps = [(one.severity, round(one.time, 3), round(one.size, 3), one.unit) for one in found if one.what == "gap"]
    assert gaps == [
        ("warning", 0.0, 1, "rows"),
        ("note", 0.49, 20, "ms"),
        ("note", 0.99, 40, "ms"),
        ("warning", 1.99, 110, "ms"),
        ("warning", 3.97, 2, "rows"),
    ]
    assert [one.explanation for one in found if one.what == "gap"][2] == "3 poses missing; bridged"


def test_gaps_of_rows_that_are_not_there(hand):
    track = hand.track(rate=100, noise=NOISE)
    keep = np.r_[0:100, 107:400]
    cut = PoseTrack(time_ns=track.time_ns[keep], position=track.position[keep], rotation=track.rotation[keep])
    (gap,) = [one for one in check_track(cut) if one.what == "gap"]
    assert (gap.severity, gap.size, gap.explanation[:17]) == ("warning", pytest.approx(80), "7 poses missing; ")


def test_order_norm_and_duplicates(hand):
    good = hand.track(rate=100, noise=NOISE)
    time_ns, rotation = good.time_ns.copy(), good.rotation.copy()
    time_ns[[100, 101]] = time_ns[[101, 100]]
    time_ns[200] = time_ns[199]
    rotation[300] *= 1.2
    found = check_track(PoseTrack.from_log(time_ns, good.position, rotation))
    assert {k: n for k, n in kinds(found).items() if k in ("order", "norm")} == {"order": 2, "norm": 1}
    first, second = [one for one in found if one.what == "order"]
    assert (round(first.size, 6), second.size) == (10, 0)
    (norm,) = [one for one in found if one.what == "norm"]
    assert (norm.size, norm.time) == (pytest.approx(1.2), pytest.approx(3.0))


def test_signs(hand):
    track = hand.track(noise=NOISE)
    q = track.rotation.copy()
    q[100:200] *= -1
    (sign,) = [one for one in check_track(replace(track, rotation=q)) if one.what == "sign"]
    assert (sign.severity, sign.size) == ("note", 2)


@pytest.mark.parametrize(("factor", "expected"), [(1000, "extent"), (30, "fast"), (1e-3, "still"), (1, None)])
def test_units(hand, factor, expected):
    track = hand.track(noise=NOISE)
    track = replace(track, position=track.position * factor)
    texts = [one.explanation for one in check_track(track) if one.what == "units"]
    wanted = {"extent": "this far", "fast": "this fast", "still": "it stands still"}
    assert [text[: len(wanted[expected])] for text in texts] == ([wanted[expected]] if expected else [])


def with_lever(hand, lever: float, order: list[int], seed: int = 0) -> PoseTrack:
    """A marker `lever` [m] off the wrist that turns, quaternion components stored in `order`."""
    track = hand.track(rate=100, duration=6, noise=NOISE, seed=seed)
    arm = Rotation.from_quat(track.rotation).apply([lever, 0.3 * lever, -0.5 * lever])
    return replace(track, position=track.position + arm, rotation=track.rotation[:, order])


@pytest.mark.parametrize("lever", [0.3, 0.6])
def test_order_of_quaternion_components(hand, lever):
    assert "quaternion order" not in kinds(check_track(with_lever(hand, lever, [0, 1, 2, 3])))
    found = check_track(with_lever(hand, 5 * lever, [3, 0, 1, 2]))
    (one,) = [one for one in found if one.what == "quaternion order"]
    assert one.severity == "warning"
    assert one.size > 5


def test_size_of_steps_cannot_tell_the_order(hand):
    """Why the check looks at a lever: permuting components keeps every angle between quaternions."""
    q = hand.track().rotation
    steps = [2 * np.arccos(np.clip(np.abs(np.sum(r[1:] * r[:-1], axis=1)), 0, 1)) for r in (q, q[:, [3, 0, 1, 2]])]
    np.testing.assert_allclose(steps[0], steps[1], atol=1e-6)


def test_slow_and_jittering_stamps(hand):
    (slow,) = [one for one in check_track(hand.track(rate=10, noise=NOISE)) if one.what == "rate"]
    assert (slow.severity, slow.size) == ("error", pytest.approx(10))
    good = hand.track(rate=100, noise=NOISE)
    jitter = np.random.default_rng(0).integers(-4_000_000, 4_000_000, len(good))
    (rough,) = [one for one in check_track(replace(good, time_ns=good.time_ns + jitter)) if one.what == "rate"]
    assert rough.unit == "ms"


def test_nothing_to_check():
    q = np.tile([0, 0, 0, 1.0], (3, 1))
    track = PoseTrack(time_ns=np.arange(3), position=np.zeros((3, 3)), rotation=q, valid=np.zeros(3, dtype=bool))
    assert check_track(track)[0].severity == "error"
    single = track.masked(np.array([])).__class__(time_ns=[5], position=np.zeros((1, 3)), rotation=q[:1])
    assert [one.what for one in check_track(single)] == ["rate"]


def test_a_finding_is_one_line(hand):
    for one in check_track(moved(hand.track(noise=NOISE), np.arange(300, 480), shift=(0, 0, 0.2))):
        assert "\n" not in str(one)
        assert one.explanation


def test_damaged_numbers_are_rows_not_used():
    n = 40
    position, rotation = np.zeros((n, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (n, 1))
    position[:, 0] = np.linspace(0, 0.1, n)
    position[7], position[8] = (1e300, 0, 0), (0, -1e308, 0)
    rotation[20] = (0, 0, 1e308, 1)
    track = PoseTrack.from_log(np.arange(n) * 10_000_000, position, rotation)
    assert np.flatnonzero(~track.valid).tolist() == [7, 8, 20]
    found = check_track(track)
    assert kinds(found)["place"] == 2 and kinds(found)["norm"] == 1
