"""`mmsar reconstruct` in tiles: killed and taken up, out of disk, cancelled, several scans, and what is refused."""

import errno
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import load_image
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import AntennaArray, Chirp, Trajectory

BOX = ["--extent=-20,20,-24,16,230,270", "--spacing", "4,4,2", "--method", "rma"]
KILLED = """
import os, signal, sys
from mmsar.cli import main
from mmsar.io import tile_store
real, calls = os.fsync, []
def fsync(file):
    calls.append(file)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    real(file)
tile_store.os.fsync = fsync
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def scan():
    from mmsar.simulate.forward import simulate
    from mmsar.simulate.scene import Scene

    return simulate(
        Scene.points([(0.010, -0.012, 0.25)]),
        chirp=Chirp.stepped(77e9, 4e9 / 16, 16),
        array=AntennaArray.single(),
        trajectory=Trajectory.raster((24, 24), (1.5e-3, 1.5e-3)),
    )


@pytest.fixture
def paths(scan, tmp_path, monkeypatch):
    """A scan in a folder of its own, which is the working directory; and no dask, which nothing here asks for."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setattr("mmsar.recon.planner.explain", lambda *args, **kwargs: "")
    monkeypatch.chdir(tmp_path)
    save_scan(scan, "scan.h5")
    return tmp_path


def reconstruct(*options, output="image.h5"):
    return main(["reconstruct", "scan.h5", "-o", output, *BOX, *options])


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def whole(paths):
    assert reconstruct(output="whole.h5") == 0
    return load_image("whole.h5")


def same(path, whole):
    image = load_image(path)
    assert image.grid == whole.grid
    assert np.linalg.norm(image.data - whole.data) < 1e-5 * np.linalg.norm(whole.data)
    return image


def test_a_killed_run_goes_on_where_it_was(paths, whole, capsys):
    (paths / "image.h5").write_bytes(b"older")
    command = ["reconstruct", "scan.h5", "-o", "image.h5", *BOX, "--tiles", "7"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert (paths / "image.h5").read_bytes() == b"older"
    assert files(paths / "image.h5.tiles") == ["done", "manifest.json", "voxels"]
    capsys.readouterr()
    assert reconstruct("--tiles", "7") == 3
    expected = "image.h5.tiles: tiles of an earlier run are there; go on with --resume, or remove the folder"
    assert capsys.readouterr().err.strip() == f"mmsar reconstruct: {expected}"
    assert reconstruct("--resume", "--window", "hann") == 3
    assert 'tiles of another run (options.window: got "none", wanted "hann")' in capsys.readouterr().err
    assert reconstruct("--resume", "--tiles", "8") == 3
    assert "tiles of another run (made.of: got 7, wanted 8)" in capsys.readouterr().err
    assert reconstruct("--resume") == 0
    assert "note: 3 of 7 tiles are there already" in capsys.readouterr().err
    step = next(s for s in same("image.h5", whole).history if s["step"] == "reconstruct")
    assert step["tiles"] == 7
    assert files(paths) == ["image.h5", "scan.h5", "whole.h5"]


def test_tiles_need_no_number(paths, whole):
    """As the message about too much memory asks for them."""
    assert reconstruct("--tiles") == 0
    step = next(s for s in same("image.h5", whole).history if s["step"] == "reconstruct")
    assert step["tiles"] >= 4


def test_another_scan_does_not_go_on_with_the_tiles_of_the_first(paths, scan, monkeypatch, capsys):
    cancel_at(2, monkeypatch)
    assert reconstruct("--tiles", "5") == 130
    save_scan(scan.with_signal(2 * scan.signal), "scan.h5")
    capsys.readouterr()
    assert reconstruct("--resume") == 3
    assert 'tiles of another run (scan: got "' in capsys.readouterr().err


def cancel_at(number, monkeypatch):
    from mmsar.recon.tiles import Bench

    real = Bench.tile

    def tile(self, n):
        if n == number:
            raise KeyboardInterrupt
        return real(self, n)

    monkeypatch.setattr(Bench, "tile", tile)


def test_cancelled_keeps_what_is_finished_and_says_so(paths, whole, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        cancel_at(0, patch)
        assert reconstruct("--tiles", "5") == 130
        assert files(paths) == ["scan.h5", "whole.h5"]
    with monkeypatch.context() as patch:
        cancel_at(2, patch)
        assert reconstruct("--tiles", "5") == 130
    kept, cancelled = capsys.readouterr().err.splitlines()[-2:]
    assert kept == "mmsar reconstruct: warning: 2 of 5 tiles are kept in image.h5.tiles; go on with --resume"
    assert cancelled.startswith("mmsar reconstruct: cancelled")
    assert reconstruct("--resume") == 0
    same("image.h5", whole)


def limited(size, *options):
    """Exit code with files of at most `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        return reconstruct(*options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def full(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_no_half_file_and_says_what_to_do(paths, whole, monkeypatch, capsys):
    assert limited(8 * whole.grid.n_voxels - 1, "--tiles", "5") == 3
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line == (
        "mmsar reconstruct: image.h5.tiles: file too large; raise the limit of the size of files (ulimit -f)"
    )
    assert files(paths) == ["scan.h5", "whole.h5"]
    with monkeypatch.context() as patch:  # room for the voxels, none for the image
        patch.setattr("mmsar.io.image_h5.write_json", full)
        assert reconstruct("--tiles", "5") == 3
    line, kept = capsys.readouterr().err.splitlines()[-2:]
    assert line == ("mmsar reconstruct: image.h5: no space left on device; free some space, or write to another disk")
    assert kept.endswith("warning: 5 of 5 tiles are kept in image.h5.tiles; go on with --resume")
    assert files(paths) == ["done", "manifest.json", "scan.h5", "voxels", "whole.h5"]
    assert reconstruct("--resume") == 0
    same("image.h5", whole)
    assert files(paths) == ["image.h5", "scan.h5", "whole.h5"]


@pytest.mark.parametrize("how", [[], ["--tiles", "3"]])
def test_several_scans_each_to_its_image_and_a_bad_one_keeps_none(paths, scan, whole, how, capsys):
    save_scan(scan.with_signal(2 * scan.signal), "twice.h5")
    (paths / "bad.h5").write_bytes(b"nothing")
    (paths / "images").mkdir()
    command = ["reconstruct", "bad.h5", "scan.h5", "twice.h5", "-o", "images", *BOX, *how]
    assert main(command) == 3
    out = capsys.readouterr()
    assert out.out.split() == ["images/scan_image.h5", "images/twice_image.h5"]
    assert [line for line in out.err.splitlines() if line] == [
        f"mmsar reconstruct: {paths}/bad.h5: not an HDF5 file, wanted an mmsar .h5 file (raw data: use mmsar import)"
    ]
    assert files(paths / "images") == ["scan_image.h5", "twice_image.h5"]
    np.testing.assert_allclose(same("images/scan_image.h5", whole).data * 2, load_image("images/twice_image.h5").data)
    assert load_scan("twice.h5").shape == scan.shape


def test_resumed_scans_that_are_done_are_not_made_again(paths, scan, capsys):
    save_scan(scan.with_signal(2 * scan.signal), "twice.h5")
    (paths / "images").mkdir()
    command = ["reconstruct", "scan.h5", "twice.h5", "-o", "images", *BOX, "--resume"]
    assert main(command) == 0
    times = [path.stat().st_mtime_ns for path in sorted((paths / "images").iterdir())]
    (paths / "images" / "twice_image.h5").unlink()
    capsys.readouterr()
    assert main(command) == 0
    out = capsys.readouterr()
    assert "note: images/scan_image.h5 is made as asked for already" in out.err
    assert out.out.split() == ["images/scan_image.h5", "images/twice_image.h5"]
    assert (paths / "images" / "scan_image.h5").stat().st_mtime_ns == times[0]
    assert main([*command, "--window", "hann"]) == 0
    assert "already" not in capsys.readouterr().err
    assert (paths / "images" / "scan_image.h5").stat().st_mtime_ns > times[0]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("scan.h5 other.h5 -o image.h5", "got image.h5, wanted a folder for several images; make it first"),
        ("scan.h5 there/scan.h5 -o .", "two scans would become scan_image.h5; wanted different names"),
        ("scan.h5 -o image.h5 --workers 2 --cluster tcp://h:1", "--cluster: not allowed with argument --workers"),
        ("scan.h5 -o image.h5 --tiles 0", "argument --tiles: got '0', wanted a whole number >= 1"),
        ("scan.h5 -o image.h5 --workers two", "argument --workers: got 'two', wanted a whole number >= 1"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(paths, capsys, command, said):
    with pytest.raises(SystemExit) as stop:
        main(["reconstruct", *command.split()])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_explain_in_tiles_makes_nothing(paths):
    assert main(["reconstruct", "scan.h5", "--explain", "--tiles", "3"]) == 0
    assert files(paths) == ["scan.h5"]


@pytest.mark.parametrize("option", [("--tiles", "4"), ("--resume",), ("--workers", "2")])
def test_tiles_are_not_for_gpus(option, monkeypatch, capsys):
    monkeypatch.setattr("mmsar.core.backend.resolve_device", lambda device: device)
    assert main(["reconstruct", "scan.h5", "-o", "image.h5", "--device", "cuda:0", *option]) == 4
    assert "got cuda:0 with tiles, which are made on CPUs" in capsys.readouterr().err
