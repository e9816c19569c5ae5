"""Linux control groups, by which containers and batch systems limit what a process may use: where their files are."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from math import ceil
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where the control groups are."""
OF_PROCESS = Path("/proc/self/cgroup")
"""Which ones this process is in."""


def folders(kind: str) -> Iterator[Path]:
    """Folders of the control groups of this process and of those that these are in, as seen in version 2 and in
    version 1 for one kind ("memory", "cpu")."""
    places = [""]
    with suppress(OSError):
        for line in OF_PROCESS.read_text().splitlines():
            _, kinds, place = line.split(":", 2)
            if not kinds or kind in kinds.split(","):
                parts = [part for part in place.split("/") if part]
                places += ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    for top in (GROUPS, GROUPS / kind):
        for place in places:
            yield top / place


@cache
def cpu_quota() -> int | None:
    """Cores that a quota of processor time amounts to, rounded up; None without one. Read once per process."""
    found = []
    for folder in folders("cpu"):
        with suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            found.append(int(quota) / int(period))  # "max" is no limit
        with suppress(OSError, ValueError):
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if int(quota) > 0:
                found.append(int(quota) / int(period))
    return max(1, ceil(min(found))) if found else None
