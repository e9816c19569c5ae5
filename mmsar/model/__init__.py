"""Frozen value types: what a measurement is. No algorithms, no files.

`Chirp`, `AntennaArray` and `Trajectory` describe a measurement, `Scan` adds the samples, `Geometry` is what an
imager needs of it, `ImageGrid` and `Image` are what comes out. SI units and radians; vectors last, always x, y, z.
"""

from mmsar.model.array import AntennaArray
from mmsar.model.calibration import Calibration
from mmsar.model.chirp import Chirp
from mmsar.model.grid import ImageGrid
from mmsar.model.image import Image
from mmsar.model.scan import Geometry, Raster, Scan
from mmsar.model.trajectory import Trajectory

__all__ = [
    "AntennaArray",
    "Calibration",
    "Chirp",
    "Geometry",
    "Image",
    "ImageGrid",
    "Raster",
    "Scan",
    "Trajectory",
]
