"""Sparse reconstruction: what it resolves, keeps and leaves out, by which conditions, with which imagers."""

import numpy as np
import pytest

from mmsar.errors import GeometryError, MmsarError
from mmsar.model import AntennaArray, Trajectory
from mmsar.recon import bpa, isar, nufft, rma
from mmsar.recon.operators import linear_operator
from mmsar.recon.options import ReconOptions, SparseOptions
from mmsar.recon.planner import make_plan, reconstruct
from mmsar.recon.sparse import SparsePlan, restored, sparse_image

QUIET = ReconOptions(progress=False, error_db=-60.0)
DEPTH = 0.2
CELL = 3.79e-3 * DEPTH / (2 * 47e-3)
"""Cross-range resolution lambda z / 2D of the geometry below [m]."""


@pytest.fixture(scope="module")
def geometry(square):
    return square


@pytest.fixture(scope="module")
def grid(lab):
    return lab.grid((-40e-3, 40e-3), (-10e-3, 10e-3), DEPTH, spacing=2e-3)


@pytest.fixture(scope="module")
def solver(geometry, grid):
    return SparsePlan(
        rma.plan(geometry, grid, options=QUIET), SparseOptions(restore=3e-3, iterations=25, rounds=2), show=False
    )


def dip(row, x, apart):
    """Middle over the smaller of two peaks."""
    return row[np.argmin(np.abs(x))] / min(row[x < -apart / 4].max(), row[x > apart / 4].max())


def test_in_phase_pair_that_the_matched_filter_does_not_resolve(lab, geometry, grid, solver):
    apart = 12e-3
    assert apart < 1.5 * CELL
    signal = lab.signal_of(geometry, [[-apart / 2, 0, DEPTH], [apart / 2, 0, DEPTH]])
    line = grid.y.size // 2
    assert dip(np.abs(solver.plan(signal))[0, line], grid.x, apart) > 0.7
    row = np.abs(solver.image(solver(signal)))[0, line]
    assert dip(row, grid.x, apart) < 0.5
    assert 0.5 < row[np.abs(np.abs(grid.x) - apart / 2) <= 2e-3].max() < 1.2


def test_amplitude_at_minus_20_db(lab, geometry, grid, solver):
    place = [[-23e-3, 1e-3, DEPTH], [25e-3, 0.6e-3, DEPTH]]  # off the voxels
    image = np.abs(solver.image(solver(lab.signal_of(geometry, place, np.array([1.0, 0.1])))))[0]
    strong, weak = image[:, grid.x < 0].max(), image[:, grid.x > 0].max()
    assert 20 * np.log10(weak / strong) == pytest.approx(-20, abs=3)


def test_noise_alone_gives_nothing(lab, geometry, solver):
    signal = lab.noise_of(geometry.shape)
    lit = np.abs(solver.image(solver(signal))) > 0.15 * np.abs(solver.plan(signal)).max()
    assert lit.mean() <= 0.005
    assert not solver(np.zeros(geometry.shape, np.complex64)).spikes.any()


def test_point_in_noise_stands_alone(lab, geometry, grid, solver):
    signal = lab.signal_of(geometry, [[10e-3, 0, DEPTH]]) + 10 * lab.noise_of(geometry.shape)  # SNR of a sample -20 dB
    found = solver(signal)
    image = np.abs(solver.image(found))[0]
    peak = np.unravel_index(np.argmax(image), image.shape)
    assert abs(grid.x[peak[1]] - 10e-3) <= 2e-3
    away = np.abs(grid.x - 10e-3) > 2 * CELL
    assert image[:, away].max(initial=0) < 0.1 * image.max()
    assert np.abs(solver.plan(signal))[0][:, away].max() > 0.2 * image.max()
    assert found.noise == pytest.approx(10 / np.sqrt(np.prod(geometry.shape)), rel=0.05)


def test_conditions_of_the_minimum_and_falling_objective(lab, geometry, solver):
    place = [[-20e-3, 0, DEPTH], [3e-3, 4e-3, DEPTH], [9e-3, 2e-3, DEPTH]]
    signal = lab.signal_of(geometry, place, np.array([1.0, 0.5j, -0.7])) + lab.noise_of(geometry.shape)
    options = SparseOptions(iterations=150, rounds=2, tolerance=2e-3, strength=0.1)
    found = SparsePlan(solver.plan, options, show=False)(signal)
    energy = np.linalg.norm(signal) ** 2 / geometry.norm
    for values in found.objectives:
        assert np.all(np.diff(values) <= 1e-6 * energy) and values[-1] < values[0] - 1e-3 * energy
    # by the operator pair alone: residual s - norm F x, shown by the imager
    forward, norm = linear_operator(solver.plan), geometry.norm
    left = signal.ravel() - norm * (forward @ found.spikes.ravel())
    shown = (forward.H @ left).reshape(found.spikes.shape)
    limit = found.level * found.penalty
    on = np.abs(found.spikes) > 0
    assert 3 <= on.sum() < 60
    assert np.all(np.abs(shown[~on]) <= limit[~on] + 5e-3 * found.level)
    turned = shown[on] * np.exp(-1j * np.angle(found.spikes[on]))
    np.testing.assert_allclose(turned, limit[on], atol=5e-3 * found.level)
    assert found.optimality <= 2e-3
    np.testing.assert_allclose(found.residual, shown, atol=2e-3 * found.level)
    explained = 1 - np.linalg.norm(left) ** 2 / np.linalg.norm(signal) ** 2
    assert found.explained == pytest.approx(explained, abs=1e-4)


def test_start_at_the_solution_ends_at_once_and_penalty_forbids(lab, geometry, grid, solver):
    signal = lab.signal_of(geometry, [[-20e-3, 0, DEPTH], [20e-3, 0, DEPTH]])
    once = SparsePlan(solver.plan, SparseOptions(rounds=1, iterations=80, tolerance=0.1, strength=0.1), show=False)
    found = once(signal)
    assert once(signal, start=found.spikes).iterations <= 3 < found.iterations
    penalty = np.where(grid.x < 0, 1e3, 1.0) * np.ones(grid.shape)
    assert not once(signal, penalty=penalty).spikes[..., grid.x < 0].any()
    np.testing.assert_array_equal(found.spikes, once(signal).spikes)  # deterministic


@pytest.mark.parametrize("module", [bpa, nufft], ids=lambda m: m.__name__.rsplit(".", 1)[-1])
def test_any_imager(lab, geometry, grid, solver, module):
    signal = lab.signal_of(geometry, [[-20e-3, 0, DEPTH], [20e-3, 0, DEPTH]])
    other = SparsePlan(module.plan(geometry, grid, options=QUIET), solver.options, show=False)
    mine, theirs = other.image(other(signal)), solver.image(solver(signal))
    assert np.linalg.norm(mine - theirs) < 0.1 * np.linalg.norm(theirs)


def test_turntable(lab):
    from mmsar.model import Chirp

    path = Trajectory.turntable(240, 0.25)
    scan = lab.scan_of(AntennaArray.single(), path, [[0.01, 0, 0.004]], chirp=Chirp.stepped(77e9, 4e9 / 8, 8))
    grid = lab.grid((-15e-3, 15e-3), 0.0, (-15e-3, 15e-3), spacing=0.5e-3)
    solver = SparsePlan(isar.plan(scan.geometry, grid, options=QUIET), SparseOptions(restore=0.0, rounds=2), show=False)
    found = solver(scan)
    peak = np.unravel_index(np.argmax(np.abs(found.spikes)), grid.shape)
    assert (grid.x[peak[2]], grid.z[peak[0]]) == pytest.approx((0.01, 0.004), abs=6e-4)
    assert np.count_nonzero(found.spikes) < 40 and found.explained > 0.9


def test_compressed_and_plain_way_round_agree(lab, geometry, grid):
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.5, 2, geometry.weight.shape) * rng.choice(
        [-1, 0, 1], geometry.weight.shape, p=[0.2, 0.1, 0.7]
    )
    plan = rma.plan(geometry.replace(weight=weight, frequency_weight=np.hanning(8)[1:-1]), grid, options=QUIET)
    solver = SparsePlan(plan, show=False)
    image = lab.noise_of(grid.shape)
    channel, frequency = solver._inverse
    echo = plan.adjoint(image) * (plan.geometry.norm * channel[..., None] * frequency)
    plain = plan(echo.astype(np.complex64))
    np.testing.assert_allclose(solver.gram(image), plain, atol=1e-4 * np.abs(plain).max())


def test_lost_channels_and_inverted_feeds_do_not_change_the_scene(lab, geometry, grid, solver):
    signal = lab.signal_of(geometry, [[-20e-3, 0, DEPTH], [20e-3, 0, DEPTH]], np.array([1, 0.5]))
    rng = np.random.default_rng(2)
    sign = rng.choice([-1.0, 1.0], geometry.weight.shape)
    lost = rng.random(geometry.weight.shape) < 0.3
    dirty = signal * sign[..., None]
    dirty[lost] = 100
    known = SparsePlan(
        nufft.plan(geometry.replace(weight=sign * ~lost), grid, options=QUIET), solver.options, show=False
    )
    told = SparsePlan(
        nufft.plan(geometry.replace(weight=sign), grid, options=QUIET), solver.options, valid=~lost, show=False
    )
    clean = np.abs(solver.image(solver(signal)))
    for other in (known, told):
        assert np.linalg.norm(np.abs(other.image(other(dirty))) - clean) < 0.1 * np.linalg.norm(clean)


def test_blob():
    spikes = np.zeros((1, 21, 21), np.complex64)
    spikes[0, 10, 10], spikes[0, 0, 0] = 2j, 1
    image = restored(spikes, (0.0, 2.0, 3.0))
    assert image[0, 10, 10] == pytest.approx(2j) and image[0, 10, 13] == pytest.approx(2j / np.e, rel=1e-5)
    assert image[0, 12, 10] == pytest.approx(2j / np.e, rel=1e-5) and image[0, 0, 3] == pytest.approx(
        1 / np.e, rel=1e-5
    )
    np.testing.assert_array_equal(restored(spikes, (0.0, 0.0, 0.0)), spikes)


def test_reconstruct_tells_what_was_done(lab):
    scan = lab.raster_scan([[0.004, 0, 0.2]], shape=(20, 20), step=1.5e-3)
    grid = lab.grid((-20e-3, 20e-3), (-20e-3, 20e-3), 0.2, spacing=2e-3)
    options = ReconOptions(progress=False, sparse=SparseOptions(strength=0.1, iterations=20))
    image = reconstruct(scan, grid, method="rma", options=options)
    told = next(step for step in image.history if step["step"] == "reconstruct")["sparse"]
    assert told["strength"] == 0.1 and 0 < told["iterations"] <= 60 and told["explained"] > 0.9
    wide = lab.grid((-20e-3, 20e-3), (-20e-3, 20e-3), 0.2, spacing=0.5e-3)
    filtered = make_plan("rma", scan.geometry, wide, options=QUIET)(scan)[0, 40]
    width = wide.spacing[0] * np.sum(np.abs(filtered) > np.abs(filtered).max() / np.sqrt(2))
    assert told["restore"][0] == pytest.approx(0.425 * width, rel=0.15) and told["restore"][2] == 0
    plain = reconstruct(scan, grid, method="rma", options=ReconOptions(progress=False))
    assert np.sum(image.magnitude() > 0.1) < np.sum(plain.magnitude() > 0.1)
    plan = make_plan("rma", scan.geometry, grid, options=QUIET)
    with pytest.raises(MmsarError, match="sparse: needs"):
        sparse_image(plan, scan, SparseOptions(), memory=plan.nbytes + 2**10, show=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: SparseOptions(strength=0), "strength"),
        (lambda: SparseOptions(strength=1.5), "wanted a part of 1"),
        (lambda: SparseOptions(restore=-1e-3), "restore"),
        (lambda: SparseOptions(iterations=0), "iterations"),
        (lambda: ReconOptions(sparse=SparseOptions(), tiles=2), "tiles"),
        (lambda: ReconOptions(sparse=SparseOptions(), verify=True), "verify"),
        (lambda: ReconOptions(sparse=SparseOptions(), kernel="hankel"), "kernel hankel"),
    ],
)
def test_options_refused(wrong, message):
    with pytest.raises(GeometryError, match=message):
        wrong()


def test_arrays_refused(geometry, grid, solver):
    signal = np.zeros(geometry.shape, np.complex64)
    with pytest.raises(GeometryError, match="signal"):
        solver(signal[1:])
    with pytest.raises(GeometryError, match="penalty"):
        solver(signal, penalty=-np.ones(grid.shape))
    with pytest.raises(GeometryError, match="start"):
        solver(signal, start=np.zeros(3))
    signal[3] = np.nan
    with pytest.raises(GeometryError, match="NaN"):
        solver(signal)
    with pytest.raises(GeometryError, match="no channel"):
        SparsePlan(solver.plan, valid=np.zeros(geometry.weight.shape, bool))
