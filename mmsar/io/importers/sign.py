"""Self-test of the phase sign: where does the energy of the beat spectrum lie?

With s = exp(+j k (R_tx + R_rx)) and rising k, every echo turns the phase forwards from sample to sample, so its energy
is at positive beat frequencies; data of the other sign (or with I and Q swapped) has it at negative ones.
"""

import warnings

import numpy as np

from mmsar.errors import FormatError
from mmsar.model import Scan

MAX_POSES = 64
DECIDED_DB = 3.0


def beat_sign_db(scan: Scan) -> float:
    """Energy at positive over negative beat frequencies [dB], of up to 64 poses, without the two bins next to 0.

    Raises
    ------
    FormatError
        Fewer than 8 samples, or no energy.
    """
    n_pose, _, _, n = scan.shape
    if n < 8:
        raise FormatError(f"sign check: got {n} samples per sweep, wanted at least 8")
    poses = np.unique(np.linspace(0, n_pose - 1, min(n_pose, MAX_POSES)).astype(int))
    ratio = one_sided_db(np.concatenate([np.asarray(scan.signal[int(p) : int(p) + 1]) for p in poses]))
    if np.isnan(ratio):
        raise FormatError("sign check: got no energy beside zero frequency, wanted echoes")
    return ratio


def one_sided_db(block: np.ndarray) -> float:
    """Energy of samples (..., n) at positive over negative beat frequencies [dB]; nan without any.

    Hann window; zero frequency and its neighbours, where leakage is, do not count.
    """
    n = block.shape[-1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)
    power = np.sum(np.abs(np.fft.fft(block * window, axis=-1)) ** 2, axis=tuple(range(block.ndim - 1)))
    half = (n - 1) // 2
    positive, negative = power[2 : half + 1].sum(), power[n - half : n - 1].sum()
    if positive + negative == 0:
        return float("nan")
    tiny = 1e-30 * (positive + negative)
    return float(10 * np.log10((positive + tiny) / (negative + tiny)))


def check_sign(scan: Scan, sign: str) -> float:
    """Refuse data whose energy lies at negative beat frequencies; warn when it lies on both sides alike, or would by
    rights: samples that are referred to an axis of rotation (far field).

    Parameters
    ----------
    scan : Scan
        After the conjugation the description asked for.
    sign : str
        What the description said, "positive" or "negative".

    Returns
    -------
    float
        Energy at positive over negative beat frequencies [dB].

    Raises
    ------
    FormatError
        3 dB or more on the negative side.
    """
    ratio = beat_sign_db(scan)
    if scan.attrs.get("far_field"):
        text = "sign check undecided: far-field samples are referred to the axis, so that echoes lie on both sides of 0"
        warnings.warn(f"{text}; look at the image with both signs", UserWarning, stacklevel=3)
        return ratio
    other = "positive" if sign == "negative" else "negative"
    numbers = f'with sign = "{sign}" positive beat frequencies hold {ratio:+.1f} dB of the energy of negative ones'
    if ratio <= -DECIDED_DB:
        raise FormatError(
            f'sign check: {numbers}, wanted more than +{DECIDED_DB:g}: set [waveform] sign = "{other}", '
            "or another [capture] layout"
        )
    if ratio < DECIDED_DB:
        advice = "try another [capture] layout, or look at the image with both signs"
        warnings.warn(f"sign check undecided: {numbers}; {advice}", UserWarning, stacklevel=3)
    return ratio
