"""From command lines to values: the grammar of the SDK 2 to 4 demos, as far as it changes the samples.

Units of the text are GHz, us, MHz/us, ksps, ms; those of the result are SI.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from mmsar.errors import FormatError
from mmsar.hardware.config.cfg_text import CfgText, Command
from mmsar.hardware.config.finding import Finding
from mmsar.hardware.config.radar_config import UNKNOWN_LAYOUT, RadarConfig
from mmsar.hardware.device import Device

ARITY = {
    "dfeDataOutputMode": (1,),
    "channelCfg": (3,),
    "adcCfg": (2,),
    "adcbufCfg": (4, 5),
    "profileCfg": (14,),
    "chirpCfg": (8,),
    "frameCfg": (7, 8),
    "lvdsStreamCfg": (4,),
    "bpmCfg": (4,),
    "lowPower": (2,),
}
"""Numbers of values of the commands that are read; adcbufCfg and frameCfg differ between SDK versions."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

XWRL = ("chirpComnCfg", "chirpTimingCfg")
"""Commands of another line of radars, whose frameCfg means something else."""

FLUSHED = ("profileCfg", "chirpCfg", "frameCfg", "advFrameCfg", "subFrameCfg", "bpmCfg", "lvdsStreamCfg", "adcbufCfg")
"""What flushCfg takes back."""


ORDINALS = ("first", "second", "third", "fourth")


class Lines:
    """The commands of a text that are in force, and one wording for what is wrong with them."""

    def __init__(self, text: CfgText, name: str) -> None:
        self.name = name
        commands = text.commands
        flush = max((c.line_no for c in commands if c.name == "flushCfg"), default=0)
        self.commands = [c for c in commands if c.line_no > flush or c.name not in FLUSHED]
        for command in self.commands:
            if command.name in XWRL:
                raise self.error(
                    command, "a command of an xWRL radar", "profileCfg", "mmsar does not know these radars"
                )
            line = text.lines[command.line_no - 1]
            if "\t" in line:
                raise self.error(command, "a tab", "spaces", "the radar splits a line on spaces only")
            wanted = ARITY.get(command.name)
            if wanted and len(command.args) not in wanted:
                count = " or ".join(str(n) for n in wanted)
                raise self.error(command, f"{len(command.args)} values", count, "was it made for another SDK?")

    def error(self, command: Command, got: str, wanted: str, hint: str) -> FormatError:
        """The error for a command."""
        return FormatError(f"{self.name}, line {command.line_no}: {command.name}: got {got}, wanted {wanted}; {hint}")

    def all(self, name: str) -> list[Command]:
        """Every command of a name."""
        return [command for command in self.commands if command.name == name]

    def one(self, name: str, *, needed: bool = True) -> Command | None:
        """The one command of a name (repeats must agree)."""
        found = self.all(name)
        if not found:
            if not needed:
                return None
            for other in self.all("chirpComnCfg"):
                raise self.error(
                    other, "the commands of an xWRL radar", "profileCfg", "mmsar does not know these radars"
                )
            raise FormatError(f"{self.name}: got no {name}, wanted one; this is no complete configuration")
        for other in found[1:]:
            if other.args != found[0].args:
                raise self.error(other, "other values than on line " + str(found[0].line_no), "one", "keep one of them")
        return found[0]

    def number(self, command: Command, index: int, what: str) -> float:
        """Argument `index` as a finite number, written as the radar's C code reads it."""
        word = command.args[index]
        value = float(word) if _NUMBER.fullmatch(word) else math.nan
        if not math.isfinite(value):
            raise self.error(command, f"{word!r} for the {what}", "a number", "correct it")
        return value

    def whole(self, command: Command, index: int, what: str, *, low: int = 0, high: int | None = None) -> int:
        """Argument `index` as a whole number in a range; no exponent, which the radar would not read."""
        value = self.number(command, index, what)
        word = command.args[index]
        if value != int(value) or value < low or (high is not None and value > high) or "e" in word.lower():
            bounds = f"{low} or more" if high is None else f"{low} to {high}"
            raise self.error(command, f"{word} for the {what}", f"a whole number, {bounds}", "correct it")
        return int(value)


def config_from_lines(text: CfgText, chip: Device, name: str) -> RadarConfig:
    """The configuration in command lines; raises FormatError."""
    lines = Lines(text, name)
    _frame_mode(lines)
    rx, tx_mask = _channels(lines, chip)
    samples = _samples(lines, chip, len(rx))
    tx_order, profile_id, frame = _frame(lines, chip, tx_mask)
    profile = _profile(lines, profile_id)
    if len(lines.one("frameCfg").args) == 8:
        command = lines.one("frameCfg")
        if lines.whole(command, 4, "number of samples") != profile["n_samples"]:
            hint = "AWR2944: the fifth value repeats the samples of profileCfg"
            raise lines.error(command, f"{command.args[4]} samples", str(profile["n_samples"]), hint)
    obstacles = samples.pop("obstacles")
    if obstacles:
        samples["layout"] = UNKNOWN_LAYOUT
    obstacles += _stream(lines)
    return RadarConfig(
        device=chip.name,
        text=str(text),
        rx=rx,
        tx_order=tx_order,
        obstacles=tuple(obstacles),
        **frame,
        **profile,
        **samples,
    )


def scale(value: float, power: int) -> float:
    """value x 10^power, with no more digits than were written: 10 us are 1e-05 s, not 9.999999999999999e-06."""
    return float(Decimal(repr(value)).scaleb(power))


def _frame_mode(lines: Lines) -> None:
    mode = lines.one("dfeDataOutputMode", needed=False)
    kinds = {1: "frames", 2: "continuous", 3: "advanced frames"}
    if mode is not None:
        value = lines.whole(mode, 0, "mode", low=1, high=4)
        if value != 1:
            hint = "mmsar reads plain frames; write the scan as one frameCfg"
            raise lines.error(mode, f"{value} ({kinds.get(value, 'unknown')})", "1 (frames)", hint)
    for name in ("advFrameCfg", "subFrameCfg", "contModeCfg"):
        for command in lines.all(name):
            raise lines.error(command, "advanced or continuous frames", "frameCfg", "mmsar reads plain frames only")
    for command in lines.all("bpmCfg"):
        if lines.whole(command, 1, "switch") != 0:
            hint = "binary phase modulation sends two transmitters at once; mmsar reads time division"
            raise lines.error(command, "BPM on", "off (bpmCfg -1 0 0 1)", hint)


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(k for k in range(mask.bit_length()) if mask >> k & 1)


def _channels(lines: Lines, chip: Device) -> tuple[tuple[int, ...], int]:
    command = lines.one("channelCfg")
    rx = lines.whole(command, 0, "receiver mask", low=1, high=2**chip.n_rx - 1)
    tx = lines.whole(command, 1, "transmitter mask", low=1, high=2**chip.n_tx - 1)
    return _bits(rx), tx


def _samples(lines: Lines, chip: Device, n_rx: int) -> dict:
    adc, buffer = lines.one("adcCfg"), lines.one("adcbufCfg")
    bits = {0: 12, 1: 14, 2: 16}[lines.whole(adc, 0, "bits", high=2)]
    kind = lines.whole(adc, 1, "format", high=2)
    at = len(buffer.args) - 4
    if at and lines.whole(buffer, 0, "subframe", low=-1) > 0:
        raise lines.error(buffer, f"subframe {buffer.args[0]}", "-1 (all)", "mmsar reads plain frames only")
    real = lines.whole(buffer, at, "format", high=1)
    swap = lines.whole(buffer, at + 1, "sample swap", high=1)
    separate = lines.whole(buffer, at + 2, "interleave", high=1)
    threshold = lines.whole(buffer, at + 3, "chirp threshold")
    if real != (kind == 0):
        names = ("complex", "real")
        raise lines.error(buffer, names[real], f"{names[kind == 0]}, as adcCfg says", "make the two agree")
    where = {
        what: f"adcbufCfg (line {buffer.line_no}), {ORDINALS[at + k]} value"
        for k, what in enumerate(("format", "swap", "interleave"))
    }
    where["receivers"] = f"channelCfg (line {lines.one('channelCfg').line_no}), first value"
    layout, obstacles = sample_layout(
        chip, complex_samples=not real, swap=bool(swap), separate=bool(separate), n_rx=n_rx, where=where
    )
    return {
        "complex_samples": not real,
        "complex2x": kind == 2,
        "adc_bits": bits,
        "sample_swap": bool(swap),
        "chirp_threshold": max(threshold, 1),
        "layout": layout,
        "obstacles": obstacles,
    }


def sample_layout(
    chip: Device,
    *,
    complex_samples: bool,
    swap: bool,
    separate: bool,
    n_rx: int,
    where: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, list[Finding]]:
    """Name of the order of samples on the lanes of a chip, and why it is not known.

    `where` names the places that say "format", "swap", "interleave" and "receivers". Source: SWRA581B; the Q-first
    order of two lanes: the Demo Visualizer's configurations and the public xwr.
    """
    obstacles = []

    def unknown(what: str, got: str, allowed: str, why: str) -> None:
        limit = where.get(what, "sample order")
        obstacles.append(Finding(severity="error", limit=limit, got=got, allowed=allowed, explanation=why))

    if complex_samples and not chip.complex_ok:
        why = f"{chip.name} sends real samples only: adcCfg 2 0 and adcbufCfg -1 1 .."
        unknown("format", "complex samples (0)", "real ones (1)", why)
    if chip.interleaved == separate:
        one, other = ("interleaved (0)", "one after the other (1)")[:: 1 if chip.interleaved else -1]
        why = f"the other order over {chip.lanes} lanes is not documented for {chip.name}"
        unknown("interleave", f"receivers {other}", one, why)
    if chip.interleaved:
        if complex_samples and swap:
            unknown("swap", "Q before I (1)", "I before Q (0)", "Q first over four lanes is not documented")
        layout = "4lane" if complex_samples else "4lane-real"
        if chip.name == "MMWCAS":
            layout = "4lane-iqiq" if complex_samples else layout
    else:
        if n_rx == 3:
            unknown(
                "receivers",
                "3 receivers",
                "1, 2 or 4",
                f"two lanes ({chip.name}) cannot carry three; change channelCfg",
            )
        layout = ("2lane-qqii" if swap else "2lane-iiqq") if complex_samples else "real"
    return layout, obstacles


def _frame(lines: Lines, chip: Device, tx_mask: int) -> tuple[tuple[int, ...], int, dict]:
    command = lines.one("frameCfg")
    arity = 8 if chip.name == "xWR2944" else 7
    if len(command.args) != arity:
        why = "AWR2944 has the number of samples as the fifth, the others do not have it"
        raise lines.error(command, f"{len(command.args)} values", str(arity), why)
    shift = arity - 7
    first = lines.whole(command, 0, "first chirp")
    last = lines.whole(command, 1, "last chirp", low=first)
    chirps = _chirp_table(lines)
    order, profiles = [], set()
    for index in range(first, last + 1):
        if index not in chirps:
            raise lines.error(command, f"chirp {index} not defined", "a chirpCfg for every chirp", "add it")
        profile, mask, owner = chirps[index]
        profiles.add(profile)
        transmitters = _bits(mask)
        if mask & ~tx_mask:
            raise lines.error(owner, f"transmitters {mask}", f"some of channelCfg's {tx_mask}", "enable them there")
        if len(transmitters) != 1:
            why = "mmsar images time-division MIMO: one transmitter per chirp"
            raise lines.error(owner, f"{len(transmitters)} transmitters in chirp {index}", "one", why)
        order.append(transmitters[0])
    if len(profiles) > 1:
        why = "the chirps of a frame need one waveform"
        raise lines.error(command, f"profiles {sorted(profiles)} in one frame", "one profile", why)
    values = {
        "n_loops": lines.whole(command, 2, "number of loops", low=1),
        "n_frames": lines.whole(command, 3, "number of frames"),
        "frame_period": scale(_positive(lines, command, 4 + shift, "period"), -3),
        "trigger": {1: "software", 2: "hardware"}[lines.whole(command, 5 + shift, "trigger", low=1, high=2)],
        "trigger_delay": scale(lines.number(command, 6 + shift, "trigger delay"), -3),
    }
    return tuple(order), profiles.pop(), values


def _chirp_table(lines: Lines) -> dict[int, tuple[int, int, Command]]:
    table: dict[int, tuple[int, int, Command]] = {}
    for command in lines.all("chirpCfg"):
        first = lines.whole(command, 0, "first chirp", high=511)
        last = lines.whole(command, 1, "last chirp", low=first, high=511)
        for index, what in ((3, "start frequency"), (4, "slope"), (5, "idle time"), (6, "ADC start")):
            if lines.number(command, index, what) != 0:
                why = "the chirps of a frame need one waveform"
                raise lines.error(command, f"a change of {what} of {command.args[index]}", "0", why)
        entry = (lines.whole(command, 2, "profile"), lines.whole(command, 7, "transmitter mask"), command)
        for index in range(first, last + 1):
            if index in table:
                raise lines.error(command, f"chirp {index} again", "each once", f"see line {table[index][2].line_no}")
            table[index] = entry
    return table


def _profile(lines: Lines, wanted: int) -> dict:
    found = [c for c in lines.all("profileCfg") if lines.whole(c, 0, "profile number") == wanted]
    if not found:
        raise FormatError(f"{lines.name}: got no profileCfg {wanted}, wanted the one that chirpCfg uses; add it")
    command = found[0]
    if len(found) > 1:
        raise lines.error(found[1], f"profile {wanted} again", "each once", f"see line {command.line_no}")
    return {
        "start_frequency": scale(_positive(lines, command, 1, "start frequency"), 9),
        "idle": scale(_from_zero(lines, command, 2, "idle time"), -6),
        "adc_start": scale(_from_zero(lines, command, 3, "ADC start"), -6),
        "ramp_end": scale(_positive(lines, command, 4, "ramp end"), -6),
        "tx_backoff": lines.whole(command, 5, "power backoff"),
        "tx_phase": lines.whole(command, 6, "phase"),
        "slope": scale(_positive(lines, command, 7, "slope"), 12),
        "tx_start": scale(lines.number(command, 8, "TX start"), -6),
        "n_samples": lines.whole(command, 9, "number of samples", low=1),
        "fs": scale(_positive(lines, command, 10, "sample rate"), 3),
        "hpf": (lines.whole(command, 11, "first filter", high=3), lines.whole(command, 12, "second filter", high=3)),
        "rx_gain": lines.whole(command, 13, "gain"),
    }


def _positive(lines: Lines, command: Command, index: int, what: str) -> float:
    value = lines.number(command, index, what)
    if value <= 0:
        raise lines.error(command, f"{command.args[index]} for the {what}", "more than 0", "correct it")
    return value


def _from_zero(lines: Lines, command: Command, index: int, what: str) -> float:
    value = lines.number(command, index, what)
    if value < 0:
        raise lines.error(command, f"{command.args[index]} for the {what}", "0 or more", "correct it")
    return value


def _stream(lines: Lines) -> list[Finding]:
    command = lines.one("lvdsStreamCfg", needed=False)
    if command is None:
        return []
    lines.whole(command, 0, "subframe", low=-1)
    found = []

    def obstacle(got: str, allowed: str, why: str) -> None:
        limit = f"lvdsStreamCfg (line {command.line_no})"
        found.append(Finding(severity="error", limit=limit, got=got, allowed=allowed, explanation=why))

    if lines.whole(command, 1, "header", high=1):
        obstacle("headers on (1)", "off (0)", "mmsar reads plain samples; write lvdsStreamCfg -1 0 1 0")
    kind = lines.whole(command, 2, "data format")
    if kind == 0:
        obstacle("no samples (0)", "samples (1)", "the card would get nothing; write lvdsStreamCfg -1 0 1 0")
    elif kind != 1:
        obstacle(f"format {kind}", "samples only (1)", "other data would be mixed in; write lvdsStreamCfg -1 0 1 0")
    if lines.whole(command, 3, "software stream", high=1):
        obstacle("software data on (1)", "off (0)", "other data would be mixed in; write lvdsStreamCfg -1 0 1 0")
    return found
