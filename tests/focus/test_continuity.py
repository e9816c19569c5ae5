"""Depths followed along a path, and what recorded places say of them."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.focus.continuity import followed, without_common, without_slope
from mmsar.model import Trajectory
from mmsar.simulate.noise import smooth_error, white_error

WAVENUMBER = 2 * np.pi * 79e9 / 299792458
HALF = np.pi / WAVENUMBER
ROWS, COLUMNS = 20, 150
PLACE = Trajectory.raster((ROWS, COLUMNS), (1e-3, 8e-3)).position
FIELD = SimpleNamespace(place=PLACE, wavenumber=WAVENUMBER)


def rail(rng: np.random.Generator, rms: float = 1e-3) -> np.ndarray:
    """Errors in depth that are smooth in every row, (n,) in the order of time."""
    return np.concatenate([smooth_error(COLUMNS, np.full(3, rms), cycles=3.0, rng=rng)[:, 2] for _ in range(ROWS)])


def moved(depth: np.ndarray) -> np.ndarray:
    """Displacements (n, 3) of depths (n,)."""
    return np.c_[np.zeros((len(depth), 2)), depth]


def wrapped(depth: np.ndarray) -> np.ndarray:
    return depth - HALF * np.round(depth / HALF)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), poses=st.sampled_from([200, 1000, 3000]))
def test_smooth_depths_are_followed_through_half_wavelengths(seed, poses):
    """Of the poses in the middle, too, whose path is in pieces."""
    rng = np.random.default_rng(seed)
    inner = np.sort(np.argsort(np.hypot(*(PLACE[:, :2] - PLACE[:, :2].mean(axis=0)).T), kind="stable")[:poses])
    true = rail(rng)[inner]
    found = moved(true + HALF * rng.integers(-2, 3, len(true)))
    path = followed(SimpleNamespace(place=PLACE[inner], wavenumber=WAVENUMBER), found)
    assert path is not None and len(path.run) == poses
    left = path.less_mean(path.depth - true)
    np.testing.assert_allclose(left, 0, atol=1e-9)
    np.testing.assert_allclose(wrapped(path.depth - found[:, 2]), 0, atol=1e-9)
    assert np.abs(path.mean(path.depth)).max() <= HALF / 2 + 1e-9


def test_depths_that_leap_are_not_followed():
    rng = np.random.default_rng(1)
    white = moved(white_error(len(PLACE), np.full(3, 1e-3), rng=rng)[:, 2])
    assert followed(FIELD, white) is None and without_common(FIELD, white) is None


def test_few_poses_and_a_single_row_tell_nothing():
    smooth = moved(rail(np.random.default_rng(1)))
    for few in (0, 1, 5, 20):
        assert followed(SimpleNamespace(place=PLACE[:few], wavenumber=WAVENUMBER), smooth[:few]) is None
    line = SimpleNamespace(place=PLACE[:COLUMNS], wavenumber=WAVENUMBER)
    assert followed(line, np.zeros((COLUMNS, 3))) is None
    still = SimpleNamespace(place=np.zeros((50, 3)), wavenumber=WAVENUMBER)
    assert followed(still, np.zeros((50, 3))) is None


def test_a_leap_within_a_row_starts_a_run():
    true = rail(np.random.default_rng(2))
    true[3 * COLUMNS + 60 : 4 * COLUMNS] += 0.45 * HALF
    path = followed(FIELD, moved(true))
    assert path.run[-1] + 1 == ROWS + 1


@pytest.mark.parametrize("shape", ["turn", "defocus", "edges"])
def test_what_rows_have_in_common_is_taken_away(shape):
    """Errors that scene and poses agreed on go, those of single rows stay."""
    rng = np.random.default_rng(3)
    true, x = rail(rng), PLACE[:, 0] / np.abs(PLACE[:, 0]).max()
    common = 4e-3 * {"turn": x, "defocus": x**2, "edges": np.abs(x) ** 5}[shape]
    found = moved(wrapped(true + common))
    better, size = without_common(FIELD, found)
    assert 0.5e-3 < size < 4e-3
    off = np.exp(2j * WAVENUMBER * (better[:, 2] - true)).reshape(ROWS, COLUMNS)
    off *= np.exp(-1j * np.angle(off.mean(axis=1, keepdims=True)))
    before = np.exp(2j * WAVENUMBER * common)
    assert abs(before.mean()) < 0.56 < 0.6 < abs(off.mean())
    assert np.abs(better[:, 2]).max() < 6e-3 and np.all(better[:, :2] == 0)


def test_what_rows_have_in_common_by_chance_stays():
    true = rail(np.random.default_rng(4))
    better, size = without_common(FIELD, moved(true))
    assert size < 0.1e-3
    assert np.sqrt(np.mean(wrapped(better[:, 2] - true) ** 2)) < 0.15e-3


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.02, 0.0), (-0.01, 0.008)])
def test_a_turn_along_runs_is_taken_away_where_poses_are_seen(tilt):
    """A slope across runs is not told: their half wavelengths make up for it. Dark poses do not count."""
    rng = np.random.default_rng(21)
    true, energy = rail(rng), rng.exponential(size=len(PLACE))
    dark = rng.random(len(PLACE)) < 0.1
    energy[dark] = 1e-6
    field = SimpleNamespace(place=PLACE, wavenumber=WAVENUMBER, energy=energy)

    def gone(depth: np.ndarray) -> np.ndarray:
        """Coefficients of the plane that is taken away, (3,)."""
        found = moved(wrapped(depth) + 0.2 * HALF * dark * PLACE[:, 0] / 0.075)
        out = without_slope(field, found)
        np.testing.assert_array_equal(out[:, :2], found[:, :2])
        terms = np.c_[np.ones(len(PLACE)), PLACE[:, :2]]
        plane = np.linalg.lstsq(terms, off := (found - out)[:, 2], rcond=None)[0]
        np.testing.assert_allclose(terms @ plane, off, atol=1e-12)
        return plane

    by_chance, plane = gone(true), gone(true + PLACE[:, :2] @ np.array(tilt))
    assert abs(by_chance[1]) < 4e-3 and abs(plane[2]) < 1e-3
    assert plane[1] - by_chance[1] == pytest.approx(tilt[0], abs=1e-3)


def test_errors_that_leap_have_no_slope_along_runs():
    white = moved(white_error(len(PLACE), np.full(3, 1e-3), rng=np.random.default_rng(1))[:, 2])
    np.testing.assert_array_equal(without_slope(FIELD, white), white)
