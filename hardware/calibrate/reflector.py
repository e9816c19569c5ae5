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

from mmsar.constants import C0
from mmsar.core.checks import finite_number, real_array
from mmsar.errors import GeometryError
from mmsar.hardware.calibrate.correlate import Correlation, check_saturation, correlate
from mmsar.hardware.calibrate.place import agreement, find_place, observable, path_length, phase_residual
from mmsar.hardware.calibrate.response import between, dominance, noise, phase_spread, response
from mmsar.model.calibration import Calibration
from mmsar.model.scan import Scan
from mmsar.signal.calibrate import apply_calibration, attach_calibration

MAX_PHASE_RMS = np.radians(30)
"""Largest RMS phase over the poses of a scan that still counts as a reflector at the given place [rad]."""
GOOD_AGREEMENT = float(np.cos(MAX_PHASE_RMS) ** 2)
"""Agreement of the poses about which phases vary by `MAX_PHASE_RMS`."""
TELLING_GAIN = 0.003
"""Gain in agreement from which another place is worth telling: 3 degrees RMS of phase."""
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
    antennas = tuple(p.reshape(n_pose, n_tx * n_rx, 3) for p in (scan.geometry.tx_position, scan.geometry.rx_position))
    moved = np.ptp(antennas[0] + antennas[1], axis=0).max() / 2 > scan.chirp.wavelength / 4
    found, better, notes = None, 0.0, []
    if moved:
        found, better = _search(scan, sums, antennas, place, options.search, LEAST_TELLING)
        if options.refine:
            place, sums, notes = _refined(scan, sums, antennas, place, found, options)
        left = _echoes(sums)
        if better - agreement(left, np.zeros(left.shape), 0.0) > TELLING_GAIN:
            away = float(np.linalg.norm(found - place))
            notes.append(f"the poses agree best for a reflector at {_mm(found)} mm, {away * 1e3:.2f} mm away")
    elif options.refine:
        raise GeometryError("reflector: got a radar that stood still, wanted one that moved to refine the place")
    else:
        notes.append("the radar stood still: nothing but the given place says where the reflector is")
    ratio = dominance(sums, float(path_length(*antennas, place).mean()) / 2, low, high)
    echo = _echoes(sums)
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
    bias, delay, gain = response(sums, sums.halves.sum(axis=0), options.delays)
    split = None
    if (sums.count > 0).all():
        split = [response(sums, half, options.delays) for half in sums.halves]
    floor = noise(sums)
    level = np.abs(gain) / np.maximum(sums.count.sum(axis=0), 1)
    held_phase, held_bias = (None, None) if split is None else between(split)
    scale = np.sqrt(np.mean(level**2)) * np.exp(1j * np.angle(gain[0, 0]))
    return ReflectorFit(
        gain=level * np.exp(1j * np.angle(gain)) / scale,
        range_bias=bias + options.sphere_radius,
        delay=delay,
        phase_rms=phase.reshape(n_tx, n_rx),
        snr=level**2 / floor,
        dominance_db=ratio,
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
        "phase_rms": phase_spread(fit.gain),
        "range_bias": fit.range_bias,
        "range_bias_cells": fit.range_bias / scan.chirp.range_resolution,
    }


def _search(
    scan: Scan, sums: Correlation, antennas: tuple[np.ndarray, ...], place: np.ndarray, search: float, least: float
) -> tuple[np.ndarray, float]:
    """Where the poses agree best, from sums for `place`, and how well."""
    k = 2 * np.pi * scan.chirp.f_centre / C0
    return find_place(_echoes(sums), *antennas, place, k=k, search=search, least=least)


def _refined(
    scan: Scan,
    sums: Correlation,
    antennas: tuple[np.ndarray, ...],
    place: np.ndarray,
    found: np.ndarray,
    options: ReflectorOptions,
) -> tuple[np.ndarray, Correlation, list[str]]:
    """The place moved along the directions the scan tells well, the sums for it, and what was left as given."""
    away = float(np.linalg.norm(found - place))
    if away > options.search:
        raise GeometryError(
            f"reflector: got it {away * 1e3:.3g} mm from the given place, wanted within "
            f"{options.search * 1e3:.3g} mm; check the place"
        )
    directions, sensitivity = observable(*antennas, place, 2 * np.pi * scan.chirp.f_centre / C0)
    held = [",".join(f"{abs(v):.2f}" for v in d) for d in directions[sensitivity < LEAST_SENSITIVITY]]
    notes = []
    if held:
        notes.append(f"the aperture is too small to refine the place along {' and '.join(held)}; kept as given")
    low, high = (v - options.sphere_radius for v in options.bias)
    for _ in range(2):  # the search's one frequency is exact at the place only
        place, _ = _search(scan, sums, antennas, place, options.search, LEAST_SENSITIVITY)
        sums = correlate(scan, place, low=low, high=high)
    return place, sums, notes


def _echoes(sums: Correlation) -> np.ndarray:
    """The reflector's echo of every pose and channel, complex (n_pose, n_channel), from the bin it stands in."""
    n_pose = len(sums.bins)
    coherent = (np.abs(sums.bins.sum(axis=0, dtype=complex)) ** 2).sum(axis=(0, 1))
    separate = (np.abs(sums.bins) ** 2).sum(axis=(0, 1, 2), dtype=float)
    use = coherent if coherent.max() > 0.25 * n_pose * separate[np.argmax(coherent)] else separate
    return sums.bins[..., int(np.argmax(use))].reshape(n_pose, -1).astype(complex)


def _mm(place: np.ndarray) -> str:
    return ",".join(f"{v * 1e3:.2f}" for v in place)
