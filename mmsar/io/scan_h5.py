"""Scans as HDF5 files: whole or lazy reading, streaming and atomic writing (layout: `mmsar.io.schema`)."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mmsar.core.progress import progress
from mmsar.errors import FormatError, GeometryError
from mmsar.io.calibration_h5 import read_calibration, write_calibration
from mmsar.io.h5file import (
    attribute,
    create_h5,
    find_field,
    group,
    label,
    open_h5,
    read_field,
    read_json,
    write_field,
    write_json,
)
from mmsar.io.lazy import FileSignal
from mmsar.io.schema import CHIRP_UNITS, IQ_AXIS, RASTER_UNITS, SCAN_FIELDS, SIGNAL, Field
from mmsar.model import AntennaArray, Chirp, Raster, Scan, Trajectory
from mmsar.model.scan import check_signal

LAZY_ABOVE = 256 * 2**20
"""Signals larger than this [bytes as complex64] stay in their file unless asked for."""

BLOCK_BYTES = 16 * 2**20
CHUNK_BYTES = 2**20


class H5Signal(FileSignal):
    """The /signal of a scan file, read pose by pose; the file is opened for every read and never held open."""

    def __init__(self, path: Path, shape: tuple[int, int, int, int], int16_scale: float | None) -> None:
        super().__init__(shape, int16_scale)
        self.path = path
        self._stamp = _stamp(path)

    def _read(self, first: int, last: int) -> np.ndarray:
        try:
            if _stamp(self.path) != self._stamp:
                raise FormatError(f"{self.path}: changed since it was opened; load it again")
            with h5py.File(self.path, "r") as file:
                return _decode(file["signal"], first, last, self.int16_scale)
        except OSError as error:
            raise FormatError(f"{self.path}: /signal cannot be read any more ({error}); check the file") from error


def save_scan(scan: Scan, path: str | os.PathLike[str], *, raw_int16: bool | None = None) -> None:
    """Write a scan to `path` (.h5), block by block; the file appears only when it is complete.

    Parameters
    ----------
    scan : Scan
        Its signal may be lazy: memory stays bounded by a block of a few MiB.
    path : path
        An existing file of that name is replaced.
    raw_int16 : bool, optional
        True: store I and Q as int16 (half the size); False: complex64. Default: int16 when the signal is a lazy one
        that comes from int16 samples, else complex64.

    Raises
    ------
    FormatError
        The path cannot be written, the samples are not finite, or int16 was asked for and would lose precision.
    """
    scale = getattr(scan.signal, "int16_scale", None)
    as_int16 = scale is not None if raw_int16 is None else raw_int16
    with create_h5(path, "scan") as file:
        _write_description(scan, file)
        _write_signal(scan, file, (scale or 1.0) if as_int16 else None)


def load_scan(path: str | os.PathLike[str], *, lazy: bool | None = None) -> Scan:
    """Read a scan.

    Parameters
    ----------
    path : path
        A scan.h5 file.
    lazy : bool, optional
        True: the signal stays in the file and is read pose by pose; False: read it now. Default: lazy above 256 MiB.

    Raises
    ------
    FormatError
        Not an mmsar scan, truncated, of a newer schema, with missing or wrong parts, or not finite.
    """
    source = Path(path).absolute()
    with open_h5(source, "scan") as file:
        chirp_group = group(file, "chirp")
        chirp_values = {name: attribute(chirp_group, name) for name in CHIRP_UNITS}
        sizes = {"sample": chirp_values["n_samples"]}
        parts = {name: read_field(file, name, field, sizes) for name, field in SCAN_FIELDS.items()}
        signal_set, scale = _find_signal(file, sizes)
        shape = signal_set.shape[:4]
        try:
            whole = 8 * int(np.prod(shape)) <= LAZY_ABOVE if lazy is None else not lazy
            return Scan(
                signal=_read_whole(signal_set, scale, source) if whole else H5Signal(source, shape, scale),
                chirp=Chirp(**chirp_values),
                array=AntennaArray(
                    tx=parts["array/tx"],
                    rx=parts["array/rx"],
                    polarity=parts["array/polarity"],
                    name=attribute(group(file, "array"), "name"),
                ),
                trajectory=Trajectory(
                    time=parts["trajectory/time"],
                    position=parts["trajectory/position"],
                    rotation=parts["trajectory/rotation"],
                ),
                tx_delay=parts["tx_delay"],
                raster=_read_raster(file),
                valid=parts["valid"].astype(bool),
                calibration=read_calibration(file, sizes) if "calibration" in file else None,
                attrs=_read_attrs(file),
            )
        except GeometryError as error:
            raise FormatError(f"{source}: {error}") from error


def _write_description(scan: Scan, file: h5py.File) -> None:
    chirp = file.create_group("chirp")
    for name in CHIRP_UNITS:
        chirp.attrs[name] = getattr(scan.chirp, name)
    chirp.attrs["units"] = ",".join(CHIRP_UNITS.values())
    values = {
        "array/tx": scan.array.tx,
        "array/rx": scan.array.rx,
        "array/polarity": scan.array.polarity,
        "trajectory/time": scan.trajectory.time,
        "trajectory/position": scan.trajectory.position,
        "trajectory/rotation": scan.trajectory.rotation,
        "tx_delay": scan.tx_delay,
        "valid": scan.valid.astype(np.uint8),
    }
    for name, field in SCAN_FIELDS.items():
        write_field(file, name, field, values[name])
    file["array"].attrs["name"] = scan.array.name
    if scan.raster is not None:
        raster = file.create_group("raster")
        for name in RASTER_UNITS:
            raster.attrs[name] = getattr(scan.raster, name)
        raster.attrs["units"] = ",".join(RASTER_UNITS.values())
    if scan.calibration is not None:
        write_calibration(file, scan.calibration)
    write_json(file, "attrs", {key: value for key, value in scan.attrs.items() if key != "history"})
    write_json(file, "history", list(scan.attrs.get("history", ())))


def _write_signal(scan: Scan, file: h5py.File, scale: float | None) -> None:
    """Write /signal block by block, as int16 I, Q when a `scale` is given."""
    n_pose, *rest = scan.shape
    field, shape, dtype, item = SIGNAL, scan.shape, np.dtype(np.complex64), 8
    if scale is not None:
        field = Field((*SIGNAL.axes, IQ_AXIS), SIGNAL.units)
        shape, dtype, item = (*scan.shape, 2), np.dtype("<i2"), 4
    per_chunk = min(n_pose, max(1, CHUNK_BYTES // (item * int(np.prod(rest)))))
    dataset = file.create_dataset("signal", shape=shape, dtype=dtype, chunks=(per_chunk, *shape[1:]))
    label(dataset, field)
    if scale is not None:
        dataset.attrs["scale"] = float(scale)
    per_pose = 8 * int(np.prod(rest))
    block_bytes = max(per_pose, BLOCK_BYTES // (per_pose * per_chunk) * per_pose * per_chunk)
    blocks = scan.blocks(block_bytes)
    n_blocks = -(-n_pose // (block_bytes // per_pose))
    lazy = not isinstance(scan.signal, np.ndarray)
    for poses, block in progress(blocks, "writing", total=n_blocks, show=None if lazy else False):
        dataset[poses] = block if scale is None else _encode_int16(block, scale)


def _encode_int16(block: np.ndarray, scale: float) -> np.ndarray:
    """I and Q of `block` / `scale` as int16, (..., 2); refused unless they decode to the very same samples."""
    pairs = np.ascontiguousarray(block).view(np.float32).reshape(*block.shape, 2)
    whole = np.rint(pairs / np.float32(scale))
    if np.abs(whole).max() <= 32768 and whole.max() <= 32767:
        coded = whole.astype("<i2")
        if np.array_equal(coded * np.float32(scale), pairs):
            return coded
    raise FormatError(
        f"signal: its samples are not whole multiples of {scale:g} within int16, so int16 would lose precision; "
        "save with raw_int16=False"
    )


def _decode(dataset: h5py.Dataset, first: int, last: int, scale: float | None) -> np.ndarray:
    """Poses first .. last-1 of /signal as complex64, checked to be finite."""
    block = dataset[first:last]
    if scale is None:
        block = block.astype(np.complex64, copy=False)
        try:
            check_signal(block, first)
        except GeometryError as error:
            raise FormatError(f"{dataset.file.filename}: /signal: {error}") from error
        return block
    out = np.empty(block.shape[:-1], dtype=np.complex64)
    np.multiply(block, np.float32(scale), out=out.view(np.float32).reshape(block.shape), casting="unsafe")
    return out


def _read_whole(dataset: h5py.Dataset, scale: float | None, source: Path) -> np.ndarray:
    n_pose, *rest = dataset.shape[:4]
    out = np.empty((n_pose, *rest), dtype=np.complex64)
    step = max(1, BLOCK_BYTES // (8 * int(np.prod(rest))))
    for first in range(0, n_pose, step):
        try:
            out[first : first + step] = _decode(dataset, first, first + step, scale)
        except OSError as error:
            raise FormatError(f"{source}: /signal: cannot be read ({error}); the file is damaged") from error
    return out


def _find_signal(file: h5py.File, sizes: dict[str, int]) -> tuple[h5py.Dataset, float | None]:
    """The checked /signal and its int16 scale, or None when it is complex64."""
    stored = file.get("signal")
    if not isinstance(stored, h5py.Dataset) or stored.dtype.kind == "c":
        field = Field(SIGNAL.axes, SIGNAL.units, "c")
    else:
        field = Field((*SIGNAL.axes, IQ_AXIS), SIGNAL.units, "i")
    dataset = find_field(file, "signal", field, dict(sizes))
    where = f"{file.filename}: /signal"
    if dataset.dtype not in (np.complex64, np.int16):
        raise FormatError(f"{where}: got {dataset.dtype}, wanted complex64 or int16")
    if dataset.dtype.kind == "c":
        return dataset, None
    scale = attribute(dataset, "scale")
    if not isinstance(scale, float | int) or not np.isfinite(scale) or scale == 0:
        raise FormatError(f"{where}: got @scale {scale!r}, wanted a number other than 0")
    return dataset, float(scale)


def _read_raster(file: h5py.File) -> Raster | None:
    if "raster" not in file:
        return None
    raster = group(file, "raster")
    return Raster(**{name: attribute(raster, name) for name in RASTER_UNITS})


def _read_attrs(file: h5py.File) -> dict[str, Any]:
    attrs = read_json(file, "attrs", dict)
    history = read_json(file, "history", list)
    return {**attrs, "history": history} if history else attrs


def _stamp(path: Path) -> tuple[int, int]:
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns
