"""The waveform: frequencies, derived quantities, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.constants import C0
from mmsar.errors import GeometryError
from mmsar.model.chirp import Chirp

GOOD = {"f0": 77e9, "slope": 100e12, "fs": 2e6, "n_samples": 64}


def test_known_waveform():
    """100 MHz/us sampled 64 times at 2 MHz: 50 MHz steps, 3.2 GHz, 46.8 mm, 3 m."""
    chirp = Chirp(**GOOD)
    assert chirp.step == 50e6
    assert chirp.bandwidth == pytest.approx(3.2e9)
    assert chirp.range_resolution == pytest.approx(C0 / 6.4e9)
    assert chirp.range_max == pytest.approx(C0 / 100e6)
    assert chirp.f_centre == pytest.approx(77e9 + 31.5 * 50e6)
    assert chirp.wavelength == pytest.approx(C0 / chirp.f_centre)
    np.testing.assert_allclose(chirp.f[[0, 1, 63]], [77e9, 77.05e9, 77e9 + 63 * 50e6])


@given(
    f0=st.floats(1e8, 1e12),
    slope=st.floats(1e3, 1e16),
    fs=st.floats(1.0, 1e9),
    n_samples=st.integers(1, 2000),
)
def test_derived_quantities_agree(f0, slope, fs, n_samples):
    chirp = Chirp(f0=f0, slope=slope, fs=fs, n_samples=n_samples)
    assert chirp.f.shape == chirp.k.shape == (n_samples,)
    np.testing.assert_allclose(chirp.k, 2 * np.pi * chirp.f / C0, rtol=1e-12)
    assert chirp.f.mean() == pytest.approx(chirp.f_centre)
    assert chirp.range_max == pytest.approx(n_samples * chirp.range_resolution)
    assert not chirp.f.flags.writeable


def test_stepped_sweep_is_the_same_list_of_frequencies():
    chirp = Chirp.stepped(72e9, 20e6, 11)
    np.testing.assert_allclose(chirp.f, 72e9 + 20e6 * np.arange(11))
    assert chirp.bandwidth == pytest.approx(220e6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f0": 0}, r"Chirp.f0: got 0, wanted more than 0 \[Hz\]"),
        ({"f0": float("nan")}, r"Chirp.f0: got nan, wanted a finite number \[Hz\]"),
        ({"slope": -1.0}, r"Chirp.slope: got -1.*\[Hz/s\]"),
        ({"fs": "fast"}, r"Chirp.fs: got 'fast', wanted a number \[Hz\]"),
        ({"n_samples": 0}, "Chirp.n_samples: got 0, wanted a whole number >= 1"),
        ({"n_samples": 64.0}, "Chirp.n_samples: got 64.0"),
        ({"n_samples": True}, "Chirp.n_samples: got True"),
    ],
)
def test_refusals_name_value_and_unit(change, message):
    with pytest.raises(GeometryError, match=message):
        Chirp(**{**GOOD, **change})


def test_frozen():
    with pytest.raises(AttributeError):
        Chirp(**GOOD).f0 = 1.0


def test_a_band_is_the_samples_within_it():
    chirp = Chirp.stepped(77e9, 0.5e9, 9)
    assert chirp.samples_in(78e9, 79.2e9) == slice(2, 5)
    assert chirp.samples_in(0, 1e12) == slice(0, 9)
    with pytest.raises(
        GeometryError, match=r"got 81\.2 to 84 GHz, wanted a band with two samples or more of 77 to 81 GHz"
    ):
        chirp.samples_in(81.2e9, 84e9)
