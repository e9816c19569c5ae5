"""mmsar: near-field mmWave MIMO-SAR imaging, from capture to volume.

A frozen description of a measurement and one array of beat samples is a `Scan`; `reconstruct` turns it into an `Image`
on an `ImageGrid`. Everything here is loaded on first use, so that `import mmsar` is quick.
"""

from importlib import import_module
from typing import Any

from mmsar._version import __version__

_PUBLIC = {
    "Chirp": "mmsar.model.chirp",
    "AntennaArray": "mmsar.model.array",
    "Trajectory": "mmsar.model.trajectory",
    "Scan": "mmsar.model.scan",
    "ImageGrid": "mmsar.model.grid",
    "Image": "mmsar.model.image",
    "Calibration": "mmsar.model.calibration",
    "load_scan": "mmsar.io.scan_h5",
    "save_scan": "mmsar.io.scan_h5",
    "load_image": "mmsar.io.image_h5",
    "save_image": "mmsar.io.image_h5",
    "import_scan": "mmsar.io.importers",
    "simulate": "mmsar.simulate.forward",
    "reconstruct": "mmsar.recon.planner",
    "explain": "mmsar.recon.planner",
}

__all__ = [*_PUBLIC, "__version__", "metrics"]


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return import_module("mmsar.metrics")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'mmsar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
