"""A training pair for enhancement: an image as a radar would make it, and what the scene was."""

from dataclasses import dataclass

import numpy as np

from mmsar.core.checks import check_shape, finite_number
from mmsar.errors import GeometryError


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """One slice: the image, two labels, and how it came about.

    Raises
    ------
    GeometryError
        Images of different shapes, values that are not finite, or labels out of range.
    """

    input: np.ndarray
    """Reconstructed slice, complex64 (n_y, n_x), times `gain`: its largest magnitude is 1."""
    ideal: np.ndarray
    """The paper's label, float32 (n_y, n_x): blobs exp(-d^2 / sigma^2) of equal height, summed, clipped to [0, 1]."""
    physical: np.ndarray
    """The consistent label, float32 (n_y, n_x), >= 0: reflectivities through one coherent blob; a unit point is 1."""
    seed: int
    """Seed that makes this pair again under its recipe."""
    family: str
    """Family of shapes in the scene."""
    split: str
    """train, validation or test."""
    method: str
    """Imaging method."""
    error_kind: str
    """How the true positions differed from the recorded ones: none, white, rail, hand or mixed."""
    depth: float
    """Distance of the slice from the aperture [m]."""
    track: int
    """Nominal track: 0 plane, others by hand."""
    gain: float
    """input / gain is the image in which a unit point peaks at about 1."""
    snr_db: float
    """Signal-to-noise ratio of a sample [dB]; of a scene without scatterers it says nothing."""
    position_error: float
    """RMS error of the recorded positions along each axis [m]."""
    missing: float
    """Part of the rows that was lost."""
    empty: bool
    """No scatterers: noise only."""
    ghost: bool
    """Multipath copies are in the image, not in the labels."""
    clutter: bool
    """Objects outside the slice's range cell are in the echoes, not in the labels."""
    rough: bool
    """Some object has random phases (speckle)."""

    def __post_init__(self) -> None:
        shape = np.shape(self.input)
        check_shape("Pair.input", shape, (None, None))
        for name, kind in (("input", np.complex64), ("ideal", np.float32), ("physical", np.float32)):
            value = np.asarray(getattr(self, name), dtype=kind)
            check_shape(f"Pair.{name}", value.shape, shape)
            if not np.isfinite(value).all():
                raise GeometryError(f"Pair.{name}: got values that are not finite, wanted finite ones")
            object.__setattr__(self, name, value)
        if self.ideal.min() < 0 or self.ideal.max() > 1 or self.physical.min() < 0:
            raise GeometryError("Pair labels: got values out of range, wanted ideal in [0, 1] and physical >= 0")
        finite_number("Pair.gain", self.gain, "1", above=0.0)

    @property
    def magnitude(self) -> np.ndarray:
        """Magnitude of the input, float32 (n_y, n_x), at most 1."""
        return np.abs(self.input)
