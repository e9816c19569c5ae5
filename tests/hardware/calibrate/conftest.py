"""The module of reflector scans on the path, and a scan of one point as a fixture."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def reflector_scan() -> Callable:
    """`reflectors.measure` of one point at `reflectors.PLACE`."""
    import reflectors

    from mmsar.simulate.scene import Scene

    def make(trajectory=reflectors.RASTER, truth=None, **changes):
        truth = reflectors.instrument() if truth is None else truth
        return reflectors.measure(Scene.points([reflectors.PLACE]), trajectory, truth, **changes)

    return make
