"""Trajectories: poses over time, between poses, in later slots, and the ways to make them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model.trajectory import Trajectory


def about_y(angle):
    return [0, np.sin(angle / 2), 0, np.cos(angle / 2)]


def test_default_is_no_rotation():
    t = Trajectory(time=[0, 1], position=[[0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(t.rotation, [[0, 0, 0, 1]] * 2)
    np.testing.assert_array_equal(t.matrices(), [np.eye(3)] * 2)
    assert not t.is_rotated
    assert len(t) == 2


@pytest.mark.parametrize(
    ("quaternion", "image"),
    [
        ([0, 0, np.sqrt(0.5), np.sqrt(0.5)], [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]),  # x to y: a quarter turn about z
        ([np.sqrt(0.5), 0, 0, np.sqrt(0.5)], [[1, 0, 0], [0, 0, 1], [0, -1, 0]]),  # y to z: about x
        ([0, np.sqrt(0.5), 0, np.sqrt(0.5)], [[0, 0, -1], [0, 1, 0], [1, 0, 0]]),  # z to x: about y
    ],
)
def test_quaternions_turn_right_handed(quaternion, image):
    t = Trajectory(time=[0], position=[[0, 0, 0]], rotation=[quaternion])
    np.testing.assert_allclose(t.matrices()[0].T, image, atol=1e-12)
    assert t.is_rotated


@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 4), min_size=1, max_size=5))
def test_matrices_are_rotations(raw):
    q = np.array(raw)
    q[np.linalg.norm(q, axis=1) < 1e-3] = [0, 0, 0, 1]
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    m = Trajectory(time=np.zeros(len(q)), position=np.zeros((len(q), 3)), rotation=q).matrices()
    np.testing.assert_allclose(m @ np.swapaxes(m, 1, 2), np.broadcast_to(np.eye(3), m.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(m), 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"position": [[0, 0, 0]]}, r"Trajectory.time: got shape \(2,\), wanted \(1\)"),
        ({"position": [[0, 0], [0, 0]]}, r"Trajectory.position: got shape \(2, 2\)"),
        ({"position": [[0, 0, np.nan], [0, 0, 0]]}, r"position: got 1 of 6 values not finite.*\[m\]"),
        ({"time": [1, 0]}, r"got decreasing times.*\[s\]"),
        ({"rotation": [[0, 0, 0, 1], [0, 0, 0, 2]]}, "quaternion of length 2, wanted unit quaternions x, y, z, w"),
        ({"rotation": [[0, 0, 0, 1]]}, r"Trajectory.rotation: got shape \(1, 4\), wanted \(2, 4\)"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(GeometryError, match=message):
        Trajectory(**{"time": [0, 1], "position": [[0, 0, 0], [1, 0, 0]], **fields})


def test_between_poses_position_is_linear_and_rotation_even():
    t = Trajectory(time=[0, 2], position=[[0, 0, 0], [4, 2, -2]], rotation=[about_y(0), about_y(1.0)])
    mid = t.at([0.5, 2])
    np.testing.assert_allclose(mid.position, [[1, 0.5, -0.5], [4, 2, -2]])
    np.testing.assert_allclose(mid.rotation, [about_y(0.25), about_y(1.0)], atol=1e-12)
    np.testing.assert_array_equal(mid.time, [0.5, 2])
    with pytest.raises(GeometryError, match=r"got times 2\.5 to 2\.5 s, wanted them within 0 to 2 s"):
        t.at(2.5)


def test_at_takes_the_short_way_round_and_a_single_pose():
    t = Trajectory(time=[0, 1], position=np.zeros((2, 3)), rotation=[about_y(0.2), -np.array(about_y(0.4))])
    np.testing.assert_allclose(np.abs(t.at([0.5]).rotation), np.abs([about_y(0.3)]), atol=1e-12)
    one = Trajectory(time=[3], position=[[1, 2, 3]])
    np.testing.assert_array_equal(one.at([3, 3]).position, [[1, 2, 3]] * 2)


@given(delay=st.floats(0, 4.9e-3), speed=st.floats(-1, 1), n=st.integers(2, 20))
def test_after_continues_a_straight_run(delay, speed, n):
    t = Trajectory.linear(n, speed * 5e-3 if speed else 0.0)
    late = t.after(delay)
    np.testing.assert_allclose(late.position[:, 0], t.position[:, 0] + speed * delay, atol=1e-12)
    np.testing.assert_allclose(late.time, t.time + delay)


def test_after_uses_the_step_before_a_pause_and_at_the_end():
    """One-way rows: the last position of a row moves on as the row did, not towards the next row."""
    t = Trajectory.raster((2, 4), (1e-3, 10e-3), serpentine=False, period=1e-3)
    late = t.after(0.5e-3)
    np.testing.assert_allclose(late.position - t.position, [[0.5e-3, 0, 0]] * 8, atol=1e-12)


def test_after_turns_the_board_too():
    angles = [0.0, 0.1, 0.2]
    t = Trajectory(time=[0, 1, 2], position=np.zeros((3, 3)), rotation=[about_y(a) for a in angles])
    np.testing.assert_allclose(t.after(0.5).rotation, [about_y(a + 0.05) for a in angles], atol=1e-9)


def test_after_leaves_resting_poses_alone():
    one = Trajectory(time=[0], position=[[1, 2, 3]])
    np.testing.assert_array_equal(one.after(1.0).position, one.position)
    same = Trajectory(time=[0, 0], position=[[0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(same.after(1.0).position, same.position)


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    step=st.tuples(st.floats(1e-4, 1e-2), st.floats(1e-4, 1e-2)),
    serpentine=st.booleans(),
)
def test_raster_visits_a_centred_lattice_once(shape, step, serpentine):
    t = Trajectory.raster(shape, step, serpentine=serpentine, z=0.1)
    n_y, n_x = shape
    assert len(t) == n_y * n_x
    assert len(np.unique(np.round(t.position / min(step) * 1e3).astype(int), axis=0)) == n_y * n_x
    np.testing.assert_allclose(t.position.mean(axis=0), [0, 0, 0.1], atol=1e-12)
    np.testing.assert_allclose(
        np.ptp(t.position[:, :2], axis=0), ((n_x - 1) * step[0], (n_y - 1) * step[1]), atol=1e-12
    )
    assert (np.diff(t.position[:, 1]) >= 0).all()


def test_serpentine_turns_back_on_every_second_row():
    x = Trajectory.raster((2, 3), (1.0, 1.0)).position[:, 0]
    np.testing.assert_array_equal(x, [-1, 0, 1, 1, 0, -1])
    one_way = Trajectory.raster((2, 3), (1.0, 1.0), serpentine=False)
    np.testing.assert_array_equal(one_way.position[:, 0], [-1, 0, 1, -1, 0, 1])
    assert np.diff(one_way.time)[2] > 2 * np.diff(one_way.time)[0]


def test_linear_runs_along_its_axis():
    np.testing.assert_allclose(
        Trajectory.linear(3, 2e-3, axis="y", z=0.5).position, [[0, y, 0.5] for y in (-2e-3, 0, 2e-3)]
    )
    with pytest.raises(GeometryError, match="axis: got 'z', wanted x or y"):
        Trajectory.linear(3, 1e-3, axis="z")


def test_freehand_is_seeded_bounded_and_smooth():
    kw = {"motion": (1e-3, 2e-3, 15e-3), "rotation": 0.05}
    hand = Trajectory.freehand((10, 50), (1e-3, 7e-3), **kw, seed=4)
    base = Trajectory.raster((10, 50), (1e-3, 7e-3))
    wander = hand.position - base.position
    np.testing.assert_allclose(np.abs(wander).max(axis=0), kw["motion"])
    assert np.abs(np.diff(wander[:, 2])).max() < 0.25 * 15e-3
    assert hand.is_rotated
    assert np.abs(2 * np.arcsin(hand.rotation[:, :3])).max() <= 0.0501
    again = Trajectory.freehand((10, 50), (1e-3, 7e-3), **kw, seed=4)
    np.testing.assert_array_equal(hand.position, again.position)
    np.testing.assert_array_equal(hand.rotation, again.rotation)
    assert not np.array_equal(hand.position, Trajectory.freehand((10, 50), (1e-3, 7e-3), **kw, seed=5).position)
    assert not Trajectory.freehand((3, 5), (1e-3, 7e-3)).is_rotated


def test_turntable_circles_the_axis_and_looks_at_it():
    t = Trajectory.turntable(8, 0.25, heights=[-0.01, 0.03])
    assert len(t) == 16
    np.testing.assert_allclose(np.hypot(t.position[:, 0], t.position[:, 2]), 0.25)
    np.testing.assert_allclose(t.position[:, 1], np.repeat([-0.01, 0.03], 8))
    np.testing.assert_allclose(t.position[0], [0, -0.01, -0.25], atol=1e-12)
    towards = -t.position * [1, 0, 1] / 0.25
    np.testing.assert_allclose(t.matrices()[:, :, 2], towards, atol=1e-12)
    np.testing.assert_allclose(t.matrices()[:, :, 1], np.broadcast_to([0, 1, 0], (16, 3)), atol=1e-12)
    np.testing.assert_allclose(t.matrices()[0], np.eye(3), atol=1e-12)


def board_angle(trajectory):
    return np.unwrap(np.arctan2(trajectory.position[:, 2], trajectory.position[:, 0]))


@given(
    angles=st.lists(st.floats(0, 6.2), min_size=1, max_size=9),
    start=st.floats(-3, 3),
    direction=st.sampled_from([1, -1]),
    offset=st.tuples(*[st.floats(-0.05, 0.05)] * 3),
)
def test_offsets_of_the_board_turn_with_it(angles, start, direction, offset):
    """A table turned by t brings a target point to where the still radar sees it as the moved board does."""
    radius, point = 0.3, np.array([0.04, 0.02, -0.03])
    t = Trajectory.turntable(angles, radius, heights=[0.01], start=start, direction=direction)
    seen = np.einsum("nij,j->ni", t.matrices(), offset) + t.position
    still = Trajectory.turntable([0.0], radius, heights=[0.01], start=start)
    element = still.matrices()[0] @ offset + still.position[0]
    for moved, angle in zip(seen, angles, strict=True):
        c, s = np.cos(direction * angle), np.sin(direction * angle)
        turned = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ point
        assert np.linalg.norm(moved - point) == pytest.approx(np.linalg.norm(element - turned), abs=1e-12)


def test_turntable_angles_run_in_the_direction_that_is_asked_for():
    arc = Trajectory.turntable(5, 0.2, start=0.5, span=1.0, direction=-1)
    np.testing.assert_allclose(board_angle(arc), 0.5 - np.arange(5) / 5)
    listed = Trajectory.turntable([0.0, 0.1, 0.4], 0.2, start=0.5)
    np.testing.assert_allclose(board_angle(listed), [0.5, 0.6, 0.9])
    np.testing.assert_allclose(
        Trajectory.turntable(6, 0.2).position, Trajectory.turntable(np.arange(6) * np.pi / 3, 0.2).position, atol=1e-15
    )


def test_turns_and_lifts_are_the_same_places_in_another_order():
    kw = {"heights": [0.0, 0.01, 0.03], "span": 1.0}
    turns, lifts = (Trajectory.turntable(4, 0.2, fastest=f, **kw) for f in ("angle", "height"))
    np.testing.assert_allclose(
        turns.position.reshape(3, 4, 3), lifts.position.reshape(4, 3, 3).swapaxes(0, 1), atol=1e-15
    )
    np.testing.assert_allclose(lifts.position[:3, 1], [0.0, 0.01, 0.03])


@pytest.mark.parametrize("fastest", ["angle", "height"])
def test_a_slot_later_the_board_went_on_as_it_did_before_the_pause(fastest):
    """The last angle of a turn moves on along the circle (a lift along y), not towards the next turn."""
    t = Trajectory.turntable(40, 0.25, heights=np.arange(5) * 4e-3, span=0.2, fastest=fastest)
    moved = t.after(2.5e-3).position - t.position
    if fastest == "angle":
        np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 0.25 * 0.2 / 40 / 2, rtol=1e-4)
        np.testing.assert_allclose(moved[:, 1], 0, atol=1e-12)
    else:
        np.testing.assert_allclose(moved, np.tile([0, 2e-3, 0], (200, 1)), atol=1e-12)


def test_around_takes_any_angles_and_heights():
    angle = np.linspace(0, 6 * np.pi, 200)
    helix = Trajectory.around(angle, 0.2, height=1e-3 * angle, time=angle)
    np.testing.assert_allclose(board_angle(helix), angle, atol=1e-12)
    np.testing.assert_allclose(helix.position[:, 1], 1e-3 * helix.time)
    np.testing.assert_allclose(np.hypot(helix.position[:, 0], helix.position[:, 2]), 0.2)
    np.testing.assert_allclose(Trajectory.around([0.0, 1.0], 0.2, height=0.1).position[:, 1], 0.1)


@pytest.mark.parametrize(
    "angle",
    [
        np.deg2rad(np.arange(3600)),
        np.deg2rad(1000 + np.arange(60)),
        np.arange(30) * 2.4 % (2 * np.pi),
        [2 * np.pi, 0.0],
        np.pi + np.arange(30) * 2.4 % (2 * np.pi),
        [-6.2],
    ],
    ids=["helix", "late start", "any order", "a turn", "any order from behind", "one"],
)
def test_radians_of_many_turns_are_not_taken_for_degrees(angle):
    assert len(Trajectory.around(angle, 0.25)) == len(angle)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Trajectory.turntable(8, 0), "radius: got 0, wanted more than 0"),
        (lambda: Trajectory.turntable(8, -0.25), "radius: got -0.25, wanted more than 0"),
        (lambda: Trajectory.turntable(0, 0.25), "angles: got 0, wanted a whole number >= 1"),
        (lambda: Trajectory.turntable([], 0.25), r"angles: got shape \(0,\)"),
        (lambda: Trajectory.turntable([0.0, np.nan], 0.25), "angles: got 1 of 2 values not finite"),
        (lambda: Trajectory.turntable(8, 0.25, heights=[]), r"heights: got shape \(0,\)"),
        (
            lambda: Trajectory.turntable(np.arange(360), 0.25),
            r"angles: got angles up to 359, wanted radians \(a turn is 6.28\); use numpy.deg2rad",
        ),
        (lambda: Trajectory.turntable(8, 0.25, start=-90), "start: got -90, wanted radians"),
        (lambda: Trajectory.turntable(8, 0.25, span=360), "span: got 360, wanted radians"),
        (lambda: Trajectory.turntable(8, 0.25, span=0), "span: got 0, wanted more than 0"),
        (lambda: Trajectory.turntable([0.0, 0.1], 0.25, span=1), "both a list of angles and a span"),
        (lambda: Trajectory.turntable(8, 0.25, direction=0), r"direction: got 0, wanted \+1 or -1"),
        (lambda: Trajectory.turntable(8, 0.25, fastest="y"), "fastest: got 'y', wanted one of angle, height"),
        (lambda: Trajectory.around([0.0, 0.1], 0.25, height=[0.0]), r"height: got shape \(1,\), wanted \(2\)"),
        (lambda: Trajectory.around([0.0], 0.0), "Trajectory.around radius: got 0"),
        (
            lambda: Trajectory.around(np.arange(0, 90, 0.25), 0.25),
            r"around angle: got angles up to 89.75 in steps of 0.25, wanted radians \(a turn is 6.28\); use numpy",
        ),
        (lambda: Trajectory.around(np.tile([0.0, 90.0, 180.0, 270.0], 3), 0.25), "got angles up to 270 in steps of 90"),
        (lambda: Trajectory.around([-90.0], 0.25), "got angles up to -90, wanted radians"),
    ],
)
def test_a_turntable_that_cannot_be(build, message):
    with pytest.raises(GeometryError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)
