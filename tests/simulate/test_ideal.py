"""Ideal images against the plain formula."""

import numpy as np
import pytest

from mmsar.errors import GeometryError
from mmsar.model.grid import ImageGrid
from mmsar.simulate.ideal import ideal_image
from mmsar.simulate.scene import Scene


def written_out(scene, grid, width, weight=1.0, axes=(0, 1, 2)):
    """sum_i w_i exp(-d^2 / width^2), clipped, over the axes that count."""
    z, y, x = np.meshgrid(grid.z, grid.y, grid.x, indexing="ij")
    offset = (np.stack([x, y, z], axis=-1)[..., None, :] - scene.position) / np.broadcast_to(width, 3)
    return np.minimum(1, np.sum(weight * np.exp(-(offset[..., axes] ** 2).sum(axis=-1)), axis=-1))


def scattered(n=60, seed=0):
    """Points in and around the grid."""
    return Scene.points(np.random.default_rng(seed).uniform(-0.03, 0.03, (n, 3)) + np.array([0, 0, 0.3]), 3j)


GRID = ImageGrid.from_extent((-0.02, 0.02), (-0.015, 0.02), (0.29, 0.31), spacing=(1e-3, 2e-3, 1.5e-3))


@pytest.mark.parametrize("width", [1.2e-3, (2e-3, 3e-3, 1e-3), 0.02])
def test_equals_the_formula(width):
    image = ideal_image(scattered(), GRID, width=width)
    assert image.data.dtype == np.float32
    np.testing.assert_allclose(image.data, written_out(scattered(), GRID, width), atol=2e-6)
    assert image.history[0]["step"] == "ideal"


def test_weights_are_heights():
    weight = np.random.default_rng(1).uniform(0, 0.6, 60)
    image = ideal_image(scattered(), GRID, width=3e-3, weight=weight)
    np.testing.assert_allclose(image.data, written_out(scattered(), GRID, 3e-3, weight), atol=2e-6)


@pytest.mark.parametrize(
    ("grid", "axes"),
    [
        (ImageGrid.from_extent((-0.02, 0.02), (-0.02, 0.02), 0.7, spacing=1e-3), (0, 1)),
        (ImageGrid.from_extent((-0.02, 0.02), 5.0, (0.28, 0.32), spacing=1e-3), (0, 2)),
        (ImageGrid.from_extent(-3.0, (-0.02, 0.02), (0.28, 0.32), spacing=1e-3), (1, 2)),
        (ImageGrid.from_extent((-0.02, 0.02), 0.0, 0.0, spacing=1e-3), (0,)),
    ],
)
def test_one_voxel_along_an_axis_is_a_projection(grid, axes):
    image = ideal_image(scattered(8), grid, width=2e-3)
    np.testing.assert_allclose(image.data, written_out(scattered(8), grid, 2e-3, axes=axes), atol=2e-6)


def test_a_lone_point_has_the_width_asked_for_and_crowds_are_clipped():
    grid = ImageGrid.from_extent((-0.01, 0.01), 0.0, 0.3, spacing=1e-4)
    lone = ideal_image(Scene.points([[0, 0, 0.3]]), grid, width=2e-3).data[0, 0]
    assert lone.max() == 1
    assert lone[np.argmin(np.abs(grid.x - 2e-3))] == pytest.approx(np.exp(-1), rel=1e-5)
    three = ideal_image(Scene.points([[0, 0, 0.3]] * 3), grid, width=2e-3).data
    assert three.max() == 1 and (three == 1).sum() > 10


def test_points_outside_leave_nothing():
    image = ideal_image(Scene.points([[1.0, 0, 0.3], [0, 0, -5.0]]), GRID, width=1e-3)
    assert not image.data.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.0}, "width x: got 0"),
        ({"width": (1e-3, -1e-3, 1e-3)}, "width y"),
        ({"width": (1e-3, 1e-3)}, "width: got"),
        ({"width": 1e-3, "weight": -1.0}, "weight: got -1"),
        ({"width": 1e-3, "weight": [1.0, 1.0]}, "weight: got shape"),
    ],
)
def test_refusals_are_clear(options, message):
    with pytest.raises(GeometryError, match=message):
        ideal_image(scattered(3), GRID, **options)
