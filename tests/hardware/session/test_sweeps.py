"""Plans of sweeps: where they go, how long they take, what part is at speed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.session.sweeps import SETTLE, Drive, cylinder_sweeps, extent, raster_sweeps
from mmsar.model import Trajectory

DRIVE = Drive(speed=0.02, acceleration=0.2, frame_period=0.05)


def test_a_serpentine_raster_runs_to_and_fro():
    rows = raster_sweeps((3, 5), (1e-3, 8e-3), DRIVE, centre=(0.2, 0.1))
    assert [row.direction for row in rows] == [1, -1, 1]
    assert [row.others["y"] for row in rows] == pytest.approx([0.092, 0.1, 0.108])
    first = rows[0]
    assert (first.first, first.last) == pytest.approx((0.198, 0.202))
    run_up = 0.02**2 / 0.4 + 0.02 * SETTLE
    assert (first.start, first.stop) == pytest.approx((0.198 - run_up, 0.202 + run_up))
    assert first.begin() == pytest.approx({"x": 0.198 - run_up, "y": 0.092})
    assert (rows[1].start, rows[1].stop) == pytest.approx((first.stop, first.start))


def test_one_way_rows_all_run_forward():
    rows = raster_sweeps((4, 5), (1e-3, 8e-3), DRIVE, serpentine=False)
    assert {row.direction for row in rows} == {1}


@given(
    st.floats(1e-3, 0.5),
    st.floats(1e-2, 2.0),
    st.floats(1e-3, 0.2),
    st.integers(2, 50),
    st.floats(1e-4, 1e-2),
)
def test_the_used_part_is_driven_at_speed(speed, acceleration, period, columns, step):
    drive = Drive(speed=speed, acceleration=acceleration, frame_period=period)
    (row,) = raster_sweeps((1, columns), (step, 0.0), drive)
    way = abs(row.first - row.start)
    reached = np.sqrt(2 * acceleration * way)
    assert reached >= speed * (1 - 1e-9)
    before = (way - speed**2 / (2 * acceleration)) / speed
    assert before == pytest.approx(max(period, SETTLE), rel=1e-6)
    total = abs(row.stop - row.start)
    assert drive.sweep_time(row) >= total / speed


@given(st.floats(1e-6, 1.0), st.floats(1e-3, 0.5), st.floats(1e-2, 2.0))
def test_move_time_is_that_of_the_trapezoid(distance, speed, acceleration):
    drive = Drive(speed=speed, acceleration=acceleration, frame_period=0.01)
    time = drive.move_time(distance)
    t = np.linspace(0, time, 20001)
    v = np.minimum(np.minimum(acceleration * t, acceleration * (time - t)), speed)
    assert np.sum((v[1:] + v[:-1]) / 2) * (t[1] - t[0]) == pytest.approx(distance, rel=1e-3)


def test_a_step_raster_halts_at_every_position():
    drive = Drive(speed=0.02, acceleration=0.2, frame_period=0.05, mode="step", dwell=0.1)
    rows = raster_sweeps((2, 4), (1e-3, 1e-3), drive)
    assert rows[0].stops == pytest.approx((-1.5e-3, -0.5e-3, 0.5e-3, 1.5e-3))
    assert rows[1].stops == pytest.approx(rows[0].stops[::-1])
    assert rows[0].start == rows[0].first
    assert drive.sweep_time(rows[0]) == pytest.approx(4 * 0.1 + 3 * drive.move_time(1e-3))


def test_a_cylinder_has_the_angles_of_the_turntable_trajectory():
    drive = Drive(speed=np.deg2rad(10), acceleration=np.deg2rad(50), frame_period=0.05)
    turns = cylinder_sweeps(8, drive, heights=[0.0, 0.01])
    assert [turn.others["y"] for turn in turns] == [0.0, 0.01]
    assert turns[0].last == pytest.approx(2 * np.pi * 7 / 8)
    assert turns[1].first == pytest.approx(turns[0].last)
    assert extent(turns)["y"] == (0.0, 0.01)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Drive(speed=0, acceleration=1, frame_period=1), r"Drive.speed: got 0, wanted more than 0"),
        (lambda: Drive(speed=1, acceleration=1, frame_period=1, mode="fly"), "wanted one of continuous, step"),
        (lambda: Drive(speed=1, acceleration=1, frame_period=1, mode="step", dwell=1), "two frame periods"),
        (lambda: raster_sweeps((0, 3), (1, 1), DRIVE), "raster rows: got 0"),
        (lambda: raster_sweeps((2, 3), (1e-3, 0), DRIVE), "raster step_y: got 0"),
        (lambda: raster_sweeps((2, 1), (1e-3, 1e-3), DRIVE), "columns: got 1"),
        (lambda: cylinder_sweeps(1, DRIVE), "cylinder: got 1 angles"),
        (lambda: cylinder_sweeps(100, DRIVE, span=360.0), "wanted 2 or more within 360"),
    ],
)
def test_what_cannot_be_driven_is_refused(build, message):
    with pytest.raises(GeometryError, match=message):
        build()


def test_worlds_agree_with_the_trajectories_of_the_model():
    from mmsar.hardware.session.world import CylinderWorld, PlanarWorld

    ideal = Trajectory.raster((3, 5), (1e-3, 8e-3))
    drive = Drive(speed=0.02, acceleration=0.2, frame_period=0.05, mode="step", dwell=0.2)
    rows = raster_sweeps((3, 5), (1e-3, 8e-3), drive, centre=(0.2, 0.1))
    x = np.concatenate([row.stops for row in rows])
    y = np.repeat([row.others["y"] for row in rows], 5)
    position, rotation = PlanarWorld(centre=(0.2, 0.1, 0.0)).poses({"x": x, "y": y})
    np.testing.assert_allclose(position, ideal.position, atol=1e-12)
    np.testing.assert_allclose(rotation, ideal.rotation)
    mirrored, _ = PlanarWorld(centre=(0.2, 0.1, 0.0), sign=(-1, 1, 1), z=0.01).poses({"x": x, "y": y})
    np.testing.assert_allclose(mirrored, ideal.position * [-1, 1, 1] + [0, 0, 0.01], atol=1e-12)

    turn = Trajectory.turntable(16, 0.25, heights=[0.0, 0.01])
    angle = np.tile(2 * np.pi * np.arange(16) / 16, 2)
    position, rotation = CylinderWorld(radius=0.25).poses({"angle": angle, "y": np.repeat([0.0, 0.01], 16)})
    np.testing.assert_allclose(position, turn.position, atol=1e-12)
    same = np.abs(np.sum(rotation * turn.rotation, axis=1))
    np.testing.assert_allclose(same, 1, atol=1e-12)


@given(st.floats(-np.pi, np.pi))
def test_turning_the_target_is_moving_the_board_the_other_way(theta):
    """A target point p turned by theta about +y is as far from the still board as p from the moved one."""
    from mmsar.hardware.session.world import CylinderWorld

    p = np.array([0.03, 0.01, -0.02])
    c, s = np.cos(theta), np.sin(theta)
    turned = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ p
    still = np.array([0.0, 0.0, -0.25])
    moved, _ = CylinderWorld(radius=0.25).poses({"angle": np.array([theta])})
    assert np.linalg.norm(moved[0] - p) == pytest.approx(np.linalg.norm(still - turned), abs=1e-12)


def test_worlds_refuse_other_axes():
    from mmsar.hardware.session.world import CylinderWorld, PlanarWorld

    with pytest.raises(GeometryError, match="stage axes: got angle, wanted some of x, y, z"):
        PlanarWorld().poses({"angle": np.zeros(2)})
    with pytest.raises(GeometryError, match="as many for every axis"):
        CylinderWorld(radius=0.2).poses({"angle": np.zeros(2), "y": np.zeros(3)})
    with pytest.raises(GeometryError, match="radius: got 0"):
        CylinderWorld(radius=0.0)
