"""The forward model's kernel against the CPU's: everything a simulation can include."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.model import AntennaArray, Chirp, Scan, Trajectory
from mmsar.simulate import forward as model
from mmsar.simulate.pattern import Pattern
from mmsar.simulate.scene import Scene

SCENE_OPTIONS = {
    "phases": {},
    "spreading": {"amplitude": True},
    "element": {"pattern": 1.5},
    "table": {"pattern": Pattern(exponent=0.5, table=np.random.default_rng(0).uniform(0.5, 1, (7, 12)))},
    "residual video phase": {"rvp": True},
}


@pytest.fixture
def both(device, monkeypatch):
    """both(scene, **options): samples by the device and by the CPU."""
    monkeypatch.setattr(model, "open_devices", lambda name: [] if name == "cpu" else [device] * name.count("cuda"))

    def run(scene, name="cuda:0", n_samples=40, **options):
        chirp, array = Chirp.stepped(77e9, 4e9 / n_samples, n_samples), AntennaArray.iwr1443()
        trajectory = Trajectory.freehand((2, 3), (2e-2, 2e-2), motion=(1e-3, 1e-3, 8e-3), rotation=0.1, seed=1)
        shape = (len(trajectory), array.n_tx, array.n_rx, n_samples)
        scan = Scan(signal=np.zeros(shape, np.complex64), chirp=chirp, array=array, trajectory=trajectory)
        wanted = model.SimulationOptions(progress=False, **options)
        board = model._board(scan)
        return [
            model.forward(scan.geometry, scene, options=replace(wanted, device=d), board=board) for d in (name, "cpu")
        ]

    return run


def points(n=200, seed=0, z=0.4):
    rng = np.random.default_rng(seed)
    position = rng.uniform(-0.1, 0.1, (n, 3)) + np.array([0, 0, z])
    return position, rng.standard_normal(n) + 1j * rng.standard_normal(n)


@pytest.mark.parametrize("name", SCENE_OPTIONS)
def test_points(both, off_db, name):
    got, wanted = both(Scene.points(*points()), **SCENE_OPTIONS[name])
    assert off_db(got, wanted) < -85


def test_far_scene_and_many_samples(both, off_db):
    """More samples than a block has threads, 3 m away: phases count from the middle sample in double precision."""
    got, wanted = both(Scene.points(*points(20, z=3.0)), n_samples=300)
    assert off_db(got, wanted) < -85


def test_surfaces_and_shadows(both, off_db):
    """Normals with every lobe, a plate in front that hides, and more points than a block takes at a time."""
    rng = np.random.default_rng(2)
    position, sigma = points(300)
    normal = rng.standard_normal((300, 3)) - [0, 0, 2]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    normal[::7] = 0
    plate = np.array([[[-0.02, -0.2, 0.25], [0.2, -0.2, 0.25], [0.2, 0.2, 0.25]]])
    scene = Scene(
        position=position, reflectivity=sigma, normal=normal, lobe=rng.choice([0.0, 1.0, 4.5], 300), triangles=plate
    )
    got, wanted = both(scene)
    assert off_db(got, wanted) < -85
    unhidden, _ = both(scene, shadows=False)
    assert off_db(unhidden, wanted) > -40


def test_devices_share_the_channels(both):
    one, _ = both(Scene.points(*points(20)))
    three, _ = both(Scene.points(*points(20)), "cuda:0 cuda:1 cuda:2")
    assert np.array_equal(one, three)
