"""The picture of examples/README.md: the image of a raster after one, four, twelve and all of its rows.

    mmsar simulate data/scenes/letters.toml -o letters.h5
    python docs/figures/lab_scripts.py letters.h5    # writes docs/images/live.png and prints how near the last one is

As examples/live_preview.py adds them, in one plane.
"""

import sys
from pathlib import Path

from mmsar.io.scan_h5 import load_scan
from mmsar.metrics import error_db
from mmsar.model import Image, ImageGrid, Scan
from mmsar.recon.growing import GrowingImage
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.view.plot import figure_compare, save_figure

IMAGES = Path(__file__).resolve().parents[1] / "images"
AFTER = (1, 4, 12, 27)
"""Rows after which the image is shown."""
GRID = ImageGrid.from_extent((-0.085, 0.085), (-0.07, 0.07), 0.3, spacing=1e-3)


def grown(scan: Scan) -> dict[str, Image]:
    """The images after some rows."""
    growing, found = GrowingImage(GRID), {}
    for row in range(scan.raster.n_y):
        growing.add(scan.subset(slice(row * scan.raster.n_x, (row + 1) * scan.raster.n_x)))
        if row + 1 in AFTER:
            found[f"row {row + 1} of {scan.raster.n_y}"] = growing.image
    return found


def main() -> None:
    """Draw and print."""
    scan = load_scan(sys.argv[1], lazy=False)
    images = grown(scan)
    save_figure(figure_compare(list(images.values()), list(images)), IMAGES / "live.png")
    whole = reconstruct(scan, GRID, method="bpa", options=ReconOptions(progress=False))
    fit = error_db(list(images.values())[-1], whole)
    print(f"the last picture against bpa of the whole scan: {fit.error_db:.1f} dB, scale {abs(fit.scale):.4f}")


if __name__ == "__main__":
    main()
