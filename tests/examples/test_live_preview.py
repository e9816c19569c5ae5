"""The live preview of a finished raster, row by row, against the whole image; and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.io.image_h5 import load_image
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.metrics import error_db
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct

from .conftest import EXAMPLES, GRID, script

preview = script("live_preview")
SESSIONS = EXAMPLES.parent / "data" / "sessions"


def test_the_last_picture_is_that_of_the_whole_scan(scan_file, tmp_path, monkeypatch, capsys):
    told, draw = [], preview.draw

    def recorded(shown, target, text, floor):
        told.append(text)
        if text == "row 1 of 3":
            draw(shown, target, text, floor)
        assert target.read_bytes().startswith(b"\x89PNG"), "a whole picture after every row"

    monkeypatch.setattr(preview, "draw", recorded)
    picture, image = tmp_path / "preview.png", tmp_path / "preview.h5"
    assert preview.main([str(scan_file), "-o", str(picture), "--image", str(image), *GRID]) == 0
    assert told == [f"row {n} of 3" for n in (1, 2, 3)]
    assert capsys.readouterr().out.splitlines()[-2:] == [str(image), str(picture)]
    found = load_image(image)
    whole = reconstruct(load_scan(scan_file), found.grid, method="bpa", options=ReconOptions(progress=False))
    fit = error_db(found, whole)
    assert fit.error_db < -50 and abs(fit.scale - 1) < 1e-2, "as the script says"


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["nothing"], 3, "name its --session too"),
        (["nothing", "--session", "nothing.toml"], 3, "nothing.toml"),
        (["nothing", "--session", "data/sessions/freehand.toml"], 2, "is a freehand, wanted a raster"),
        (["nothing", "--session", "data/sessions/raster.toml", "--patience", "0.1"], 4, "0 of 13 are there"),
        (["still.h5"], 3, "--poses N"),
    ],
)
def test_bad_input_is_one_line(scan_file, tmp_path, capsys, options, code, complaint):
    save_scan(replace(load_scan(scan_file), raster=None), tmp_path / "still.h5")
    root = {"nothing": tmp_path, "still.h5": tmp_path}
    words = [str(root.get(word, EXAMPLES.parent) / word) if word[0].isalpha() else word for word in options]
    try:
        found = preview.main([*words, "-o", str(tmp_path / "preview.png")])
    except SystemExit as stop:
        found = stop.code
    assert found == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("live_preview.py: ") and complaint in line
    assert not (tmp_path / "preview.png").exists()


def test_the_default_grid_covers_all_rows_that_are_planned(scan_file):
    from mmsar.hardware.session.setup import read_session

    session, row = read_session(SESSIONS / "raster.toml"), load_scan(scan_file).subset(slice(0, 24))
    path = preview.outline(session, row).trajectory
    assert np.unique(path.position[:, 1].round(6)) == pytest.approx([-6 * 7.589e-3, 6 * 7.589e-3]), "first and last row"
    assert np.ptp(path.position[:, 0]) == pytest.approx(np.ptp(row.trajectory.position[:, 0]))
    single = replace(session, sweeps=[replace(sweep, others={}) for sweep in session.sweeps[:1]])
    assert preview.outline(single, row) is row


def test_a_lost_row_is_left_out(scan_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(preview, "draw", lambda *_: None)
    scan = load_scan(scan_file)
    valid = scan.valid.copy()
    valid[24:48] = False
    save_scan(replace(scan, valid=valid), tmp_path / "lost.h5")
    assert (
        preview.main([str(tmp_path / "lost.h5"), "-o", str(tmp_path / "preview.png"), "--method", "nufft", *GRID]) == 0
    )
    said = capsys.readouterr().out
    assert "row 1 of 3" in said and "row 2 of 3" not in said and "row 3 of 3" in said
