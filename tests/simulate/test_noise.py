"""Noise and position errors have the size and the character they are asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.simulate.noise import add_noise, drift_error, smooth_error, white_error


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 25.0])
def test_noise_power_is_the_snr_per_sample(snr_db):
    signal = np.zeros((200, 2, 4, 64), np.complex64)
    signal[:100] = 3 + 4j
    noisy = add_noise(signal, snr_db, rng=np.random.default_rng(0))
    noise = noisy - signal
    power = 25 / 2
    got = 10 * np.log10(power / np.mean(np.abs(noise) ** 2, dtype=np.float64))
    assert got == pytest.approx(snr_db, abs=0.1)
    assert noisy.dtype == np.complex64
    assert abs(np.mean(noise.real * noise.imag)) < 0.02 * np.mean(noise.real**2)
    assert not np.may_share_memory(noisy, signal)


def test_noise_of_nothing_is_refused():
    with pytest.raises(GeometryError, match="signal of zeros"):
        add_noise(np.zeros((3, 1, 1, 4), np.complex64), 10.0, rng=np.random.default_rng(0))


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 500), rms=st.tuples(*[st.floats(0, 1e-2)] * 3), seed=st.integers(0, 99))
def test_smooth_error_has_the_rms_asked_for(n, rms, seed):
    error = smooth_error(n, rms, cycles=5.0, rng=np.random.default_rng(seed))
    np.testing.assert_allclose(np.sqrt(np.mean(error**2, axis=0)), rms, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(error.mean(axis=0), 0, atol=1e-12)


def test_smooth_error_is_smooth_and_white_error_is_not():
    rng = np.random.default_rng(1)
    smooth = smooth_error(4000, (1, 1, 1), cycles=10.0, rng=rng)
    white = white_error(4000, (1.0, 2.0, 0.0), rng=rng)
    assert np.abs(np.diff(smooth, axis=0)).max() < 0.1
    assert np.abs(np.diff(white[:, 0])).mean() > 1
    np.testing.assert_allclose(white.std(axis=0), [1, 2, 0], atol=0.1)


def test_drift_grows_with_time():
    error = drift_error([1.0, 2.0, 5.0], (4e-3, 0, -8e-3))
    np.testing.assert_allclose(error, [[0, 0, 0], [1e-3, 0, -2e-3], [4e-3, 0, -8e-3]], atol=1e-15)
    np.testing.assert_array_equal(drift_error([1.0], (1, 1, 1)), [[0, 0, 0]])
