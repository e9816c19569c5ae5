"""A strip of copper tape at 15 cm, network analyser, 5.7-8.2 GHz, TX and RX 120 mm apart.

The probe response has to be divided out once for each of the two probes. Then the strip is the brightest thing of the
volume, at z = 155 mm, as the file's name says. Divided out once, range and curvature disagree: the energy lies,
blurred, near z = 390 mm with range sidelobes at 310, 240 and 180 mm; the last of them, where the
curvature is right, shows the strip in focus.
"""

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import load_image
from mmsar.io.importers import import_scan
from mmsar.io.scan_h5 import load_scan
from mmsar.metrics import entropy
from mmsar.model import Image, ImageGrid, Scan
from mmsar.recon.planner import default_grid, explain, reconstruct

VOLUME = ImageGrid.from_extent((-0.1, 0.1), (-0.1, 0.1), (0.1, 0.46), spacing=(2e-3, 2e-3, 5e-3))


def described(power: int = 2) -> dict:
    """The description, with the probe response divided out so many times."""
    tables = tomllib.loads((Path(__file__).parents[1] / "descriptions" / "copper_tape.toml").read_text())
    tables["data"]["divide_by"]["power"] = power
    return tables


class Strip:
    """Size, place and tilt of the bright region of a slice, and the highest value away from it."""

    def __init__(self, image: Image, depth: float, below: float) -> None:
        from scipy.ndimage import label

        grid = image.grid
        plane = np.abs(image.data[np.argmin(np.abs(grid.z - depth))]).astype(float)
        db = 20 * np.log10(plane / plane.max())
        x, y = np.meshgrid(grid.x, grid.y)
        regions, self.count = label(db > below)
        inside = regions == regions.flat[np.argmax(plane)]
        power = np.where(inside, plane**2, 0.0)
        self.centre = tuple(float(np.average(v, weights=power)) for v in (x, y))
        dx, dy = x - self.centre[0], y - self.centre[1]
        axes = np.linalg.eigh(np.cov(np.stack([dx.ravel(), dy.ravel()]), aweights=power.ravel()))[1]
        long = axes[:, 1] * np.sign(axes[1, 1])
        along, across = dx * long[0] + dy * long[1], dx * long[1] - dy * long[0]
        self.length, self.width = float(np.ptp(along[inside])), float(np.ptp(across[inside]))
        self.tilt = float(np.degrees(np.arctan2(long[0], long[1])))
        self.outside = float(db[(np.abs(along) > 0.055) | (np.abs(across) > 0.028)].max())


@pytest.fixture(scope="module")
def tape(tape_file: Path) -> Scan:
    return load_scan(tape_file)


@pytest.fixture(scope="module")
def volume(tape: Scan) -> Image:
    return reconstruct(tape, VOLUME)


def test_by_command(tape_file: Path, tmp_path: Path, capsys) -> None:
    assert main(["info", str(tape_file)]) == 0
    assert "120 mm apart" in capsys.readouterr().out
    image = tmp_path / "tape.h5"
    extent = "--extent=-100,100,-100,100,100,220"
    assert main(["reconstruct", str(tape_file), "-o", str(image), extent, "--spacing", "4,4,5"]) == 0
    assert "> bpa" in capsys.readouterr().err
    assert [step["method"] for step in load_image(image).history if step["step"] == "reconstruct"] == ["bpa"]
    picture = tmp_path / "tape.png"
    assert main(["view", str(image), "--point=10,0,155", "--save", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 30_000


def test_monostatic_methods_are_refused_and_told_why(tape: Scan) -> None:
    lines = {line[2:].split()[0]: line for line in explain(tape, VOLUME).splitlines()[1:]}
    assert lines["bpa"].startswith(">")
    for method in ("rma", "empm", "nufft"):
        assert "not for auto" in lines[method] and "TX-RX separations reach 120 mm, too wide" in lines[method]


def test_the_strip_is_the_brightest_thing_at_its_depth(volume: Image) -> None:
    peaks = volume.magnitude().max(axis=(1, 2))
    z = volume.grid.z
    assert z[np.argmax(peaks)] == pytest.approx(0.155, abs=0.008)
    sharpest = z[np.argmin([entropy(plane) for plane in volume.data])]
    assert sharpest == pytest.approx(0.155, abs=0.008)  # where the echo is, it is also in focus
    beyond = peaks[z > 0.215].max()
    assert 20 * np.log10(beyond / peaks.max()) < -9  # range sidelobe at 240 mm: -10.3 dB


def test_default_grid_finds_the_strip(tape: Scan) -> None:
    grid = default_grid(tape)
    assert grid.z[0] < 0.12  # no blind zone in wavelengths: five of them are 216 mm here
    image = reconstruct(tape, grid)
    z, y, x = np.unravel_index(np.argmax(image.magnitude()), image.data.shape)
    assert grid.z[z] == pytest.approx(0.155, abs=0.03)
    assert np.hypot(grid.x[x] - 0.011, grid.y[y]) < 0.04


def test_size_place_and_tilt_of_the_strip(volume: Image) -> None:
    strip = Strip(volume, 0.155, below=-3)  # 22 x 61 mm at -3 dB
    assert strip.count == 1
    assert 0.018 <= strip.width <= 0.026 and 0.055 <= strip.length <= 0.068
    assert strip.centre[0] == pytest.approx(0.011, abs=0.004) and strip.centre[1] == pytest.approx(-0.003, abs=0.004)
    assert 2.5 < strip.tilt < 8  # to the right at the top; 4.8 degrees
    assert strip.outside < -13  # more than 15 mm from a strip of 25 x 80 mm
    wider = Strip(volume, 0.155, below=-6)  # 31 x 71 mm at -6 dB
    assert 0.027 <= wider.width <= 0.036 and 0.065 <= wider.length <= 0.085


def test_probe_response_divided_out_once_puts_it_too_far(tape_raw: Path, volume: Image) -> None:
    image = reconstruct(import_scan(tape_raw / "CopperTape_15cm.mat", described(power=1)), VOLUME)
    peaks = image.magnitude().max(axis=(1, 2))
    z = image.grid.z
    assert z[np.argmax(peaks)] == pytest.approx(0.39, abs=0.015)
    assert entropy(image.data[np.argmax(peaks)]) > 1 + entropy(
        volume.data[np.argmin(np.abs(z - 0.155))]
    )  # out of focus
    strip = Strip(image, 0.185, below=-3)  # the sidelobe that happens to be in focus: 23 x 67 mm
    assert 0.018 <= strip.width <= 0.028 and 0.058 <= strip.length <= 0.075 and 2.5 < strip.tilt < 8
    assert strip.outside < -13


def test_with_noise(tape_raw: Path, volume: Image) -> None:
    noisy = reconstruct(import_scan(tape_raw / "CopperTape_15cm_6dB_noise.mat", described()), VOLUME)
    strip, clean = Strip(noisy, 0.155, below=-6), Strip(volume, 0.155, below=-6)
    assert strip.width == pytest.approx(clean.width, abs=0.006) and strip.length == pytest.approx(
        clean.length, abs=0.008
    )


def test_probe_response_that_is_missing_or_of_another_length(tape_raw: Path, tmp_path: Path, capsys) -> None:
    shutil.copy(tape_raw / "CopperTape_15cm.mat", tmp_path)
    description = Path(__file__).parents[1] / "descriptions" / "copper_tape.toml"
    command = ["import", str(tmp_path / "CopperTape_15cm.mat"), "-o", str(tmp_path / "scan.h5"), "-d"]
    assert main([*command, str(description)]) == 3
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "ProbeResponse2.mat" in message
    shutil.copy(tape_raw / "ProbeResponse2.mat", tmp_path)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(description.read_text().replace("stride = 4", "stride = 1"))
    assert main([*command, str(wrong)]) == 3
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "stride = 4 would fit" in message
    assert not (tmp_path / "scan.h5").exists()
