"""Look at an image or a scan: figures in dB relative to the peak with millimetre axes, or the volume itself.

Of an image: three projections, or slices, phase (faded where it is weak) or the cuts of a point response with widths
and sidelobes; several images stand beside each other. Of a scan: its aperture, the path and how densely it is sampled
where, or its power over range.

--save writes .png, .pdf or .svg, of the volume .png, or one turn of it as .gif (.mp4 with imageio-ffmpeg); without it a
window opens where there is a display. In 3-D, --kind is volume, iso (surfaces at --levels), slices3d or points, and
--scan draws where the antennas were. Where 3-D cannot be drawn, the projections are written instead to a .png, with a
line that says why and exit code 4.
--serve shows the images of a folder in a browser: here, or on another machine through the tunnel whose line is printed.
--export-html writes the isosurfaces as one page that needs no server. Both need mmsar[web].
A negative first number needs the = sign: --point=-20,0,335 --levels=-20,-6.

Example:
  mmsar view image.h5 --save image.png
  mmsar view image.h5 --kind slices --point 0,20,335 --floor -40 --save slices.pdf
  mmsar view image.h5 image_sr.h5 --save both.png
  mmsar view scan.h5 --save aperture.png
  mmsar view image.h5 --3d --scan scan.h5 --save volume.png
  mmsar view image.h5 image_sr.h5 --kind iso --levels=-15,-6 --save turn.gif
  mmsar view image.h5 --serve
  mmsar view image.h5 --levels=-20,-10 --export-html image.html
"""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from mmsar.cli import view_browser
from mmsar.cli.arguments import listed

HELP = "show an image or a scan, or save a figure of it"
FLAT = ("mips", "slices", "phase", "psf")
SCAN_KINDS = ("aperture", "range")
SOLID = ("volume", "iso", "slices3d", "points")
CAMERAS = ("oblique", "front", "radar", "side", "top")
PICTURES_3D = (".png", ".gif", ".mp4")
NOT_DRAWN = 4
"""Exit code where 3-D was asked for and cannot be drawn."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    from mmsar.cli.points import parse_point

    parser.add_argument(
        "files",
        metavar="FILE.h5",
        nargs="+",
        help="image or scan to show; images: beside each other; with --serve also a folder",
    )
    parser.add_argument("--save", metavar="FILE", help="figure to write: .png, .pdf, .svg; 3-D: .png, .gif, .mp4")
    parser.add_argument("--3d", dest="solid", action="store_true", help="in three dimensions (needs mmsar[viz])")
    parser.add_argument(
        "--kind",
        choices=(*FLAT, *SCAN_KINDS, *SOLID),
        help="of an image: mips (default), slices, phase, psf; of a scan: aperture (default), range; "
        "3-D: volume (default), iso, slices3d, points",
    )
    parser.add_argument(
        "--floor",
        type=_below_zero,
        metavar="DB",
        help="lower end of the range (-30; psf -40, range -60; phase: faded below -20)",
    )
    parser.add_argument("--point", type=parse_point, metavar="X,Y,Z", help="where to cut [mm]; default: the peak")
    parser.add_argument("--levels", type=_levels, metavar="DB,...", help="isosurfaces; the lowest: where points begin")
    parser.add_argument("--scan", metavar="SCAN.h5", help="3-D: draw its phase centres")
    parser.add_argument("--camera", choices=CAMERAS, help="3-D: where to look from (oblique)")
    parser.add_argument("--title", help="heading")
    view_browser.configure(parser)
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Draw the figure, then save or show it."""
    if view_browser.asked(args):
        if args.levels and args.kind not in ("iso", None):
            args.fail("argument --levels: only surfaces have levels; give --kind iso")
        return view_browser.run(args)
    solid = args.solid or args.kind in SOLID or (args.save or "").lower().endswith((".gif", ".mp4"))
    if solid and args.kind in (*FLAT, *SCAN_KINDS):
        args.fail(f"argument --kind: {args.kind} is not 3-D; wanted one of {', '.join(SOLID)}")
    if args.levels and args.kind not in ("iso", "points"):
        args.fail("argument --levels: only surfaces and points have levels; give --kind iso or points")
    if not solid and (args.scan or args.camera):
        args.fail(f"argument --{'scan' if args.scan else 'camera'}: it is for 3-D; give --3d")
    return _run_solid(args) if solid else _run_flat(args)


def _run_flat(args: argparse.Namespace) -> int:
    from mmsar.io.h5file import file_kind
    from mmsar.view import plot

    if args.save is None and not plot.can_show():
        args.fail("there is no display to open a window on; give --save FILE.png")
    if args.save is not None and Path(args.save).suffix.lower() not in plot.FORMATS:
        args.fail(f"argument --save: got {args.save!r}, wanted a file ending in {', '.join(plot.FORMATS)}")
    if args.point is not None and args.kind == "mips":
        args.fail("argument --point: projections have no point; give --kind slices")
    style = {} if args.floor is None else {"floor": args.floor}
    figure = (_scan if file_kind(args.files[0]) == "scan" else _image)(args, style)
    if args.save is None:
        plot.show_figure(figure)
    else:
        plot.save_figure(figure, args.save)
        print(args.save)
    return 0


def _image(args: argparse.Namespace, style: dict[str, Any]) -> Any:
    from mmsar.io.image_h5 import load_image
    from mmsar.view import plot

    if args.kind in SCAN_KINDS:
        args.fail(f"argument --kind: {args.files[0]} is no scan, wanted one of {', '.join(FLAT)}")
    kind = args.kind or ("mips" if args.point is None else "slices")
    names = [Path(path).name for path in args.files]
    if len(names) > 1:
        if kind != "mips":
            args.fail(f"got {len(names)} images, wanted one for {kind}; several are shown by projections or in 3-D")
        return plot.figure_compare([load_image(path) for path in args.files], names, title=args.title, **style)
    if kind != "mips":
        style["point"] = args.point
    return plot.KINDS[kind](load_image(args.files[0]), title=args.title or names[0], **style)


def _scan(args: argparse.Namespace, style: dict[str, Any]) -> Any:
    from mmsar.io.scan_h5 import load_scan
    from mmsar.signal.rangefft import energy_interval, range_profile
    from mmsar.view import plot

    path = args.files[0]
    if args.kind in FLAT or args.point is not None:
        what = "--kind" if args.kind in FLAT else "--point"
        args.fail(f"argument {what}: {path} is a scan, which has --kind {' and '.join(SCAN_KINDS)} only")
    if len(args.files) > 1:
        args.fail(f"got {len(args.files)} files, wanted one scan at a time")
    if args.kind != "range" and args.floor is not None:
        args.fail("argument --floor: an aperture has no decibels; give --kind range")
    scan, title = load_scan(path, lazy=True), args.title or Path(path).name
    if args.kind == "range":
        return plot.figure_range_profile(*range_profile(scan), interval=energy_interval(scan), title=title, **style)
    return plot.figure_aperture(scan, title=title, **style)


def _run_solid(args: argparse.Namespace) -> int:
    from mmsar.io.image_h5 import load_image
    from mmsar.io.scan_h5 import load_scan
    from mmsar.view.rendering import has_display, rendering

    if args.save is None and not has_display():
        args.fail("there is no display to open a window on; give --save FILE.png")
    if args.save is not None and Path(args.save).suffix.lower() not in PICTURES_3D:
        args.fail(f"argument --save: got {args.save!r}, wanted a file ending in {', '.join(PICTURES_3D)} for 3-D")
    if args.point is not None and args.kind not in ("slices3d", None):
        args.fail("argument --point: only slices go through a point; give --kind slices3d")
    kind = args.kind or ("slices3d" if args.point is not None else "volume")
    look = view_browser.look_of(args, kind)
    if fault := rendering().fault:
        return _instead(args, fault)
    images = [load_image(path) for path in args.files]
    names = [Path(path).name for path in args.files]
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
    values = tuple(listed(text))
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
