"""Calibration takes out exactly what an instrument put in, lazily or not."""

import numpy as np
import pytest

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Calibration, Chirp, Scan, Trajectory
from mmsar.signal.calibrate import apply_calibration, calibrate_block
from mmsar.signal.lazy import LazySignal

CHIRP = Chirp(f0=77e9, slope=60e12, fs=4e6, n_samples=32)
GAIN = np.array([[1.0, 0.8 * np.exp(0.4j)], [1.1j, -0.9]])


def ideal_and_measured() -> tuple[np.ndarray, Scan]:
    rng = np.random.default_rng(2)
    ideal = rng.standard_normal((6, 2, 2, 32)) + 1j * rng.standard_normal((6, 2, 2, 32))
    measured = ideal * GAIN[..., None] * np.exp(2j * CHIRP.k * 0.0678)
    array = AntennaArray(tx=[[0, 0, 0], [0, 8e-3, 0]], rx=[[0, 0, 0], [0, 2e-3, 0]], polarity=[[1, 1], [-1, 1]])
    scan = Scan(
        signal=measured,
        chirp=CHIRP,
        array=array,
        trajectory=Trajectory.linear(6, 1e-3),
        calibration=Calibration(gain=GAIN, range_bias=0.0678, source="corner reflector"),
        attrs={"history": [{"step": "import"}]},
    )
    return ideal, scan


def test_calibration_recovers_the_ideal_signal_and_says_so() -> None:
    ideal, scan = ideal_and_measured()
    done = apply_calibration(scan)
    np.testing.assert_allclose(done.signal, ideal, atol=2e-5)
    assert done.calibration is None
    steps = done.attrs["history"]
    assert [s["step"] for s in steps] == ["import", "calibrate"]
    assert steps[1]["source"] == "corner reflector"
    assert steps[1]["range_bias_m"] == pytest.approx(0.0678)
    assert apply_calibration(done) is done
    np.testing.assert_array_equal(done.geometry.weight, scan.geometry.weight)


def test_a_lazy_scan_stays_lazy() -> None:
    ideal, scan = ideal_and_measured()
    in_memory = scan.signal

    class Reader:
        shape, dtype, reads = scan.shape, in_memory.dtype, 0

        def __getitem__(self, key: slice) -> np.ndarray:
            Reader.reads += 1
            return in_memory[key]

    done = apply_calibration(scan.with_signal(Reader()))
    assert isinstance(done.signal, LazySignal)
    assert Reader.reads == 0
    assert done.signal.shape == scan.shape
    assert done.signal.ndim == 4
    assert len(done.signal) == 6
    np.testing.assert_allclose(done.read(), ideal, atol=2e-5)
    np.testing.assert_allclose(done.signal[2], ideal[2], atol=2e-5)
    np.testing.assert_allclose(done.signal[1:5:2, 1], ideal[1:5:2, 1], atol=2e-5)
    np.testing.assert_allclose(done.signal[-1, 0, 1], ideal[-1, 0, 1], atol=2e-5)


def test_blocks_of_another_shape_are_refused() -> None:
    _, scan = ideal_and_measured()
    with pytest.raises(GeometryError, match="calibrate_block"):
        calibrate_block(scan.signal[:, :1], scan.calibration, CHIRP)
