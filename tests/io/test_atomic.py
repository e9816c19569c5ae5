"""Where files may be written: never over what they are made from."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import explain_error, main
from mmsar.errors import FormatError
from mmsar.io.atomic import DISK_ADVICE, atomic_path, check_target
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


def test_a_folder_that_takes_no_files_is_told_by_its_name(files: Path, capsys) -> None:
    """Nobody may make files in /proc; no temporary name is shown."""
    for target in ("/proc/x.npz", "/proc/x.h5"):
        with pytest.raises(FormatError, match=rf"{target}: its folder /proc cannot be written to \(no such file"):
            check_target(target)
    assert main("import raw.bin -d raw.toml -o /proc/x.h5".split()) == 3
    assert capsys.readouterr().err.startswith("mmsar import: /proc/x.h5: its folder /proc cannot be written to (")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_what_a_full_disk_says_has_the_name_of_the_file(tmp_path: Path, number: int) -> None:
    """The system does not name it, and a temporary name helps nobody."""
    with pytest.raises(OSError) as caught, atomic_path(tmp_path / "cube.npz") as part:
        part.write_bytes(b"half")
        raise OSError(number, os.strerror(number))
    message, code = explain_error(caught.value)
    assert message == f"{tmp_path}/cube.npz: {os.strerror(number).lower()}; {DISK_ADVICE[number]}" and code == 3
    with pytest.raises(FileNotFoundError, match=r"cube\.npz'$"), atomic_path(tmp_path / "cube.npz"):
        pass  # nothing was written
    with pytest.raises(OSError, match="other") as caught, atomic_path(tmp_path / "cube.npz"):
        raise OSError(number, "other", "source.bin")
    assert caught.value.filename == "source.bin"
    assert list(tmp_path.iterdir()) == []


def test_writing_beyond_a_limit_is_one_line(files: Path) -> None:
    """A real write that the system refuses, in a process with a limit on the size of files."""
    Path("big.txt").write_text("".join(f"{1e9 + i / 100:.2f} {i / 1000} 0 0 0 0 0 1\n" for i in range(2000)))
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); from mmsar.cli import main; "
    code += "sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-B", "-c", code, "hw", "poses", "big.txt", "--tum", "out.txt"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr == f"mmsar hw poses: out.txt: file too large; {DISK_ADVICE[errno.EFBIG]}\n"
    assert not Path("out.txt").exists() and not list(Path(".").glob(".*"))


def test_descriptions_with_a_byte_order_mark_and_endless_nesting(files: Path) -> None:
    Path("raw.toml").write_bytes(b"\xef\xbb\xbfformat = 'ti-raw'\r\n")
    assert load_description(None, Path("raw.bin")).tables == {"format": "ti-raw"}
    Path("raw.toml").write_text("a = " + "[" * 5000)
    with pytest.raises(FormatError, match="not valid TOML"):
        load_description(None, Path("raw.bin"))
