"""A reflector's scan gives back the instrument that was put in; a scan that cannot be trusted is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reflectors import CHIRP, PLACE, RASTER, STILL, instrument, measure

from mmsar.errors import GeometryError
from mmsar.hardware.calibrate.correlate import check_saturation
from mmsar.hardware.calibrate.reflector import (
    ReflectorOptions,
    check_reflector,
    fit_reflector,
    measure_reflector,
    to_calibration,
)
from mmsar.model import AntennaArray, Calibration, Scan, Trajectory
from mmsar.signal.calibrate import apply_calibration, attach_calibration
from mmsar.simulate.scene import Scene


def phase_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest error of the phases relative to the first channel [degrees]."""
    ratio = found * np.conj(truth)
    return float(np.degrees(np.abs(np.angle(ratio / ratio[0, 0]))).max())


def moved(by: list) -> np.ndarray:
    return PLACE + np.array(by)


@pytest.mark.parametrize("trajectory", [RASTER, STILL], ids=["raster", "stationary"])
@pytest.mark.parametrize("delays", [True, False])
@pytest.mark.parametrize("leakage", [0.0, 3.0], ids=["clean", "leakage"])
def test_injected_errors_come_back(reflector_scan, trajectory: Trajectory, delays: bool, leakage: float) -> None:
    truth = instrument(delays=delays)
    scan = reflector_scan(trajectory, truth, leakage=leakage)
    fit = measure_reflector(scan, PLACE, options=ReflectorOptions(delays=delays))
    assert phase_error(fit.gain, truth.gain) < 1
    ratio = np.abs(fit.gain / truth.gain)
    assert np.abs(ratio / ratio.mean() - 1).max() < 0.01
    assert abs(fit.range_bias - truth.range_bias) < 0.5e-3
    if delays:
        spread = fit.delay - truth.delay
        assert np.abs(spread - spread.mean()).max() < 1e-12
    assert fit.held_out_phase < np.radians(10) and abs(fit.held_out_bias) < CHIRP.range_resolution / 20
    if not leakage:
        assert abs(10 * np.log10(fit.snr.mean()) - 20) < 0.5


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    bias=st.floats(-0.02, 0.2),
    x=st.floats(-0.03, 0.03),
    y=st.floats(-0.03, 0.03),
    z=st.floats(0.2, 0.6),
    turn=st.floats(-0.1, 0.1),
)
def test_any_instrument_place_and_motion(seed: int, bias: float, x: float, y: float, z: float, turn: float) -> None:
    path = Trajectory.freehand((3, 25), (3e-3, 8e-3), rotation=turn, seed=seed)
    truth = replace(instrument(seed), range_bias=bias)
    array = replace(AntennaArray.iwr1443(), polarity=np.where(np.random.default_rng(seed).random((2, 4)) < 0.5, -1, 1))
    scan = measure(Scene.points([[x, y, z]]), path, truth, array=array, seed=seed)
    fit = measure_reflector(scan, [x, y, z])
    assert phase_error(fit.gain, truth.gain) < 1
    assert abs(fit.range_bias - bias) < 0.5e-3


def test_what_is_fitted_holds_elsewhere(reflector_scan) -> None:
    truth = instrument()
    calibration = fit_reflector(reflector_scan(), PLACE)
    other = np.array([-0.04, 0.02, 0.41])
    left = check_reflector(measure(Scene.points([other]), RASTER, truth, seed=9), other, calibration)
    assert left["phase_rms"] < np.radians(10)
    assert abs(left["range_bias_cells"]) < 1 / 20
    without = check_reflector(
        measure(Scene.points([other]), RASTER, truth, seed=9), other, Calibration(gain=np.ones((2, 4)))
    )
    assert without["phase_rms"] > np.radians(40)


def test_applied_calibration_leaves_the_ideal_signal(reflector_scan) -> None:
    scan = reflector_scan(snr_db=60)
    ideal = measure(Scene.points([PLACE]), RASTER, Calibration(gain=np.ones((2, 4))), snr_db=200)
    done = apply_calibration(attach_calibration(scan, fit_reflector(scan, PLACE))).read()
    factor = np.vdot(ideal.read(), done) / np.vdot(ideal.read(), ideal.read())
    assert np.abs(done / factor - ideal.read()).max() < 0.02


def test_the_calibration_says_where_it_comes_from(reflector_scan) -> None:
    scan = reflector_scan(attrs={"config_digest": "c" * 64})
    calibration = fit_reflector(scan, PLACE, temperature=41.5)
    notes = calibration.attrs
    assert notes["config_digest"] == "c" * 64 and notes["temperature_c"] == 41.5
    assert notes["chirp"]["f0"] == CHIRP.f0 and notes["target_m"] == pytest.approx(PLACE)
    assert notes["snr_db"] == pytest.approx(20, abs=0.5) and notes["date"].startswith("20")
    assert np.shape(notes["phase_rms_rad"]) == (2, 4)
    with pytest.raises(GeometryError, match="radar configuration"):
        attach_calibration(replace(scan, attrs={"config_digest": "d" * 64}), calibration)


def test_a_sphere_echoes_from_its_front(reflector_scan) -> None:
    centre = moved([0, 0, 0.01])
    fit = measure_reflector(reflector_scan(STILL), centre, options=ReflectorOptions(sphere_radius=0.01))
    assert fit.range_bias == pytest.approx(0.0678, abs=0.5e-3)


def test_a_reflector_beside_the_given_place_is_refused_or_found(reflector_scan) -> None:
    scan = reflector_scan(Trajectory.raster((20, 60), (3e-3, 8e-3)))
    given_place = moved([4e-3, -3e-3, 0])
    with pytest.raises(GeometryError, match=r"it fits better at 5\.\d+,-[23]\.\d+,"):
        measure_reflector(scan, given_place)
    fit = measure_reflector(scan, given_place, options=ReflectorOptions(refine=True))
    np.testing.assert_allclose(fit.place, PLACE, atol=1e-4)
    assert abs(fit.range_bias - 0.0678) < 0.5e-3
    assert phase_error(fit.gain, instrument().gain) < 1
    with pytest.raises(GeometryError):
        measure_reflector(scan, moved([0.06, 0, 0]), options=ReflectorOptions(refine=True))


def test_a_small_error_of_the_place_is_said(reflector_scan) -> None:
    fit = measure_reflector(reflector_scan(), moved([7e-4, 0, 0]))
    assert any("agree best" in note for note in fit.notes)
    np.testing.assert_allclose(fit.found, PLACE, atol=2e-4)


def test_an_echo_that_is_not_the_strongest_is_refused() -> None:
    truth = instrument()
    beside = Scene.points([PLACE, moved([0, 0, 0.15])], [1.0, 3.0])
    with pytest.raises(GeometryError, match=r"against the strongest other, \+2\d\d mm"):
        measure_reflector(measure(beside, STILL, truth), PLACE, options=ReflectorOptions(bias=(0.0, 0.1)))
    empty = Scene.points([[0, 0, 1.5]])
    with pytest.raises(GeometryError, match="reflector"):
        measure_reflector(measure(empty, RASTER, truth), PLACE)


def test_an_echo_at_the_edge_of_the_bias_is_refused(reflector_scan) -> None:
    for low, high in ((-0.1, 0.03), (0.12, 0.25)):
        with pytest.raises(GeometryError, match="goes on rising beyond"):
            measure_reflector(reflector_scan(STILL), PLACE, options=ReflectorOptions(bias=(low, high)))


def test_noise_alone_is_refused(reflector_scan) -> None:
    with pytest.raises(GeometryError, match="reflector"):
        measure_reflector(reflector_scan(snr_db=-60), PLACE)


def test_a_dead_channel_is_named(reflector_scan) -> None:
    truth = instrument()
    gain = np.array(truth.gain)
    gain[1, 2] = 1e-3
    with pytest.raises(GeometryError, match="1 channels, the first tx 1 rx 2"):
        measure_reflector(reflector_scan(truth=replace(truth, gain=gain), snr_db=80), PLACE)


def test_lost_channels_do_not_count(reflector_scan) -> None:
    scan = reflector_scan()
    valid = np.random.default_rng(0).random(scan.shape[:3]) < 0.7
    signal = np.where(valid[..., None], scan.signal, 0)
    fit = measure_reflector(replace(scan, signal=signal, valid=valid), PLACE)
    assert phase_error(fit.gain, instrument().gain) < 1
    ratio = np.abs(fit.gain / instrument().gain)
    assert np.abs(ratio / ratio.mean() - 1).max() < 0.02
    assert abs(fit.range_bias - 0.0678) < 0.5e-3


def integers(scan: Scan, peak: float) -> np.ndarray:
    parts = np.ascontiguousarray(scan.read()).view(np.float32)
    return np.clip(np.rint(parts / np.abs(parts).max() * peak), -32767, 32767).astype(np.float32).view(np.complex64)


def test_saturation_is_refused(reflector_scan) -> None:
    scan = reflector_scan(snr_db=60)
    check_saturation(scan)
    check_saturation(scan.with_signal(integers(scan, 30000)))
    with pytest.raises(GeometryError, match="converter's limit"):
        measure_reflector(scan.with_signal(integers(scan, 60000)), PLACE)
    with pytest.raises(GeometryError, match="converter's limit"):
        check_saturation(scan, float(np.abs(scan.signal.real).max()) * 0.9)


def test_one_pose_is_enough_without_a_held_out_part(reflector_scan) -> None:
    scan = reflector_scan(Trajectory(time=[0.0], position=[[0, 0, 0]]), snr_db=40)
    fit = measure_reflector(scan, PLACE)
    assert fit.held_out_phase is None
    assert "held_out_phase_rad" not in to_calibration(scan, fit).attrs
    assert phase_error(fit.gain, instrument().gain) < 1
    with pytest.raises(GeometryError, match="stood still"):
        measure_reflector(scan, PLACE, options=ReflectorOptions(refine=True))


@pytest.mark.parametrize("bad", [{"bias": (0.1, 0.0)}, {"sphere_radius": -1.0}, {"search": 0.0}])
def test_options_out_of_range_are_refused(bad: dict) -> None:
    with pytest.raises(GeometryError, match=r"ReflectorOptions\."):
        ReflectorOptions(**bad)
