"""What poses are worth: the noise of all, and a share of what each of them sees."""

import numpy as np
import pytest

from mmsar.focus.jointstep import solve_scene
from mmsar.focus.posestep import match
from mmsar.focus.weighing import LEAST, amiss, weighed
from mmsar.simulate.noise import white_error


@pytest.mark.parametrize(("noise", "mu"), [(2.0, 0.05), (0.5, 0.0), (1e-9, 0.2)])
def test_noise_and_share_come_out_of_what_is_left(noise, mu):
    rng = np.random.default_rng(1)
    energy = 10 ** rng.uniform(-1, 2, 4000)
    left = (noise + mu * energy) * rng.gamma(50.0, 1 / 50.0, 4000)
    found = amiss(energy, left)
    assert found[0] == pytest.approx(noise, rel=0.05) if noise > 0.1 else found[0] < 0.05 * mu * energy.mean()
    assert found[1] == pytest.approx(mu, rel=0.1, abs=2e-3)


def test_poses_without_samples_do_not_count_and_none_at_all_is_none():
    energy, left = np.array([0.0, 1.0, 2.0, 4.0]), np.array([7.0, 0.5, 0.6, 0.8])
    np.testing.assert_allclose(amiss(energy, left), (0.4, 0.1), rtol=1e-6)
    assert amiss(np.zeros(3), np.zeros(3)) == (1.0, 0.0)
    assert amiss(np.ones(3), np.zeros(3)) == (LEAST, 0.0)


def test_one_that_is_left_over_is_what_is_amiss_with_a_pose(planar):
    """Bright and dim poses leave as much of themselves, once weighed; their energies stay known."""
    error = white_error(len(planar.path), np.full(3, 0.15e-3), rng=np.random.default_rng(2))
    field, none = planar.field(error, snr_db=20.0), np.zeros((len(planar.path), 3))
    scene = solve_scene(field, none)
    other = weighed(field, scene, none)
    np.testing.assert_allclose(other.energy, field.energy, rtol=1e-4)
    bright = field.energy > np.median(field.energy)
    ratio = []
    for of in (field, other):
        fit = match(of, of.waves(scene), none)
        left = fit.measured - 2 * fit.gain * np.abs(fit.product) + fit.gain**2 * fit.own
        ratio.append(left[bright].mean() / left[~bright].mean())
    assert left.mean() == pytest.approx(1, rel=0.3)
    assert ratio[0] > 1.5 * ratio[1] and 0.5 < ratio[1] < 2
    part = other.part(np.array([3, 1]))
    np.testing.assert_allclose(part.energy, field.energy[[3, 1]], rtol=1e-4)
