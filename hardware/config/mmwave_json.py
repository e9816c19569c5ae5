"""`.mmwave.json` (mmWave Studio, mmwave-cli) to a `RadarConfig`, and the `.setup.json` beside it.

One radar, or the four of a cascade (chips 0 master to 3; receiver 4 chip + k, transmitter 3 chip + k). What the
radars of a cascade are told must agree, and every chirp must have one transmitter over all of them.
Source: schema 0.4 as written by TI's and azinke's tools.
"""

from dataclasses import dataclass
from pathlib import Path

from mmsar.errors import FormatError
from mmsar.hardware.config.cfg_lines import sample_layout, scale
from mmsar.hardware.config.cfg_text import read_text
from mmsar.hardware.config.json_values import Node, parse_json
from mmsar.hardware.config.radar_config import UNKNOWN_LAYOUT, RadarConfig
from mmsar.hardware.device import Device

_SAME = "start_frequency slope idle adc_start ramp_end fs n_samples tx_start hpf rx_gain tx_backoff tx_phase".split()


def config_from_mmwave(text: str, chip: Device, name: str) -> RadarConfig:
    """The configuration in a `.mmwave.json`; raises FormatError."""
    radars = Node(parse_json(text, name), name).nodes("mmWaveDevices")
    wanted = 4 if chip.name == "MMWCAS" else 1
    if len(radars) != wanted:
        raise FormatError(
            f"{name}: mmWaveDevices: got {len(radars)}, wanted {wanted} for {chip.name}; a cascade is --device MMWCAS"
        )
    radars = sorted(radars, key=lambda radar: radar.whole("mmWaveDeviceId", high=3))
    if [radar.whole("mmWaveDeviceId") for radar in radars] != list(range(wanted)):
        raise FormatError(f"{name}: mmWaveDeviceId: got repeated or missing numbers, wanted 0 to {wanted - 1}")
    each = [_radar(radar, chip) for radar in radars]
    first = each[0]
    for k, other in enumerate(each[1:], start=1):
        for key in ("profile", "frame", "samples"):
            if other[key] != first[key]:
                different = next(n for n in first[key] if first[key][n] != other[key][n])
                raise FormatError(
                    f"{name}: mmWaveDevices[{k}]: {different}: got {other[key][different]!r}, wanted "
                    f"{first[key][different]!r} as chip 0 has; the chips of a cascade need one waveform"
                )
    per_chip = 3 if wanted == 4 else chip.n_tx
    order = []
    for index in range(first["chirps"][0], first["chirps"][1] + 1):
        fired = [per_chip * k + bit for k, radar in enumerate(each) for bit in radar["tx"].get(index, ())]
        if len(fired) != 1:
            raise FormatError(
                f"{name}: chirp {index}: got {len(fired)} transmitters, wanted one; mmsar images time-division MIMO"
            )
        order.append(fired[0])
    rx = tuple(4 * k + bit for k, radar in enumerate(each) for bit in radar["rx"])
    samples = dict(first["samples"])
    separate = samples.pop("separate")
    layout, obstacles = sample_layout(
        chip,
        complex_samples=samples["complex_samples"],
        swap=samples["sample_swap"],
        separate=separate,
        n_rx=len(rx),
    )
    return RadarConfig(
        device=chip.name,
        text=text,
        rx=rx,
        tx_order=tuple(order),
        layout=UNKNOWN_LAYOUT if obstacles else layout,
        obstacles=tuple(obstacles),
        **first["profile"],
        **first["frame"],
        **samples,
    )


def _radar(radar: Node, chip: Device) -> dict:
    rf = radar.node("rfConfig")
    if rf.text("waveformType", default="legacyFrameChirp") != "legacyFrameChirp":
        raise rf.error("waveformType", '"legacyFrameChirp"', "mmsar reads plain frames only")
    if rf.text("MIMOScheme", default="TDM").upper() != "TDM":
        raise rf.error("MIMOScheme", '"TDM"', "mmsar images time-division MIMO")
    channels = rf.node("rlChanCfg_t")
    per_chip = 3 if chip.name == "MMWCAS" else chip.n_tx
    enabled = channels.whole("txChannelEn", high=2**per_chip - 1)
    adc = rf.node("rlAdcOutCfg_t").node("fmt")
    frame = rf.node("rlFrameCfg_t")
    first = frame.whole("chirpStartIdx", high=511)
    last = frame.whole("chirpEndIdx", low=first, high=511)
    tx, used = _chirps(rf, first, last, enabled)
    profile = _profile(rf, used)
    kind = adc.whole("b2AdcOutFmt", high=2)
    if frame.has("numAdcSamples"):
        halves = profile["n_samples"] * (2 if kind else 1)
        if frame.whole("numAdcSamples") != halves:
            raise frame.error("numAdcSamples", f"{halves} (I and Q counted)", "make it agree with the profile")
    data = radar.node("rawDataCaptureConfig").node("rlDevDataFmtCfg_t")
    trigger = "software"
    if radar.whole("mmWaveDeviceId") == 0:
        trigger = {1: "software", 2: "hardware"}[frame.whole("triggerSelect", low=1, high=2)]
    return {
        "profile": profile,
        "tx": tx,
        "rx": _bits(channels.whole("rxChannelEn", low=1, high=15)),
        "chirps": (first, last),
        "frame": {
            "n_loops": frame.whole("numLoops", low=1),
            "n_frames": frame.whole("numFrames"),
            "frame_period": scale(frame.number("framePeriodicity_msec"), -3),
            "trigger": trigger,
        },
        "samples": {
            "complex_samples": kind != 0,
            "complex2x": kind == 2,
            "adc_bits": {0: 12, 1: 14, 2: 16}[adc.whole("b2AdcBits", high=2)],
            "sample_swap": bool(data.whole("iqSwapSel", high=1)),
            "separate": bool(data.whole("chInterleave", high=1)),
        },
    }


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(k for k in range(mask.bit_length()) if mask >> k & 1)


def _chirps(rf: Node, first: int, last: int, enabled: int) -> tuple[dict[int, tuple[int, ...]], int]:
    table: dict[int, tuple[int, ...]] = {}
    profiles = set()
    for entry in rf.nodes("rlChirps"):
        chirp = entry.node("rlChirpCfg_t")
        low = chirp.whole("chirpStartIdx", high=511)
        for key in chirp.value:
            if "Var" in key and chirp.number(key) != 0:
                raise chirp.error(key, "0", "the chirps of a frame need one waveform")
        mask = chirp.whole("txEnable")
        if mask & ~enabled:
            raise chirp.error("txEnable", f"some of txChannelEn ({enabled:#x})")
        for index in range(low, chirp.whole("chirpEndIdx", low=low, high=511) + 1):
            if index in table:
                raise chirp.error("chirpStartIdx", f"each chirp once (chirp {index} is there twice)")
            table[index] = _bits(mask)
            if first <= index <= last:
                profiles.add(chirp.whole("profileId"))
    missing = [index for index in range(first, last + 1) if index not in table]
    if missing:
        raise FormatError(f"{rf.where}: rlChirps: got no chirp {missing[0]}, wanted every chirp of the frame")
    if len(profiles) > 1:
        raise FormatError(f"{rf.where}: rlChirps: got profiles {sorted(profiles)} in one frame, wanted one")
    return table, profiles.pop()


def _profile(rf: Node, wanted: int) -> dict:
    found = [p for p in (e.node("rlProfileCfg_t") for e in rf.nodes("rlProfiles")) if p.whole("profileId") == wanted]
    if len(found) != 1:
        raise FormatError(f"{rf.where}: rlProfiles: got {len(found)} of number {wanted}, wanted one")
    profile = found[0]
    return {
        "start_frequency": scale(profile.number("startFreqConst_GHz"), 9),
        "idle": scale(profile.number("idleTimeConst_usec"), -6),
        "adc_start": scale(profile.number("adcStartTimeConst_usec"), -6),
        "ramp_end": scale(profile.number("rampEndTime_usec"), -6),
        "slope": scale(profile.number("freqSlopeConst_MHz_usec"), 12),
        "tx_start": scale(profile.number("txStartTime_usec"), -6),
        "n_samples": profile.whole("numAdcSamples", low=1),
        "fs": scale(profile.number("digOutSampleRate"), 3),
        "hpf": (profile.whole("hpfCornerFreq1", high=3), profile.whole("hpfCornerFreq2", high=3)),
        "rx_gain": profile.whole("rxGain_dB"),
        "tx_backoff": profile.whole("txOutPowerBackoffCode", default=0),
        "tx_phase": profile.whole("txPhaseShifter", default=0),
    }


@dataclass(frozen=True, kw_only=True)
class StudioSetup:
    """What a `.setup.json` says of a recording."""

    device: str | None
    """Chip, as written."""
    hardware: str | None
    """Capture hardware, as written."""
    config: str | None
    """Name of the `.mmwave.json` used."""
    base_path: str | None
    """Folder of the files on the machine that recorded."""
    files: tuple[str, ...]
    """Raw files in order, names only."""


def read_setup(path: str | Path) -> StudioSetup:
    """Read a `.setup.json`; raises FormatError."""
    setup = Node(parse_json(read_text(path), str(path)), str(path))
    if not setup.has("capturedFiles") and not setup.has("configUsed"):
        raise FormatError(f"{path}: got neither capturedFiles nor configUsed, wanted the .setup.json of a recording")
    files: list[str] = []
    base = None
    if setup.has("capturedFiles"):
        captured = setup.node("capturedFiles")
        base = captured.text("fileBasePath", default="") or None
        for entry in captured.nodes("files"):
            key = "rawFileName" if entry.has("rawFileName") else "processedFileName"
            files.append(_last(entry.text(key)))
    return StudioSetup(
        device=setup.text("mmWaveDevice", default="") or None,
        hardware=setup.text("captureHardware", default="") or None,
        config=_last(setup.text("configUsed", default="")) or None,
        base_path=base,
        files=tuple(files),
    )


def _last(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]
