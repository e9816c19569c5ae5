"""Path differences: the Taylor formula where it holds, the reference phase exact at its point."""

import numpy as np
import pytest

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Chirp, Geometry, Scan, Trajectory
from mmsar.signal.multistatic import path_difference
from mmsar.simulate.forward import _Unwritten

CHIRP = Chirp.stepped(77e9, 4e9 / 8, 8)
K79 = 2 * np.pi * 79e9 / 299792458.0
CENTRE = (0.0, 0.0, 0.3)


def geometry(depth=0.0, rotation=None):
    array = AntennaArray.iwr1443()
    path = Trajectory(time=[0.0], position=[[0.0, 0.0, depth]], rotation=rotation)
    return Scan(signal=_Unwritten((1, 2, 4, 8)), chirp=CHIRP, array=array, trajectory=path).geometry


def residual(geometry, path, plane, offset):
    """Phase that is left [deg] for voxels in front of every phase centre, `offset` [m] beside it along y, z = 0.3 m."""
    virtual = geometry.virtual_position
    voxel = virtual + np.array([0.0, offset, 0.0])
    voxel[..., 2] = 0.3
    exact = np.linalg.norm(voxel - geometry.tx_position, axis=-1) + np.linalg.norm(
        voxel - geometry.rx_position, axis=-1
    )
    on_plane = virtual.copy()
    on_plane[..., 2] = plane
    return np.rad2deg(K79 * (exact - path - 2 * np.linalg.norm(voxel - on_plane, axis=-1)))


@pytest.mark.parametrize(("offset", "limit"), [(0.0, 2), (0.025, 2), (0.05, 2), (-0.05, 2), (0.1, 5), (-0.1, 5)])
def test_multistatic_residual_is_small(offset, limit):
    """Check 3: separations up to 18.3 mm at 0.30 m leave at most 2 degrees to 50 mm, 5 degrees at 100 mm."""
    g = geometry()
    separation = np.linalg.norm(g.tx_position - g.rx_position, axis=-1)
    assert separation.max() == pytest.approx(18.28e-3, abs=0.02e-3) and separation.min() == pytest.approx(5e-3)
    left = residual(g, path_difference(g, centre=CENTRE, z_ref=0.0, phase="taylor"), 0.0, offset)
    assert np.abs(left).max() <= limit
    if abs(offset) == 0.1:
        assert np.abs(left).max() > 2  # the limit is about something


@pytest.mark.parametrize("depth", [-15e-3, -5e-3, 5e-3, 15e-3])
@pytest.mark.parametrize("offset", [-0.01, 0.0, 0.01])
def test_projection_to_the_plane_straight_ahead(depth, offset):
    """Check 6: the paper's formula is within 4 degrees for |y| <= 10 mm and 15 mm of depth."""
    g = geometry(depth)
    left = residual(g, path_difference(g, centre=CENTRE, z_ref=0.0, phase="taylor"), 0.0, offset)
    assert np.abs(left).max() <= 4


def test_projection_fails_to_the_side():
    """The 2 dz term is the weak one: its error grows as k dz theta^2."""
    g = geometry(15e-3)
    path = path_difference(g, centre=CENTRE, z_ref=0.0, phase="taylor")
    left = {y: np.abs(residual(g, path, 0.0, y)).max() for y in (0.025, 0.05, 0.1)}
    assert left[0.025] == pytest.approx(11, abs=3) and left[0.05] == pytest.approx(39, abs=6)
    assert left[0.1] == pytest.approx(144, abs=12)


@pytest.mark.parametrize("z_ref", [None, 0.0, -0.02])
def test_reference_phase_is_exact_at_the_centre(z_ref):
    rng = np.random.default_rng(0)
    tx, rx = rng.uniform(-0.1, 0.1, (2, 6, 2, 3, 3))
    g = Geometry(chirp=CHIRP, tx_position=tx, rx_position=rx)
    centre = (0.03, -0.02, 0.35)
    path = path_difference(g, centre=centre, z_ref=z_ref, phase="reference")
    assert path.shape == (6, 2, 3)
    virtual = g.virtual_position.copy()
    if z_ref is not None:
        virtual[..., 2] = z_ref
    legs = np.linalg.norm(np.array(centre) - tx, axis=-1) + np.linalg.norm(np.array(centre) - rx, axis=-1)
    np.testing.assert_allclose(path + 2 * np.linalg.norm(np.array(centre) - virtual, axis=-1), legs, atol=1e-12)
    assert not g.virtual_position.flags.writeable or np.any(g.virtual_position[..., 2] != z_ref)


def test_both_phases_agree_for_small_separations_on_the_plane():
    g = geometry()
    taylor, reference = (path_difference(g, centre=CENTRE, z_ref=0.0, phase=p) for p in ("taylor", "reference"))
    assert np.abs(taylor - reference).max() < 2e-6
    flat = path_difference(g, centre=CENTRE, z_ref=None, phase="taylor")
    np.testing.assert_allclose(flat, taylor)
    monostatic = Geometry(chirp=CHIRP, tx_position=np.zeros((3, 1, 1, 3)), rx_position=np.zeros((3, 1, 1, 3)))
    for phase in ("taylor", "reference"):
        assert np.all(path_difference(monostatic, centre=CENTRE, z_ref=None, phase=phase) == 0)


def test_bad_input_is_refused():
    g = geometry()
    with pytest.raises(GeometryError, match="phase"):
        path_difference(g, centre=CENTRE, z_ref=0.0, phase="exact")
    with pytest.raises(GeometryError, match="in front"):
        path_difference(g, centre=CENTRE, z_ref=0.4, phase="taylor")
