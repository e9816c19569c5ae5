"""What all tests share: no display, reproducible hypothesis, skips where a device is missing, loopback addresses."""

import itertools
import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["MMSAR_SPEED"] = os.devnull  # what this machine was calibrated to changes no choice of a test

settings.register_profile(
    "mmsar",
    deadline=None,
    max_examples=50,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mmsar")


def _no_gpu() -> str | None:
    """Why gpu tests cannot run here, or None."""
    from mmsar.core.backend import resolve_device
    from mmsar.errors import DeviceError

    try:
        resolve_device("cuda")
    except DeviceError as error:
        return str(error)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip gpu tests without a usable GPU, and radar tests unless MMSAR_RADAR names a board."""
    skips = {}
    if any(item.get_closest_marker("gpu") for item in items) and (reason := _no_gpu()):
        skips["gpu"] = reason
    if not os.environ.get("MMSAR_RADAR"):
        skips["radar"] = "needs a radar board; set MMSAR_RADAR to its serial port"
    for item in items:
        for marker, reason in skips.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


_COUNT = itertools.count()


@pytest.fixture
def addresses() -> tuple[str, str]:
    """(host_ip, card_ip): two addresses in 127.0.0.0/8 of a test's own, for the fixed ports of an emulated card.

    No other test of this or another run uses them.
    """
    n = next(_COUNT)
    pid = os.getpid()
    base = f"127.{64 + pid % 128}.{(pid // 128) % 250 + 1}"
    host = 2 * (n % 120) + 2
    return f"{base}.{host}", f"{base}.{host + 1}"
