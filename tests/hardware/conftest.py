"""Loopback addresses of a test's own, so that tests of different runs never meet on the card's fixed ports."""

import itertools
import os

import pytest

_COUNT = itertools.count()


@pytest.fixture
def addresses() -> tuple[str, str]:
    """(host_ip, card_ip): two addresses in 127.0.0.0/8 that no other test of this or another run uses."""
    n = next(_COUNT)
    pid = os.getpid()
    base = f"127.{64 + pid % 128}.{(pid // 128) % 250 + 1}"
    host = 2 * (n % 120) + 2
    return f"{base}.{host}", f"{base}.{host + 1}"
