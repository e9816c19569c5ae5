"""Tapers: known shapes, known sidelobes, and what apply_window does to a geometry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import windows

from mmsar.errors import GeometryError
from mmsar.model import AntennaArray, Chirp, Scan, Trajectory
from mmsar.signal.window import TAPERS, apply_window, taper, taper_at


def sidelobe_db(weight: np.ndarray) -> float:
    """Highest sidelobe of the transform of a taper [dB]."""
    spectrum = np.abs(np.fft.rfft(weight, 64 * len(weight)))
    end = np.argmax(np.diff(spectrum) > 0)
    return 20 * np.log10(spectrum[end:].max() / spectrum[0])


@pytest.mark.parametrize(
    ("name", "level"), [("none", -13.3), ("hann", -31.5), ("hamming", -42.7), ("blackman-harris", -92.0)]
)
def test_sidelobes_are_those_of_the_textbook(name: str, level: float) -> None:
    assert sidelobe_db(taper(name, 512)) == pytest.approx(level, abs=0.7)


@pytest.mark.parametrize(("nbar", "sll"), [(4, 30.0), (5, 35.0), (8, 45.0)])
def test_taylor_has_the_sidelobes_asked_for_and_agrees_with_scipy(nbar: int, sll: float) -> None:
    weight = taper("taylor", 256, nbar=nbar, sll=sll)
    assert sidelobe_db(weight) == pytest.approx(-sll, abs=0.6)
    ours = weight / weight.max()
    theirs = windows.taylor(256, nbar=nbar, sll=sll)
    np.testing.assert_allclose(ours, theirs / theirs.max(), atol=1e-9)


def test_tukey_is_flat_in_the_middle_and_zero_at_the_ends() -> None:
    u = np.array([-0.5, -0.4375, -0.375, 0.0, 0.375, 0.5])
    np.testing.assert_allclose(taper_at("tukey", u, alpha=0.25), [0, 0.5, 1, 1, 1, 0], atol=1e-12)
    assert np.all(taper("tukey", 9, alpha=0.0) == 1)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(TAPERS), st.integers(1, 200))
def test_tapers_are_symmetric_positive_and_at_most_one(name: str, n: int) -> None:
    weight = taper(name, n)
    np.testing.assert_allclose(weight, weight[::-1], atol=1e-12)
    assert weight.min() > 0
    assert weight.max() <= 1 + 1e-12
    assert taper_at(name, np.array([0.0]))[0] == pytest.approx(1)
    assert taper_at(name, np.array([0.51]))[0] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: taper("kaiser", 8), "one of none, hann"),
        (lambda: taper("hann", 0), ">= 1"),
        (lambda: taper("taylor", 8, nbar=0), "nbar"),
        (lambda: taper("taylor", 8, sll=-3), "sll"),
        (lambda: taper("tukey", 8, alpha=2), "alpha"),
    ],
)
def test_bad_tapers_are_refused(call, words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        call()


def planar_scan(array: AntennaArray | None = None, valid: np.ndarray | None = None) -> Scan:
    chirp = Chirp(f0=77e9, slope=60e12, fs=4e6, n_samples=16)
    array = array or AntennaArray.single()
    trajectory = Trajectory.raster((6, 9), (1e-3, 2e-3))
    signal = np.zeros((54, array.n_tx, array.n_rx, 16), dtype=np.complex64)
    return Scan(signal=signal, chirp=chirp, array=array, trajectory=trajectory, valid=valid)


def test_apply_window_is_separable_over_the_aperture() -> None:
    geometry = planar_scan().geometry
    windowed = apply_window(geometry, "hann")
    np.testing.assert_allclose(windowed.frequency_weight, taper("hann", 16))
    x, y = np.round(geometry.virtual_position[:, 0, 0, :2] / (1e-3, 2e-3) + (4, 2.5)).astype(int).T
    expected = taper("hann", 9)[x] * taper("hann", 6)[y]
    np.testing.assert_allclose(windowed.weight[:, 0, 0], expected, atol=1e-9)


def test_apply_window_keeps_polarity_and_invalid_channels_and_ignores_their_positions() -> None:
    valid = np.ones(54, dtype=bool)
    valid[:9] = False
    array = AntennaArray(tx=[[0, 0, 0]], rx=[[0, 0, 0], [1e-3, 0, 0]], polarity=[[1, -1]])
    windowed = apply_window(planar_scan(array, valid).geometry, "hamming").weight
    assert np.all(windowed[:9] == 0)
    assert np.all(windowed[9:, 0, 0] > 0)
    assert np.all(windowed[9:, 0, 1] < 0)
    order = np.argsort(planar_scan(array).trajectory.position[9:] @ (1, 100, 0))
    first, second = windowed[9:, 0][order].T
    np.testing.assert_allclose(first, -second[::-1], atol=1e-9)


def test_band_and_aperture_are_chosen_separately_and_a_line_is_not_tapered_across() -> None:
    geometry = planar_scan().geometry
    only_band = apply_window(geometry, "none", frequency="hann")
    np.testing.assert_array_equal(only_band.weight, geometry.weight)
    assert only_band.frequency_weight[0] < 0.1
    only_aperture = apply_window(geometry, "hann", frequency="none")
    assert np.all(only_aperture.frequency_weight == 1)
    line = apply_window(geometry.replace(weight=np.where(np.arange(54) < 9, 1.0, 0.0).reshape(54, 1, 1)), "hann")
    np.testing.assert_allclose(np.sort(line.weight[:9, 0, 0]), np.sort(taper("hann", 9)), atol=1e-9)
    assert apply_window(geometry, "none") is geometry
    with pytest.raises(GeometryError, match="aperture"):
        apply_window(geometry, "hann", aperture="triangle")


def turntable_weights(turn: float, span: float | None, array: AntennaArray | None = None) -> np.ndarray:
    chirp = Chirp(f0=77e9, slope=60e12, fs=4e6, n_samples=4)
    array = array or AntennaArray.single()
    trajectory = Trajectory.turntable(40, 0.25, heights=np.arange(6) * 2e-3, start=turn, span=span)
    signal = np.zeros((240, array.n_tx, array.n_rx, 4), dtype=np.complex64)
    scan = Scan(signal=signal, chirp=chirp, array=array, trajectory=trajectory)
    return apply_window(scan.geometry, "none", aperture="hann").weight


@given(turn=st.floats(-3.1, 3.1), span=st.floats(0.2, 5.5))
def test_an_arc_is_tapered_over_angle_and_height(turn: float, span: float) -> None:
    """Wherever it lies, also across the seam of atan2."""
    weight = turntable_weights(turn, span).reshape(6, 40)
    np.testing.assert_allclose(weight, np.outer(taper("hann", 6), taper("hann", 40)), atol=1e-6)


@given(turn=st.floats(-3.1, 3.1))
def test_a_closed_circle_is_tapered_over_height_only(turn: float) -> None:
    np.testing.assert_allclose(turntable_weights(turn, None).reshape(6, 40), np.tile(taper("hann", 6), (40, 1)).T)
    board = turntable_weights(turn, None, AntennaArray.iwr1443()).reshape(6, 40, 8)
    assert np.ptp(board, axis=1).max() < 1e-9 and board[0].min() < 0.05 < 0.9 < board.max()
