"""Reading a radar configuration: command lines (`.cfg`), `.mmwave.json` and pymmw's JSON, to a `RadarConfig`.

What the grammar means and its units: mmWave SDK demo guides; receivers, samples and lanes: TI SWRA581B. Whatever a
time-division scan cannot be made of (several waveforms in a frame, two transmitters at once, advanced or continuous
frames) is refused with the line and the reason. Whatever only the decoding of samples does not know (stream headers,
orders that nobody has documented) is an obstacle: refused too, unless `for_capture=False`, which is for checking.
"""

import re
from dataclasses import replace
from pathlib import Path

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.cfg_lines import config_from_lines
from mmsar.hardware.config.cfg_text import CfgText, read_text
from mmsar.hardware.config.json_values import parse_json
from mmsar.hardware.config.mmwave_json import config_from_mmwave
from mmsar.hardware.config.pymmw_json import is_pymmw, lines_of_pymmw
from mmsar.hardware.config.radar_config import LAYOUTS, UNKNOWN_LAYOUT, RadarConfig
from mmsar.hardware.device import DEVICES, Device
from mmsar.hardware.device import device as find_device

__all__ = ["LAYOUTS", "UNKNOWN_LAYOUT", "RadarConfig", "chips_named", "device_of", "parse_cfg", "read_cfg"]

_CHIP = re.compile(r"(?<![A-Za-z0-9])(?:[xXaAiI]WRL?(?:\d\d[xX]{2}|\d{3}X|\d{4})[A-Za-z_-]*|MMWCAS(?:-RF)?)(?![0-9])")


def parse_cfg(text: str, *, device: str, name: str = "configuration", for_capture: bool = True) -> RadarConfig:
    """The configuration in a text.

    Parameters
    ----------
    text : str
        Command lines or JSON; kept unchanged in the result.
    device : str
        Name of the chip or its board.
    name : str
        What messages call the text (a file name).
    for_capture : bool
        Whether to refuse a configuration whose samples could not be decoded.

    Raises
    ------
    FormatError
        A text that is no configuration, contradicts itself, or means something that mmsar does not support.
    GeometryError
        An unknown device.
    """
    chip = find_device(device)
    try:
        config = _config(text, chip, name)
    except GeometryError as error:
        raise FormatError(f"{name}: {error}") from None
    if for_capture and config.obstacles:
        raise FormatError(f"{name}: {config.obstacles[0]}")
    return config


def read_cfg(path: str | Path, *, device: str | None = None, for_capture: bool = True) -> RadarConfig:
    """The configuration in a file; see `parse_cfg`.

    Parameters
    ----------
    device : str or None
        Name of the chip; None: taken from the file's comments, where these name just one.

    Raises
    ------
    FormatError
        As `parse_cfg`, or a file that does not say which chip it is for.
    """
    text = read_text(path)
    if device is None:
        _check_kind(text, str(path))
        named = chips_named(text)
        if len(named) != 1:
            got = "no chip" if not named else f"the chips {', '.join(sorted(named))}"
            raise FormatError(f"{path}: got {got} named in its comments, wanted one; say --device xWR1843 (or yours)")
        (device,) = named
    return parse_cfg(text, device=device, name=str(path), for_capture=for_capture)


def _config(text: str, chip: Device, name: str) -> RadarConfig:
    kind = _check_kind(text, name)
    if kind == "mmwave":
        return config_from_mmwave(text, chip, name)
    if kind == "pymmw":
        lines = CfgText.parse(lines_of_pymmw(text, name))
        return replace(config_from_lines(lines, chip, f"{name} as command lines"), text=text)
    return config_from_lines(CfgText.parse(text), chip, name)


def _check_kind(text: str, name: str) -> str:
    """What a text is: "mmwave", "pymmw" (both JSON) or "lines"; FormatError for what is no configuration at all."""
    wanted = "wanted a radar configuration (.cfg or .mmwave.json)"
    if not text.lstrip().startswith("{"):
        if not CfgText.parse(text).commands:
            raise FormatError(f"{name}: got {'no command' if text.strip() else 'an empty file'}, {wanted}")
        return "lines"
    value = parse_json(text, name)
    if "mmWaveDevices" in value:
        return "mmwave"
    if is_pymmw(value):
        return "pymmw"
    what = f"JSON with {', '.join(list(value)[:3]) or 'nothing in it'}"
    what = "a DCA1000 configuration" if "DCA1000Config" in value else what
    raise FormatError(f"{name}: got {what}, {wanted}")


def device_of(text: str) -> str | None:
    """The chip that a text is certainly for, else None.

    Certain are: comments that name exactly one chip or board, known to mmsar; four radars in a `.mmwave.json`.
    """
    named = chips_named(text)
    return named.pop() if len(named) == 1 and named <= set(DEVICES) else None


def chips_named(text: str) -> set[str]:
    """The chips that the comments of a text name, known ones by their name here."""
    if text.lstrip().startswith("{"):
        radars = parse_json(text, "configuration").get("mmWaveDevices")
        return {"MMWCAS"} if isinstance(radars, list) and len(radars) == 4 else set()
    found = set()
    for _, comment in CfgText.parse(text).comments:
        for word in (match.strip("-_") for match in _CHIP.findall(comment)):
            try:
                found.add(find_device(word).name)
            except GeometryError:
                found.add(word)
    return found
