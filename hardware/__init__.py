"""Capture hardware: radars, capture cards, stages, trackers. Imported as `mmsar.hardware`, never as `hardware`."""

if __name__ != "mmsar.hardware":
    raise ImportError(
        f"this package is imported as mmsar.hardware, not {__name__!r}; install the project with: pip install -e ."
    )
