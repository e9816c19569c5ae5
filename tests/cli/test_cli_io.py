"""mmsar import, info and export from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import save_image
from mmsar.io.importers.iq_layout import encode
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import AntennaArray, Chirp, Image, ImageGrid, Scan, Trajectory

REPO_ROOT = Path(__file__).resolve().parents[2]
DATA = REPO_ROOT.parent / "shared" / "data"

TOML = """
format = "ti-raw"
[waveform]
start_ghz = 77.0
slope_mhz_us = 60.0
adc_start_us = 5.0
sample_rate_ksps = 9000
samples = 16
[capture]
layout = "4lane"
rx = 1
[scan]
n_x = 4
n_y = 3
x_step_mm = 2.5
y_step_mm = 0.9
direction = "serpentine"
first_row = "bottom"
[array]
board = "iwr1443"
use_tx = [1]
use_rx = [4]
"""


def run(capsys: pytest.CaptureFixture, *argv: object) -> tuple[int, str, str]:
    try:
        code = main([str(word) for word in argv])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    echo = np.round(2000 * np.exp(2j * np.pi * 3 * np.arange(16) / 16))
    encode(np.ones((12, 1, 1, 1)) * echo, "4lane").tofile(tmp_path / "a.bin")
    (tmp_path / "a.toml").write_text(TOML)
    return tmp_path / "a.bin"


def test_import_then_info(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out_path = tmp_path / "scan.h5"
    code, out, err = run(capsys, "import", raw, "-o", out_path, "--check-sign")
    assert (
        code == 0 and out == f"{out_path}\n" and "12 poses x 1 TX x 1 RX x 16 samples" in err and "sign check: +" in err
    )
    scan = load_scan(out_path)
    assert scan.shape == (12, 1, 1, 16) and scan.raster.serpentine
    assert scan.attrs["history"][0]["description"]["waveform"]["start_ghz"] == 77.0

    code, out, _ = run(capsys, "info", out_path, "--z", 250)
    assert code == 0 and out.startswith(f"{out_path}: scan of 12 poses") and "raster of 3 rows x 4" in out
    assert "77.300 GHz" in out and "IWR1443BOOST" in out and "at 250 mm" in out and "history     import" in out
    assert "warning     x: pitch 2.50 mm is coarser than lambda/4" in out and "y: pitch" not in out
    assert "pose times not recorded" in out

    code, out, _ = run(capsys, "info", out_path, "--json")
    report = json.loads(out)
    assert code == 0 and report["kind"] == "scan" and report["shape"]["pose"] == 12
    assert report["sampling"]["x"]["pitch"] == pytest.approx(2.5e-3) and report["sampling"]["warnings"]


def test_info_of_a_turntable(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    chirp, array = Chirp.stepped(77e9, 4e9 / 8, 8), AntennaArray.iwr1443()
    for name, span in (("circle", None), ("arc", np.deg2rad(60))):
        table = Trajectory.turntable(360, 0.25, heights=[0.0], span=span)
        save_scan(
            Scan(signal=np.ones((360, 2, 4, 8), np.complex64), chirp=chirp, array=array, trajectory=table),
            tmp_path / f"{name}.h5",
        )
    code, out, _ = run(capsys, "info", tmp_path / "circle.h5")
    assert code == 0 and "warning" not in out and "mm deep in z" not in out
    assert "round the y axis, radius 250.0 mm, within 0.00 mm; the whole circle, 6.6 mm high" in out
    assert "every 1 degrees: free of ghosts within 53 mm of the axis; every 0.95 mm (y)" in out
    assert "0.68 mm in the plane of rotation" in out
    assert "residual    phase left by compensating pairs to one antenna [degrees]: 3." in out and "at 100 mm" in out
    assert "over the antennas' heights" not in out  # there is one
    high = Trajectory.turntable(12, 0.25, heights=(np.arange(16) - 7.5) * 7.589682e-3)
    save_scan(
        Scan(signal=np.ones((192, 2, 4, 8), np.complex64), chirp=chirp, array=array, trajectory=high), tmp_path / "h.h5"
    )
    assert (
        "at the middle height; over the antennas' heights up to 6.9 (y = " in run(capsys, "info", tmp_path / "h.h5")[1]
    )
    _, out, _ = run(capsys, "info", tmp_path / "arc.h5")
    assert "59.83 degrees (-90.0 to -30.2)" in out  # 359 steps of a sixth of a degree
    assert "across and" in out and "along the middle angle" in out
    report = json.loads(run(capsys, "info", tmp_path / "circle.h5", "--json")[1])["sampling"]
    assert report["x"] is None and report["round"]["radius"] == pytest.approx(0.25)
    assert [ring["rho"] for ring in report["round"]["residual"]] == [0.025, 0.05, 0.1]


def test_import_refusals(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    raw.with_suffix(".toml").write_text(TOML.replace("first_row", "frist_row"))
    code, out, err = run(capsys, "import", raw, "-o", tmp_path / "scan.h5")
    assert code == 3 and out == "" and err.count("\n") == 1
    assert err == "mmsar import: a.toml: [scan] frist_row: unknown key; did you mean first_row?\n"
    assert not (tmp_path / "scan.h5").exists()
    code, _, err = run(capsys, "import", raw, "-o", tmp_path / "none" / "scan.h5")
    assert code == 3 and "folder does not exist" in err
    assert run(capsys, "import", raw)[0] == 2
    raw.with_suffix(".toml").write_text(TOML.replace("samples = 16", 'samples = 16\nsign = "negative"'))
    code, _, err = run(capsys, "import", raw, "-o", tmp_path / "scan.h5", "--check-sign")
    assert code == 3 and 'set [waveform] sign = "positive"' in err
    raw.with_suffix(".toml").unlink()
    code, _, err = run(capsys, "import", raw, "-o", tmp_path / "scan.h5")
    assert code == 3 and "raw data does not describe itself" in err


def test_an_undecided_sign_is_a_warning(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    echo = np.round(2000 * np.cos(2 * np.pi * 3 * np.arange(16) / 16))
    encode(np.ones((12, 1, 1, 1)) * (echo + 0j), "4lane").tofile(raw)
    code, _, err = run(capsys, "import", raw, "-o", tmp_path / "scan.h5", "--check-sign")
    assert code == 0 and "warning: sign check undecided" in err


@pytest.fixture
def image(tmp_path: Path) -> Path:
    data = np.zeros((2, 3, 4), np.complex64)
    data[1, 2, 0] = 0.5j
    grid = ImageGrid(shape=(2, 3, 4), origin=(-0.1, 0.2, 0.3), spacing=(1e-3, 2e-3, 3e-3))
    save_image(Image(data=data, grid=grid, history=({"step": "reconstruct", "method": "bpa"},)), tmp_path / "i.h5")
    return tmp_path / "i.h5"


def test_info_of_an_image(image: Path, capsys: pytest.CaptureFixture) -> None:
    code, out, _ = run(capsys, "info", image)
    assert code == 0 and "image of 4 x 3 x 2 voxels (x, y, z), complex64" in out
    assert "peak        0.5 at x, y, z = -100.0, 204.0, 303.0 mm" in out and "reconstruct: method=bpa" in out
    report = json.loads(run(capsys, "info", image, "--json")[1])
    assert report["peak"]["position"] == pytest.approx([-0.1, 0.204, 0.303])
    assert report["extent"]["z"] == pytest.approx([0.3, 0.303])


@pytest.mark.parametrize("ending", ["vti", "npz", "mat"])
def test_export(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture, ending: str) -> None:
    target = tmp_path / f"o.{ending}"
    code, out, _ = run(capsys, "export", image, target)
    assert code == 0 and out == f"{target}\n" and target.stat().st_size > 100


def test_export_png(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("mmsar.view.plot", reason="the view module is not there")
    code, _, err = run(capsys, "export", image, tmp_path / "o.png")
    assert code == 0, err
    assert (tmp_path / "o.png").read_bytes().startswith(b"\x89PNG")


def test_export_and_info_refusals(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    code, _, err = run(capsys, "export", image, tmp_path / "o.stl")
    assert code == 2 and ".vti, .npz, .mat, .png" in err
    code, _, err = run(capsys, "export", tmp_path / "none.h5", tmp_path / "o.vti")
    assert code == 3 and "none.h5: no such file" in err
    code, _, err = run(capsys, "info", tmp_path)
    assert code == 3 and "got a folder" in err
    assert run(capsys, "info", image, "--z", "0")[0] == 2
    assert run(capsys, "info", image, "--z", "near")[0] == 2
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("verb", ["import", "info", "export"])
def test_help_has_an_example(verb: str, capsys: pytest.CaptureFixture) -> None:
    code, out, _ = run(capsys, verb, "--help")
    assert code == 0 and "Example:" in out and f"mmsar {verb}" in out
