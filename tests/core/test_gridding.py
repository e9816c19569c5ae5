"""The Stolt step against its definition, and every kernel against its adjoint."""

import numpy as np
import pytest

from mmsar.core import gridding
from mmsar.core.fft import RowFFT, good_size

OPEN = np.array([-1.0, 1.0, -1.0, 1.0, 0.9, 0.05])


def stolt(spectrum, kx, ky, k2, band, z, dz, block=8):
    """Planes f_j = sum_m a_m S_m exp(-j kz_m z_j) by gridding, as the migration does it."""
    n = len(z)
    fine = good_size(max(int(np.ceil(1.5 * n)), 2 * gridding.WIDTH))
    table, correction = gridding.kaiser_bessel(n, fine)
    fft = RowFFT(block, fine, "forward")
    planes = np.zeros((n, len(kx)), dtype=np.complex64)
    ones = np.ones(len(kx), dtype=np.complex64)
    for first in range(0, len(kx), block):
        gridding.spread(spectrum, first, kx, ky, k2, band, z[n // 2], dz, table, fft.buffer)
        gridding.rows_to_planes(fft(), first, correction.astype(np.complex64), ones, planes)
    return planes


def direct(spectrum, kx, ky, k2, z):
    kz = np.sqrt(k2[:, None] ** 2 - kx**2 - ky**2)
    terms = spectrum * k2[:, None] / kz**2
    return np.einsum("mq,mqj->jq", terms, np.exp(-1j * kz[:, :, None] * z))


def problem(seed=0, n_k=9, n_q=21, span=(3200.0, 3400.0)):
    rng = np.random.default_rng(seed)
    k2 = np.linspace(*span, n_k)
    kx, ky = rng.uniform(-0.5, 0.5, (2, n_q)) * k2[0]
    spectrum = (rng.standard_normal((n_k, n_q)) + 1j * rng.standard_normal((n_k, n_q))).astype(np.complex64)
    return spectrum, kx, ky, k2


@pytest.mark.parametrize("n_z", [1, 2, 3, 8, 17, 32])
@pytest.mark.parametrize("dz", [0.4e-3, 5e-3])
def test_gridding_is_the_sum_over_frequencies(n_z, dz):
    spectrum, kx, ky, k2 = problem()
    z = 0.3 + dz * np.arange(n_z)
    got = stolt(spectrum, kx, ky, k2, OPEN, z, dz)
    want = direct(spectrum, kx, ky, k2, z)
    error = np.linalg.norm(got - want) / np.linalg.norm(want)
    assert error < 10 ** (-70 / 20), error


def test_pieces_of_the_heights_are_the_whole():
    spectrum, kx, ky, k2 = problem(1)
    dz = 4e-3
    z = 0.25 + dz * np.arange(21)
    whole = stolt(spectrum, kx, ky, k2, OPEN, z, dz)
    parts = np.concatenate([stolt(spectrum, kx, ky, k2, OPEN, part, dz) for part in (z[:4], z[4:15], z[15:])])
    assert np.linalg.norm(whole - parts) < 3e-4 * np.linalg.norm(whole)


@pytest.mark.parametrize("z", [[0.3], [0.3, 0.304, 0.308], [0.2, 0.21, 0.25, 0.4]], ids=["one", "some", "uneven"])
def test_direct_sums_are_the_sum_over_frequencies_and_have_their_adjoint(z):
    spectrum, kx, ky, k2 = problem(4)
    rng, z = np.random.default_rng(4), np.array(z)
    z_scale, q_phase = rng.random(len(z)).astype(np.float32), random(rng, len(kx))
    planes, other = np.zeros((len(z), len(kx)), dtype=np.complex64), random(rng, len(z), len(kx))
    back = np.zeros_like(spectrum)
    for first, last in ((0, 8), (8, len(kx))):
        gridding.sum_heights(spectrum, first, kx, ky, k2, OPEN, z, z_scale, q_phase, planes, last)
        gridding.sum_heights_back(back, first, kx, ky, k2, OPEN, z, z_scale, q_phase, other, last)
    want = direct(spectrum, kx, ky, k2, z) * z_scale[:, None] * q_phase
    np.testing.assert_allclose(planes, want, atol=1e-5 * np.abs(want).max())
    assert dot(other, planes) == pytest.approx(dot(back, spectrum), rel=1e-5)


def test_pairs_outside_the_band_are_left_out():
    spectrum, kx, ky, k2 = problem(2)
    band = np.array([0.0, 0.5, -0.5, 0.5, 0.6, 1e-4])
    z = 0.3 + 4e-3 * np.arange(6)
    got = stolt(spectrum, kx, ky, k2, band, z, 4e-3)
    inside = (kx >= 0) & (np.hypot(kx, ky) <= 0.6 * k2[0])
    assert inside.any() and not inside.all()
    want = direct(spectrum, kx, ky, k2, z)
    np.testing.assert_allclose(got[:, inside], want[:, inside], atol=2e-3 * np.abs(want).max())
    assert np.all(got[:, kx < -1e-3 * k2[0]] == 0)


def test_in_band_says_what_the_kernels_use():
    band = np.array([-0.1, 0.3, -0.2, 0.2, 0.33, 0.02])
    kx, ky = np.linspace(-2000, 2000, 81), np.linspace(-1500, 1500, 61)
    k2 = np.array([3200.0, 3400.0])
    inside = np.zeros((81, 61), dtype=bool)
    gridding.in_band(kx, ky, k2, band, inside)
    u, v = kx[:, None] / k2[:, None, None], ky / k2[:, None, None]
    want = (u > -0.12) & (u < 0.32) & (np.abs(v) < 0.22) & (np.hypot(u, v) < 0.35)
    np.testing.assert_array_equal(inside, want.any(axis=0))


def random(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def dot(a, b):
    return np.vdot(a.astype(complex), b.astype(complex))


@pytest.mark.parametrize("n_q", [7, 8, 19])
def test_spread_and_gather_are_adjoint(n_q):
    spectrum, kx, ky, k2 = problem(3, n_q=n_q)
    table, _ = gridding.kaiser_bessel(11, 18)
    rng = np.random.default_rng(3)
    first, rows = 4, np.empty((8, 18), dtype=np.complex64)
    gridding.spread(spectrum, first, kx, ky, k2, OPEN, 0.3, 4e-3, table, rows)
    other = random(rng, 8, 18)
    back = np.zeros_like(spectrum)
    gridding.gather(other, first, kx, ky, k2, OPEN, 0.3, 4e-3, table, back)
    assert dot(other, rows) == pytest.approx(dot(back, spectrum), rel=1e-5)
    assert np.all(back[:, :first] == 0) and np.any(back[:, first:])


@pytest.mark.parametrize("n_z", [1, 4, 9])
def test_rows_and_planes_are_adjoint(n_z):
    rng = np.random.default_rng(n_z)
    rows, planes = random(rng, 8, 16), random(rng, n_z, 13)
    z_scale, q_phase = random(rng, n_z), random(rng, 13)
    for first in (0, 8):
        forward = np.zeros_like(planes)
        gridding.rows_to_planes(rows, first, z_scale, q_phase, forward)
        back = random(rng, 8, 16)
        gridding.planes_to_rows(planes, first, z_scale, q_phase, back)
        assert dot(planes, forward) == pytest.approx(dot(back, rows), rel=1e-5)
        modes = (np.arange(n_z) - n_z // 2) % 16
        assert np.all(np.delete(back, modes, axis=1) == 0)
