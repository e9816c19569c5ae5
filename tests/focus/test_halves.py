"""Half wavelengths of depth, asked with x and y free."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.focus.halves import WITHIN, Asked, asked
from mmsar.focus.jointstep import solve_scene
from mmsar.focus.posestep import Prior, match
from mmsar.simulate.noise import white_error

LOOSE = Prior(smooth=0.0, hold=1e-4, width=5.0, reach=5e-3)


def off(planar, whole: int, *, every: int = 3) -> np.ndarray:
    """Some poses by a whole number of half wavelengths from where they are."""
    depth = np.zeros(len(planar.path))
    depth[::every] = whole * planar.half
    return planar.deeper(depth)


@pytest.mark.parametrize("whole", [1, -1, 2])
def test_poses_tell_their_half_wavelengths(planar, still, whole):
    scene = solve_scene(still, np.zeros((len(planar.path), 3)))
    start = off(planar, whole)
    said = asked(still, scene, start, LOOSE)
    bright = still.energy > 0.3 * np.median(still.energy)
    number = np.round(said.lag / planar.half)
    assert np.mean(number[bright] == np.round(-start[bright, 2] / planar.half)) > 0.95
    left = said.at(number)
    assert np.median(np.abs(left[bright])) < 0.1e-3 and np.all(said.bend >= 0)


def test_x_and_y_that_made_up_for_a_wrong_number_do_not_hide_it(planar, still):
    """Of a scene some way off, with poses that suit it."""
    scene = solve_scene(still, planar.deeper(np.where(np.arange(len(planar.path)) % 2, 0.0, planar.half)))
    start = off(planar, 1, every=1)
    settled = asked(still, scene, start, replace(LOOSE, hold=1e-6)).at(np.zeros(len(start)))
    assert np.std(settled[:, :2]) > 0.1e-3
    lag = asked(still, scene, settled, LOOSE).lag
    bright = still.energy > np.median(still.energy)
    assert np.mean(lag[bright] < 0) > 0.9


def test_the_least_on_the_way_is_kept(planar, still):
    """No pose is left with more than where it started."""
    still = still.coarser(-60.0)
    scene, start = solve_scene(still, np.zeros((len(planar.path), 3))), planar.deeper(np.zeros(len(planar.path)))
    start = start + white_error(len(start), np.full(3, 0.5e-3), rng=np.random.default_rng(3))
    said = asked(still, scene, start, replace(LOOSE, hold=0.0))
    waves = still.waves(scene)
    gain = match(still, waves, start).gain
    for number in range(-WITHIN, WITHIN + 1):
        left = []
        for move in (start + np.array([0, 0, number * planar.half]), said.tried[number + WITHIN]):
            fit = match(still, waves, move)
            left.append(fit.measured - 2 * gain * np.abs(fit.product) + gain**2 * fit.own)
        np.testing.assert_allclose(said.misfit[number + WITHIN], left[1], rtol=1e-3, atol=1e-3 * left[0].max())
        assert np.all(left[1] <= left[0] * (1 + 1e-3) + 1e-3 * left[0].max()) and np.mean(left[1] < left[0]) > 0.5


def test_a_recorded_place_binds_x_and_y(planar, still):
    scene = solve_scene(still, np.zeros((len(planar.path), 3)))
    start = white_error(len(planar.path), np.full(3, 0.2e-3), rng=np.random.default_rng(3))
    free, held = (asked(still, scene, start, replace(LOOSE, hold=hold)).at(np.zeros(len(start))) for hold in (0, 100.0))
    assert np.abs(held[:, :2]).max() < 0.05e-3 < 0.15e-3 < np.std(free[:, :2])


def test_poses_without_samples_say_nothing(planar, still):
    some, none = still.part(np.arange(len(planar.path))), np.zeros((len(planar.path), 3))
    some.samples[:, ::4] = 0
    said = asked(some, solve_scene(some, none), none, LOOSE)
    assert np.all(np.isfinite(said.tried)) and np.all(np.isfinite(said.misfit))
    some.samples[:] = 0
    said = asked(some, np.zeros(planar.grid.shape), none, LOOSE)
    np.testing.assert_array_equal(said.lag, 0)
    np.testing.assert_allclose(said.at(np.ones(len(none)))[:, 2], planar.half)


def test_a_parabola_is_lowest_at_its_lag_and_numbers_beyond_it_go_on():
    tried = np.stack([np.tile([0.1, 0.2, n + 0.01], (4, 1)) for n in range(-WITHIN, WITHIN + 1)])
    lag = np.array([0.3, -1.2, 2.9, -9.0])
    misfit = 5 * (np.arange(-WITHIN, WITHIN + 1)[:, None] - lag) ** 2
    said = Asked(1.0, np.zeros((4, 3)), tried, misfit)
    np.testing.assert_allclose(said.lag, [0.3, -1.2, 2.5, -2.5])  # no further than FURTHER from the last that was tried
    np.testing.assert_allclose(said.bend, 10)
    np.testing.assert_allclose(said.at(np.array([0, -1, 3, -5.0]))[:, 2], [0.01, -0.99, 3.01, -4.99])
