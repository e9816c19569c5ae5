"""Phase centres about the y axis, and the compensation of antenna pairs on a cylinder."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Chirp, Scan, Trajectory
from mmsar.model.scan import Geometry
from mmsar.signal.cylinder import cylinder_of, cylinder_path_difference, on_cylinder

CHIRP = Chirp.stepped(77e9, 4e9 / 16, 16)
LAM = 299792458.0 / 79e9


def geometry_of(array, trajectory):
    signal = np.zeros((len(trajectory), array.n_tx, array.n_rx, 16), np.complex64)
    return Scan(signal=signal, chirp=CHIRP, array=array, trajectory=trajectory).geometry


def phase_error(geometry, point, phase, centre=(0.0, 0.0, 0.0)):
    """Phase that is left of a point after the compensation, at the middle wavenumber [deg], one value a channel."""
    cylinder = cylinder_of(geometry)
    taken = cylinder_path_difference(geometry, cylinder, centre=centre, phase=phase)
    legs = sum(np.linalg.norm(np.array(point) - p, axis=-1) for p in (geometry.tx_position, geometry.rx_position))
    left = legs - taken - 2 * np.linalg.norm(np.array(point) - on_cylinder(cylinder), axis=-1)
    return np.rad2deg(CHIRP.k.mean() * left)


@given(st.floats(-7, 7), st.integers(8, 40), st.floats(0.1, 0.6))
def test_a_closed_ring_from_any_start(start, n, radius):
    cylinder = cylinder_of(geometry_of(AntennaArray.single(), Trajectory.turntable(n, radius, start=start)))
    assert cylinder.radius == pytest.approx(radius) and cylinder.deviation < 1e-12
    assert cylinder.closed and cylinder.span == 2 * np.pi
    assert cylinder.step == pytest.approx(2 * np.pi / n, rel=1e-6)


@given(st.floats(-7, 7), st.floats(0.2, 5.0))
def test_an_arc_from_any_start(start, span):
    cylinder = cylinder_of(geometry_of(AntennaArray.single(), Trajectory.turntable(60, 0.25, start=start, span=span)))
    assert not cylinder.closed
    assert cylinder.span == pytest.approx(span * 59 / 60, rel=1e-9)


def test_taylor_is_the_papers_term():
    """The paper's d_y^2 / 4 R0 for a board that stands upright."""
    geometry = geometry_of(AntennaArray.iwr1443(), Trajectory.turntable(7, 0.25))
    cylinder = cylinder_of(geometry)
    separation = geometry.tx_position - geometry.rx_position
    taken = cylinder_path_difference(geometry, cylinder, phase="taylor")
    np.testing.assert_allclose(taken, separation[..., 1] ** 2 / (4 * 0.25), atol=1e-12)
    exact = cylinder_path_difference(geometry, cylinder, phase="reference")
    np.testing.assert_allclose(taken, exact, atol=1e-6)


def test_antennas_beside_and_behind_each_other():
    """Separations along the circle, and a board farther out than the reference: exact for the axis."""
    board = AntennaArray(tx=[[0.006, 0.01, 0.004]], rx=[[-0.006, -0.002, 0.004], [0.003, 0.0, -0.004]])
    geometry = geometry_of(board, Trajectory.turntable(9, 0.25))
    assert np.abs(phase_error(geometry, (0, 0, 0), "reference")).max() < 1e-6
    assert np.abs(phase_error(geometry, (0, 0, 0), "taylor")).max() < 5
    untouched = np.abs(np.rad2deg(CHIRP.k.mean() * cylinder_path_difference(geometry, cylinder_of(geometry))))
    assert untouched.max() > 90, "there is something to compensate"


def test_residual_of_the_iwr1443_stays_small():
    """algorithms: under 25 degrees to 100 mm radius at 0.25 m, about 8 at 50 mm and 21 at 100 mm towards the radar."""
    geometry = geometry_of(AntennaArray.iwr1443(), Trajectory.turntable(1, 0.25))
    for rho, degrees in ((0.05, 8), (0.1, 21)):
        nearer = phase_error(geometry, (0, 0, -rho), "taylor")
        assert np.abs(nearer).max() == pytest.approx(degrees, abs=2)
        assert np.abs(phase_error(geometry, (0, 0, rho), "taylor")).max() < 10
    for angle in np.linspace(0, 2 * np.pi, 13):
        point = (0.1 * np.cos(angle), 0.0, 0.1 * np.sin(angle))
        assert np.abs(phase_error(geometry, point, "reference")).max() < 25


def test_channels_without_weight_do_not_count():
    good = Trajectory.turntable(12, 0.25).position
    points = np.concatenate([good, [[1.0, 0, 0], [0, 0, 0]]])[:, None, None, :]
    weight = np.ones((14, 1, 1))
    weight[12:] = 0
    cylinder = cylinder_of(Geometry(chirp=CHIRP, tx_position=points, rx_position=points, weight=weight))
    assert cylinder.radius == pytest.approx(0.25) and cylinder.closed


def test_one_angle_and_antennas_on_the_axis():
    cylinder = cylinder_of(geometry_of(AntennaArray.single(), Trajectory.turntable(1, 0.25, heights=[0, 0.01])))
    assert cylinder.step == 0 and cylinder.span == 0 and not cylinder.closed
    with pytest.raises(GeometryError, match="on the axis of rotation"):
        cylinder_of(geometry_of(AntennaArray.single(), Trajectory.linear(3, 0.01, axis="y")))
