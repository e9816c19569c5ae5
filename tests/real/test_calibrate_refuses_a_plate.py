"""A measured scan of something else is no calibration: the square plate is refused wherever a reflector is claimed."""

import pytest

from mmsar.errors import GeometryError
from mmsar.hardware.calibrate.reflector import ReflectorOptions, measure_reflector


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.335), (0.03, 0.01, 0.335), (0.0, 0.0, 0.6)])
@pytest.mark.parametrize("refine", [False, True])
def test_a_plate_is_no_reflector(plate, place, refine) -> None:
    rows = plate.subset(slice(0, 27 * 400, 9))
    with pytest.raises(GeometryError, match=r"^reflector"):
        measure_reflector(rows, place, options=ReflectorOptions(refine=refine))
