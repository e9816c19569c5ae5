"""Phase centres round the y axis: what counts as round, where the circle is cut, and how it unrolls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Chirp, Geometry, Scan, Trajectory
from mmsar.signal.cylinder import cylinder_of, round_of, unrolled

CHIRP = Chirp.stepped(77e9, 1e9, 4)


def geometry_of(trajectory: Trajectory, array: AntennaArray | None = None, **changes) -> Geometry:
    array = array or AntennaArray.single()
    signal = np.zeros((len(trajectory), array.n_tx, array.n_rx, 4), np.complex64)
    return Scan(signal=signal, chirp=CHIRP, array=array, trajectory=trajectory, **changes).geometry


def moved(trajectory: Trajectory, by: tuple[float, float, float]) -> Trajectory:
    return Trajectory(time=trajectory.time, position=trajectory.position + by, rotation=trajectory.rotation)


def jittered(sigma: float) -> Trajectory:
    base = Trajectory.turntable(300, 0.25, heights=[0.0, 0.02])
    noise = np.random.default_rng(1).normal(0, sigma, base.position.shape)
    return Trajectory(time=base.time, position=base.position + noise, rotation=base.rotation)


ROUND = {
    "a full circle": Trajectory.turntable(200, 0.25),
    "a small circle of turns": Trajectory.turntable(30, 0.1, heights=np.arange(5) * 4e-3),
    "an arc of 60 degrees": Trajectory.turntable(100, 0.25, span=np.pi / 3, heights=np.arange(9) * 1e-3),
    "an arc of 3.4 degrees": Trajectory.turntable(300, 1.0, span=np.deg2rad(3.375)),
    "a circle off its axis by 5 mm": moved(Trajectory.turntable(200, 0.25), (3e-3, 0, 4e-3)),
    "a shaking circle": jittered(2e-3),
    "a helix": Trajectory.around(np.linspace(0, 12 * np.pi, 900), 0.25, height=np.linspace(-0.1, 0.1, 900)),
    "lifts": Trajectory.turntable(60, 0.3, heights=np.arange(20) * 1e-3, fastest="height"),
}
FLAT = {
    "a raster before the axis": Trajectory.raster((21, 81), (2.5e-3, 10e-3), z=-0.3),
    "a raster off to the side": moved(Trajectory.raster((5, 81), (2.5e-3, 10e-3)), (0.2, 0, -0.3)),
    "a small raster far away": Trajectory.raster((5, 21), (1e-3, 1e-3), z=-1.0),
    "a raster round the origin": Trajectory.raster((20, 20), (2e-3, 2e-3)),
    "a raster with the origin": Trajectory.raster((21, 21), (2e-3, 2e-3)),
    "a very wide line": Trajectory.linear(1000, 1e-3, z=-0.3),
    "a lift": Trajectory.linear(100, 1e-3, axis="y", z=-0.3),
    "a lift on the axis": Trajectory.linear(100, 1e-3, axis="y"),
    "two columns": Trajectory.raster((30, 2), (60e-3, 2e-3), z=-0.3),
    "a hand": Trajectory.freehand((10, 60), (3e-3, 7e-3), rotation=0.1, seed=1),
    "a hand before the axis": moved(Trajectory.freehand((10, 60), (3e-3, 7e-3), seed=2), (0, 0, -0.3)),
    "one place": Trajectory(time=[0.0], position=[[0.0, 0.0, 0.0]]),
    "one place before the axis": Trajectory.turntable(1, 0.25),
}


@pytest.mark.parametrize("array", [AntennaArray.single(), AntennaArray.iwr1443(3)], ids=["single", "mimo"])
@pytest.mark.parametrize("name", [*ROUND, *FLAT])
def test_what_goes_round_the_axis(name, array):
    geometry = geometry_of({**ROUND, **FLAT}[name], array)
    assert (round_of(geometry) is not None) == (name in ROUND)


def test_two_angles_are_no_arc():
    assert round_of(geometry_of(Trajectory.turntable(2, 0.25, heights=[0.0, 0.1]))) is None


def test_an_array_across_the_motion_and_lost_poses():
    """Elements 20 mm to the sides of the board, all facing the axis; and poses with wild places that are not valid."""
    wide = AntennaArray(tx=[[-0.04, 0, 0], [0.04, 0, 0]], rx=[[0.0, 0, 0]])
    assert round_of(geometry_of(Trajectory.turntable(100, 0.25), wide)) is not None
    wild = Trajectory.turntable(100, 0.25)
    position = wild.position.copy()
    position[::7] = [0.0, 0.0, 0.01]
    valid = np.ones(100, dtype=bool)
    valid[::7] = False
    wild = Trajectory(time=wild.time, position=position, rotation=wild.rotation)
    assert round_of(geometry_of(wild)) is None and round_of(geometry_of(wild, valid=valid)) is not None


def test_circles_with_every_turn_at_angles_of_its_own_are_closed():
    """Angles of 16 turns together are 16 times finer than those of one: their gaps are many of the median step."""
    rng = np.random.default_rng(0)
    angle = np.concatenate([(np.arange(360) + rng.uniform(-0.3, 0.3, 360)) * np.pi / 180 for _ in range(16)])
    cylinder = round_of(geometry_of(Trajectory.around(angle, 0.25, height=np.repeat(np.arange(16) * 1e-3, 360))))
    assert cylinder.closed
    assert not round_of(geometry_of(Trajectory.turntable(350, 0.25, span=np.deg2rad(350)))).closed


@given(start=st.floats(-3.1, 3.1), span=st.floats(0.1, 5.0), radius=st.floats(0.05, 2.0))
def test_an_arc_unrolls_without_a_seam(start, span, radius):
    trajectory = Trajectory.turntable(40, radius, heights=[0.0, 0.03], start=start, span=span)
    flat = unrolled(cylinder_of(geometry_of(trajectory)))[:, 0, 0].reshape(2, 40, 3)
    np.testing.assert_allclose(np.diff(flat[..., 0]), radius * span / 40, rtol=1e-6)
    np.testing.assert_allclose(flat[..., 1], [[0.0] * 40, [0.03] * 40], atol=1e-12)
    np.testing.assert_allclose(flat[..., 2], 0, atol=1e-12)


def test_a_circle_is_cut_between_two_angles():
    cylinder = cylinder_of(geometry_of(Trajectory.turntable(36, 0.2, start=-np.pi)))
    assert cylinder.closed and cylinder.step == pytest.approx(np.deg2rad(10))
    flat = np.sort(unrolled(cylinder)[:, 0, 0, 0])
    np.testing.assert_allclose(np.diff(flat), 0.2 * np.deg2rad(10))
    assert flat[0] == pytest.approx(0.2 * np.deg2rad(5))


def test_antennas_on_the_axis_have_no_angle():
    with pytest.raises(GeometryError, match="on the axis of rotation"):
        cylinder_of(geometry_of(Trajectory.linear(10, 1e-3, axis="y")))
