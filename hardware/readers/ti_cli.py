"""How DCA1000EVM_CLI_Record has rewritten the samples: what its cf.json says beside the radar's configuration.

A file of that tool is not laid out like the packets: with `reorderEnable` (on by default) word k of every group of
2 x lanes words goes to (k mod lanes) 2 + k div lanes, which puts I and Q of a sample together; `MSBToggle` inverts the
top bit. What the cf.json and the configuration both say has to agree. Source: TI DCA1000 CLI user guide 1.01.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mmsar.errors import FormatError
from mmsar.hardware.config.dca_json import DcaSettings
from mmsar.hardware.config.radar import RadarConfig
from mmsar.hardware.device import device
from mmsar.io.importers.iq_layout import REAL, REORDERED

_HEADED = re.compile(r".+_hdr_[0-9A-Fa-f]+_\d+\.bin", re.IGNORECASE)
_PLAIN = 'wanted "raw"; mmsar reads plain samples: record without headers'


def check_names(files: Iterable[Path]) -> None:
    """Raise FormatError for files that the tool has named after a header's number."""
    for path in files:
        if _HEADED.fullmatch(path.name):
            raise FormatError(f'{path.name}: got a file of the recorder\'s mode "multi" (split by headers), {_PLAIN}')


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How the words of a file lie."""

    layout: str
    """See `mmsar.io.importers.iq_layout`."""
    offset_binary: bool


def stored(settings: DcaSettings, config: RadarConfig, *, name: str = "cf.json") -> Stored:
    """The layout of a file that was recorded with these settings.

    Parameters
    ----------
    name : str
        What messages call the settings.

    Raises
    ------
    FormatError
        Settings that contradict the configuration, or whose layout nobody has documented.
    """
    config.require_capture()
    if settings.logging_mode == "multi":
        raise FormatError(f'{name}: dataLoggingMode: got "multi" (files _hdr_<id>_, split by headers), {_PLAIN}')
    chip, layout = device(config.device), config.layout
    if settings.format_bits != config.adc_bits:
        raise FormatError(
            f"{name}: dataFormatMode: got {settings.format_bits} bits, but the configuration says {config.adc_bits}; "
            "find out which one the radar was given"
        )
    if settings.lvds_lanes > chip.lanes:
        raise FormatError(
            f"{name}: lvdsMode: got {settings.lvds_lanes} lanes, but {chip.name} has {chip.lanes}; the settings or the "
            "configuration belong to another radar"
        )
    if settings.lvds_lanes < chip.lanes:
        if layout != "4lane":
            raise FormatError(
                f"{name}: lvdsMode: got {settings.lvds_lanes} of {chip.name}'s {chip.lanes} lanes with real samples, "
                f"wanted {chip.lanes}; their order is not documented"
            )
        layout = "2lane-interleaved"
    if settings.reordered:
        layout = _reordered(layout, config.n_rx, name)
    return Stored(layout=layout, offset_binary=settings.msb_toggle)


def _reordered(layout: str, n_rx: int, name: str) -> str:
    if layout == "2lane-interleaved" and n_rx > 2:
        return "4lane-iqiq"  # I0 I1 Q0 Q1 -> I0 Q0 I1 Q1, twice per instant
    if layout in REORDERED:
        return REORDERED[layout]
    kind = "real samples" if layout in REAL else f'samples in the layout "{layout}" of {n_rx} receivers'
    raise FormatError(
        f"{name}: reorderEnable: got 1 for {kind}, wanted 0; what the recorder does to them is not documented"
    )
