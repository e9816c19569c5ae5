"""Look at an image: projections or slices in dB relative to the peak with millimetre axes, or the volume itself.

--save writes .png, .pdf or .svg, of the volume .png, or one turn of it as .gif (.mp4 with imageio-ffmpeg); without it a
window opens where there is a display. In 3-D, --kind is volume, iso (surfaces at --levels), slices3d or points; several
images stand beside each other, and --scan draws where the antennas were. Where 3-D cannot be drawn, the projections
are written instead to a .png, with a line that says why and exit code 4.
A negative first number needs the = sign: --point=-20,0,335 --levels=-20,-6.

Example:
  mmsar view image.h5 --save image.png
  mmsar view image.h5 --kind slices --point 0,20,335 --floor -40 --save slices.pdf
  mmsar view image.h5 image_sr.h5 --save both.png
  mmsar view image.h5 --3d --scan scan.h5 --save volume.png
  mmsar view image.h5 image_sr.h5 --kind iso --levels=-15,-6 --save turn.gif
"""

import argparse
import math
import sys
from pathlib import Path

HELP = "show an image, or save a figure of it"
FLAT = ("mips", "slices")
SOLID = ("volume", "iso", "slices3d", "points")
CAMERAS = ("oblique", "front", "radar", "side", "top")
PICTURES_3D = (".png", ".gif", ".mp4")
NOT_DRAWN = 4
"""Exit code where 3-D was asked for and cannot be drawn."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    from mmsar.cli.points import parse_point

    parser.add_argument("images", metavar="IMAGE.h5", nargs="+", help="image to show; several: beside each other")
    parser.add_argument("--save", metavar="FILE", help="figure to write: .png, .pdf, .svg; 3-D: .png, .gif, .mp4")
    parser.add_argument("--3d", dest="solid", action="store_true", help="in three dimensions (needs mmsar[viz])")
    parser.add_argument("--kind", choices=FLAT + SOLID, help="mips (default) or slices; 3-D: volume (default), ...")
    parser.add_argument("--floor", type=_below_zero, default=-30.0, metavar="DB", help="lower end of the range (-30)")
    parser.add_argument("--point", type=parse_point, metavar="X,Y,Z", help="where to slice [mm]; default: the peak")
    parser.add_argument("--levels", type=_levels, metavar="DB,...", help="isosurfaces; the lowest: where points begin")
    parser.add_argument("--scan", metavar="SCAN.h5", help="3-D: draw its phase centres")
    parser.add_argument("--camera", choices=CAMERAS, help="3-D: where to look from (oblique)")
    parser.add_argument("--title", help="heading")
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Draw the figure, then save or show it."""
    solid = args.solid or args.kind in SOLID or (args.save or "").lower().endswith((".gif", ".mp4"))
    if solid and args.kind in FLAT:
        args.fail(f"argument --kind: {args.kind} are not 3-D; wanted one of {', '.join(SOLID)}")
    if args.levels and args.kind not in ("iso", "points"):
        args.fail("argument --levels: only surfaces and points have levels; give --kind iso or points")
    if not solid and (args.scan or args.camera):
        args.fail(f"argument --{'scan' if args.scan else 'camera'}: it is for 3-D; give --3d")
    return _run_solid(args) if solid else _run_flat(args)


def _run_flat(args: argparse.Namespace) -> int:
    from mmsar.io.image_h5 import load_image
    from mmsar.view import plot

    if args.save is None and not plot.can_show():
        args.fail("there is no display to open a window on; give --save FILE.png")
    if args.save is not None and Path(args.save).suffix.lower() not in plot.FORMATS:
        args.fail(f"argument --save: got {args.save!r}, wanted a file ending in {', '.join(plot.FORMATS)}")
    if args.point is not None and args.kind == "mips":
        args.fail("argument --point: projections have no point; give --kind slices")
    slices = args.kind == "slices" or args.point is not None
    if slices and len(args.images) > 1:
        args.fail(f"got {len(args.images)} images, wanted one for slices; several are shown by projections or in 3-D")
    images = [load_image(path) for path in args.images]
    names = [Path(path).name for path in args.images]
    if len(images) > 1:
        figure = plot.figure_compare(images, names, floor=args.floor, title=args.title)
    elif slices:
        figure = plot.figure_slices(images[0], point=args.point, floor=args.floor, title=args.title or names[0])
    else:
        figure = plot.figure_mips(images[0], floor=args.floor, title=args.title or names[0])
    if args.save is None:
        plot.show_figure(figure)
    else:
        plot.save_figure(figure, args.save)
        print(args.save)
    return 0


def _run_solid(args: argparse.Namespace) -> int:
    from mmsar.io.image_h5 import load_image
    from mmsar.io.scan_h5 import load_scan
    from mmsar.view.look import Look
    from mmsar.view.rendering import has_display, rendering

    if args.save is None and not has_display():
        args.fail("there is no display to open a window on; give --save FILE.png")
    if args.save is not None and Path(args.save).suffix.lower() not in PICTURES_3D:
        args.fail(f"argument --save: got {args.save!r}, wanted a file ending in {', '.join(PICTURES_3D)} for 3-D")
    if args.point is not None and args.kind not in ("slices3d", None):
        args.fail("argument --point: only slices go through a point; give --kind slices3d")
    kind = args.kind or ("slices3d" if args.point is not None else "volume")
    look = Look(
        kind=kind, floor=args.floor, levels=args.levels or (), point=args.point, camera=args.camera or "oblique"
    )
    if fault := rendering().fault:
        return _instead(args, fault)
    images = [load_image(path) for path in args.images]
    names = [Path(path).name for path in args.images]
    titles = [args.title] if args.title and len(names) == 1 else names
    aperture = None if args.scan is None else load_scan(args.scan, lazy=True).virtual_position
    if args.save is None:
        from mmsar.view.volume_window import show_window

        show_window(images, titles=titles, look=look, aperture=aperture)
    else:
        from mmsar.view.volume import save_scene

        save_scene(images, args.save, titles=titles, look=look, aperture=aperture)
        print(args.save)
    return 0


def _instead(args: argparse.Namespace, fault: str) -> int:
    """The projections in place of what cannot be drawn, where a file can hold them; never exit code 0."""
    if args.save is None or not args.save.lower().endswith(".png"):
        print(f"mmsar view: 3-D cannot be drawn here, nothing was written: {fault}", file=sys.stderr)
        return NOT_DRAWN
    args.kind, args.point = "mips", None
    _run_flat(args)
    print(f"mmsar view: 3-D cannot be drawn here, {args.save} has the projections: {fault}", file=sys.stderr)
    return NOT_DRAWN


def _levels(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(-1000 < value < 0 for value in values):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted numbers below 0 [dB re peak], as in -20,-6")
    return values


def _below_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -1000 < value < 0:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number below 0 [dB re peak]")
    return value
