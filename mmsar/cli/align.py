"""Correct the poses of a scan from its own samples.

--autofocus moves every pose of a planar or freehand scan to where the image focuses. It starts from the recorded
positions and finds back from errors up to about an eighth of a wavelength RMS; --blind retrieves phases from
nothing, too, and finds back from a quarter and more (docs/autofocus.md). Give it a grid that
holds all that is bright; one plane is enough where that is flat, a few planes 10 mm apart otherwise. With -o, moves
that do not make half of the poses tell clearly more of what the others saw are not written (exit 3), unless --force
asks for it.

--rotation fits where the axis of a scan round a target is. The radius comes from sharpness alone. A known pin (--pin, a
point target at a known place in the target's frame, mm) also tells the tangential offset (that is, the start angle) and
the height; with --unknown centre it tells the centre of the logged circle instead of the tangential offset, and two
pins tell all of them. What cannot be told is said, with the reason, and left as it was. With -o, moves that are all
below two standard errors are not written (exit 3), unless --force asks for it. A range bias that was not calibrated
comes out as radius.

Example:
  mmsar align scan.h5 --autofocus --extent=-80,80,-80,80,290,310 --spacing 1,1,10 -o focused.h5
  mmsar align scan.h5 --autofocus --blind --extent=-80,80,-80,80,300,300 --spacing 1 -o focused.h5
  mmsar align scan.h5 --rotation -o aligned.h5
  mmsar align scan.h5 --rotation --pin 40,0,-25 -o aligned.h5
"""

import argparse
import json
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import count, gibibytes, millimetres
from mmsar.cli.grids import add_grid_options, check_grid_options
from mmsar.cli.points import parse_point

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmsar.focus.autofocus import Autofocus
    from mmsar.focus.rotation_result import RotationFit
    from mmsar.model import Scan

HELP = "correct the poses of a scan from its own samples: autofocus, or the axis of rotation"

NAMES = {
    "radial": "radial",
    "tangential": "tangential",
    "height": "height",
    "centre_x": "centre x",
    "centre_z": "centre z",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("scan", metavar="SCAN.h5", help="scan to align")
    parser.add_argument("-o", "--output", metavar="FILE.h5", help="corrected scan to write; without it, only report")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--autofocus", action="store_true", help="move every pose of a planar or freehand scan")
    what.add_argument("--rotation", action="store_true", help="fit the axis of rotation")
    add_grid_options(parser)
    parser.add_argument("--iterations", type=count, default=30, metavar="N", help="of the autofocus (30)")
    parser.add_argument(
        "--independent", action="store_true", help="errors from pose to pose are independent, not smooth along the path"
    )
    parser.add_argument(
        "--blind",
        action="store_true",
        help="where too little is explained, retrieve phases from nothing, too, and take what explains more: errors up "
        "to about a quarter of a wavelength and more, ten times as long and more",
    )
    parser.add_argument(
        "--behind-mm",
        type=millimetres,
        metavar="MM",
        help="with --blind: how far behind the grid something else may stand, such as a wall; planes are added there "
        "if they explain clearly more",
    )
    parser.add_argument("--memory", type=gibibytes, metavar="GIB", help="memory budget (half of what is free)")
    parser.add_argument(
        "--pin", type=parse_point, action="append", metavar="X,Y,Z", help="known point target [mm]; may be repeated"
    )
    parser.add_argument(
        "--unknown",
        choices=("tangential", "centre"),
        help="what a single pin fits beside radius and height (tangential)",
    )
    parser.add_argument("--search-mm", type=millimetres, default=5.0, metavar="MM", help="largest error looked for (5)")
    parser.add_argument("--extent-mm", type=millimetres, metavar="MM", help="radius of the target (0.4 of the scan's)")
    parser.add_argument(
        "--off-plane-mm",
        type=millimetres,
        default=10.0,
        metavar="MM",
        help="how far off the plane of antennas at one height the target may reach (10)",
    )
    parser.add_argument("--force", action="store_true", help="write a correction that does not count, too")
    parser.add_argument("--scatterers", type=count, default=12, metavar="N", help="scatterers at most (12)")
    parser.add_argument("--json", action="store_true", help="print JSON (SI units and radians)")
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Fit, report, write the corrected scan."""
    if args.behind_mm is not None and not (args.autofocus and args.blind):
        args.fail("argument --behind-mm: got it without --autofocus --blind, which it belongs to")
    return _autofocus(args) if args.autofocus else _rotation(args)


def _autofocus(args: argparse.Namespace) -> int:
    check_grid_options(args)
    if args.pin is not None or args.unknown is not None or args.extent_mm is not None:
        args.fail("argument --autofocus: --pin, --unknown and --extent-mm belong to --rotation; the scene is --extent")
    from mmsar.cli.grids import grid_asked_for
    from mmsar.focus.autofocus import AutofocusOptions, apply_autofocus, autofocus
    from mmsar.io.atomic import check_target
    from mmsar.io.scan_h5 import load_scan

    if args.output is not None:
        check_target(args.output, sources=(args.scan,))
    scan = load_scan(args.scan)
    options = AutofocusOptions(
        iterations=args.iterations,
        smooth=0.0 if args.independent else AutofocusOptions.smooth,
        blind=args.blind,
        behind=(args.behind_mm or 0.0) / 1e3,
        memory=args.memory,
    )
    found = autofocus(scan, grid_asked_for(args, scan), options=options)
    refusal = (
        "align autofocus: what half of the poses see does not come to tell clearly more of what the others do, "
        f"{args.output} not written; check that the grid holds all that is bright, in depth too (several slices), and "
        f"that many poses see it{'' if args.blind else ', try --blind'}, or write it all the same (--force)"
    )
    if not found.held:
        refusal = (
            f"align autofocus: the bright parts of this grid explain {100 * found.bright[0]:.2g} % of the samples, "
            f"wanted a grid that holds the brightest targets, {args.output} not written; look where they are "
            "(`mmsar reconstruct`), or write it all the same (--force)"
        )
    elif found.cut:
        refusal = (
            "align autofocus: the focused image is bright up to the edge of the grid, wanted one that holds all that "
            f"is bright, {args.output} not written; give more of --extent, or write it all the same (--force)"
        )
    text = json.dumps(_focus_for_programs(found), indent=2) if args.json else "\n".join(_focus_for_people(found))
    return _finish(args, text, None if found.improved else refusal, lambda: apply_autofocus(scan, found))


def _finish(args: argparse.Namespace, report: str, refusal: str | None, corrected: "Callable[[], Scan]") -> int:
    """Report, and write the corrected scan where that was asked for and is not refused."""
    from mmsar.errors import GeometryError
    from mmsar.io.scan_h5 import save_scan

    print(report)
    if args.output is not None:
        if refusal is not None and not args.force:
            raise GeometryError(refusal)
        save_scan(corrected(), args.output)
        if not args.json:
            print(args.output)
    return 0


def _focus_for_people(found: "Autofocus") -> list[str]:
    import numpy as np

    moved = ", ".join(f"{axis} {value * 1e3:.3f}" for axis, value in zip("xyz", found.rms, strict=True))
    (before, after), (first, last) = np.exp(found.entropy), found.bright
    return [
        f"moved       {moved} mm (root mean square of {len(found.move)} poses)",
        f"lit voxels  {before:.0f} as recorded, {after:.0f} as focused (exp of the entropy, of {found.grid.n_voxels})",
        f"bright      parts explain {100 * first:.0f} % of the samples as recorded, {100 * last:.0f} % as focused",
        f"others      half of the poses tell {100 * found.fit[0]:.1f} % of what the others saw as recorded, "
        f"{100 * found.fit[1]:.1f} % as focused{', from a blind start' if found.blind else ''}",
        "note        a move that all poses share, or that grows along x or y, only moves the image and is not told",
    ]


def _focus_for_programs(found: "Autofocus") -> dict[str, Any]:
    return {
        "move": found.move.tolist(),
        "rms": found.rms.tolist(),
        "entropy": list(found.entropy),
        "bright": list(found.bright),
        "fit": list(found.fit),
        "edge": found.edge,
        "blind": found.blind,
        "iterations": found.iterations,
        "improved": found.improved,
    }


def _rotation(args: argparse.Namespace) -> int:
    if any(value is not None for value in (args.extent, args.center, args.spacing, args.grid)):
        args.fail("argument --rotation: the size of the target is --extent-mm; --extent and a grid are for --autofocus")
    if args.unknown is not None and len(args.pin or ()) != 1:
        args.fail("argument --unknown: wanted with exactly one --pin")
    from mmsar.focus.rotation import apply_rotation, fit_rotation
    from mmsar.focus.rotation_result import SIGNIFICANT, RotationOptions
    from mmsar.io.atomic import check_target
    from mmsar.io.scan_h5 import load_scan

    if args.output is not None:
        check_target(args.output, sources=(args.scan,))
    options = RotationOptions(
        search=args.search_mm / 1e3,
        unknown=args.unknown or "tangential",
        extent=None if args.extent_mm is None else args.extent_mm / 1e3,
        off_plane=args.off_plane_mm / 1e3,
        scatterers=args.scatterers,
    )
    scan = load_scan(args.scan)
    fit = fit_rotation(scan, pin=args.pin, options=options)
    refusal = (
        f"align rotation: no move is as large as {SIGNIFICANT:g} standard errors, {args.output} not written; "
        "give a known target (--pin), put up an isolated corner reflector, or write it all the same (--force)"
    )
    text = json.dumps(_for_programs(fit), indent=2) if args.json else "\n".join(_for_people(fit))
    return _finish(args, text, None if fit.significant else refusal, lambda: apply_rotation(scan, fit))


def _for_people(fit: "RotationFit") -> list[str]:
    import numpy as np

    lines = []
    if "radial" in fit.moves:
        lines.append(f"radius      {_mm(fit.radius)} mm; recorded {fit.nominal_radius * 1e3:.3f}")
        lines.append(f"            +- {fit.sigma_with_bias * 1e3:.3f} if the range bias were unknown too")
    for name, found in fit.moves.items():
        text = f"{found.value * 1e3:+.3f} +- {found.sigma * 1e3:.3f} mm"
        if name == "tangential":
            turn, sigma = np.rad2deg([fit.turn.value, fit.turn.sigma])
            text += f", as a start angle off by {turn:+.4f} +- {sigma:.4f} deg"
        lines.append(f"{NAMES[name]:<12}{text}")
    lines += [f"{NAMES[name]:<12}not fitted: {reason}" for name, reason in fit.not_fitted.items()]
    before, after = fit.sharpness
    lines.append(
        f"sharpness   {before:.4f} as recorded, {after:.4f} as fitted: share of the energy that "
        f"{len(fit.scatterers)} scatterers explain"
    )
    return [*lines, *(f"note        {text}" for text in fit.notes)]


def _for_programs(fit: "RotationFit") -> dict[str, Any]:
    return {
        "nominal_radius": fit.nominal_radius,
        "radius": {"value": fit.radius.value, "sigma": fit.radius.sigma},
        "moves": {name: {"value": found.value, "sigma": found.sigma} for name, found in fit.moves.items()},
        "turn": None if fit.turn is None else {"value": fit.turn.value, "sigma": fit.turn.sigma},
        "not_fitted": dict(fit.not_fitted),
        "significant": fit.significant,
        "sigma_with_bias": fit.sigma_with_bias,
        "sharpness": list(fit.sharpness),
        "scatterers": fit.scatterers.tolist(),
        "notes": list(fit.notes),
    }


def _mm(found: Any) -> str:
    return f"{found.value * 1e3:.3f} +- {found.sigma * 1e3:.3f}"
