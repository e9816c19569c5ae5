"""Calibration from a known reflector."""

import argparse

HELP = "fit channel gains, delay and range bias; apply them"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("calibrate: not built yet")
