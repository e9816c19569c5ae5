"""The fast echo model against the exact sum over points, with positions that are off in x, y and z."""

import numpy as np
import pytest

from mmsar.constants import C0
from mmsar.errors import GeometryError
from mmsar.metrics import ncc
from mmsar.model import Chirp, Geometry
from mmsar.simulate.fast_echo import MAX_PLANES, FastEcho
from mmsar.simulate.forward import forward
from mmsar.simulate.noise import smooth_error, white_error
from mmsar.simulate.scene import Scene

CHIRP = Chirp(f0=77e9, slope=1e15, fs=1e6, n_samples=4)
PITCH = C0 / 79e9 / 4
N = 60
HALF, REACH = N / 2 * PITCH + 12e-3, 25e-3


def raster() -> np.ndarray:
    line = (np.arange(N) - (N - 1) / 2) * PITCH
    x, y = np.meshgrid(line, line)
    return np.stack([x.ravel(), y.ravel(), np.zeros(N * N)], axis=1)


def random_scene(depth: float, heights=(0.0,), seed: int = 0) -> Scene:
    rng = np.random.default_rng(seed)
    n = 60
    place = np.c_[rng.uniform(-REACH, REACH, (n, 2)), depth + rng.choice(heights, n)]
    return Scene.points(place, np.exp(2j * np.pi * rng.random(n)) * 10 ** (-1.5 * rng.random(n)))


def model(nearest: float, **changes) -> FastEcho:
    return FastEcho(
        CHIRP, **{"aperture": HALF, "scene": REACH, "nearest": nearest, "pitch": PITCH, "held": (0.1, 0.3)} | changes
    )


def exact(scene: Scene, position: np.ndarray) -> np.ndarray:
    place = position[:, None, None]
    return forward(Geometry(chirp=CHIRP, tx_position=place, rx_position=place), scene).reshape(len(position), -1)


def error(kind: str, rms: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    drawn = {
        "none": lambda: np.zeros((N * N, 3)),
        "white": lambda: white_error(N * N, np.full(3, rms), rng=rng),
        "smooth": lambda: smooth_error(N * N, np.full(3, rms), cycles=40, rng=rng),
        "z": lambda: white_error(N * N, np.array([0, 0, rms]), rng=rng),
    }
    return np.clip(drawn[kind](), -4 * rms, 4 * rms)


@pytest.mark.parametrize("depth", [0.1, 0.3, 1.0])
@pytest.mark.parametrize(("kind", "rms"), [("none", 0.0), ("white", 3e-3), ("smooth", 3e-3), ("z", 1e-3)])
def test_equals_the_exact_sum(depth, kind, rms):
    scene, position = random_scene(depth), raster() + error(kind, rms)
    got, want = model(depth)(scene, position), exact(scene, position)
    assert got.dtype == np.complex64 and got.shape == (N * N, 4)
    assert ncc(got, want) >= 0.999
    assert np.vdot(want, got) / np.vdot(want, want) == pytest.approx(1, abs=0.01)


def test_planes_off_the_held_one():
    scene, position = random_scene(0.2, heights=(0.0, 0.007, -0.012, 0.15)), raster() + error("white", 1e-3)
    assert ncc(model(0.188)(scene, position), exact(scene, position)) >= 0.999


def test_depth_of_a_whole_track_keeps_its_phase():
    """A constant height is no error but another distance: phase and scale have to follow."""
    scene, position = random_scene(0.3), raster() + np.array([0.0, 0.0, -20e-3])
    got, want = model(0.3)(scene, position), exact(scene, position)
    assert np.vdot(want, got) / np.vdot(want, want) == pytest.approx(1, abs=0.01)


def test_held_kernels_change_nothing_and_calls_do_not_mix():
    first, second = random_scene(0.3), random_scene(0.3, seed=1)
    held, fresh = model(0.3), model(0.3, held=())
    want = fresh(first, raster())
    assert not np.array_equal(held(second, raster()), want)
    np.testing.assert_array_equal(held(first, raster()), want)


def test_refuses_what_it_cannot_do():
    echo, scene = model(0.3), random_scene(0.3)
    with pytest.raises(GeometryError, match="FastEcho position: got x or y of"):
        echo(scene, raster() + np.array([20e-3, 0, 0]))
    with pytest.raises(GeometryError, match="FastEcho scene: got x or y of"):
        echo(scene.shifted((10e-3, 0, 0)), raster())
    with pytest.raises(GeometryError, match=r"z = 0\.29 m, wanted 0\.3"):
        echo(scene.shifted((0, 0, -10e-3)), raster())
    many = Scene.points([[0, 0, 0.3 + 1e-3 * i] for i in range(MAX_PLANES + 1)])
    with pytest.raises(GeometryError, match=f"{MAX_PLANES + 1} planes"):
        echo(many, raster())
    deep = raster()
    deep[0, 2], deep[1, 2] = -0.25, 0.25
    with pytest.raises(GeometryError, match="500 mm apart in height"):
        echo(scene, deep)
    with pytest.raises(GeometryError, match=r"FastEcho pitch: got 0\.002 m"):
        model(0.1, pitch=2e-3)
