"""Calibrations of other tools: their published formulas undo what ours undoes; the real files are read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mmsar.constants import C0
from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.calibrate.foreign import CASCADE_INTERPOLATION, CFG_COMMAND, import_calibration, read_cascade
from mmsar.model import AntennaArray, Chirp
from mmsar.signal.calibrate import calibrate_block

REAL = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "fixtures"
CHIRP = Chirp(f0=77.4e9, slope=63.343e12, fs=9.121e6, n_samples=64)
BOARD = AntennaArray.iwr1443()


def real(name: str) -> Path:
    path = REAL / name
    if not path.exists():
        pytest.skip(f"measured data fixtures/{name} is not there")
    return path


def samples(shape: tuple) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def up_to_a_factor(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two arrays after the best common complex factor, relative to the largest value."""
    factor = np.vdot(b, a) / np.vdot(b, b)
    return float(np.abs(a - factor * b).max() / np.abs(a).max())


def yanik_applied(block: np.ndarray, factor: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """raw * calData * exp(-j 2 pi delayOffset n K / fs), channel = rx + n_rx * tx."""
    n_tx, n_rx = block.shape[1:3]
    out = np.empty(block.shape, complex)
    for channel in range(n_tx * n_rx):
        t, r = divmod(channel, n_rx)
        turn = np.exp(-2j * np.pi * delay[channel] * np.arange(CHIRP.n_samples) * CHIRP.slope / CHIRP.fs)
        out[:, t, r] = block[:, t, r] * factor[channel] * turn
    return out


def test_yanik_is_applied_as_its_author_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    factor = 1e-10 * (rng.standard_normal(8) + 1j * rng.standard_normal(8) + 3)
    delay = 4.5e-10 + rng.standard_normal(8) * 2e-11
    savemat(tmp_path / "calData.mat", {"calData": factor[:, None]})
    savemat(tmp_path / "delay.mat", {"delayOffset": delay[:, None]})
    savemat(tmp_path / "range.mat", {"rangeOffset_mm": C0 / 2 * delay[None, :] * 1e3})
    block = samples((3, 2, 4, 64))
    wanted = yanik_applied(block, factor, delay)
    for name in ("delay.mat", "range.mat"):
        calibration = import_calibration(
            tmp_path / "calData.mat", BOARD, first_frequency=CHIRP.f0, delay_path=tmp_path / name
        )
        assert up_to_a_factor(calibrate_block(block, calibration, CHIRP), wanted) < 1e-5
        assert calibration.range_bias == pytest.approx(C0 / 2 * delay.mean())
        assert np.exp(np.mean(np.log(np.abs(calibration.gain)))) == pytest.approx(1)
    alone = import_calibration(tmp_path / "calData.mat", BOARD, first_frequency=CHIRP.f0)
    assert up_to_a_factor(calibrate_block(block, alone, CHIRP), yanik_applied(block, factor, 0 * delay)) < 1e-5


@pytest.mark.parametrize(
    ("data", "delays", "n_tx"),
    [
        ("calData_2Tx_4Rx", "delayOffset_2Tx_4Rx", 2),
        ("calData_3Tx_4Rx", "delayOffset_3Tx_4Rx", 3),
        ("calData_3Tx_4Rx_bigPlatform", "delayOffset_3Tx_4Rx_bigPlatform", 3),
        ("calData_2Tx_4Rx", "rangeOffset_2Tx_4Rx_mm", 2),
        ("calData_3Tx_4Rx", "rangeOffset_3Tx_4Rx_mm", 3),
    ],
)
def test_real_yanik_files(data: str, delays: str, n_tx: int) -> None:
    folder = real("calibration/yanik_calData")
    calibration = import_calibration(
        folder / f"{data}.mat",
        AntennaArray.iwr1443(n_tx),
        first_frequency=CHIRP.f0,
        delay_path=folder / f"{delays}.mat",
    )
    assert calibration.gain.shape == (n_tx, 4)
    assert 0.060 < calibration.range_bias < 0.075
    assert np.abs(calibration.delay).max() < 5e-11
    assert 0.4 < np.abs(calibration.gain).min() and np.abs(calibration.gain).max() < 2


def test_a_part_of_a_real_file_by_transmitter() -> None:
    path = real("calibration/yanik_calData") / "calData_3Tx_4Rx.mat"
    three = import_calibration(path, AntennaArray.iwr1443(3), first_frequency=CHIRP.f0)
    two = import_calibration(path, BOARD, first_frequency=CHIRP.f0, tx=[0, 2])
    ratio = two.gain / three.gain[[0, 2]]
    np.testing.assert_allclose(ratio, ratio[0, 0])
    with pytest.raises(FormatError, match="12 channels, wanted 8"):
        import_calibration(path, BOARD, first_frequency=CHIRP.f0)
    with pytest.raises(FormatError, match="wanted 2 different ones from 0 to 2"):
        import_calibration(path, BOARD, first_frequency=CHIRP.f0, tx=[0, 3])


def cascade_file(path: Path, *, n: int = 90, slope: float = 46.88) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    peak = 1e4 * (rng.standard_normal((12, 16)) + 1j * rng.standard_normal((12, 16)) + 4)
    bins = rng.integers(30, 36, (12, 16)).astype(np.uint8)
    fft = np.zeros((n * CASCADE_INTERPOLATION, 16, 12))
    savemat(
        path,
        {
            "calibResult": {"PeakValMat": peak, "RangeMat": bins, "Rx_fft": fft},
            "params": {"Slope_MHzperus": slope, "Sampling_Rate_sps": np.int32(25_000_000)},
        },
    )
    return peak, bins.astype(float)


def cascade_board() -> AntennaArray:
    return AntennaArray(tx=np.arange(36.0).reshape(12, 3) * 1e-3, rx=-np.arange(48.0).reshape(16, 3) * 1e-3)


def test_cascade_is_applied_as_ti_does(tmp_path: Path) -> None:
    peak, bins = cascade_file(tmp_path / "c.mat")
    block = samples((2, 12, 16, 64))
    n = np.arange(CHIRP.n_samples)
    frequency = 2 * np.pi * (bins - bins[0, 0]) * 25e6 / CHIRP.fs * CHIRP.slope / 46.88e12 / 450
    corrected = block * np.exp(-1j * n * frequency[..., None])
    ratio = peak[0, 0] / peak
    calibration = import_calibration(tmp_path / "c.mat", cascade_board(), first_frequency=CHIRP.f0)
    wanted = corrected * (ratio / np.abs(ratio))[..., None]
    assert up_to_a_factor(calibrate_block(block, calibration, CHIRP), wanted) < 1e-5
    full = read_cascade(tmp_path / "c.mat", cascade_board(), first_frequency=CHIRP.f0, phase_only=False)
    assert up_to_a_factor(calibrate_block(block, full, CHIRP), corrected * ratio[..., None]) < 1e-5


def test_real_cascade_file() -> None:
    path = real("calibration/ti_cascade_calibResult_20210514.mat")
    calibration = import_calibration(path, cascade_board(), first_frequency=77e9)
    np.testing.assert_allclose(np.abs(calibration.gain), 1)
    step = calibration.attrs["delay_step_s"]
    assert step == pytest.approx(25e6 / 450 / 46.88e12)
    assert np.abs(calibration.delay).max() == pytest.approx(2 * step)
    assert calibration.attrs["calibrated_n_samples"] == 90
    assert calibration.attrs["calibrated_slope"] == pytest.approx(46.88e12)


CFG = "% made for a test\nchannelCfg 15 5 0\nchirpCfg 0 0 0 0 0 0 0 {first}\nchirpCfg 1 1 0 0 0 0 0 {second}\n{line}\n"


def cfg(tmp_path: Path, values: list, first: int = 1, second: int = 4, **extra) -> Path:
    path = tmp_path / "profile.cfg"
    line = f"{CFG_COMMAND} {' '.join(str(v) for v in values)}"
    path.write_text(CFG.format(first=first, second=second, line=line))
    return path


def test_cfg_line_multiplies_and_moves_by_its_bias(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    factor = rng.uniform(-1, 1, 8) + 1j * rng.uniform(-1, 1, 8)
    values = [0.07, *np.stack([factor.real, factor.imag], axis=1).ravel()]
    block = samples((2, 2, 4, 64))
    wanted = block * factor.reshape(2, 4)[..., None] * np.exp(-2j * CHIRP.k * 0.07)
    calibration = import_calibration(cfg(tmp_path, values), BOARD, first_frequency=CHIRP.f0)
    assert up_to_a_factor(calibrate_block(block, calibration, CHIRP), wanted) < 1e-5
    q15 = [0.07, *np.rint(np.array(values[1:]) * 32767).astype(int)]
    calibration = import_calibration(cfg(tmp_path, q15), BOARD, first_frequency=CHIRP.f0)
    assert up_to_a_factor(calibrate_block(block, calibration, CHIRP), wanted) < 1e-3


def test_an_inverted_feed_is_counted_once(tmp_path: Path) -> None:
    values = [0.0, *np.tile([1, 0, -1, 0], 4)]
    inverted = replace(BOARD, polarity=np.tile([1, -1], (2, 2)))
    plain = import_calibration(cfg(tmp_path, values), inverted, first_frequency=CHIRP.f0)
    np.testing.assert_allclose(plain.gain, 1)
    signs = import_calibration(cfg(tmp_path, values), BOARD, first_frequency=CHIRP.f0)
    np.testing.assert_allclose(signs.gain, np.tile([1, -1], (2, 2)))


def test_an_order_of_transmitters_nobody_wrote_down_is_not_guessed(tmp_path: Path) -> None:
    values = [0.0, *([1, 0] * 4), *([0, 1] * 4)]
    path = cfg(tmp_path, values, first=4, second=1)
    with pytest.raises(FormatError, match=r"masks \[4, 1\].*--tx"):
        import_calibration(path, BOARD, first_frequency=CHIRP.f0)
    swapped = import_calibration(path, BOARD, first_frequency=CHIRP.f0, tx=[1, 0])
    np.testing.assert_allclose(swapped.gain[0], -1j)
    same = import_calibration(cfg(tmp_path, [0.0, *([1, 0] * 8)], 4, 1), BOARD, first_frequency=CHIRP.f0)
    np.testing.assert_allclose(same.gain, 1)


def test_real_cfg_lines() -> None:
    folder = real("configs")
    read = 0
    for path in sorted(folder.glob("*.cfg")):
        if CFG_COMMAND not in path.read_text(errors="replace"):
            continue
        text = next(line for line in path.read_text().splitlines() if line.startswith(CFG_COMMAND))
        n_tx = (len(text.split()) - 2) // 8
        board = AntennaArray(tx=np.arange(3.0 * n_tx).reshape(n_tx, 3) * 1e-3, rx=BOARD.rx)
        try:
            calibration = import_calibration(path, board, first_frequency=CHIRP.f0)
        except FormatError as error:
            assert "--tx" in str(error)
            continue
        np.testing.assert_allclose(np.abs(calibration.gain), 1)
        read += 1
    assert read >= 3


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "got 0 lines"),
        (f"{CFG_COMMAND} 0.0 1 0\n{CFG_COMMAND} 0.0 1 0", "got 2 lines"),
        (f"{CFG_COMMAND} 0.0 1", "wanted a bias"),
        (f"{CFG_COMMAND} 0.0 a b", "wanted a bias"),
        (f"{CFG_COMMAND} nan 1 0", "wanted a bias"),
        (f"{CFG_COMMAND} 0.0 1 0 1 0", "got 2 channels, wanted 8"),
        (f"{CFG_COMMAND} 0.0 {'0 0 ' * 8}", "zero or not finite"),
        (f"chirpCfg 0 0 0 0 0 0 0 x\n{CFG_COMMAND} 0.0 {'1 0 ' * 8}", "mask 'x'"),
    ],
)
def test_bad_cfg_lines_are_refused(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "bad.cfg"
    path.write_text(f"sensorStop\n{line}\n")
    with pytest.raises((FormatError, GeometryError), match=complaint):
        import_calibration(path, BOARD, first_frequency=CHIRP.f0)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.mat"
    savemat(other, {"x": 1.0})
    good = tmp_path / "calData.mat"
    savemat(good, {"calData": np.ones((8, 1)) + 0j})
    zero = tmp_path / "zero.mat"
    savemat(zero, {"calData": np.zeros((8, 1)) + 0j})
    seconds = tmp_path / "seconds.mat"
    savemat(seconds, {"delayOffset": np.ones((8, 1))})
    short = tmp_path / "short.mat"
    savemat(short, {"delayOffset": np.full((4, 1), 4e-10)})
    garbage = tmp_path / "garbage.mat"
    garbage.write_bytes(b"not a matlab file" * 20)
    cases = [
        (tmp_path / "none.mat", None, "no such file"),
        (other, None, "neither calData nor calibResult"),
        (zero, None, "zero or not finite"),
        (garbage, None, "MATLAB"),
        (good, seconds, "nanoseconds"),
        (good, short, "got 4 delays, wanted 8"),
        (good, other, "neither delayOffset"),
        (good, tmp_path / "none.mat", "no such file"),
        (cfg(tmp_path, [0.0, *([1, 0] * 8)]), short, "leave it out"),
    ]
    for path, delays, complaint in cases:
        with pytest.raises(FormatError, match=complaint):
            import_calibration(path, BOARD, first_frequency=CHIRP.f0, delay_path=delays)
