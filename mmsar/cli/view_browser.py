"""What mmsar view does with a browser: --serve and --export-html."""

import argparse
import sys
from pathlib import Path
from typing import Any

SERVED = ("iso", "slices3d", "volume")
HIGHEST_PORT = 65535


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--serve", action="store_true", help="show it in a browser of this or another machine")
    parser.add_argument("--port", type=_port, help="with --serve: where (8765); 0 takes any free one")
    parser.add_argument(
        "--export-html", metavar="FILE.html", help="write the isosurfaces as one page that needs no server"
    )


def asked(args: argparse.Namespace) -> bool:
    """Whether a browser is asked for; a usage error where options do not go together."""
    if args.port is not None and not args.serve:
        args.fail("argument --port: it is where --serve listens; give --serve too")
    if not (args.serve or args.export_html):
        return False
    option = "--serve" if args.serve else "--export-html"
    for given, name in ((args.save, "--save"), (args.serve and args.export_html, "--export-html")):
        if given:
            args.fail(f"argument {name}: not together with {option}; one at a time")
    if args.serve and args.title:
        args.fail("argument --title: a served page is headed by the name of the image")
    kinds = SERVED if args.serve else SERVED[:1]
    if args.kind is not None and args.kind not in kinds:
        args.fail(f"argument --kind: {option} got {args.kind}, wanted {' or '.join(kinds)}")
    if args.point is not None and not (args.serve and args.kind in (None, "slices3d")):
        args.fail("argument --point: only slices go through a point; give --serve --kind slices3d")
    if args.export_html and len(args.files) > 1:
        args.fail(f"argument --export-html: got {len(args.files)} images, wanted one")
    return True


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, or write the page."""
    from mmsar.io.scan_h5 import load_scan
    from mmsar.view.web import PORT, Address, check_installed, serve

    check_installed()
    kind = args.kind or ("iso" if args.point is None else "slices3d")
    look = look_of(args, kind)
    aperture = None if args.scan is None else load_scan(args.scan, lazy=True).virtual_position
    if args.export_html:
        from mmsar.io.image_h5 import load_image
        from mmsar.view.web_export import export_html

        title = args.title or Path(args.files[0]).name
        export_html(load_image(args.files[0]), args.export_html, title=title, look=look, aperture=aperture)
        print(args.export_html)
        return 0

    def say(address: Address) -> None:
        if address.volume_fault:
            print(f"mmsar view: no volume, surfaces and slices only: {address.volume_fault}", file=sys.stderr)
        print(f"open        {address.url}")
        print(f"from afar   {address.tunnel}")
        print("Ctrl-C ends it", flush=True)

    serve(args.files, port=PORT if args.port is None else args.port, look=look, aperture=aperture, on_ready=say)
    print(file=sys.stderr)
    return 0


def look_of(args: argparse.Namespace, kind: str) -> Any:
    """The look that the options ask for."""
    from mmsar.view.look import Look

    return Look(
        kind=kind,
        floor=-30.0 if args.floor is None else args.floor,
        levels=args.levels or (),
        point=args.point,
        camera=args.camera or "oblique",
    )


def _port(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= value <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a whole number from 0 to {HIGHEST_PORT}")
    return value
