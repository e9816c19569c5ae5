"""Record frames from a DCA1000 to a folder."""

import argparse

HELP = "record frames from a DCA1000 to a folder"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""


def run(args: argparse.Namespace) -> int:
    """Not built yet."""
    from mmsar.errors import CaptureError

    raise CaptureError("hw record: not built yet")
