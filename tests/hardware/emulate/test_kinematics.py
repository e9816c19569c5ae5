"""The emulated machine's motion: exact at any time, cut cleanly, with play and encoder marks."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.hardware.emulate.kinematics import Track
from mmsar.hardware.motion.profile import Trapezoid

place = st.floats(-100, 100)


@given(target=st.tuples(place, place), speed=st.floats(1, 200), acceleration=st.floats(10, 2000))
def test_a_move_is_a_trapezoid(target, speed, acceleration):
    track = Track((0.0, 0.0))
    end = track.move(5.0, target, speed=speed, acceleration=acceleration)
    profile = Trapezoid(distance=math.hypot(*target), speed=speed, acceleration=acceleration)
    assert end - 5.0 == pytest.approx(profile.duration, abs=1e-9)
    for t in np.linspace(4, end + 1, 30):
        assert math.hypot(*track.drive(t)) == pytest.approx(float(profile.position(t - 5.0)), abs=1e-6)
        assert track.speed(t) == pytest.approx(float(profile.velocity(t - 5.0)), abs=1e-6 * speed + 1e-9)
    assert track.drive(end) == pytest.approx(target, abs=1e-9)
    assert track.drive(1e9) == pytest.approx(target, abs=1e-9)


@given(fraction=st.floats(0, 1.2), seed=st.integers(0, 2**32 - 1))
def test_a_halt_is_smooth_and_final(fraction, seed):
    rng = np.random.default_rng(seed)
    track = Track((0.0, 0.0, 0.0))
    for _ in range(4):
        track.move(0.0, rng.uniform(-50, 50, 3), speed=rng.uniform(5, 80), acceleration=300.0)
    cut = fraction * track.end
    before, speed = track.drive(cut), track.speed(cut)
    end = track.halt(cut, acceleration=300.0)
    assert end == pytest.approx(cut + speed / 300.0, abs=1e-6)
    assert track.drive(cut) == pytest.approx(before, abs=1e-9)
    stopped = track.drive(end)
    assert math.dist(stopped, before) == pytest.approx(speed**2 / 600.0, abs=1e-6)
    assert track.drive(end + 100) == pytest.approx(stopped, abs=1e-12)
    assert track.speed(end + 1e-6) == 0


def test_a_cut_is_at_once():
    track = Track((0.0,))
    track.move(0.0, (100.0,), speed=10.0, acceleration=100.0)
    assert track.halt(5.0, acceleration=math.inf) == 5.0
    assert track.drive(6.0) == track.drive(5.0)
    assert track.move(6.0, (0.0,), speed=10.0, acceleration=100.0) > 6.0
    assert track.halt(100.0, acceleration=100.0) == 100.0


def test_the_table_lags_by_the_play():
    track = Track((0.0,), backlash=(0.5,))
    end = track.move(0.0, (10.0,), speed=10.0, acceleration=100.0)
    assert track.table(end) == pytest.approx((10.0,))
    back = track.move(end, (9.8,), speed=10.0, acceleration=100.0)
    assert track.table(back) == pytest.approx((10.0,))  # still within the play
    back = track.move(back, (5.0,), speed=10.0, acceleration=100.0)
    assert track.table(back) == pytest.approx((5.5,))
    forth = track.move(back, (5.3,), speed=10.0, acceleration=100.0)
    assert track.table(forth) == pytest.approx((5.5,))
    forth = track.move(forth, (8.0,), speed=10.0, acceleration=100.0)
    assert track.table(forth) == pytest.approx((8.0,))
    assert track.drive(forth) == pytest.approx((8.0,))


between_marks = st.integers(-10_000, 10_000).map(lambda n: n / 100 + 0.003)


@given(turns=st.lists(between_marks, min_size=1, max_size=6), windows=st.integers(1, 40))
def test_marks_are_met_once_each_way(turns, windows):
    track = Track((0.25,))
    for turn in turns:
        track.move(0.0, (turn,), speed=50.0, acceleration=500.0)
    edges = np.linspace(-1.0, track.end + 1.0, windows + 1)
    found = [hit for a, b in itertools.pairwise(edges) for hit in track.crossings(0, 1.5, a, b)]
    assert [t for t, _ in found] == sorted(t for t, _ in found)
    for time, mark in found:
        assert track.drive(time)[0] == pytest.approx(1.5 * mark, abs=1e-6)
    wanted, here = [], 0.25
    for turn in turns:
        low, high = sorted((here, turn))
        wanted += range(math.ceil(low / 1.5), math.floor(high / 1.5) + 1)[:: 1 if turn > here else -1]
        here = turn
    assert [m for _, m in found] == wanted


def test_standing_on_a_mark_is_one_arrival():
    track = Track((0.0,))
    for turn in (3.0, 6.0, 3.0):
        track.move(0.0, (turn,), speed=50.0, acceleration=500.0)
    assert [mark for _, mark in track.crossings(0, 1.5, -1.0, 1e9)] == [1, 2, 3, 4, 3, 2]
