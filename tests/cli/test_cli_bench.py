"""`mmsar bench` measures every method it promises and says how well they agree; no time is asserted."""

import json

import pytest

from mmsar.cli import bench, main


def test_json_covers_every_method_and_agrees_with_back_projection(capsys):
    assert main(["bench", "--size", "tiny", "--repeat", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = {(t["scan"], t["method"]): t for t in report["timings"]}
    assert set(rows) == {(scan, method) for scan, methods in bench.METHODS.items() for method in methods}
    for row in rows.values():
        assert row["image_s"] > 0
        assert row["pairs_per_s"] > 0
    for scan in bench.METHODS:
        assert rows[scan, "bpa"]["ncc"] == pytest.approx(1, abs=1e-4)
        assert rows[scan, "bpa"]["speedup"] == 1
    assert rows["planar", "rma"]["ncc"] > 0.9
    assert rows["turntable", "isar"]["ncc"] > 0.99
    assert rows["freehand", "nufft"]["ncc"] > max(0.99, rows["freehand", "empm"]["ncc"] - 1e-3)


def test_table_has_a_line_per_timing(capsys, monkeypatch):
    timing = bench.Timing("planar", "rma", 0.5, 0.25, 4e9, 8.0, 0.99)
    monkeypatch.setattr(bench, "measure", lambda name, size, repeat: [timing] if name == "planar" else [])
    assert main(["bench", "--size", "tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "tiny: 256 pairs x 8 frequencies into 4 x 16 x 16 voxels"
    assert lines[-1].split() == ["planar", "rma", "0.500", "0.2500", "4.000", "8.0", "0.9900"]


@pytest.mark.parametrize("options", [["--size", "huge"], ["--repeat", "0"], ["--repeat", "x"]])
def test_bad_options_are_usage_errors(capsys, options):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *options])
    assert stop.value.code == 2
    assert options[0] in capsys.readouterr().err
