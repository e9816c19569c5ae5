r"""Calibration: dividing the instrument out of a measurement.

An instrument with gain g of a pair and a delay that looks like the one-way range b measures
s = g s_ideal exp(+j 2 k b). The ideal signal is s / g exp(-j 2 k b), for every pose, with k = 2 pi f / c.

Feed polarity is not part of it: that lives in `AntennaArray.polarity` and reaches the imagers as a weight.
"""

import numpy as np

from mmsar.core.checks import check_shape
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
        Gains (n_tx, n_rx) and range bias [m].
    chirp : Chirp
        Frequencies of the samples.

    Returns
    -------
    ndarray
        block / gain * exp(-j 2 k range_bias), complex64, of the same shape; the factor is formed in float64.

    Raises
    ------
    GeometryError
        Shapes that do not belong together.
    """
    check_shape("calibrate_block block", block.shape, (None, *calibration.gain.shape, chirp.n_samples))
    phase = np.exp(-2j * chirp.k * calibration.range_bias)
    factor = (phase / calibration.gain[..., None]).astype(np.complex64)
    return block * factor


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
