"""Points on the command line: "x,y,z" in millimetres."""

import argparse
import math


def parse_point(text: str) -> tuple[float, float, float]:
    """ "x,y,z" [mm] as metres; an argparse error for anything else."""
    try:
        values = [float(part) / 1e3 for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted x,y,z in millimetres, as in 0,20,335")
    x, y, z = values
    return x, y, z
