r"""The instrument's response from a reflector's summed samples, and whether the reflector is what they show.

C(f), a channel's sum over poses against the ideal echo (`mmsar.hardware.calibrate.correlate`), is g exp(j 2 k r) and
noise, r the range bias plus c / 2 times the channel's own delay; r is where |sum_f w C exp(-j 2 k r)| is largest.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from mmsar.constants import C0
from mmsar.errors import GeometryError
from mmsar.hardware.calibrate.correlate import Correlation
from mmsar.signal.window import taper

DOMINANCE_DB = 6.0
"""How far the reflector must stand above every other echo [dB]."""
WEAK_CHANNEL_DB = -30.0
"""A channel whose echo is this far below the strongest is broken [dB]."""


def profile(sums: Correlation, pad: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Power over one-way range beside the reflector, summed over channels after the coherent sum over poses."""
    chirp = sums.chirp
    n = pad * chirp.n_samples
    spectrum = np.fft.fft(sums.halves.sum(axis=0) * taper("hann", chirp.n_samples), n, axis=-1)
    return np.arange(n) * (chirp.range_max / n), (np.abs(spectrum) ** 2).sum(axis=(0, 1))


def dominance(sums: Correlation, distance: float, low: float, high: float) -> float:
    """Reflector over the strongest other echo [dB]; leakage near range 0 does not count. Refused below the limit."""
    chirp = sums.chirp
    bias, power = profile(sums)
    cell, period = chirp.range_resolution, chirp.range_max
    inside = (bias - low) % period <= high - low
    if not inside.any():
        raise GeometryError(
            f"range bias: got {low:g} to {high:g} m to look in, wanted some of the {period:g} m there are"
        )
    top = int(np.argmax(np.where(inside, power, 0)))
    if max(power[top - 1], power[(top + 1) % len(power)]) > power[top]:
        raise GeometryError(
            f"reflector: got an echo that goes on rising beyond the range bias looked in, {low * 1e3:.0f} to "
            f"{high * 1e3:.0f} mm, wanted its peak inside; check the place, or look in a wider interval"
        )
    beside = np.abs((bias - bias[top] + period / 2) % period - period / 2) > 2.5 * cell
    leakage = np.abs((bias - bias[top] + distance + period / 2) % period - period / 2) <= 2.5 * cell
    others = power * beside * ~leakage
    worst = int(np.argmax(others))
    ratio = 10 * np.log10(power[top] / max(others[worst], 1e-12 * power[top]))
    if ratio < DOMINANCE_DB:
        offset = float((bias[worst] + period / 2) % period - period / 2)
        raise GeometryError(
            f"reflector: got an echo {ratio:+.1f} dB against the strongest other, {offset * 1e3:+.0f} mm in range from "
            f"the given place, wanted {DOMINANCE_DB:.0f} dB or more; check the place, move other things away, or "
            "subtract a scan without the reflector"
        )
    return float(ratio)


def response(sums: Correlation, total: np.ndarray, delays: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """Range bias [m], delays [s] and gains at mid band times the poses summed, of sums C (n_tx, n_rx, n_samples)."""
    chirp = sums.chirp
    window = taper("hann", chirp.n_samples)
    window = window / window.sum()
    bias, power = profile(sums)
    low, high = sums.bias[0], sums.bias[-1]
    inside = (bias - low) % chirp.range_max <= high - low
    start = float((bias[int(np.argmax(np.where(inside, power, 0)))] - low) % chirp.range_max + low)
    turn = 2 * (chirp.k - 2 * np.pi * chirp.f_centre / C0)
    channels = total.reshape(-1, chirp.n_samples) * window

    def at(samples: np.ndarray, r: float) -> np.ndarray:
        return samples @ np.exp(-1j * turn * r)

    def peak(samples: np.ndarray) -> float:
        reach = chirp.range_resolution
        found = minimize_scalar(
            lambda r: -float((np.abs(at(samples, r)) ** 2).sum()),
            bounds=(start - reach, start + reach),
            method="bounded",
            options={"xatol": 1e-9},
        )
        return float(found.x)

    level = np.abs(at(channels, start))
    weak = 20 * np.log10(np.maximum(level, 1e-30) / level.max()) < WEAK_CHANNEL_DB
    if weak.any():
        t, r = np.unravel_index(int(np.argmax(weak)), total.shape[:2])
        raise GeometryError(
            f"reflector: got no echo in {int(weak.sum())} channels, the first tx {t} rx {r} (counted from 0), wanted "
            "one in every channel; check that the antenna works, or leave it out"
        )
    if delays:
        own = np.array([peak(samples) for samples in channels])
        common = float(own.mean())
        gain = np.array([at(samples, r) for samples, r in zip(channels, own, strict=True)])
    else:
        common = peak(channels)
        own = np.full(len(channels), common)
        gain = at(channels, common)
    gain = gain * np.exp(-2j * (2 * np.pi * chirp.f_centre / C0) * common)
    shape = total.shape[:2]
    return common, (2 / C0 * (own - common)).reshape(shape), gain.reshape(shape)


def noise(sums: Correlation) -> float:
    """Variance of the noise of one sample, from the quiet part of the range axis."""
    window = taper("hann", sums.chirp.n_samples)
    gain = float((window**2).sum() / window.sum() ** 2)
    return max(float(np.median(sums.power)) / gain, np.finfo(float).tiny)


def between(split: list[tuple[float, np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """RMS phase [rad] and difference of the range bias [m] between the fits of the two halves."""
    (first, delay_1, gain_1), (second, delay_2, gain_2) = split
    own = C0 / 2 * (delay_1 - delay_2)
    return phase_spread(gain_1 * gain_2.conj()), float(first - second + own.mean())


def phase_spread(gain: np.ndarray) -> float:
    """RMS phase of gains about their common phase [rad]."""
    unit = gain / np.abs(gain)
    return float(np.sqrt(np.mean(np.angle(unit * unit.sum().conj()) ** 2)))
