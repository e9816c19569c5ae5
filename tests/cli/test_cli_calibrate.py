"""`mmsar calibrate`: from a simulated reflector with a spoiled instrument to a sharp image, and every refusal."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from mmsar.cli import main
from mmsar.io.calibration_h5 import load_calibration
from mmsar.io.image_h5 import load_image
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import Calibration

SCENE = """
[chirp]
start_ghz = 77.0
bandwidth_ghz = 4.0
sample_rate_ksps = 2000.0
samples = 64
[array]
board = "iwr1443"
[trajectory]
kind = "{kind}"
{path}
[[scene]]
kind = "points"
positions_mm = [{points}]
reflectivity = 50.0
[simulation]
snr_db = 20
seed = {seed}
"""
RASTER = "rows = 5\ncolumns = 60\nstep_x_mm = 1.5\nstep_y_mm = 7.59"
TRUTH = Calibration(
    gain=np.exp(2j * np.pi * np.random.default_rng(0).random((2, 4))) * np.linspace(0.8, 1.2, 8).reshape(2, 4),
    range_bias=0.0678,
    delay=np.linspace(-1, 1, 8).reshape(2, 4) * 1e-11,
    delay_frequency=79e9,
)


def record(
    folder: Path, name: str, points: str, *, kind="raster", path=RASTER, seed=1, digest=None, spoil=True
) -> Path:
    """A scan file through `mmsar simulate`, then through an instrument; as int16 as a card would deliver it."""
    scene, file = folder / f"{name}.toml", folder / f"{name}.h5"
    scene.write_text(SCENE.format(kind=kind, path=path, points=points, seed=seed))
    assert main(["simulate", str(scene), "-o", str(file)]) == 0
    scan = load_scan(file)
    signal = scan.read() * (TRUTH.response(scan.chirp.f) if spoil else 1)
    signal = np.rint(np.ascontiguousarray(signal.astype(np.complex64)).view(np.float32) * 20).view(np.complex64)
    attrs = dict(scan.attrs) | ({} if digest is None else {"config_digest": digest})
    from dataclasses import replace

    save_scan(replace(scan, signal=signal, attrs=attrs), file, raw_int16=True)
    return file


@pytest.fixture
def reflector(tmp_path: Path) -> Path:
    return record(tmp_path, "reflector", "[5, -3, 300]", digest="a" * 64)


def fails(capsys, *args: str, code: int = 3) -> str:
    capsys.readouterr()
    if code == 2:
        with pytest.raises(SystemExit) as stopped:
            main(["calibrate", *args])
        assert stopped.value.code == 2
    else:
        assert main(["calibrate", *args]) == code
    return capsys.readouterr().err


def test_a_calibrated_image_is_sharp_where_the_raw_one_is_not(tmp_path: Path, reflector: Path, capsys) -> None:
    cal, done = tmp_path / "cal.h5", tmp_path / "done.h5"
    assert main(["calibrate", str(reflector), "--target-mm", "5,-3,300", "-o", str(cal), "--temperature-c", "40"]) == 0
    out = capsys.readouterr().out
    assert "range bias  67.8" in out and "held out" in out and out.rstrip().endswith(str(cal))
    scene = record(tmp_path, "scene", "[-10, 8, 320], [20, -5, 300]", seed=2, digest="a" * 64)
    assert main(["calibrate", str(scene), "--apply", str(cal), "-o", str(done)]) == 0
    history = [step["step"] for step in load_scan(done).attrs["history"]]
    assert history == ["simulate", "attach calibration", "calibrate"]
    peaks = {}
    for name, scan in (("raw", scene), ("calibrated", done)):
        image = tmp_path / f"{name}.image.h5"
        grid = ["--extent=-25,35,-20,20,280,400", "--spacing", "1,1,4", "--method", "bpa"]
        assert main(["reconstruct", str(scan), "-o", str(image), *grid]) == 0
        found = load_image(image)
        magnitude = found.magnitude()
        z, y, x = np.unravel_index(int(magnitude.argmax()), magnitude.shape)
        peaks[name] = float(magnitude.max())  # a channel out of phase takes from the peak
        if name == "calibrated":
            place = np.array([found.grid.x[x], found.grid.y[y], found.grid.z[z]])
            assert min(np.abs(place - p).max() for p in ([-0.01, 0.008, 0.32], [0.02, -0.005, 0.3])) < 3e-3
    assert peaks["calibrated"] > 1.5 * peaks["raw"], peaks


def test_json_gives_the_injected_errors_back(tmp_path: Path, reflector: Path, capsys) -> None:
    cal = tmp_path / "cal.h5"
    capsys.readouterr()
    assert main(["calibrate", str(reflector), "--target-mm", "5,-3,300", "-o", str(cal), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    gain = np.array(report["gain"]) @ [1, 1j]
    ratio = gain / TRUTH.response(np.array([report["delay_frequency"]]))[..., 0]
    assert np.degrees(np.abs(np.angle(ratio / ratio[0, 0]))).max() < 1
    assert abs(report["range_bias"] - 0.0678) < 0.5e-3
    assert report["config_digest"] == "a" * 64 and report["held_out_phase"] < np.radians(10)
    stored = load_calibration(cal)
    np.testing.assert_allclose(stored.gain, gain)
    assert main(["info", str(cal)]) == 0
    assert "calibration of 2 TX x 4 RX from reflector at 5.00,-3.00,300.00 mm" in capsys.readouterr().out
    assert main(["info", str(cal), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "calibration"


def test_stationary_and_check_on_another_place(tmp_path: Path, capsys) -> None:
    still = "positions = 30\nstep_mm = 0.0"
    first = record(tmp_path, "first", "[0, 0, 300]", kind="linear", path=still)
    second = record(tmp_path, "second", "[-40, 20, 400]", seed=4)
    cal = tmp_path / "cal.h5"
    assert main(["calibrate", str(first), "--target-mm", "0,0,300", "--stationary", "-o", str(cal)]) == 0
    assert "stood still" in capsys.readouterr().out
    assert main(["calibrate", str(second), "--target-mm=-40,20,400", "--check", str(cal)]) == 0
    assert "\nwithin 10 degrees and 1/20 cell" in capsys.readouterr().out
    assert main(["calibrate", str(second), "--target-mm=-40,20,400", "--check", str(cal), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["good"] is True
    assert "leave --stationary out" in fails(
        capsys, str(second), "--target-mm=-40,20,400", "--stationary", "-o", str(cal)
    )


def test_another_configuration_is_refused_unless_forced(tmp_path: Path, reflector: Path, capsys) -> None:
    cal, done = tmp_path / "cal.h5", tmp_path / "done.h5"
    assert main(["calibrate", str(reflector), "--target-mm", "5,-3,300", "-o", str(cal)]) == 0
    other = record(tmp_path, "other", "[0, 0, 300]", digest="b" * 64)
    assert "wanted bbbbbbbbbbbb" in fails(capsys, str(other), "--apply", str(cal), "-o", str(done))
    assert not done.exists()
    assert main(["calibrate", str(other), "--apply", str(cal), "-o", str(done), "--force"]) == 0
    steps = {step["step"]: step for step in load_scan(done).attrs["history"]}
    assert "aaaaaaaaaaaa" in steps["attach calibration"]["forced"]
    assert "calibrated already" in fails(capsys, str(done), "--apply", str(cal), "-o", str(tmp_path / "twice.h5"))


def test_empty_scene_is_subtracted(tmp_path: Path, capsys) -> None:
    room, both = "[60, 40, 420], [-50, 0, 250]", "[5, -3, 300], [60, 40, 420], [-50, 0, 250]"
    empty = record(tmp_path, "empty", room, seed=5)
    scan = record(tmp_path, "scan", both, seed=6)
    clean = tmp_path / "clean.h5"
    assert main(["calibrate", str(scan), "--subtract-empty", str(empty), "-o", str(clean)]) == 0
    assert load_scan(clean).attrs["history"][-1]["step"] == "subtract reference"
    power = [float(np.mean(np.abs(load_scan(f).read()) ** 2)) for f in (scan, clean)]
    assert power[1] < 0.5 * power[0]
    cal = tmp_path / "cal.h5"
    fit = ["--target-mm", "5,-3,300", "--subtract-empty", str(empty), "-o", str(cal), "--json"]
    capsys.readouterr()
    assert main(["calibrate", str(scan), *fit]) == 0
    assert abs(json.loads(capsys.readouterr().out)["range_bias"] - 0.0678) < 0.5e-3
    done = tmp_path / "done.h5"
    assert main(["calibrate", str(scan), "--apply", str(cal), "--subtract-empty", str(empty), "-o", str(done)]) == 0
    short = record(tmp_path, "short", room, path=RASTER.replace("rows = 5", "rows = 4"), seed=5)
    assert "--empty-mean" in fails(capsys, str(scan), "--subtract-empty", str(short), "-o", str(done))
    assert main(["calibrate", str(scan), "--subtract-empty", str(short), "--empty-mean", "-o", str(done)]) == 0


def test_an_imported_calibration_applies_with_a_warning(tmp_path: Path, reflector: Path, capsys) -> None:
    chirp = load_scan(reflector).chirp
    response = TRUTH.response(np.array([chirp.f0]))[..., 0]
    savemat(tmp_path / "calData.mat", {"calData": 1 / response.reshape(-1, 1)})
    delay = 2 * 0.0678 / 299792458.0 + TRUTH.delay.reshape(-1, 1)
    savemat(tmp_path / "delay.mat", {"delayOffset": delay})
    cal, done = tmp_path / "cal.h5", tmp_path / "done.h5"
    source = ["--import", str(tmp_path / "calData.mat"), "--delays", str(tmp_path / "delay.mat")]
    assert main(["calibrate", str(reflector), *source, "-o", str(cal)]) == 0
    assert "range bias  67.800 mm" in capsys.readouterr().out
    assert main(["calibrate", str(reflector), "--target-mm", "5,-3,300", "--check", str(cal)]) == 0
    assert "\nwithin" in capsys.readouterr().out
    assert main(["calibrate", str(reflector), "--apply", str(cal), "-o", str(done)]) == 0
    assert "not checked" in capsys.readouterr().err


def test_saturated_samples_are_refused(tmp_path: Path, reflector: Path, capsys) -> None:
    with h5py.File(reflector, "r+") as file:
        data = file["signal"][...].astype(float) * 100
        file["signal"][...] = np.clip(data, -32768, 32767).astype(np.int16)
    args = ["--target-mm", "5,-3,300", "-o", str(tmp_path / "cal.h5")]
    assert "converter's limit" in fails(capsys, str(reflector), *args)
    assert not (tmp_path / "cal.h5").exists()


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "something to do"),
        (["--target-mm", "0,0,300"], "-o/--output"),
        (["--target-mm", "0,0"], "wanted x,y,z"),
        (["--check", "cal.h5"], "wanted --target-mm"),
        (["--target-mm", "0,0,300", "--check", "cal.h5", "-o", "x.h5"], "writes nothing"),
        (["--apply", "cal.h5", "--refine", "-o", "x.h5"], "--refine: wanted only with --target-mm"),
        (["--apply", "cal.h5", "--target-mm", "0,0,300", "-o", "x.h5"], "not allowed with"),
        (["--target-mm", "0,0,300", "--force", "-o", "x.h5"], "--force: wanted only with --apply"),
        (["--target-mm", "0,0,300", "--tx", "0", "-o", "x.h5"], "--tx: wanted only with --import"),
        (["--import", "a.mat", "--tx", "0,-1", "-o", "x.h5"], "whole numbers from 0"),
        (["--import", "a.mat", "--subtract-empty", "e.h5", "-o", "x.h5"], "reads no samples"),
        (["--apply", "cal.h5", "--empty-mean", "-o", "x.h5"], "--empty-mean: wanted only"),
        (["--target-mm", "0,0,300", "--bias-mm", "3,1", "-o", "x.h5"], "lower one first"),
        (["--target-mm", "0,0,300", "--bias-mm", "3", "-o", "x.h5"], "two numbers"),
        (["--target-mm", "0,0,300", "--sphere-mm", "0", "-o", "x.h5"], "above 0"),
        (["--apply", "cal.h5", "--temperature-c", "20", "-o", "x.h5"], "--temperature-c: wanted only"),
        (["--target-mm", "0,0,300", "--temperature-c", "warm", "-o", "x.h5"], "wanted a number"),
    ],
)
def test_usage(capsys, args: list[str], complaint: str) -> None:
    assert complaint in fails(capsys, "scan.h5", *args, code=2)


def test_files_that_are_not_there_or_of_another_kind(tmp_path: Path, reflector: Path, capsys) -> None:
    target = ["--target-mm", "5,-3,300", "-o", str(tmp_path / "cal.h5")]
    assert "no such file" in fails(capsys, str(tmp_path / "none.h5"), *target)
    assert "its folder does not exist" in fails(capsys, str(reflector), *target[:-1], str(tmp_path / "no" / "cal.h5"))
    assert "of kind scan, wanted calibration" in fails(
        capsys, str(reflector), "--apply", str(reflector), "-o", str(tmp_path / "x.h5")
    )
    assert "it fits better at 5." in fails(capsys, str(reflector), "--target-mm", "9,-3,300", "-o", target[-1])
