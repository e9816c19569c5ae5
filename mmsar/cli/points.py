"""Points on the command line: "x,y,z" in millimetres."""

import argparse

from mmsar.cli.arguments import listed


def parse_point(text: str) -> tuple[float, float, float]:
    """ "x,y,z" [mm] as metres; an argparse error for anything else."""
    values = [value / 1e3 for value in listed(text)]
    if len(values) != 3:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted x,y,z in millimetres, as in 0,20,335")
    x, y, z = values
    return x, y, z
