"""Enhance an image with a trained network: less noise, fewer sidelobes, slice by slice; magnitudes come out.

The network never saw the scene: what it draws is likely, not measured. So the result is checked. Always: are there
bright blobs where the image has nothing (--report lists them), and is the image like those the network was trained on?
With --report or --disagreement also: does it make the same of the image turned and mirrored? With --scan also: do the
measured echoes bear the result out as well as the image it was made from?

Example:
  mmsar enhance image.h5 -o image_sr.h5
  mmsar enhance image.h5 -o image_sr.h5 --scan scan.h5 --report report.json --picture image_sr.png
"""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mmsar.cli.arguments import share

if TYPE_CHECKING:
    from mmsar.enhance.guard import Blob, Disagreement, Unlike
    from mmsar.model import Image, Scan

HELP = "suppress noise and sidelobes with a trained network, and check the result"

KEPT = 0.8
"""Ratio of the explained shares below which a warning is given."""
TURNS = 0.1
"""Disagreement of the turns above which a warning is given."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("image", metavar="IMAGE.h5", help="image as reconstructed")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.h5", help="enhanced image (magnitude) to write")
    parser.add_argument("--model", metavar="NAME", help="network: its name, or a file ending in .onnx (gatenet)")
    parser.add_argument("--blend", type=share, default=1.0, metavar="B", help="0: original, 1: enhanced (1)")
    parser.add_argument("--scan", metavar="SCAN.h5", help="scan the image was made from, to compare its echoes")
    parser.add_argument("--report", metavar="REPORT.json", help="file for all that was checked (SI units)")
    parser.add_argument("--disagreement", metavar="MAP.h5", help="image of the disagreement between turns")
    parser.add_argument("--picture", metavar="FILE", help="image and enhanced image: .png, .pdf or .svg")
    parser.set_defaults(fail=parser.error)


def run(args: argparse.Namespace) -> int:
    """Enhance, check, write."""
    from mmsar.cli.notices import warn
    from mmsar.enhance import guard, weights
    from mmsar.enhance.infer import Enhancer, enhance
    from mmsar.io.atomic import atomic_path
    from mmsar.io.image_h5 import load_image, save_image
    from mmsar.io.scan_h5 import load_scan

    _check_targets(args)
    image = load_image(args.image)
    enhancer = Enhancer(weights.find(args.model or weights.DEFAULT))
    scan = None if args.scan is None else load_scan(args.scan, lazy=True)
    out = enhance(image, enhancer, blend=args.blend, show=None)
    report: dict[str, Any] = {"image": args.image, "output": args.output, "step": dict(out.history[-1])}
    turns = None
    if args.report is not None or args.disagreement is not None:
        turns = guard.disagreement(image, enhancer, blend=args.blend, show=None)
    checks = {
        "pixels": (None, None, guard.pixel_warning(image, enhancer)),
        "input": _input(guard.unlike(image, enhancer), enhancer.name),
        "blobs": _blobs(guard.new_blobs(image, out)),
        "turns": (None, None, None) if turns is None else _turns(turns, enhancer.name),
        "echoes": (None, None, None) if scan is None else _echoes(args, scan, image, out),
    }
    report |= {name: part for name, (part, _, _) in checks.items() if name != "pixels"}
    report["warnings"] = warnings = [text for _, _, text in checks.values() if text]
    save_image(out, args.output)
    if args.disagreement is not None:
        save_image(turns.map, args.disagreement)
    if args.report is not None:
        with atomic_path(args.report) as part:
            part.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if args.picture is not None:
        from mmsar.view.plot import figure_compare, save_figure

        save_figure(figure_compare([image, out], ["as reconstructed", "enhanced"]), args.picture)
    for _, line, _ in checks.values():
        if line:
            print(line)
    for text in warnings:
        warn("mmsar enhance", text)
    print(args.output)
    return 0


def _check_targets(args: argparse.Namespace) -> None:
    """Refuse what cannot be written, before anything is read."""
    from pathlib import Path

    from mmsar.errors import FormatError
    from mmsar.io.atomic import check_target

    targets = [args.output, args.report, args.disagreement, args.picture]
    named = [Path(target).resolve() for target in targets if target is not None]
    for target in filter(None, targets):
        check_target(target, sources=(args.image, args.scan, args.model))
    if len(set(named)) < len(named):
        raise FormatError("output: got the same file twice, wanted another name for each thing to write")
    if args.picture is not None:
        from mmsar.view.plot import FORMATS

        if Path(args.picture).suffix.lower() not in FORMATS:
            args.fail(f"argument --picture: got {args.picture!r}, wanted a file ending in {', '.join(FORMATS)}")


Checked = tuple[dict[str, Any] | None, str | None, str | None]
"""A part of the report, a line for people and a warning."""


def _input(found: "Unlike | None", network: str) -> Checked:
    if found is None:
        return None, None, None
    line = f"input         {found.distance:.1f} from the training images, {found.limit:.1f} holds 99 % of them"
    warning = None
    if found.outlying:
        warning = (
            f"the image is unlike those that {network} was trained on (distance {found.distance:.1f}, limit "
            f"{found.limit:.1f}): its {found.name} is {found.value:.2f}, theirs {found.mean:.2f} +- "
            f"{found.deviation:.2f}; do not trust the result without --scan"
        )
    return {**asdict(found), "outlying": found.outlying}, line, warning


def _blobs(found: "list[Blob]") -> Checked:
    line = f"new blobs     {len(found)} above -20 dB where the image has nothing above its ground"
    part = {"count": len(found), "blobs": [asdict(blob) for blob in found]}
    warning = None
    if found:
        warning = (
            f"{len(found)} bright blobs are where the image shows no more than noise and sidelobes, the brightest at "
            f"{_at(found[0])}; invented, or a weak target brought out: look at the image there"
        )
    return part, line, warning


def _turns(found: "Disagreement", network: str) -> Checked:
    place = ", ".join(f"{v * 1e3:.1f}" for v in found.place)
    line = (
        f"disagreement  {100 * found.relative:.1f} % of the amplitude over 8 turns; "
        f"most, {100 * found.largest:.1f} % of the peak, at {place} mm"
    )
    warning = None
    if found.relative > TURNS:
        warning = f"{network} makes something else of the image when it is turned ({100 * found.relative:.0f} %)"
    return {"relative": found.relative, "largest": found.largest, "place": list(found.place)}, line, warning


def _echoes(args: argparse.Namespace, scan: "Scan", image: "Image", out: "Image") -> Checked:
    from mmsar.enhance.consistency import consistency
    from mmsar.io.image_h5 import scan_digest

    known = [step["sha256"] for step in image.history if step.get("step") == "source" and "sha256" in step]
    warnings = []
    if known and scan_digest(args.scan) not in known:
        warnings.append(f"{args.scan} is not the file that {args.image} was made from")
    found = consistency(scan, image, out, show=None)
    line = (
        f"echoes        explained to {100 * found.before:.1f} % by the image, to {100 * found.after:.1f} % by the "
        f"enhanced one: ratio {found.ratio:.3f} +- {found.ratio_error:.3f} ({found.poses} poses)"
    )
    if found.ratio < KEPT:
        warnings.append(
            f"the echoes bear the enhanced image out less than the original (ratio {found.ratio:.2f}): "
            "targets that echo were removed or moved, or others added; try --blend 0.5 and compare"
        )
    return {**asdict(found), "ratio": found.ratio}, line, "; ".join(warnings) or None


def _at(blob: "Blob") -> str:
    return f"{', '.join(f'{v * 1e3:.1f}' for v in blob.place)} mm with {blob.level_db:.1f} dB"
