"""Kinds of command-line values that several verbs take, for argparse: each refuses with what it got and wanted."""

import argparse
import ipaddress
import math
from collections.abc import Callable


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number")
    return value


def listed(text: str) -> list[float]:
    """Numbers separated by commas, none of them where one is no finite number: for kinds that say what they want."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        return []
    return values if all(map(math.isfinite, values)) else []


def numbers(*lengths: int) -> Callable[[str], list[float]]:
    """A kind: numbers separated by commas, as many as one of `lengths`."""

    def parse(text: str) -> list[float]:
        values = listed(text)
        if len(values) not in lengths:
            wanted = " or ".join(str(n) for n in lengths)
            raise argparse.ArgumentTypeError(f"got {text!r}, wanted {wanted} numbers separated by commas")
        return values

    return parse


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


def gibibytes(text: str) -> int:
    """A size above 0 GiB, in bytes."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("wanted more than 0 GiB")
    return int(value * 2**30)


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number from 0 to 1")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a whole number >= 1")
    return value


def packet_delay(text: str) -> float:
    """The card's pause between packets [us], one that it knows."""
    from mmsar.hardware.dca1000.protocol import DELAY_RANGE

    value = positive(text, unit=" [us]")
    low, high = (limit * 1e6 for limit in DELAY_RANGE)
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"got {text} us, wanted {low:g} to {high:g}")
    return value


def address(text: str) -> str:
    """An IPv4 address in numbers: the card's packets are told apart by it."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted an IPv4 address, as 192.168.33.30") from None


def loopback(text: str) -> str:
    """An address in 127.0.0.0/8: emulated instruments send nothing to a network."""
    try:
        found = ipaddress.IPv4Address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted an address of this machine, as 127.0.0.2") from None
    if not found.is_loopback:
        raise argparse.ArgumentTypeError(
            f"got {text}, wanted one in 127.0.0.0/8: emulated instruments send to this machine only"
        )
    return text


def check_addresses(args: argparse.Namespace) -> None:
    """End with a usage error when `--host-ip` and `--card-ip` are the same."""
    if args.host_ip == args.card_ip:
        args.fail(f"argument --card-ip: got {args.card_ip}, this machine's own (--host-ip), wanted the card's")
