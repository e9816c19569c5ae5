"""Addresses of emulated instruments: this machine's own, so that nothing is ever sent to a network."""

import argparse
import ipaddress


def loopback(text: str) -> str:
    """An address in 127.0.0.0/8, for argparse."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted an address of this machine, as 127.0.0.2") from None
    if not address.is_loopback:
        raise argparse.ArgumentTypeError(
            f"got {text}, wanted one in 127.0.0.0/8: emulated instruments send to this machine only"
        )
    return text
