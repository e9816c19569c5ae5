"""Lever arm, mounting and world against plain 4 x 4 matrices; trajectories that say which poses they know."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mmsar.errors import GeometryError
from mmsar.hardware.positions.mounting import Mounting, board_poses, board_trajectory, world_rotation
from mmsar.hardware.positions.track import PoseTrack

AXES = [sign + axis for sign in "+-" for axis in "xyz"]
vector = st.lists(st.floats(-2, 2), min_size=3, max_size=3)


def rigid(rotation: Rotation, shift) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation.as_matrix(), shift
    return matrix


@given(turns=st.lists(vector, min_size=3, max_size=3), lever=vector, place=vector, element=vector)
def test_against_matrices(turns, lever, place, element):
    body, board, world = (Rotation.from_rotvec(v) for v in turns)
    track = PoseTrack(time_ns=[0], position=[place], rotation=[body.as_quat()])
    mounting = Mounting(lever_arm=lever, rotation=board.as_quat(), world=world.as_quat())
    position, rotation = board_poses(track, mounting)
    got = position[0] + Rotation.from_quat(rotation[0]).apply(element)
    wanted = rigid(world, [0, 0, 0]) @ rigid(body, place) @ rigid(board, lever) @ [*element, 1]
    np.testing.assert_allclose(got, wanted[:3], atol=1e-12)


@pytest.mark.parametrize("up", AXES)
@pytest.mark.parametrize("look", AXES)
def test_worlds(up, look):
    if up[1] == look[1]:
        with pytest.raises(GeometryError, match="two different axes"):
            world_rotation(up=up, look=look)
        return
    turn = Rotation.from_quat(world_rotation(up=up, look=look))
    unit = {name: np.eye(3)["xyz".index(name[1])] * (-1 if name[0] == "-" else 1) for name in (up, look)}
    np.testing.assert_allclose(turn.apply(unit[up]), [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(turn.apply(unit[look]), [0, 0, 1], atol=1e-12)
    assert np.linalg.det(turn.as_matrix()) == pytest.approx(1)


def test_a_camera_that_looks_along_minus_z():
    """Motive, ARKit, T265: y up, -z ahead, x to the right; in the project x is to the left of one who looks along."""
    turn = Rotation.from_quat(world_rotation(up="+y", look="-z"))
    np.testing.assert_allclose(turn.apply([1, 2, 3]), [-1, 2, -3], atol=1e-12)


@pytest.mark.parametrize("text", ["y", "+w", "++y", "", "+Y"])
def test_axes_that_are_none(text):
    with pytest.raises(GeometryError, match="wanted an axis with its sign"):
        world_rotation(up=text, look="+z")


def test_one_degree_at_ten_centimetres():
    q = Rotation.from_rotvec([[0, 0, 0], [0, np.radians(1), 0]]).as_quat()
    track = PoseTrack(time_ns=[0, 1], position=np.zeros((2, 3)), rotation=q)
    position, _ = board_poses(track, Mounting(lever_arm=(0.1, 0, 0)))
    assert np.linalg.norm(position[1] - position[0]) == pytest.approx(1.745e-3, rel=1e-3)


def test_trajectory_of_a_hand(hand):
    track = hand.track().masked(np.arange(200, 220))
    turn = Rotation.from_rotvec([0.1, 0.2, -0.3])
    mounting = Mounting(lever_arm=(0.05, -0.02, 0.1), rotation=turn.as_quat(), world=world_rotation(up="+y", look="-z"))
    wanted = np.arange(track.time_ns[0] - 50_000_000, track.time_ns[-1] + 50_000_000, 3_333_333)
    trajectory, valid = board_trajectory(track, mounting, wanted)
    np.testing.assert_array_equal(valid, track.at(wanted).valid)
    assert 0 < np.count_nonzero(~valid) < len(valid)
    np.testing.assert_allclose(trajectory.time, (wanted - wanted[0]) / 1e9)
    s = (wanted[valid] - hand.start) / 1e9
    world, body = Rotation.from_quat(mounting.world), hand.rotation(s)
    expected = world.apply(hand.position(s) + body.apply(mounting.lever_arm.copy()))
    assert np.linalg.norm(trajectory.position[valid] - expected, axis=1).max() < 0.02e-3
    assert (Rotation.from_quat(trajectory.rotation[valid]).inv() * (world * body * turn)).magnitude().max() < 2e-4
    for i in np.flatnonzero(~valid):
        away = np.abs(wanted[valid] - wanted[i])
        nearest = trajectory.position[valid][away == away.min()]
        assert (trajectory.position[i] == nearest).all(axis=1).any()


def test_times_beside_the_track(hand):
    track = hand.track()
    with pytest.raises(
        GeometryError, match=r"got times 9.999 to 10.000 s .*it lasts 3.992 s\); check clock and offset"
    ):
        board_trajectory(track, Mounting(), track.time_ns[0] + np.array([9_999, 10_000]) * 10**6)


def test_a_marker_alone_has_no_lever():
    q = np.tile([0, 0, 0, 1.0], (2, 1))
    track = PoseTrack(time_ns=[0, 1], position=np.ones((2, 3)), rotation=q, rotation_measured=False, source="m1")
    for mounting in (Mounting(lever_arm=(0, 0, 0.1)), Mounting(rotation=[0, 1, 0, 0])):
        with pytest.raises(GeometryError, match="m1 has no rotation; track a rigid body"):
            board_poses(track, mounting)
    position, _ = board_poses(track, Mounting(world=world_rotation(up="+z", look="+x")))
    np.testing.assert_allclose(position, 1, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lever_arm": (0, 0)}, "lever_arm: got shape"),
        ({"lever_arm": (0, 0, np.nan)}, "not finite"),
        ({"rotation": (0, 0, 0, 2)}, "rotation: got length 2"),
        ({"world": (0, 0, 0, 0)}, "world: got length 0"),
    ],
)
def test_mountings_that_are_none(changes, message):
    with pytest.raises(GeometryError, match=message):
        Mounting(**changes)
