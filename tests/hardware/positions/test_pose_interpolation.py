"""Between the rows: accuracy for a hand's tremor, exactness at the rows, no bridge over long gaps, no extrapolation."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mmsar.errors import GeometryError
from mmsar.hardware.positions.track import PoseTrack

BAR = 0.12e-3
"""lambda / 32 at 79 GHz [m]."""


def say(text: str) -> None:
    """A measurement for whoever runs this with -s."""
    sys.stdout.write(f"\n  {text} (bar {mm(BAR)})")


def mm(value: float) -> str:
    return f"{value * 1e3:.2g} mm"


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def errors(hand, track: PoseTrack, count: int = 20000, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors of position [m] and rotation [rad] of poses at random times, and which are valid."""
    rng = np.random.default_rng(seed)
    wanted = np.unique(rng.integers(track.time_ns[0], track.time_ns[-1], count))
    found = track.at(wanted)
    seconds = (wanted[found.valid] - hand.start) / 1e9
    off = np.linalg.norm(found.position[found.valid] - hand.position(seconds), axis=1)
    turn = (Rotation.from_quat(found.rotation[found.valid]).inv() * hand.rotation(seconds)).magnitude()
    return off, turn, found.valid


def test_tremor_at_120_hz_is_within_the_bar(hand):
    off, turn, valid = errors(hand, hand.track())
    say(f"2 Hz, 20 mm, 120 Hz: largest {mm(off.max())}, rms {mm(rms(off))}, rotation {np.degrees(turn.max()):.1e} deg")
    assert valid.all()
    assert off.max() < BAR / 100
    assert turn.max() < 1.2e-3


def test_tremor_with_a_trackers_noise_is_within_the_bar(hand):
    off, _, _ = errors(hand, hand.track(noise=0.03e-3))
    say(f"with 0.03 mm of noise on every axis: rms {mm(rms(off))}, largest {mm(off.max())}")
    assert rms(off) < BAR / 2
    assert np.quantile(off, 0.99) < BAR


@pytest.mark.parametrize(("missing", "limit"), [(1, BAR / 100), (2, BAR / 50), (3, BAR / 20), (4, 0.4e-3), (5, 0.4e-3)])
def test_short_gaps_are_bridged(hand, missing, limit):
    track = hand.track()
    lost = (np.arange(20, len(track) - 20, 20)[:, None] + np.arange(missing)).ravel()
    off, _, valid = errors(hand, track.masked(lost))
    say(f"{missing} of 20 poses missing: largest {mm(off.max())}")
    assert valid.all()
    assert off.max() < limit


def test_noise_is_not_blown_up_in_three_missing_rows(hand):
    quiet, noisy = hand.track(), hand.track(noise=0.1e-3)
    lost = (np.arange(20, len(quiet) - 20, 20)[:, None] + np.arange(3)).ravel()
    middle = quiet.time_ns[lost[1::3]]
    moved = noisy.masked(lost).at(middle).position - quiet.masked(lost).at(middle).position
    assert rms(moved) < 1.81 * 0.1e-3


def test_long_gaps_are_masked_not_bridged(hand):
    track = hand.track()
    holed = track.masked(np.arange(100, 106))  # 7 periods of 8.3 ms
    edge = holed.time_ns[[99, 106]]
    wanted = np.arange(edge[0] - 10**8, edge[1] + 10**8, 500_000)
    found = holed.at(wanted)
    inside = (wanted > edge[0]) & (wanted < edge[1])
    np.testing.assert_array_equal(found.valid, ~inside)
    assert np.isnan(found.position[inside]).all()
    assert np.isnan(found.rotation[inside]).all()
    assert holed.at(wanted, max_gap=0.06).valid.all()


def test_the_limit_of_a_gap_is_inclusive():
    track = PoseTrack(
        time_ns=np.array([0, 50_000_000, 100_000_001]),
        position=np.zeros((3, 3)),
        rotation=np.tile([0, 0, 0, 1.0], (3, 1)),
    )
    found = track.at(np.array([0, 25_000_000, 50_000_000, 75_000_000, 100_000_001]))
    assert found.valid.tolist() == [True, True, True, False, True]


def test_never_extrapolates(hand):
    track = hand.track().masked(np.arange(3))
    first, last = track.time_ns[3], track.time_ns[-1]
    found = track.at(np.array([first - 1, first, last, last + 1]))
    assert found.valid.tolist() == [False, True, True, False]


def test_short_runs():
    q = np.tile([0, 0, 0, 1.0], (3, 1))
    track = PoseTrack(time_ns=np.array([0, 10**9, 10**9 + 10**7]), position=np.diag([1.0, 2.0, 3.0]), rotation=q)
    found = track.at(np.array([0, 1, 10**9, 10**9 + 5 * 10**6]))
    assert found.valid.tolist() == [True, False, True, True]
    np.testing.assert_allclose(found.position[3], [0, 1, 1.5])
    nothing = track.masked(np.arange(3)).at(np.array([0, 5]))
    assert not nothing.valid.any()


def test_signs_of_quaternions_do_not_matter(hand):
    track = hand.track()
    flips = np.random.default_rng(0).choice([-1.0, 1.0], len(track))
    other = PoseTrack(time_ns=track.time_ns, position=track.position, rotation=track.rotation * flips[:, None])
    wanted = np.arange(track.time_ns[0], track.time_ns[-1], 777_777)
    a, b = (Rotation.from_quat(t.at(wanted).rotation) for t in (track, other))
    assert (a.inv() * b).magnitude().max() < 1e-9


@given(
    seed=st.integers(0, 2**32 - 1),
    lost=st.lists(st.integers(0, 59), max_size=40),
    rate=st.sampled_from([30.0, 100.0, 120.0, 360.0]),
)
@settings(max_examples=60)
def test_rows_are_met_exactly_and_validity_follows_the_gaps(hand, seed, lost, rate):
    track = hand.track(rate=rate, duration=60 / rate).masked(np.array(lost, dtype=np.intp))
    rng = np.random.default_rng(seed)
    wanted = np.unique(
        np.concatenate([track.time_ns, rng.integers(track.time_ns[0] - 10**7, track.time_ns[-1] + 10**7, 50)])
    )
    found = track.at(wanted)
    known = track.time_ns[track.valid]
    before, after = np.searchsorted(known, wanted, side="right") - 1, np.searchsorted(known, wanted)
    between = (before >= 0) & (after < len(known))
    expected = np.zeros(len(wanted), dtype=bool)
    expected[between] = known[after[between]] - known[before[between]] <= 50_000_000
    np.testing.assert_array_equal(found.valid, expected)
    at_rows = np.searchsorted(wanted, known)
    np.testing.assert_allclose(found.position[at_rows], track.position[track.valid], atol=1e-12)
    turn = Rotation.from_quat(found.rotation[at_rows]).inv() * Rotation.from_quat(track.rotation[track.valid])
    assert len(known) == 0 or turn.magnitude().max() < 1e-7


@pytest.mark.parametrize("wanted", [np.array([0.0, 1.0]), np.array([5, 5]), np.array([5, 4])])
def test_refuses_times_that_are_none(hand, wanted):
    with pytest.raises(GeometryError, match="time_ns"):
        hand.track().at(wanted)


def test_refuses_a_gap_of_nothing(hand):
    with pytest.raises(GeometryError, match="max_gap"):
        hand.track().at(np.array([5]), max_gap=0)
