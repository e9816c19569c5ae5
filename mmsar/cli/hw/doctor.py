"""Look for the radar, the card and their network, and say what is missing."""

import argparse

HELP = "look for the radar, the card and their network, and say what is missing"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw doctor: not built yet")
