"""Density weights: inverse to the density of the samples, mean 1, lost channels 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.model import Trajectory
from mmsar.recon.density import LIMIT, density_weights, spacing


def two_densities(seed=0):
    """3000 samples on the left half of 0.2 m, 1000 on the right."""
    rng = np.random.default_rng(seed)
    left = rng.uniform([-0.1, -0.1], [0.0, 0.1], (3000, 2))
    right = rng.uniform([0.0, -0.1], [0.1, 0.1], (1000, 2))
    xy = np.concatenate([left, right])
    return np.column_stack([xy, np.zeros(4000)])


def test_weights_are_inverse_to_the_density(lab):
    points = two_densities()
    weight = density_weights(lab.monostatic(points))
    assert weight.shape == (4000, 1, 1) and weight.mean() == pytest.approx(1)
    weight = weight.ravel()
    inner = np.all(np.abs(np.abs(points[:, :2]) - 0.05) < 0.035, axis=1) | (np.abs(points[:, 1]) < 0.08)
    inner &= (np.abs(points[:, 0]) > 0.015) & (np.abs(points[:, 0]) < 0.085)
    left, right = weight[inner & (points[:, 0] < 0)], weight[inner & (points[:, 0] > 0)]
    assert np.median(right) / np.median(left) == pytest.approx(3, rel=0.15)
    assert weight.max() <= LIMIT * np.median(weight) * 1.001


def test_a_uniform_raster_keeps_equal_weights_inside(lab):
    points = Trajectory.raster((40, 40), (2e-3, 2e-3)).position
    weight = density_weights(lab.monostatic(points)).reshape(40, 40)
    assert np.ptp(weight[5:-5, 5:-5]) < 0.1 * weight[20, 20]


def test_lost_channels_get_nothing_and_count_for_nothing(lab):
    points = two_densities(1)
    lost = np.random.default_rng(2).random(4000) < 0.25
    weight = density_weights(lab.monostatic(points, weight=np.where(lost, 0.0, -1.0).reshape(-1, 1, 1))).ravel()
    assert np.all(weight[lost] == 0) and np.all(weight[~lost] > 0) and weight[~lost].mean() == pytest.approx(1)
    alone = density_weights(lab.monostatic(points[~lost])).ravel()
    np.testing.assert_allclose(weight[~lost], alone, rtol=1e-6)


def test_weights_make_the_image_that_of_a_uniform_aperture(lab):
    """A quarter of the aperture swept four times as densely: with weights the point is as narrow as it should be."""
    rng = np.random.default_rng(3)
    dense = rng.uniform([-0.05, -0.05], [0.0, 0.0], (1600, 2))
    rest = rng.uniform(-0.05, 0.05, (1600, 2))
    xy = np.concatenate([dense, rest[~np.all(rest < 0, axis=1)]])
    geometry = lab.monostatic(np.column_stack([xy, np.zeros(len(xy))]))
    weight = density_weights(geometry).ravel()
    share = np.abs(weight[np.all(xy < 0, axis=1)]).sum() / weight.sum()
    assert share == pytest.approx(0.25, abs=0.05)


@given(n=st.integers(1, 60), seed=st.integers(0, 50), flat=st.sampled_from([0, 1, 2]))
def test_any_layout_has_finite_weights_of_mean_one(lab, n, seed, flat):
    """One sample, lines along x or y, coincident samples."""
    points = np.random.default_rng(seed).uniform(-0.1, 0.1, (n, 3))
    points[:, :flat] = 0.02
    weight = density_weights(lab.monostatic(points))
    assert np.all(np.isfinite(weight)) and np.all(weight > 0) and weight.mean() == pytest.approx(1)
    assert spacing(lab.monostatic(points)) > 0
