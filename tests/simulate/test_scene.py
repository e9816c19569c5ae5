"""Scenes: where the points are, which way up, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.simulate.phantoms import FONT, letter_mask
from mmsar.simulate.scene import Scene


def test_one_reflectivity_serves_all_points():
    scene = Scene(position=[[0, 0, 1], [1, 0, 1]], reflectivity=2j)
    np.testing.assert_array_equal(scene.reflectivity, [2j, 2j])
    assert len(scene) == 2
    assert not scene.position.flags.writeable and not scene.reflectivity.flags.writeable


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"position": [[0, 0]]}, r"Scene.position: got shape \(1, 2\), wanted \(n, 3\)"),
        ({"position": np.empty((0, 3))}, "Scene.position"),
        ({"position": [[0, 0, np.nan]]}, "Scene.position.*finite"),
        ({"reflectivity": [1, 2, 3]}, r"Scene.reflectivity: got shape \(3,\), wanted \(1\)"),
        ({"reflectivity": np.inf}, "Scene.reflectivity.*finite"),
        ({"reflectivity": "bright"}, "Scene.reflectivity"),
        ({"normal": [[0, 0, 2]]}, "Scene.normal.*unit"),
    ],
)
def test_scene_checks_itself(fields, message):
    with pytest.raises(GeometryError, match=message):
        Scene(**{"position": [[0, 0, 1]], **fields})


def test_union_keeps_points_reflectivities_and_normals():
    a = Scene(position=[[0, 0, 1]], reflectivity=2, normal=[[0, 0, -1]], name="a")
    b = Scene(position=[[1, 0, 1], [2, 0, 1]], reflectivity=[3, 4j], name="b")
    both = a + b
    np.testing.assert_array_equal(both.position[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(both.reflectivity, [2, 3, 4j])
    np.testing.assert_array_equal(both.normal, [[0, 0, -1], [0, 0, 0], [0, 0, 0]])
    assert both.name == "a + b"
    with pytest.raises(GeometryError, match=r"Scene\.union"):
        Scene.union()


def test_shift_and_scale():
    scene = Scene.two_points(0.02).shifted((0.1, 0, 0)).scaled(3)
    np.testing.assert_allclose(scene.position, [[0.09, 0, 0.3], [0.11, 0, 0.3]])
    np.testing.assert_array_equal(scene.reflectivity, [3, 3])


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_two_points_are_spaced_along_their_axis(axis):
    scene = Scene.two_points(4e-3, axis, centre=(1, 2, 3))
    difference = np.zeros(3)
    difference["xyz".index(axis)] = 4e-3
    np.testing.assert_allclose(np.diff(scene.position, axis=0)[0], difference, atol=1e-15)
    np.testing.assert_allclose(scene.position.mean(axis=0), [1, 2, 3])


@settings(deadline=None, max_examples=30)
@given(shape=st.tuples(*[st.integers(1, 5)] * 3), step=st.tuples(*[st.floats(1e-3, 0.1)] * 3))
def test_point_grid_is_a_centred_lattice(shape, step):
    scene = Scene.grid(shape, step, centre=(0.1, 0.2, 0.3))
    assert len(scene) == np.prod(shape)
    np.testing.assert_allclose(scene.position.mean(axis=0), (0.1, 0.2, 0.3), atol=1e-12)
    np.testing.assert_allclose(np.ptp(scene.position, axis=0), (np.array(shape) - 1) * step, atol=1e-12)


def test_mask_is_shown_as_a_picture():
    """First row at the top (largest y), first column on the left (smallest x)."""
    scene = Scene.from_mask([[1, 0, 0], [0, 0, 1]], 2e-3, centre=(0, 0, 0.5))
    np.testing.assert_allclose(scene.position, [[-2e-3, 1e-3, 0.5], [2e-3, -1e-3, 0.5]])
    with pytest.raises(GeometryError, match="without a true pixel"):
        Scene.from_mask(np.zeros((2, 2)), 1e-3)


def test_subsample_is_seeded_and_keeps_the_sum():
    scene = Scene.grid((10, 10, 1), (1e-3, 1e-3, 1e-3)).scaled(2)
    part = scene.subsample(25, seed=3)
    assert len(part) == 25
    np.testing.assert_array_equal(part.position, scene.subsample(25, seed=3).position)
    assert not np.array_equal(part.position, scene.subsample(25, seed=4).position)
    assert part.reflectivity.sum() == pytest.approx(scene.reflectivity.sum())
    assert len(np.unique(part.position, axis=0)) == 25
    assert scene.subsample(1000) is scene


def test_letters_have_their_height_and_read_from_left_to_right():
    scene = Scene.letters("LT", 70e-3, pixel=2e-3, centre=(0, 0, 0.4))
    x, y = scene.position[:, 0], scene.position[:, 1]
    assert np.ptp(y) == pytest.approx(70e-3 - 2e-3)
    assert np.ptp(x) == pytest.approx(110e-3 - 2e-3)
    left, right = x < 0, x > 0
    assert y[left].mean() < 0 < y[right].mean()  # the L is heavy at the bottom, the T at the top
    assert x[left & (y > 0)].max() < -40e-3  # the upright of the L is its left edge
    assert scene.name == "letters LT"


def test_font_has_distinct_letters_and_digits():
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") <= set(FONT)
    assert len(set(FONT.values())) == len(FONT)
    assert all(len(rows) == 7 and all(0 <= r < 32 for r in rows) for rows in FONT.values())
    assert letter_mask("ab").shape == (7, 11)
    assert not letter_mask("ab")[:, 5].any()


@pytest.mark.parametrize("text", ["", "  ", "A#"])
def test_letters_refuse_what_the_font_lacks(text):
    with pytest.raises(GeometryError, match="wanted A-Z"):
        Scene.letters(text, 0.04)


def test_usaf_bars_have_their_width_length_and_pitch():
    scene = Scene.usaf([4e-3], pixel=1e-3)
    assert len(scene) == 6 * 4 * 20
    upright = scene.position[scene.position[:, 0] < 0]
    columns = np.unique(np.round(upright[:, 0] * 1e3, 6))
    np.testing.assert_allclose(columns - columns[0], [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19])
    assert np.ptp(upright[:, 1]) == pytest.approx(19e-3)
    with pytest.raises(GeometryError, match="at least one pixel"):
        Scene.usaf([4e-3, 0.2e-3], pixel=1e-3)


def test_siemens_star_is_half_full_and_turns_into_its_gaps():
    scene = Scene.siemens(50e-3, 12, pixel=1e-3)
    x, y = scene.position[:, 0], scene.position[:, 1]
    assert np.hypot(x, y).max() <= 50e-3
    assert len(scene) == pytest.approx(np.pi * 50**2 / 2, rel=0.02)
    sector = np.floor(np.arctan2(y, x) * 12 / np.pi)
    assert set(sector % 2) == {0.0}


def test_absurd_sizes_are_refused():
    with pytest.raises(GeometryError, match="raise the pixel size"):
        Scene.siemens(1.0, pixel=1e-5)
    with pytest.raises(GeometryError, match="raise the pixel size"):
        Scene.letters("A", 1.0, pixel=1e-5)
