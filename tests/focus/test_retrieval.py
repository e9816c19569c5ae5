"""Errors that leave nothing at the recorded positions: phases of poses from nothing, and where the scene is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import shift

import mmsar
from mmsar.focus import retrieval
from mmsar.focus.autofocus import AutofocusOptions, apply_autofocus, autofocus, focus_samples
from mmsar.focus.jointstep import DAMPING, THOROUGH, far_scene_steps, joint_scene_step, solve_scene
from mmsar.focus.posefield import Looks, PoseField, moved_geometry
from mmsar.focus.posestep import Prior, match, neighbours, soft_threshold
from mmsar.focus.unwrap import told
from mmsar.model import AntennaArray, ImageGrid, Scan, Trajectory
from mmsar.recon import nufft
from mmsar.simulate.noise import add_noise, smooth_error, white_error
from mmsar.simulate.scene import Scene

CHIRP = mmsar.Chirp(f0=77e9, slope=63e12, fs=1e6, n_samples=24)
BOARD = AntennaArray.iwr1443()
PATH = Trajectory.raster((6, 40), (1.2e-3, 7.6e-3))
GRID = ImageGrid.from_extent((-0.026, 0.026), (-0.026, 0.026), 0.2, spacing=1.3e-3)
ROOMY = ImageGrid.from_extent((-0.039, 0.039), (-0.039, 0.039), 0.2, spacing=1.3e-3)
"""Holds what comes to lie a centimetre aside, too."""
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
    plain, found = (autofocus(scan, ROOMY, options=replace(OPTIONS, blind=b)) for b in (False, True))
    assert not plain.blind and found.blind and found.improved and found.fit[1] > plain.fit[1] > found.fit[0]
    before, after = (likeness(apply_autofocus(scan, f), truth, ROOMY) for f in (plain, found))
    assert likeness(scan, truth, ROOMY) < 0.75 and before < 0.9 and after > 0.97
    assert np.abs(found.move.mean(axis=0)[:2]).max() < 0.5e-3


def test_smooth_errors_of_a_quarter_of_a_wavelength_are_found():
    """Of letters, which have no isolated points."""
    rng = np.random.default_rng(5)
    scene = Scene.letters("E", 0.03, centre=(0.0, 0.0, 0.2))
    scan, truth = scan_at(smooth_error(len(PATH), np.full(3, 1e-3), cycles=15.0, rng=rng), scene)
    found = autofocus(scan, ROOMY, options=replace(OPTIONS, blind=True))
    plain = autofocus(scan, ROOMY, options=OPTIONS)
    assert found.blind and found.improved
    start, without, after = (
        likeness(s, truth, ROOMY) for s in (scan, apply_autofocus(scan, plain), apply_autofocus(scan, found))
    )
    assert start < 0.8 and without < 0.93 and after > 0.95


def test_what_is_sharp_needs_no_other_start():
    scan, truth = scan_at(np.zeros((len(PATH), 3)))
    found = autofocus(scan, GRID, options=replace(OPTIONS, blind=True))
    assert not found.blind and found.fit[0] > 0.98 and likeness(apply_autofocus(scan, found), truth) > 0.98


def test_a_plate_is_not_taken_from_a_blind_start(monkeypatch):
    """It would come as spots: more compact, but no more told of one half of the poses by the other.

    Of samples so noisy that other starts are tried.
    """
    ran = []
    retrieve = retrieval.retrieve
    monkeypatch.setattr("mmsar.focus.autofocus.retrieve", lambda *a, **k: ran.append(retrieve(*a, **k)) or ran[-1])
    plate = Scene.from_mask(np.ones((40, 40)), 1.3e-3, centre=(0.0, 0.0, 0.2))
    scan, _ = scan_at(np.zeros((len(PATH), 3)), plate, snr_db=0.0)
    found = autofocus(scan, GRID, options=replace(OPTIONS, blind=True, iterations=4))
    assert len(ran) == 2 and not found.blind and not found.improved


def field_of(scan: Scan, grid: ImageGrid = GRID) -> PoseField:
    return PoseField(scan.geometry, scan, grid, reach=5e-3)


def test_looks_back_is_the_adjoint_of_looking():
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field, rng = field_of(scan), np.random.default_rng(4)
    for poses in (len(PATH), 70):
        looks = Looks(field.part(np.arange(poses)), white_error(poses, np.full(3, 0.5e-3), rng=rng))
        scene = (rng.standard_normal((1, *GRID.shape[1:])) + 1j * rng.standard_normal(GRID.shape)).astype(np.complex64)
        echo = looks.forward(scene)
        samples = (rng.standard_normal(echo.shape) + 1j * rng.standard_normal(echo.shape)).astype(np.complex64)
        assert echo.shape[1] == poses
        one, two = np.vdot(samples, echo), np.vdot(looks.adjoint(samples), scene)
        assert abs(one - two) < 2e-2 * np.linalg.norm(samples) * np.linalg.norm(echo) / np.sqrt(echo.size)


def explained(field: PoseField, scene: np.ndarray, move: np.ndarray) -> float:
    """Share of the samples that a scene explains, phases of the poses free and one gain."""
    fit = match(field, field.waves(scene), move)
    return float(np.abs(fit.product).sum() ** 2 / (fit.own.sum() * fit.measured.sum()))


def test_a_solved_scene_explains_more_than_what_stands_out_of_the_image():
    scan, _ = scan_at(np.zeros((len(PATH), 3)), Scene.letters("A", 0.02, centre=(0.0, 0.0, 0.2)))
    field, move = field_of(scan).part(np.arange(160)), np.zeros((160, 3))
    solved, image = solve_scene(field, move), soft_threshold(field.image(move), 0.15)
    one, two = (explained(field, scene, move) for scene in (solved, image))
    assert 1 - one < 0.5 * (1 - two) and one > 0.98


def test_steps_that_go_on_come_further_than_as_many_from_where_the_last_ended():
    """What scene and poses share is told by little, such as the phase of a direction that moves all of the scene."""
    error = white_error(len(PATH), np.full(3, 0.2e-3), rng=np.random.default_rng(8))
    scan, _ = scan_at(error, Scene.letters("A", 0.02, centre=(0.0, 0.0, 0.2)))
    field, loose = field_of(scan), Prior(smooth=0.0, hold=1e-3, width=5.0, reach=5e-3)
    move, asked = np.zeros((len(PATH), 3)), []
    scene = solve_scene(field, move)

    def prior(scene: np.ndarray, move: np.ndarray) -> Prior:
        asked.append(told(field, scene, move, loose))
        return asked[-1]

    far = far_scene_steps(field, scene, move, prior, steps=8, damping=DAMPING)
    assert len(asked) == 8
    for _ in range(8):
        scene, move = joint_scene_step(field, scene, move, prior(scene, move), inner=THOROUGH)
    right, near, better = (np.abs(solve_scene(field, at)[0]) for at in (error, move, far[1]))
    assert 1 - match_of(better, right) < 0.7 * (1 - match_of(near, right))


def test_steps_of_both_bring_scene_and_poses_together():
    error = white_error(len(PATH), np.full(3, 0.2e-3), rng=np.random.default_rng(8))
    scan, _ = scan_at(error)
    field = field_of(scan)
    prior = Prior(smooth=0.0, hold=0.02, width=5.0, reach=5e-3)
    move, truth = np.zeros((len(PATH), 3)), error
    scene, told = solve_scene(field, move), []
    for _ in range(4):
        told.append(coherent(field, scene, move))
        scene, move = joint_scene_step(field, scene, move, prior)
    assert told[0] < 0.75 and coherent(field, scene, move) > 0.993
    assert np.std((move - truth)[:, 2]) < 0.2 * np.std(truth[:, 2])


def coherent(field: PoseField, scene: np.ndarray, move: np.ndarray) -> float:
    """Share of the samples that a scene explains with one gain and phase for all."""
    fit = match(field, field.waves(scene), move)
    return float(np.abs(fit.product.sum()) ** 2 / (fit.own.sum() * fit.measured.sum()))


def test_some_poses_of_a_field_are_the_same_poses():
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field = field_of(scan)
    move = white_error(len(PATH), np.full(3, 0.3e-3), rng=np.random.default_rng(6))
    inner = np.arange(80)
    waves, some = field.waves(solve_scene(field.part(inner), move[inner])), np.array([5, 90, 5, 17])
    whole, part = match(field, waves, move), match(field.part(some), waves, move[some])
    np.testing.assert_allclose(part.product, whole.product[some], atol=2e-2 * np.abs(whole.product).max())
    np.testing.assert_allclose(part.measured, whole.measured[some], rtol=1e-5)
    assert field.n_poses == len(PATH)


def retrieved(scan: Scan) -> tuple[retrieval.Retrieval, PoseField]:
    field = field_of(scan).plane(0)
    return retrieval.Retrieval(field), field


def test_reflections_find_phases_from_nothing():
    """Every pose is off by a phase of its own, drawn from the whole circle."""
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    turn = np.exp(2j * np.pi * np.random.default_rng(2).random(len(PATH))).astype(np.complex64)
    scan = replace(scan, signal=scan.signal * turn[:, None, None, None])
    seen, _ = retrieved(scan)
    exact = np.abs(field_of(scan_at(np.zeros((len(PATH), 3)))[0]).image(np.zeros((len(PATH), 3)))[0])
    scene = start = seen.start()
    for width in (3.0, 2.0, 1.4, 1.0):
        scene = seen.sharpened(seen.reflected(scene, 40, width))
    before, after = (match_of(np.abs(s[0]), exact) for s in (start, scene))
    assert before < 0.75 and after > 0.93


def test_reflections_keep_what_explains_all():
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    seen, field = retrieved(scan)
    scene = solve_scene(field, np.zeros((len(PATH), 3)))
    again = seen.reflected(scene, 20, 1.0)
    assert explained(field, again, np.zeros((len(PATH), 3))) > 0.97
    assert seen.explained(again) == pytest.approx(explained(field, again, np.zeros((len(PATH), 3))), rel=1e-5)
    assert match_of(np.abs(again[0]), np.abs(scene[0])) > 0.95


@pytest.mark.parametrize("voxels", [(4, 0), (0, -3), (-2, 5)])
def test_a_turned_scene_is_the_same_to_poses_whose_phases_are_free(voxels):
    """Where the bandwidth is small; a scene that is only moved is another one."""
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field, none = field_of(scan), np.zeros((len(PATH), 3))
    scene = solve_scene(field, none)
    turned, moved = retrieval._turned(field, scene, np.array(voxels)), shift(scene, (0, *voxels[::-1]), order=0)
    assert explained(field, turned, none) > 0.94
    assert explained(field, moved, none) < 0.9
    np.testing.assert_array_equal(np.abs(turned) > 0, np.abs(moved) > 0)
    back = retrieval._turned(field, turned, -np.array(voxels))
    inner = (0, slice(6, -6), slice(6, -6))
    one, two = back[inner], scene[inner]  # but for a phase of all
    assert abs(np.vdot(one, two)) == pytest.approx(np.linalg.norm(one) * np.linalg.norm(two), rel=1e-5)


@pytest.mark.parametrize("aside", [(4, 0), (-3, 4)])
def test_a_turn_of_scene_and_poses_is_told_by_delays(aside):
    chirp = replace(CHIRP, slope=250e12)
    echo = mmsar.simulate(POINTS, chirp=chirp, array=BOARD, trajectory=PATH)
    scan = Scan(signal=echo.read(), chirp=chirp, array=BOARD, trajectory=PATH)
    seen, field = retrieved(scan)
    scene = solve_scene(field, np.zeros((len(PATH), 3)))
    found = seen.upright(start := retrieval._turned(field, scene, np.array(aside)))
    before, after = (overlap(s, scene) for s in (start, found))
    assert before < 0.35 and after > 0.8


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of the magnitudes of two scenes as they lie."""
    a, b = np.abs(a), np.abs(b)
    return float(np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_a_plane_of_a_field_sees_that_plane():
    grid = ImageGrid(shape=(3, *GRID.shape[1:]), origin=(*GRID.origin[:2], 0.19), spacing=(*GRID.spacing[:2], 0.01))
    scan, _ = scan_at(np.zeros((len(PATH), 3)))
    field, move = field_of(scan, grid), np.zeros((len(PATH), 3))
    for number in range(3):
        plane = field.plane(number)
        assert plane.grid.shape == (1, *GRID.shape[1:]) and plane.grid.origin[2] == pytest.approx(0.19 + 0.01 * number)
        whole, one = field.image(move)[number], plane.image(move)[0]
        np.testing.assert_allclose(one, whole, atol=2e-2 * np.abs(whole).max())
    assert field.grid == grid


def test_the_mean_of_neighbours_goes_by_time():
    mean = neighbours(np.array([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [3.0, 0, 0]]), 0.5)
    assert mean.shape == (4, 3)
    near, far, third = np.exp(-2), np.exp(-8), np.exp(-18)
    assert mean[0, 0] == pytest.approx((near + 2 * far + 3 * third) / (1 + near + far + third), rel=1e-2)
    assert np.all(np.diff(mean[:, 0]) > 0)


def test_rows_that_are_lost_do_not_stop_a_blind_start():
    """Poses none of which has a channel are placed by the prior."""
    error = white_error(len(PATH), np.full(3, 0.6e-3), rng=np.random.default_rng(3))
    scan, truth = scan_at(error)
    weight = np.ones(scan.geometry.weight.shape)
    weight[80:160] = 0  # two whole rows of six
    geometry = scan.geometry.replace(weight=weight)
    signal = scan.signal * (weight > 0)[..., None]
    found = focus_samples(geometry, signal, ROOMY, options=replace(OPTIONS, blind=True))
    assert np.isfinite(found.move).all() and found.improved
    known = [g.replace(weight=weight) for g in (geometry, moved_geometry(geometry, found.move), truth.geometry)]
    before, after, exact = (np.abs(nufft.plan(g, ROOMY)(signal)[0]) for g in known)
    assert match_of(before, exact) < 0.86 < 0.95 < match_of(after, exact)
