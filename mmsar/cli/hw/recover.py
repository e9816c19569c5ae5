"""Put an interrupted recording right."""

import argparse

HELP = "put an interrupted recording right"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw recover: not built yet")
