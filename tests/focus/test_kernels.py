"""Sums of poses, against the same by einsum."""

import numpy as np

from mmsar.focus.kernels import along, curvatures, slopes


def random(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def test_sums_over_samples():
    rng = np.random.default_rng(0)
    gradient, samples, step = random(rng, 3, 5, 7, 3), random(rng, 3, 5, 7), rng.standard_normal((5, 3))
    echo = samples.copy()
    along(gradient, step.astype(np.float32), echo)
    np.testing.assert_allclose(echo, samples + np.einsum("mpci,pi->mpc", gradient, step), rtol=1e-4, atol=1e-5)
    wanted = np.einsum("mpci,mpc->pi", gradient.conj(), samples).real
    np.testing.assert_allclose(slopes(gradient, samples), wanted, rtol=1e-4, atol=1e-4)
    wanted = np.einsum("mpci,mpcj->pij", gradient.conj(), gradient).real
    np.testing.assert_allclose(curvatures(gradient), wanted, rtol=1e-4, atol=1e-4)


def test_the_map_and_its_adjoint():
    """Re <G v, s> = <v, Re G^H s>."""
    rng = np.random.default_rng(1)
    gradient, samples, step = random(rng, 4, 6, 2, 3), random(rng, 4, 6, 2), rng.standard_normal((6, 3))
    echo = np.zeros_like(samples)
    along(gradient, step.astype(np.float32), echo)
    assert np.isclose(np.vdot(echo, samples).real, np.sum(step * slopes(gradient, samples)), rtol=1e-4)
