"""Sessions that are cut short: Ctrl-C, alarms, lost answers, a silent card; and going on afterwards."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.errors import CaptureError
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.session.folder import SessionFolder
from mmsar.hardware.session.run import SessionRun
from mmsar.io.scan_h5 import load_scan

from .conftest import AXES

ROWS = """
kind = "raster"
rows = 3
columns = 40
step_x_mm = 0.9
step_y_mm = 5.0
centre_mm = [350, 375]
"""
TARGET = (0.0, 0.0, 0.25)
HANG = 5.0
"""Radar and stage have to be at rest within a second of a fault; on a machine with other work, this is a hang [s]."""


class Watch:
    """Does something once a sweep is half driven, and notes when."""

    def __init__(self, sweep, action):
        self.sweep, self.action, self.at = sweep, action, None

    def __call__(self, index, part, state):
        if index == self.sweep and part > 0.5 and self.at is None:
            self.at = time.monotonic()
            self.action()


def start(bench, watch):
    session = bench.session()
    folder = SessionFolder.create(bench.folder / "scan.capture", session)
    return SessionRun(session, folder, on_progress=watch), folder


def at_rest(bench):
    """Whether radar, card and stage have all stopped."""
    stage = bench.emulated.stage
    place = stage.position_at(time.time_ns())
    time.sleep(0.1)
    moved = abs(stage.position_at(time.time_ns()) - place).max()
    return not bench.emulated.radar.running and not bench.emulated.card.recording and moved < 1e-6


@pytest.mark.parametrize("fault", ["alarm", "silent controller", "interrupt"])
def test_a_fault_in_a_row_stops_everything_within_a_second(benches, fault):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)

    def happen():
        if fault == "alarm":
            bench.emulated.stage.trip()
        elif fault == "silent controller":
            bench.emulated.stage.freeze()
        else:
            raise KeyboardInterrupt

    stopped = []
    whole = bench.emulated.radar.on_stop
    bench.emulated.radar.on_stop = lambda: (stopped.append(time.monotonic()), whole())
    watch = Watch(1, happen)
    work, folder = start(bench, watch)
    with pytest.raises(KeyboardInterrupt if fault == "interrupt" else CaptureError):
        work.run()
    assert stopped[-1] - watch.at < HANG, "the radar, which waits for no stage"
    assert at_rest(bench)
    assert [sweep.index for sweep in work.missing()] == [1, 2]
    kept = Capture.open(folder.recording(1))
    assert kept.report.interrupted
    assert kept.n_frames > 5, "what was recorded of the row is kept"


def test_a_radar_that_does_not_stop_is_said_after_a_fault_of_the_stage(benches, capsys, monkeypatch):
    """The error is the stage's; that the radar may still transmit stands below it."""
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    radar, stage = bench.emulated.radar, bench.emulated.stage
    whole, begin = radar._sensorStop, radar.on_start
    monkeypatch.setattr(radar, "_sensorStop", lambda args: ["Error -1"] if radar.running else whole(args))

    def started(config):
        begin(config)
        timer.start()

    timer = threading.Timer(0.7, stage.trip)
    radar.on_start = started
    assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 4
    timer.join()
    error, *warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mmsar capture: ")]
    assert "warning" not in error and "sensorStop" not in error
    said = "mmsar capture: warning: sensorStop: radar said 'Error -1'; it may still run: reset it through the card"
    assert warnings == [said]
    kept = Capture.open(bench.output.with_suffix(".capture") / "sweep_0000" / "recording").report
    assert any("it may still run" in message for message in kept.messages)


def test_what_could_not_be_stopped_is_said_after_ctrl_c(benches, capsys, monkeypatch):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)

    def interrupted(self):
        error = KeyboardInterrupt()
        error.add_note("sensorStop: no answer; the radar may still run")
        raise error

    monkeypatch.setattr(SessionRun, "run", interrupted)
    assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 130
    err = capsys.readouterr().err
    assert err.endswith("mmsar capture: warning: sensorStop: no answer; the radar may still run\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_scan_goes_on_where_it_stopped(benches, capsys, number, code):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    command = [sys.executable, "-m", "mmsar", "capture", str(bench.session_file), "-o", str(bench.output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        folder = bench.output.with_suffix(".capture")
        deadline = time.monotonic() + 60
        while not (folder / "sweep_0000" / "done.json").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert not bench.emulated.radar.running
    assert "go on with: mmsar capture" in err
    assert "Traceback" not in err
    assert not bench.output.exists()
    first = (folder / "sweep_0000" / "done.json").stat().st_mtime_ns
    assert main(command[3:]) == 4, "a folder that is there is not overwritten"
    assert "--resume" in capsys.readouterr().err
    assert main([*command[3:], "--resume"]) == 0
    assert (folder / "sweep_0000" / "done.json").stat().st_mtime_ns == first, "what was done is not driven again"
    scan = load_scan(bench.output)
    assert scan.shape[0] == 120
    assert scan.valid.all()
    notes = json.loads((folder / "sweep_0002" / "done.json").read_text())
    assert notes["upstream_lost"] == notes["kernel_dropped"] == 0


def test_a_card_that_falls_silent_ends_the_row(benches):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    watch = Watch(0, bench.emulated.card.stop_stream)
    work, folder = start(bench, watch)
    with pytest.raises(CaptureError, match=r"fell silent.*--resume"):
        work.run()
    assert [sweep.index for sweep in work.missing()] == [0, 1, 2]
    assert Capture.open(folder.recording(0)).n_frames > 5


def test_lost_packets_are_invalid_channels_and_nothing_moves_up(benches, capsys):
    from mmsar.hardware.emulate.faults import FaultPlan

    bench = benches.staged(ROWS, [TARGET], axes=AXES, faults=FaultPlan(drop=0.03, reorder=0.03, seed=3))
    assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 0
    assert "packets lost" in capsys.readouterr().err
    scan = load_scan(bench.output)
    assert scan.shape[0] == 120
    assert 0.5 < scan.valid.mean() < 1.0
    good = scan.valid.all(axis=(1, 2))
    phase = np.angle(scan.read()[good][:, 0, 0, 20])
    smooth = np.abs(np.diff(np.unwrap(phase)))
    assert np.median(smooth) < 0.5, "neighbouring poses look at the same target from nearly the same place"


def test_assembly_before_the_end_says_what_is_missing(benches, capsys):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    SessionFolder.create(bench.folder / "scan.capture", bench.session())
    assert main(["capture", str(bench.session_file), "-o", str(bench.output), "--assemble"]) == 4
    assert "3 of 3 sweeps are not recorded yet" in capsys.readouterr().err


def test_the_ending_of_the_scan_is_looked_at_before_the_bench(benches, capsys):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    assert main(["capture", str(bench.session_file), "-o", str(bench.folder / "o.txt")]) == 3
    assert capsys.readouterr().err.endswith("o.txt: got the ending '.txt', wanted .h5\n")
    assert not (bench.folder / "o.capture").exists() and bench.emulated.radar.lines == []


def test_a_stage_that_is_not_there_is_one_line(benches, capsys):
    bench = benches.staged(ROWS, [TARGET], axes=AXES)
    text = bench.session_file.read_text().replace(bench.emulated.stage.port, os.devnull + "x")
    bench.session_file.write_text(text)
    assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("mmsar capture: ")
    assert "/dev/nullx" in lines[-1]
    assert threading.active_count() < 20
