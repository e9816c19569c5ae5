"""The planner's memory and pieces for rma, empm and nufft against the plans themselves."""

import numpy as np
import pytest

from mmsar.errors import GeometryError, MmsarError
from mmsar.model import AntennaArray, Chirp, ImageGrid, Scan, Trajectory
from mmsar.recon import empm, nufft, rma
from mmsar.recon.options import ReconOptions
from mmsar.recon.planar_cost import planar_cost
from mmsar.recon.predict import cost

CHIRP = Chirp(f0=77e9, slope=4e9 / 64 * 2e6, fs=2e6, n_samples=64)
PLANS = {"rma": rma, "empm": empm, "nufft": nufft}


def scan_of(kind):
    if kind == "raster":
        quarter = CHIRP.wavelength / 4
        trajectory, array = Trajectory.raster((96, 96), (quarter, quarter)), AntennaArray.single()
    else:
        motion = (1e-3, 1e-3, 10e-3)
        trajectory = Trajectory.freehand((10, 150), (1e-3, 7.6e-3), motion=motion, seed=1)
        array = AntennaArray.iwr1443()
    signal = np.zeros((len(trajectory), array.n_tx, array.n_rx, 64), dtype=np.complex64)
    return Scan(signal=signal, chirp=CHIRP, array=array, trajectory=trajectory)


def grid_of(shape, half=0.05):
    _, n_y, n_x = shape
    return ImageGrid(
        shape=shape,
        origin=(-half, -half, 0.25),
        spacing=(2 * half / max(n_x - 1, 1), 2 * half / max(n_y - 1, 1), 2e-3),
    )


@pytest.mark.parametrize("shape", [(48, 128, 128), (1, 200, 200), (90, 64, 64)])
@pytest.mark.parametrize(
    ("kind", "method"),
    [("raster", "rma"), ("raster", "empm"), ("raster", "nufft"), ("freehand", "empm"), ("freehand", "nufft")],
)
def test_memory_within_a_fifth(kind, method, shape):
    scan, grid = scan_of(kind), grid_of(shape)
    plan = PLANS[method].plan(scan, grid, options=ReconOptions(memory=2**31))
    _, memory, pieces = planar_cost(method, scan.geometry, grid, 2**31, -50.0)
    assert pieces == 1 == -(-shape[0] // plan._migration._z_step)
    assert 0.8 <= memory / plan.nbytes <= 1.2, f"{memory / 2**20:.1f} MiB for {plan.nbytes / 2**20:.1f} MiB"


@pytest.mark.parametrize("method", ["empm", "nufft"])
def test_memory_within_a_budget_that_takes_pieces(method):
    scan, grid = scan_of("freehand"), grid_of((96, 128, 128))
    whole = planar_cost(method, scan.geometry, grid, 2**31, -50.0)[1]
    allowed = int(0.8 * whole)
    plan = PLANS[method].plan(scan, grid, options=ReconOptions(memory=allowed))
    seconds, memory, pieces = cost(method, scan.geometry, grid, memory=allowed)
    cut = -(-96 // plan._migration._z_step)
    assert cut > 1 and abs(pieces - cut) <= max(1, cut // 3)
    assert 0.8 <= memory / plan.nbytes <= 1.2
    assert seconds > cost(method, scan.geometry, grid, memory=2**31)[0]


def test_a_budget_that_no_piece_keeps_is_seen_before_the_plan_refuses_it():
    scan, grid = scan_of("freehand"), grid_of((64, 128, 128))
    allowed = 8 * grid.n_voxels
    assert planar_cost("nufft", scan.geometry, grid, allowed, -50.0)[1] > allowed
    with pytest.raises(MmsarError, match="method nufft: needs"):
        nufft.plan(scan, grid, options=ReconOptions(memory=allowed))


def test_an_image_behind_the_aperture_has_no_cost():
    scan = scan_of("raster")
    behind = ImageGrid(shape=(8, 8, 8), origin=(0, 0, -0.1), spacing=(1e-3,) * 3)
    with pytest.raises(GeometryError, match="beyond the aperture"):
        planar_cost("rma", scan.geometry, behind, 2**30, -50.0)
    assert cost("rma", scan.geometry, behind)[0] == np.inf


@pytest.mark.parametrize("kind", ["raster", "freehand"])
@pytest.mark.parametrize("shape", [(48, 128, 128), (1, 200, 200)])
def test_memory_of_back_projection_within_a_fifth(kind, shape):
    from mmsar.recon import bpa

    scan, grid = scan_of(kind), grid_of(shape)
    plan = bpa.plan(scan, grid, options=ReconOptions(memory=2**31))
    _, memory, _ = cost("bpa", scan.geometry, grid, memory=2**31)
    assert 0.8 <= memory / plan.nbytes <= 1.2, f"{memory / 2**20:.1f} MiB for {plan.nbytes / 2**20:.1f} MiB"
    allowed = int(plan.nbytes * 0.93)
    assert cost("bpa", scan.geometry, grid, memory=allowed)[1] <= 1.2 * allowed, "poses are taken in chunks that fit"


@pytest.mark.parametrize("size", ["small", "medium"])
def test_memory_of_back_projection_on_a_turntable(size):
    """Antennas all round: no pair sees the whole span between the nearest and the farthest of all."""
    from mmsar.cli.bench import SIZES, problem
    from mmsar.recon import bpa

    scan, grid = problem("turntable", SIZES[size])
    plan = bpa.plan(scan, grid, options=ReconOptions(memory=2**31))
    assert 0.9 <= cost("bpa", scan.geometry, grid, memory=2**31)[1] / plan.nbytes <= 1.1
