"""Factorised back-projection against the float64 sum: the error knob, adjoint, chunks, blocks, odd grids, refusals."""

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from mmsar.core import kernels_bpa, kernels_ffbp, kernels_ffbp_grids
from mmsar.errors import DeviceError, GeometryError, MmsarError
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa, ffbp
from mmsar.recon.ffbp_design import Tree
from mmsar.recon.ffbp_nodes import lane_tables, least_squares, nodes_needed
from mmsar.recon.operators import dot_test
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import explain, reconstruct

CHIRP = Chirp.stepped(77e9, 1.25e8, 32)
PANEL = np.random.default_rng(3).uniform(-0.3, 0.3, (12, 3)) * [1, 1, 0.1]
MULTISTATIC = AntennaArray(tx=PANEL[:5], rx=PANEL[5:], name="panel")
"""Antennas up to 0.8 m apart."""


def grid_of(shape, spacing=(1.5e-3, 1.5e-3, 5e-3), centre=(0.0, 0.0, 0.3)):
    origin = np.array(centre) - (np.array(shape[::-1]) - 1) / 2 * spacing
    return ImageGrid(shape=shape, origin=tuple(origin), spacing=tuple(spacing))


def noise(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def scan_of(trajectory, array=None, chirp=CHIRP, seed=0, **more):
    array = array or AntennaArray.iwr1443()
    signal = noise((len(trajectory), array.n_tx, array.n_rx, chirp.n_samples), seed)
    return Scan(signal=signal, chirp=chirp, array=array, trajectory=trajectory, **more)


def plan_of(scan, grid, **options):
    return ffbp.plan(scan, grid, options=ReconOptions(progress=False, **options))


def error_db(image, signal, geometry, grid, n=200, seed=1):
    """Relative RMS error of random voxels [dB]."""
    index = np.random.default_rng(seed).integers(0, grid.n_voxels, min(n, 4 * grid.n_voxels))
    z, y, x = np.unravel_index(index, grid.shape)
    wanted = bpa.exact(signal, geometry, np.stack([grid.x[x], grid.y[y], grid.z[z]], axis=1))
    assert image.dtype == np.complex64 and image.shape == grid.shape
    return 20 * np.log10(np.linalg.norm(image[z, y, x] - wanted) / np.linalg.norm(wanted))


FREEHAND = Trajectory.freehand((12, 12), (5e-3, 6e-3), motion=(2e-3, 2e-3, 15e-3), rotation=0.06, seed=4)
SCENES = {
    "raster": (Trajectory.raster((28, 28), (2e-3, 2e-3)), AntennaArray.single(), grid_of((12, 32, 40))),
    "freehand": (FREEHAND, None, grid_of((12, 32, 40))),
    "close": (FREEHAND, None, grid_of((10, 40, 60), (2e-3, 2e-3, 2e-3), (0, 0, 0.12))),
    "deep, in blocks": (FREEHAND, None, grid_of((80, 8, 9), (5e-3, 5e-3, 8e-3), (0.1, 0, 0.6))),
    "multistatic": (Trajectory.raster((4, 5), (9e-3, 9e-3)), MULTISTATIC, grid_of((12, 32, 40))),
    "turntable": (Trajectory.turntable(90, 0.3), None, grid_of((40, 8, 40), (2e-3,) * 3, (0, 0, 0))),
}


@pytest.mark.parametrize("scene", SCENES)
def test_the_error_asked_for_is_kept(scene):
    trajectory, array, grid = SCENES[scene]
    rng = np.random.default_rng(7)
    array = array or AntennaArray.iwr1443()
    valid = rng.random((len(trajectory), array.n_tx, array.n_rx)) > 0.2
    scan = scan_of(trajectory, array, tx_delay=2e-3 * np.arange(array.n_tx), valid=valid)
    got = {}
    for wanted in (-30.0, -40.0, -60.0):
        plan = plan_of(scan, grid, error_db=wanted)
        got[wanted] = error_db(plan(scan.signal), scan.signal, scan.geometry, grid)
        assert got[wanted] <= wanted and plan.error_db == wanted, (got, plan.design)
    assert got[-30.0] > -55, "what was asked for loosely is not computed tightly: the knob does something"
    assert (np.prod(plan.design.parts) > 1) == ("blocks" in scene)
    assert dot_test(plan) <= 1e-5


def test_bpa_and_ffbp_show_the_same_points():
    grid, geometry = grid_of((9, 33, 33)), scan_of(FREEHAND).geometry
    signal = np.zeros(geometry.shape, dtype=np.complex64)
    for (z, y, x), value in zip([(4, 16, 16), (0, 0, 32)], [1.0, 0.5j], strict=True):
        r = np.array([grid.x[x], grid.y[y], grid.z[z]])
        path = sum(np.linalg.norm(r - p, axis=-1) for p in (geometry.tx_position, geometry.rx_position))
        signal += (value * np.exp(1j * geometry.chirp.k * path[..., None])).astype(np.complex64)
    image = plan_of(geometry, grid, error_db=-50)(signal)
    exact = bpa.plan(geometry, grid, options=ReconOptions(error_db=-60, progress=False))(signal)
    assert np.linalg.norm(image - exact) <= 10 ** (-48 / 20) * np.linalg.norm(exact)
    assert np.abs(image - exact).max() <= 10 ** (-50 / 20) * np.abs(exact).max()
    assert image[4, 16, 16] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 50), (1, 50, 1), (40, 1, 1), (1, 30, 30), (12, 1, 30), (3, 5, 7)])
def test_any_grid_shape(shape):
    scan = scan_of(Trajectory.freehand((6, 6), (5e-3, 5e-3), rotation=0.05, seed=1))
    grid = grid_of(shape, (2e-3, 3e-3, 4e-3))
    plan = plan_of(scan, grid)
    assert error_db(plan(scan.signal), scan.signal, scan.geometry, grid, 100) <= -48
    assert dot_test(plan) <= 1e-5


@pytest.mark.parametrize("seed", range(5))
def test_any_array_and_waveform(seed):
    rng = np.random.default_rng(seed)
    channels = tuple(rng.integers(1, [10, 4, 4]))
    weight = rng.choice([-1.0, 0.0, 0.5, 2.0], size=channels)
    weight.flat[-1] = 1.0
    samples = int(rng.choice([1, 2, 33]))
    geometry = Geometry(
        chirp=Chirp.stepped(rng.uniform(10e9, 80e9), rng.uniform(2e7, 1e8), samples),
        tx_position=rng.uniform(-0.05, 0.05, (*channels, 3)),
        rx_position=rng.uniform(-0.05, 0.05, (*channels, 3)),
        weight=weight,
        frequency_weight=rng.uniform(0.2, 1, samples),
    )
    shape = tuple(int(n) for n in rng.integers(1, [9, 12, 40]))
    grid = grid_of(shape, rng.uniform(5e-4, 5e-3, 3), (0.02, -0.03, rng.uniform(0.2, 0.5)))
    signal = noise(geometry.shape, seed)
    plan = plan_of(geometry, grid)
    assert error_db(plan(signal), signal, geometry, grid, 60) <= -48
    assert dot_test(plan, seed) <= 1e-4


def test_adjoint_of_a_voxel_is_its_weighted_echo():
    geometry = scan_of(FREEHAND, valid=np.random.default_rng(2).random(len(FREEHAND)) > 0.3).geometry
    geometry = geometry.replace(frequency_weight=np.hanning(34)[1:-1])
    grid = grid_of((8, 24, 32))
    data = np.zeros(grid.shape, np.complex64)
    data[3, 7, 30] = 1 + 2j
    echo = plan_of(geometry, grid, error_db=-60)
    r = np.array([grid.x[30], grid.y[7], grid.z[3]])
    path = sum(np.linalg.norm(r - p, axis=-1) for p in (geometry.tx_position, geometry.rx_position))
    wanted = (1 + 2j) * np.exp(1j * geometry.chirp.k * path[..., None])
    wanted = wanted * geometry.weight[..., None] * geometry.frequency_weight / geometry.norm
    echo = echo.adjoint(data)
    assert echo.dtype == np.complex64 and echo.shape == geometry.shape
    assert np.linalg.norm(echo - wanted) <= 5e-3 * np.linalg.norm(wanted)


def test_tiles_are_the_image_in_slabs():
    trajectory, _, grid = SCENES["deep, in blocks"]
    scan = scan_of(trajectory)
    plan = plan_of(scan, grid, tiles=7)
    whole = plan(scan.signal)
    assert len(plan.regions) == 7 and np.prod(plan.design.parts) > 1
    prepared = plan.prepare(scan.signal)
    for number, region in enumerate(plan.regions):
        assert np.array_equal(plan.tile(prepared, number), whole[region])


class Lazy:
    """A signal that is only to be had in blocks."""

    def __init__(self, signal, step):
        self.signal, self.step, self.shape = signal, step, signal.shape

    def blocks(self):
        for first in range(0, len(self.signal), self.step):
            yield slice(first, first + self.step), self.signal[first : first + self.step]


def test_blocks_and_memory_change_nothing_but_rounding():
    hand = Trajectory.freehand((24, 24), (2.5e-3, 3e-3), motion=(2e-3, 2e-3, 15e-3), rotation=0.06, seed=4)
    scan, grid = scan_of(hand, valid=np.random.default_rng(1).random(len(hand)) > 0.1), grid_of((8, 24, 32))
    whole = plan_of(scan, grid, error_db=-60)
    image = whole(scan)
    assert np.array_equal(image, whole(scan.signal))
    # some BLAS libraries round a row of a product by how many rows there are
    assert np.linalg.norm(whole(Lazy(scan.signal, 7)) - image) <= 1e-6 * np.linalg.norm(image)
    small = plan_of(scan, grid, error_db=-60, memory=2**20)
    assert small.nbytes < whole.nbytes and len(small.chunks) > 1
    for step in (50, len(hand)):
        assert np.linalg.norm(small(Lazy(scan.signal, step)) - image) <= 2e-3 * np.linalg.norm(image)
    assert dot_test(small) <= 1e-5


@pytest.mark.parametrize("direction", ["image", "adjoint"])
def test_memory_is_what_was_said(direction):
    hand = Trajectory.freehand((24, 24), (2.5e-3, 3e-3), motion=(2e-3, 2e-3, 15e-3), rotation=0.06, seed=4)
    scan, grid = scan_of(hand), grid_of((16, 64, 64))
    plan = plan_of(scan, grid)
    image = plan(scan.signal)
    tracemalloc.start()
    try:
        result = plan(scan.signal) if direction == "image" else plan.adjoint(image)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result = 0 if direction == "image" else result.nbytes
    assert 0.3 * plan.nbytes <= peak - result <= 1.1 * plan.nbytes


@pytest.mark.parametrize("split", [False, True], ids=["whole parents", "parents in parts"])
def test_few_grids_are_held_at_once(monkeypatch, split):
    """Depth first: less memory, really so, and the same image; few children a parent as well as many."""
    array, n, shape = (MULTISTATIC, 8, (16, 48, 48)) if split else (None, 16, (32, 48, 64))
    scan, grid = scan_of(Trajectory.raster((n, n), (8e-3, 8e-3)), array), grid_of(shape)
    whole = plan_of(scan, grid)
    held = whole._levels.held_bytes
    room = int(held * (0.3 if split else 0.6))
    monkeypatch.setattr("mmsar.recon.ffbp.default_room", lambda: room)
    few = plan_of(scan, grid)
    stages = few.design.stages
    assert few.design == whole.design and len(stages) > 1
    assert few._levels.held_bytes <= room and few.nbytes <= whole.nbytes - (held - room)
    step, ratio = few._levels._batches[0].step, 2 ** (stages[0].level - stages[1].level)
    assert (step < ratio) == split, "as the name of the case says"
    image, peaks = whole(scan.signal), {}
    few(scan.signal)
    for name, plan in (("whole", whole), ("few", few)):
        tracemalloc.start()
        try:
            plan(scan.signal)
            peaks[name] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peaks["few"] <= min(1.1 * few.nbytes, peaks["whole"] - 0.5 * (held - room))
    assert np.linalg.norm(few(scan.signal) - image) <= 1e-5 * np.linalg.norm(image)
    assert dot_test(few) <= 1e-5


def test_an_interrupt_stops_it():
    scan, grid = scan_of(FREEHAND), grid_of((8, 24, 32))
    plan = plan_of(scan, grid)

    class Stopped:
        shape = scan.signal.shape

        def blocks(self):
            yield slice(0, 10), scan.signal[:10]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan(Stopped())
    assert error_db(plan(scan.signal), scan.signal, scan.geometry, grid) <= -50


def test_progress_on_stderr_gives_the_same_image(capsys):
    scan, grid = scan_of(FREEHAND), grid_of((8, 24, 32))
    image = ffbp.plan(scan.geometry, grid, options=ReconOptions(progress=True))(scan)
    assert np.array_equal(image, plan_of(scan, grid)(scan))
    captured = capsys.readouterr()
    assert "ffbp" in captured.err and captured.out == ""


def test_refusals_name_got_and_wanted():
    scan, grid = scan_of(FREEHAND), grid_of((8, 24, 32))
    with pytest.raises(GeometryError, match=r"ffbp error_db: got -80, wanted -70 to -20"):
        plan_of(scan, grid, error_db=-80)
    with pytest.raises(MmsarError, match=r"ffbp: needs .* budget"):
        plan_of(scan, grid_of((64, 64, 64)), memory=2**20)
    with pytest.raises(DeviceError, match="cuda"):
        ffbp.plan(scan, grid, device="cuda")
    with pytest.raises(GeometryError, match=r"ffbp: got voxels .* blocks .* wanted less; use method bpa"):
        plan_of(scan, grid_of((800, 800, 800), (0.05, 0.05, 0.05), (0, 0, 25)), memory=2**40)
    plan = plan_of(scan, grid)
    with pytest.raises(GeometryError, match="ffbp signal"):
        plan(scan.signal[:5])
    with pytest.raises(GeometryError, match="ffbp image"):
        plan.adjoint(np.zeros((2, 2, 2)))


def test_reconstruct_and_explain_know_it():
    scan, grid = scan_of(FREEHAND), grid_of((8, 24, 32))
    options = ReconOptions(error_db=-40.0, progress=False, density="off")
    image = reconstruct(scan, grid, method="ffbp", options=options)
    exact = bpa.plan(scan, grid, options=options)(scan)
    assert image.history[-1]["method"] == "ffbp"
    assert np.linalg.norm(image.data - exact) <= 10 ** (-37 / 20) * np.linalg.norm(exact)
    line = next(line for line in explain(scan, grid, method="ffbp", options=options).splitlines() if "ffbp" in line)
    assert line.startswith("> ffbp ") and "MiB" in line


# ---- what it is made of ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("band", [0.5, 3.0, 12.0, 60.0])
@pytest.mark.parametrize("wanted", [1e-2, 1e-3])
def test_nodes_and_weights_carry_waves_of_the_band(band, wanted):
    n = nodes_needed(band, 0.0, wanted, 1000)
    assert band < 50 or n < 2 * (2 * band / np.pi), "less than two nodes per degree of freedom"
    targets = np.linspace(-1, 1, 333)
    start, weight, error = least_squares(n, targets, band)
    nodes = np.concatenate([np.linspace(-1, 1, n), np.zeros(8)])[start[:, None] + np.arange(8)]
    k = band * np.cos(np.pi * (np.arange(50) + 0.5) / 50)[:, None, None]
    missed = np.sum(weight * np.exp(1j * k * nodes), axis=2) - np.exp(1j * k[..., 0] * targets)
    assert np.sqrt(np.mean(np.abs(missed) ** 2)) <= 1.1 * wanted
    assert np.allclose(np.sqrt(np.mean(np.abs(missed) ** 2, axis=0)), error, rtol=0.05, atol=1e-4)
    first, basis = lane_tables(start, weight, n)
    basis = basis.reshape(len(first), -1, 16)
    padded = np.zeros(n + 64)
    padded[:n] = np.cos(band / 2 * np.linspace(-1, 1, n))
    along = np.concatenate([padded[f : f + basis.shape[1]] @ b for f, b in zip(first, basis, strict=True)])
    assert np.allclose(along[: len(targets)], np.cos(band / 2 * targets), atol=5 * wanted)
    assert not along[len(targets) :].any()


def test_one_more_node_is_one_too_many():
    for band, wanted in ((4.0, 1e-2), (15.0, 1e-3)):
        n = nodes_needed(band, 0.0, wanted, 1000)
        targets = np.linspace(-1, 1, 81)
        assert np.sqrt(np.mean(least_squares(n - 1, targets, band)[2] ** 2)) > 0.9 * wanted
    assert nodes_needed(100.0, 0.0, 1e-3, 9) == 9 and nodes_needed(100.0, 0.0, 1e-3, 1) == 1
    assert nodes_needed(0.8, 0.8, 1e-4, 99) > nodes_needed(0.8, 0.0, 1e-4, 99)


def test_clusters_are_nested_and_keep_chunks_apart():
    rng = np.random.default_rng(0)
    tx, rx = rng.random((100, 3)), rng.random((100, 3))
    tree = Tree(tx, rx, [0, 37, 100], 0.5)
    assert np.array_equal(np.sort(tree.order[:37]), np.arange(37))
    assert np.array_equal(np.sort(tree.order), np.arange(100))
    for level in range(1, tree.levels + 1):
        assert set(tree.starts(level - 1)) <= set(tree.starts(level))
    start = tree.starts(3, 1)
    assert start[0] == 37 and start[-1] == 100 and len(start) == 9
    part = tree.order[start[2] : start[3]]
    assert np.allclose(tree.means(start)[2], np.concatenate([tx[part].mean(axis=0), rx[part].mean(axis=0)]))


def test_cached_kernels_follow_their_sources():
    """numba caches by the file of the outer function: see KERNELS_CRC of kernels_bpa_tiles."""
    text = [Path(m.__file__).read_bytes().replace(b"\r\n", b"\n") for m in (kernels_bpa, kernels_ffbp)]
    both = zlib.crc32(b"".join(text))
    assert zlib.crc32(text[0]) == kernels_ffbp.KERNELS_CRC, f"set KERNELS_CRC to 0x{zlib.crc32(text[0]):08X}"
    assert both == kernels_ffbp_grids.SOURCES_CRC, f"set SOURCES_CRC in kernels_ffbp_grids.py to 0x{both:08X}"
