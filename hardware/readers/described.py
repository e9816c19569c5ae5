"""From a radar's configuration to the tables of a description, so that waveform, layout and antennas need not be typed.

What is typed all the same has to agree with the configuration: a disagreement is explained with both numbers, and with
what the size of the files would mean under each. Only [capture] frames_per_file may differ, since a capture may be
stopped early.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.errors import GeometryError
from mmsar.hardware.board import board
from mmsar.hardware.config.radar import RadarConfig
from mmsar.hardware.readers.ti_cli import Stored
from mmsar.io.importers.description import Description
from mmsar.io.importers.geometry import BOARDS
from mmsar.io.importers.iq_layout import frame_bytes

SAME = 1e-6
"""Relative difference of numbers that agree: people round them."""


def fill(
    description: Description,
    config: RadarConfig,
    stored: Stored,
    *,
    name: str,
    files: tuple[Path, ...] = (),
) -> Description:
    """A description with the waveform, layout and antennas of a configuration.

    Parameters
    ----------
    stored : Stored
        How the words lie in the files.
    name : str
        What messages call the configuration.
    files : tuple of Path
        The files of the capture: their size helps to explain a disagreement.

    Raises
    ------
    FormatError
        A key that disagrees with the configuration; a board that cannot be used.
    """
    tables = {key: dict(value) if isinstance(value, Mapping) else value for key, value in description.tables.items()}
    tables.setdefault("format", "ti-raw")
    wanted = {"waveform": _waveform(config), "capture": _capture(config, stored)}
    quarrels = []
    for table, values in wanted.items():
        given = tables.setdefault(table, {})
        for key, value in values.items():
            if key not in given:
                given[key] = value
            elif key != "frames_per_file" and not _agree(given[key], value):
                quarrels.append((table, key, given[key], value))
    if quarrels:
        raise description.error(_explain(quarrels, config, stored, name, files))
    for key in ("config", "device", "cf_json", "port", "source_ip"):
        tables["capture"].pop(key, None)
    if "array" in tables:
        tables["array"] = _array(description, tables["array"], config, name)
    typed = "frames_per_file" in description.tables.get("capture", {})
    return replace(description, tables=tables, told="" if typed or not config.n_frames else name)


def _waveform(config: RadarConfig) -> dict[str, Any]:
    return {
        "start_ghz": _plain(config.start_frequency, 1e9),
        "slope_mhz_us": _plain(config.slope, 1e12),
        "adc_start_us": _plain(config.adc_start, 1e-6),
        "sample_rate_ksps": _plain(config.fs, 1e3),
        "samples": config.n_samples,
        "idle_us": _plain(config.idle, 1e-6),
        "ramp_end_us": _plain(config.ramp_end, 1e-6),
        "frame_period_ms": _plain(config.frame_period, 1e-3),
    }


def _plain(value: float, unit: float) -> float:
    """The value in a unit, without the digits that the division adds."""
    return float(f"{value / unit:.14g}")


def _capture(config: RadarConfig, stored: Stored) -> dict[str, Any]:
    values: dict[str, Any] = {
        "layout": stored.layout,
        "rx": config.n_rx,
        "tx": config.n_tx,
        "chirps_per_frame": config.chirps_per_frame,
        "bits": config.adc_bits,
    }
    if stored.offset_binary:
        values["offset_binary"] = True
    if config.n_frames:
        values["frames_per_file"] = config.n_frames
    return values


def _agree(given: Any, value: Any) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (given, value))
    return isclose(given, value, rel_tol=SAME, abs_tol=1e-12) if numbers else given == value


def _explain(
    quarrels: list[tuple[str, str, Any, Any]], config: RadarConfig, stored: Stored, name: str, files: tuple[Path, ...]
) -> str:
    text = ", and ".join(
        f"[{table}] {key}: got {got!r}, but {name} says {says!r}" for table, key, got, says in quarrels
    )
    size = sum(file.stat().st_size for file in files)
    shape = {"chirps": config.chirps_per_frame, "samples": config.n_samples, "rx": config.n_rx}
    names = {"chirps_per_frame": "chirps", "samples": "samples", "rx": "rx"}
    changes = {names[key]: got for _, key, got, _ in quarrels if key in names and isinstance(got, int) and got > 0}
    if size and changes:
        label = files[0].name if len(files) == 1 else f"{len(files)} files"
        text += f"; {label} of {size} bytes: {_made(size, stored, shape)} as {name} says, "
        text += f"{_made(size, stored, {**shape, **changes})} as the description says"
    return f"{text}; correct the wrong one"


def _made(size: int, stored: Stored, shape: dict[str, int]) -> str:
    unit = frame_bytes(stored.layout, **shape)
    return f"{size / unit:g} frames of {shape['chirps']} chirps x {shape['samples']} samples x {shape['rx']} RX"


def _array(description: Description, given: dict[str, Any], config: RadarConfig, name: str) -> dict[str, Any]:
    """[array] with the places of the board's elements in the order of the samples."""
    if "board" not in given:
        return given
    for key, says in (("use_tx", config.tx_order), ("use_rx", config.rx)):
        numbers = [index + 1 for index in says]
        if key in given and list(given[key]) != numbers:
            raise description.error(
                f"[array] {key}: got {list(given[key])}, but {name} says {numbers} in order of firing; leave it out"
                if key == "use_tx"
                else f"[array] {key}: got {list(given[key])}, but {name} enables {numbers}; leave it out"
            )
    kept = {key: value for key, value in given.items() if key not in ("board", "use_tx", "use_rx", "tx_rx_gap_mm")}
    gap = given.get("tx_rx_gap_mm")
    try:
        known = board(_beside(description, given["board"]), tx_rx_gap=None if gap is None else np.multiply(gap, 1e-3))
        array = config.array(known)
    except GeometryError as error:
        if given["board"] in BOARDS and gap is None:
            return {**kept, "board": given["board"], **_numbers(config)}
        hint = "; here: [array] tx_rx_gap_mm = [x, y, z]" if "tx_rx_gap" in str(error) else ""
        raise description.error(f"[array] board: {error}{hint}") from None
    return {
        "tx_mm": (array.tx * 1e3).tolist(),
        "rx_mm": (array.rx * 1e3).tolist(),
        "polarity": array.polarity.tolist(),
        "name": array.name,
        **kept,
    }


def _beside(description: Description, name: str) -> str | Path:
    """A board file beside the data, or the name of a known board."""
    path = description.folder / name
    return path if name.lower().endswith(".json") and path.is_file() else name


def _numbers(config: RadarConfig) -> dict[str, list[int]]:
    return {"use_tx": [t + 1 for t in config.tx_order], "use_rx": [r + 1 for r in config.rx]}
