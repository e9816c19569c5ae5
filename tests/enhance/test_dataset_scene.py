"""Shapes and labels: conventions, dynamic range, what is labelled and what is not."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.constants import C0
from mmsar.enhance.dataset_recipe import Recipe
from mmsar.enhance.dataset_scene import DrawnScene, draw_scene
from mmsar.enhance.dataset_shapes import HELD_OUT, SHAPES, TRAINED

RECIPE = Recipe(empty_share=0.0, ghost_share=0.0, clutter_share=0.0, off_plane=0.0)
AXIS = (np.arange(256) - 127.5) * RECIPE.pixel


def drawn(place, a, *, rough=False, real=True) -> DrawnScene:
    n = len(place)
    return DrawnScene(
        position=np.array(place, float),
        reflectivity=np.broadcast_to(np.asarray(a, complex), n).copy(),
        rough=np.full(n, rough),
        real=np.full(n, real),
        clutter=False,
    )


def disc(radius: float, spacing: float) -> np.ndarray:
    line = np.arange(-radius, radius, spacing)
    x, y = (v.ravel() for v in np.meshgrid(line, line))
    keep = np.hypot(x, y) <= radius
    return np.stack([x[keep], y[keep], np.zeros(keep.sum())], axis=1)


@pytest.mark.parametrize("family", [f for f in SHAPES if SHAPES[f]])
def test_shapes_are_varied_and_not_empty(family):
    rng = np.random.default_rng(0)
    line = np.linspace(-1, 1, 101)
    x, y = (v.ravel() for v in np.meshgrid(line, line))
    masks = []
    for _ in range(12):
        inside = SHAPES[family](rng)(x, y) & (np.hypot(x, y) <= 1)
        assert inside.dtype == bool and 0.005 < inside.mean() < 0.9
        masks.append(inside.tobytes())
    assert len(set(masks)) > 6


def test_families_do_not_share_a_maker():
    assert set(TRAINED) | set(HELD_OUT) == set(SHAPES) and not set(TRAINED) & set(HELD_OUT)
    assert len({id(maker) for maker in SHAPES.values()}) == len(SHAPES)


def test_ideal_label_is_the_papers_blob():
    x0, y0 = 10.3e-3, -20.1e-3
    ideal, physical = drawn([[x0, y0, 0]], 0.1).labels(RECIPE)
    blob = np.exp(-((AXIS - x0) ** 2 + (AXIS[:, None] - y0) ** 2) / 1.2e-3**2)
    np.testing.assert_allclose(ideal, blob, atol=1e-6)  # no amplitude in it; first index is y
    np.testing.assert_allclose(physical, 0.1 * blob, atol=1e-6)


def test_solids_saturate_in_the_ideal_label_only():
    """A point and a disc of the same amplitude, made of points: one height in the physical label."""
    spacing = 0.8e-3
    per_point = spacing**2 / (np.pi * RECIPE.blob**2)
    for amplitude in (1.0, 0.03):
        ideal, physical = drawn(disc(15e-3, spacing), amplitude * per_point).labels(RECIPE)
        middle = np.ix_(np.abs(AXIS) < 8e-3, np.abs(AXIS) < 8e-3)
        np.testing.assert_allclose(physical[middle], amplitude, rtol=0.05)
        assert ideal[middle].min() == ideal.max() == 1


def test_smooth_points_add_in_phase_and_rough_ones_in_power():
    place = np.zeros((2, 3))
    for phase, smooth in ((0.0, 2.0), (np.pi, 0.0)):
        a = np.exp(1j * np.array([0.0, phase]))
        assert drawn(place, a).labels(RECIPE)[1].max() == pytest.approx(smooth * np.exp(-0.5 * 0.651**2), abs=0.05)
        rough = drawn(place, a, rough=True).labels(RECIPE)[1].max()
        assert rough == pytest.approx(np.sqrt(2) * np.exp(-0.5 * 0.651**2), abs=0.05)


def test_labels_end_at_the_range_cell():
    cell = C0 / (2 * RECIPE.bandwidth)
    point = [AXIS[100], AXIS[100]]
    for dz, physical, ideal in (
        (0, 1, 1),
        (0.4, np.sinc(0.4), 1),
        (0.7, np.sinc(0.7), 0),
        (1.2, 0, 0),
        (-0.4, np.sinc(0.4), 1),
    ):
        got = drawn([[*point, dz * cell]], 1.0).labels(RECIPE)
        assert (got[0].max(), got[1].max()) == pytest.approx((ideal, physical), abs=1e-6)


def test_ghosts_are_not_labelled():
    labels = drawn([[0, 0, 0]], 1.0, real=False).labels(RECIPE)
    assert not labels[0].any() and not labels[1].any()


def test_labels_at_the_border_and_of_nothing():
    for label in drawn([[AXIS[0], AXIS[-1], 0]], 1.0).labels(RECIPE):
        assert label[-1, 0] == pytest.approx(1) and np.count_nonzero(label > 0.01) < 20
    for label in drawn(np.empty((0, 3)), 1.0).labels(RECIPE):
        assert label.shape == (256, 256) and not label.any()


def test_amplitudes_span_the_range_and_the_strongest_is_one():
    recipe = replace(RECIPE, points=(40, 40), objects=(1, 1))
    scene = draw_scene(recipe, "ellipses", np.random.default_rng(8))
    level = 20 * np.log10(np.abs(scene.reflectivity[:40]))
    assert level.max() == pytest.approx(0, abs=3) and -30.1 <= level.min() < -20
    _, physical = scene.labels(recipe)
    assert 0.5 < physical.max() < 2


@pytest.mark.parametrize("family", sorted(SHAPES))
def test_scenes_stay_within_their_area(family):
    recipe = replace(RECIPE, ghost_share=1.0, clutter_share=1.0, off_plane=8e-3)
    for seed in range(4):
        scene = draw_scene(recipe, family, np.random.default_rng(seed))
        assert np.abs(scene.position[:, :2]).max() <= recipe.reach + 1e-12
        assert scene.position[:, 2].min() >= -recipe.off_plane
        assert scene.clutter and scene.position[:, 2].max() > 50e-3
        assert len(np.unique(scene.position[:, 2])) <= 12


def test_points_have_neighbours_close_by():
    """Each at 2 to 10 mm, at most 6 dB weaker, half of them in phase; none without asking, and then as ever."""
    recipe = replace(RECIPE, points=(10, 10), close_share=1.0)
    away, turned = [], []
    for seed in range(20):
        scene = draw_scene(recipe, "points", np.random.default_rng(seed))
        n = len(scene.position) // 2
        points, others = scene.position[:n], scene.position[n:]
        away.append(np.linalg.norm(others - points, axis=1))
        ratio = scene.reflectivity[n:] / scene.reflectivity[:n]
        assert np.all((np.abs(ratio) <= 1.0 + 1e-9) & (np.abs(ratio) >= 10 ** (-6 / 20) - 1e-9))
        turned.append(np.abs(np.angle(ratio)) > 1e-6)
        assert np.abs(scene.position[:, :2]).max() <= recipe.reach
    away, turned = np.concatenate(away), np.concatenate(turned)
    assert away.min() < 3e-3 and 8e-3 < away.max() <= 10e-3 + 1e-12
    assert 0.3 < turned.mean() < 0.7
    plain = [draw_scene(replace(recipe, close_share=share), "points", np.random.default_rng(3)) for share in (0.0, 1.0)]
    n = len(plain[0].position)
    np.testing.assert_array_equal(plain[0].position, plain[1].position[:n])


def test_rough_objects_have_random_phases_and_the_same_label():
    recipe = replace(RECIPE, objects=(1, 1), points=(0, 0), object_size=(30e-3, 35e-3))
    smooth, rough = (
        draw_scene(replace(recipe, rough_share=share), "polygons", np.random.default_rng(2)) for share in (0.0, 1.0)
    )
    assert rough.rough.all() and not smooth.rough.any()
    spread = [np.abs(np.mean(s.reflectivity / np.abs(s.reflectivity))) for s in (smooth, rough)]
    assert spread[1] < 0.2
    for scene in (smooth, rough):
        ideal, physical = scene.labels(RECIPE)
        assert np.median(physical[ideal == 1]) == pytest.approx(1, abs=0.1)
