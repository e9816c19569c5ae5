"""`mmsar hw poses` as a user types it: table, JSON, picture, TUM file, and one line for everything that is wrong."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.cli.hw import poses
from mmsar.hardware.positions.declared import DIRECTIONS, LENGTHS, ROTATIONS, TIMES
from mmsar.hardware.positions.sniff import KINDS
from mmsar.hardware.positions.track import read_track
from mmsar.hardware.positions.tum import text_of


@pytest.fixture
def log(tmp_path, hand) -> Path:
    """A hand's track with a gap, a marker swap and an epoch."""
    track = hand.track(rate=200, noise=0.05e-3).masked(np.r_[100, 500:520])
    position, rotation = track.position.copy(), track.rotation.copy()
    position[300:303] += [0, 0.03, 0]
    rotation[300:303] = rotation[300:303, [3, 2, 1, 0]] * [1, -1, 1, -1]
    changed = type(track)(time_ns=track.time_ns, position=position, rotation=rotation, valid=track.valid)
    path = tmp_path / "hand.txt"
    path.write_text(text_of(changed))
    return path


def test_choices_are_those_of_the_readers():
    import argparse

    parser = argparse.ArgumentParser()
    poses.configure(parser)
    choices = {action.dest: tuple(action.choices) for action in parser._actions if action.choices}
    assert choices == {"kind": KINDS, "rotation": ROTATIONS, "units": tuple(LENGTHS), "time_unit": tuple(TIMES)} | {
        "direction": DIRECTIONS
    }


def test_table(log, capsys):
    assert main(["hw", "poses", str(log)]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines() if " " in line)
    assert lines["format"] == "tum (8 columns that begin with seconds)"
    assert lines["clock"] == "unix, from 2023-11-14 22:13:20.123 UTC"
    assert lines["rate"] == "200.00 Hz"
    assert lines["poses"].startswith("779: 7")
    assert lines["gaps"] == "2, 1 not bridged, longest 105 ms"


def test_findings_in_the_table(log, capsys):
    assert main(["hw", "poses", str(log), "--all"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"warning: marker swap at 1.5000 s: (29|3\d)\.?\d* mm; 3 poses off course, turned by", out)
    assert "warning: gap at 2.4950 s: 105 ms; 20 poses missing; longer than 50 ms: not bridged" in out
    assert "note: gap at 0.4950 s: 10 ms; 1 pose missing; bridged" in out
    assert main(["hw", "poses", str(log), "--max-gap", "200"]) == 0
    assert "20 poses missing; bridged" in capsys.readouterr().out


def test_json(log, capsys):
    assert main(["hw", "poses", str(log), "--json", "--smooth", "20"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["clock"], report["rows"], report["lost"]) == ("tum", "unix", 779, 0)
    assert report["used"] + report["masked"] == 779
    assert report["rate"] == pytest.approx(200)
    assert (report["gaps"], report["gaps_not_bridged"]) == (2, 1)
    assert report["longest_gap"] == pytest.approx(0.105)
    (swap,) = [one for one in report["findings"] if one["what"] == "marker swap"]
    assert len(swap["rows"]) == 3
    assert report["smoothing"]["cutoff"] == 20
    assert 0 < report["smoothing"]["position_rms"] < 0.2e-3


def test_picture_and_tum(log, tmp_path, capsys):
    picture, text = tmp_path / "track.png", tmp_path / "clean.txt"
    assert main(["hw", "poses", str(log), "--plot", str(picture), "--tum", str(text)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    raw, clean = read_track(log), read_track(text)
    assert set(clean.time_ns.tolist()) < set(raw.time_ns.tolist())
    swapped = raw.time_ns[np.abs(raw.time_ns - raw.time_ns[0] - 1_505_000_000) < 6_000_000]
    assert len(swapped) == 3
    assert not set(swapped.tolist()) & set(clean.time_ns.tolist())
    assert capsys.readouterr().out.splitlines()[-2:] == [str(picture), str(text)]


def test_a_picture_of_a_marker_alone(tmp_path, capsys):
    rows = ["t_s,x_mm,y_mm,z_mm", *(f"{i / 100},{i},{i / 2},0" for i in range(50))]
    log = tmp_path / "gantry.csv"
    log.write_text("\n".join(rows))
    assert main(["hw", "poses", str(log), "--plot", str(tmp_path / "g.svg"), "--clock", "monotonic"]) == 0
    assert "clock     monotonic" in capsys.readouterr().out


def test_errors_are_exit_code_3_and_warnings_are_not(tmp_path, capsys):
    """The report is printed all the same, and what was asked for is written."""
    rows = [f"{1e9 + i / 100:.2f} {i / 1000} 0 0 0 0 0 1" for i in range(100)]
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("\n".join([*rows[:50], *(row.replace(" 0 0 0 0 0 1", " 3 0 0 0 0 1") for row in rows[50:])]))
    assert main(["hw", "poses", str(wrong), "--tum", str(tmp_path / "out.txt")]) == 3
    shown = capsys.readouterr()
    assert "error: jump" in shown.out and "poses     100" in shown.out and shown.err == ""
    assert (tmp_path / "out.txt").exists()
    assert main(["hw", "poses", str(wrong), "--json"]) == 3
    assert {one["severity"] for one in json.loads(capsys.readouterr().out)["findings"]} >= {"error"}
    gap = tmp_path / "gap.txt"
    gap.write_text("\n".join([*rows[:40], *rows[60:]]))
    assert main(["hw", "poses", str(gap)]) == 0
    shown = capsys.readouterr().out
    assert "warning: gap" in shown and "error:" not in shown


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["none.csv"], 3, "none.csv: no such file or folder; check the path"),
        (["."], 3, "got a folder, wanted a position log"),
        (
            ["{log}", "--rotation", "helical"],
            3,
            "rotation: got 'helical', which a tum log has no use for; leave it out",
        ),
        (["{log}", "--kind", "euroc"], 3, "line 2: got 1 columns, wanted 8 or 17"),
        (["{log}", "--kind", "rosbag"], 3, "cannot be read as a bag"),
        (["{log}", "--smooth", "5"], 3, "smooth cutoff: got 5 Hz, wanted at least 15"),
        (["{log}", "--plot", "nowhere/x.png"], 3, "its folder does not exist; create nowhere first"),
        (["{log}", "--plot", "{folder}/x.gif"], 3, "got the ending '.gif', wanted one of .png, .pdf, .svg"),
    ],
)
def test_bad_input_is_one_line(log, tmp_path, capsys, monkeypatch, args, code, message):
    monkeypatch.chdir(tmp_path)
    args = [arg.format(log=log, folder=tmp_path) for arg in args]
    assert main(["hw", "poses", *args]) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.startswith("mmsar hw poses: ")
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""


@pytest.mark.parametrize("args", [["--max-gap", "0"], ["--max-gap", "x"], ["--smooth", "-1"], ["--kind", "csv"]])
def test_usage(log, capsys, args):
    with pytest.raises(SystemExit) as stop:
        main(["hw", "poses", str(log), *args])
    assert stop.value.code == 2
    assert "argument" in capsys.readouterr().err
