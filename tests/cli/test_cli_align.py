"""`mmsar align`: scans with wrong positions come out corrected, and one line says when they cannot."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import Trajectory

RADAR = """
[chirp]
start_ghz = 77.0
bandwidth_ghz = 4.0
sample_rate_ksps = 2000.0
samples = 16
[array]
board = "iwr1443"
"""
SCENE = (
    RADAR
    + """
[trajectory]
kind = "turntable"
angles = 192
radius_mm = 252.0
[[scene]]
kind = "points"
positions_mm = [[30, 0, -20], [-60, 5, 30], [20, -10, 80]]
[simulation]
snr_db = 20
"""
)


@pytest.fixture
def scan_file(tmp_path):
    """A scan at 252 mm that says it was taken at 250 mm."""
    scene, file = tmp_path / "scene.toml", tmp_path / "scan.h5"
    scene.write_text(SCENE)
    assert main(["simulate", str(scene), "-o", str(file)]) == 0
    save_scan(replace(load_scan(file), trajectory=Trajectory.turntable(192, 0.25)), file)
    return file


def fails(capsys, *args, code=3):
    capsys.readouterr()
    if code == 2:
        with pytest.raises(SystemExit) as stopped:
            main(["align", *args])
        assert stopped.value.code == 2
    else:
        assert main(["align", *args]) == code
    text = capsys.readouterr().err
    if code == 3:
        assert len(text.splitlines()) == 1
    return text


def test_radius_is_reported_and_written(scan_file, tmp_path, capsys):
    done = tmp_path / "aligned.h5"
    capsys.readouterr()
    assert main(["align", str(scan_file), "--rotation", "-o", str(done)]) == 0
    out = capsys.readouterr().out
    assert "radius      252.0" in out or "radius      251.9" in out
    assert "recorded 250.000" in out and "tangential  not fitted: " in out and out.rstrip().endswith(str(done))
    aligned = load_scan(done)
    radius = np.hypot(*aligned.trajectory.position[:, [0, 2]].T)
    assert np.abs(radius - 0.252).max() < 0.2e-3
    assert [step["step"] for step in aligned.attrs["history"]] == ["simulate", "align rotation"]
    np.testing.assert_array_equal(aligned.read(), load_scan(scan_file).read())


def test_a_correction_within_its_error_is_not_written_unless_asked_for(scan_file, tmp_path, capsys):
    save_scan(replace(load_scan(scan_file), trajectory=Trajectory.turntable(192, 0.252)), scan_file)
    done = tmp_path / "aligned.h5"
    args = [str(scan_file), "--rotation", "-o", str(done)]
    text = fails(capsys, *args)
    assert "aligned.h5 not written" in text and "--pin" in text and "corner reflector" in text and "--force" in text
    assert not done.exists()
    assert main(["align", *args, "--force"]) == 0 and done.exists()


def test_pin_and_json(scan_file, capsys):
    capsys.readouterr()
    assert main(["align", str(scan_file), "--rotation", "--pin=-60,5,30", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["moves"]) == {"radial", "tangential", "height"}
    assert abs(report["moves"]["radial"]["value"] - 2e-3) < 0.2e-3
    assert abs(report["turn"]["value"]) < 1e-3
    assert set(report["not_fitted"]) == {"centre_x", "centre_z"}
    assert main(["align", str(scan_file), "--rotation", "--pin=-60,5,30"]) == 0
    assert "as a start angle off by" in capsys.readouterr().out


def test_what_cannot_be_is_one_line(scan_file, tmp_path, capsys):
    done = tmp_path / "aligned.h5"
    save = ["-o", str(done)]
    assert "nothing bright within" in fails(capsys, str(scan_file), "--rotation", "--pin", "40,0,-60", *save)
    assert "edge of the search" in fails(capsys, str(scan_file), "--rotation", "--search-mm", "0.5", *save)
    assert "no such file" in fails(capsys, str(tmp_path / "none.h5"), "--rotation", *save)
    assert "got the file that is read" in fails(capsys, str(scan_file), "--rotation", "-o", str(scan_file))
    assert not done.exists()
    assert "targets out to 400.0 mm" in fails(capsys, str(scan_file), "--rotation", "--extent-mm", "400")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "--rotation"),
        (["--rotation", "--pin", "1,2"], "wanted x,y,z"),
        (["--rotation", "--unknown", "centre"], "exactly one --pin"),
        (["--rotation", "--unknown", "radius", "--pin", "1,2,3"], "invalid choice"),
        (["--rotation", "--search-mm", "0"], "above 0"),
        (["--rotation", "--scatterers", "0"], "whole number"),
    ],
)
def test_usage(capsys, args, complaint):
    assert complaint in fails(capsys, "scan.h5", *args, code=2)


def test_ctrl_c_leaves_nothing(scan_file, tmp_path, capsys, monkeypatch):
    from mmsar.focus import rotation_fitter

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(rotation_fitter, "fit_points", interrupted)
    before = sorted(tmp_path.iterdir())
    assert main(["align", str(scan_file), "--rotation", "-o", str(tmp_path / "aligned.h5")]) == 130
    assert sorted(tmp_path.iterdir()) == before


PLANAR = (
    RADAR
    + """
[trajectory]
kind = "raster"
rows = 6
columns = 48
step_x_mm = 1.2
step_y_mm = 7.6
[[scene]]
kind = "points"
positions_mm = [[0, 0, 200], [12, 8, 200], [-16, 4, 200], [4, -12, 200]]
[simulation]
snr_db = 20
"""
)
AREA = ("--extent=-30,30,-26,26,200,200", "--spacing", "1")


@pytest.fixture
def planar_file(tmp_path):
    """A function that makes a raster scan with position errors of so many mm."""

    def make(error: float):
        scene, file = tmp_path / "planar.toml", tmp_path / "planar.h5"
        scene.write_text(PLANAR + f"position_jitter_mm = [{error}, {error}, {error}]\n")
        assert main(["simulate", str(scene), "-o", str(file)]) == 0
        return file

    return make


def test_autofocus_is_reported_and_written(planar_file, tmp_path, capsys):
    scan_file, done = planar_file(0.4), tmp_path / "focused.h5"
    capsys.readouterr()
    assert main(["align", str(scan_file), "--autofocus", *AREA, "--independent", "-o", str(done)]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[:5]] == ["moved", "lit", "bright", "others", "note"]
    focused = load_scan(done)
    assert [step["step"] for step in focused.attrs["history"]] == ["simulate", "align autofocus"]
    np.testing.assert_array_equal(focused.read(), load_scan(scan_file).read())
    moved = focused.trajectory.position - load_scan(scan_file).trajectory.position
    assert main(["align", str(scan_file), "--autofocus", *AREA, "--independent", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(report["move"], moved, atol=2e-6)
    assert report["improved"] and report["entropy"][1] < report["entropy"][0]
    assert not report["blind"] and report["fit"][1] > report["fit"][0]


def test_autofocus_that_does_not_help_is_not_written(planar_file, tmp_path, capsys):
    scan_file, done = planar_file(0.0), tmp_path / "focused.h5"
    args = [str(scan_file), "--autofocus", *AREA, "--iterations", "3", "-o", str(done)]
    text = fails(capsys, *args)
    assert "focused.h5 not written" in text and "many poses see it" in text and "--force" in text
    assert "try --blind" in text and "try --blind" not in fails(capsys, *args, "--blind")
    assert not done.exists()
    assert main(["align", *args, "--force"]) == 0 and done.exists()


def test_autofocus_on_a_grid_that_cuts_the_scene_is_not_written(planar_file, tmp_path, capsys):
    """Its lower edge goes through the brightest point."""
    done = tmp_path / "focused.h5"
    args = ("--extent=-30,30,-1,26,200,200", "--spacing", "1", "--iterations", "3", "-o", str(done))
    assert "give more of --extent" in fails(capsys, str(planar_file(0.4)), "--autofocus", *args)
    assert not done.exists()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--autofocus", "--pin", "0,0,200"], 2, "belong to --rotation"),
        (["--autofocus", "--memory", "-1"], 2, "more than 0 GiB"),
        (["--autofocus", "--behind-mm", "100"], 2, "without --autofocus --blind"),
        (["--autofocus", "--blind", "--behind-mm", "0"], 2, "a number above 0 [mm]"),
        (["--autofocus", "--extent=-30,30,-26,26,-20,20", "--spacing", "1"], 3, "in front of the antennas"),
        (["--rotation", "--extent=-30,30,-26,26,200,200"], 2, "--extent-mm"),
        (["--autofocus", *AREA, "--memory", "0.001"], 3, "allow more memory"),
    ],
)
def test_autofocus_refuses_in_a_line(planar_file, capsys, args, code, words):
    assert words in fails(capsys, str(planar_file(0.1)), *args, code=code)
