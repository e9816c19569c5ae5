"""Exports: every format parsed back, with the right place for every voxel."""

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from mmsar.errors import FormatError
from mmsar.io import export
from mmsar.io.export import export_image
from mmsar.model import Image, ImageGrid

GRID = ImageGrid(shape=(2, 3, 4), origin=(-0.1, 0.2, 0.3), spacing=(1e-3, 2e-3, 3e-3))


def make_image(dtype: type = np.complex64) -> Image:
    parts = np.random.default_rng(1).standard_normal((2, *GRID.shape))
    data = parts[0] + 1j * parts[1] if dtype == np.complex64 else np.abs(parts[0])
    data[1, 2, 3] = 9
    data[0, 0, 0] = 0
    return Image(data=data.astype(dtype), grid=GRID, history=({"step": "reconstruct", "method": "bpa"},))


def read_vti(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """A strict reader of VTK XML ImageData with raw appended arrays: attributes, and arrays [z, y, x]."""
    content = path.read_bytes()
    marker = b'<AppendedData encoding="raw">'
    at = content.index(marker) + len(marker)
    start = content.index(b"_", at) + 1
    assert content[at : start - 1].strip() == b""
    end = content.rindex(b"</AppendedData>")
    root = ET.fromstring(content[: at - len(marker)] + b"</VTKFile>")
    assert root.attrib == {
        "type": "ImageData",
        "version": "1.0",
        "byte_order": "LittleEndian",
        "header_type": "UInt64",
    }
    grid = root.find("ImageData")
    piece = grid.find("Piece")
    assert piece.get("Extent") == grid.get("WholeExtent")
    low_high = list(map(int, grid.get("WholeExtent").split()))
    n_x, n_y, n_z = (high - low + 1 for low, high in zip(low_high[::2], low_high[1::2], strict=True))
    arrays, used = {}, 0
    for item in piece.find("PointData"):
        assert item.get("type") == "Float32" and item.get("format") == "appended"
        place = start + int(item.get("offset"))
        size = int(np.frombuffer(content, "<u8", 1, place)[0])
        assert size == 4 * n_x * n_y * n_z
        arrays[item.get("Name")] = np.frombuffer(content, "<f4", size // 4, place + 8).reshape(n_z, n_y, n_x)
        used = max(used, place + 8 + size)
    assert content[used:end].strip() == b""
    return {**grid.attrib, "scalars": piece.find("PointData").get("Scalars")}, arrays


@pytest.mark.parametrize("dtype", [np.complex64, np.float32])
def test_vti(tmp_path: Path, dtype: type) -> None:
    image = make_image(dtype)
    export_image(image, tmp_path / "i.vti")
    attributes, arrays = read_vti(tmp_path / "i.vti")
    assert tuple(map(float, attributes["Origin"].split())) == GRID.origin
    assert tuple(map(float, attributes["Spacing"].split())) == GRID.spacing
    assert attributes["WholeExtent"] == "0 3 0 2 0 1" and attributes["scalars"] in arrays
    assert np.allclose(arrays["magnitude"], image.magnitude(), rtol=1e-6)
    assert np.allclose(arrays["dB"], image.db(-100), atol=1e-4)
    assert arrays["dB"][1, 2, 3] == 0 and arrays["dB"][0, 0, 0] == -100
    if dtype == np.complex64:
        assert np.array_equal(arrays["real"] + 1j * arrays["imag"], image.data)
    else:
        assert set(arrays) == {"magnitude", "dB"}


def test_an_empty_image_in_db(tmp_path: Path) -> None:
    export_image(Image(data=np.zeros(GRID.shape, np.float32), grid=GRID), tmp_path / "i.vti")
    assert np.all(read_vti(tmp_path / "i.vti")[1]["dB"] == -100)


def test_npz_and_mat(tmp_path: Path) -> None:
    image = make_image()
    export_image(image, tmp_path / "i.npz")
    export_image(image, tmp_path / "i.MAT")
    with np.load(tmp_path / "i.npz", allow_pickle=False) as content:
        npz = {name: content[name] for name in content.files}
    mat = loadmat(tmp_path / "i.MAT", squeeze_me=True)
    for stored in (npz, mat):
        assert np.array_equal(stored["data"], image.data) and stored["data"].dtype == np.complex64
        for axis in "xyz":
            assert np.allclose(stored[axis], getattr(GRID, axis), atol=1e-12)
        assert np.allclose(stored["origin"], GRID.origin) and np.allclose(stored["spacing"], GRID.spacing)
        assert json.loads(str(stored["history"])) == [{"step": "reconstruct", "method": "bpa"}]


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FormatError, match=r"got ending '\.stl', wanted one of \.vti, \.npz, \.mat"):
        export_image(make_image(), tmp_path / "i.stl")
    with pytest.raises(FormatError, match="got ending 'none'"):
        export_image(make_image(), tmp_path / "image")
    monkeypatch.setattr(export, "MAT_LIMIT", 2 * 3 * 4 * 8)
    with pytest.raises(FormatError, match=r"limit of MATLAB v5.*crop the image, or export \.npz"):
        export_image(make_image(), tmp_path / "i.mat")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["i.vti", "i.npz", "i.mat"])
def test_nothing_is_left_when_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        export_image(make_image(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
