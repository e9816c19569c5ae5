"""Memory budgets: how much a step may use, and one refusal when it cannot."""

import ctypes
import os
import sys
from contextlib import suppress

from mmsar.errors import MmsarError

MEMORY_ADVICE = "allow more memory (--memory), use a smaller grid, or make it in tiles (--tiles)"
"""What to do where an image does not fit."""


def free_memory() -> int:
    """Memory that can be used now without swapping [bytes]; 4 GiB where the system does not say."""
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) // 2
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30


def budget(requested: int | None = None) -> int:
    """The memory budget in force [bytes]: `requested`, or half of what is free."""
    return int(requested) if requested is not None else free_memory() // 2


def release() -> None:
    """Give freed memory back to the system.

    glibc keeps what arrays below 32 MiB leave behind, tens of MiB after a step with many of them, and does not use it
    for larger ones. Other C libraries are left alone.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def require(name: str, needed: int, allowed: int, advice: str) -> None:
    """Raise MmsarError when a step needs more than its budget, with sizes and advice."""
    if needed > allowed:
        raise MmsarError(
            f"{name}: needs {size_text(needed)}, wanted at most {size_text(allowed)} (the budget); {advice}"
        )


def size_text(n: int) -> str:
    """A size [bytes] for people: in GiB, or in MiB below one GiB."""
    return f"{n / 2**30:.2f} GiB" if n >= 2**30 else f"{n / 2**20:.1f} MiB"
