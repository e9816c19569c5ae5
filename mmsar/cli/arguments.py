"""Kinds of command-line values that several verbs take, for argparse: each refuses with what it got and wanted."""

import argparse
import ipaddress
import math


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number")
    return value


def positive(text: str, *, unit: str = "") -> float:
    """A finite number above 0; `unit` is named in the refusal."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number above 0{unit}")
    return value


def millimetres(text: str) -> float:
    """A length above 0 [mm]."""
    return positive(text, unit=" [mm]")


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a whole number >= 1")
    return value


def loopback(text: str) -> str:
    """An address in 127.0.0.0/8: emulated instruments send nothing to a network."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted an address of this machine, as 127.0.0.2") from None
    if not address.is_loopback:
        raise argparse.ArgumentTypeError(
            f"got {text}, wanted one in 127.0.0.0/8: emulated instruments send to this machine only"
        )
    return text
