"""The description of foreign data: a small TOML file (or the same as a dictionary), checked key by key.

Tables: [waveform] what was sent, [array] the antennas, [scan] where the board was, [calibration] what the
instrument adds, and [capture] (format "ti-raw") or [data] (formats "mat" and "npz") how the samples lie in the file.
Units are part of the key: `start_ghz`, `x_step_mm`. Unknown keys are refused, with the nearest known one.
Files named in a description (`positions`, `angle_log`, `divide_by.file`) are looked for beside the data. A radar that
stood still has `motion = "none"` in [scan] and no steps; a turntable has the keys of `mmsar.io.importers.turntable`.
Bytes of a capture that are no samples (padding of a recorder) have to be named: `skip_bytes` before the first frame,
`ignore_bytes` after the last.

The keys `config`, `device`, `cf_json`, `compare`, `port`, `source_ip` of [capture], `tx_rx_gap_mm` and most names of
boards are those of `mmsar.hardware.readers`, which takes waveform and layout from the radar's own configuration.

    format = "ti-raw"
    [waveform]
    start_ghz = 77.0
    slope_mhz_us = 63.343
    adc_start_us = 6.0
    sample_rate_ksps = 9121
    samples = 512
    [capture]
    layout = "4lane"            # see mmsar.io.importers.iq_layout
    rx = 4
    frames_per_file = 400
    [scan]
    x_step_mm = 0.725
    y_step_mm = 2.05
    direction = "forward"       # or backward, serpentine
    first_row = "top"           # or bottom
    [array]
    board = "iwr1443"           # or tx_mm = [[0, 0, 0]] and rx_mm = [[2, 0, 0], ...]
    [calibration]
    range_bias_mm = 67.8
"""

import difflib
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsar.errors import FormatError
from mmsar.io.importers.iq_layout import LAYOUTS

BEYOND = "mmsar.hardware.readers.import_recording (the command mmsar import uses it)"
"""What reads the keys that go beyond this importer."""
FORMATS = ("ti-raw", "mat", "npz")
AXES = ("pose", "y", "x", "angle", "tx", "rx", "channel", "sample", "iq")

NUMBER, POSITIVE, COUNT, WHOLE, TEXT, FLAG, NUMBERS, POINTS, TABLE, TEXTS = (
    "a number",
    "a number above 0",
    "a whole number >= 1",
    "a whole number >= 0",
    "a text",
    "true or false",
    "a list of numbers (or of lists of numbers)",
    "a list of [x, y, z]",
    "a table",
    "a list of texts",
)

KEYS: dict[str, dict[str, str | tuple[str, ...]]] = {
    "": {"format": FORMATS, "name": TEXT, "note": TEXT},
    "waveform": {
        "start_ghz": POSITIVE,
        "slope_mhz_us": POSITIVE,
        "adc_start_us": NUMBER,
        "sample_rate_ksps": POSITIVE,
        "samples": COUNT,
        "stop_ghz": POSITIVE,
        "step_mhz": POSITIVE,
        "idle_us": NUMBER,
        "ramp_end_us": POSITIVE,
        "frame_period_ms": POSITIVE,
        "sign": ("positive", "negative"),
    },
    "capture": {
        "layout": LAYOUTS,
        "rx": COUNT,
        "tx": COUNT,
        "files": ("rows", "split"),
        "pattern": TEXT,
        "frames_per_file": COUNT,
        "chirps_per_frame": COUNT,
        "loops": ("average", "poses"),
        "offset_binary": FLAG,
        "bits": COUNT,
        "skip_bytes": WHOLE,
        "ignore_bytes": WHOLE,
        "config": TEXT,
        "device": TEXT,
        "cf_json": TEXT,
        "compare": TEXTS,
        "port": COUNT,
        "source_ip": TEXT,
    },
    "data": {
        "variable": TEXT,
        "axes": f"a list out of {', '.join(AXES)}",
        "background": ("none", "mean"),
        "divide_by": TABLE,
    },
    "divide_by": {"file": TEXT, "variable": TEXT, "stride": COUNT, "offset": WHOLE, "power": COUNT},
    "scan": {
        "n_x": COUNT,
        "n_y": COUNT,
        "x_step_mm": POSITIVE,
        "y_step_mm": POSITIVE,
        "direction": ("forward", "backward", "serpentine", "ccw", "cw"),
        "first_row": ("top", "bottom"),
        "motion": ("continuous", "step", "none"),
        "z_mm": NUMBER,
        "positions": TEXT,
        "x_variable": TEXT,
        "y_variable": TEXT,
        "z_variable": TEXT,
        "position_unit": ("m", "cm", "mm"),
        "flip_x": FLAG,
        "flip_y": FLAG,
        "radius_mm": POSITIVE,
        "far_field": FLAG,
        "start_deg": NUMBER,
        "step_deg": POSITIVE,
        "span_deg": POSITIVE,
        "angles_deg": NUMBERS,
        "angle_list": TEXT,
        "angle_log": TEXT,
        "log_offset_ms": NUMBER,
        "heights_mm": NUMBERS,
        "serpentine": FLAG,
    },
    "array": {
        "board": TEXT,
        "tx_rx_gap_mm": NUMBERS,
        "use_tx": NUMBERS,
        "use_rx": NUMBERS,
        "tx_mm": POINTS,
        "rx_mm": POINTS,
        "polarity": NUMBERS,
        "rotation_deg": NUMBER,
        "name": TEXT,
    },
    "calibration": {
        "range_bias_mm": NUMBER,
        "delay_ns": NUMBER,
        "gain": NUMBERS,
        "phase_deg": NUMBERS,
        "source": TEXT,
    },
}
"""Every key of every table and what it has to be."""

TABLES = {
    "ti-raw": ("waveform", "capture", "scan", "array", "calibration"),
    "mat": ("waveform", "data", "scan", "array", "calibration"),
    "npz": ("waveform", "data", "scan", "array", "calibration"),
}


@dataclass(frozen=True)
class Description:
    """A description: `get` and `need` look up one key of one table."""

    tables: dict[str, Any]
    """The description as it was given."""
    where: str
    """Its name, for messages."""
    folder: Path
    """Where the files it names are looked for: the folder of the data."""
    told: str = ""
    """What filled in frames_per_file, for messages; empty: it was typed."""

    @property
    def format(self) -> str:
        """ti-raw, mat or npz."""
        return self.tables["format"]

    def get(self, table: str, key: str, default: Any = None) -> Any:
        """The value of `table.key`, or `default`."""
        if key not in KEYS[table]:
            raise KeyError(f"{table}.{key}")
        return self.tables.get(table, {}).get(key, default)

    def need(self, table: str, key: str, why: str = "") -> Any:
        """The value of `table.key`; refused when it is not there."""
        value = self.get(table, key)
        if value is None:
            wanted = KEYS[table][key]
            text = wanted if isinstance(wanted, str) else f"one of {', '.join(wanted)}"
            raise self.error(f"[{table}] {key}: missing, wanted {text}{f' ({why})' if why else ''}")
        return value

    def file(self, name: str) -> Path:
        """The path of a file named in the description, relative to the folder of the data.

        Raises
        ------
        FormatError
            When it is not there.
        """
        path = self.folder / name
        if not path.is_file():
            raise self.error(f"{name}: no such file beside the data (looked for {path}); put it there or give its path")
        return path

    def error(self, text: str) -> FormatError:
        """A FormatError that names the description."""
        return FormatError(f"{self.where}: {text}")


def read_description(source: str | os.PathLike[str] | Mapping[str, Any] | None, data: Path) -> Description:
    """Read and check a description.

    Parameters
    ----------
    source : path, mapping or None
        A TOML file, its content, or None: <data>.toml beside a file, scan.toml inside a folder.
    data : Path
        The data it belongs to.

    Raises
    ------
    FormatError
        Not there, not TOML, an unknown table or key (with the nearest known one), or a value of the wrong kind.
    """
    return checked(load_description(source, data))


def load_description(source: str | os.PathLike[str] | Mapping[str, Any] | None, data: Path) -> Description:
    """`read_description` without the check of tables and keys."""
    folder = data if data.is_dir() else data.parent
    if isinstance(source, Mapping):
        tables, where = dict(source), "description"
    else:
        path = (
            Path(source) if source is not None else (data / "scan.toml" if data.is_dir() else data.with_suffix(".toml"))
        )
        if not path.is_file():
            hint = "" if source is not None else f"{data}: raw data does not describe itself; "
            raise FormatError(f"{hint}{path}: no such description; write one (TOML) and name it with --description")
        where = path.name
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(f"{where}: not valid TOML: {error}") from error
    return Description(tables=tables, where=where, folder=folder)


def checked(description: Description) -> Description:
    """The description itself when all its tables and keys are known and of the right kind; raises FormatError."""
    _check_tables(description)
    return description


def _check_tables(description: Description) -> None:
    tables = description.tables
    top = {key: value for key, value in tables.items() if key not in KEYS or key == ""}
    _check_keys(description, "", top, extra=[table for table in KEYS if table not in ("", "divide_by")])
    if "format" not in tables:
        raise description.error(f"format: missing, wanted one of {', '.join(FORMATS)}")
    for name, table in tables.items():
        if name not in KEYS:
            continue
        if name not in TABLES[tables["format"]]:
            raise description.error(f'[{name}]: does not belong to format "{tables["format"]}"; remove it')
        if not isinstance(table, Mapping):
            raise description.error(f"[{name}]: got {table!r}, wanted a table")
        _check_keys(description, name, table)
    divide_by = tables.get("data", {}).get("divide_by")
    if divide_by is not None:
        _check_keys(description, "divide_by", divide_by)


def _check_keys(description: Description, name: str, table: Mapping[str, Any], extra: list[str] | None = None) -> None:
    label = f"[{name}] " if name else ""
    for key, value in table.items():
        wanted = KEYS[name].get(key)
        if wanted is None:
            known = [*KEYS[name], *(extra or [])]
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            home = next((t for t in TABLES[description.tables.get("format", "ti-raw")] if key in KEYS[t]), None)
            if near:
                advice = f"did you mean {near[0]}?"
            elif home:
                advice = f"it belongs to [{home}]"
            else:
                advice = f"known are {', '.join(known)}"
            raise description.error(f"{label}{key}: unknown key; {advice}")
        if not _fits(value, wanted):
            text = wanted if isinstance(wanted, str) else f"one of {', '.join(wanted)}"
            raise description.error(f"{label}{key}: got {value!r}, wanted {text}")


def _fits(value: Any, wanted: str | tuple[str, ...]) -> bool:
    if isinstance(wanted, tuple):
        return value in wanted
    if wanted in (NUMBER, POSITIVE):
        return _is_number(value) and (wanted == NUMBER or value > 0)
    if wanted in (COUNT, WHOLE):
        return isinstance(value, int) and not isinstance(value, bool) and value >= (wanted == COUNT)
    if wanted == TEXT:
        return isinstance(value, str) and bool(value)
    if wanted == FLAG:
        return isinstance(value, bool)
    if wanted == TABLE:
        return isinstance(value, Mapping)
    if not isinstance(value, list | tuple) or not value:
        return False
    if wanted == NUMBERS:
        return all(_is_number(v) or (isinstance(v, list | tuple) and all(map(_is_number, v))) for v in value)
    if wanted == TEXTS:
        return all(isinstance(v, str) and v for v in value)
    if wanted == POINTS:
        return all(isinstance(v, list | tuple) and len(v) == 3 and all(map(_is_number, v)) for v in value)
    return all(v in AXES for v in value) and len(set(value)) == len(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
