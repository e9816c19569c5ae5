"""Range profiles: sign, bias, leakage; the interval that holds a scene; gating."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Calibration, Chirp, Scan, Trajectory
from mmsar.signal.rangefft import energy_interval, mean_range_power, range_compress, range_gate, range_profile

CHIRP = Chirp(f0=77e9, slope=60e12, fs=1e6, n_samples=64)
PLATE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "dca1000_square_plate"


def make_scan(points, *, n=(8, 16), leak=0.0, noise=0.0, chirp=CHIRP, bias=0.0, parallel_plane=0.0) -> Scan:
    """Points (x, y, z, sigma) seen by a planar aperture of one antenna, with leakage at short range and noise."""
    rng = np.random.default_rng(5)
    trajectory = Trajectory.raster(n, (2e-3, 2e-3))
    position = trajectory.position
    signal = np.zeros((len(position), chirp.n_samples), dtype=complex)
    for x, y, z, sigma in points:
        distance = np.linalg.norm(position - (x, y, z), axis=1)
        signal += sigma * np.exp(2j * chirp.k * distance[:, None])
    signal += leak * np.exp(2j * chirp.k * 0.01)
    if parallel_plane:
        signal += np.exp(2j * chirp.k * parallel_plane)
    signal += noise * (rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape))
    signal *= np.exp(2j * chirp.k * bias)
    calibration = Calibration(gain=[[1.0]], range_bias=bias) if bias else None
    return Scan(
        signal=signal[:, None, None, :].astype(np.complex64),
        chirp=chirp,
        array=AntennaArray.single(),
        trajectory=trajectory,
        calibration=calibration,
    )


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 2.3), st.sampled_from(["none", "hann", "taylor"]))
def test_a_point_peaks_at_its_range_with_amplitude_one_and_phase_zero(distance: float, window: str) -> None:
    range_m, profile = range_compress(np.exp(2j * CHIRP.k * distance), CHIRP, pad=32, window=window)
    peak = int(np.argmax(np.abs(profile)))
    assert range_m[peak] == pytest.approx(distance, abs=CHIRP.range_resolution / 32)
    assert abs(profile[peak]) == pytest.approx(1, abs=0.01)
    exact = np.sum(np.exp(2j * CHIRP.k * (distance - range_m[peak]))) / 64
    if window == "none":
        assert abs(profile[peak] - exact) < 1e-9


def test_profile_of_arrays_and_scans_agree_and_count_only_valid_channels() -> None:
    scan = make_scan([(0, 0, 0.4, 1.0)], noise=0.1)
    range_m, power = range_profile(scan)
    _, same = range_profile((scan.signal, CHIRP))
    np.testing.assert_allclose(power, same, rtol=1e-5)
    assert range_m[np.argmax(power)] == pytest.approx(0.4, abs=CHIRP.range_resolution / 2)
    broken = scan.read().copy()
    broken[3] = 1e6
    valid = np.arange(len(broken)) != 3
    _, masked = range_profile(scan.with_signal(broken, valid=valid))
    assert masked.max() < 1.1


def test_range_bias_of_the_calibration_moves_the_profile() -> None:
    scan = make_scan([(0, 0, 0.4, 1.0)], bias=0.11)
    range_m, power = range_profile(scan, pad=8)
    assert range_m[np.argmax(power)] == pytest.approx(0.4, abs=0.005)
    raw_m, raw = range_profile((scan.signal, CHIRP), pad=8)
    assert raw_m[np.argmax(raw)] == pytest.approx(0.51, abs=0.005)


def test_leakage_is_not_in_the_changing_part() -> None:
    found = mean_range_power(make_scan([(0, 0, 0.4, 1.0)], leak=100.0))
    assert found.range_m[np.argmax(found.power)] < 0.05
    assert found.range_m[np.argmax(found.changing)] == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize(
    ("points", "options", "inside", "outside"),
    [
        ([(0, 0, 0.3, 1.0)], {}, (0.3, 0.3), (0.2, 0.41)),
        ([(0, 0, 0.3, 1.0)], {"leak": 100.0, "noise": 1.0}, (0.3, 0.3), (0.2, 0.41)),
        ([(0, 0, 0.3, 1.0)], {"bias": 0.08, "leak": 50.0}, (0.3, 0.3), (0.2, 0.41)),
        ([(0, 0, 0.25, 1.0), (0.01, 0, 0.55, 0.8)], {}, (0.25, 0.55), (0.15, 0.66)),
        ([(0, 0, 0.3, 10.0), (0, 0.01, 0.45, 1.0)], {}, (0.3, 0.45), (0.2, 0.53)),
        ([(0, 0, 0.3, 1.0), (0, 0, 0.62, 0.3), (0.3, 0, 1.9, 0.3)], {"leak": 20}, (0.3, 0.3), (0.2, 0.41)),
        ([(0.01, 0, 0.5, 1.0)], {"n": (1, 3), "leak": 0.3}, (0.5, 0.5), (0.4, 0.6)),
        ([], {"parallel_plane": 0.3}, (0.3, 0.3), (0.2, 0.41)),
    ],
    ids=["point", "leak-noise", "bias", "two-depths", "weak-second", "bounce-and-wall", "three-poses", "plane"],
)
def test_energy_interval_holds_the_scene_and_little_else(points, options, inside, outside) -> None:
    low, high = energy_interval(make_scan(points, **options))
    assert low <= inside[0] <= inside[1] <= high
    assert outside[0] <= low < high <= outside[1]


def test_energy_interval_of_a_lazy_scan_reads_a_bounded_part(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = make_scan([(0, 0, 0.3, 1.0)], n=(32, 32), leak=10.0)

    class Reader:
        shape, dtype, read = scan.shape, scan.signal.dtype, 0

        def __getitem__(self, key: slice) -> np.ndarray:
            part = scan.signal[key]
            Reader.read += part.nbytes
            return part

    monkeypatch.setattr("mmsar.signal.rangefft.ENERGY_BYTES", scan.nbytes // 8)
    low, high = energy_interval(scan.with_signal(Reader()))
    assert low < 0.3 < high < 0.45
    assert 0 < Reader.read <= scan.nbytes // 8


def test_noise_and_too_few_samples_are_refused() -> None:
    with pytest.raises(GeometryError, match="noise floor"):
        energy_interval(make_scan([], noise=1.0, n=(16, 16)))
    short = Chirp(f0=77e9, slope=60e12, fs=1e6, n_samples=4)
    with pytest.raises(GeometryError, match="give the depth"):
        energy_interval(make_scan([(0, 0, 0.3, 1)], chirp=short))
    with pytest.raises(GeometryError, match="shape"):
        range_compress(np.ones(5), CHIRP)
    with pytest.raises(GeometryError, match="pad"):
        range_compress(np.ones(64), CHIRP, pad=0.5)


def test_gate_keeps_what_is_inside_and_removes_what_is_not() -> None:
    near, far, leak = (np.exp(2j * CHIRP.k * r) for r in (0.42, 1.1, 0.013))
    kept = range_gate(near, CHIRP, low=0.3, high=0.55)
    assert np.max(np.abs(kept - near)) < 0.15
    assert np.linalg.norm(kept - near) < 0.06 * np.linalg.norm(near)
    for other in (far, leak):
        assert np.linalg.norm(range_gate(other, CHIRP, low=0.3, high=0.55)) < 0.1 * np.linalg.norm(other)
    middle = np.exp(2j * CHIRP.k * 0.425).astype(np.complex64)
    passed = range_gate(np.stack([middle, middle]), CHIRP, low=0.3, high=0.55)
    assert passed.dtype == np.complex64
    np.testing.assert_allclose(passed, np.stack([middle, middle]), atol=1e-4)
    with pytest.raises(GeometryError, match="low < high"):
        range_gate(near, CHIRP, low=0.5, high=0.4)


@pytest.mark.skipif(not PLATE.is_dir(), reason="the measured plate (../shared/data) is not there")
def test_energy_interval_of_the_measured_plate() -> None:
    rows = []
    for row in (5, 12, 20):
        raw = np.fromfile(PLATE / f"scan{row}_Raw_0.bin", dtype="<i2").reshape(400, 512, 8)[::2]
        rows.append((raw[..., :4] + 1j * raw[..., 4:]).astype(np.complex64).transpose(0, 2, 1)[:, None])
    signal = np.concatenate(rows)
    chirp = Chirp(f0=77.380e9, slope=63.343e12, fs=9.121e6, n_samples=512)
    x = np.tile(np.arange(200) * 1.45e-3, 3)
    position = np.stack([x, np.repeat([0.0, 14e-3, 31e-3], 200), 0 * x], axis=1)
    scan = Scan(
        signal=signal,
        chirp=chirp,
        array=AntennaArray(tx=[[0, 0, 0]], rx=[[0, 0, 0], [2e-3, 0, 0], [4e-3, 0, 0], [6e-3, 0, 0]]),
        trajectory=Trajectory(time=np.arange(600.0), position=position),
        calibration=Calibration(gain=np.ones((1, 4)), range_bias=0.45225e-9 * 299792458 / 2),
    )
    low, high = energy_interval(scan)
    assert 0.2 < low < 0.33
    assert 0.34 < high < 0.5
    low, high = energy_interval(scan.subset(slice(300, 304)))
    assert low < 0.33 < 0.34 < high < 0.5
