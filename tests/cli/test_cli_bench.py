"""`mmsar bench` measures every method it promises and says how well they agree; no time is asserted."""

import json
from pathlib import Path

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


def test_calibration_is_kept_and_scales_what_the_planner_predicts(capsys, monkeypatch, tmp_path):
    from mmsar.recon.predict import predict

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scan, grid = bench._problem("planar", bench.SIZES["tiny"])
    before = {p.method: p for p in predict(scan.geometry, grid)}
    assert main(["bench", "--calibrate", "--size", "tiny", "--repeat", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + sum(map(len, bench.METHODS.values())) + 2
    stored = json.loads(Path(lines[-1]).read_text())["factors"]
    assert Path(lines[-1]).parent == tmp_path / "mmsar" and set(stored) == {"rma", "empm", "nufft", "isar", "bpa"}
    after = {p.method: p for p in predict(scan.geometry, grid)}
    for method, factor in stored.items():
        assert factor > 0
        assert after[method].seconds == pytest.approx(factor * before[method].seconds)
        assert after[method].memory == before[method].memory
    rma = [float(line.split()[5]) for line in lines if " rma " in line]
    assert rma == [pytest.approx(1, abs=0.02)], "one scan of this method: its factor makes the prediction exact"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"factors": {"rma": "fast"}}', '{"factors": {"rma": -1}}', '{"factors": 3}']
)
def test_a_damaged_calibration_counts_as_none(monkeypatch, tmp_path, text):
    from mmsar.recon.speed import speed_factors, speed_path

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    speed_path().parent.mkdir()
    speed_path().write_text(text)
    assert speed_factors() == {}


def test_calibration_prints_no_json(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "--calibrate", "--json"])
    assert stop.value.code == 2
    assert "--calibrate prints a table" in capsys.readouterr().err
