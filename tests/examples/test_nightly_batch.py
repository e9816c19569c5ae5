"""The nightly batch: what it makes, what it leaves alone, and how it goes on after bad files and interruptions."""

import csv
import shutil

import pytest

from mmsar.io.image_h5 import load_image, save_image, scan_digest
from mmsar.io.scan_h5 import save_scan

from .conftest import GRID, TARGET, script, small_scan

batch = script("nightly_batch")
OTHER = (-0.006, 0.002, 0.16)


@pytest.fixture
def folder(tmp_path, scan_file):
    """Two scans, a file that is none, and an image."""
    scans = tmp_path / "scans"
    (scans / "deep").mkdir(parents=True)
    shutil.copy(scan_file, scans / "a.h5")
    save_scan(small_scan(OTHER), scans / "deep" / "b.h5")
    return scans


def night(folder, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code and rows by scan of one run."""
    out = folder.parent / "images"
    code = batch.main([str(folder), "-o", str(out), "--pattern", "**/*.h5", *GRID, *options])
    assert not list(out.rglob("*.part*")), "nothing half-written"
    with (out / "metrics.csv").open(newline="") as file:
        return code, {row["scan"]: row for row in csv.DictReader(file)}


def imaged(monkeypatch) -> list[str]:
    """The titles of the figures that are drawn from now on: which scans are imaged."""
    titles, draw = [], batch.figure_mips
    monkeypatch.setattr(
        batch, "figure_mips", lambda image, **given: titles.append(given["title"]) or draw(image, **given)
    )
    return titles


def test_every_scan_gets_image_figure_and_row_and_is_then_left_alone(folder, monkeypatch, capsys):
    titles = imaged(monkeypatch)
    (folder / "bad.h5").write_text("no scan")
    (folder / ".c.1234.part.h5").write_text("what is being written, or was when the power went")
    code, rows = night(folder)
    assert code == 3 and titles == ["a.h5", "b.h5"], "it goes on after the bad one"
    assert {name: row["state"] for name, row in rows.items()} == {
        "a.h5": "done",
        "bad.h5": "failed",
        "deep/b.h5": "done",
    }
    assert "not an HDF5 file" in rows["bad.h5"]["message"] and "bad.h5: failed: " in capsys.readouterr().out
    for name, target in (("a.h5", TARGET), ("deep/b.h5", OTHER)):
        row, out = rows[name], folder.parent / "images"
        assert [float(row[f"peak_{axis}_mm"]) for axis in "xy"] == pytest.approx([1e3 * v for v in target[:2]], abs=0.5)
        assert load_image(out / row["image"]).history[-1]["sha256"] == row["sha256"] == scan_digest(folder / name)
        assert (out / row["figure"]).read_bytes().startswith(b"\x89PNG")

    (folder / "bad.h5").unlink()
    save_image(load_image(folder.parent / "images" / "a.h5"), folder / "image.h5")
    titles.clear()
    code, again = night(folder)
    assert code == 0 and titles == [], "done and unchanged"
    assert again["a.h5"] == rows["a.h5"] and "image.h5" not in again
    assert "0 done, 0 failed, 2 unchanged, 1 not scans" in capsys.readouterr().err

    save_scan(small_scan(OTHER), folder / "a.h5")
    (folder.parent / "images" / "deep" / "b.png").unlink()
    code, changed = night(folder)
    assert code == 0 and titles == ["a.h5", "b.h5"], "another scan; a figure that is gone"
    assert float(changed["a.h5"]["peak_x_mm"]) == pytest.approx(1e3 * OTHER[0], abs=0.5)
    titles.clear()
    assert night(folder, "--window", "hann")[0] == 0 and titles == ["a.h5", "b.h5"], "other options"


def test_an_interrupted_night_goes_on_where_it_was(folder, monkeypatch):
    titles, save = imaged(monkeypatch), batch.save_figure

    def interrupted(figure, path):
        if path.name == "b.png":
            raise KeyboardInterrupt
        save(figure, path)

    monkeypatch.setattr(batch, "save_figure", interrupted)
    code, rows = night(folder)
    assert code == 130 and list(rows) == ["a.h5"]
    monkeypatch.setattr(batch, "save_figure", save)
    titles.clear()
    code, rows = night(folder)
    assert code == 0 and titles == ["b.h5"] and list(rows) == ["a.h5", "deep/b.h5"]


def test_whatever_is_wrong_with_one_scan_the_others_are_imaged(folder, monkeypatch):
    measure = batch.numbers_of

    def broken(image):
        if image.grid.centre and broken.first:
            broken.first = False
            raise ZeroDivisionError
        return measure(image)

    broken.first = True
    monkeypatch.setattr(batch, "numbers_of", broken)
    code, rows = night(folder)
    assert code == 3 and (rows["a.h5"]["message"], rows["deep/b.h5"]["state"]) == ("ZeroDivisionError", "done")
    assert not (folder.parent / "images" / "a.h5").exists()


def test_bad_input_is_one_line(tmp_path, folder, capsys):
    def said(*words: str) -> str:
        assert batch.main([str(word) for word in words]) == 3
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "no such folder" in said(tmp_path / "nothing", "-o", tmp_path / "out")
    assert "got no file like *.bin" in said(folder, "-o", tmp_path / "out", "--pattern", "*.bin")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "metrics.csv").write_text("x,y\n1,2\n")
    assert "got other columns" in said(folder, "-o", tmp_path / "images")
    with pytest.raises(SystemExit) as stop:
        batch.main([str(folder), "-o", str(folder)])
    assert stop.value.code == 2 and "wanted another one" in capsys.readouterr().err
