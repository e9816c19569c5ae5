"""What depths and lags have in common over an aperture, and how much of it is chance."""

import numpy as np
import pytest

from mmsar.focus.common import agreed, middle, not_by_chance, polynomial, straightened
from mmsar.simulate.noise import smooth_error, white_error


def spread(values: np.ndarray) -> float:
    return float(np.std(values))


@pytest.mark.parametrize("slope", [(0.0, 0.0), (1.2, -0.7), (-0.3, 1.1)])
def test_the_slope_on_which_lags_agree(planar, slope):
    """Whole half wavelengths at random do not hide it, and a common offset does not either."""
    rng, n, half = np.random.default_rng(11), len(planar.path), planar.half
    true = half * (planar.place @ np.array(slope) + 0.3)
    lag = true + half * (rng.integers(-2, 3, n) + 0.2 * rng.standard_normal(n))
    weight = rng.uniform(0.1, 1, n)
    found, agree, flat = agreed(planar.path.position[:, :2], lag, weight, half)
    off = found - true
    off -= half * np.round(off.mean() / half)
    assert np.abs(off).max() < 0.3 * half and abs(off.mean()) < 0.05 * half
    assert agree == pytest.approx(np.exp(-((2 * np.pi * 0.2) ** 2) / 2), abs=0.06)  # of a Gaussian phase
    assert flat == pytest.approx(agree, abs=1e-9) if slope == (0.0, 0.0) else flat < 0.5 * agree


def test_lags_on_a_line_of_poses_have_a_slope_along_it_only(planar):
    line = np.c_[np.linspace(-0.05, 0.05, 60), np.zeros(60)]
    lag = 0.01 * line[:, 0]
    np.testing.assert_allclose(agreed(line, lag, np.ones(60), planar.half)[0], lag, atol=0.15 * planar.half)


def test_lags_are_in_the_middle_of_where_they_agree(planar):
    lag = planar.half * np.array([0.28, 1.32, -0.7, 3.3])
    assert middle(lag, np.ones(4), planar.half) == pytest.approx(0.3 * planar.half, rel=1e-3)


def test_few_poses_have_polynomials_of_low_degree(planar):
    rng, recorded = np.random.default_rng(5), planar.path.position[:, :2]
    for poses, degree in ((320, 3), (99, 2), (59, 1), (29, 0)):
        place = recorded[rng.permutation(len(recorded))[:poses]]
        x, y = place.T / 0.03
        for power, values in enumerate((np.ones_like(x), x, x * y, x**2 * y)):
            left = values - polynomial(place, values, np.ones(poses), 3)
            assert (spread(left) < 1e-6) == (power <= degree), (poses, power)


@pytest.mark.parametrize("smooth", [False, True])
def test_what_errors_have_in_common_by_chance_stays(smooth):
    """Less of smooth ones goes: there are fewer that are independent."""
    rng, energy = np.random.default_rng(8), np.ones(1000)
    errors, line = rng.standard_normal(1000), np.linspace(-1, 1, 1000)
    if smooth:
        errors = smooth_error(1000, np.ones(3), cycles=30.0, rng=rng)[:, 0]
    gone = []
    for slope in (0.01, 0.5, 3.0):
        common = 0.5 + slope * line
        gone.append(np.ptp(found := not_by_chance(errors + common, common, energy)) / np.ptp(common))
        assert found.mean() == pytest.approx(0.5)
    assert gone[0] == pytest.approx(0.0, abs=1e-6) and gone[2] > 0.97
    assert gone[1] < 0.8 if smooth else gone[1] > 0.95


def rows(rms: float, *, smooth: bool) -> np.ndarray:
    """Errors in depth of 20 rows of 150 poses (n,) [m]."""
    rng, size = np.random.default_rng(14), np.full(3, rms)
    if smooth:
        return np.concatenate([smooth_error(150, size, cycles=3.0, rng=rng)[:, 2] for _ in range(20)])
    return white_error(20 * 150, size, rng=rng)[:, 2]


WIDE = np.stack(np.meshgrid(np.linspace(-0.09, 0.09, 150), np.linspace(-0.08, 0.08, 20)), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("slope", [(0.01, 0.0), (0.0, -0.015), (-0.012, 0.006)])
def test_a_slope_behind_half_wavelengths_is_seen_by_means_of_neighbours(planar, slope):
    """Depths that are turned, and moved by the half wavelengths that bring them near to where they were recorded."""
    half, weight = planar.half, np.random.default_rng(15).uniform(0.1, 1, len(WIDE))
    true, turn = rows(1e-3, smooth=False), WIDE @ np.array(slope)
    hidden = true + turn - half * np.round(turn / half)
    out = straightened(WIDE, hidden, weight, half)
    assert spread(hidden - true) > 0.25 * half and np.mean(np.abs(out - true) < 0.1 * half) > 0.85
    off = out - hidden + turn  # as if they had been turned back, but for half wavelengths
    off -= half * np.round(np.median(off) / half)
    off -= half * np.round(off / half)
    assert spread(off) < 0.05 * half


def test_depths_that_hide_no_slope_stay(planar):
    half, weight = planar.half, np.ones(len(WIDE))
    white, smooth = rows(1e-3, smooth=False), rows(1e-3, smooth=True)
    for depth in (white, white + WIDE @ np.array([0.002, 0.001]), smooth, 0.7 * (white + smooth)):
        for some in (depth, depth - half * np.round(depth / half)):
            assert straightened(WIDE, some, weight, half) is None
    hidden = white + (turn := WIDE[:, 0] * 0.01) - half * np.round(turn / half)
    assert straightened(WIDE, hidden, weight, half) is not None
    assert straightened(WIDE[:60], hidden[:60], weight[:60], half) is None  # too few to tell
