"""Image a scan: picks a method by geometry and predicted error (or takes yours) and writes a complex image.

Lengths are in millimetres. Without a grid the aperture's footprint is imaged over the range that holds energy, at half
a resolution cell. --extent takes six numbers (low and high along x, y, z) or three (the size around --center);
--spacing and --grid (numbers of voxels) take one or three. A negative first number needs the = sign, as below.

With --tiles, --resume, --workers or --cluster the image is made in tiles, kept in IMAGE.h5.tiles until it is written:
--resume goes on where a killed run was. Several scans: -o is a folder, for SCAN_image.h5 each.

--least-squares finds the scene whose echo is nearest to the samples, through the method as a forward model: no
sidelobes, surfaces stay surfaces; where positions are well known. DAMPING keeps noise down, 0.1 more than 0.01.

--sparse finds the fewest spikes whose echoes are the samples, through the method as a forward model, and draws them as
blobs: points closer than the resolution apart, no sidelobes; not for wide smooth surfaces. STRENGTH is the part of the
peak below which nothing is kept.

Example:
  mmsar reconstruct scan.h5 -o image.h5
  mmsar reconstruct scan.h5 -o scene.h5 --least-squares
  mmsar reconstruct scan.h5 -o points.h5 --sparse 0.05 --extent=-60,60,-60,60,300,300 --spacing 1
  mmsar reconstruct scan.h5 -o image.h5 --method nufft --extent=-60,60,-60,60,280,330 --spacing 1,1,5 --verify
  mmsar reconstruct scan.h5 -o image.h5 --method bpa --tiles 32 --resume
  mmsar reconstruct monday.h5 tuesday.h5 -o images --cluster tcp://10.0.0.5:8786
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import count, gibibytes, number
from mmsar.cli.grids import add_grid_options, check_grid_options, grid_asked_for
from mmsar.cli.notices import say_notes, warn

if TYPE_CHECKING:
    from mmsar.model import Image, ImageGrid, Scan
    from mmsar.recon.options import ReconOptions

HELP = "make an image of a scan"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("scan", metavar="SCAN.h5", nargs="+", help="scan to image, or several")
    parser.add_argument("-o", "--output", metavar="IMAGE.h5", help="image to write; of several scans, a folder")
    parser.add_argument(
        "--method", choices=("auto", "rma", "empm", "nufft", "isar", "ffbp", "bpa"), default="auto", help="(auto)"
    )
    add_grid_options(parser)
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
    parser.add_argument("--z-ref", type=number, metavar="MM", help="aperture plane of empm [mm] (mean of the scan)")
    parser.add_argument("--error", type=number, default=-50.0, metavar="DB", help="accuracy of the numerics (-50)")
    parser.add_argument("--memory", type=gibibytes, metavar="GIB", help="memory budget (half of what is free)")
    parser.add_argument("--device", default="auto", help="auto (the CPU), cpu, cuda:N, cuda:N,M or cuda:all")
    parser.add_argument("--background", choices=("none", "pose", "row"), default="none", help="mean to remove first")
    parser.add_argument("--reference", metavar="EMPTY.h5", help="scan of the empty scene to subtract first")
    parser.add_argument(
        "--tiles", nargs="?", type=count, const=True, metavar="N", help="make it in (about N) tiles, one in memory"
    )
    parser.add_argument("--resume", action="store_true", help="make it in tiles, and go on with those that are there")
    parser.add_argument(
        "--sparse", nargs="?", type=_part, const=True, metavar="STRENGTH", help="spikes that explain the samples (0.03)"
    )
    parser.add_argument("--iterations", type=count, metavar="N", help="most in each of the 3 rounds of --sparse (50)")
    parser.add_argument("--restore", type=number, metavar="MM", help="radius of the blobs of --sparse, 0 for spikes")
    parser.add_argument(
        "--least-squares",
        nargs="?",
        type=_damping,
        const=True,
        metavar="DAMPING",
        help="the scene whose echo is nearest to the samples (0.01)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=count, metavar="N", help="make tiles in N processes of this machine (dask)")
    where.add_argument("--cluster", metavar="ADDRESS", help="make tiles on a dask cluster, as tcp://10.0.0.5:8786")
    parser.add_argument("--explain", action="store_true", help="only say which method would be used and why")
    parser.add_argument("--verify", action="store_true", help="compare with back-projection on sub-volumes")
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Condition the scans, image them, write the images."""
    _check_usage(args)
    from mmsar.core.backend import resolve_device
    from mmsar.errors import DeviceError, GeometryError

    device = resolve_device(args.device)
    if device != "cpu" and (args.tiles or args.resume or args.workers or args.cluster):
        raise DeviceError(
            f"device: got {device} with tiles, which are made on CPUs; leave --device out, or --tiles, --resume, "
            "--workers and --cluster: a GPU takes what is larger than it in pieces"
        )
    try:
        args.options = _options(args)
    except GeometryError as error:  # nothing but the command line is in it
        args.fail(str(error))
    pairs = _targets(args)
    if args.tiles or args.resume or args.workers or args.cluster:
        from mmsar.cli.reconstruct_tiled import run_tiled

        return run_tiled(args, pairs)
    return each(pairs, lambda pair: _image_one(args, *pair), several=len(pairs) > 1)


def _options(args: argparse.Namespace) -> "ReconOptions":
    """What was asked for, in SI units."""
    from mmsar.recon.options import LeastSquaresOptions, ReconOptions, SparseOptions

    sparse = least_squares = None
    if args.least_squares is not None:
        damping = {} if args.least_squares is True else {"damping": args.least_squares}
        least_squares = LeastSquaresOptions(**damping)
    if args.sparse is not None:
        asked = {
            "strength": None if args.sparse is True else args.sparse,
            "iterations": args.iterations,
            "restore": None if args.restore is None else args.restore / 1e3,
        }
        sparse = SparseOptions(**{name: value for name, value in asked.items() if value is not None})
    return ReconOptions(
        window=args.window,
        density=args.density,
        phase=args.phase,
        kernel=args.kernel,
        far_field=args.far_field,
        z_ref=None if args.z_ref is None else args.z_ref / 1e3,
        error_db=args.error,
        memory=args.memory,
        verify=args.verify,
        sparse=sparse,
        least_squares=least_squares,
    )


def _targets(args: argparse.Namespace) -> list[tuple[str, str | None]]:
    """(scan, image to write) of every scan."""
    from mmsar.io.atomic import check_target

    if args.output is None:
        return [(path, None) for path in args.scan]
    if len(args.scan) == 1:
        check_target(args.output, sources=(*args.scan, args.reference))
        return [(args.scan[0], args.output)]
    folder = Path(args.output)
    if not folder.is_dir():
        args.fail(f"argument -o/--output: got {args.output}, wanted a folder for several images; make it first")
    pairs = [(path, str(folder / f"{Path(path).stem}_image.h5")) for path in args.scan]
    names = [name for _, name in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        args.fail(f"argument SCAN.h5: two scans would become {twice}; wanted different names, or one at a time")
    for path, name in pairs:
        check_target(name, sources=(path, args.reference))
    return pairs


def each(items: Iterable[Any], work: Callable[[Any], None], *, several: bool) -> int:
    """Do the work for every item; of several, one that fails is told of in a line and does not keep the others."""
    from mmsar.cli import explain_error
    from mmsar.errors import MmsarError

    worst = 0
    for item in items:
        try:
            work(item)
        except (MmsarError, OSError, MemoryError) as error:
            if not several:
                raise
            message, code = explain_error(error)
            print(f"mmsar reconstruct: {' '.join(message.split())}", file=sys.stderr)
            say_notes("mmsar reconstruct", error)
            worst = max(worst, code)
    return worst


def prepared(args: argparse.Namespace, path: str) -> tuple["Scan", "ImageGrid"]:
    """The scan, conditioned as asked for, and the grid to image it on; says what will be done."""
    from mmsar.io.scan_h5 import load_scan
    from mmsar.recon.planner import explain
    from mmsar.recon.request import check_request
    from mmsar.signal.background import remove_mean, subtract_reference

    scan = load_scan(path)
    if args.reference is not None:
        scan = subtract_reference(scan, load_scan(args.reference))
    if args.background != "none":
        scan = remove_mean(scan, axis=args.background)
    check_request(scan, args.method, args.options)
    grid = grid_asked_for(args, scan)
    told = explain(scan, grid, method=args.method, options=args.options)
    print(told, file=sys.stdout if args.explain else sys.stderr)
    return scan, grid


def _image_one(args: argparse.Namespace, path: str, output: str | None) -> None:
    from mmsar.recon.planner import reconstruct

    scan, grid = prepared(args, path)
    if output is not None and not args.explain:
        image = reconstruct(scan, grid, method=args.method, device=args.device, options=args.options)
        write(args, image, scan, (path, output))


def write(args: argparse.Namespace, image: "Image", scan: "Scan", pair: tuple[str, str]) -> None:
    """Write an image and say what is to be known of it; `pair` is scan and image."""
    from mmsar.io.image_h5 import save_image
    from mmsar.recon.default_grid import beyond, tell_beyond

    given = any(value is not None for value in (args.extent, args.center, args.grid, args.spacing))
    image = image if given else tell_beyond(image, scan)
    save_image(image, pair[1], scan_path=pair[0])
    step = image.history[-1]
    if "sparse" in step:
        told = step["sparse"]
        print(
            f"sparse: {told['spikes']} spikes explain {100 * told['explained']:.1f} % of the samples' energy; "
            f"{told['iterations']} iterations, {100 * told['optimality']:.1f} % from the minimum's conditions"
        )
    if "least_squares" in step:
        print(
            f"least squares: the scene explains {100 * step['least_squares']['explained']:.1f} % of the samples' energy"
        )
    if "verify" in step:
        check = step["verify"]
        print(
            f"verify: NCC {check['ncc']:.4f}, error {check['error_db']:.1f} dB against bpa on {check['voxels']} voxels"
        )
    if "warning" in step:
        warn("mmsar reconstruct", f"{step['method']}: {step['warning']}")
    sized = args.extent is not None or args.center is not None or (args.grid is not None and args.spacing is not None)
    note = "" if sized else step.get("beyond", "") if not given else beyond(image, scan)
    if note:
        print(f"mmsar reconstruct: note: {note}", file=sys.stderr)
    print(pair[1])


def _check_usage(args: argparse.Namespace) -> None:
    """Say which options are missing or do not go together, before anything is read."""
    if args.output is None and not args.explain:
        args.fail("the following arguments are required: -o/--output (or --explain)")
    check_grid_options(args)
    if args.sparse is None:
        for name in ("iterations", "restore"):
            if getattr(args, name) is not None:
                args.fail(f"argument --{name}: wanted --sparse with it, which it is of")
    inverse = "sparse" if args.sparse is not None else "least-squares" if args.least_squares is not None else ""
    if not inverse:
        return
    if args.sparse is not None and args.least_squares is not None:
        args.fail("argument --least-squares: got --sparse too, wanted one of them")
    for name in ("tiles", "resume", "workers", "cluster", "verify"):
        if getattr(args, name):
            args.fail(
                f"argument --{inverse}: got --{name} too, wanted one of them: it makes the whole image at once, and "
                "not the one that back-projection makes"
            )
    if args.kernel != "matched":
        args.fail(f"argument --{inverse}: got --kernel {args.kernel} too, wanted it left out")
    if args.restore is not None and args.restore < 0:
        args.fail(f"argument --restore: got {args.restore:g}, wanted a radius of 0 or more [mm]")


def _part(text: str) -> float:
    value = _after_flag(text, "--sparse")
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a part of the peak above 0 and below 1, as 0.03")
    return value


def _damping(text: str) -> float:
    value = _after_flag(text, "--least-squares")
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number above 0 and at most 10, as 0.01")
    return value


def _after_flag(text: str, flag: str) -> float:
    if text.lower().endswith(".h5"):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number, or nothing: put files before {flag}")
    return number(text)
