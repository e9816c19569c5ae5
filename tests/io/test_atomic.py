"""Where files may be written: never over what they are made from."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.errors import FormatError
from mmsar.io.atomic import check_target
from mmsar.io.importers.description import load_description

LOG = "".join(f"{1e9 + i / 100:.2f} {i / 1000} 0 0 0 0 0 1\n" for i in range(20))


def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    raw, link = tmp_path / "raw.bin", tmp_path / "link.bin"
    raw.write_bytes(b"samples")
    link.symlink_to(raw)
    for target in (raw, link, tmp_path / "." / "raw.bin"):
        with pytest.raises(FormatError, match=r"got the file that is read, wanted another name to write"):
            check_target(target, sources=(None, tmp_path / "none.toml", raw))
    assert check_target(tmp_path / "new.h5", sources=(raw,)) == tmp_path / "new.h5"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A capture, its description, and a position log."""
    monkeypatch.chdir(tmp_path)
    np.zeros(4 * 8 * 8, "<i2").tofile("raw.bin")
    Path("raw.toml").write_text("format = 'ti-raw'\n")
    Path("log.txt").write_text(LOG)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "lost"),
    [
        ("import raw.bin -d raw.toml -o raw.bin", "raw.bin"),
        ("import raw.bin -d raw.toml -o raw.toml", "raw.toml"),
        ("hw poses log.txt --tum log.txt", "log.txt"),
        ("calibrate scan.h5 --apply cal.h5 -o scan.h5", "scan.h5"),
        ("calibrate scan.h5 --apply cal.h5 -o cal.h5", "cal.h5"),
        ("calibrate scan.h5 --import cal.mat -o cal.mat", "cal.mat"),
        ("reconstruct scan.h5 -o scan.h5", "scan.h5"),
        ("export image.png image.png", "image.png"),
        ("simulate raw.toml -o raw.toml", "raw.toml"),
        ("capture sessions/raster.toml -o sessions/raster.toml", "sessions/raster.toml"),
    ],
)
def test_no_verb_writes_over_its_input(files: Path, capsys, command: str, lost: str) -> None:
    shutil.copytree(Path(__file__).parents[2] / "data" / "sessions", "sessions")
    for name in ("scan.h5", "cal.h5", "cal.mat", "image.png"):
        shutil.copyfile("raw.bin", name)
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    assert main(command.split()) == 3
    assert f"{lost}: got the file that is read" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before


def test_descriptions_with_a_byte_order_mark_and_endless_nesting(files: Path) -> None:
    Path("raw.toml").write_bytes(b"\xef\xbb\xbfformat = 'ti-raw'\r\n")
    assert load_description(None, Path("raw.bin")).tables == {"format": "ti-raw"}
    Path("raw.toml").write_text("a = " + "[" * 5000)
    with pytest.raises(FormatError, match="not valid TOML"):
        load_description(None, Path("raw.bin"))
