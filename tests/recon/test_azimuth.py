"""Azimuth kernels against scipy's Bessel functions and the definitions of the module."""

import numpy as np
import pytest
from scipy.special import hankel1, hankel2, jv

from mmsar.recon.azimuth import azimuth_weights, highest_order

KR = np.array([300.0, 1700.0, 3390.0])
R0, RHO = 0.25, 0.08
LAST = highest_order(KR * RHO)
ORDERS = np.arange(LAST.max() + 1)
INSIDE = ORDERS <= LAST[:, None]


def weights(kernel, n_angles=512):
    return azimuth_weights(kernel, KR, R0, LAST, k2=np.full(3, 3400.0), n_angles=n_angles)


def test_highest_order_leaves_nothing():
    for x in (0.0, 0.5, 10.0, 300.0, 3000.0):
        assert np.abs(jv(highest_order(x) + np.arange(1, 30), x)).max() < 1e-3 * np.abs(jv(np.arange(30), x)).max()
        assert highest_order(x) < x + 4 * np.cbrt(x) + 6


def test_matched_is_the_hankel_function():
    wanted = (-1j) ** ORDERS * hankel2(ORDERS, KR[:, None] * R0)
    np.testing.assert_allclose(weights("matched")[INSIDE], wanted[INSIDE], rtol=1e-9)
    assert not weights("matched")[~INSIDE].any()


def test_hankel_undoes_the_field_of_a_point():
    """Of the spectrum j^n H^(1)_n, the field of a point on the axis's far side, it leaves the Jacobian k_r alone."""
    flat = weights("hankel") * 1j**ORDERS * hankel1(ORDERS, KR[:, None] * R0)
    wanted = np.broadcast_to(2 / (np.pi * R0) / 3400.0, flat.shape)
    np.testing.assert_allclose(flat[INSIDE], wanted[INSIDE], rtol=1e-9)


def test_kernels_have_the_same_gain_at_order_zero():
    gain = np.abs(weights("matched")[2, 0])
    assert np.abs(weights("hankel")[2, 0]) == pytest.approx(gain, rel=0.01)
    assert np.abs(weights("exponential")[2, :2]).max() == pytest.approx(2 * np.abs(jv([0, 1], 3390 * R0)).max())


def test_exponential_is_the_transform_of_the_papers_kernel():
    """Sampled finely enough it is the closed form; at fewer than 2 k_r R0 angles it is aliased."""
    wanted = 2 * (-1j) ** ORDERS * jv(ORDERS, KR[:, None] * R0)
    np.testing.assert_allclose(weights("exponential")[INSIDE], wanted[INSIDE], atol=1e-9)
    np.testing.assert_allclose(weights("exponential-sampled", 4096)[INSIDE], wanted[INSIDE], atol=1e-9)
    aliased = weights("exponential-sampled", 512)
    np.testing.assert_allclose(aliased[0][INSIDE[0]], wanted[0][INSIDE[0]], atol=1e-9)  # 2 k_r R0 = 150
    assert np.abs(aliased[2] - wanted[2])[INSIDE[2]].max() > 0.02  # 2 k_r R0 = 1695


def test_far_away_every_order_counts_the_same():
    np.testing.assert_array_equal(weights("far_field"), INSIDE)
