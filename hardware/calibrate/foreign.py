r"""Calibrations of other tools, as a `Calibration`.

- Yanik's MIMO-SAR toolbox: `calData` (factor to multiply with), with `delayOffset` [s] or `rangeOffset_mm`, channels in
  one list with the receivers running fastest. It applies raw * calData * exp(-j 2 pi delay (n K / fs)), so its factor
  belongs to the first ADC sample; the scale is arbitrary (about 3 in one file, 3e-10 in another) and normalised here.
- TI cascade: `calibResult` with PeakValMat (response at the peak) and RangeMat (its bin), (tx, rx), both relative to
  the first pair; bins turn into delays with the calibration's own slope and sample rate. Rx_fft tells how many bins.
- TI single chip: the line `compRangeBiasAndRxChanPhase bias_m (re im) * n_tx * n_rx` of a .cfg (factors to multiply
  with). The demo applies it itself, but not to the samples it sends to a capture card.

All of these were measured on whole channels, so an inverted feed is in their factors; here the polarity of a feed is
the array's, and is divided out. None says for which configuration it holds: `attach_calibration` then has nothing to
compare, and says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.constants import C0
from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.cfg_text import CfgText, read_text
from mmsar.io.importers.mat import read_mat
from mmsar.model.array import AntennaArray
from mmsar.model.calibration import Calibration

CFG_COMMAND = "compRangeBiasAndRxChanPhase"
CASCADE_INTERPOLATION = 5
"""TI's calibrationInterp: the factor by which its range transform is longer than the chirp."""


def import_calibration(
    path: str | Path,
    array: AntennaArray,
    *,
    first_frequency: float,
    delay_path: str | Path | None = None,
    tx: Sequence[int] | None = None,
    rx: Sequence[int] | None = None,
) -> Calibration:
    """Read a calibration of another tool for an array, recognised by what is in the file.

    Parameters
    ----------
    path : path
        Yanik's calData or a TI cascade calibration (.mat), or a radar configuration (.cfg).
    array : AntennaArray
        The antennas of the scans it is for, transmitters in firing order.
    first_frequency : float
        Frequency of the first ADC sample [Hz], where these factors hold.
    delay_path : path, optional
        Yanik's delayOffset or rangeOffset_mm file.
    tx, rx : sequence of int, optional
        Which transmitters and receivers of the file the array's are, from 0 in the file's order. Default: all.

    Raises
    ------
    FormatError
        A file that is none of these, or whose channels do not fit the array.
    """
    source = Path(path)
    if not source.is_file():
        raise FormatError(f"{source}: no such file; check the path")
    if source.suffix.lower() != ".mat":
        if delay_path is not None:
            raise FormatError(f"{source}: got a file of delays beside a configuration, wanted none; leave it out")
        found = read_cfg_line(source, array, tx=tx, rx=rx)
    elif _holds(source, "calData"):
        found = read_yanik(source, array, delay_path=delay_path, first_frequency=first_frequency, tx=tx, rx=rx)
    elif _holds(source, "calibResult"):
        if delay_path is not None:
            raise FormatError(
                f"{source}: got a file of delays beside a TI cascade calibration, wanted none; leave it out"
            )
        found = read_cascade(source, array, first_frequency=first_frequency, tx=tx, rx=rx)
    else:
        raise FormatError(
            f"{source}: got neither calData nor calibResult, wanted one of these variables; check the file"
        )
    gain = found.gain / array.polarity
    return replace(found, gain=gain / np.exp(np.mean(np.log(np.abs(gain)))))


def read_yanik(
    path: Path,
    array: AntennaArray,
    *,
    first_frequency: float,
    delay_path: str | Path | None = None,
    tx: Sequence[int] | None = None,
    rx: Sequence[int] | None = None,
) -> Calibration:
    """Yanik's calData with (or without) its delays; see `import_calibration`. The scale is the file's."""
    factor = read_mat(path, "calData").reshape(-1)
    shape = _shape(path, len(factor), array, tx, rx)
    pick = _pick(path, shape, array, tx, rx)
    _check_factors(path, factor)
    gain = (1 / factor).reshape(shape)[pick]
    source, bias, delay = f"calData {path.name}", 0.0, None
    if delay_path is not None:
        values, source = _yanik_delays(Path(delay_path)), f"{source}, {Path(delay_path).name}"
        if len(values) != len(factor):
            raise FormatError(f"{delay_path}: got {len(values)} delays, wanted {len(factor)} as in {path.name}")
        delays = values.reshape(shape)[pick]
        bias, delay = C0 / 2 * float(delays.mean()), delays - delays.mean()
    # its factors hold at the first sample, where range_bias alone turns a phase already
    gain = gain * np.exp(-4j * np.pi * first_frequency / C0 * bias)
    return Calibration(
        gain=gain,
        range_bias=bias,
        source=source,
        delay=delay,
        delay_frequency=None if delay is None else first_frequency,
        attrs={"imported_from": source},
    )


def read_cascade(
    path: Path,
    array: AntennaArray,
    *,
    first_frequency: float,
    tx: Sequence[int] | None = None,
    rx: Sequence[int] | None = None,
    phase_only: bool = True,
) -> Calibration:
    """A TI cascade corner-reflector calibration; see `import_calibration`.

    Phases (as TI's own processing does; gains too with `phase_only` False) and delays relative to the first pair. The
    range bias is not in it: 0. The delays are whole bins of its own band; attrs["delay_step_s"] is their step.
    """
    peak = read_mat(path, "calibResult.PeakValMat")
    bins = read_mat(path, "calibResult.RangeMat").astype(float)
    spectrum = read_mat(path, "calibResult.Rx_fft").shape[0]
    slope = float(read_mat(path, "params.Slope_MHzperus").reshape(-1)[0]) * 1e12
    fs = float(read_mat(path, "params.Sampling_Rate_sps").reshape(-1)[0])
    if bins.shape != peak.shape or peak.ndim != 2:
        raise FormatError(f"{path}: got PeakValMat {peak.shape} and RangeMat {bins.shape}, wanted two of (tx, rx)")
    if spectrum % CASCADE_INTERPOLATION:
        raise FormatError(f"{path}: got {spectrum} range bins, wanted a multiple of {CASCADE_INTERPOLATION}")
    if not (slope > 0 and fs > 0):
        raise FormatError(f"{path}: got slope {slope:g} and sample rate {fs:g}, wanted numbers above 0")
    _check_factors(path, peak)
    pick = _pick(path, peak.shape, array, tx, rx)
    delay = (bins - bins[0, 0]) * fs / spectrum / slope
    gain = peak / peak[0, 0]
    gain, delay = (gain / np.abs(gain) if phase_only else gain)[pick], delay[pick]
    source = f"TI cascade {path.name}"
    attrs: dict[str, Any] = {
        "imported_from": source,
        "calibrated_slope": slope,
        "calibrated_fs": fs,
        "calibrated_n_samples": spectrum // CASCADE_INTERPOLATION,
        "delay_step_s": fs / spectrum / slope,
    }
    return Calibration(gain=gain, source=source, delay=delay, delay_frequency=first_frequency, attrs=attrs)


def read_cfg_line(
    path: Path, array: AntennaArray, *, tx: Sequence[int] | None = None, rx: Sequence[int] | None = None
) -> Calibration:
    """The compRangeBiasAndRxChanPhase line of a radar configuration; see `import_calibration`.

    Its pairs run over receivers fastest. Whether its transmitters count by number or in firing order is written
    nowhere; where that matters (another firing order than 1, 2, 3) `tx` has to say which is which.
    """
    commands = CfgText.parse(read_text(path)).commands
    lines = [(number, args) for number, name, args in commands if name == CFG_COMMAND]
    if len(lines) != 1:
        raise FormatError(f"{path}: got {len(lines)} lines {CFG_COMMAND}, wanted one; check the file")
    number, args = lines[0]
    where = f"{path}:{number}: {CFG_COMMAND}"
    try:
        values = np.array([float(a) for a in args])
    except ValueError:
        values = np.empty(0)
    if len(values) < 3 or len(values) % 2 == 0 or not np.isfinite(values).all():
        raise FormatError(f"{where}: got {' '.join(args)[:60]}, wanted a bias [m] and pairs re im")
    factor = values[1::2] + 1j * values[2::2]
    if np.abs(factor).max() > 2:  # written as Q15 integers
        factor = factor / 32768
    _check_factors(path, factor)
    shape = _shape(path, len(factor), array, tx, rx)
    masks = [_mask(args[7]) for _, name, args in commands if name == "chirpCfg" and len(args) == 8]
    factors = factor.reshape(shape)
    if tx is None and masks != sorted(masks) and not np.allclose(factors, factors[0]):
        raise FormatError(
            f"{where}: got factors that differ by transmitter, fired in the order of masks {masks}, wanted to know "
            "which factors belong to which; say it with --tx"
        )
    return Calibration(
        gain=1 / factors[_pick(path, shape, array, tx, rx)],
        range_bias=float(values[0]),
        source=f"{CFG_COMMAND} of {path.name}",
        attrs={"imported_from": path.name},
    )


def _yanik_delays(path: Path) -> np.ndarray:
    """Delays of the channels [s], from delayOffset or rangeOffset_mm."""
    if not path.is_file():
        raise FormatError(f"{path}: no such file; check the path")
    if _holds(path, "delayOffset"):
        delays = read_mat(path, "delayOffset").reshape(-1).astype(float)
    elif _holds(path, "rangeOffset_mm"):
        delays = 2 / C0 * 1e-3 * read_mat(path, "rangeOffset_mm").reshape(-1).astype(float)
    else:
        raise FormatError(f"{path}: got neither delayOffset nor rangeOffset_mm, wanted one of these; check the file")
    if not np.isfinite(delays).all() or np.abs(delays).max() > 1e-7:
        raise FormatError(f"{path}: got delays up to {np.abs(delays).max():g} s, wanted nanoseconds; check the file")
    return delays


def _holds(path: Path, name: str) -> bool:
    from scipy.io import whosmat

    try:
        return name in [entry[0] for entry in whosmat(path)]
    except Exception:  # a damaged or v7.3 file makes scipy raise almost anything
        try:
            read_mat(path, name)
        except FormatError as error:
            if "got a struct" in str(error):
                return True
            if "no variable" in str(error):
                return False
            raise
        return True


def _check_factors(path: Path, factor: np.ndarray) -> None:
    if not np.isfinite(factor).all() or (factor == 0).any():
        raise FormatError(f"{path}: got factors that are zero or not finite, wanted all channels; check the file")


def _shape(
    path: Path, n: int, array: AntennaArray, tx: Sequence[int] | None, rx: Sequence[int] | None
) -> tuple[int, int]:
    """(n_tx, n_rx) of a list of n channels, receivers fastest: the array's, or 4 receivers when some are chosen."""
    n_rx = array.n_rx if rx is None else 4
    if (tx is None and n != array.n_tx * n_rx) or n % n_rx:
        raise FormatError(
            f"{path}: got {n} channels, wanted {array.n_tx * n_rx} for {array.n_tx} transmitters and {n_rx} receivers; "
            "say which ones with --tx and --rx"
        )
    return n // n_rx, n_rx


def _pick(
    path: Path, shape: tuple[int, int], array: AntennaArray, tx: Sequence[int] | None, rx: Sequence[int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Index of the array's channels in the file's (n_tx, n_rx)."""
    chosen = []
    for name, choice, have, want in (("tx", tx, shape[0], array.n_tx), ("rx", rx, shape[1], array.n_rx)):
        index = list(range(have)) if choice is None else [int(i) for i in choice]
        if len(index) != want or len(set(index)) != want or not all(0 <= i < have for i in index):
            raise FormatError(
                f"{path}: got {name} {','.join(map(str, index))} of {have}, wanted {want} different ones from 0 to "
                f"{have - 1}; say which ones with --{name}"
            )
        chosen.append(index)
    return np.ix_(*chosen)


def _mask(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise GeometryError(f"chirpCfg: got transmitter mask {text!r}, wanted a whole number") from None
