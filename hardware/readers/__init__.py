"""Recordings that others made, and our own, as scans: Studio, TI's command line, packet captures, the cascade.

`import_recording` reads any of them; `mmsar import` is the same on the command line.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "import_recording":
        from mmsar.hardware.readers.importing import import_recording

        return import_recording
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
