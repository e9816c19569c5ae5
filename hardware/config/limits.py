"""The checker: every limit that a configuration breaks, why it matters and what to do.

"error" will not work, "warning" may not (or the limit was published for another chip, or sources disagree), "note" is
worth knowing. Limits: `mmsar.hardware.device`, each with its source; formulas: `mmsar.hardware.config.derived`.
"""

import math

from mmsar.core.checks import finite_number
from mmsar.hardware.config.cfg_hints import text_findings
from mmsar.hardware.config.derived import DEFAULT_PACKET_DELAY, LINK_SHARE, Derived, delay_for, derived, link_capacity
from mmsar.hardware.config.finding import SEVERITIES, Finding
from mmsar.hardware.config.quantise import TIME_LSB
from mmsar.hardware.config.radar_config import RadarConfig
from mmsar.hardware.device import Device, Limit
from mmsar.hardware.device import device as find_device

BLANKING = 300e-6
"""Pause that a frame needs after its last chirp [s], about [LINK]."""
PHASE_BUDGET = math.pi / 8
"""Phase error that does no harm to an image [rad]: 22.5 degrees."""

_UNITS = {
    "start_frequency": (1e-9, "GHz", "change profileCfg's start frequency"),
    "slope": (1e-12, "MHz/us", "change profileCfg's slope"),
    "fs": (1e-3, "ksps", "change profileCfg's sample rate"),
    "fs_complex1x": (1e-3, "ksps (complex 1x)", "change profileCfg's sample rate, or sample complex 2x"),
    "idle": (1e6, "us", "change profileCfg's idle time"),
    "adc_start": (1e6, "us", "change profileCfg's ADC start time"),
    "ramp_end": (1e6, "us", "change profileCfg's ramp end time"),
    "tx_start": (1e6, "us", "change profileCfg's TX start time"),
    "n_loops": (1, "", "change frameCfg's number of loops"),
    "n_frames": (1, "", "change frameCfg's number of frames (0 is endless)"),
    "frame_period": (1e3, "ms", "change frameCfg's period"),
}
_NAMES = {"fs": "sample rate", "fs_complex1x": "sample rate", "n_loops": "loops", "n_frames": "frames"}


def check(
    config: RadarConfig, *, speed: float | None = None, packet_delay: float = DEFAULT_PACKET_DELAY
) -> list[Finding]:
    """Everything there is to say about a configuration, errors first.

    Parameters
    ----------
    speed : float or None
        Speed of the scan along the aperture [m/s]; None: sampling in space is not checked.
    packet_delay : float
        Pause of the capture card between packets [s]; the default is the card's own after power-up.

    Raises
    ------
    GeometryError
        A speed that is not above 0, or a delay the card does not take.
    """
    chip = find_device(config.device)
    values = derived(config)
    found = list(config.obstacles)
    found += _ranges(config, chip)
    found += _sweep(config, chip, values)
    found += _buffer(config, chip)
    found += _frame(config, values)
    found += _link(values, chip, link_capacity(packet_delay), packet_delay)
    found += _demo(config, chip)
    found += _rounding(config)
    found += text_findings(config, chip)
    if speed is not None:
        found += _scan(config, values, finite_number("speed", speed, "m/s", above=0.0))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def broken(findings: list[Finding]) -> bool:
    """Whether a finding is an error."""
    return any(finding.severity == "error" for finding in findings)


def _finding(severity: str, limit: str, got: str, allowed: str, explanation: str) -> Finding:
    return Finding(severity=severity, limit=limit, got=got, allowed=allowed, explanation=explanation)


def _ranges(config: RadarConfig, chip: Device) -> list[Finding]:
    found = []
    for name, limits in chip.limits.items():
        if name == "chirp" or (name == "fs_complex1x" and (not config.complex_samples or config.complex2x)):
            continue
        factor, unit, what_to_do = _UNITS[name]
        value = getattr(config, "fs" if name == "fs_complex1x" else name)
        for limit in limits:
            if _inside(value, limit):
                continue
            found.append(
                _finding(
                    "error" if limit.sure else "warning",
                    _NAMES.get(name, name.replace("_", " ")),
                    f"{value * factor:.6g} {unit}".strip(),
                    f"{_bounds(limit, factor)} {unit}".strip(),
                    f"limit of {chip.name}, from {limit.source}; {what_to_do}",
                )
            )
    return found


def _inside(value: float, limit: Limit) -> bool:
    slack = 1e-9 * abs(value)
    return (limit.low is None or value >= limit.low - slack) and (limit.high is None or value <= limit.high + slack)


def _bounds(limit: Limit, factor: float) -> str:
    if limit.low is None:
        return f"at most {limit.high * factor:.6g}"
    if limit.high is None:
        return f"at least {limit.low * factor:.6g}"
    return f"{limit.low * factor:.6g} to {limit.high * factor:.6g}"


def _sweep(config: RadarConfig, chip: Device, values: Derived) -> list[Finding]:
    found = []
    low, high = config.start_frequency, values.ramp_stop_frequency
    ghz = f"{low / 1e9:.6g} to {high / 1e9:.6g} GHz"
    step = config.slope * TIME_LSB  # the Visualizer rounds the ramp end to a step, so its sweeps end up to that high
    if not any(a - 1 <= low and high <= b + step for a, b in chip.vco):
        allowed = " or ".join(f"{a / 1e9:g} to {b / 1e9:g}" for a, b in chip.vco) + " GHz"
        why = f"one oscillator of {chip.name} must cover the whole ramp; lower the slope or shorten the ramp"
        found.append(_finding("error", "sweep", ghz, allowed, why))
    stop = config.adc_start + values.adc_time
    if stop > config.ramp_end * (1 + 1e-9):
        why = "the last samples fall after the ramp; lengthen the ramp, sample faster, or take fewer samples"
        found.append(
            _finding(
                "error",
                "sampling window",
                f"ADC start {config.adc_start * 1e6:g} us + {values.adc_time * 1e6:.6g} us of samples",
                f"at most the ramp end, {config.ramp_end * 1e6:g} us",
                why,
            )
        )
    return found


def _buffer(config: RadarConfig, chip: Device) -> list[Finding]:
    found = []
    receivers = min(config.n_rx, 4)
    size = receivers * config.n_samples * config.bytes_per_sample * config.chirp_threshold
    if chip.adc_buffer_bytes is None:
        why = f"the size of the ADC buffer of {chip.name} is not known here; see its data sheet"
        found.append(_finding("note", "ADC buffer", f"{size} bytes", "not known", why))
    elif size > chip.adc_buffer_bytes:
        most = chip.adc_buffer_bytes // (receivers * config.bytes_per_sample * config.chirp_threshold)
        why = f"{receivers} receivers fit {most} samples; take fewer samples or receivers"
        found.append(_finding("error", "ADC buffer", f"{size} bytes", f"at most {chip.adc_buffer_bytes}", why))
    if not chip.interleaved and config.n_samples % 4:
        why = f"the SDK of {chip.name} wants a multiple of 4; change profileCfg"
        found.append(_finding("error", "number of samples", str(config.n_samples), "a multiple of 4", why))
    return found


def _frame(config: RadarConfig, values: Derived) -> list[Finding]:
    found = []
    active, period = values.frame_active, config.frame_period
    got = f"{active * 1e3:.6g} ms of chirps in {period * 1e3:.6g} ms"
    if active > period * (1 + 1e-9) or values.duty > 0.99:
        why = f"the next frame would start too early; make the period {(active + BLANKING) * 1e3:.6g} ms or longer"
        found.append(_finding("error", "frame duty", got, "less than 99 %", why))
    elif active + BLANKING > period * (1 + 1e-9):
        why = (
            f"the radar needs about 300 us after a frame; make the period {(active + BLANKING) * 1e3:.6g} ms or longer"
        )
        found.append(_finding("warning", "frame blanking", got, "about 300 us of pause", why))
    if values.rf_duty > 0.5:
        why = "the transmitters get hot and the phase drifts; lengthen the period or take fewer loops"
        found.append(_finding("warning", "RF duty", f"{100 * values.rf_duty:.3g} %", "at most 50 %", why))
    if config.trigger == "hardware":
        why = (
            f"every frame waits for an edge at SYNC_IN; edges closer than {(active + BLANKING) * 1e3:.6g} ms are lost, "
            "and the SDK was tested with the software trigger only"
        )
        found.append(_finding("note", "trigger", "hardware", "hardware or software", why))
    if len(set(config.tx_order)) < config.n_tx:
        why = "a transmitter fires more than once in a loop: each slot is kept as a channel of its own"
        found.append(_finding("note", "transmitters", str([t + 1 for t in config.tx_order]), "each once", why))
    return found


def _link(values: Derived, chip: Device, capacity: float, delay: float) -> list[Finding]:
    if values.data_rate is None or chip.name == "MMWCAS":
        return []
    if values.data_rate <= LINK_SHARE * capacity:
        return []
    longest = delay_for(values.data_rate)
    cure = (
        "no packet delay is short enough: lengthen the period, or take fewer samples, receivers or loops"
        if longest is None
        else f"set a packet delay of {math.floor(longest * 1e6)} us or less"
    )
    return [
        _finding(
            "error",
            "network link",
            f"{values.data_rate * 8e-6:.4g} Mb/s",
            f"at most {LINK_SHARE * capacity * 8e-6:.4g} Mb/s (80 % of the link at a delay of {delay * 1e6:g} us)",
            f"the card's memory would fill and samples be lost; {cure}",
        )
    ]


def _demo(config: RadarConfig, chip: Device) -> list[Finding]:
    found = []
    if chip.l3_bytes is not None:
        cube = config.chirps_per_frame * config.n_rx * config.n_samples * 4
        if cube > chip.l3_bytes:
            why = f"only the demo's own processing is concerned, not the capture [{chip.source}]"
            found.append(
                _finding("note", "demo memory", f"{cube / 1024:.0f} KiB", f"at most {chip.l3_bytes // 1024} KiB", why)
            )
    if chip.name == "xWR1642" and (config.n_loops < 16 or config.n_loops & (config.n_loops - 1)):
        why = "the stock demo of this chip refuses others; change frameCfg, or use firmware that does not"
        found.append(_finding("warning", "loops", str(config.n_loops), "a power of 2, at least 16", why))
    return found


def _rounding(config: RadarConfig) -> list[Finding]:
    slope = config.quantised["slope"]
    if abs(slope.error) <= 1e-4 * slope.nominal:
        return []
    why = (
        f"the chip's step is {slope.lsb / 1e9:.3f} kHz/us, so it sweeps {slope.actual / 1e12:.6f} MHz/us and ranges "
        f"are off by {100 * abs(slope.error) / slope.nominal:.2g} %; choose a multiple of the step to avoid it"
    )
    return [_finding("note", "slope", f"{slope.nominal / 1e12:.6g} MHz/us", f"{slope.actual / 1e12:.6f}", why)]


def _scan(config: RadarConfig, values: Derived, speed: float) -> list[Finding]:
    found = []
    step, quarter = speed * config.frame_period, values.wavelength / 4
    if step > quarter * (1 + 1e-9):
        why = (
            "a scan sampled more coarsely shows ghosts; go at most "
            f"{values.scan_speed_max * 1e3:.4g} mm/s, or shorten the period"
        )
        got = f"a frame every {step * 1e3:.4g} mm at {speed * 1e3:.4g} mm/s"
        found.append(_finding("error", "sampling in space", got, f"at most {quarter * 1e3:.4g} mm (lambda/4)", why))
    per_radian = values.wavelength / (4 * math.pi * speed)
    slip = config.chirp_time / per_radian
    if config.n_tx > 1 and slip * (config.n_tx - 1) > PHASE_BUDGET:
        why = "motion between transmitters is in the scan's geometry (tx_delay), so it needs true times and speeds"
        got = f"{math.degrees(slip):.3g} degrees per transmitter, towards the scene"
        found.append(_finding("note", "TDM motion", got, "22.5 degrees over a loop", why))
    smear = values.frame_active / per_radian
    if smear > PHASE_BUDGET:
        why = "loops of a frame are not at one place: average fewer, slow down, or keep the loops apart"
        got = f"{speed * values.frame_active * 1e3:.3g} mm, {math.degrees(smear):.3g} degrees towards the scene"
        found.append(_finding("note", "motion within a frame", got, "22.5 degrees", why))
    return found
