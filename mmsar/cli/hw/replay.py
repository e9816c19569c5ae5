"""Send a recording again as the card would."""

import argparse

HELP = "send a recording again as the card would"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw replay: not built yet")
