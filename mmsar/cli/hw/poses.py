"""Read, check and plot a position log."""

import argparse

HELP = "read, check and plot a position log"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw poses: not built yet")
