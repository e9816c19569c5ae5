"""Density weights: inverse to the density of the samples, mean 1, lost channels 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.model import Chirp, Geometry, Trajectory
from mmsar.recon import bpa
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


def test_sign_of_the_feed_does_not_matter(lab):
    points = two_densities()
    sign = np.where(np.arange(len(points)) % 2, 1.0, -1.0)[:, None, None]
    np.testing.assert_array_equal(
        density_weights(lab.monostatic(points, weight=sign)), density_weights(lab.monostatic(points))
    )


def test_height_of_the_samples_does_not_matter(lab):
    points = Trajectory.freehand((20, 60), (2e-3, 4e-3), motion=(1e-3, 1e-3, 20e-3), seed=3).position
    flat = lab.monostatic(points * [1, 1, 0])
    np.testing.assert_allclose(density_weights(lab.monostatic(points)), density_weights(flat))


def test_a_line_of_uneven_steps_is_compensated(lab):
    x = np.concatenate([np.arange(-100, 0) * 0.5e-3, np.arange(0, 200) * 0.25e-3])
    weight = density_weights(lab.monostatic(np.outer(x, [1, 0, 0]))).ravel()
    assert weight[30:70].mean() / weight[160:240].mean() == pytest.approx(2, rel=0.1)


def test_compensated_beam_is_that_of_an_even_aperture(lab):
    """The cut through a point seen by a square with uneven halves comes nearer to the sinc of the square."""
    points = two_densities()
    geometry = lab.monostatic(points, lab.chirp)
    signal = lab.signal_of(geometry, [[0.0, 0.0, 0.6]])
    x = np.linspace(-15e-3, 15e-3, 121)
    cut = np.stack([x, np.zeros(121), np.full(121, 0.6)], axis=1)
    ideal = np.abs(np.sinc(x * 2 * 0.2 / (lab.chirp.wavelength * 0.6)))
    error = []
    for used in (geometry, geometry.replace(weight=density_weights(geometry))):
        beam = np.abs(bpa.exact(signal, used, cut))
        assert beam.max() == pytest.approx(1, abs=0.02)
        error.append(float(np.sqrt(np.mean((beam - ideal) ** 2))))
    assert error[1] < 0.7 * error[0], error


def test_spacing_of_a_grid_a_line_and_a_point(lab):
    x, y = np.meshgrid(np.arange(40) * 2e-3, np.arange(40) * 2e-3)
    plane = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    assert spacing(lab.monostatic(plane)) == pytest.approx(2e-3, rel=0.05)
    assert spacing(lab.monostatic(np.outer(np.arange(40) * 3e-3, [0, 1, 0]))) == pytest.approx(3e-3)
    assert spacing(lab.monostatic([[0.0, 0.0, 0.0]])) == lab.chirp.wavelength / 8


def test_the_rim_of_an_even_aperture_weighs_as_much_as_its_middle():
    rng = np.random.default_rng(0)
    position = np.pad(rng.uniform(-0.1, 0.1, (6000, 2)), ((0, 0), (0, 1)))
    positions = position[:, None, None, :]
    geometry = Geometry(chirp=Chirp.stepped(77e9, 1e9, 2), tx_position=positions, rx_position=positions)
    weight = density_weights(geometry).ravel()
    edge = np.max(np.abs(position), axis=1)
    for low, high in ((0, 0.05), (0.09, 0.095), (0.098, 0.1)):
        assert weight[(edge >= low) & (edge < high)].mean() == pytest.approx(1, abs=0.1)


def uneven(n=400, turns=1, *, same=False, seed=0):
    """Angles of turns with steps that vary by up to 60 % either way, (turns, n) [rad]."""
    rng = np.random.default_rng(seed)
    angle = (np.arange(n) + rng.uniform(-0.3, 0.3, (turns, n))) * 2 * np.pi / n
    return np.tile(angle[:1], (turns, 1)) if same else angle


def ring(lab, angle, height=0.0, **kwargs):
    """Geometry of antennas round the y axis."""
    return lab.monostatic(Trajectory.around(np.ravel(angle), 0.25, height=height).position, **kwargs)


def test_uneven_angles_weigh_their_local_step(lab):
    angle = uneven()[0]
    step = np.diff(np.concatenate([[angle[-1] - 2 * np.pi], angle, [angle[0] + 2 * np.pi]]))
    local = (step[1:] + step[:-1]) / 2
    weight = density_weights(ring(lab, angle)).ravel()
    np.testing.assert_allclose(weight, local / local.mean(), rtol=1e-9)
    shuffled = np.random.default_rng(1).permutation(len(angle))
    np.testing.assert_allclose(density_weights(ring(lab, angle[shuffled])).ravel(), weight[shuffled], rtol=1e-9)


def test_turns_at_uneven_heights_with_angles_of_their_own(lab):
    heights = np.array([0.0, 1e-3, 3e-3, 4e-3])  # cells of 1, 1.5, 1.5, 1 mm
    weight = density_weights(ring(lab, uneven(turns=4), np.repeat(heights, 400))).reshape(4, 400)
    np.testing.assert_allclose(weight.sum(axis=1) / weight.sum(), np.array([1, 1.5, 1.5, 1]) / 5, rtol=1e-9)


@given(turn=st.floats(-3.2, 3.2), turns=st.integers(1, 3))
def test_where_a_closed_circle_begins_does_not_matter(lab, turn, turns):
    height = np.repeat(np.arange(turns) * 2e-3, 400)
    angle = uneven(turns=turns)
    here, there = (density_weights(ring(lab, angle + a, height)) for a in (0.0, turn))
    np.testing.assert_allclose(there, here, rtol=1e-6)


@given(turn=st.floats(-3.2, 3.2))
def test_a_cloud_round_the_axis_has_no_seam(lab, turn):
    """No two samples at one height, half of the circle twice as dense: smoothed, wherever the cylinder is cut open."""
    rng = np.random.default_rng(4)
    angle = np.concatenate([rng.uniform(0, np.pi, 4000), rng.uniform(-np.pi, 0, 2000)])
    height = rng.uniform(-0.05, 0.05, 6000)
    weight = density_weights(ring(lab, angle + turn, height)).ravel()
    inner = (np.abs(height) < 0.04) & (np.abs(np.abs(angle) - np.pi / 2) < 1.3)
    means = [weight[inner & (sign * angle > 0)].mean() for sign in (1, -1)]
    assert means[1] / means[0] == pytest.approx(2, rel=0.1)
    seam = np.abs((angle - np.pi / 2 + np.pi) % (2 * np.pi) - np.pi) < 0.3
    assert weight[inner & seam].mean() == pytest.approx(means[0], rel=0.1)


def test_an_arc_weighs_the_same_to_its_ends_and_samples_twice_share(lab):
    angle = np.linspace(0.2, 1.4, 200)
    np.testing.assert_allclose(density_weights(ring(lab, angle)), 1, rtol=1e-9)
    twice = density_weights(ring(lab, np.concatenate([angle, angle[:50]]))).ravel()
    np.testing.assert_allclose(twice[:50], twice[200:])
    np.testing.assert_allclose(twice[60:190] / twice[10:40].mean(), 2, rtol=1e-9)


def test_lost_poses_of_a_turn_leave_their_angle_to_their_neighbours(lab):
    angle = np.arange(100) * 2 * np.pi / 100
    on = np.ones((100, 1, 1))
    on[[10, 40]] = 0
    weight = density_weights(ring(lab, angle, weight=on)).ravel()
    assert np.all(weight[[10, 40]] == 0)
    np.testing.assert_allclose(weight[[9, 11, 39, 41]] / weight[0], 1.5)


def test_a_helix_that_rises_slower_half_of_the_time_weighs_by_its_thread(lab):
    angle = np.arange(60 * 180) * np.deg2rad(2)
    rise = np.where(np.arange(len(angle)) < len(angle) / 2, 2.0, 4.0)
    height = np.cumsum(rise) * 1e-3 / 180
    weight = density_weights(ring(lab, angle, height)).ravel()
    assert weight[len(angle) * 6 // 10 : -1000].mean() / weight[1000 : len(angle) * 4 // 10].mean() == pytest.approx(
        2, rel=0.05
    )
