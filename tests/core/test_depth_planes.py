"""Few planes along z against the waves they stand for, and how many of them."""

import numpy as np
import pytest

from mmsar.core.depth_planes import BINS, MOST_FEW, depth_planes, lags_of, n_planes
from mmsar.core.gridding import tap_rows

CENTRE = 700.0
EVEN = lags_of(np.ones(BINS), 2 * CENTRE / BINS)


def carried(planes, z: np.ndarray, kappa: np.ndarray) -> np.ndarray:
    """exp(j kappa z) as the planes carry it, (n_kappa, n_z)."""
    start, taps = tap_rows(planes.places(z), planes.table)
    kernel = np.zeros((planes.n_fine, len(z)))
    np.put_along_axis(kernel, (start[:, None] + np.arange(taps.shape[1])).T, taps.T, axis=0)
    if planes.matrix is not None:
        kernel = planes.matrix @ kernel
    at = planes.first + planes.step * np.arange(planes.n)
    powers = np.polynomial.polynomial.polyval((kappa / planes.centre) ** 2, planes.correction_powers())
    return powers[:, None] * np.exp(1j * kappa[:, None] * at) @ kernel


def rms(of: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.abs(of) ** 2)))


@pytest.mark.parametrize("depth", [0.002, 0.03, 0.08, 0.5])
@pytest.mark.parametrize("error", [1e-2, 1.8e-3, 1e-4])
def test_planes_keep_the_wanted_error(depth, error):
    """Over the whole band and the points, with heights as uneven as those of a hand."""
    rng = np.random.default_rng(1)
    z = 0.1 + depth * np.append([0.0, 1.0], rng.beta(2, 3, 2000))
    planes = depth_planes(z, EVEN, error)
    sample, kappa = z[:400], np.linspace(0, 2 * CENTRE, 301) - planes.centre
    off = carried(planes, sample, kappa) - np.exp(1j * kappa[:, None] * sample)
    assert rms(off) < 1.05 * error


def test_a_hand_held_depth_takes_fewer_planes_than_points_are_spread_to():
    z = np.random.default_rng(2).uniform(0, 0.03, 3000)
    planes = depth_planes(z, EVEN, 1.8e-3)
    assert planes.n <= 0.75 * planes.n_fine
    assert planes.n >= CENTRE * 0.03 / np.pi, "not fewer than the waves have degrees of freedom"


@pytest.mark.parametrize("depth", [0.0, 0.004, 0.03, 0.1, 1.0])
@pytest.mark.parametrize("error", [1e-2, 1.8e-3])
def test_how_many_is_foreseen(depth, error):
    z = np.random.default_rng(3).uniform(0, depth, 3000) if depth else np.zeros(5)
    planes = depth_planes(z, EVEN, error)
    fine, few = n_planes(float(np.ptp(z)), EVEN, error)
    assert (planes.n_fine, planes.n) == (fine, pytest.approx(few, rel=0.2, abs=1))


def test_deep_scans_transform_all_planes_and_flat_ones_one():
    deep = depth_planes(np.linspace(0, 1.0, 500), EVEN, 1e-3)
    assert deep.matrix is None
    assert deep.n == deep.n_fine > MOST_FEW
    flat = depth_planes(np.full(9, 0.2), EVEN, 1e-3)
    assert flat.n == flat.n_fine == 1
    assert flat.first == 0.2


def test_waves_that_weigh_little_may_be_off_and_take_no_planes():
    """Lags as a square band has them, its corners faded: fewer planes, the error kept with the waves' weights."""
    z = np.random.default_rng(4).uniform(0, 0.03, 3000)
    lag = (np.arange(BINS) + 0.5) * 2 * CENTRE / BINS
    power = (1.01 - lag / (2 * CENTRE)) ** 6
    lags = lags_of(power, 2 * CENTRE / BINS)
    assert lags.most(1e-3) < lags.half == pytest.approx(CENTRE) == lags.most(0.0)
    planes = depth_planes(z, lags, 1.8e-3)
    assert planes.n < depth_planes(z, EVEN, 1.8e-3).n
    kappa = lag - planes.centre
    off = carried(planes, z[:400], kappa) - np.exp(1j * kappa[:, None] * z[:400])
    assert rms(off * np.sqrt(power / power.mean())[:, None]) < 1.05 * 1.8e-3
    assert lags_of(0 * power, 1.0).half == lags_of(power, 0.0).half == 0.0, "no waves: nothing turns"
