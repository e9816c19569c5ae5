"""Whole sessions through the real code: emulated instruments are driven, recorded, assembled and imaged."""

import re
import time

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.hardware.dca1000.recover import read_report, survey
from mmsar.hardware.emulate.hand import Hand, HandClock, TrackerLog
from mmsar.hardware.session.world import CylinderWorld
from mmsar.io.scan_h5 import load_scan
from mmsar.signal.cylinder import round_of

from .conftest import AXES, cells, peak

RASTER = """
kind = "raster"
rows = 3
columns = 50
step_x_mm = 0.9
step_y_mm = 7.589
centre_mm = [350, 375]
"""
TARGET = (0.006, -0.005, 0.25)


def test_a_raster_scan_finds_its_target(benches, capsys):
    bench = benches.staged(RASTER, [TARGET], axes=AXES)
    assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 0
    scan = load_scan(bench.output)
    assert scan.shape == (150, 2, 4, 128)
    assert scan.valid.all()
    assert (scan.raster.n_y, scan.raster.n_x, scan.raster.serpentine) == (3, 50, True)
    assert scan.attrs["config_digest"] == bench.session().radar.config.digest
    x = scan.trajectory.position[:, 0].reshape(3, 50)
    ideal = (np.arange(50) - 24.5) * 0.9e-3
    off = np.abs(x - [ideal, ideal[::-1], ideal])
    # the emulated stage and radar run by the clock: a busy machine may stamp a frame or two late
    assert np.quantile(off, 0.97) < 0.5e-3 and off.max() < 5e-3, np.sort(off.ravel())[-8:]
    steps = np.abs(np.diff(x, axis=1))
    assert np.std(steps) < 0.05e-3, "constant speed: evenly spaced"
    found = peak(scan, TARGET)
    assert np.all(np.abs(found - TARGET) < cells(scan, TARGET[2]) / 4)
    assert capsys.readouterr().out.splitlines()[-1] == str(bench.output)
    recording = bench.output.with_suffix(".capture") / "sweep_0001" / "recording"
    report = read_report(recording)
    assert (report.ended, report.interrupted) == ("sweep complete", False), "it ended as intended"
    assert report.frames_complete == report.frames_reached < report.frames_expected and report.frames_damaged == 0
    assert survey(recording).report == report, "its events say the same"
    assert main(["hw", "report", str(recording)]) == 0
    assert "ended      sweep complete\n" in capsys.readouterr().out
    bench.session_file.write_text(bench.session_file.read_text() + '\n[output]\nloops = "poses"\n')
    assert main(["capture", str(bench.session_file), "-o", str(bench.output), "--assemble"]) == 0
    loops = load_scan(bench.output)
    assert loops.shape == (300, 2, 4, 128)
    assert loops.raster is None
    steps = np.diff(loops.trajectory.time[:4])
    config = bench.session().radar.config
    assert steps[0] == pytest.approx(2 * config.chirp_time, rel=1e-3), "from loop to loop"
    both = loops.read().reshape(150, 2, 2, 4, 128).mean(axis=1)
    np.testing.assert_allclose(both, scan.read(), atol=1e-2)


def test_step_and_stop_finds_its_target_too(benches):
    text = RASTER.replace("rows = 3", "rows = 2").replace("columns = 50", "columns = 8").replace("0.9", "5.0")
    text += 'mode = "step"\nspeed_mm_s = 80\ndwell_ms = 60\n'
    bench = benches.staged(text, [TARGET], axes=AXES)
    assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 0
    scan = load_scan(bench.output)
    x = scan.trajectory.position[:, 0].reshape(2, 8)
    ideal = (np.arange(8) - 3.5) * 5e-3
    np.testing.assert_allclose(x, [ideal, ideal[::-1]], atol=2e-5)
    found = peak(scan, TARGET)
    assert np.all(np.abs(found - TARGET) < cells(scan, TARGET[2]) / 4)


CYLINDER_AXES = """
[stage.angle]
channel = "X"
limits_deg = [0, 998]
zero_deg = -999

[stage.y]
limits_mm = [0, 398]
zero_mm = -399
"""
CYLINDER = """
kind = "cylinder"
angles = 240
radius_mm = 250
heights_mm = [386.2055, 393.7945]
stage_start_deg = 600
direction = "ccw"
"""


def test_a_cylinder_scan_finds_its_target(benches):
    """The full turn resolves 0.18 wavelengths in the horizontal plane: the place has to be right to 0.2 mm."""
    target = (0.012, 0.002, -0.008)
    bench = benches.staged(CYLINDER, [target], axes=CYLINDER_AXES, unit="deg", acceleration=800.0)
    assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 0
    scan = load_scan(bench.output)
    assert scan.shape == (480, 2, 4, 128)
    r = np.linalg.norm(scan.trajectory.position[:, [0, 2]], axis=1)
    np.testing.assert_allclose(r, 0.25, atol=1e-9)
    found = peak(scan, target, half=(3e-3, 6e-3, 3e-3), step=(0.1e-3, 1e-3, 0.1e-3))
    cell = np.array([0.18, 0.0, 0.18]) * scan.chirp.wavelength
    cell[1] = cells(scan, 0.25)[1]
    assert np.all(np.abs(found - target) <= cell / 4 + 1e-4)


FREEHAND = """
kind = "freehand"
duration_s = 3.0

[tracker]
offset_ms = {offset}
"""


@pytest.mark.parametrize("offset", ["37.0", '"estimate"'])
def test_a_freehand_scan_finds_its_target(benches, offset):
    """The tracker's clock is 37 ms off; told or found, the hand's motion is taken out of the image."""
    hand = HandClock(Hand(width=0.06, height=0.03, duration=3.0, sweep_time=0.5, tremor=2e-3, tilt=0.01))
    bench = benches.handheld(FREEHAND.format(offset=offset), [TARGET], hand)
    log = bench.folder / "track.tum"
    with TrackerLog(log, hand.poses, rate=240.0, noise=20e-6, offset=-0.037):
        assert main(["capture", str(bench.session_file), "-o", str(bench.output)]) == 0
    assert not bench.output.exists(), "no log yet: the recording is kept and the next step said"
    assert main(["capture", str(bench.session_file), "-o", str(bench.output), "--assemble", "--poses", str(log)]) == 0
    scan = load_scan(bench.output)
    assert scan.shape[0] > 140
    (notes,) = scan.attrs["history"][-1]["sweeps"]
    assert notes["offset_s"] == pytest.approx(0.037, abs=5e-3), "less what the emulated card is late by"
    found = peak(scan, TARGET)
    assert np.all(np.abs(found - TARGET) < cells(scan, TARGET[2]) / 4)


TABLE = """
kind = "freehand"
duration_s = 3.0

[tracker]
kind = "turntable-csv"
radius_mm = 250
direction = "cw"
"""


def test_a_turntable_of_its_own_is_taken_from_its_log(benches):
    """A table that nobody steers, half a turn in the scan: its log, angle against time, makes the poses."""
    target, rate, begin = (0.012, 0.002, -0.008), np.deg2rad(60.0), time.time_ns()

    def poses(_, time_ns):
        world = CylinderWorld(radius=0.25, direction=-1)
        return world.poses({"angle": rate * (time_ns - begin) * 1e-9})

    bench = benches.handheld(TABLE, [target], poses)
    command = ["capture", str(bench.session_file), "-o", str(bench.output)]
    assert main(command) == 0
    stamps = np.arange(begin, time.time_ns() + 10**9, 10**7, dtype=np.int64)
    angle = np.rad2deg(rate) * (stamps - begin) * 1e-9 % 360
    log = bench.folder / "table.csv"
    rows = [f"{t},{a:.9f}" for t, a in zip(stamps.tolist(), angle.tolist(), strict=True)]
    log.write_text("\n".join(["time_ns,angle_deg", *rows]) + "\n")
    assert main([*command, "--assemble", "--poses", str(log)]) == 0
    scan = load_scan(bench.output)
    assert scan.shape[0] > 140 and round_of(scan.geometry) is not None
    found = peak(scan, target, half=(3e-3, 6e-3, 3e-3), step=(0.1e-3, 1e-3, 0.1e-3))
    assert np.all(np.abs(found - target)[[0, 2]] < 0.25 * scan.chirp.wavelength / 4)


def test_backlash_is_seen_in_the_echoes_and_taken_out(benches, capsys):
    """The table lags 0.5 mm in backward rows; the assembly says so, and with that number the rows fit."""
    rows = RASTER.replace("rows = 3", "rows = 6").replace("step_y_mm = 7.589", "step_y_mm = 1.5")
    points = [TARGET, (-0.02, 0.0, 0.27), (0.018, 0.004, 0.3)]
    bench = benches.staged(rows, points, axes=AXES, grbl={"backlash": (0.5, 0.0, 0.0)})
    command = ["capture", str(bench.session_file), "-o", str(bench.output)]
    assert main(command) == 0
    said = re.search(r"shifted by \+(\S+) mm .* backlash_mm = (\S+)", capsys.readouterr().err)
    assert said, "a warning with the number to set"
    assert float(said[1]) == pytest.approx(0.5, abs=0.1)
    text = bench.session_file.read_text().replace("[stage.x]", f"[stage.x]\nbacklash_mm = {said[2]}")
    bench.session_file.write_text(text)
    assert main([*command, "--assemble"]) == 0
    assert "shifted by" not in capsys.readouterr().err
