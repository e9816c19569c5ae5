"""Trapezoid motion against integration, and rows that are driven at constant speed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.motion.profile import Trapezoid, row_motion, run_up

positive = st.floats(1e-3, 10.0)


@given(distance=st.floats(0, 5.0), speed=positive, acceleration=positive)
def test_trapezoid_is_the_integral_of_its_speed(distance, speed, acceleration):
    move = Trapezoid(distance=distance, speed=speed, acceleration=acceleration)
    corners = [move.ramp_time, move.ramp_time + move.cruise_time]
    t = np.sort(np.append(np.linspace(0, move.duration, 401), corners))
    v = move.velocity(t)
    assert v.max(initial=0) <= speed * (1 + 1e-12)
    assert np.all(np.abs(np.diff(v)) <= acceleration * np.diff(t) * (1 + 1e-6) + 1e-12)
    assert move.position(0.0) == 0
    assert move.position(move.duration) == pytest.approx(distance, abs=1e-12)
    travelled = np.concatenate([[0.0], np.cumsum((v[1:] + v[:-1]) / 2 * np.diff(t))])
    np.testing.assert_allclose(move.position(t), travelled, atol=1e-9)
    assert move.position(-1.0) == 0
    assert move.position(move.duration + 1) == pytest.approx(distance, abs=1e-12)


def test_trapezoid_by_hand():
    move = Trapezoid(distance=0.3, speed=0.1, acceleration=0.2)  # ramps of 0.5 s and 25 mm
    assert (move.peak, move.ramp_time) == (0.1, 0.5)
    assert move.duration == pytest.approx(0.3 / 0.1 + 0.1 / 0.2)
    short = Trapezoid(distance=0.02, speed=1.0, acceleration=0.2)
    assert short.cruise_time == 0
    assert short.peak == pytest.approx(np.sqrt(0.004))
    assert run_up(0.1, 0.2) == pytest.approx(0.025)


@given(
    first=st.floats(-1, 1),
    length=st.floats(1e-3, 2),
    backward=st.booleans(),
    speed=positive,
    acceleration=positive,
    settle=st.floats(0, 1),
)
def test_row_is_passed_at_constant_speed(first, length, backward, speed, acceleration, settle):
    last = first - length if backward else first + length
    row = row_motion(first, last, speed=speed, acceleration=acceleration, settle=settle)
    assert row.position(row.t_first) == pytest.approx(first, abs=1e-9)
    assert row.position(row.t_last) == pytest.approx(last, abs=1e-9)
    assert row.position(row.duration) == pytest.approx(row.stop, abs=1e-9)
    inside = np.linspace(row.t_first, row.t_last, 11)
    np.testing.assert_allclose(row.profile.velocity(inside), speed, rtol=1e-6)
    np.testing.assert_allclose(row.position(inside), np.linspace(first, last, 11), atol=1e-9)
    assert abs(row.start - first) == pytest.approx(run_up(speed, acceleration) + settle * speed)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"distance": -1.0}, "distance"),
        ({"distance": np.inf}, "distance"),
        ({"speed": 0.0}, "speed: got 0"),
        ({"acceleration": np.nan}, "acceleration"),
    ],
)
def test_impossible_moves_are_refused(values, complaint):
    with pytest.raises(GeometryError, match=complaint):
        Trapezoid(**{"distance": 1.0, "speed": 1.0, "acceleration": 1.0, **values})


def test_a_row_without_length_is_refused():
    with pytest.raises(GeometryError, match="row_motion length"):
        row_motion(0.1, 0.1, speed=1, acceleration=1)
