"""A raster captured by the script from an emulated bench, while the live preview watches it grow as another program."""

import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from mmsar.io.image_h5 import load_image
from mmsar.io.scan_h5 import load_scan
from mmsar.metrics import error_db
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.view.views import voxel_at

from .conftest import EXAMPLES, script

capture = script("capture_raster")
SESSIONS = EXAMPLES.parent / "data" / "sessions"
SMALL = {
    "acceleration_mm_s2 = 200": "acceleration_mm_s2 = 1000\ntravel_speed_mm_s = 100",
    "rows = 13": "rows = 2",
    "columns = 110": "columns = 24",
    "step_x_mm = 0.9": "step_x_mm = 1.5",
    "centre_mm = [200, 150]": "centre_mm = [45, 20]",
    "limits_mm = [0, 399]": "limits_mm = [0, 89]",
    "zero_mm = -400 ": "zero_mm = -90 ",
    "limits_mm = [0, 299]": "limits_mm = [0, 39]",
    "zero_mm = -300": "zero_mm = -40",
}
SCENE = """
[chirp]
start_ghz = 77.0
bandwidth_ghz = 4.0
sample_rate_ksps = 2000.0
samples = 16

[array]
board = "single"

[trajectory]
kind = "raster"
rows = 1
columns = 2
step_x_mm = 1.0
step_y_mm = 1.0

[[scene]]
kind = "points"
positions_mm = [[6.0, 0.0, 200.0]]
"""
GRID = ["--extent=-20,20,-10,10,180,220", "--spacing", "2,5,10", "--method", "bpa"]


@pytest.fixture
def session(tmp_path):
    """The raster of data/sessions, small and fast."""
    config = (SESSIONS / "iwr1642.cfg").read_text().replace("frameCfg 0 1 16 0 40 1 0", "frameCfg 0 1 2 0 25 1 0")
    (tmp_path / "iwr1642.cfg").write_text(config)
    text = (SESSIONS / "raster.toml").read_text()
    for old, new in SMALL.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "small.toml").write_text(text)
    return tmp_path / "small.toml"


def test_capture_with_the_emulator_and_the_preview_beside_it(session, tmp_path, addresses, monkeypatch, capsys):
    monkeypatch.setattr(capture, "MOST_STRAY", 100.0)  # a busy machine moves the emulated stage unevenly
    monkeypatch.setattr(capture, "bench_for", partial(capture.bench_for, flush=0.4))  # the card's tail takes 2 s
    host, card = addresses
    (tmp_path / "scene.toml").write_text(SCENE)
    words = [str(session), "-o", str(tmp_path / "bench"), *GRID]
    emulated = ["--emulate", "--scene", str(tmp_path / "scene.toml"), "--host-ip", host, "--card-ip", card]
    preview = [sys.executable, str(EXAMPLES / "live_preview.py"), str(tmp_path / "bench.capture"), "--session"]
    preview += [str(session), "-o", str(tmp_path / "live.png"), "--image", str(tmp_path / "live.h5"), *GRID]
    said: list[tuple[float, str]] = []
    with subprocess.Popen(preview, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            said.append((time.monotonic(), program.stdout.readline()))
            assert said[0][1].startswith("waiting for rows in")
            reader = threading.Thread(target=lambda: said.extend((time.monotonic(), line) for line in program.stdout))
            reader.start()
            assert capture.main([*words, *emulated]) == 0
            ended = time.monotonic()
            reader.join(timeout=30)
            assert program.wait(timeout=10) == 0, program.stderr.read()
        finally:
            program.kill()
    assert [line.partition(":")[0] for _, line in said[1:3]] == ["row 1 of 2", "row 2 of 2"]
    assert said[1][0] < ended, "the first row is in the picture while the capture goes on"
    scan = load_scan(tmp_path / "bench.h5")
    assert scan.shape == (48, 2, 4, 128) and scan.raster.n_y == 2
    image = load_image(tmp_path / "bench_image.h5")
    z, _, x = voxel_at(image, None)
    assert image.grid.x[x] == pytest.approx(6e-3, abs=2.1e-3) and image.grid.z[z] == pytest.approx(0.2, abs=0.011)
    last = load_image(tmp_path / "live.h5")
    whole = reconstruct(scan, last.grid, method="bpa", options=ReconOptions(progress=False, density="off"))
    assert error_db(last, whole).error_db < -50, "the last preview is the image of the whole scan"
    assert "48 poses in 2 rows; 0.00% lost" in capsys.readouterr().out

    assert capture.main([*words, *emulated]) == 4, "the recordings are there already"
    assert "--resume goes on with it" in capsys.readouterr().err
    assert capture.main([*words, "--resume"]) == 0, "nothing is missing: no instrument is asked, the scan made again"


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["data/sessions/freehand.toml"], 2, "wanted a raster"),
        (["data/sessions/raster.toml", "--scene", "x.toml"], 2, "is for --emulate"),
        (["data/sessions/raster.toml", "--emulate", "--host-ip", "127.0.0.2"], 2, "wanted the card's"),
        (["data/sessions/nothing.toml"], 3, "no such file"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, options, code, complaint):
    try:
        found = capture.main([str(EXAMPLES.parent / options[0]), *options[1:], "-o", str(tmp_path / "bench")])
    except SystemExit as stop:
        found = stop.code
    assert found == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("capture_raster.py: ") and complaint in line
    assert not list(tmp_path.iterdir())


def test_stopped_by_hand_it_keeps_what_is_there_and_says_how_to_go_on(session, tmp_path, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(capture, "measure", stopped)
    assert capture.main([str(session), "-o", str(tmp_path / "bench")]) == 130
    assert "stopped; what is recorded is kept, --resume goes on" in capsys.readouterr().err
    assert (tmp_path / "bench.capture" / "plan.json").exists() and not (tmp_path / "bench.h5").exists()


def test_a_scan_that_is_not_good_enough_is_said(capsys):
    from types import SimpleNamespace

    import numpy as np

    valid = np.ones((10, 1, 1), dtype=bool)
    valid[0] = False
    scan = SimpleNamespace(shape=(10, 1, 1, 4), valid=valid, attrs={"history": [{"sweeps": [{"stray_steps": 1.5}]}]})
    assert [problem.partition(",")[0] for problem in capture.judge(scan)] == [
        "10.0% of the channels were lost",
        "frames are up to 1.5 steps from their places",
    ]
    assert "10.00% lost, at most 1.50 steps" in capsys.readouterr().out
