"""Whole half wavelengths of depths, told by delays, and what recorded places say once these are known."""

from dataclasses import replace

import numpy as np
import pytest

import mmsar
from mmsar.focus import autofocus, unwrap
from mmsar.focus.jointstep import ERROR_DB, solve_scene
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import Prior
from mmsar.model import AntennaArray, ImageGrid, Scan, Trajectory
from mmsar.simulate.noise import add_noise, smooth_error, white_error
from mmsar.simulate.scene import Scene

CHIRP = mmsar.Chirp.stepped(77e9, 4e9 / 16, 16)
PATH = Trajectory.raster((8, 40), (1.2e-3, 7.6e-3))
GRID = ImageGrid.from_extent((-0.026, 0.026), (-0.026, 0.026), 0.2, spacing=1.3e-3)
POINTS = Scene.points(
    np.array([[0.0, 0.0, 0.2], [0.012, 0.008, 0.2], [-0.016, 0.004, 0.2], [0.004, -0.012, 0.2], [-0.008, -0.014, 0.2]]),
    np.array([1, 0.7j, -0.6, 0.5, 0.4j]),
)
PRIOR = Prior(smooth=0.01, hold=0.005, width=5.0, reach=5e-3)
HALF = np.pi / CHIRP.k.mean()
PLACE = PATH.position[:, :2] / np.abs(PATH.position[:, :2]).max(axis=0)


def scan_at(error: np.ndarray, *, chirp: mmsar.Chirp = CHIRP, snr_db: float = 25.0) -> Scan:
    """A scan along PATH + error as recorded along PATH."""
    true = Trajectory(time=PATH.time, position=PATH.position + error, rotation=PATH.rotation)
    echo = mmsar.simulate(POINTS, chirp=chirp, array=AntennaArray.iwr1443(), trajectory=true)
    noisy = add_noise(echo.read(), snr_db, rng=np.random.default_rng(9))
    return Scan(signal=noisy, chirp=chirp, array=AntennaArray.iwr1443(), trajectory=PATH)


def field_at(error: np.ndarray, **how) -> PoseField:
    scan = scan_at(error, **how)
    return PoseField(scan.geometry, scan, GRID, reach=5e-3).coarser(ERROR_DB)


def deeper(depth: np.ndarray) -> np.ndarray:
    """Displacements (n, 3) along z only."""
    return np.c_[np.zeros((len(depth), 2)), depth]


def independent(rms: float) -> np.ndarray:
    """Errors in depth (n, 3) without what goes with the place by chance."""
    depth = white_error(len(PATH), np.full(3, rms), rng=np.random.default_rng(4))[:, 2]
    terms = np.polynomial.polynomial.polyvander2d(*PLACE.T, (3, 3))
    return deeper(depth - terms @ np.linalg.lstsq(terms, depth, rcond=None)[0])


def spread(values: np.ndarray) -> float:
    return float(np.std(values))


@pytest.fixture(scope="module")
def still() -> PoseField:
    """A scan without position errors."""
    return field_at(np.zeros((len(PATH), 3)))


@pytest.mark.parametrize("whole", [1, -1, 2])
def test_delays_tell_by_how_many_half_wavelengths_poses_are_off(still, whole):
    scene = solve_scene(still, np.zeros((len(PATH), 3)))
    off = np.zeros(len(PATH))
    off[::3] = whole * HALF
    lag, energy = unwrap.lags(still, scene, deeper(off))
    bright = energy > 0.3 * np.median(energy)
    assert np.mean(np.round(lag / HALF)[bright] == np.round(-off / HALF)[bright]) > 0.95
    np.testing.assert_allclose(energy, np.sum(np.abs(still.samples) ** 2, axis=(0, 2)), rtol=1e-5)


def test_without_bandwidth_nothing_moves():
    true = deeper(white_error(len(PATH), np.full(3, 0.3e-3), rng=np.random.default_rng(1))[:, 2])
    field = field_at(true, chirp=mmsar.Chirp.stepped(77e9, 4e9 / 16, 1))
    out, turned = unwrap.unwrapped(field, solve_scene(field, true), true)
    np.testing.assert_array_equal(out, true)
    assert not turned


def test_poses_without_samples_stay(still):
    some, none = still.part(np.arange(len(PATH))), np.zeros((len(PATH), 3))
    some.samples[:, ::4] = 0
    scene = solve_scene(some, none)
    lag, energy = unwrap.lags(some, scene, none)
    assert np.all(lag[::4] == 0) and np.all(energy[::4] == 0) and np.all(energy[1::4] > 0)
    assert np.isfinite(unwrap.unwrapped(some, scene, none)[0]).all()


def test_independent_depths_come_out_of_their_half_wavelengths():
    true = deeper(white_error(len(PATH), np.full(3, 1e-3), rng=np.random.default_rng(1))[:, 2])
    field = field_at(true)
    wrapped = deeper(true[:, 2] - HALF * np.round(true[:, 2] / HALF))
    out, _ = unwrap.unwrapped(field, solve_scene(field, wrapped), wrapped)
    assert spread((wrapped - true)[:, 2]) > 0.8e-3 and spread((out - true)[:, 2]) < 0.35e-3
    np.testing.assert_allclose(out[:, :2], 0, atol=1e-12)


def test_runs_of_smooth_depths_come_as_a_whole():
    """A row as it was, or by a half wavelength nearer or further: which, its poses tell together."""
    rng = np.random.default_rng(2)
    rows = [smooth_error(40, np.full(3, 0.3e-3), cycles=2.0, rng=rng)[:, 2] for _ in range(8)]
    true = deeper(np.concatenate(rows) + np.repeat(HALF * np.array([0, 1, -1, 0, 1, 0, -1, 0]), 40))
    field = field_at(true)
    wrapped = deeper(true[:, 2] - HALF * np.repeat([0, 1, -1, 0, 1, 0, -1, 0], 40))
    out, _ = unwrap.unwrapped(field, solve_scene(field, wrapped), wrapped, most=0)
    left = out[:, 2] - true[:, 2]
    terms = np.c_[np.ones(len(PATH)), PLACE]  # rows have a slope by chance, which goes, too
    assert spread((wrapped - true)[:, 2]) > 1e-3
    assert spread(left - terms @ np.linalg.lstsq(terms, left, rcond=None)[0]) < 1e-6


@pytest.mark.parametrize("slope", [1.5, -2.5])
def test_a_turn_of_scene_and_poses_is_undone(slope):
    """Poses tilted by `slope` half wavelengths at the edge, and the scene with them: it lies aside."""
    true = independent(0.5e-3)
    field = field_at(true)
    turned = deeper(true[:, 2] + slope * HALF * PLACE[:, 0])
    turned[:, 2] -= HALF * np.round(turned[:, 2] / HALF)
    told: list[int] = []
    images = [
        np.abs(solve_scene(field, move)[0])
        for move in (true, turned, unwrap.refined(field, turned, PRIOR, told.append))
    ]
    exact, before, after = (image / np.linalg.norm(image) for image in images)
    assert np.sum(exact * before) < 0.3 and np.sum(exact * after) > 0.9
    assert told[: unwrap.ROUNDS] == list(range(1, unwrap.ROUNDS + 1))


def test_rounds_go_on_until_no_slope_is_found_for_some(still, monkeypatch):
    for slopes, wanted in (((), 10), ((7,), 12), ((2, 9, 13), 18), (range(100), 25)):
        told: list[int] = []
        monkeypatch.setattr(
            unwrap, "unwrapped", lambda f, s, move, told=told, at=slopes, **_: (move, len(told) + 1 in at)
        )
        monkeypatch.setattr(unwrap, "joint_scene_step", lambda field, scene, move, *_, **__: (scene, move))
        unwrap.refined(still, np.zeros((len(PATH), 3)), PRIOR, told.append)
        assert len(told) == wanted and max(told) == unwrap.ROUNDS


@pytest.mark.parametrize("slope", [(0.0, 0.0), (1.2, -0.7), (-0.3, 1.1)])
def test_the_slope_on_which_lags_agree(slope):
    """Whole half wavelengths at random do not hide it, and a common offset does not either."""
    rng = np.random.default_rng(11)
    true = HALF * (PLACE @ np.array(slope) + 0.3)
    lag = true + HALF * (rng.integers(-2, 3, len(PATH)) + 0.2 * rng.standard_normal(len(PATH)))
    weight = rng.uniform(0.1, 1, len(PATH))
    off = unwrap.agreed(PATH.position[:, :2], lag, weight, HALF) - true
    off -= HALF * np.round(off.mean() / HALF)
    assert np.abs(off).max() < 0.3 * HALF and abs(off.mean()) < 0.05 * HALF


def test_lags_on_a_line_of_poses_have_a_slope_along_it_only():
    line = np.c_[np.linspace(-0.05, 0.05, 60), np.zeros(60)]
    lag = 0.01 * line[:, 0]
    np.testing.assert_allclose(unwrap.agreed(line, lag, np.ones(60), HALF), lag, atol=0.15 * HALF)


def test_lags_halfway_between_whole_half_wavelengths_are_taken_together(still, monkeypatch):
    """Each for itself would be rounded up or down, and remain where it is, half of half a wavelength from its place."""
    rng = np.random.default_rng(12)
    lag = HALF * (0.5 + PLACE @ np.array([0.8, -0.4]) + 0.08 * rng.standard_normal(len(PATH)))
    lag -= HALF * np.round(lag / HALF)
    monkeypatch.setattr(unwrap, "lags", lambda *of: (lag, np.ones(len(PATH))))
    move = independent(1e-3)
    out, turned = unwrap.unwrapped(still, np.zeros(GRID.shape), move)
    left = move[:, 2] + lag - out[:, 2]
    assert turned
    assert spread(lag) > 0.25 * HALF and spread(left) < 0.2 * HALF


def test_few_poses_have_polynomials_of_low_degree(still):
    rng = np.random.default_rng(5)
    for poses, degree in ((320, 3), (99, 2), (59, 1), (29, 0)):
        part = still.part(rng.permutation(len(PATH))[:poses])
        x, y = (part.place[:, axis] / 0.03 for axis in (0, 1))
        shapes = [np.ones_like(x), x, x * y, x**2 * y]
        ones = np.ones(poses)
        for power, values in enumerate(shapes):
            left = values - unwrap._common(part, values, ones, 3)
            assert (spread(left) < 1e-6) == (power <= degree), (poses, power)


@pytest.mark.parametrize("smooth", [False, True])
def test_what_errors_have_in_common_by_chance_stays(smooth):
    """Less of smooth ones goes: there are fewer that are independent."""
    rng, energy = np.random.default_rng(8), np.ones(1000)
    errors, line = rng.standard_normal(1000), np.linspace(-1, 1, 1000)
    if smooth:
        errors = smooth_error(1000, np.ones(3), cycles=30.0, rng=rng)[:, 0]
    gone = []
    for slope in (0.01, 0.5, 3.0):
        common = 0.5 + slope * line
        gone.append(np.ptp(found := unwrap.not_by_chance(errors + common, common, energy)) / np.ptp(common))
        assert found.mean() == pytest.approx(0.5)
    assert gone[0] == pytest.approx(0.0, abs=1e-6) and gone[2] > 0.97
    assert gone[1] < 0.8 if smooth else gone[1] > 0.95


def test_the_prior_pulls_by_what_is_left_to_explain(still):
    move = deeper(white_error(len(PATH), np.full(3, 1e-3), rng=np.random.default_rng(6))[:, 2])
    noisy = field_at(np.zeros((len(PATH), 3)), snr_db=5.0)
    pulls = []
    for field in (still, noisy):
        scene = solve_scene(field, np.zeros((len(PATH), 3)))
        pulls.append(unwrap._told(field, scene, move, PRIOR))
        assert unwrap._told(field, scene, 2 * move, PRIOR).hold < 0.5 * pulls[-1].hold
        assert unwrap._told(field, scene, move, replace(PRIOR, smooth=0.0)).smooth == 0
        assert pulls[-1].width == PRIOR.width and pulls[-1].reach == PRIOR.reach
    assert 3 < pulls[1].hold / pulls[0].hold and pulls[0].hold > pulls[0].smooth > 0


def test_what_refining_makes_worse_is_not_kept(monkeypatch):
    tried = []

    def worse(field, move, prior, done):
        tried.append(move)
        return move + white_error(len(move), np.full(3, 1e-3), rng=np.random.default_rng(7))

    monkeypatch.setattr(autofocus, "refined", worse)
    scan = scan_at(white_error(len(PATH), np.full(3, 0.8e-3), rng=np.random.default_rng(3)), snr_db=15.0)
    found = autofocus.autofocus(
        scan, GRID, options=autofocus.AutofocusOptions(progress=False, iterations=4, blind=True)
    )
    np.testing.assert_array_equal(found.move, tried[0])
