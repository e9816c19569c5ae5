"""How fast this machine is beside the one the planner's constants were measured on: one factor per method, kept.

`mmsar bench --calibrate` times every method on scans of two sizes and stores measured over predicted time in the cache
folder, by processor and number of cores. Without that file every factor is 1, and where the constants have changed
since. MMSAR_SPEED names another file.
"""

import json
import os
from contextlib import suppress
from math import isfinite
from pathlib import Path

from mmsar.core.machine import cache_folder, machine_key
from mmsar.core.parallel import threads
from mmsar.io.atomic import atomic_path

MODEL = 2
"""Of the planner's constants of time; raised when they change, since factors make up for the constants of then."""


def speed_path() -> Path:
    """File that keeps the factors for this processor and this number of cores."""
    named = os.environ.get("MMSAR_SPEED")
    return Path(named) if named else cache_folder() / f"speed-{machine_key(f'{threads()}cores')}.json"


def speed_factors() -> dict[str, float]:
    """Method -> measured over predicted time here; empty where that was not calibrated with these constants."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        stored = json.loads(speed_path().read_text())
        if stored["model"] == MODEL:
            return {
                str(name): float(value) for name, value in stored["factors"].items() if isfinite(value) and value > 0
            }
    return {}


def store_speed_factors(factors: dict[str, float], version: str) -> Path:
    """Keep the factors, with the version of mmsar they were measured with; returns the file."""
    path = speed_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as part:
        part.write_text(json.dumps({"mmsar": version, "model": MODEL, "factors": factors}, indent=2) + "\n")
    return path
