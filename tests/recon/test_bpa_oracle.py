"""The float64 back-projection sum against plain numpy and against what it must show of a point."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa


def brute_force(signal, geometry, points):
    out = np.zeros(len(points), dtype=complex)
    for i, r in enumerate(np.asarray(points)):
        path = np.linalg.norm(r - geometry.tx_position, axis=-1) + np.linalg.norm(r - geometry.rx_position, axis=-1)
        turn = np.exp(-1j * geometry.chirp.k * path[..., None])
        weight = geometry.weight[..., None] * geometry.frequency_weight
        out[i] = np.sum(weight * signal * turn)
    return out / geometry.norm


def echo(geometry, point, sigma=1.0, polarity=1.0):
    path = np.linalg.norm(point - geometry.tx_position, axis=-1) + np.linalg.norm(point - geometry.rx_position, axis=-1)
    return (polarity * sigma * np.exp(1j * geometry.chirp.k * path[..., None])).astype(np.complex64)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(0, 2**31),
)
def test_exact_equals_numpy(n_pose, n_tx, n_rx, n_samples, seed):
    rng = np.random.default_rng(seed)
    shape = (n_pose, n_tx, n_rx)
    weight = rng.choice([-1.0, 0.0, 0.5, 2.0], size=shape)
    weight.flat[0] = 1.0
    geometry = Geometry(
        chirp=Chirp.stepped(rng.uniform(5e9, 80e9), rng.uniform(1e7, 1e8), n_samples),
        tx_position=rng.uniform(-0.1, 0.1, (*shape, 3)),
        rx_position=rng.uniform(-0.1, 0.1, (*shape, 3)),
        weight=weight,
        frequency_weight=rng.uniform(0.1, 1, n_samples),
    )
    signal = rng.standard_normal(geometry.shape) + 1j * rng.standard_normal(geometry.shape)
    points = rng.uniform(-0.2, 0.2, (5, 3)) + np.array([0, 0, 0.4])
    wanted = brute_force(signal, geometry, points)
    got = bpa.exact(signal, geometry, points)
    assert np.abs(got - wanted).max() <= 1e-10 * np.abs(signal).sum() / geometry.norm


def test_unit_point_shows_one_at_its_place_and_less_elsewhere():
    trajectory = Trajectory.freehand((6, 8), (4e-3, 8e-3), rotation=0.05, seed=3)
    array = AntennaArray(tx=[[0, 0.01, 0], [0, 0.0176, 0]], rx=[[0, 0, 0], [0, 0.0019, 0]], polarity=[[1, -1], [-1, 1]])
    chirp = Chirp.stepped(77e9, 6.25e7, 16)
    scan = Scan(
        signal=np.zeros((48, 2, 2, 16), np.complex64),
        chirp=chirp,
        array=array,
        trajectory=trajectory,
        tx_delay=[0, 1e-3],
    )
    geometry = scan.geometry
    point = np.array([0.01, -0.02, 0.3])
    signal = echo(geometry, point, sigma=2j, polarity=array.polarity[..., None])
    shifted = point + np.array([[0, 0, 0], [0.03, 0, 0], [0, 0.03, 0]])
    got = bpa.exact(signal, geometry, shifted)
    assert got[0] == pytest.approx(2j, abs=1e-4)
    assert np.abs(got[1:]).max() < 1.0


def test_exact_image_is_indexed_z_y_x():
    geometry = Geometry(
        chirp=Chirp.stepped(77e9, 1e8, 4), tx_position=np.zeros((1, 1, 1, 3)), rx_position=np.zeros((1, 1, 1, 3))
    )
    grid = ImageGrid(shape=(2, 3, 4), origin=(0.01, -0.02, 0.3), spacing=(1e-3, 2e-3, 3e-3))
    signal = np.ones((1, 1, 1, 4), np.complex64)
    image = bpa.exact_image(signal, geometry, grid)
    assert image.shape == grid.shape
    assert image[1, 2, 3] == pytest.approx(
        bpa.exact(signal, geometry, [[grid.x[3], grid.y[2], grid.z[1]]])[0], abs=1e-12
    )


def test_wrong_shapes_are_refused():
    geometry = Geometry(
        chirp=Chirp.stepped(77e9, 1e8, 4), tx_position=np.zeros((2, 1, 1, 3)), rx_position=np.zeros((2, 1, 1, 3))
    )
    with pytest.raises(GeometryError, match=r"bpa signal.*\(2, 1, 1, 4\)"):
        bpa.exact(np.zeros((2, 1, 1, 5)), geometry, [[0, 0, 1]])
    with pytest.raises(GeometryError, match="bpa points"):
        bpa.exact(np.zeros((2, 1, 1, 4)), geometry, [[0, 1]])
