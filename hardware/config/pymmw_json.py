"""The JSON configurations of pymmw, read as the command lines that it would send.

pymmw fills in what is null from the board it finds (the masks of channelCfg above all); here nothing is filled in:
such a file is refused with the key to complete.
"""

from collections.abc import Mapping
from typing import Any

from mmsar.errors import FormatError
from mmsar.hardware.config.json_values import parse_json

ORDER = {
    "dfeDataOutputMode": ("type",),
    "channelCfg": ("rxMask", "txMask", "cascading"),
    "adcCfg": ("adcBits", "outputFormat"),
    "adcbufCfg": ("subframe", "outputFormat", "sampleSwap", "channelInterleave", "chirpThreshold"),
    "profileCfg": (
        "id startFreq idleTime adcStartTime rampEndTime txOutPower txPhaseShifter freqSlope txStartTime adcSamples "
        "sampleRate hpfCornerFreq1 hpfCornerFreq2 rxGain"
    ).split(),
    "chirpCfg": "startIndex endIndex profile startFreq freqSlope idleTime adcStartTime txMask".split(),
    "frameCfg": "startIndex endIndex loops frames periodicity trigger triggerDelay".split(),
    "lvdsStreamCfg": ("subframe", "enableHeader", "dataFormat", "enableSW"),
    "bpmCfg": ("subframe", "enabled", "chirp0Idx", "chirp1Idx"),
}
"""Values of a command in the order of the command line; others do not change the samples."""


def is_pymmw(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object looks like a configuration of pymmw."""
    return isinstance(value.get("profileCfg"), (dict, list))


def lines_of_pymmw(text: str, name: str) -> str:
    """The command lines that a pymmw configuration stands for; raises FormatError."""
    lines = []
    for command, values in parse_json(text, name).items():
        if command not in ORDER:
            continue
        for entry in values if isinstance(values, list) else [values]:
            lines.append(" ".join([command, *_words(command, entry, name)]))
    return "\n".join(lines) + "\n"


def _words(command: str, entry: Any, name: str) -> list[str]:
    if not isinstance(entry, dict):
        raise FormatError(f"{name}: {command}: got {entry!r}, wanted an object")
    flat = {k: v for k, v in entry.items() if not isinstance(v, dict)}
    for inner in (v for v in entry.values() if isinstance(v, dict)):
        flat.update(inner)
    known = ORDER[command]
    for key, value in flat.items():
        if key not in known:
            raise FormatError(f"{name}: {command}: got the key {key!r}, wanted only {', '.join(known)}")
        if value is None:
            raise FormatError(
                f"{name}: {command}.{key}: got null, wanted a number; pymmw fills it in from the board it finds, so "
                "write the number there"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise FormatError(f"{name}: {command}.{key}: got {value!r}, wanted a number")
    missing = [key for key in known if key not in flat and key != "subframe"]
    if missing:
        raise FormatError(f"{name}: {command}: got no {missing[0]}, wanted {', '.join(known)}")
    return [repr(flat[key]) for key in known if key in flat]
