"""Reading a radar configuration: command lines (`.cfg`), `.mmwave.json` and pymmw's JSON, to a `RadarConfig`.

What the grammar means and its units: mmWave SDK demo guides; receivers, samples and lanes: TI SWRA581B. Whatever a
time-division scan cannot be made of (several waveforms in a frame, two transmitters at once, advanced or continuous
frames) is refused with the line and the reason. Whatever only the decoding of samples does not know (stream headers,
orders that nobody has documented) is an obstacle: refused too, unless `for_capture=False`, which is for checking.
"""

import re
from pathlib import Path

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.config.cfg_lines import config_from_lines
from mmsar.hardware.config.cfg_text import CfgText, read_text
from mmsar.hardware.config.radar_config import LAYOUTS, UNKNOWN_LAYOUT, RadarConfig
from mmsar.hardware.device import device as find_device

__all__ = ["LAYOUTS", "UNKNOWN_LAYOUT", "RadarConfig", "device_of", "parse_cfg", "read_cfg"]

_CHIP = re.compile(r"(?<![A-Za-z0-9])(?:[xXaAiI]WR(?:\d\d[xX]{2}|\d{3}X|\d{4})[A-Za-z_-]*|MMWCAS(?:-RF)?)(?![0-9])")


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
        config = config_from_lines(CfgText.parse(text), chip, name)
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
        device = device_of(text)
    if device is None:
        raise FormatError(f"{path}: got no chip named in its comments, wanted one; say --device xWR1843 (or yours)")
    return parse_cfg(text, device=device, name=str(path), for_capture=for_capture)


def device_of(text: str) -> str | None:
    """The chip that the comments of a text name, when they name exactly one that is known; else None."""
    found = set()
    for _, comment in CfgText.parse(text).comments:
        for word in _CHIP.findall(comment):
            try:
                found.add(find_device(word.strip("-_")).name)
            except GeometryError:
                found.add(word)
    return found.pop() if len(found) == 1 else None
