r"""Calibration: dividing the instrument out of a measurement.

An instrument with gain g of a pair, a delay that looks like the one-way range b, and a delay tau of that pair measures
s = g s_ideal exp(+j 2 k b) exp(+j 2 pi (f - f_ref) tau), k = 2 pi f / c. The ideal signal is s over that response.

A calibration belongs to one board and one radar configuration: `attach_calibration` refuses another one's.
Feed polarity is not part of it: that lives in `AntennaArray.polarity` and reaches the imagers as a weight.
"""

import numpy as np

from mmsar.core.checks import check_shape
from mmsar.errors import GeometryError
from mmsar.model.calibration import Calibration
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Scan
from mmsar.signal.lazy import map_poses


def calibrate_block(block: np.ndarray, calibration: Calibration, chirp: Chirp) -> np.ndarray:
    """Calibrated samples of some poses.

    Parameters
    ----------
    block : ndarray
        Samples, complex64, (n, n_tx, n_rx, n_samples).
    calibration : Calibration
        Gains (n_tx, n_rx), delays [s] and range bias [m].
    chirp : Chirp
        Frequencies of the samples.

    Returns
    -------
    ndarray
        block / response, complex64, of the same shape; the factor is formed in float64.

    Raises
    ------
    GeometryError
        Shapes that do not belong together.
    """
    check_shape("calibrate_block block", block.shape, (None, *calibration.gain.shape, chirp.n_samples))
    return block * (1 / calibration.response(chirp.f)).astype(np.complex64)


def apply_calibration(scan: Scan) -> Scan:
    """The scan with its calibration applied: `calibration` is None and the history has one more step.

    A signal in memory gives a new array; a lazy one stays lazy and is calibrated as it is read. A scan without
    calibration is returned as it is.
    """
    calibration = scan.calibration
    if calibration is None:
        return scan
    chirp = scan.chirp
    signal = map_poses(scan, lambda block, _: calibrate_block(block, calibration, chirp))
    return scan.with_signal(signal, calibration=None).with_step(
        step="calibrate", source=calibration.source, range_bias_m=calibration.range_bias, residual=calibration.residual
    )


def attach_calibration(scan: Scan, calibration: Calibration, *, force: bool = False) -> Scan:
    """The scan carrying a calibration, after a look at whether it belongs to it; `apply_calibration` then applies it.

    What it was fitted for is compared with the scan: the digest of the radar configuration where both have one
    (attrs["config_digest"]), else the waveform where the calibration names one (attrs["chirp"]). The history says which
    of the two was compared, "nothing" when neither could be.

    Parameters
    ----------
    force : bool
        Take a calibration of another configuration or a second one all the same; the history says so.

    Raises
    ------
    GeometryError
        Another number of channels; or, unless forced: another configuration, or a scan that was calibrated before.
    """
    name = "calibration"
    channels = scan.shape[1:3]
    if calibration.gain.shape != channels:
        raise GeometryError(
            f"{name}: got one for {calibration.gain.shape} (tx, rx), wanted {channels}; fit one with this configuration"
        )
    compared, fault = _expiry(scan, calibration)
    steps = [step.get("step") for step in scan.attrs.get("history", ())]
    if scan.calibration is not None or "calibrate" in steps:
        fault = "got a scan that is calibrated already, wanted a raw one"
    if fault is not None and not force:
        raise GeometryError(f"{name}: {fault}; fit one with this configuration, or force it")
    notes = {} if fault is None else {"forced": fault}
    return scan.with_signal(scan.signal, calibration=calibration).with_step(
        step="attach calibration", compared=compared, date=calibration.attrs.get("date"), **notes
    )


def _expiry(scan: Scan, calibration: Calibration) -> tuple[str, str | None]:
    """What was compared, and why the calibration is not this configuration's, or None."""
    mine, other = scan.attrs.get("config_digest"), calibration.attrs.get("config_digest")
    if mine is not None and other is not None:
        same = mine == other
        return "config_digest", None if same else (
            f"got one for radar configuration {str(other)[:12]}, wanted {str(mine)[:12]} as in the scan"
        )
    chirp = calibration.attrs.get("chirp")
    if chirp is None:
        return "nothing", None
    step = chirp["slope"] / chirp["fs"]
    low, high = chirp["f0"], chirp["f0"] + step * (chirp["n_samples"] - 1)
    first, last = (float(f) for f in scan.chirp.f[[0, -1]])
    same_slope = abs(chirp["slope"] / scan.chirp.slope - 1) < 1e-4
    if same_slope and low - step / 2 <= first and last <= high + step / 2:
        return "chirp", None
    return "chirp", (
        f"got one for {low / 1e9:.6g} to {high / 1e9:.6g} GHz at {chirp['slope'] / 1e12:.6g} MHz/us, wanted "
        f"{first / 1e9:.6g} to {last / 1e9:.6g} GHz at {scan.chirp.slope / 1e12:.6g} MHz/us as in the scan"
    )
