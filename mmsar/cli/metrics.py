"""Numbers that say how good an image is: its point response and focus, or how it compares with a reference.

Every number comes with what it is relative to. A negative first coordinate needs the = sign: --point=-20,0,335.

Example:
  mmsar metrics image.h5
  mmsar metrics image.h5 --point 0,20,335 --json
  mmsar metrics image.h5 --reference exact.h5
"""

import argparse
import json
import math
from typing import Any

HELP = "point response, focus, or comparison with a reference"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    from mmsar.cli.points import parse_point

    parser.add_argument("image", metavar="IMAGE.h5", help="image to judge")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--point", type=parse_point, metavar="X,Y,Z", help="peak to look at [mm]; default: the brightest")
    what.add_argument("--reference", metavar="OTHER.h5", help="image on the same grid to compare with")
    parser.add_argument("--json", action="store_true", help="print JSON (SI units) instead of a table")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from mmsar.io.image_h5 import load_image

    image = load_image(args.image)
    if args.reference is None:
        rows, notes = _alone(image, args.point)
    else:
        rows, notes = _against(image, load_image(args.reference))
    if args.json:
        print(json.dumps(_plain(args, rows, notes), indent=2))
        return 0
    labels = [f"{label} [{unit}]" if unit else label for label, unit, *_ in rows]
    cells = [[_text(v) for v in values] for _, _, values, *_ in rows]
    wide = max(map(len, labels))
    width = max(len(text) for texts in cells for text in texts)
    for label, texts, (_, _, _, _, stated) in zip(labels, cells, rows, strict=True):
        print(f"{label:<{wide}}  {' '.join(f'{t:>{width}}' for t in texts):<{3 * width + 2}}  {stated}")
    for note in notes:
        print(f"note: {note}")
    return 0


def _alone(image: Any, point: tuple[float, float, float] | None) -> tuple[list[tuple], tuple[str, ...]]:
    """Rows (label, unit, values in that unit, (key, SI value), normalisation) of one image, and notes."""
    from mmsar.metrics import NORMALISATION as STATED
    from mmsar.metrics import contrast, entropy, point_response

    found = point_response(image, point)
    rows = []
    for name, label, unit, scale, suffix in (
        ("position", "peak at x y z", "mm", 1e3, "_m"),
        ("value", "peak magnitude", "", 1, ""),
        ("width", "width x y z", "mm", 1e3, "_m"),
        ("pslr", "PSLR x y z", "dB", 1, "_db"),
        ("islr", "ISLR x y z", "dB", 1, "_db"),
        ("pslr_3d", "PSLR 3-D", "dB", 1, "_db"),
        ("islr_3d", "ISLR 3-D", "dB", 1, "_db"),
    ):
        value = getattr(found, name)
        values = [v * scale for v in (value if isinstance(value, tuple) else (value,))]
        rows.append((label, unit, values, (name + suffix, value), STATED[name]))
    for name, unit, value in (("entropy", "nat", entropy(image)), ("contrast", "", contrast(image))):
        rows.append((name, unit, [value], (name, value), STATED[name]))
    return rows, found.notes


def _against(image: Any, reference: Any) -> tuple[list[tuple], tuple[str, ...]]:
    """Rows as of `_alone` for an image and its reference, and notes."""
    import numpy as np

    from mmsar.errors import GeometryError
    from mmsar.metrics import NORMALISATION as STATED
    from mmsar.metrics import contrast, entropy, error_db, ncc, psnr, ssim

    both = np.iscomplexobj(image.data) and np.iscomplexobj(reference.data)
    kind = "complex" if both else "magnitude"
    fit = error_db(image, reference, kind=kind)
    notes = [f"compared as {kind} images"]
    try:
        similarity = ssim(image, reference)
    except GeometryError as error:
        similarity = float("nan")
        notes.append(str(error))
    numbers = [
        (f"NCC, {kind}", "", "ncc", ncc(image, reference, kind=kind), "ncc"),
        ("NCC, magnitude", "", "ncc_magnitude", ncc(image, reference, kind="magnitude"), "ncc"),
        (f"error, {kind}", "dB", "error_db", fit.error_db, "error"),
        ("  its scale", "dB", "scale_db", 20 * math.log10(abs(fit.scale)) if fit.scale else -math.inf, "scale"),
        ("  its phase", "degree", "scale_phase_degree", math.degrees(np.angle(fit.scale)), "scale"),
        ("PSNR", "dB", "psnr_db", psnr(image, reference), "psnr"),
        ("SSIM", "", "ssim", similarity, "ssim"),
    ]
    if not both:
        numbers.pop(1)
    for name, unit, function in (("entropy", "nat", entropy), ("contrast", "", contrast)):
        numbers.append((name, unit, name, function(image), name))
        numbers.append(("  of the reference", unit, f"{name}_reference", function(reference), name))
    return [(label, unit, [v], (key, v), STATED[name]) for label, unit, key, v, name in numbers], tuple(notes)


def _text(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.4g}" if math.isfinite(value) else str(value)


def _plain(args: argparse.Namespace, rows: list[tuple], notes: tuple[str, ...]) -> dict[str, Any]:
    """The rows as JSON values: lengths in metres, null for what cannot be told, infinities as text."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(v) for v in value]
        value = float(value)
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)

    numbers = {key: plain(value) for _, _, _, (key, value), _ in rows}
    stated = {key: text for _, _, _, (key, _), text in rows}
    return {
        "image": args.image,
        "reference": args.reference,
        "metrics": numbers,
        "normalisation": stated,
        "notes": list(notes),
    }
