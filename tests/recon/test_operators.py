"""The scipy operator of a plan, and a dot test that finds wrong adjoints."""

import numpy as np
import pytest

from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid
from mmsar.recon import bpa
from mmsar.recon.operators import dot_test, linear_operator


@pytest.fixture(scope="module")
def plan():
    rng = np.random.default_rng(0)
    array = AntennaArray.single(baseline=0.01)
    position = rng.uniform(-0.05, 0.05, (20, 1, 1, 3)) * [1, 1, 0]
    geometry = Geometry(
        chirp=Chirp.stepped(77e9, 1e8, 12), tx_position=position + array.tx[0], rx_position=position + array.rx[0]
    )
    return bpa.plan(geometry, ImageGrid.from_extent((-0.02, 0.02), (-0.01, 0.01), (0.3, 0.33), spacing=4e-3))


def test_operator_maps_image_to_signal_and_back(plan):
    operator = linear_operator(plan)
    rng = np.random.default_rng(1)
    image = (rng.standard_normal(plan.grid.shape) + 0j).astype(np.complex64)
    signal = plan.adjoint(image)
    assert operator.shape == (20 * 12, plan.grid.n_voxels)
    assert np.array_equal(operator @ image.ravel(), signal.ravel())
    assert np.array_equal(operator.H @ signal.ravel(), plan(signal).ravel())


def test_operator_in_a_solver_lowers_the_residual(plan):
    from scipy.sparse.linalg import lsqr

    operator = linear_operator(plan)
    truth = np.zeros(plan.grid.shape, np.complex64)
    truth[3, 2, 5] = 1
    data = plan.adjoint(truth).ravel()
    found = lsqr(operator, data, iter_lim=30)[0]
    assert np.linalg.norm(operator @ found.astype(np.complex64) - data) < 0.05 * np.linalg.norm(data)


def test_dot_test_passes_and_fails(plan):
    assert dot_test(plan) <= 1e-5

    class Wrong:
        geometry, grid, nbytes = plan.geometry, plan.grid, plan.nbytes

        def __call__(self, signal):
            return plan(signal)

        def adjoint(self, data):
            return plan.adjoint(data) * np.float32(1.01)

    assert dot_test(Wrong()) > 5e-3
