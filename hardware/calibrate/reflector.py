r"""Calibration from a corner reflector or a small sphere at a known place: gains, delays and range bias of a board.

`mmsar.hardware.calibrate.correlate` sums each channel's samples against the reflector's ideal echo to C(f). What is
left is the instrument's response g exp(j 2 k b) exp(j 2 pi (f - f_ref) tau), and noise. For each channel the one-way
range b + c tau / 2 is where |sum_f w C exp(-j 2 k r)| (Hann taper w) is largest, found to a small fraction of a bin;
the range bias b is the mean over channels, tau the channel's own rest, f_ref the middle of the band, and g what the
sum is there. Neither the reflector's strength nor its phase is known, so the gains' common factor is arbitrary:
they are scaled to RMS 1, the first one real.

Phases are only as good as the place is known: lambda/16 of path is 22 degrees. The scan itself tells how well it fits:
every pose must see the same phase. Off the place by more than `MAX_PHASE_RMS` the fit is refused, with the place that
fits better; `refine` moves the reflector there. The range bias has nothing else to go by than the given distance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from mmsar.constants import C0
from mmsar.core.checks import finite_number, real_array
from mmsar.errors import GeometryError
from mmsar.hardware.calibrate.correlate import Correlation, check_saturation, correlate
from mmsar.hardware.calibrate.place import agreement, find_place, observable, path_length, phase_residual
from mmsar.model.calibration import Calibration
from mmsar.model.scan import Scan
from mmsar.signal.calibrate import apply_calibration, attach_calibration
from mmsar.signal.window import taper

MAX_PHASE_RMS = np.radians(30)
"""Largest RMS phase over the poses of a scan that still counts as a reflector at the given place [rad]."""
GOOD_AGREEMENT = float(np.cos(MAX_PHASE_RMS) ** 2)
"""Agreement of the poses about which phases vary by `MAX_PHASE_RMS`."""
TELLING_GAIN = 0.003
"""Gain in agreement from which another place is worth telling: 3 degrees RMS of phase."""
DOMINANCE_DB = 6.0
"""How far the reflector must stand above every other echo [dB]."""
WEAK_CHANNEL_DB = -30.0
"""A channel whose echo is this far below the strongest is broken [dB]."""
LEAST_SENSITIVITY = np.radians(2) / 1e-3
"""Change of phase over the scan [rad/m RMS] below which a direction of the reflector's place is not refined: what a
small aperture says about the distance is worth less than a ruler."""
LEAST_TELLING = np.radians(0.3) / 1e-3
"""The same for the place that is only told [rad/m RMS]."""


@dataclass(frozen=True, kw_only=True)
class ReflectorOptions:
    """How a reflector scan is taken to be.

    Raises
    ------
    GeometryError
        Values out of range.
    """

    bias: tuple[float, float] = (-0.1, 0.25)
    """Range bias to look for [m], lowest and highest."""
    sphere_radius: float = 0.0
    """Radius of a sphere whose centre is at the given place [m]; its echo comes from that much nearer."""
    delays: bool = True
    """Fit a delay of each channel; False: the range bias only."""
    refine: bool = False
    """Move the reflector to where the poses agree best, within `search`."""
    search: float = 0.02
    """How far from the given place to look for it [m]."""
    full_scale: float | None = None
    """Largest I or Q the converter gives; default 32767 for int16 samples."""

    def __post_init__(self) -> None:
        low, high = (finite_number("ReflectorOptions.bias", v, "m") for v in self.bias)
        if not low < high:
            raise GeometryError(f"ReflectorOptions.bias: got {low:g} to {high:g}, wanted the lowest first [m]")
        if finite_number("ReflectorOptions.sphere_radius", self.sphere_radius, "m") < 0:
            raise GeometryError(f"ReflectorOptions.sphere_radius: got {self.sphere_radius:g}, wanted 0 or more [m]")
        finite_number("ReflectorOptions.search", self.search, "m", above=0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReflectorFit:
    """What a reflector scan says about the instrument, and how sure it is."""

    gain: np.ndarray
    """Response at mid band of every channel, RMS 1, first one real, (n_tx, n_rx)."""
    range_bias: float
    """Range bias [m]."""
    delay: np.ndarray
    """Delay of every channel beside the bias [s], mean 0, (n_tx, n_rx)."""
    phase_rms: np.ndarray
    """RMS phase over the poses about the fit [rad], (n_tx, n_rx)."""
    snr: np.ndarray
    """Power of the echo over that of the noise, of one sample, (n_tx, n_rx)."""
    dominance_db: float
    """Reflector over the next echo, after summing over the poses [dB]."""
    place: np.ndarray
    """Reflector in the world that was used [m], (3,)."""
    found: np.ndarray | None
    """Where the poses agree best [m], (3,); None when the radar stood still."""
    held_out_phase: float | None
    """Gains of one half of the poses against those of the other: RMS phase [rad]; None for a single pose."""
    held_out_bias: float | None
    """Range bias of one half less that of the other [m]."""
    notes: tuple[str, ...]
    """What a person should know."""


def fit_reflector(
    scan: Scan,
    position: np.ndarray,
    *,
    options: ReflectorOptions = ReflectorOptions(),
    temperature: float | None = None,
) -> Calibration:
    """The calibration of a board from a scan of a reflector; see `measure_reflector` for arguments and errors.

    Parameters
    ----------
    temperature : float, optional
        Of the radar [degrees Celsius]; kept as a note.
    """
    return to_calibration(scan, measure_reflector(scan, position, options=options), temperature=temperature)


def measure_reflector(
    scan: Scan, position: np.ndarray, *, options: ReflectorOptions = ReflectorOptions()
) -> ReflectorFit:
    """Fit a scan of one dominant reflector; the radar may have moved (any trajectory) or stood still.

    Parameters
    ----------
    scan : Scan
        Raw samples; a calibration that it carries is not applied.
    position : array_like
        Apex of the corner reflector or centre of the sphere, in the world [m], (3,).

    Raises
    ------
    GeometryError
        A reflector that is not the dominant echo near that place, does not fit it, or saturates the receiver; a
        channel without an echo.
    """
    place = real_array("reflector position", position, (3,), "m")
    check_saturation(scan, options.full_scale)
    low, high = (v - options.sphere_radius for v in options.bias)
    sums = correlate(scan, place, low=low, high=high)
    n_pose, n_tx, n_rx, _ = scan.shape
    tx, rx = (p.reshape(n_pose, n_tx * n_rx, 3) for p in (scan.geometry.tx_position, scan.geometry.rx_position))
    k, notes, found, better = 2 * np.pi * scan.chirp.f_centre / C0, [], None, 0.0
    echo = _echoes(sums)
    moved = np.ptp(tx + rx, axis=0).max() / 2 > scan.chirp.wavelength / 4
    if moved:
        found, better = find_place(echo, tx, rx, place, k=k, search=options.search, least=LEAST_TELLING)
        away = float(np.linalg.norm(found - place))
        if options.refine:
            if away > options.search:
                raise GeometryError(
                    f"reflector: got it {away * 1e3:.3g} mm from the given place, wanted within "
                    f"{options.search * 1e3:.3g} mm; check the place"
                )
            directions, sensitivity = observable(tx, rx, place, k)
            held = directions[sensitivity < LEAST_SENSITIVITY]
            if len(held):
                along = " and ".join(",".join(f"{abs(v):.2f}" for v in d) for d in held)
                notes.append(f"the aperture is too small to refine the place along {along}; kept as given")
            for _ in range(2):  # the search's one frequency is exact at the place only
                place, _ = find_place(echo, tx, rx, place, k=k, search=options.search, least=LEAST_SENSITIVITY)
                sums = correlate(scan, place, low=low, high=high)
                echo = _echoes(sums)
        if better - agreement(echo, np.zeros(echo.shape), k) > TELLING_GAIN:
            away = float(np.linalg.norm(found - place))
            notes.append(f"the poses agree best for a reflector at {_mm(found)} mm, {away * 1e3:.2f} mm away")
    elif options.refine:
        raise GeometryError("reflector: got a radar that stood still, wanted one that moved to refine the place")
    else:
        notes.append("the radar stood still: nothing but the given place says where the reflector is")
    dominance = _dominance(sums, float(path_length(tx, rx, place).mean()) / 2, low, high)
    phase = phase_residual(echo)
    together = float(np.sqrt(np.average(phase**2, weights=np.abs(echo.sum(axis=0)) ** 2)))
    if together > MAX_PHASE_RMS:
        hint = "check positions and place"
        if better > GOOD_AGREEMENT and not options.refine:
            hint = f"it fits better at {_mm(found)} mm: correct it, or refine"
        raise GeometryError(
            f"reflector: got phases that vary by {np.degrees(together):.0f} degrees over the poses, wanted at most "
            f"{np.degrees(MAX_PHASE_RMS):.0f} as for one reflector at {_mm(place)} mm; {hint}"
        )
    bias, delay, gain = _response(sums, sums.halves.sum(axis=0), options.delays)
    split = None
    if (sums.count > 0).all():
        split = [_response(sums, half, options.delays) for half in sums.halves]
    noise = _noise(sums)
    level = np.abs(gain) / np.maximum(sums.count.sum(axis=0), 1)
    held_phase, held_bias = (None, None) if split is None else _between(split)
    scale = np.sqrt(np.mean(level**2)) * np.exp(1j * np.angle(gain[0, 0]))
    return ReflectorFit(
        gain=level * np.exp(1j * np.angle(gain)) / scale,
        range_bias=bias + options.sphere_radius,
        delay=delay,
        phase_rms=phase.reshape(n_tx, n_rx),
        snr=level**2 / noise,
        dominance_db=dominance,
        place=place,
        found=found,
        held_out_phase=held_phase,
        held_out_bias=held_bias,
        notes=tuple(notes),
    )


def to_calibration(scan: Scan, fit: ReflectorFit, *, temperature: float | None = None) -> Calibration:
    """The calibration of a fit, with what it is valid for: the radar configuration and waveform of the scan."""
    chirp = scan.chirp
    attrs: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "board": scan.array.name,
        "chirp": {name: getattr(chirp, name) for name in ("f0", "slope", "fs", "n_samples")},
        "target_m": fit.place.tolist(),
        "snr_db": float(10 * np.log10(fit.snr.mean())),
        "phase_rms_rad": fit.phase_rms.tolist(),
        "dominance_db": fit.dominance_db,
    }
    if "config_digest" in scan.attrs:
        attrs["config_digest"] = scan.attrs["config_digest"]
    if temperature is not None:
        attrs["temperature_c"] = finite_number("temperature", temperature, "degrees Celsius")
    if fit.held_out_phase is not None:
        attrs |= {"held_out_phase_rad": fit.held_out_phase, "held_out_bias_m": fit.held_out_bias}
    delays = bool(fit.delay.any())
    return Calibration(
        gain=fit.gain,
        range_bias=fit.range_bias,
        source=f"reflector at {_mm(fit.place)} mm",
        residual=float(np.sqrt(np.mean(fit.phase_rms**2))),
        delay=fit.delay if delays else None,
        delay_frequency=chirp.f_centre if delays else None,
        attrs=attrs,
    )


def check_reflector(
    scan: Scan, position: np.ndarray, calibration: Calibration, *, options: ReflectorOptions = ReflectorOptions()
) -> Mapping[str, float]:
    """What is left of a calibration's errors on another reflector scan (another place, best).

    Returns
    -------
    mapping
        `phase_rms` [rad] of the channels against each other, `range_bias` [m] and `range_bias_cells`, its share of a
        range cell. Good: below 10 degrees and 1/20 of a cell.

    Raises
    ------
    GeometryError
        As `measure_reflector` and `attach_calibration`.
    """
    raw = scan.with_signal(scan.signal, calibration=None)
    fit = measure_reflector(apply_calibration(attach_calibration(raw, calibration)), position, options=options)
    return {
        "phase_rms": _phase_spread(fit.gain),
        "range_bias": fit.range_bias,
        "range_bias_cells": fit.range_bias / scan.chirp.range_resolution,
    }


def _echoes(sums: Correlation) -> np.ndarray:
    """The reflector's echo of every pose and channel, complex (n_pose, n_channel), from the bin it stands in."""
    n_pose = len(sums.bins)
    coherent = (np.abs(sums.bins.sum(axis=0, dtype=complex)) ** 2).sum(axis=(0, 1))
    separate = (np.abs(sums.bins) ** 2).sum(axis=(0, 1, 2), dtype=float)
    use = coherent if coherent.max() > 0.25 * n_pose * separate[np.argmax(coherent)] else separate
    return sums.bins[..., int(np.argmax(use))].reshape(n_pose, -1).astype(complex)


def _profile(sums: Correlation, pad: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Power over one-way range beside the reflector, summed over channels after the coherent sum over poses."""
    chirp = sums.chirp
    n = pad * chirp.n_samples
    spectrum = np.fft.fft(sums.halves.sum(axis=0) * taper("hann", chirp.n_samples), n, axis=-1)
    return np.arange(n) * (chirp.range_max / n), (np.abs(spectrum) ** 2).sum(axis=(0, 1))


def _dominance(sums: Correlation, distance: float, low: float, high: float) -> float:
    """Reflector over the strongest other echo [dB]; leakage near range 0 does not count. Refused below the limit."""
    chirp = sums.chirp
    bias, power = _profile(sums)
    cell, period = chirp.range_resolution, chirp.range_max
    inside = (bias - low) % period <= high - low
    if not inside.any():
        raise GeometryError(
            f"range bias: got {low:g} to {high:g} m to look in, wanted some of the {period:g} m there are"
        )
    top = int(np.argmax(np.where(inside, power, 0)))
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


def _response(sums: Correlation, total: np.ndarray, delays: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """Range bias [m], delays [s] and gains at mid band times the poses summed, of sums C (n_tx, n_rx, n_samples)."""
    chirp = sums.chirp
    window = taper("hann", chirp.n_samples)
    window = window / window.sum()
    bias, power = _profile(sums)
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


def _noise(sums: Correlation) -> float:
    """Variance of the noise of one sample, from the quiet part of the range axis."""
    window = taper("hann", sums.chirp.n_samples)
    gain = float((window**2).sum() / window.sum() ** 2)
    return max(float(np.median(sums.power)) / gain, np.finfo(float).tiny)


def _between(split: list[tuple[float, np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """RMS phase [rad] and difference of the range bias [m] between the fits of the two halves."""
    (first, delay_1, gain_1), (second, delay_2, gain_2) = split
    own = C0 / 2 * (delay_1 - delay_2)
    return _phase_spread(gain_1 * gain_2.conj()), float(first - second + own.mean())


def _phase_spread(gain: np.ndarray) -> float:
    """RMS phase of gains about their common phase [rad]."""
    unit = gain / np.abs(gain)
    return float(np.sqrt(np.mean(np.angle(unit * unit.sum().conj()) ** 2)))


def _mm(place: np.ndarray) -> str:
    return ",".join(f"{v * 1e3:.2f}" for v in place)
