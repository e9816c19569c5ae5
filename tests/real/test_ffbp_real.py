"""Factorised back-projection of measured scans: the image of `bpa`, to the error asked for."""

from pathlib import Path

import numpy as np
import pytest

from mmsar.model import ImageGrid, Scan
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct


def agrees(scan: Scan, grid: ImageGrid, wanted: float) -> float:
    """Relative RMS difference from bpa at -70 dB [dB]."""
    image = reconstruct(scan, grid, method="ffbp", options=ReconOptions(error_db=wanted, progress=False))
    exact = reconstruct(scan, grid, method="bpa", options=ReconOptions(error_db=-70.0, progress=False))
    assert image.history[-1]["method"] == "ffbp"
    return float(20 * np.log10(np.linalg.norm(image.data - exact.data) / np.linalg.norm(exact.data)))


@pytest.mark.parametrize("wanted", [-30.0, -40.0])
def test_square_plate_of_a_raster(plate: Scan, wanted: float) -> None:
    part = plate.subset(samples=slice(0, None, 4))
    grid = ImageGrid.from_extent((-0.03, 0.08), (-0.02, 0.04), (0.32, 0.35), spacing=(1e-3, 1e-3, 5e-3))
    assert agrees(part, grid, wanted) <= wanted


@pytest.mark.parametrize("wanted", [-30.0, -40.0])
def test_copper_tape_of_antennas_far_apart(tape_file: Path, wanted: float) -> None:
    from mmsar.io.scan_h5 import load_scan

    grid = ImageGrid.from_extent((-0.1, 0.1), (-0.1, 0.1), (0.1, 0.22), spacing=4e-3)
    assert agrees(load_scan(tape_file), grid, wanted) <= wanted
