"""What `mmsar view` says of files with nothing, zeros, NaN or too much in them, flat and in 3-D: one line each."""

import h5py
import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import save_image
from mmsar.model import Image, ImageGrid
from mmsar.view import rendering

KINDS = ("mips", "slices", "iso", "volume")


def write(path, data: np.ndarray) -> str:
    save_image(Image(data=data, grid=ImageGrid(shape=data.shape, origin=(0, 0, 0.3), spacing=(1e-3,) * 3)), path)
    return str(path)


def reshape(path: str, shape: tuple[int, int, int]) -> str:
    """Give a file samples of another shape that nobody has written."""
    with h5py.File(path, "r+") as file:
        attributes = dict(file["data"].attrs)
        del file["data"]
        chunks = tuple(min(max(n, 1), 1000) for n in shape) if 0 not in shape else None
        file.create_dataset("data", shape, np.complex64, chunks=chunks).attrs.update(attributes)
        file["grid"].attrs["shape"] = shape
    return path


@pytest.fixture
def show(tmp_path, capsys):
    """Runs the command to a picture: exit code, what it said on stderr, and whether there is a picture."""
    if fault := rendering.rendering().fault:
        pytest.skip(f"cannot draw here: {fault}")

    def run(path: str, kind: str) -> tuple[int, str, bool]:
        picture = tmp_path / "picture.png"
        picture.unlink(missing_ok=True)
        code = main(["view", path, "--kind", kind, "--save", str(picture)])
        return code, capsys.readouterr().err, picture.exists()

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_are_drawn_and_told(show, tmp_path, kind) -> None:
    path = write(tmp_path / "zero.h5", np.zeros((3, 4, 5), np.complex64))
    line = f"mmsar view: {path}: zero everywhere, there is nothing to see\n"
    assert show(path, kind) == (0, line, True)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_nothing_and_too_much_are_refused(show, tmp_path, kind) -> None:
    ones = np.ones((3, 4, 5), np.float32)
    bad = write(tmp_path / "nan.h5", ones)
    with h5py.File(bad, "r+") as file:
        file["data"][1, 2, 3] = np.nan
    blank = tmp_path / "blank.h5"
    blank.touch()
    cases = {
        bad: "got NaN or infinite voxels, wanted finite numbers",
        reshape(write(tmp_path / "empty.h5", ones), (0, 4, 5)): "got 0, wanted a whole number >= 1",
        str(blank): "not an HDF5 file",
        reshape(write(tmp_path / "huge.h5", ones), (40_000,) * 3): "wanted fewer than 2^40 voxels",
    }
    for path, words in cases.items():
        code, said, drawn = show(path, kind)
        assert code == 3 and not drawn
        assert said.startswith("mmsar view: ") and path in said and words in said and said.count("\n") == 1


def test_more_than_fits_in_memory_is_one_line(show, tmp_path) -> None:
    path = reshape(write(tmp_path / "large.h5", np.ones((3, 4, 5), np.float32)), (8000, 8000, 8000))
    code, said, drawn = show(path, "psf")
    assert code == 3 and not drawn
    assert (
        said == f"mmsar view: {path}: /data: 8000 x 8000 x 8000 of complex64 do not fit in memory; make a smaller one\n"
    )


def test_without_pyvista_the_projections_are_written_and_exit_code_is_4(show, tmp_path, monkeypatch) -> None:
    path = write(tmp_path / "image.h5", np.ones((3, 4, 5), np.float32))
    monkeypatch.setattr(rendering, "find_spec", lambda name: None)
    rendering.start_rendering.cache_clear()
    code, said, drawn = show(path, "volume")
    rendering.start_rendering.cache_clear()
    assert code == 4 and drawn and said.count("\n") == 1
    assert "pip install 'mmsar[viz]'" in said and "has the projections instead" in said
