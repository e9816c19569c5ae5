"""Calibrations as HDF5: files of their own, and the /calibration group of scans (layout: `mmsar.io.schema`).

A calibration outlives the scan it was fitted on, so it has its own file; a scan that carries one that is not applied
yet keeps it in the same layout.
"""

import os
from pathlib import Path

import h5py

from mmsar.errors import FormatError, GeometryError
from mmsar.io.h5file import attribute, create_h5, group, open_h5, read_field, read_json, write_field, write_json
from mmsar.io.schema import CALIBRATION_DELAY, CALIBRATION_GAIN
from mmsar.model.calibration import Calibration


def save_calibration(calibration: Calibration, path: str | os.PathLike[str]) -> None:
    """Write a calibration to `path` (.h5); the file appears only when it is complete.

    Raises
    ------
    FormatError
        The path cannot be written, or the notes are not plain JSON values.
    """
    with create_h5(path, "calibration") as file:
        write_calibration(file, calibration)


def load_calibration(path: str | os.PathLike[str]) -> Calibration:
    """Read a calibration.

    Raises
    ------
    FormatError
        Not an mmsar calibration file, of a newer schema, or with missing or wrong parts.
    """
    source = Path(path)
    with open_h5(source, "calibration") as file:
        try:
            return read_calibration(file, {})
        except GeometryError as error:
            raise FormatError(f"{source}: {error}") from error


def write_calibration(file: h5py.File, calibration: Calibration) -> None:
    """Write the /calibration group of an open file."""
    write_field(file, "calibration/gain", CALIBRATION_GAIN, calibration.gain)
    parts = file["calibration"]
    parts.attrs["range_bias"], parts.attrs["units"] = calibration.range_bias, "m"
    parts.attrs["source"] = calibration.source
    if calibration.residual is not None:
        parts.attrs["residual"] = calibration.residual
    if calibration.delay is not None:
        write_field(file, "calibration/delay", CALIBRATION_DELAY, calibration.delay)
        file["calibration/delay"].attrs["frequency"] = calibration.delay_frequency
    if calibration.attrs:
        write_json(parts, "attrs", dict(calibration.attrs))


def read_calibration(file: h5py.File, sizes: dict[str, int]) -> Calibration:
    """Read the /calibration group of an open file; `sizes` are the lengths of the axes known so far, by name.

    Raises
    ------
    FormatError
        Missing or wrong parts.
    GeometryError
        Values a calibration cannot have.
    """
    parts = group(file, "calibration")
    gain = read_field(file, "calibration/gain", CALIBRATION_GAIN, sizes)
    delay = frequency = None
    if "delay" in parts:
        delay = read_field(file, "calibration/delay", CALIBRATION_DELAY, sizes)
        frequency = attribute(parts["delay"], "frequency")
    return Calibration(
        gain=gain,
        range_bias=attribute(parts, "range_bias"),
        source=attribute(parts, "source"),
        residual=attribute(parts, "residual") if "residual" in parts.attrs else None,
        delay=delay,
        delay_frequency=frequency,
        attrs=read_json(parts, "attrs", dict),
    )
