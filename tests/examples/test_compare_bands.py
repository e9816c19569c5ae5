"""Two bands compared: what the table says of them, that figures have linked limits, and refusals."""

import csv

import numpy as np
import pytest

from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import Chirp

from .conftest import GRID, TARGET, script, small_scan

bands = script("compare_bands")
POINT = "--point=" + ",".join(f"{1e3 * value:g}" for value in TARGET)


def table(path) -> dict[str, list[float]]:
    with path.open(newline="") as file:
        names, *rows = csv.reader(file)
    return {"": names[1:], **{label: [float(v) for v in values] for label, *values in rows}}


def test_half_the_band_has_twice_the_range_cell(scan_file, tmp_path, capsys):
    out = tmp_path / "bands"
    assert bands.main([str(scan_file), "-o", str(out), "--bands", "77-81,77-78.9", POINT, *GRID]) == 0
    found = table(tmp_path / "bands.csv")
    assert found[""] == ["77 to 80.75 GHz", "77 to 78.75 GHz"]
    assert found["bandwidth [MHz]"] == [4000, 2000]
    assert found["range cell c/2B [mm]"] == pytest.approx([37.47, 74.95], abs=0.01)
    whole, half = found["width z [mm]"]
    assert 1.4 < half / whole < 2.1, "in range the aperture resolves a little, too"
    assert np.ptp(found["width x [mm]"]) < 1
    for axis, value in zip("xyz", TARGET, strict=True):
        assert found[f"peak {axis} [mm]"] == pytest.approx([1e3 * value] * 2, abs=1)
    assert found["NCC of magnitudes with the first"][0] == pytest.approx(1)
    said = capsys.readouterr().out
    assert "width z [mm]" in said and said.splitlines()[-3:] == [str(out) + end for end in (".png", "-psf.png", ".csv")]
    for end in (".png", "-psf.png"):
        assert (tmp_path / f"bands{end}").read_bytes().startswith(b"\x89PNG")


def test_without_bands_it_is_the_lower_and_the_upper_half(scan_file):
    lower, upper = bands.parts_of(load_scan(scan_file), None).values()
    assert (lower.chirp.f[-1], upper.chirp.f[0]) == (78.75e9, 79e9)
    assert lower.shape == upper.shape == (72, 2, 4, 8)


def test_two_scans_and_their_cuts_in_the_same_limits(scan_file, tmp_path, monkeypatch):
    other, seen = tmp_path / "other.h5", []
    save_scan(small_scan(chirp=Chirp.stepped(79e9, 250e6, 8)), other)
    draw = bands.cuts_figure
    monkeypatch.setattr(bands, "save_figure", lambda figure, path: None)
    monkeypatch.setattr(bands, "cuts_figure", lambda *given: seen.append(draw(*given)) or seen[-1])
    assert bands.main([str(scan_file), str(other), "-o", str(tmp_path / "two"), *GRID]) == 0
    assert table(tmp_path / "two.csv")[""] == [str(scan_file), str(other)]
    panels = seen[0].axes
    assert len(panels) == 6
    for above, below in zip(panels[:3], panels[3:], strict=True):
        assert above.get_xlim() == below.get_xlim() and above.get_ylim() == below.get_ylim()


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (["--bands", "90-91,77-79"], 3, "got 90 to 91 GHz, wanted a band"),
        (["--bands", "77-79"], 2, "wanted two bands or more"),
        (["--bands", "77-79,76-79.1"], 2, "got 77 to 79 GHz twice"),
        (["--bands", "77-79,high"], 2, "wanted a number"),
        (["--point", "0,0,900"], 3, "wanted it within"),
        (["more.h5", "still_more.h5"], 2, "wanted one scan"),
        (["nothing.h5"], 3, "no such file"),
    ],
)
def test_bad_input_is_one_line(scan_file, tmp_path, capsys, options, code, complaint):
    try:
        found = bands.main([str(scan_file), *options, "-o", str(tmp_path / "x"), *GRID])
    except SystemExit as stop:
        found = stop.code
    assert found == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compare_bands.py: ") and complaint in line
    assert not list(tmp_path.iterdir())
