"""`mmsar view` and `mmsar metrics`: what they write and print, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import save_image
from mmsar.model import Image, ImageGrid

PEAK = (0.004, -0.006, 0.3)


def make_image(scale: complex = 1.0, *, error: float = 0.0) -> Image:
    grid = ImageGrid(shape=(12, 40, 44), origin=(-0.043, -0.039, 0.24), spacing=(2e-3, 2e-3, 10e-3))
    nulls = (4e-3, 4e-3, 40e-3)
    x, y, z = (np.sinc((getattr(grid, a) - p) / n) for a, p, n in zip("xyz", PEAK, nulls, strict=True))
    rng = np.random.default_rng(0)
    noise = error * (rng.standard_normal(grid.shape) + 1j * rng.standard_normal(grid.shape))
    return Image(data=scale * (z[:, None, None] * y[:, None] * x + noise), grid=grid)


@pytest.fixture
def image_file(tmp_path: Path) -> str:
    path = tmp_path / "image.h5"
    save_image(make_image(), path)
    return str(path)


@pytest.mark.parametrize(
    ("options", "name", "magic"),
    [
        ([], "a.png", b"\x89PNG"),
        (["--kind", "slices", "--floor", "-40"], "b.pdf", b"%PDF"),
        (["--point=-10,0,300", "--title", "left"], "c.svg", b"<?xml"),
    ],
)
def test_view_saves_a_figure(image_file, tmp_path, capsys, options, name, magic) -> None:
    target = tmp_path / name
    assert main(["view", image_file, "--save", str(target), *options]) == 0
    assert target.read_bytes().startswith(magic)
    assert capsys.readouterr().out.strip() == str(target)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give --save"),
        (["--save", "x.jpg"], ".png, .pdf, .svg"),
        (["--save", "x.png", "--floor", "5"], "below 0"),
        (["--save", "x.png", "--point", "1,2"], "x,y,z in millimetres"),
        (["--save", "x.png", "--point", "1,2,3", "--kind", "mips"], "slices"),
    ],
)
def test_view_refuses_bad_usage_with_exit_2(image_file, monkeypatch, capsys, options, words) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mmsar.view.plot.can_show", lambda: False)
    with pytest.raises(SystemExit) as stop:
        main(["view", image_file, *options])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_bad_files_and_points_exit_3_with_one_line(image_file, tmp_path, capsys) -> None:
    (tmp_path / "text.h5").write_text("not an image")
    for command in (
        ["view", str(tmp_path / "text.h5"), "--save", str(tmp_path / "o.png")],
        ["view", image_file, "--save", str(tmp_path / "no" / "o.png")],
        ["view", image_file, "--save", str(tmp_path / "o.png"), "--point", "900,0,300"],
        ["metrics", str(tmp_path / "missing.h5")],
        ["metrics", image_file, "--point", "900,0,300"],
    ):
        assert main(command) == 3
        error = capsys.readouterr().err
        assert error.startswith(f"mmsar {command[0]}: ")
        assert error.count("\n") == 1
    assert not (tmp_path / "o.png").exists()


def test_metrics_prints_a_table_with_normalisations(image_file, capsys) -> None:
    assert main(["metrics", image_file]) == 0
    out = capsys.readouterr().out
    rows = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "4 " in rows["peak at x y z [mm]"]
    assert "-13.2" in rows["PSLR x y z [dB]"]
    assert "-3 dB" in rows["width x y z [mm]"]
    assert "sum p ln p" in rows["entropy [nat]"]


def test_metrics_json_is_si(image_file, capsys) -> None:
    assert main(["metrics", image_file, "--point", "4,-6,300", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(found["metrics"]["position_m"], PEAK, atol=2e-4)
    np.testing.assert_allclose(found["metrics"]["width_m"], np.multiply(0.886, (4e-3, 4e-3, 40e-3)), rtol=0.02)
    assert found["reference"] is None
    assert set(found["normalisation"]) == set(found["metrics"])


def test_metrics_against_a_reference(image_file, tmp_path, capsys) -> None:
    other = tmp_path / "other.h5"
    save_image(make_image(2j, error=0.01), other)
    assert main(["metrics", image_file, "--reference", str(other), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    expected = 10 * np.log10(1 - found["ncc"] ** 2)
    assert found["error_db"] == pytest.approx(expected, abs=1e-6)
    assert found["scale_db"] == pytest.approx(6.02, abs=0.05)
    assert found["scale_phase_degree"] == pytest.approx(90, abs=1)
    assert 0 < found["ssim"] < 1
    magnitude = tmp_path / "magnitude.h5"
    save_image(Image(data=make_image().magnitude(), grid=make_image().grid), magnitude)
    assert main(["metrics", image_file, "--reference", str(magnitude)]) == 0
    out = capsys.readouterr().out
    assert "compared as magnitude images" in out
    assert "inf" in out
    with pytest.raises(SystemExit) as stop:
        main(["metrics", image_file, "--reference", str(other), "--point", "0,0,300"])
    assert stop.value.code == 2


def test_what_cannot_be_told_is_null_with_a_note(tmp_path, capsys) -> None:
    path = tmp_path / "slice.h5"
    save_image(make_image().crop(z=(0.295, 0.305)), path)
    assert main(["metrics", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["width_m"][2] is None
    assert any("one voxel" in note for note in found["notes"])
    assert main(["metrics", str(path)]) == 0
    out = capsys.readouterr().out
    assert "n/a" in out
    assert "note: z: one voxel" in out


def test_view_draws_scans_and_pairs_of_images(image_file, tmp_path, capsys) -> None:
    from mmsar.io.scan_h5 import save_scan
    from mmsar.model import AntennaArray, Chirp, Scan, Trajectory

    chirp = Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=64)
    beat = np.exp(2j * chirp.k * 0.3).astype(np.complex64)
    path = Trajectory.linear(12, 1e-3)
    array = AntennaArray(tx=np.zeros((1, 3)), rx=np.zeros((1, 3)), name="one")
    scan_file, target = str(tmp_path / "scan.h5"), str(tmp_path / "o.svg")
    signal = np.broadcast_to(beat, (12, 1, 1, 64)) * np.exp(1j * np.arange(12))[:, None, None, None]
    save_scan(Scan(signal=signal.astype(np.complex64), chirp=chirp, array=array, trajectory=path), scan_file)
    for command, words in (
        ([scan_file], "12 poses"),
        ([scan_file, "--kind", "range"], "scene: "),
        ([image_file, image_file, "--title", "twice"], "twice"),
        ([image_file, "--kind", "psf"], "mm at -3 dB"),
        ([image_file, "--kind", "phase"], "faded below -20 dB"),
    ):
        assert main(["view", *command, "--save", target]) == 0
        assert words in Path(target).read_text()
    for command, words in (
        ([scan_file, "--kind", "psf"], "is a scan"),
        ([scan_file, "--floor", "-20"], "no decibels"),
        ([image_file, "--kind", "aperture"], "is no scan"),
        ([image_file, image_file, "--kind", "psf"], "by projections"),
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(["view", *command, "--save", target])
        assert stop.value.code == 2
        assert words in capsys.readouterr().err
