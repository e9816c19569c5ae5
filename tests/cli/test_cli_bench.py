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
    for row in rows.values():
        assert row["plan_mib"] > 0
        if row["method"] != "bpa":
            assert row["ncc"] ** 2 == pytest.approx(1 - 10 ** (row["error_db"] / 10), abs=2e-3)
    assert rows["turntable", "isar"]["ncc"] > 0.99
    assert rows["freehand", "nufft"]["ncc"] > max(0.99, rows["freehand", "empm"]["ncc"] - 1e-3)


def test_table_has_a_line_per_timing(capsys, monkeypatch):
    timing = bench.Timing("planar", "rma", 0.5, 0.25, 4e9, 8.0, 0.99, -17.0, 2.5)
    monkeypatch.setattr(bench, "measure", lambda name, size, repeat: [timing] if name == "planar" else [])
    assert main(["bench", "--size", "tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "tiny: 256 pairs x 8 frequencies into 4 x 16 x 16 voxels"
    assert lines[-1].split() == ["planar", "rma", "0.500", "0.2500", "4.000", "8.0", "0.9900", "-17.0", "2.5"]


@pytest.mark.parametrize("options", [["--size", "huge"], ["--repeat", "0"], ["--repeat", "x"]])
def test_bad_options_are_usage_errors(capsys, options):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *options])
    assert stop.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_calibration_is_kept_and_scales_what_the_planner_predicts(capsys, monkeypatch, tmp_path):
    from mmsar.recon.predict import predict

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MMSAR_SPEED")
    scan, grid = bench.problem("planar", bench.SIZES["tiny"])
    before = {p.method: p for p in predict(scan.geometry, grid)}
    assert main(["bench", "--calibrate", "--size", "tiny", "--repeat", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + sum(map(len, bench.METHODS.values())) + 2
    stored = json.loads(Path(lines[-1]).read_text())["factors"]
    assert Path(lines[-1]).parent == tmp_path / "mmsar"
    assert set(stored) == {"rma", "empm", "nufft", "isar", "ffbp", "bpa"}
    after = {p.method: p for p in predict(scan.geometry, grid)}
    for method, factor in stored.items():
        assert factor > 0
        assert after[method].seconds == pytest.approx(factor * before[method].seconds)
        assert after[method].memory == before[method].memory
    rma = [float(line.split()[5]) for line in lines if " rma " in line]
    assert rma == [pytest.approx(1, abs=0.02)], "one scan of this method: its factor makes the prediction exact"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"model": MODEL, "factors": {"rma": "fast"}}',
        '{"model": MODEL, "factors": {"rma": -1}}',
        '{"model": MODEL, "factors": 3}',
        '{"model": 1, "factors": {"rma": 0.2}}',
        '{"factors": {"rma": 0.2}}',
    ],
)
def test_a_damaged_calibration_or_one_of_other_constants_counts_as_none(monkeypatch, tmp_path, text):
    from mmsar.recon.speed import MODEL, speed_factors, speed_path

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MMSAR_SPEED")
    speed_path().parent.mkdir()
    speed_path().write_text(text.replace("MODEL", str(MODEL)))
    assert speed_factors() == {}


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--calibrate", "--json"], "argument --calibrate: not together with --json"),
        (["--scaling", "x.png", "--against", "b.json"], "argument --against: not together with --scaling"),
        (["--scaling", "x.txt"], "argument --scaling: got 'x.txt', wanted a file ending in .png"),
        (["--tolerance", "1.5"], "argument --tolerance: got '1.5', wanted a number between 0 and 1"),
    ],
)
def test_modes_exclude_each_other(options, wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *options])
    assert stop.value.code == 2
    assert wrong in capsys.readouterr().err


TINY = bench.Size((1, 8), 8, (2, 8, 8))


def test_scaling_measures_every_axis_and_draws_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(bench.SIZES, "tiny", TINY)
    monkeypatch.setattr(bench, "METHODS", {"planar": ("rma", "bpa"), "turntable": ("isar", "bpa")})
    figure = tmp_path / "scaling.png"
    assert main(["bench", "--size", "tiny", "--repeat", "1", "--scaling", str(figure)]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {tuple(line.split()[:2]): line for line in lines[1:-1]}
    methods = {m for methods in bench.METHODS.values() for m in methods}
    assert set(rows) == {(axis, m) for axis in ("samples", "voxels", "frequencies", "threads") for m in methods}
    assert "at 64, " in rows["samples", "rma"] and rows["samples", "rma"].endswith("at 512")
    assert rows["voxels", "bpa"].endswith("at 1,024") and rows["frequencies", "isar"].endswith("at 64")
    assert lines[-1] == str(figure) and figure.read_bytes().startswith(b"\x89PNG")


def test_slope_is_the_exponent():
    from mmsar.cli.bench_scaling import Curve

    assert Curve("samples", "bpa", (1, 2, 4, 8), (1.0, 4.0, 16.0, 64.0)).slope == pytest.approx(2)


def test_the_guard_compares_ratios(monkeypatch, tmp_path, capsys):
    def timed(speedup):
        rows = [
            bench.Timing("planar", m, 0.5, 0.25, 4e9, s, 0.99, -17.0, 2.5) for m, s in (("rma", speedup), ("bpa", 1.0))
        ]
        monkeypatch.setattr(bench, "measure", lambda name, size, repeat: rows if name == "planar" else [])

    timed(10.0)
    assert main(["bench", "--size", "tiny", "--json"]) == 0
    before = tmp_path / "before.json"
    before.write_text(capsys.readouterr().out)
    against = ["bench", "--size", "tiny", "--against", str(before)]
    timed(6.5)
    assert main(against) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["planar", "rma", "6.5", "10.0", "0.65"]
    assert main([*against, "--tolerance", "0.2"]) == 3
    error = capsys.readouterr().err
    assert "slower than before by more than 20 %: rma on the planar scan 6.5 times bpa, before 10.0" in error
    assert main(["bench", "--size", "small", "--against", str(before)]) == 3
    assert "got timings of size tiny, wanted small" in capsys.readouterr().err
    for content in (b"[]", b"\x89HDF" + bytes(4000)):
        before.write_bytes(content)
        assert main(against) == 3
        error = capsys.readouterr().err
        assert "not what mmsar bench --json prints" in error and len(error) < 300
