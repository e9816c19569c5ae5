"""A model airplane on a turntable at 220 GHz, far-field data referred to the axis: imported, and what it shows.

The four combinations of sign and direction give the same image mirrored, as sharp as each other: nothing in far-field
samples tells them apart. With sign "positive" the side that faces the radar is the brighter one.
"""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import load_image
from mmsar.io.importers import import_scan
from mmsar.metrics import entropy
from mmsar.model import Scan
from mmsar.signal.cylinder import round_of

AXIS = (np.arange(280) - 140) * 3e-3
DESCRIPTION = Path(__file__).parents[1] / "descriptions" / "airplane.toml"


def plane_wave_image(scan: Scan) -> np.ndarray:
    """sum s exp(+2j k r.u) over frequencies and angles, (z, x): range profiles, read between their samples."""
    k, n = scan.chirp.k, 16384
    u = scan.virtual_position[:, 0, 0] / np.linalg.norm(scan.virtual_position[:, 0, 0], axis=-1, keepdims=True)
    step = np.pi / (n * (k[1] - k[0]))
    profiles = np.fft.ifft(scan.signal[:, 0, 0], n, axis=1) * n
    image = np.zeros((len(AXIS), len(AXIS)), complex)
    for profile, (ux, _, uz) in zip(profiles, u, strict=True):
        r = AXIS[:, None] * uz + AXIS[None, :] * ux
        low = np.floor(r / step)
        part, low = r / step - low, low.astype(int) % n
        image += (profile[low] * (1 - part) + profile[(low + 1) % n] * part) * np.exp(2j * k[0] * r)
    return image


def test_the_arc_and_its_frequencies(airplane: Scan) -> None:
    assert airplane.shape == (300, 1, 1, 500) and airplane.attrs["far_field"] is True
    assert airplane.chirp.f[[0, -1]] == pytest.approx([16 * 13.449e9, 16 * 14.25e9])
    cylinder = round_of(airplane.geometry)
    assert cylinder.radius == pytest.approx(1.0) and not cylinder.closed
    assert np.rad2deg(cylinder.step) == pytest.approx(0.01125)
    assert np.rad2deg(cylinder.span) == pytest.approx(299 * 0.01125)


def test_info(airplane_file: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["info", str(airplane_file)]) == 0
    out = capsys.readouterr().out
    assert "far field, referred to the axis" in out and "3.364 degrees" in out and "warning" not in out
    assert main(["info", str(airplane_file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["sampling"]["round"]
    assert found["alias_radius"] > 1.5 and found["resolution_across"] == pytest.approx(11.5e-3, rel=0.02)


def test_the_airplane_is_there(airplane: Scan) -> None:
    image = plane_wave_image(airplane)
    assert entropy(image) <= 8.05
    power = np.abs(image) ** 2
    bright = power > 1e-2 * power.max()
    for axis in (0, 1):
        inside = AXIS[bright.any(axis=axis)]
        assert 0.3 < np.ptp(inside) < 0.55 and np.abs(inside).max() < 0.3
    shown = np.hypot(*np.meshgrid(AXIS, AXIS)) < 0.3
    assert power[shown].sum() > 0.98 * power.sum()
    z = np.broadcast_to(AXIS[:, None], power.shape)
    assert power[z < 0].sum() > 2 * power[z > 0].sum()  # the radar looks along +z, from the side of negative z


def test_axes_the_other_way_round_are_refused(
    airplane_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    text = DESCRIPTION.read_text().replace('["sample", "angle"]', '["angle", "sample"]')
    (tmp_path / "wrong.toml").write_text(text)
    command = ["import", str(airplane_raw), "-d", str(tmp_path / "wrong.toml"), "-o", str(tmp_path / "scan.h5")]
    assert main(command) == 3
    assert "got 300 along axis sample, wanted 500" in capsys.readouterr().err


def test_the_other_sign_and_sense_are_mirror_images(airplane_raw: Path, airplane: Scan) -> None:
    tables = tomllib.loads(DESCRIPTION.read_text())
    tables["waveform"]["sign"], tables["scan"]["direction"] = "negative", "cw"
    other = np.abs(plane_wave_image(import_scan(airplane_raw, tables)))[1:]
    np.testing.assert_allclose(other, np.abs(plane_wave_image(airplane))[:0:-1], atol=1e-3 * other.max())


def test_the_imager_shows_it_from_the_file(airplane_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """As a user runs it: isar by plane waves, as sharp as the sum over all samples."""
    out = tmp_path / "image.h5"
    extent = "--extent=-420,417,0,0,-420,417"
    assert main(["reconstruct", str(airplane_file), "-o", str(out), extent, "--spacing", "3"]) == 0
    assert "> isar" in capsys.readouterr().err
    image = load_image(out)
    assert image.grid.shape == (280, 1, 280)
    assert entropy(image) <= 8.05
    power = image.magnitude()[:, 0] ** 2
    x, z = np.meshgrid(image.grid.x, image.grid.z)
    inside = np.hypot(x, z) < 0.3
    assert power[inside].sum() > 0.97 * power.sum()
    assert [step["kernel"] for step in image.history if step["step"] == "reconstruct"] == ["far_field"]
