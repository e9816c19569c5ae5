"""`mmsar simulate`: a scene file in, a scan file out, and one line when something is wrong."""

import numpy as np
import pytest

from mmsar.cli import main

SCENE = """
[chirp]
start_ghz = 77.0
bandwidth_ghz = 4.0
sample_rate_ksps = 2000.0
samples = 8
[array]
board = "iwr1443"
[trajectory]
kind = "linear"
positions = 3
step_mm = 2.0
[[scene]]
kind = "points"
positions_mm = [[0, 0, 300.0]]
[simulation]
snr_db = 20
"""


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.toml"
    path.write_text(SCENE)
    return path


def run(scene, output, *options):
    from mmsar.io.scan_h5 import load_scan

    assert main(["simulate", str(scene), "-o", str(output), *options]) == 0
    return load_scan(output)


def test_writes_a_scan_that_can_be_read(scene, tmp_path, capsys):
    out = tmp_path / "scan.h5"
    scan = run(scene, out)
    assert scan.shape == (3, 2, 4, 8)
    assert scan.attrs["history"][0]["step"] == "simulate"
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    assert "1 points, 3 poses" in captured.err


def test_seed_and_snr_replace_those_of_the_file(scene, tmp_path):
    read = lambda name, *options: run(scene, tmp_path / name, *options).read()  # noqa: E731
    first = read("a.h5")
    np.testing.assert_array_equal(first, read("b.h5"))
    assert not np.array_equal(first, read("c.h5", "--seed", "9"))
    clean = read("d.h5", "--snr", "200")
    np.testing.assert_allclose(np.abs(clean), 1.0, rtol=1e-5)
    assert np.std(np.abs(read("e.h5", "--snr", "-20"))) > 2


@pytest.mark.parametrize("options", [["--seed", "-1"], ["--seed", "x"], ["--snr", "nan"], ["--snr", "loud"]])
def test_bad_options_are_usage_errors(scene, tmp_path, capsys, options):
    with pytest.raises(SystemExit) as caught:
        main(["simulate", str(scene), "-o", str(tmp_path / "scan.h5"), *options])
    assert caught.value.code == 2
    assert "wanted" in capsys.readouterr().err


def test_bad_scene_is_one_line_and_leaves_nothing(scene, tmp_path, capsys):
    scene.write_text(SCENE.replace("samples = 8", "sampels = 8"))
    out = tmp_path / "scan.h5"
    assert main(["simulate", str(scene), "-o", str(out)]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "sampels" in err and "misspelling" in err
    assert [p.name for p in tmp_path.iterdir()] == ["scene.toml"]


def test_missing_scene_is_one_line(tmp_path, capsys):
    assert main(["simulate", str(tmp_path / "none.toml"), "-o", str(tmp_path / "s.h5")]) == 3
    assert "no such file" in capsys.readouterr().err
