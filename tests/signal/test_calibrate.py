"""Calibration takes out exactly what an instrument put in, lazily or not."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Calibration, Chirp, Scan, Trajectory
from mmsar.signal.calibrate import apply_calibration, attach_calibration, calibrate_block
from mmsar.signal.lazy import LazySignal

CHIRP = Chirp(f0=77e9, slope=60e12, fs=4e6, n_samples=32)
WAVEFORM = {name: getattr(CHIRP, name) for name in ("f0", "slope", "fs", "n_samples")}
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


def test_delays_turn_no_phase_at_their_frequency_and_are_taken_out() -> None:
    ideal, scan = ideal_and_measured()
    delay, f_ref = np.array([[0.0, 3e-12], [-8e-12, 1e-11]]), CHIRP.f_centre
    measured = scan.signal * np.exp(2j * np.pi * delay[..., None] * (CHIRP.f - f_ref))
    calibration = replace(scan.calibration, delay=delay, delay_frequency=f_ref)
    np.testing.assert_allclose(
        calibration.response(np.array([f_ref]))[..., 0], scan.calibration.response(np.array([f_ref]))[..., 0]
    )
    done = apply_calibration(scan.with_signal(measured, calibration=calibration))
    np.testing.assert_allclose(done.signal, ideal, atol=3e-5)
    part = scan.with_signal(measured, calibration=calibration).subset(tx=[1], rx=[0, 1], samples=slice(4, 30, 3))
    np.testing.assert_allclose(apply_calibration(part).signal, ideal[:, [1]][..., 4:30:3], atol=3e-5)


@pytest.mark.parametrize(
    "change",
    [{"delay": np.zeros((2, 2))}, {"delay_frequency": 77e9}, {"delay": np.zeros((1, 2)), "delay_frequency": 77e9}],
)
def test_half_a_delay_is_refused(change: dict) -> None:
    with pytest.raises(GeometryError, match=r"Calibration\.delay"):
        Calibration(gain=GAIN, **change)


def test_a_calibration_of_another_configuration_is_refused_unless_forced() -> None:
    _, scan = ideal_and_measured()
    calibration = scan.calibration
    raw = replace(scan, calibration=None, attrs={"config_digest": "a" * 64})
    ours = replace(calibration, attrs={"config_digest": "a" * 64, "date": "2026-01-02"})
    theirs = replace(calibration, attrs={"config_digest": "b" * 64})
    done = attach_calibration(raw, ours)
    assert done.calibration is ours
    assert done.attrs["history"][-1] == {
        "step": "attach calibration",
        "compared": "config_digest",
        "date": "2026-01-02",
    }
    with pytest.raises(GeometryError, match="bbbbbbbbbbbb, wanted aaaaaaaaaaaa"):
        attach_calibration(raw, theirs)
    assert "bbbb" in attach_calibration(raw, theirs, force=True).attrs["history"][-1]["forced"]
    assert attach_calibration(raw, calibration).attrs["history"][-1]["compared"] == "nothing"
    with pytest.raises(GeometryError, match="calibrated already"):
        attach_calibration(apply_calibration(done), ours)
    with pytest.raises(GeometryError, match=r"wanted \(1, 2\)"):
        attach_calibration(raw.subset(tx=[0]), ours)


@pytest.mark.parametrize(
    ("change", "fits"), [({}, True), ({"n_samples": 64}, True), ({"f0": 78e9}, False), ({"slope": 50e12}, False)]
)
def test_without_digests_the_waveform_is_compared(change: dict, fits: bool) -> None:
    _, scan = ideal_and_measured()
    raw = replace(scan, calibration=None)
    calibration = replace(scan.calibration, attrs={"chirp": {**WAVEFORM, **change}})
    if fits:
        assert attach_calibration(raw, calibration).attrs["history"][-1]["compared"] == "chirp"
    else:
        with pytest.raises(GeometryError, match="GHz"):
            attach_calibration(raw, calibration)
