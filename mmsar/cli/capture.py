"""A whole measurement to scan.h5."""

import argparse

HELP = "measure: radar, capture card, stage or tracker to one scan"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("capture: not built yet")
