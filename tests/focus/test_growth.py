"""An aperture that grows: errors that leave nothing at the recorded positions, and where the whole scene is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import mmsar
from mmsar.focus import growth
from mmsar.focus.autofocus import LAST, AutofocusOptions, apply_autofocus, autofocus, focus_samples
from mmsar.focus.jointstep import joint_scene_step, solve_scene
from mmsar.focus.posefield import Looks, PoseField, moved_geometry
from mmsar.focus.posestep import Prior, match, neighbours, soft_threshold
from mmsar.focus.screen import DEGREE, degree, screen_error, screens, without_screen
from mmsar.model import AntennaArray, ImageGrid, Scan, Trajectory
from mmsar.recon import nufft
from mmsar.simulate.noise import add_noise, smooth_error, white_error
from mmsar.simulate.scene import Scene

CHIRP = mmsar.Chirp(f0=77e9, slope=63e12, fs=1e6, n_samples=24)
BOARD = AntennaArray.iwr1443()
PATH = Trajectory.raster((6, 40), (1.2e-3, 7.6e-3))
GRID = ImageGrid.from_extent((-0.026, 0.026), (-0.026, 0.026), 0.2, spacing=1.3e-3)
ROOMY = ImageGrid.from_extent((-0.039, 0.039), (-0.039, 0.039), 0.2, spacing=1.3e-3)
"""Holds letters that come to lie a centimetre aside, too."""
POINTS = Scene.points(
    np.array([[0.0, 0.0, 0.2], [0.012, 0.008, 0.2], [-0.016, 0.004, 0.2], [0.004, -0.012, 0.2], [-0.008, -0.014, 0.2]]),
    np.array([1, 0.7j, -0.6, 0.5, 0.4j]),
)
OPTIONS = AutofocusOptions(progress=False, iterations=12)


def scan_at(error: np.ndarray, scene: Scene = POINTS, *, snr_db: float = 20.0) -> tuple[Scan, Scan]:
    """A scan along PATH + error as recorded along PATH, and as it was."""
    true = Trajectory(time=PATH.time, position=PATH.position + error, rotation=PATH.rotation)
    echo = mmsar.simulate(scene, chirp=CHIRP, array=BOARD, trajectory=true)
    noisy = add_noise(echo.read(), snr_db, rng=np.random.default_rng(9))
    scan = Scan(signal=noisy, chirp=CHIRP, array=BOARD, trajectory=PATH)
    return scan, replace(scan, trajectory=true)


def likeness(scan: Scan, truth: Scan, grid: ImageGrid = GRID) -> float:
    """Correlation of the magnitudes of two scans' images at the shift that fits best."""
    return match_of(*(np.abs(nufft.plan(s, grid)(s.signal)[0]) for s in (scan, truth)))


def match_of(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of magnitudes (y, x) at the shift that fits best."""
    product = np.fft.irfft2(np.fft.rfft2(a) * np.fft.rfft2(b).conj(), a.shape)
    return float(product.max() / np.sqrt((a**2).sum() * (b**2).sum()))


def test_errors_of_a_fifth_of_a_wavelength_are_found():
    error = white_error(len(PATH), np.full(3, 0.8e-3), rng=np.random.default_rng(3))
    scan, truth = scan_at(error)
    plain, grown = (autofocus(scan, GRID, options=replace(OPTIONS, grow=g)) for g in (False, True))
    assert not plain.grown and grown.grown and grown.improved and grown.fit[1] > plain.fit[1] > grown.fit[0]
    before, after = (likeness(apply_autofocus(scan, f), truth) for f in (plain, grown))
    assert likeness(scan, truth) < 0.75 and before < 0.9 and after > 0.95
    assert np.abs(grown.move.mean(axis=0)[:2]).max() < 0.5e-3


def test_smooth_errors_of_a_quarter_of_a_wavelength_are_found():
    """Of letters, which have no isolated points."""
    rng = np.random.default_rng(5)
    scene = Scene.letters("E", 0.03, centre=(0.0, 0.0, 0.2))
    scan, truth = scan_at(smooth_error(len(PATH), np.full(3, 1e-3), cycles=15.0, rng=rng), scene)
    found = autofocus(scan, ROOMY, options=replace(OPTIONS, grow=True))
    plain = autofocus(scan, ROOMY, options=OPTIONS)
    assert found.grown and found.improved
    start, without, after = (
        likeness(s, truth, ROOMY) for s in (scan, apply_autofocus(scan, plain), apply_autofocus(scan, found))
    )
    assert start < 0.8 and without < 0.93 and after > 0.95


def test_what_is_sharp_needs_no_growth():
    scan, truth = scan_at(np.zeros((len(PATH), 3)))
    found = autofocus(scan, GRID, options=replace(OPTIONS, grow=True))
    assert not found.grown and found.fit[0] > 0.98 and likeness(apply_autofocus(scan, found), truth) > 0.98


def test_a_plate_is_not_taken_from_a_grown_aperture(monkeypatch):
    """It would come as spots: more compact, but no more told of one half of the poses by the other.

    Of samples so noisy that an aperture does grow.
    """
    ran = []
    monkeypatch.setattr("mmsar.focus.autofocus.grow", lambda *args: ran.append(growth.grow(*args)) or ran[-1])
    plate = Scene.from_mask(np.ones((40, 40)), 1.3e-3, centre=(0.0, 0.0, 0.2))
    scan, _ = scan_at(np.zeros((len(PATH), 3)), plate, snr_db=0.0)
    found = autofocus(scan, GRID, options=replace(OPTIONS, grow=True, iterations=4))
    assert len(ran) == 1 and not found.grown and not found.improved


def outward_field(scan: Scan, grid: ImageGrid = GRID) -> PoseField:
    order = growth.outward(PATH.position)
    return PoseField(scan.geometry, scan, grid, reach=5e-3, order=order)


def test_poses_in_another_order_are_the_same_poses():
    scan, _ = scan_at(white_error(len(PATH), np.full(3, 0.3e-3), rng=np.random.default_rng(1)))
    plain, sorted_ = PoseField(scan.geometry, scan, GRID, reach=5e-3), outward_field(scan)
    move = white_error(len(PATH), np.full(3, 0.2e-3), rng=np.random.default_rng(2))
    image = plain.image(move)
    other = sorted_.image(move[sorted_.order])
    np.testing.assert_allclose(other, image, atol=5e-3 * np.abs(image).max())
    waves = plain.waves(soft_threshold(image, LAST))
    one, two = match(plain, waves, move), match(sorted_, waves, move[sorted_.order])
    np.testing.assert_allclose(two.product, one.product[sorted_.order], atol=2e-2 * np.abs(one.product).max())
    np.testing.assert_allclose(sorted_.place, PATH.position[sorted_.order] + plain.place[0] - PATH.position[0])
    half = slice(100, 160)
    part = match(sorted_, waves, move[sorted_.order], half)
    np.testing.assert_allclose(part.own, two.own[half], atol=5e-2 * two.own.max())


def test_looks_back_is_the_adjoint_of_looking():
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field, rng = outward_field(scan), np.random.default_rng(4)
    for poses in (None, slice(0, 70)):
        looks = Looks(field, white_error(len(PATH), np.full(3, 0.5e-3), rng=rng), poses)
        scene = (rng.standard_normal((1, *GRID.shape[1:])) + 1j * rng.standard_normal(GRID.shape)).astype(np.complex64)
        echo = looks.forward(scene)
        samples = (rng.standard_normal(echo.shape) + 1j * rng.standard_normal(echo.shape)).astype(np.complex64)
        assert echo.shape[1] == (len(PATH) if poses is None else 70)
        one, two = np.vdot(samples, echo), np.vdot(looks.adjoint(samples), scene)
        assert abs(one - two) < 2e-2 * np.linalg.norm(samples) * np.linalg.norm(echo) / np.sqrt(echo.size)


def explained(field: PoseField, scene: np.ndarray, move: np.ndarray, poses: slice) -> float:
    """Share of the samples that a scene explains, phases of the poses free and one gain."""
    fit = match(field, field.waves(scene), move, poses)
    return float(np.abs(fit.product).sum() ** 2 / (fit.own.sum() * fit.measured.sum()))


def test_a_solved_scene_explains_more_than_what_stands_out_of_the_image():
    scan, _ = scan_at(np.zeros((len(PATH), 3)), Scene.letters("A", 0.02, centre=(0.0, 0.0, 0.2)))
    field, move, poses = outward_field(scan), np.zeros((len(PATH), 3)), slice(0, 160)
    solved, image = solve_scene(field, move, poses), soft_threshold(field.image(move, poses), 0.15)
    one, two = (explained(field, scene, move, poses) for scene in (solved, image))
    assert 1 - one < 0.5 * (1 - two) and one > 0.98


def test_steps_of_both_bring_scene_and_poses_together():
    error = white_error(len(PATH), np.full(3, 0.2e-3), rng=np.random.default_rng(8))
    scan, _ = scan_at(error)
    field, poses = outward_field(scan), slice(0, len(PATH))
    prior = Prior(smooth=0.0, hold=0.02, width=5.0, reach=5e-3)
    move, truth = np.zeros((len(PATH), 3)), error[field.order]
    scene, told = solve_scene(field, move, poses), []
    for _ in range(4):
        told.append(coherent(field, scene, move))
        scene, move = joint_scene_step(field, scene, move, poses, prior)
    assert told[0] < 0.75 and coherent(field, scene, move) > 0.993
    assert np.std((move - truth)[:, 2]) < 0.2 * np.std(truth[:, 2])


def coherent(field: PoseField, scene: np.ndarray, move: np.ndarray) -> float:
    """Share of the samples that a scene explains with one gain and phase for all."""
    fit = match(field, field.waves(scene), move)
    return float(np.abs(fit.product.sum()) ** 2 / (fit.own.sum() * fit.measured.sum()))


def test_some_poses_of_a_field_are_the_same_poses():
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field = outward_field(scan)
    move = white_error(len(PATH), np.full(3, 0.3e-3), rng=np.random.default_rng(6))
    waves, some = field.waves(solve_scene(field, move, slice(0, 80))), np.array([5, 90, 5, 17])
    whole, part = match(field, waves, move), match(field.part(some), waves, move[some])
    np.testing.assert_allclose(part.product, whole.product[some], atol=2e-2 * np.abs(whole.product).max())
    np.testing.assert_allclose(part.measured, whole.measured[some], rtol=1e-5)
    assert field.n_poses == len(PATH)


@pytest.mark.parametrize(("angle", "axis"), [(0.02, 0), (-0.03, 1)])
def test_a_turn_of_scene_and_poses_is_found(angle, axis):
    """Poses that fit, turned by an angle: their scene lies aside, and is brought back.

    The board's directions tell the turn along y best; along x, where it has little extent, the recorded places help.
    """
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field, poses = outward_field(scan), slice(0, len(PATH))
    move = np.zeros((len(PATH), 3))
    move[:, 2] = angle * field.place[:, axis]
    found, sigma = screen_error(field, solve_scene(field, move, poses), move, poses, 1)
    half_width = np.ptp(field.geometry.virtual_position.reshape(-1, 3), axis=0)[:2] / 2
    assert sigma.shape == (2,) and np.all(sigma > 0)
    assert found[axis] == pytest.approx(angle * half_width[axis], rel=0.35)
    assert abs(found[1 - axis]) < 0.15e-3
    for _ in range(4):
        scene = solve_scene(field, move, poses)
        move = without_screen(field, scene, move, poses)
    left = np.linalg.lstsq(field.place[:, :2], move[:, 2], rcond=None)[0]
    error = screen_error(field, scene, move, poses, 1)[1] / half_width
    assert np.all(np.abs(left) < 2 * error + 1e-3) and error[1] < 5e-4 < error[0] < 8e-3


def test_screens_are_smooth_and_as_many_as_the_aperture_is_wide():
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field, poses = outward_field(scan), slice(0, len(PATH))
    assert degree(field, poses) == 1
    for order in range(1, DEGREE + 1):
        shapes = screens(field, poses, order)
        assert shapes.shape == ((order + 1) * (order + 2) // 2 - 1, len(PATH), 8)
        assert np.abs(shapes).max() == pytest.approx(1.0)


def test_stages_grow_to_all_poses_from_the_middle():
    x, y = np.meshgrid(np.arange(80) * 1e-3, np.arange(60) * 1e-3)
    place = np.c_[x.ravel(), y.ravel(), np.zeros(x.size)]
    place = place[growth.outward(place)]
    radius = np.hypot(*(place[:, :2] - place[:, :2].mean(axis=0)).T)
    assert np.all(np.diff(radius) > -1e-12)
    sizes = growth.sizes(place, 2e-3)
    assert sizes[0] == growth.FIRST and sizes[-1] == len(place) and np.all(np.diff(sizes) > 0)
    rings = [np.ptp(radius[a:b]) for a, b in pairwise(sizes)]
    assert max(rings) <= 2e-3 and len(rings) < 40
    assert growth.sizes(place[:5], 2e-3) == [5]
    assert growth.sizes(np.zeros((9, 3)) + place[:1], 2e-3)[-1] == 9


def test_the_mean_of_neighbours_goes_by_time_and_by_who_is_placed():
    order = np.array([2, 0, 3, 1, 40])
    move = np.array([[2.0, 0, 0], [0.0, 0, 0], [3.0, 0, 0]])
    mean = neighbours(move, np.concatenate([order, np.setdiff1d(np.arange(50), order)]), 0.5, total=5)
    assert mean.shape == (5, 3)
    assert mean[0, 0] == pytest.approx((2 + 3 * np.exp(-2) + 0 * np.exp(-8)) / (1 + np.exp(-2) + np.exp(-8)), rel=1e-3)
    assert 0.5 < mean[3, 0] < 1.5  # between 0 and 2
    assert mean[4, 0] == 0  # nobody near


def test_rows_that_are_lost_do_not_stop_the_growth():
    """A ring of poses none of which has a channel is placed by the prior."""
    error = white_error(len(PATH), np.full(3, 0.6e-3), rng=np.random.default_rng(3))
    scan, truth = scan_at(error)
    weight = np.ones(scan.geometry.weight.shape)
    weight[80:160] = 0  # two whole rows of six
    geometry = scan.geometry.replace(weight=weight)
    signal = scan.signal * (weight > 0)[..., None]
    found = focus_samples(geometry, signal, GRID, options=replace(OPTIONS, grow=True))
    assert np.isfinite(found.move).all() and found.improved
    known = [g.replace(weight=weight) for g in (geometry, moved_geometry(geometry, found.move), truth.geometry)]
    before, after, exact = (np.abs(nufft.plan(g, GRID)(signal)[0]) for g in known)
    assert match_of(before, exact) < 0.86 < 0.91 < match_of(after, exact)
