"""Sessions at their edges: a single axis, long halts, rows out of order, a stage at the wrong speed, damaged notes."""

import json
import shutil
import time

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.errors import FormatError
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.journal import read_events
from mmsar.hardware.session.assemble import assemble
from mmsar.hardware.session.check import findings
from mmsar.hardware.session.folder import PLAN, SessionFolder
from mmsar.io.scan_h5 import load_scan

X_AXIS = """
[stage.x]
limits_mm = [0, 398]
zero_mm = -399
"""
AXES = f"""{X_AXIS}
[stage.y]
limits_mm = [0, 398]
zero_mm = -399
"""
ROW = """
kind = "raster"
columns = 30
step_x_mm = 0.9
centre_mm = [350, 0]
"""
ROWS = """
kind = "raster"
rows = 2
columns = 30
step_x_mm = 0.9
step_y_mm = 5.0
centre_mm = [350, 375]
"""
TARGET = (0.0, 0.0, 0.25)


def capture(bench, *options):
    return main(["capture", str(bench.session_file), "-o", str(bench.output), *options])


def test_a_rail_with_one_axis_scans_a_row(benches):
    bench = benches.staged(ROW, [TARGET], axes=X_AXIS)
    assert capture(bench) == 0
    scan = load_scan(bench.output)
    assert scan.shape[0] == 30
    np.testing.assert_allclose(scan.trajectory.position[:, 0], (np.arange(30) - 14.5) * 0.9e-3, atol=0.5e-3)
    assert not scan.trajectory.position[:, 1:].any()


def test_rows_need_an_axis_that_places_them(benches):
    bench = benches.staged(ROW + "rows = 3\n", [TARGET], axes=X_AXIS)
    assert "axis y" in [finding.limit for finding in findings(bench.session())]


def test_the_card_sends_what_it_held_before_it_is_stopped(benches):
    """What is left in the card would begin the next recording; the tail comes 2 s after the radar's last frame."""
    bench = benches.staged(ROWS, [TARGET], axes=AXES, flush=2.0)
    assert capture(bench) == 0
    for row in range(2):
        path = bench.folder / "scan.capture" / f"sweep_000{row}" / "recording"
        report = Capture.open(path).report
        assert report.stream_end % report.frame_bytes == 0
        assert report.frames_complete == report.frames_reached
        names = [event["event"] for event in read_events(path)]
        at = [names.index(name) for name in ("radar_stopped", "card_status", "stop_record")]
        assert at == sorted(at)


def test_a_long_halt_is_reported_all_the_time(benches):
    """Halts of more than a second leave no gap in the stage's reports."""
    text = ROW.replace("columns = 30", "columns = 3").replace("0.9", "5.0")
    bench = benches.staged(text + 'mode = "step"\nspeed_mm_s = 80\ndwell_ms = 1300\n', [TARGET], axes=X_AXIS)
    assert capture(bench) == 0
    np.testing.assert_allclose(load_scan(bench.output).trajectory.position[:, 0], [-5e-3, 0, 5e-3], atol=2e-5)


def test_a_row_recorded_again_stands_where_its_time_is(benches, capsys):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    assert capture(bench) == 0
    shutil.rmtree(bench.folder / "scan.capture" / "sweep_0000")
    assert capture(bench, "--resume") == 0
    assert "not recorded in the planned order" in capsys.readouterr().err
    scan = load_scan(bench.output)
    assert scan.raster is None
    y = scan.trajectory.position[:, 1].reshape(2, 30)
    np.testing.assert_allclose(y, [[2.5e-3] * 30, [-2.5e-3] * 30], atol=2e-5)
    assert np.all(np.diff(scan.trajectory.time) > 0)


def test_a_stage_at_half_the_speed_is_found_after_the_first_row(benches, capsys):
    bench = benches.staged(ROWS, [TARGET], axes=AXES, grbl={"speedup": 0.5})
    assert capture(bench) == 4
    err = capsys.readouterr().err
    assert "does not go at the speed" in err
    assert "0 of 2 sweeps are recorded" in err


def test_a_log_of_another_day_is_refused(benches, capsys):
    from mmsar.hardware.emulate.hand import Hand, HandClock

    text = '\nkind = "freehand"\nduration_s = 1.0\n'
    bench = benches.handheld(text, [TARGET], HandClock(Hand(duration=1.0)))
    assert capture(bench) == 0
    log = bench.folder / "track.tum"
    log.write_text("".join(f"{1.6e9 + k / 100:.3f} 0 0 0 0 0 0 1\n" for k in range(300)))
    capsys.readouterr()
    assert capture(bench, "--assemble", "--poses", str(log)) == 3
    assert "check clock and offset" in capsys.readouterr().err.splitlines()[-1]


def test_a_disk_too_small_for_the_recordings_is_said_before(benches, capsys):
    from mmsar.hardware.emulate.hand import Hand, HandClock

    text = '\nkind = "freehand"\nduration_s = 4e8\n'  # 300 TB
    bench = benches.handheld(text, [TARGET], HandClock(Hand(duration=1.0)))
    assert capture(bench) == 4
    assert "MiB free on the disk, wanted" in capsys.readouterr().err.splitlines()[-1]
    assert not bench.emulated.configs, "nothing was started"


def test_a_position_log_is_for_freehand_sessions(benches, capsys):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    with pytest.raises(SystemExit) as stop:
        capture(bench, "--poses", "track.tum")
    err = capsys.readouterr().err
    assert stop.value.code == 2 and "--poses: is for freehand" in err and err.count("\n") == 1


def test_a_way_between_rows_that_is_too_fast_is_said_before(benches):
    bench = benches.staged(ROWS, [TARGET], axes=AXES.replace("[stage.y]", "[stage.y]\nmax_speed_mm_s = 30"))
    found = {finding.limit: finding for finding in findings(bench.session())}
    assert found["travel_speed_mm_s"].severity == "error"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"halts_ns": 3}', '{"halts_ns": [[1]]}'])
def test_damaged_notes_are_one_line(benches, text):
    session = benches.staged(ROW, [TARGET], axes=X_AXIS).session()
    folder = SessionFolder.create(benches.folder / "scan", session)
    (folder.begin(0) / "done.json").write_text(text)
    with pytest.raises(FormatError, match=r"done\.json: cannot be read"):
        assemble(session, folder)
    (folder.path / PLAN).write_text(text)
    with pytest.raises(FormatError, match=r"plan\.json"):
        SessionFolder.open(folder.path, session)


def test_notes_keep_nanoseconds(benches):
    session = benches.staged(ROW, [TARGET], axes=X_AXIS).session()
    folder = SessionFolder.create(benches.folder / "scan", session)
    folder.begin(0)
    halts = [(now := time.time_ns(), now + 1)]
    folder.finish(0, {"halts_ns": halts})
    assert folder.halts(0) == halts
    assert json.loads((folder.sweep(0) / "done.json").read_text())["halts_ns"] == [list(halts[0])]
