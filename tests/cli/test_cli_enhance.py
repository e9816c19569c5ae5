"""`mmsar enhance` as a user runs it: what it writes, what it says, what it refuses in one line."""

import hashlib
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")

from mmsar.cli import main
from mmsar.enhance import weights
from mmsar.enhance.infer import Enhancer
from mmsar.enhance.statistics import fit_statistics
from mmsar.io.image_h5 import load_image, save_image
from mmsar.model import Image, ImageGrid

NETWORKS = Path(__file__).resolve().parents[1] / "enhance" / "networks"
SOFT = str(NETWORKS / "soft.onnx")
SCENE = """
[chirp]
start_ghz = 77.0
bandwidth_ghz = 4.0
sample_rate_ksps = 2000.0
samples = 16
[array]
board = "iwr1443"
[trajectory]
kind = "raster"
rows = 6
columns = 32
step_x_mm = 3.0
step_y_mm = 7.589682
[[scene]]
kind = "points"
positions_mm = [[-20, 10, 300], [18, -12, 300]]
[simulation]
snr_db = 30
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(scan, complex image of it) of two points."""
    folder = tmp_path_factory.mktemp("enhance")
    (folder / "scene.toml").write_text(SCENE)
    scan, image = folder / "scan.h5", folder / "image.h5"
    assert main(["simulate", str(folder / "scene.toml"), "-o", str(scan)]) == 0
    extent = "--extent=-40,40,-40,40,300,300"
    assert main(["reconstruct", str(scan), "-o", str(image), extent, "--spacing", "1"]) == 0
    return scan, image


def fails(capsys, *args, code=3):
    """The one line of an `mmsar enhance` that fails."""
    capsys.readouterr()
    if code == 2:
        with pytest.raises(SystemExit) as stopped:
            main(["enhance", *map(str, args)])
        assert stopped.value.code == 2
    else:
        assert main(["enhance", *map(str, args)]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mmsar enhance: ")
    return line


def test_enhanced_image_and_nothing_else(files, tmp_path, capsys):
    out = tmp_path / "out.h5"
    assert main(["enhance", str(files[1]), "-o", str(out), "--model", SOFT]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "new blobs     0 above -20 dB where the image has nothing above its ground",
        str(out),
    ]
    assert told.err == ""
    before, after = load_image(files[1]), load_image(out)
    assert after.data.dtype == np.float32 and after.grid == before.grid
    np.testing.assert_array_equal(after.data, Enhancer(SOFT)(before.magnitude()))
    step = next(step for step in after.history if step["step"] == "learned enhancement")
    digest = hashlib.sha256(Path(SOFT).read_bytes()).hexdigest()
    assert (step["method"], step["sha256"], step["blend"]) == ("soft", digest, 1.0)
    assert list(tmp_path.iterdir()) == [out]


def test_everything_that_is_checked(files, tmp_path, capsys):
    scan, image = files
    out, report, turns, picture = (tmp_path / name for name in ("o.h5", "r.json", "t.h5", "p.png"))
    command = ["enhance", str(image), "-o", str(out), "--model", SOFT, "--blend", "0.5", "--scan", str(scan)]
    assert main([*command, "--report", str(report), "--disagreement", str(turns), "--picture", str(picture)]) == 0
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == ["new", "disagreement", "echoes", str(out)]
    assert told.err == ""
    found = json.loads(report.read_text())
    assert found["warnings"] == [] and found["input"] is None and found["blobs"] == {"count": 0, "blobs": []}
    assert found["step"]["blend"] == 0.5
    assert 0.9 < found["echoes"]["before"] < 1 and 0.95 < found["echoes"]["ratio"] < 1.05
    assert found["echoes"]["poses"] == 192
    assert found["turns"]["relative"] < 1e-2
    assert load_image(turns).data.max() == pytest.approx(found["turns"]["largest"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    original, enhanced = load_image(image).magnitude(), load_image(out).data
    np.testing.assert_allclose(enhanced, (original + Enhancer(SOFT)(original)) / 2, atol=1e-6)


def test_warnings(files, tmp_path, capsys, monkeypatch):
    """Half of the scene deleted, something drawn, an input unlike the training, another scan: each is said."""
    scan, image = files
    other = tmp_path / "other.h5"
    shutil.copy(scan, other)
    other.write_bytes(other.read_bytes() + b"\0")
    rng = np.random.default_rng(0)

    def call(self, data, *, show=False):
        self.statistics = fit_statistics(rng.rayleigh(size=(30, 32, 32)))
        data = data.copy()
        data[..., : data.shape[-1] // 2] = 0
        data[..., 20:30, -40:-30] = 0.4 * data.max()
        return data

    monkeypatch.setattr(Enhancer, "__call__", call)
    monkeypatch.setattr(Enhancer, "spacing", property(lambda self: 0.3e-3, lambda self, value: None), raising=False)
    args = [str(image), "-o", str(tmp_path / "o.h5"), "--model", SOFT, "--scan", str(other)]
    assert main(["enhance", *args, "--report", str(tmp_path / "r.json")]) == 0
    warnings = capsys.readouterr().err.splitlines()
    assert all(line.startswith("mmsar enhance: warning: ") for line in warnings)
    for text in (
        "pixels of 1 x 1 mm (x, y) are coarse for soft, which draws in pixels of 0.3 mm",
        "the image is unlike those that soft was trained on",
        "bright blobs are where the image shows no more than noise and sidelobes, the brightest at",
        "soft makes something else of the image when it is turned",
        "is not the file that",
        "the echoes bear the enhanced image out less than the original",
    ):
        assert sum(text in line for line in warnings) == 1, text
    assert len(json.loads((tmp_path / "r.json").read_text())["warnings"]) == len(warnings)


def test_refused(files, tmp_path, capsys, monkeypatch):
    scan, image = files
    out = tmp_path / "out.h5"
    assert "it would be lost" in fails(capsys, image, "-o", image, "--model", SOFT)
    assert "it would be lost" in fails(capsys, image, "-o", out, "--model", SOFT, "--report", image)
    assert "it would be lost" in fails(capsys, image, "-o", SOFT, "--model", SOFT)
    assert "got the same file twice" in fails(capsys, image, "-o", out, "--model", SOFT, "--disagreement", out)
    assert "no such file" in fails(capsys, tmp_path / "none.h5", "-o", out, "--model", SOFT)
    assert "wanted a network file" in fails(capsys, image, "-o", out, "--model", "none.onnx")
    assert "wanted a file ending in" in fails(
        capsys, image, "-o", out, "--model", SOFT, "--picture", tmp_path / "p.gif", code=2
    )
    assert "wanted a number from 0 to 1" in fails(capsys, image, "-o", out, "--blend", "1.5", code=2)
    assert "required: -o/--output" in fails(capsys, image, code=2)
    assert "of kind scan, wanted image" in fails(capsys, scan, "-o", out, "--model", SOFT)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    assert "no weights come with this installation" in fails(capsys, image, "-o", out)
    assert "no weights come with this installation" in fails(capsys, image, "-o", out, "--model", "other")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert "pip install 'mmsar[sr]'" in fails(capsys, image, "-o", out, "--model", SOFT)
    assert list(tmp_path.iterdir()) == []


def test_images_that_are_refused(files, tmp_path, capsys):
    out, bad = tmp_path / "out.h5", tmp_path / "bad.h5"
    image = load_image(files[1])
    save_image(image.crop(x=(0, 0.002)), bad)
    assert "got 81 x 3 pixels (y, x), wanted at least 4 x 4" in fails(capsys, bad, "-o", out, "--model", SOFT)
    save_image(image, bad)
    with h5py.File(bad, "r+") as file:
        file["data"][0, 3, 4] = np.nan
    assert "got NaN or infinite voxels" in fails(capsys, bad, "-o", out, "--model", SOFT)
    assert main(["enhance", str(files[1]), "-o", str(tmp_path / "once.h5"), "--model", SOFT]) == 0
    line = fails(capsys, tmp_path / "once.h5", "-o", out, "--model", SOFT)
    assert "that soft has enhanced already, wanted it as reconstructed" in line
    grid = ImageGrid(shape=(1, 40, 40), origin=(0, 0, 0.3), spacing=(1e-3, 1e-3, 1e-3))
    save_image(Image(data=np.ones(grid.shape, np.float32), grid=grid), bad)
    line = fails(capsys, bad, "-o", out, "--model", SOFT, "--scan", files[0])
    assert "got an image of magnitudes, wanted the complex one" in line
    assert not out.exists()


def test_default_network_is_found_by_name(files, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    shutil.copy(SOFT, tmp_path / "gatenet.onnx")
    shutil.copy(NETWORKS / "lopsided.onnx", tmp_path / "second.onnx")
    for more, name in (([], "soft"), (["--model", "second"], "lopsided")):
        assert main(["enhance", str(files[1]), "-o", str(tmp_path / "out.h5"), *more]) == 0
        assert load_image(tmp_path / "out.h5").history[-1]["method"] == name
