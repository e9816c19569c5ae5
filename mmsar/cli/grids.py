"""The options that say on which grid an image is made, and the grid that they mean."""

import argparse
from typing import TYPE_CHECKING

from mmsar.cli.arguments import numbers
from mmsar.cli.notices import warn

IN_METRES = 2.0
"""Boxes that reach no farther than this are most likely meant in metres [mm]."""

if TYPE_CHECKING:
    from mmsar.model import ImageGrid, Scan


def add_grid_options(parser: argparse.ArgumentParser) -> None:
    """Add `--extent`, `--center`, `--spacing` and `--grid`."""
    parser.add_argument("--extent", type=numbers(3, 6), metavar="MM,...", help="x0,x1,y0,y1,z0,z1 or sizes x,y,z [mm]")
    parser.add_argument("--center", type=numbers(3), metavar="X,Y,Z", help="centre of the grid [mm]")
    parser.add_argument("--spacing", type=numbers(1, 3), metavar="MM", help="voxel spacing, one or x,y,z [mm]")
    parser.add_argument("--grid", type=numbers(1, 3), metavar="N", help="number of voxels, one or x,y,z")


def check_grid_options(args: argparse.Namespace) -> None:
    """End with a usage error where they do not go together; before anything is read."""
    if len(args.extent or ()) == 6 and args.center is not None:
        args.fail("argument --center: --extent with six numbers has its own centre; give sizes x,y,z instead")
    if len(args.extent or ()) == 6 and any(a > b for a, b in zip(args.extent[::2], args.extent[1::2], strict=True)):
        args.fail("argument --extent: wanted x0,x1,y0,y1,z0,z1 with the lower end of each axis first")
    if len(args.extent or ()) == 3 and any(v < 0 for v in args.extent):
        args.fail("argument --extent: wanted sizes of 0 mm or more")
    if args.grid is not None and any(v < 1 or v != int(v) for v in args.grid):
        args.fail("argument --grid: wanted whole numbers of voxels, as in 256,256,64")
    if args.spacing is not None and any(v <= 0 for v in args.spacing):
        args.fail("argument --spacing: wanted spacings above 0 mm")
    if args.grid is not None and args.spacing is not None and args.extent is not None:
        args.fail("argument --grid: --extent and --spacing already say how many voxels; leave one of the three out")


def grid_asked_for(args: argparse.Namespace, scan: "Scan") -> "ImageGrid":
    """The grid asked for; what is not said comes from the default grid."""
    from mmsar.model.grid import ImageGrid
    from mmsar.recon.default_grid import default_grid

    far_field = getattr(args, "far_field", False)
    spacing = None if args.spacing is None else [v / 1e3 for v in args.spacing * (3 // len(args.spacing))]
    count = None if args.grid is None else [int(v) for v in args.grid * (3 // len(args.grid))]
    extent = None if args.extent is None else [v / 1e3 for v in args.extent]
    centre = None if args.center is None else [v / 1e3 for v in args.center]
    default = None
    if extent is not None and len(extent) == 6:
        limits = [(extent[0], extent[1]), (extent[2], extent[3]), (extent[4], extent[5])]
    else:
        sizes = extent
        if sizes is None and spacing is not None and count is not None:
            sizes = [(n - 1) * d for n, d in zip(count, spacing, strict=True)]
        if sizes is None or centre is None:
            default = default_grid(scan, far_field=far_field)
        sizes = sizes or [high - low for low, high in default.extent]
        limits = [(c - d / 2, c + d / 2) for c, d in zip(centre or default.centre, sizes, strict=True)]
    if spacing is None and count is not None:
        limits = [((a + b) / 2,) * 2 if n == 1 else (a, b) for (a, b), n in zip(limits, count, strict=True)]
        if any(n > 1 and b <= a for (a, b), n in zip(limits, count, strict=True)):
            args.fail("argument --grid: wanted 1 voxel along an axis without extent")
        spacing = [(b - a) / (n - 1) if n > 1 else 1e-3 for (a, b), n in zip(limits, count, strict=True)]
    elif spacing is None:
        spacing = (default or ImageGrid.from_resolution(scan, z=limits[2])).spacing
    if args.extent is not None and 0 < max(map(abs, args.extent)) < IN_METRES:
        said = ",".join(f"{v:g}" for v in args.extent)
        warn(f"mmsar {args.verb}", f"--extent {said} is in millimetres, less than a wavelength; were metres meant?")
    return ImageGrid.from_extent(*limits, spacing=spacing)
