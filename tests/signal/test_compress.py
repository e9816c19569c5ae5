"""Frequency compression: the stated error holds, echoes outside keep their sidelobes, degenerate inputs are fine."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model import Chirp
from mmsar.signal.compress import compress
from mmsar.signal.window import taper

K = Chirp.stepped(77e9, 4e9 / 64, 64).k


def kernels(found, k, weight, rho):
    """The exact kernel v_n exp(-j k_n rho) and the compressed one at path lengths rho, (n_rho, n)."""
    exact = weight * np.exp(-1j * np.outer(rho, k))
    return exact, np.exp(-1j * np.outer(rho, found.k)) @ found.matrix.T.astype(complex)


def worst_db(found, k, weight, rho):
    exact, approx = kernels(found, k, weight, rho)
    rms = np.sqrt(np.mean(np.abs(exact) ** 2))
    return 20 * np.log10(np.max(np.sqrt(np.mean(np.abs(approx - exact) ** 2, axis=1))) / rms + 1e-12)


@pytest.mark.parametrize("error_db", [-40.0, -60.0, -80.0])
@pytest.mark.parametrize("window", ["none", "hann", "blackman-harris"])
def test_stated_error_holds_over_the_interval(error_db, window):
    weight = taper(window, 64)
    found = compress(K, weight, low=0.5, high=0.9, error_db=error_db)
    assert found.error_db <= error_db
    assert len(found.k) < 30 and found.matrix.shape == (64, len(found.k)) and found.matrix.dtype == np.complex64
    assert found.nbytes == found.k.nbytes + found.matrix.nbytes
    dense = np.linspace(0.5, 0.9, 2001)
    assert worst_db(found, K, weight, dense) <= error_db + 1.0


def test_fewer_frequencies_for_shorter_intervals_and_rougher_errors():
    n = [len(compress(K, np.ones(64), low=0.6, high=0.6 + span).k) for span in (0.0, 0.1, 0.3, 0.8)]
    assert n == sorted(n) and n[0] <= 2 and n[-1] > n[1]
    # 2 B span / c plus a few
    assert n[2] <= 4e9 * 0.3 / 3e8 + 9
    rough = [len(compress(K, np.ones(64), low=0.6, high=0.9, error_db=e).k) for e in (-30.0, -50.0, -70.0)]
    assert rough == sorted(rough) and rough[0] < rough[-1]


@pytest.mark.parametrize("inside", [True, False])
def test_echoes_keep_what_the_full_kernel_gives_them(inside):
    """An echo beyond the interval keeps its sidelobes: the kernel is approximated, not the data."""
    weight = taper("hann", 64)
    found = compress(K, weight, low=0.55, high=0.75, error_db=-60)
    echo = 0.63 if inside else 1.31
    s = np.exp(1j * K * echo)
    rho = np.linspace(0.55, 0.75, 400)
    exact, approx = (kernel @ s for kernel in kernels(found, K, weight, rho))
    scale = np.linalg.norm(weight) * np.linalg.norm(s)
    assert np.abs(exact - approx).max() < 2e-3 * scale
    if not inside:
        assert np.abs(exact).max() > 1e-5 * scale  # there are sidelobes to keep


def test_compression_is_its_own_matrix_both_ways():
    """compressed = s @ D, and its adjoint c @ D^H."""
    rng = np.random.default_rng(0)
    found = compress(K, np.ones(64), low=0.5, high=0.8)
    s = rng.standard_normal(64) + 1j * rng.standard_normal(64)
    c = rng.standard_normal(len(found.k)) + 1j * rng.standard_normal(len(found.k))
    assert np.vdot(c, s @ found.matrix) == pytest.approx(np.vdot(c @ found.matrix.conj().T, s), rel=1e-6)


def test_degenerate_inputs():
    one = compress(K[:1], np.ones(1), low=0.5, high=0.9)
    assert one.k.tolist() == [K[0]] and one.matrix.tolist() == [[1]] and one.error_db == -np.inf
    two = compress(K[:2], np.array([0.5, 2.0]), low=0.5, high=0.9)
    assert worst_db(two, K[:2], np.array([0.5, 2.0]), np.linspace(0.5, 0.9, 50)) < -60
    point = compress(K, np.ones(64), low=0.7, high=0.7)
    assert len(point.k) == 1 and worst_db(point, K, np.ones(64), np.array([0.7])) < -60
    hole = np.where(np.arange(64) % 7 == 0, 0.0, 1.0)
    assert worst_db(compress(K, hole, low=0.5, high=0.9), K, hole, np.linspace(0.5, 0.9, 300)) < -58
    wide = compress(K, np.ones(64), low=0.2, high=6.0)  # more than the unambiguous range: nothing to save
    assert len(wide.k) == 64 and wide.error_db == -np.inf
    np.testing.assert_array_equal(wide.matrix, np.eye(64))


def test_bad_input_is_refused():
    with pytest.raises(GeometryError, match="low <= high"):
        compress(K, np.ones(64), low=0.9, high=0.5)
    with pytest.raises(GeometryError, match="finite"):
        compress(K, np.ones(64), low=0.5, high=np.inf)
    with pytest.raises(GeometryError, match="weight"):
        compress(K, np.ones(63), low=0.5, high=0.9)


@given(
    f0=st.floats(1e9, 300e9),
    fraction=st.floats(0.002, 0.4),
    n=st.integers(1, 40),
    low=st.floats(0.0, 3.0),
    cells=st.floats(0.0, 12.0),
    window=st.sampled_from(["none", "hann", "taylor"]),
)
def test_any_chirp_and_interval_meets_its_error(f0, fraction, n, low, cells, window):
    chirp = Chirp.stepped(f0, fraction * f0 / n, n)
    weight = taper(window, n)
    high = low + cells * 2 * chirp.range_resolution
    found = compress(chirp.k, weight, low=low, high=high)
    assert len(found.k) <= n
    rng = np.random.default_rng(0)
    assert worst_db(found, chirp.k, weight, rng.uniform(low, high, 200)) <= -58


@example(n=23, low=1.0, longer=8.0, power=1.0)
@given(n=st.integers(1, 40), low=st.floats(0.1, 1.0), longer=st.floats(0.0, 8.0), power=st.sampled_from([0.5, 1.0]))
def test_a_power_of_the_path_length_is_carried_too(n, low, longer, power):
    """Also of one frequency, and of intervals beyond the unambiguous range."""
    k = 2 * np.pi / 299792458.0 * (77e9 + 4e9 / 40 * np.arange(n))
    high = low * (1 + longer)
    found = compress(k, np.ones(n), low=low, high=high, power=power)
    rho = np.linspace(low, high, 300)
    want = np.exp(-1j * np.outer(rho, k)) * ((rho / ((low + high) / 2)) ** power)[:, None]
    got = np.exp(-1j * np.outer(rho, found.k)) @ found.matrix.T
    rms = np.sqrt(np.mean(np.abs(want) ** 2))
    assert np.sqrt(np.mean(np.abs(got - want) ** 2)) < 10 ** (-58 / 20) * rms
    assert len(found.k) <= max(n, (k[-1] - k[0]) / 2 * (high - low) / np.pi) + 15


def test_a_power_wants_paths_above_zero():
    with pytest.raises(GeometryError, match="above 0"):
        compress(K, np.ones(64), low=0.0, high=0.5, power=1.0)
