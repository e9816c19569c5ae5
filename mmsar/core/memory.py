"""Memory budgets: how much a step may use, and one refusal when it cannot."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mmsar.core.control_groups import folders
from mmsar.errors import MmsarError

MEMORY_ADVICE = "allow more memory (--memory), use a smaller grid, or make it in tiles (--tiles)"
"""What to do where an image does not fit."""
_GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of version 2 and 1: files of limit and of use, and what is in use but given back when asked for (memory.stat)."""


def free_memory() -> int:
    """Memory that can be used now without swapping, within the limits of this process and of its control groups
    [bytes]; 4 GiB where the system does not say."""
    return max(0, min([_system_free(), *_group_rooms(), *_process_room()]))


def _system_free() -> int:
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


def _group_rooms() -> Iterator[int]:
    """What the control groups of this process, and those that these are in, have left."""
    for folder in folders("memory"):
        for limit, used, spare in _GROUP_FILES:
            with suppress(OSError, ValueError):  # "max" is no limit
                room = int((folder / limit).read_text()) - int((folder / used).read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                yield room + int(stat.get(spare, 0))


def _process_room() -> Iterator[int]:
    """What a limit of this process' address space (`ulimit -v`) leaves."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            yield limit - int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


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
