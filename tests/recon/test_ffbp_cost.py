"""What ffbp is said to need before it is planned, against its plan."""

import numpy as np
import pytest

from mmsar.cli.bench import SIZES, problem
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import ffbp
from mmsar.recon.ffbp_batches import default_room
from mmsar.recon.ffbp_cost import FFBP_PLANNING, factorised_cost
from mmsar.recon.options import ReconOptions


def panel() -> tuple[Geometry, ImageGrid]:
    """A board with antennas up to 0.8 m apart at 9 x 9 places: 25,920 pairs."""
    place = np.random.default_rng(3).uniform(-0.3, 0.3, (36, 3)) * [1, 1, 0.05]
    array = AntennaArray(tx=place[:16], rx=place[16:], name="panel")
    chirp = Chirp(f0=77e9, slope=4e9 / 64 * 2e6, fs=2e6, n_samples=64)
    trajectory = Trajectory.raster((9, 9), (9e-3, 9e-3))
    signal = np.zeros((81, 16, 20, 64), np.complex64)
    geometry = Scan(signal=signal, chirp=chirp, array=array, trajectory=trajectory).geometry
    return geometry, ImageGrid.from_extent((-0.1, 0.1), (-0.1, 0.1), (0.27, 0.33), spacing=(8e-4, 8e-4, 1e-3))


CASES = ["small", "medium", "wide panel"]


@pytest.mark.parametrize("case", CASES)
def test_memory_within_a_fifth_and_time_within_three(case):
    """The freehand scans of `mmsar bench`, and a wide panel whose grids are held some at a time."""
    if case == "wide panel":
        geometry, grid = panel()
    else:
        scan, grid = problem("freehand", SIZES[case])
        geometry = scan.geometry
    plan = ffbp.plan(geometry, grid, options=ReconOptions(memory=2**32))
    seconds, memory, pieces = factorised_cost(geometry, grid, 2**32, -50.0)
    assert 0.8 <= memory / plan.nbytes <= 1.2, f"{memory / 2**20:.1f} MiB for {plan.nbytes / 2**20:.1f} MiB"
    assert plan.seconds / 3 <= seconds - FFBP_PLANNING <= 3 * (plan.seconds + 0.1)
    assert pieces == 1
    if case == "wide panel":
        sizes = [stage.size for stage in plan.design.stages]
        assert 4 * sizes[0] * 2 ** plan.design.stages[0].level > default_room(), "too small to show the bound"
        assert memory < 8 * grid.n_voxels + 2 * default_room()


def test_what_ffbp_refuses_has_no_cost():
    geometry, _ = panel()
    deep = ImageGrid(shape=(800, 800, 800), origin=(-20.0, -20.0, 5.0), spacing=(0.05,) * 3)
    assert factorised_cost(geometry, deep, 2**34, -50.0)[0] == np.inf
