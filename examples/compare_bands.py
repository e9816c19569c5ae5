"""Compare two bands of the chirp on the same scene: images side by side, cuts through a point, a table of numbers.

Of one scan two bands of its samples are imaged, by default its lower and its upper half; --bands 77-81,77-79 sets the
whole sweep against a part. Of two scans of the same scene, recorded with two chirps, each is imaged as it is. All
images are on one grid and have the same limits; each is in dB re its own peak. The table goes to standard output and,
as the figures, into files: OUT.png, OUT-psf.png and OUT.csv.

What a lab would change: `ROWS`, the numbers of the table; `--point`, a reflector whose response it knows; the imager's
options in `image_of`.

Example:
  mmsar simulate data/scenes/point_grid.toml -o points.h5
  python examples/compare_bands.py points.h5 -o bands --bands 77-81,77-79 --point 0,0,300
  python examples/compare_bands.py at77.h5 at79.h5 -o chirps
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmsar.cli import guarded
from mmsar.cli.arguments import number
from mmsar.cli.grids import add_grid_options, check_grid_options, grid_asked_for
from mmsar.cli.parser import Parser, script_parser
from mmsar.cli.points import parse_point
from mmsar.io.atomic import atomic_path, check_target
from mmsar.io.scan_h5 import load_scan
from mmsar.metrics import contrast, entropy, ncc, point_response
from mmsar.model import Image, ImageGrid, Scan
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.view.plot import figure_compare, figure_psf, save_figure

ROWS = (
    *("first frequency [GHz]", "last frequency [GHz]", "bandwidth [MHz]", "range cell c/2B [mm]"),
    *("peak x [mm]", "peak y [mm]", "peak z [mm]", "width x [mm]", "width y [mm]", "width z [mm]"),
    *("PSLR x [dB]", "PSLR y [dB]", "PSLR z [dB]", "ISLR 3-D [dB]", "entropy [nat]", "contrast"),
    "NCC of magnitudes with the first",
)


def build_parser() -> Parser:
    """The options."""
    parser = script_parser("compare_bands.py", __doc__)
    parser.add_argument("scans", nargs="+", metavar="SCAN.h5", help="one scan, or two of the same scene")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="begin of the files' names")
    parser.add_argument("--bands", type=bands, metavar="GHZ,...", help="of one scan: low-high, two or more of them")
    parser.add_argument("--point", type=parse_point, metavar="X,Y,Z", help="point to measure [mm] (the brightest)")
    parser.add_argument("--method", default="auto", help="of mmsar reconstruct (%(default)s)")
    parser.add_argument("--window", default="none", help="taper over frequency and aperture (%(default)s)")
    parser.add_argument("--floor", type=float, default=-30.0, metavar="DB", help="of the images (%(default)g)")
    add_grid_options(parser)
    return parser


def bands(text: str) -> list[tuple[float, float]]:
    """Bands [Hz] from 77-79,79-81."""
    found = [tuple(number(end) * 1e9 for end in part.split("-")) for part in text.split(",")]
    if len(found) < 2 or any(len(band) != 2 or band[0] >= band[1] for band in found):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted two bands or more in GHz, as 77-79,79-81")
    return found


def parts_of(scan: Scan, wanted: list[tuple[float, float]] | None) -> dict[str, Scan]:
    """A scan's bands by name; its lower and its upper half when none are named."""
    f = scan.chirp.f
    middle = len(f) // 2
    slices = [scan.chirp.samples_in(*band) for band in wanted or [(f[0], f[middle - 1]), (f[middle], f[-1])]]
    return {name_of(part): part for part in (scan.subset(samples=band) for band in slices)}


def name_of(scan: Scan) -> str:
    """A band by its first and last frequency."""
    return f"{scan.chirp.f[0] * 1e-9:.4g} to {scan.chirp.f[-1] * 1e-9:.4g} GHz"


def image_of(scan: Scan, grid: ImageGrid, args: argparse.Namespace) -> Image:
    """The image of one band."""
    return reconstruct(scan, grid, method=args.method, options=ReconOptions(window=args.window, progress=False))


def column(scan: Scan, image: Image, first: Image, point: tuple[float, float, float] | None) -> list[float]:
    """The numbers of `ROWS` for one band."""
    chirp, found = scan.chirp, point_response(image, point)
    return [
        *(chirp.f[0] * 1e-9, chirp.f[-1] * 1e-9, chirp.bandwidth * 1e-6, chirp.range_resolution * 1e3),
        *(value * 1e3 for value in (*found.position, *found.width)),
        *(*found.pslr, found.islr_3d, entropy(image), contrast(image), ncc(image, first, kind="magnitude")),
    ]


def cuts_figure(images: dict[str, Image], point: tuple[float, float, float] | None) -> Figure:
    """Cuts through the point, a row per band, with the same limits in every row."""
    wide = [n > 1 for n in next(iter(images.values())).data.shape[::-1]]
    figure = Figure(figsize=(3.8 * sum(wide) + 0.4, 3.4 * len(images)), layout="constrained")
    grid = figure.subplots(len(images), sum(wide), squeeze=False, sharey=True)
    for axes, (name, image) in zip(grid, images.items(), strict=True):
        figure_psf(image, point=point, title=name, axes=axes)
    for axes in grid.T:
        limits = np.array([panel.get_xlim() for panel in axes])
        for panel in axes:
            panel.set_xlim(limits[:, 0].min(), limits[:, 1].max())
    entries = grid[0, 0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def run(args: argparse.Namespace) -> int:
    """Image, compare, write."""
    check_grid_options(args)
    if len(args.scans) > 2 or (len(args.scans) == 2 and args.bands):
        args.fail("wanted one scan (perhaps with --bands), or two scans without --bands")
    pictures, cuts, table = (args.output.with_name(args.output.name + end) for end in (".png", "-psf.png", ".csv"))
    for target in (pictures, cuts, table):
        check_target(target, sources=args.scans)
    scans = [load_scan(path) for path in args.scans]
    grid = grid_asked_for(args, max(scans, key=lambda scan: scan.chirp.bandwidth))
    parts = parts_of(scans[0], args.bands) if len(scans) == 1 else dict(zip(args.scans, scans, strict=True))
    if len(parts) < 2:
        args.fail(f"got {next(iter(parts))} twice, wanted two bands or scans that differ")
    images = {name: image_of(part, grid, args) for name, part in parts.items()}
    first = next(iter(images.values()))
    columns = [column(parts[name], image, first, args.point) for name, image in images.items()]
    save_figure(figure_compare(list(images.values()), list(images), floor=args.floor), pictures)
    save_figure(cuts_figure(images, args.point), cuts)
    table_rows = list(zip(ROWS, *columns, strict=True))
    with atomic_path(table) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("", *images), *table_rows])
    wide = [max(map(len, ROWS)), *(max(len(name), 9) for name in images)]
    for label, *row in [("", *images), *([label, *(f"{v:.4g}" for v in row)] for label, *row in table_rows)]:
        print(f"{label:{wide[0]}}", *(f"{text:>{n}}" for text, n in zip(row, wide[1:], strict=True)), sep="  ")
    print(*(str(path) for path in (pictures, cuts, table)), sep="\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script."""
    args = build_parser().parse_args(argv)
    return guarded("compare_bands.py", lambda: run(args), debug=args.debug)


if __name__ == "__main__":
    sys.exit(main())
