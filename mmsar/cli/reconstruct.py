"""Image a scan: picks a method by geometry and predicted error (or takes yours) and writes a complex image.

Lengths are in millimetres. Without a grid the aperture's footprint is imaged over the range that holds energy, at half
a resolution cell. --extent takes six numbers (low and high along x, y, z) or three (the size around --center);
--spacing and --grid (numbers of voxels) take one or three. A negative first number needs the = sign, as below.

Example:
  mmsar reconstruct scan.h5 -o image.h5
  mmsar reconstruct scan.h5 -o image.h5 --method nufft --extent=-60,60,-60,60,280,330 --spacing 1,1,5 --verify
"""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmsar.cli.arguments import listed

if TYPE_CHECKING:
    from mmsar.model import ImageGrid, Scan

HELP = "make an image of a scan"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("scan", metavar="SCAN.h5", help="scan to image")
    parser.add_argument("-o", "--output", metavar="IMAGE.h5", help="image to write")
    parser.add_argument(
        "--method", choices=("auto", "rma", "empm", "nufft", "isar", "ffbp", "bpa"), default="auto", help="(auto)"
    )
    parser.add_argument("--extent", type=_numbers(3, 6), metavar="MM,...", help="x0,x1,y0,y1,z0,z1 or sizes x,y,z [mm]")
    parser.add_argument("--center", type=_numbers(3), metavar="X,Y,Z", help="centre of the grid [mm]")
    parser.add_argument("--spacing", type=_numbers(1, 3), metavar="MM", help="voxel spacing, one or x,y,z [mm]")
    parser.add_argument("--grid", type=_numbers(1, 3), metavar="N", help="number of voxels, one or x,y,z")
    parser.add_argument("--window", default="none", help="taper over frequency and aperture, as hann or taylor (none)")
    parser.add_argument("--density", choices=("auto", "on", "off"), default="auto", help="density compensation (auto)")
    parser.add_argument("--phase", choices=("reference", "taylor"), default="reference", help="of rma, empm and isar")
    parser.add_argument(
        "--kernel",
        choices=("matched", "hankel", "exponential", "exponential-sampled"),
        default="matched",
        help="azimuth kernel of isar alone: as back-projection (matched), deconvolving (hankel), the paper's",
    )
    parser.add_argument("--far-field", action="store_true", help="samples are referred to the axis of rotation (isar)")
    parser.add_argument("--z-ref", type=_number, metavar="MM", help="aperture plane of empm [mm] (mean of the scan)")
    parser.add_argument("--error", type=_number, default=-50.0, metavar="DB", help="accuracy of the numerics (-50)")
    parser.add_argument("--memory", type=_number, metavar="GIB", help="memory budget (half of what is free)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--background", choices=("none", "pose", "row"), default="none", help="mean to remove first")
    parser.add_argument("--reference", metavar="EMPTY.h5", help="scan of the empty scene to subtract first")
    parser.add_argument("--explain", action="store_true", help="only say which method would be used and why")
    parser.add_argument("--verify", action="store_true", help="compare with back-projection on sub-volumes")
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Condition the scan, image it, write the image."""
    _check_usage(args)
    from mmsar.core.backend import resolve_device
    from mmsar.io.atomic import check_target
    from mmsar.io.image_h5 import save_image
    from mmsar.io.scan_h5 import load_scan
    from mmsar.recon.default_grid import beyond, tell_beyond
    from mmsar.recon.options import ReconOptions
    from mmsar.recon.planner import explain, reconstruct
    from mmsar.recon.request import check_request
    from mmsar.signal.background import remove_mean, subtract_reference

    if args.output is not None:
        check_target(args.output, sources=(args.scan, args.reference))
    resolve_device(args.device)
    options = ReconOptions(
        window=args.window,
        density=args.density,
        phase=args.phase,
        kernel=args.kernel,
        far_field=args.far_field,
        z_ref=None if args.z_ref is None else args.z_ref / 1e3,
        error_db=args.error,
        memory=None if args.memory is None else int(args.memory * 2**30),
        verify=args.verify,
    )
    scan = load_scan(args.scan)
    if args.reference is not None:
        scan = subtract_reference(scan, load_scan(args.reference))
    if args.background != "none":
        scan = remove_mean(scan, axis=args.background)
    check_request(scan, args.method, options)
    grid = _grid(args, scan)
    print(explain(scan, grid, method=args.method, options=options), file=sys.stdout if args.explain else sys.stderr)
    if args.explain:
        return 0
    given = any(value is not None for value in (args.extent, args.center, args.grid, args.spacing))
    image = reconstruct(scan, grid, method=args.method, device=args.device, options=options)
    image = image if given else tell_beyond(image, scan)
    save_image(image, args.output, scan_path=args.scan)
    step = image.history[-1]
    if "verify" in step:
        check = step["verify"]
        print(
            f"verify: NCC {check['ncc']:.4f}, error {check['error_db']:.1f} dB against bpa on {check['voxels']} voxels"
        )
    if "warning" in step:
        print(f"mmsar reconstruct: warning: {step['method']}: {step['warning']}", file=sys.stderr)
    sized = args.extent is not None or args.center is not None or (args.grid is not None and args.spacing is not None)
    note = "" if sized else step.get("beyond", "") if not given else beyond(image, scan)
    if note:
        print(f"mmsar reconstruct: note: {note}", file=sys.stderr)
    print(args.output)
    return 0


def _grid(args: argparse.Namespace, scan: "Scan") -> "ImageGrid":
    """The grid asked for; what is not said comes from the default grid."""
    from mmsar.model.grid import ImageGrid
    from mmsar.recon.planner import default_grid

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
            default = default_grid(scan, far_field=args.far_field)
        sizes = sizes or [high - low for low, high in default.extent]
        limits = [(c - d / 2, c + d / 2) for c, d in zip(centre or default.centre, sizes, strict=True)]
    if spacing is None and count is not None:
        limits = [((a + b) / 2,) * 2 if n == 1 else (a, b) for (a, b), n in zip(limits, count, strict=True)]
        if any(n > 1 and b <= a for (a, b), n in zip(limits, count, strict=True)):
            args.fail("argument --grid: wanted 1 voxel along an axis without extent")
        spacing = [(b - a) / (n - 1) if n > 1 else 1e-3 for (a, b), n in zip(limits, count, strict=True)]
    elif spacing is None:
        spacing = (default or ImageGrid.from_resolution(scan, z=limits[2])).spacing
    return ImageGrid.from_extent(*limits, spacing=spacing)


def _check_usage(args: argparse.Namespace) -> None:
    """Say which options are missing or do not go together, before anything is read."""
    if args.output is None and not args.explain:
        args.fail("the following arguments are required: -o/--output (or --explain)")
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
    if args.memory is not None and args.memory <= 0:
        args.fail("argument --memory: wanted more than 0 GiB")


def _numbers(*lengths: int) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        values = listed(text)
        if len(values) not in lengths:
            wanted = " or ".join(str(n) for n in lengths)
            raise argparse.ArgumentTypeError(f"got {text!r}, wanted {wanted} numbers separated by commas")
        return values

    return parse


def _number(text: str) -> float:
    return _numbers(1)(text)[0]
