"""Images by least squares: what they minimise, what they show better than the imager, with which imagers."""

import numpy as np
import pytest

from mmsar.errors import GeometryError, MmsarError
from mmsar.model import AntennaArray, Trajectory
from mmsar.recon import bpa, isar, nufft, rma
from mmsar.recon.least_squares import FLOOR, LeastSquaresPlan, least_squares_image, reweighted, weights, widened
from mmsar.recon.operators import linear_operator
from mmsar.recon.options import LeastSquaresOptions, ReconOptions, SparseOptions
from mmsar.recon.planner import make_plan, reconstruct

QUIET = ReconOptions(progress=False, error_db=-60.0)
DEPTH = 0.2
CELL = 3.79e-3 * DEPTH / (2 * 47e-3)
"""Cross-range resolution lambda z / 2D of the geometry below [m]."""


@pytest.fixture(scope="module")
def geometry(square):
    return square


@pytest.fixture(scope="module")
def grid(lab):
    return lab.grid((-40e-3, 40e-3), (-40e-3, 40e-3), DEPTH, spacing=2e-3)


@pytest.fixture(scope="module")
def solver(geometry, grid):
    return LeastSquaresPlan(rma.plan(geometry, grid, options=QUIET), show=False)


def dense(gram, shape):
    """H as a matrix."""
    columns = []
    for i in range(np.prod(shape)):
        unit = np.zeros(shape, np.complex64)
        unit.flat[i] = 1
        columns.append(gram(unit).ravel())
    return np.stack(columns, axis=1).astype(complex)


@pytest.mark.parametrize("rounds", [1, 3])
def test_is_the_damped_and_reweighted_solution_of_the_normal_equations(lab, geometry, rounds):
    """By dense linear algebra, round by round."""
    small = lab.grid((-8e-3, 8e-3), (-6e-3, 6e-3), DEPTH, spacing=2e-3)
    plan = bpa.plan(geometry, small, options=QUIET)
    signal = lab.signal_of(geometry, [[-3e-3, 1e-3, DEPTH], [5e-3, 0, DEPTH]]) + lab.noise_of(geometry.shape)
    options = LeastSquaresOptions(damping=0.1, rounds=rounds, iterations=60)
    solver = LeastSquaresPlan(plan, options, show=False)
    matrix, shown = dense(solver.gram, small.shape), plan(signal).ravel().astype(complex)
    root = np.ones(shown.size)
    for _ in range(rounds):
        image = root**2 * shown
        bound = 0.1 * np.vdot(image, matrix @ image).real / np.vdot(root * shown, root * shown).real
        y = np.linalg.solve(root[:, None] * matrix * root + bound * np.eye(root.size), root * shown)
        scene = (root * y).reshape(small.shape)
        root = weights(scene).ravel().astype(float)
    found = solver(signal).scene
    assert np.linalg.norm(found - scene) < 2e-3 * np.linalg.norm(scene)


def test_what_is_explained_is_what_its_echo_leaves(lab, geometry, solver):
    signal = lab.signal_of(geometry, [[-20e-3, 0, DEPTH], [9e-3, 2e-3, DEPTH]]) + lab.noise_of(geometry.shape)
    found = solver(signal)
    forward, norm = linear_operator(solver.plan), geometry.norm
    left = signal.ravel() - norm * (forward @ found.scene.ravel())
    assert found.explained == pytest.approx(1 - np.linalg.norm(left) ** 2 / np.linalg.norm(signal) ** 2, abs=1e-4)
    assert 0.5 < found.explained < 0.9
    shown = (forward.H @ left).reshape(found.scene.shape)
    np.testing.assert_allclose(found.residual, shown, atol=2e-3 * np.abs(solver.plan(signal)).max())


def test_sidelobes_go_and_points_keep_place_and_brightness(lab, geometry, grid, solver):
    at = [[-23e-3, 1e-3, DEPTH], [17e-3, -15e-3, DEPTH]]
    signal = lab.signal_of(geometry, at, np.array([1.0, 0.1j]))
    found, plain = solver(signal), np.abs(solver.plan(signal))[0]
    image = np.abs(found.image())[0]
    x, y = np.meshgrid(grid.x, grid.y)
    near = [np.hypot(x - p[0], y - p[1]) < 1.2 * CELL for p in at]
    away = ~np.logical_or(*near)
    assert image[away].max() < 0.25 * plain[away].max() and plain[away].max() > 0.1
    assert image.max() == pytest.approx(plain.max(), rel=1e-4)
    strong, weak = (image[mask].max() for mask in near)
    assert 20 * np.log10(weak / strong) == pytest.approx(-20, abs=3)
    for mask, place in zip(near, at, strict=True):
        top = np.argmax(np.where(mask, image, 0))
        assert np.hypot(x.flat[top] - place[0], y.flat[top] - place[1]) < 2e-3


def test_a_pair_comes_apart(lab, geometry, grid, solver):
    apart = 12e-3
    assert apart < 1.5 * CELL
    signal = lab.signal_of(geometry, [[-apart / 2, 0, DEPTH], [apart / 2, 0, DEPTH]])
    line = grid.y.size // 2
    dips = []
    for image in (solver.plan(signal), solver(signal).image()):
        row = np.abs(image)[0, line]
        dips.append(row[np.argmin(np.abs(grid.x))] / min(row[grid.x < -3e-3].max(), row[grid.x > 3e-3].max()))
    assert dips[0] > 0.7 and dips[1] < 0.5


def test_a_plate_keeps_its_surface_where_spikes_break_it(lab, geometry, grid):
    """Flat inside, dark outside: contrast of the edge grows, speckle does not."""
    x, y = np.meshgrid(np.arange(-16e-3, 16.1e-3, 2e-3), np.arange(-16e-3, 16.1e-3, 2e-3))
    at = np.c_[x.ravel(), y.ravel(), np.full(x.size, DEPTH)]
    signal = lab.signal_of(geometry, at, np.ones(len(at)))
    image = np.abs(LeastSquaresPlan(rma.plan(geometry, grid, options=QUIET), show=False)(signal).image())[0]
    gx, gy = np.meshgrid(grid.x, grid.y)
    inside, outside = (np.maximum(abs(gx), abs(gy)) < 12e-3), (np.maximum(abs(gx), abs(gy)) > 24e-3)
    assert image[inside].min() > 0.5 * image[inside].max()
    assert image[outside].max() < 0.1 * image[inside].mean()


def test_what_lies_beyond_the_grid_does_not_pile_up_at_its_edge(lab):
    """A bright point 4 mm beyond the edge, where the plan alone explains it by voxels along the edge."""
    scan = lab.raster_scan([[0.0, 0.0, 0.2], [0.022, 0.003, 0.2]], [1.0, 3.0], shape=(36, 36))
    grid = lab.grid((-18e-3, 18e-3), (-18e-3, 18e-3), 0.2, spacing=2e-3)
    options = ReconOptions(progress=False, least_squares=LeastSquaresOptions())
    image = np.abs(reconstruct(scan, grid, method="rma", options=options).data)[0]
    alone = np.abs(LeastSquaresPlan(rma.plan(scan.geometry, grid, options=QUIET), show=False)(scan).image())[0]
    assert image.shape == grid.shape[1:]
    assert np.unravel_index(image.argmax(), image.shape) == (9, 9) != np.unravel_index(alone.argmax(), alone.shape)
    wide, part = widened(grid)
    assert wide.x[part[2]] == pytest.approx(grid.x) and wide.y[part[1]] == pytest.approx(grid.y) and wide.shape[0] == 1


def test_weights_are_smooth_roots_with_a_floor():
    scene = np.zeros((2, 9, 9), np.complex64)
    scene[0, 4, 4] = 5j
    found = weights(scene) ** 2
    assert found.max() == pytest.approx(1) and found[1] == pytest.approx(FLOOR) and found[0, 4, 5] > 0.5


def test_progress_is_told_and_ends_at_the_last_iteration(lab):
    told = []
    reweighted(
        lambda x: 2 * x + np.roll(x, 1), lab.noise_of((1, 6, 6)), damping=0.1, rounds=2, iterations=3, done=told.append
    )
    assert told == sorted(told) and 2 <= told[-1] <= 6


def test_channels_that_are_lost_do_not_count(lab, geometry, grid):
    plan = rma.plan(geometry, grid, options=QUIET)
    signal = lab.signal_of(geometry, [[4e-3, 0, DEPTH]])
    valid = np.random.default_rng(0).random(geometry.shape[:3]) < 0.8
    wrong = np.where(valid[..., None], signal, 50 * lab.noise_of(geometry.shape)).astype(np.complex64)
    solver = LeastSquaresPlan(plan, valid=valid, show=False)
    np.testing.assert_allclose(solver(wrong).image(), solver(signal * valid[..., None]).image(), atol=1e-4)
    with pytest.raises(GeometryError, match="no channel of any weight"):
        LeastSquaresPlan(plan, valid=np.zeros_like(valid))


def test_volumes_and_other_imagers(lab):
    path = Trajectory.freehand((12, 24), (1.5e-3, 3e-3), motion=(1e-3, 1e-3, 2e-3), seed=3)
    scan = lab.scan_of(AntennaArray.single(), path, [[0.004, 0, 0.2], [-0.01, 0.006, 0.23]])
    grid = lab.grid((-30e-3, 30e-3), (-20e-3, 20e-3), (0.18, 0.25), spacing=(3e-3, 3e-3, 10e-3))
    images = []
    for method in (bpa, nufft):
        solver = LeastSquaresPlan(method.plan(scan.geometry, grid, options=QUIET), show=False)
        images.append(solver(scan).image())
    assert images[0].shape == grid.shape
    assert np.linalg.norm(images[1] - images[0]) < 0.05 * np.linalg.norm(images[0])


def test_round_a_turntable(lab, scans):
    scan, grid = scans["turn"], lab.grid((-0.04, 0.04), 0.0, (-0.04, 0.04), spacing=2e-3)
    plan = isar.plan(scan.geometry, grid, options=QUIET)
    found = LeastSquaresPlan(plan, show=False)(scan)
    assert 0.5 < found.explained <= 1
    assert np.argmax(np.abs(found.image())) == np.argmax(np.abs(plan(scan)))


def test_reconstruct_tells_what_was_done(lab):
    scan = lab.raster_scan([[0.004, 0, 0.2]], shape=(20, 20), step=1.5e-3)
    grid = lab.grid((-20e-3, 20e-3), (-20e-3, 20e-3), 0.2, spacing=2e-3)
    options = ReconOptions(progress=False, least_squares=LeastSquaresOptions(damping=0.05, rounds=2))
    image = reconstruct(scan, grid, method="rma", options=options)
    told = next(step for step in image.history if step["step"] == "reconstruct")["least_squares"]
    assert told["damping"] == 0.05 and told["rounds"] == 2 and 0.9 < told["explained"] <= 1
    plan = make_plan("rma", scan.geometry, grid, options=QUIET)
    with pytest.raises(MmsarError, match="least squares: needs"):
        least_squares_image(plan, scan, LeastSquaresOptions(), memory=plan.nbytes + 2**10, show=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: LeastSquaresOptions(damping=0), "damping"),
        (lambda: LeastSquaresOptions(damping=11), "at most 10"),
        (lambda: LeastSquaresOptions(rounds=0), "rounds"),
        (lambda: LeastSquaresOptions(iterations=1.5), "iterations"),
        (lambda: ReconOptions(least_squares=True), "LeastSquaresOptions"),
        (lambda: ReconOptions(least_squares=LeastSquaresOptions(), sparse=SparseOptions()), "one of them"),
        (lambda: ReconOptions(least_squares=LeastSquaresOptions(), tiles=2), "least squares: got tiles"),
        (lambda: ReconOptions(least_squares=LeastSquaresOptions(), verify=True), "verify"),
        (lambda: ReconOptions(least_squares=LeastSquaresOptions(), kernel="hankel"), "kernel hankel"),
    ],
)
def test_options_refused(wrong, message):
    with pytest.raises(GeometryError, match=message):
        wrong()


def test_signals_refused_and_silence(geometry, solver):
    signal = np.zeros(geometry.shape, np.complex64)
    assert not solver(signal).image().any()
    with pytest.raises(GeometryError, match="signal"):
        solver(signal[1:])
    signal[3, 0, 0, 1] = np.nan
    with pytest.raises(GeometryError, match="NaN"):
        solver(signal)
