"""The stacked transform against direct sums and against finufft's type 3, and its adjoint."""

import numpy as np
import pytest

from mmsar.core.depth_planes import BINS, lags_of
from mmsar.core.stacked import StackedNufft, WaveFamily


def family(*, first=(-14, -9), count=(30, 21), dk=(25.0, 31.0), k2=(3200.0, 3300.0, 3400.0)) -> WaveFamily:
    """A block of modes with the pairs inside a disc of 0.15 times the wavenumber marked in band."""
    kx, ky = (d * (f + np.arange(n)) for d, f, n in zip(dk, first, count, strict=True))
    side = np.hypot(*np.meshgrid(kx, ky, indexing="ij"))
    inside, k = side < 0.15 * min(k2), np.array(k2)
    lag = k[:, None] - np.sqrt(k[:, None] ** 2 - side[inside] ** 2)
    power, edges = np.histogram(lag, bins=BINS, range=(0.0, lag.max()) if lag.max() else None)
    lags = lags_of(power, edges[1] * (lag.max() > 0))
    return WaveFamily(dk=dk, first=first, count=count, flat=np.flatnonzero(inside), k2=k, lags=lags)


def points(n: int, depth: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((n, 3)) - [0.4, 0.5, 0.3]) * [0.1, 0.08, depth]


def direct(at: np.ndarray, waves: WaveFamily, data: np.ndarray) -> np.ndarray:
    a, b = np.unravel_index(waves.flat, waves.count)
    kx, ky = waves.dk[0] * (waves.first[0] + a), waves.dk[1] * (waves.first[1] + b)
    out = []
    for k2, row in zip(waves.k2, data, strict=True):
        kappa = k2 - np.sqrt(k2**2 - kx**2 - ky**2)
        out.append(np.exp(-1j * (np.outer(kx, at[:, 0]) + np.outer(ky, at[:, 1]) + np.outer(kappa, at[:, 2]))) @ row)
    return np.array(out)


def noise(shape, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def relative_db(a: np.ndarray, b: np.ndarray) -> float:
    return 20 * np.log10(np.linalg.norm(a - b) / np.linalg.norm(b) + 1e-30)


@pytest.mark.parametrize("depth", [0.0, 0.004, 0.05, 0.4])
@pytest.mark.parametrize(("error", "wanted"), [(3e-2, -30), (1e-3, -54), (1e-5, -86)])
def test_agrees_with_the_direct_sum(depth, error, wanted):
    waves, at = family(), points(400, depth)
    data = noise((3, 400), 1)
    got = StackedNufft(at, waves, error=error, memory=2**28)(data)
    assert relative_db(got, direct(at, waves, data)) < wanted


def test_agrees_with_finufft_type_3():
    finufft = pytest.importorskip("finufft")
    waves, at = family(), points(600, 0.03, seed=3)
    data = noise((3, 600), 2)
    got = StackedNufft(at, waves, error=1e-4, memory=2**28)(data)
    a, b = np.unravel_index(waves.flat, waves.count)
    kx, ky = waves.dk[0] * (waves.first[0] + a), waves.dk[1] * (waves.first[1] + b)
    kappa = waves.k2[1] - np.sqrt(waves.k2[1] ** 2 - kx**2 - ky**2)
    theirs = finufft.nufft3d3(*at.T.copy(), data[1].astype(complex), kx, ky, kappa, isign=-1, eps=1e-8)
    assert relative_db(got[1], theirs) < -70


@pytest.mark.parametrize("depth", [0.0, 0.03])
def test_adjoint(depth):
    waves, at = family(), points(500, depth)
    transform = StackedNufft(at, waves, error=1e-3, memory=2**28)
    x, y = noise((3, 500), 3), noise((3, len(waves.flat)), 4)
    left, right = np.vdot(y, transform(x)), np.vdot(transform.adjoint(y), x)
    assert abs(left - right) < 1e-4 * abs(left)


def test_blocks_of_frequencies_and_threads_change_nothing(monkeypatch):
    waves, at = family(k2=tuple(np.linspace(3200, 3400, 7))), points(2000, 0.02)
    data = noise((7, 2000), 5)
    whole = StackedNufft(at, waves, error=1e-3, memory=2**30)
    assert len(whole._blocks()) == 1
    small = StackedNufft(at, waves, error=1e-3, memory=2**17)
    assert len(small._blocks()) > 1
    monkeypatch.setattr("mmsar.core.stacked.threads", lambda: 5)
    many = StackedNufft(at, waves, error=1e-3, memory=2**30)
    assert len(many._stripes) >= len(whole._stripes)
    reference = whole(data)
    assert relative_db(small(data), reference) < -100
    assert relative_db(many(data), reference) < -100


def test_points_wider_than_the_period_fold():
    """An aperture that does not fit into one period of the modes still gives the plain sum."""
    waves = family(first=(-3, -4), count=(8, 9), dk=(90.0, 100.0))
    at = points(300, 0.01) * [2.0, 2.5, 1.0]
    assert np.ptp(at[:, 0]) > 2 * np.pi / 90.0
    data = noise((3, 300), 6)
    got = StackedNufft(at, waves, error=1e-3, memory=2**28)(data)
    assert relative_db(got, direct(at, waves, data)) < -48


def test_one_point_and_one_pair():
    waves = family(first=(2, 1), count=(1, 1))
    at = np.array([[0.01, -0.02, 0.003]])
    got = StackedNufft(at, waves, error=1e-3, memory=2**28)(np.ones((3, 1), np.complex64))
    assert np.allclose(got, direct(at, waves, np.ones((3, 1))), atol=2e-3)


@pytest.mark.parametrize("depth", [0.0, 0.03, 0.4])
@pytest.mark.parametrize("room", [0, 2**14, 2**22])
def test_what_is_taken_together_changes_nothing(monkeypatch, depth, room):
    """Row by row as for large problems, a few, or all at once as for small ones."""
    waves, at = family(), points(500, depth)
    x, y = noise((3, 500), 3), noise((3, len(waves.flat)), 4)
    usual = StackedNufft(at, waves, error=1e-4, memory=2**28)
    monkeypatch.setattr("mmsar.core.stacked.TOGETHER", room)
    monkeypatch.setattr("mmsar.core.stacked.FUSED", room)
    other = StackedNufft(at, waves, error=1e-4, memory=2**28)
    assert other._fused is (room > 0 or depth == 0.0 or usual.n_planes[0] == usual.n_planes[1])
    assert other.nbytes <= usual.nbytes or room > 2**17
    for a, b in ((other(x), usual(x)), (other.adjoint(y), usual.adjoint(y))):
        np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(b).max())
