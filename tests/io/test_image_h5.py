"""Image files: round trips, history with version and scan digest, refusals."""

import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from mmsar import __version__
from mmsar.errors import FormatError
from mmsar.io.image_h5 import load_image, save_image, scan_digest
from mmsar.model import Image, ImageGrid

GRID = ImageGrid(shape=(2, 3, 4), origin=(-0.1, 0.2, 0.3), spacing=(1e-3, 2e-3, 3e-3))


def make_image(dtype: type = np.complex64) -> Image:
    rng = np.random.default_rng(1)
    data = rng.standard_normal(GRID.shape).astype(dtype)
    return Image(data=data, grid=GRID, history=({"step": "reconstruct", "method": "bpa", "version": "9"},))


@pytest.mark.parametrize("dtype", [np.complex64, np.float32])
def test_round_trip(tmp_path: Path, dtype: type) -> None:
    image = make_image(dtype)
    save_image(image, tmp_path / "i.h5")
    back = load_image(tmp_path / "i.h5")
    assert back.data.dtype == dtype and np.array_equal(back.data, image.data)
    assert back.grid == GRID and back.history == image.history


def test_history_names_version_and_scan(tmp_path: Path) -> None:
    (tmp_path / "scan.h5").write_bytes(b"x" * 3_000_000)
    digest = hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert scan_digest(tmp_path / "scan.h5") == digest
    save_image(Image(data=make_image().data, grid=GRID), tmp_path / "i.h5", scan_path=tmp_path / "scan.h5")
    assert load_image(tmp_path / "i.h5").history == (
        {"step": "source", "scan": "scan.h5", "sha256": digest},
        {"step": "save", "version": __version__},
    )
    with h5py.File(tmp_path / "i.h5") as file:
        assert file["data"].attrs["axes"] == "z,y,x" and file["data"].attrs["units"] == "1"
        assert file.attrs["mmsar_version"] == __version__


def test_nothing_is_left_when_saving_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        save_image(make_image(), tmp_path / "i.h5")
    assert list(tmp_path.iterdir()) == []


def edited(tmp_path: Path, change: object) -> str:
    path = tmp_path / "i.h5"
    save_image(make_image(), path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(FormatError) as caught:
        load_image(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals(tmp_path: Path) -> None:
    def poison(file: h5py.File) -> None:
        file["data"][1, 2, 3] = np.nan

    assert "NaN" in edited(tmp_path, poison)
    assert "/data: missing" in edited(tmp_path, lambda f: f.__delitem__("data"))
    assert "/grid: missing" in edited(tmp_path, lambda f: f.__delitem__("grid"))
    assert "got shape (2, 3, 4), wanted (z 2, y 3, x 5)" in edited(
        tmp_path, lambda f: f["grid"].attrs.modify("shape", [2, 3, 5])
    )
    assert "ImageGrid.spacing" in edited(tmp_path, lambda f: f["grid"].attrs.modify("spacing", [1, 1, 0]))
    assert "schema 2" in edited(tmp_path, lambda f: f.attrs.modify("mmsar_schema", 2))
    assert "of kind scan, wanted image" in edited(tmp_path, lambda f: f.attrs.modify("kind", "scan"))
    assert "JSON objects" in edited(tmp_path, lambda f: f.attrs.modify("history", "[1]"))
    path = tmp_path / "i.h5"
    save_image(make_image(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="truncated"):
        load_image(path)
