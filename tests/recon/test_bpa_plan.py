"""The fast back-projection against the float64 sum: error, adjoint, blocks, chunks and odd grids."""

import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmsar.core import kernels_bpa, kernels_bpa_design, kernels_bpa_tiles
from mmsar.errors import GeometryError, MmsarError
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa
from mmsar.recon.operators import dot_test
from mmsar.recon.options import ReconOptions

CHIRP = Chirp.stepped(77e9, 6.25e7, 64)


def noise(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def scan_of(trajectory, array=None, chirp=CHIRP, seed=0, **more):
    array = array or AntennaArray.iwr1443()
    shape = (len(trajectory), array.n_tx, array.n_rx, chirp.n_samples)
    return Scan(signal=noise(shape, seed), chirp=chirp, array=array, trajectory=trajectory, **more)


def grid_of(shape, spacing=(1.5e-3, 1.5e-3, 5e-3), centre=(0.0, 0.0, 0.3)):
    spacing = np.broadcast_to(spacing, 3)
    origin = np.array(centre) - (np.array(shape[::-1]) - 1) / 2 * spacing
    return ImageGrid(shape=shape, origin=tuple(origin), spacing=tuple(spacing))


def error_db(plan, signal, n=250, seed=1):
    """Relative RMS error of random voxels [dB]."""
    image, grid = plan(signal), plan.grid
    index = np.random.default_rng(seed).integers(0, grid.n_voxels, min(n, 4 * grid.n_voxels))
    z, y, x = np.unravel_index(index, grid.shape)
    wanted = bpa.exact(signal, plan.geometry, np.stack([grid.x[x], grid.y[y], grid.z[z]], axis=1))
    assert image.dtype == np.complex64 and image.shape == grid.shape
    return 20 * np.log10(np.linalg.norm(image[z, y, x] - wanted) / np.linalg.norm(wanted))


FREEHAND = Trajectory.freehand((14, 14), (4e-3, 5e-3), rotation=0.06, seed=4)
RANDOM_POSES = Trajectory(
    time=np.arange(60) * 5e-3,
    position=np.random.default_rng(5).uniform(-0.1, 0.1, (60, 3)) * [1, 1, 0.3],
    rotation=(lambda q: q / np.linalg.norm(q, axis=1, keepdims=True))(
        np.random.default_rng(6).standard_normal((60, 4)) * 0.3 + [0, 0, 0, 1]
    ),
)
SCENES = {
    "near": (FREEHAND, grid_of((12, 32, 40))),
    "close and wide": (FREEHAND, grid_of((10, 40, 60), 2e-3, (0, 0, 0.12))),
    "far": (FREEHAND, grid_of((10, 24, 32), 5e-3, (0.2, 0, 2.5))),
    "random poses": (RANDOM_POSES, grid_of((8, 20, 32))),
    "turntable": (Trajectory.turntable(120, 0.3), grid_of((40, 8, 40), 2e-3, (0, 0, 0))),
}


@pytest.mark.parametrize("wanted", [-40.0, -50.0, -60.0])
@pytest.mark.parametrize("scene", SCENES)
def test_error_is_within_the_wanted_one(scene, wanted):
    trajectory, grid = SCENES[scene]
    rng = np.random.default_rng(7)
    scan = scan_of(
        trajectory,
        AntennaArray(tx=AntennaArray.iwr1443().tx, rx=AntennaArray.iwr1443().rx, polarity=rng.choice([-1, 1], (2, 4))),
        tx_delay=[0, 2e-3],
        valid=rng.random((len(trajectory), 2, 4)) > 0.2,
    )
    plan = bpa.plan(scan.geometry, grid, options=ReconOptions(error_db=wanted))
    assert error_db(plan, scan.signal) <= wanted
    assert plan.error_db == wanted


def test_points_come_out_with_their_complex_reflectivity():
    grid = grid_of((9, 33, 33))
    geometry = scan_of(FREEHAND).geometry
    at, sigma = [(4, 16, 16), (4, 8, 24)], [1.0, 0.5j]
    signal = np.zeros(geometry.shape, dtype=np.complex64)
    for (z, y, x), value in zip(at, sigma, strict=True):
        r = np.array([grid.x[x], grid.y[y], grid.z[z]])
        path = sum(np.linalg.norm(r - p, axis=-1) for p in (geometry.tx_position, geometry.rx_position))
        signal += (value * np.exp(1j * geometry.chirp.k * path[..., None])).astype(np.complex64)
    image = bpa.plan(geometry, grid, options=ReconOptions(error_db=-60))(signal)
    assert np.unravel_index(np.argmax(np.abs(image)), grid.shape) == at[0]
    wanted = bpa.exact_image(signal, geometry, grid)
    assert np.abs(image - wanted).max() < 1e-3 * np.abs(wanted).max()
    assert image[at[0]] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 1, 50), (1, 50, 1), (40, 1, 1), (1, 30, 30), (12, 1, 30), (30, 20, 1), (3, 5, 7)]
)
def test_any_grid_shape(shape):
    scan = scan_of(Trajectory.freehand((6, 6), (5e-3, 5e-3), rotation=0.05, seed=1))
    plan = bpa.plan(scan.geometry, grid_of(shape, (2e-3, 3e-3, 4e-3)))
    assert error_db(plan, scan.signal, 100) <= -50
    assert dot_test(plan) <= 1e-5


@settings(deadline=None, max_examples=25)
@example(poses=5, array=(1, 1), samples=7, shape=(5, 5, 7), seed=5)
@given(
    poses=st.integers(1, 9),
    array=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    samples=st.sampled_from([1, 2, 7, 33]),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 40)),
    seed=st.integers(0, 2**31),
)
def test_any_array_waveform_and_grid(poses, array, samples, shape, seed):
    rng = np.random.default_rng(seed)
    channels = (poses, *array)
    weight = rng.choice([-1.0, 0.0, 0.5, 2.0], size=channels)
    weight.flat[-1] = 1.0
    geometry = Geometry(
        chirp=Chirp.stepped(rng.uniform(10e9, 80e9), rng.uniform(2e7, 1e8), samples),
        tx_position=rng.uniform(-0.05, 0.05, (*channels, 3)),
        rx_position=rng.uniform(-0.05, 0.05, (*channels, 3)),
        weight=weight,
        frequency_weight=rng.uniform(0.2, 1, samples),
    )
    grid = grid_of(shape, rng.uniform(0.5e-3, 5e-3, 3), (*rng.uniform(-0.05, 0.05, 2), rng.uniform(0.2, 0.5)))
    plan = bpa.plan(geometry, grid)
    # of few samples one noise alone is chance
    errors = [error_db(plan, noise(geometry.shape, seed + i), 60) for i in range(4)]
    assert 10 * np.log10(np.mean(10 ** (np.array(errors) / 10))) <= -48
    assert dot_test(plan, seed) <= 1e-4


def test_wide_band_and_coarse_voxels():
    chirp = Chirp.stepped(10e9, 1e8, 160)
    scan = scan_of(RANDOM_POSES, chirp=chirp)
    for wanted in (-40, -60):
        plan = bpa.plan(scan.geometry, grid_of((6, 12, 20), 6e-3), options=ReconOptions(error_db=wanted))
        assert error_db(plan, scan.signal) <= wanted


@pytest.mark.parametrize("centre", [(0, 0, 0.3), (0, 0, 0.0)], ids=["clusters", "direct"])
def test_adjoint_is_the_conjugate_transpose(centre):
    scan = scan_of(FREEHAND, tx_delay=[0, 1e-3])
    plan = bpa.plan(scan.geometry, grid_of((8, 24, 32), centre=centre))
    assert (plan.design.level is None) == (centre[2] == 0)
    assert dot_test(plan) <= 1e-5


def test_adjoint_of_a_voxel_is_its_weighted_echo():
    rng = np.random.default_rng(2)
    geometry = scan_of(FREEHAND, valid=rng.random(len(FREEHAND)) > 0.3).geometry
    geometry = geometry.replace(frequency_weight=np.hanning(66)[1:-1])
    grid = grid_of((8, 24, 32))
    data = np.zeros(grid.shape, np.complex64)
    data[3, 7, 30] = 1 + 2j
    echo = bpa.plan(geometry, grid, options=ReconOptions(error_db=-60)).adjoint(data)
    r = np.array([grid.x[30], grid.y[7], grid.z[3]])
    path = sum(np.linalg.norm(r - p, axis=-1) for p in (geometry.tx_position, geometry.rx_position))
    wanted = (1 + 2j) * np.exp(1j * geometry.chirp.k * path[..., None])
    wanted = wanted * geometry.weight[..., None] * geometry.frequency_weight / geometry.norm
    assert echo.dtype == np.complex64 and echo.shape == geometry.shape
    assert np.linalg.norm(echo - wanted) <= 5e-3 * np.linalg.norm(wanted)


class Lazy:
    """A signal that is only to be had in blocks."""

    def __init__(self, signal, step):
        self.signal, self.step, self.shape, self.served = signal, step, signal.shape, 0

    def blocks(self):
        for first in range(0, len(self.signal), self.step):
            self.served += 1
            yield slice(first, first + self.step), self.signal[first : first + self.step]


def test_blocks_and_memory_change_nothing_but_rounding():
    scan, grid = scan_of(FREEHAND), grid_of((8, 24, 32))
    whole = bpa.plan(scan.geometry, grid, options=ReconOptions(error_db=-60))
    image = whole(scan)
    assert np.array_equal(image, whole(scan.signal))
    small = bpa.plan(scan.geometry, grid, options=ReconOptions(error_db=-60, memory=whole.nbytes - 150_000))
    assert small.nbytes < whole.nbytes and len(small._chunks) > 1
    for step in (1, 50, 77, len(FREEHAND)):
        lazy = Lazy(scan.signal, step)
        chunked = small(lazy)
        assert lazy.served == -(-len(FREEHAND) // step)
        assert np.linalg.norm(chunked - image) <= 1.5e-3 * np.linalg.norm(image)
    assert dot_test(small) <= 1e-5


def test_progress_on_stderr_gives_the_same_image(capsys):
    scan, grid = scan_of(FREEHAND), grid_of((8, 24, 32))
    image = bpa.plan(scan.geometry, grid, options=ReconOptions(progress=True))(scan)
    assert np.array_equal(image, bpa.plan(scan.geometry, grid)(scan))
    captured = capsys.readouterr()
    assert "bpa 1/1" in captured.err and captured.out == ""


def test_refusals_name_got_and_wanted():
    scan, grid = scan_of(FREEHAND), grid_of((8, 24, 32))
    with pytest.raises(GeometryError, match=r"error_db: got -80, wanted -70 to -20"):
        bpa.plan(scan.geometry, grid, options=ReconOptions(error_db=-80))
    with pytest.raises(MmsarError, match=r"bpa: needs .* budget"):
        bpa.plan(scan.geometry, grid, options=ReconOptions(memory=2**20))
    plan = bpa.plan(scan.geometry, grid)
    with pytest.raises(GeometryError, match="bpa signal"):
        plan(scan.signal[:5])
    with pytest.raises(GeometryError, match="bpa image"):
        plan.adjoint(np.zeros((2, 2, 2)))


def test_interpolation_reproduces_polynomials_and_voxels():
    for size, n in ((2, 1), (5, 3), (16, 5), (64, 8)):
        nodes, weights = kernels_bpa_design.interpolation(size, n)
        voxels = np.arange(size) - (size - 1) / 2
        assert np.allclose(weights @ nodes ** (n - 1), voxels ** (n - 1), atol=1e-9 * size**n)
        assert np.all(np.abs(nodes) <= size / 2)
    nodes, weights = kernels_bpa_design.interpolation(4, 6)
    assert np.array_equal(weights, np.eye(4)) and len(nodes) == 4


def test_clusters_are_compact_and_complete():
    x = np.random.default_rng(0).random((100, 2))
    order = kernels_bpa_design.cluster_order(x, 4)
    assert np.array_equal(np.sort(order), np.arange(100))
    start, mean = kernels_bpa_design.clusters(x, order, 4)
    assert start[0] == 0 and start[-1] == 100 and len(mean) == 16
    widths = [np.ptp(x[order[a:b]], axis=0).max() for a, b in pairwise(start)]
    assert np.mean(widths) < 0.35


def test_cis_is_accurate_in_float32():
    cycles = np.linspace(-20, 20, 4001, dtype=np.float32)
    got = np.array([complex(*kernels_bpa.cis(c)) for c in cycles[::10]])
    assert np.abs(got - np.exp(2j * np.pi * cycles[::10].astype(float))).max() < 2.5e-5


def test_cached_kernels_follow_their_source():
    """numba caches by the file of the outer function: see KERNELS_CRC."""
    crc = zlib.crc32(Path(kernels_bpa.__file__).read_bytes().replace(b"\r\n", b"\n"))
    assert crc == kernels_bpa_tiles.KERNELS_CRC, f"set KERNELS_CRC in kernels_bpa_tiles.py to 0x{crc:08X}"
