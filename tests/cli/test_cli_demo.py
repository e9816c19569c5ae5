"""The demonstration end to end: files, figures in its report, and the difference it is there to show."""

import re

import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import load_image
from mmsar.metrics import contrast, entropy


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "-o", str(folder)]) == 0
    return folder


def test_writes_scan_images_and_figure(demo):
    assert sorted(p.name for p in demo.iterdir()) == ["demo.png", "image_nufft.h5", "image_rma.h5", "scan.h5"]
    assert (demo / "demo.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (demo / "demo.png").stat().st_size > 50_000


def test_the_exact_method_is_sharp_where_planar_migration_is_lost(demo):
    planar, exact = load_image(demo / "image_rma.h5"), load_image(demo / "image_nufft.h5")
    assert planar.grid == exact.grid
    assert entropy(exact) < entropy(planar) - 1
    assert contrast(exact) > 1.5 * contrast(planar)
    near = exact.crop(x=(-0.01, 0.01), y=(0.05, 0.07), z=(0.29, 0.31)).magnitude()
    beside = exact.crop(x=(0.04, 0.08), y=(0.04, 0.07)).magnitude()
    assert near.max() > 6 and near.max() > 10 * beside.max() / 2


def test_history_names_method_check_and_scan(demo):
    step = load_image(demo / "image_nufft.h5").history[-1]
    text = str(load_image(demo / "image_nufft.h5").history)
    assert "nufft" in text and re.search(r"[0-9a-f]{64}", text)
    checks = [s["verify"] for s in load_image(demo / "image_nufft.h5").history if "verify" in s]
    # four boxes drawn by the image's energy tell its error to a dB or two: which ones hangs on its last bits
    assert checks and checks[0]["ncc"] > 0.99 and checks[0]["error_db"] < -22, step


def test_a_file_in_the_way_is_one_line(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["demo", "-o", str(tmp_path / "taken")]) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "taken" in error
