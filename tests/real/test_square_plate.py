"""The square plate, a real 77 GHz raster scan, from raw row files to numbers.

Depth: the echo's delay (with the documented 67.8 mm of range bias) puts the plate at 345 +- 2 mm, the four receivers
between 343 and 348; its edges are sharpest at 330-335 mm, the distance that the curvature of the wavefronts tells. The
10-15 mm between the two are a quarter of a range cell, and what 0.08 ns more instrument delay would explain.
x is relative to the middle of the receivers.
"""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.metrics import edge_width, error_db, ncc
from mmsar.model import AntennaArray, Image, ImageGrid, Scan
from mmsar.recon.planner import reconstruct
from mmsar.signal.calibrate import apply_calibration

FOCUS = 0.3325
"""Depth at which the edges are sharpest [m]."""
PLATE = (-0.023, 0.0735)
"""Left and right edge [m]."""
INNER = ((0.0, 0.065), (0.0, 0.035))
"""x and y of a part of the plate without its edges [m]."""


def within(axis: np.ndarray, low: float, high: float) -> np.ndarray:
    """Mask of the positions of an axis in [low, high] [m]."""
    return (axis >= low - 1e-9) & (axis <= high + 1e-9)


def part(plane: np.ndarray, grid: ImageGrid, x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
    """The part of a plane (n_y, n_x) in x and y [m]."""
    return plane[np.ix_(within(grid.y, *y), within(grid.x, *x))]


def level(plane: np.ndarray, grid: ImageGrid) -> float:
    """Median magnitude on the plate."""
    return float(np.median(part(plane, grid, *INNER)))


def edges(plane: np.ndarray, grid: ImageGrid) -> tuple[float, float, float]:
    """Median 10-90 % widths of the left, right (rows y = 0..30 mm) and lower edge (columns x = 5..65 mm) [mm]."""
    bright = level(plane, grid)

    def width(axis: np.ndarray, cut: np.ndarray, low: float, high: float) -> float:
        there = within(axis, low, high)
        return 1e3 * edge_width(axis[there], cut[there], levels=(0, bright))

    rows, columns = plane[within(grid.y, 0.0, 0.03)], plane[:, within(grid.x, 0.005, 0.065)].T
    left = np.nanmedian([width(grid.x, row, -0.045, 0.012) for row in rows])
    right = np.nanmedian([width(grid.x, row, 0.045, 0.1) for row in rows])
    lower = np.nanmedian([width(grid.y, column, -0.04, 0.01) for column in columns])
    return float(left), float(right), float(lower)


def over_background(plane: np.ndarray, grid: ImageGrid, x: tuple[float, float], y: tuple[float, float]) -> float:
    """The plate over the RMS of a place beside it [dB]."""
    return float(20 * np.log10(level(plane, grid) / np.sqrt(np.mean(part(plane, grid, x, y) ** 2))))


@pytest.fixture(scope="module")
def volume(plate: Scan) -> Image:
    grid = ImageGrid.from_extent((-0.13, 0.13), (-0.06, 0.06), (0.25, 0.45), spacing=(2e-3, 2e-3, 2e-3))
    return reconstruct(plate, grid, method="rma")


@pytest.fixture(scope="module")
def fine() -> ImageGrid:
    """Half a millimetre across the plate, at the depth of sharpest edges."""
    return ImageGrid.from_extent((-0.12, 0.12), (-0.04, 0.06), FOCUS, spacing=0.5e-3)


@pytest.fixture(scope="module")
def sharp(plate: Scan, fine: ImageGrid) -> np.ndarray:
    return reconstruct(plate, fine, method="rma").magnitude()[0]


def test_from_raw_files_to_a_picture_by_command(plate_file: Path, tmp_path: Path, capsys) -> None:
    assert main(["info", str(plate_file)]) == 0
    told = capsys.readouterr().out
    for text in ("16,000 poses x 1 TX x 4 RX x 512 samples", "40 rows x 400", "77.380 GHz", "range bias 67.79 mm"):
        assert text in told
    image = tmp_path / "image.h5"
    extent = "--extent=-130,130,-60,60,250,450"
    assert main(["reconstruct", str(plate_file), "-o", str(image), extent, "--spacing", "2,2,5"]) == 0
    assert "> rma" in capsys.readouterr().err  # a plane raster with a small array: the fastest method will do
    picture = tmp_path / "plate.png"
    assert main(["view", str(image), "--save", str(picture)]) == 0
    head = picture.read_bytes()[:24]
    width, height = struct.unpack(">II", head[16:24])
    assert head.startswith(b"\x89PNG") and width > 600 and height > 400 and picture.stat().st_size > 30_000
    capsys.readouterr()
    assert main(["metrics", str(image), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)["metrics"]
    x, y, z = numbers["position_m"]
    assert PLATE[0] < x < PLATE[1] and -0.015 < y < 0.06 and z == pytest.approx(0.345, abs=0.012)
    vti = tmp_path / "plate.vti"
    assert main(["export", str(image), str(vti)]) == 0
    assert vti.read_bytes().startswith(b"<?xml") and vti.stat().st_size > 131 * 61 * 41 * 4


def test_depth_and_contrast_over_the_next_range_cells(volume: Image) -> None:
    energy = (volume.magnitude().astype(float) ** 2).sum(axis=(1, 2))
    z = volume.grid.z
    assert 0.33 <= z[np.argmax(energy)] <= 0.35
    for other in (0.28, 0.40):
        assert 10 * np.log10(energy.max() / energy[np.argmin(np.abs(z - other))]) >= 11  # 15.9 and 12.3
    half = z[energy > energy.max() / 2]
    assert np.ptp(half) < 0.05  # one range cell of 42 mm


def test_the_edges_are_sharp(plate: Scan, sharp: np.ndarray, fine: ImageGrid) -> None:
    left, right, lower = edges(sharp, fine)  # 2.9, 4.5 and 5.6 mm
    assert left < 3.3 and right < 5.1 and lower < 6.3  # a sixth more than that is too much
    deeper = ImageGrid.from_extent((-0.12, 0.12), (-0.04, 0.06), 0.36, spacing=0.5e-3)
    blurred = edges(reconstruct(plate, deeper, method="rma").magnitude()[0], deeper)
    assert blurred[0] > 6 and blurred[1] > 6 and blurred[2] > 6.3  # and the bounds can fail


def test_dark_spots_and_the_slot(sharp: np.ndarray, fine: ImageGrid) -> None:
    x, y = np.meshgrid(fine.x, fine.y)
    for at in ((12.5, 11.0), (57.0, 1.0), (-13.0, 16.5)):
        far = np.hypot(x - at[0] * 1e-3, y - at[1] * 1e-3)
        near = far < 5e-3
        lowest = np.argmin(np.where(near, sharp, np.inf))
        around = np.median(sharp[(far > 7e-3) & (far < 12e-3)])
        assert 20 * np.log10(sharp.flat[lowest] / around) < -6, at
        assert far.flat[lowest] < 3e-3, at
    for row in np.flatnonzero(within(fine.y, -0.012, 0.0)):
        dip = sharp[row, within(fine.x, -0.011, 0.002)].min()
        assert 20 * np.log10(dip / np.median(sharp[row, within(fine.x, 0.012, 0.05)])) < -6


def test_size_and_background(sharp: np.ndarray, fine: ImageGrid) -> None:
    rows = within(fine.y, 0.002, 0.03)
    cut = np.sqrt(np.mean(sharp[rows].astype(float) ** 2, axis=0))
    bright = fine.x[cut > level(sharp, fine) / 2]
    assert 0.094 <= np.ptp(bright) <= 0.098
    assert bright[0] == pytest.approx(PLATE[0], abs=1.5e-3) and bright[-1] == pytest.approx(PLATE[1], abs=1.5e-3)
    assert over_background(sharp, fine, (0.085, 0.105), (-0.03, 0.03)) >= 30
    assert over_background(sharp, fine, (-0.12, -0.08), (-0.04, 0.02)) >= 33


def test_four_receivers_beat_one(plate: Scan, sharp: np.ndarray, fine: ImageGrid) -> None:
    alone = reconstruct(plate.subset(rx=[0]), fine, method="rma").magnitude()[0]
    beside = ((0.085, 0.12), (-0.03, 0.03))
    assert over_background(sharp, fine, *beside) > over_background(alone, fine, *beside) + 1.0  # 1.9 dB
    assert edges(sharp, fine)[2] < edges(alone, fine)[2]  # the lower edge; left and right differ by 0.3 mm and less


def test_calibration_adds_the_receivers_in_phase_and_says_where_the_tx_is(plate: Scan) -> None:
    grid = ImageGrid.from_extent((-0.03, 0.08), (-0.02, 0.04), FOCUS, spacing=1e-3)
    gain = plate.calibration.gain[0]
    bare = replace(
        plate.subset(samples=slice(0, None, 4)), calibration=replace(plate.calibration, gain=np.ones((1, 4)))
    )
    bare = apply_calibration(bare)

    def images(tx: np.ndarray) -> list[np.ndarray]:
        """The image of every receiver alone, gains not taken out."""
        turned = replace(bare, array=AntennaArray(tx=tx, rx=plate.array.rx))
        return [reconstruct(turned.subset(rx=[j]), grid, method="rma").data[0] for j in range(4)]

    def coherence(parts: list[np.ndarray], factor: np.ndarray) -> float:
        """Norm of the sum of the receivers' images over that of the sum of their magnitudes."""
        scaled = [part / g for part, g in zip(parts, factor, strict=True)]
        return float(np.linalg.norm(sum(scaled)) / np.linalg.norm(sum(np.abs(part) for part in scaled)))

    here, mirrored = images(plate.array.tx), images(-plate.array.tx)
    assert coherence(here, gain) > 0.999  # 0.9994
    assert coherence(here, gain) > coherence(here, np.abs(gain)) + 0.003  # 0.995
    assert coherence(here, gain) > coherence(mirrored, gain) + 0.002  # TX beyond the other end of the receivers: 0.997


def test_methods_agree(plate: Scan) -> None:
    grid = ImageGrid.from_extent((0.02, 0.085), (-0.03, 0.02), (0.325, 0.345), spacing=(1e-3, 1e-3, 10e-3))
    exact = reconstruct(plate, grid, method="bpa")
    for method in ("rma", "empm", "nufft"):
        image = reconstruct(plate, grid, method=method)
        assert ncc(image, exact) > 0.999
        assert error_db(image, exact).error_db < -40
        assert abs(error_db(image, exact).scale) == pytest.approx(1, abs=0.01)
