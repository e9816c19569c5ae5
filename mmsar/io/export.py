"""Images for other programs: .vti (ParaView, 3D Slicer), .npz (numpy), .mat (MATLAB v5).

Arrays are [z, y, x]; coordinates are in metres. A .vti file is VTK XML ImageData: x runs fastest, which is the memory
order of [z, y, x], and the values follow the header as raw little-endian float32, each array after its size (UInt64).
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path
from mmsar.model import Image

DB_FLOOR = -100.0
"""Lowest value of the dB array [dB]."""

MAT_LIMIT = 2**31
"""Largest variable of a MATLAB v5 file [bytes]."""


def export_image(image: Image, path: str | os.PathLike[str]) -> None:
    """Write an image in the format its name ends with: .vti, .npz or .mat. The file appears when it is complete.

    .vti has the point arrays `dB` (relative to the peak, not below -100), `magnitude`, and for complex images `real`
    and `imag`; .npz and .mat have `data` (z, y, x), `x`, `y`, `z`, `origin`, `spacing` (x, y, z) [m], `history`.

    Raises
    ------
    FormatError
        Another ending, a path that cannot be written, or an image too large for .mat (2 GB).
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise FormatError(f"{path}: got ending {suffix or 'none'!r}, wanted one of {', '.join(WRITERS)}")
    if suffix == ".mat" and image.data.nbytes >= MAT_LIMIT:
        raise FormatError(
            f"{path}: got {image.data.nbytes / 1e9:.1f} GB, wanted less than 2.1 GB (the limit of MATLAB v5 files); "
            "crop the image, or export .npz or .vti"
        )
    with atomic_path(path) as part, open(part, "wb") as file:
        WRITERS[suffix](image, file)


def _write_vti(image: Image, file: BinaryIO) -> None:
    n_z, n_y, n_x = image.grid.shape
    names = ["dB", "magnitude"] + (["real", "imag"] if np.iscomplexobj(image.data) else [])
    step = 4 * image.grid.n_voxels + 8
    extent = f"0 {n_x - 1} 0 {n_y - 1} 0 {n_z - 1}"
    arrays = "\n".join(
        f'        <DataArray type="Float32" Name="{name}" format="appended" offset="{i * step}"/>'
        for i, name in enumerate(names)
    )
    header = f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
  <ImageData WholeExtent="{extent}" Origin="{_numbers(image.grid.origin)}" Spacing="{_numbers(image.grid.spacing)}">
    <Piece Extent="{extent}">
      <PointData Scalars="dB">
{arrays}
      </PointData>
    </Piece>
  </ImageData>
  <AppendedData encoding="raw">
   _"""
    file.write(header.encode("ascii"))
    peak = max(float(np.abs(plane).max()) for plane in image.data)
    for name in names:
        file.write(np.uint64(step - 8).astype("<u8").tobytes())
        for plane in image.data:
            file.write(np.ascontiguousarray(_vti_values(name, plane, peak), dtype="<f4").tobytes())
    file.write(b"\n  </AppendedData>\n</VTKFile>\n")


def _vti_values(name: str, plane: np.ndarray, peak: float) -> np.ndarray:
    if name == "real":
        return plane.real
    if name == "imag":
        return plane.imag
    magnitude = np.abs(plane)
    if name == "magnitude":
        return magnitude
    relative = magnitude / np.float32(peak) if peak > 0 else np.zeros_like(magnitude)
    with np.errstate(divide="ignore"):
        return np.maximum(20 * np.log10(relative), np.float32(DB_FLOOR))


def _write_npz(image: Image, file: BinaryIO) -> None:
    np.savez(file, **_variables(image))


def _write_mat(image: Image, file: BinaryIO) -> None:
    from scipy.io import savemat

    savemat(file, _variables(image), format="5", oned_as="column")


def _variables(image: Image) -> dict[str, np.ndarray | str]:
    grid = image.grid
    return {
        "data": image.data,
        "x": grid.x,
        "y": grid.y,
        "z": grid.z,
        "origin": np.array(grid.origin),
        "spacing": np.array(grid.spacing),
        "history": json.dumps(list(image.history), default=str),
    }


def _numbers(values: tuple[float, float, float]) -> str:
    return " ".join(repr(float(value)) for value in values)


WRITERS: dict[str, Callable[[Image, BinaryIO], None]] = {".vti": _write_vti, ".npz": _write_npz, ".mat": _write_mat}
"""Ending of the name -> its writer."""
