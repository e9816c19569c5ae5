"""What this machine is called, and the folder that keeps what was measured on it."""

import contextlib
import os
import platform
from pathlib import Path


def machine_key(*parts: str) -> str:
    """A name for files that hold for this machine only: architecture, processor and `parts`."""
    key = "-".join([platform.machine(), cpu_name(), *parts])
    return "".join(c if c.isalnum() or c in "-._" else "_" for c in key)


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/mmsar or ~/.cache/mmsar."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmsar"


def cpu_name() -> str:
    """The processor's name and model number, as far as the system says."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return f"{found.get('model name', 'cpu')}-{found.get('model', '')}"
    return platform.processor() or "cpu"
