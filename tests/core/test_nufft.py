"""The planar non-uniform FFT against its direct sum, and its adjoint."""

import numpy as np
import pytest

from mmsar.core.nufft import Type1, Waves, threads
from mmsar.errors import GeometryError


def data(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


@pytest.mark.parametrize("n_trans", [1, 3])
@pytest.mark.parametrize(("first", "shape"), [((-5, -4), (11, 8)), ((20, -33), (6, 7)), ((-300, 0), (1, 40))])
@pytest.mark.parametrize("eps", [1e-3, 1e-5])
def test_type1_is_the_direct_sum(n_trans, first, shape, eps):
    rng = np.random.default_rng(shape[0] + n_trans)
    x, y = rng.uniform(-5, 5, (2, 200))  # more than a period: points may lie anywhere
    strengths = data(rng, n_trans, 200)
    plan = Type1(x, y, first=first, shape=shape, n_trans=n_trans, eps=eps)
    a, b = (f + np.arange(n) for f, n in zip(first, shape, strict=True))
    kernel = np.exp(-1j * (a[:, None, None] * x + b[None, :, None] * y))
    want = np.einsum("tl,abl->tab", strengths.astype(complex), kernel)
    got = plan(strengths)
    assert got.shape == (n_trans, *shape) and got.dtype == np.complex64
    assert np.linalg.norm(got - want) < max(5 * eps, 5e-5) * np.linalg.norm(want)
    modes = data(rng, n_trans, *shape)
    back = plan.adjoint(modes)
    assert back.shape == (n_trans, 200)
    assert np.vdot(modes, got) == pytest.approx(np.vdot(back, strengths), rel=1e-4)
    assert np.linalg.norm(back - np.einsum("tab,abl->tl", modes, kernel.conj())) < max(5 * eps, 5e-5) * np.linalg.norm(
        back
    )


def test_type1_wants_matching_coordinates():
    with pytest.raises(GeometryError, match="as many of each"):
        Type1(np.zeros(3), np.zeros(2), first=(0, 0), shape=(2, 2), n_trans=1, eps=1e-3)
    with pytest.raises(GeometryError, match="n_trans"):
        Type1(np.zeros(3), np.zeros(3), first=(0, 0), shape=(2, 2), n_trans=0, eps=1e-3)


def test_memory_and_threads_are_counted():
    plan = Type1(np.zeros(1000), np.zeros(1000), first=(0, 0), shape=(64, 64), n_trans=4, eps=1e-3)
    assert plan.nbytes >= 8 * 1000 + 8 * 64 * 64
    assert threads() >= 1


@pytest.mark.parametrize("n_trans", [1, 2])
@pytest.mark.parametrize("shape", [(12, 15), (1, 40), (7, 1)])
@pytest.mark.parametrize("eps", [1e-3, 1e-5])
def test_waves_are_the_direct_sum_wherever_they_are_put(n_trans, shape, eps):
    rng = np.random.default_rng(n_trans)
    waves = Waves(shape, n_trans=n_trans, eps=eps)
    p, q = (np.arange(n) - n // 2 for n in shape)
    for n in (90, 30):  # new places, and another number of them
        z, x = rng.uniform(-np.pi, np.pi, (2, n)).astype(np.float32)
        waves.place(z, x)
        strengths, pictures = data(rng, n_trans, n), data(rng, n_trans, *shape)
        kernel = np.exp(1j * (p[:, None, None] * z.astype(float) + q[None, :, None] * x.astype(float)))
        got, back = np.empty((n_trans, *shape), np.complex64), np.empty((n_trans, n), np.complex64)
        waves(strengths, got)
        want = np.einsum("tl,abl->tab", strengths.astype(complex), kernel)
        assert np.linalg.norm(got - want) < max(5 * eps, 5e-5) * np.linalg.norm(want)
        waves.adjoint(pictures, back)
        assert np.vdot(pictures, got) == pytest.approx(np.vdot(back, strengths), rel=1e-4)
    assert Waves.nbytes(shape, n_trans, 90) > 8 * n_trans * (90 + shape[0] * shape[1])
