"""Whole half wavelengths of depths, told by delays, and what recorded places say once these are known."""

from dataclasses import replace

import numpy as np
import pytest

import mmsar
from mmsar.focus import autofocus, unwrap
from mmsar.focus.common import polynomial
from mmsar.focus.continuity import Followed, followed
from mmsar.focus.halves import WITHIN, Asked
from mmsar.focus.jointstep import solve_scene
from mmsar.focus.posefield import PoseField
from mmsar.focus.posestep import Prior
from mmsar.focus.weighing import weighed
from mmsar.simulate.noise import smooth_error, white_error

PRIOR = Prior(smooth=0.01, hold=0.005, width=5.0, reach=5e-3)


def independent(planar, rms: float) -> np.ndarray:
    """Errors in depth (n, 3) without what goes with the place by chance."""
    depth = white_error(len(planar.path), np.full(3, rms), rng=np.random.default_rng(4))[:, 2]
    return planar.deeper(depth - polynomial(planar.place, depth, np.ones(len(depth)), 3))


def unwrapped(field: PoseField, move: np.ndarray, *, rounds: unwrap.Rounds | None = None, **how) -> np.ndarray:
    """As a round does it, of the scene that these displacements make."""
    scene = solve_scene(field, move)
    return unwrap.unwrapped(
        weighed(field, scene, move), scene, move, PRIOR, rounds or unwrap.Rounds(), followed(field, move), **how
    )


def spread(values: np.ndarray) -> float:
    return float(np.std(values))


@pytest.mark.parametrize("whole", [1, -1, 2])
def test_delays_tell_by_how_many_half_wavelengths_poses_are_off(planar, still, whole):
    scene = solve_scene(still, np.zeros((len(planar.path), 3)))
    off = np.zeros(len(planar.path))
    off[::3] = whole * planar.half
    lag, energy = unwrap.lags(still, scene, planar.deeper(off))
    bright = energy > 0.3 * np.median(energy)
    assert np.mean(np.round(lag / planar.half)[bright] == np.round(-off / planar.half)[bright]) > 0.95
    np.testing.assert_allclose(energy, np.sum(np.abs(still.samples) ** 2, axis=(0, 2)), rtol=1e-5)


def test_without_bandwidth_nothing_moves(planar):
    true = planar.deeper(white_error(len(planar.path), np.full(3, 0.3e-3), rng=np.random.default_rng(1))[:, 2])
    field = planar.field(true, chirp=mmsar.Chirp.stepped(77e9, 4e9 / 16, 1))
    rounds = unwrap.Rounds()
    np.testing.assert_array_equal(unwrapped(field, true, rounds=rounds), true)
    assert not rounds.turned and followed(field, true) is None


def test_poses_without_samples_stay(planar, still):
    some, none = still.part(np.arange(len(planar.path))), np.zeros((len(planar.path), 3))
    some.samples[:, ::4] = 0
    scene = solve_scene(some, none)
    lag, energy = unwrap.lags(some, scene, none)
    assert np.all(lag[::4] == 0) and np.all(energy[::4] == 0) and np.all(energy[1::4] > 0)
    assert np.isfinite(out := unwrapped(some, none)).all() and np.abs(out[::4, 2]).max() < 0.2 * planar.half


def test_independent_depths_come_out_of_their_half_wavelengths(planar):
    true = planar.deeper(white_error(len(planar.path), np.full(3, 1e-3), rng=np.random.default_rng(1))[:, 2])
    field = planar.field(true)
    wrapped = planar.deeper(true[:, 2] - planar.half * np.round(true[:, 2] / planar.half))
    out = unwrapped(field, wrapped)
    assert spread((wrapped - true)[:, 2]) > 0.8e-3 and spread((out - true)[:, 2]) < 0.35e-3
    assert np.median(np.abs(out[:, :2])) < 0.1e-3


def test_runs_of_smooth_depths_come_as_a_whole(planar):
    """A row as it was, or by a half wavelength nearer or further: which, its poses tell together."""
    rng = np.random.default_rng(2)
    rows = [smooth_error(40, np.full(3, 0.3e-3), cycles=2.0, rng=rng)[:, 2] for _ in range(8)]
    true = planar.deeper(np.concatenate(rows) + np.repeat(planar.half * np.array([0, 1, -1, 0, 1, 0, -1, 0]), 40))
    field = planar.field(true)
    wrapped = planar.deeper(true[:, 2] - planar.half * np.repeat([0, 1, -1, 0, 1, 0, -1, 0], 40))
    out = unwrapped(field, wrapped)
    assert followed(field, wrapped) is not None
    left = out[:, 2] - true[:, 2]
    terms = np.c_[np.ones(len(planar.path)), planar.place]  # rows have a slope by chance, which goes, too
    assert spread((wrapped - true)[:, 2]) > 1e-3
    assert spread(left - terms @ np.linalg.lstsq(terms, left, rcond=None)[0]) < 1e-6


@pytest.mark.parametrize("slope", [1.5, -2.5])
def test_a_turn_of_scene_and_poses_is_undone(planar, slope):
    """Poses tilted by `slope` half wavelengths at the edge, and the scene with them: it lies aside."""
    true = independent(planar, 0.5e-3)
    field = planar.field(true)
    turned = planar.deeper(true[:, 2] + slope * planar.half * planar.place[:, 0])
    turned[:, 2] -= planar.half * np.round(turned[:, 2] / planar.half)
    told: list[int] = []
    images = [
        np.abs(solve_scene(field, move)[0])
        for move in (true, turned, unwrap.refined(field, turned, PRIOR, told.append))
    ]
    exact, before, after = (image / np.linalg.norm(image) for image in images)
    assert np.sum(exact * before) < 0.3 and np.sum(exact * after) > 0.9
    assert told == sorted(told) and told[-1] == unwrap.PARTS and told[0] < 2


@pytest.mark.parametrize("smooth", [False, True])
def test_at_the_end_a_slope_is_taken_away_as_errors_are(planar, monkeypatch, smooth):
    """Of independent ones what half wavelengths hide, with the scene made anew; of smooth ones that along runs."""
    path = Followed(np.zeros(len(planar.path), int), np.zeros(len(planar.path))) if smooth else None
    monkeypatch.setattr(unwrap, "followed", lambda field, move: path)
    monkeypatch.setattr(unwrap, "far_scene_steps", lambda field, scene, move, prior, *, steps, damping: (scene, move))
    monkeypatch.setattr(unwrap, "unwrapped", lambda field, scene, move, *_, **__: move)
    monkeypatch.setattr(unwrap, "without_slope", lambda field, move: move + 0.01)
    asked, solved = [], []
    monkeypatch.setattr(unwrap, "straightened", lambda place, depth, weight, half: asked.append(depth) or depth + 1e-4)
    solve = unwrap.solve_scene
    monkeypatch.setattr(unwrap, "solve_scene", lambda field, move, **how: solved.append(move) or solve(field, move))
    move = np.zeros((len(planar.path), 3))
    out = unwrap.refined(planar.field(move), move, PRIOR, lambda part: None)
    rounds = unwrap.ROUNDS + len(unwrap.LONG)
    assert len(asked) == (0 if smooth else rounds + 1)
    np.testing.assert_allclose(out, PRIOR.reach if smooth else planar.deeper(np.full(len(out), 1e-4 * (rounds + 1))))
    assert smooth or [round(1e4 * float(m[0, 2])) for m in solved][:4] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("few", "slopes", "wanted"),
    [
        (unwrap.ROUNDS, (), 10),
        (unwrap.ROUNDS, (7,), 12),
        (unwrap.ROUNDS, (2, 9, 13), 18),
        (unwrap.ROUNDS, range(100), 25),
        (unwrap.FEW, (), 3),
        (unwrap.FEW, (2,), 7),
        (unwrap.FEW, (4,), 3),  # in the first of the long ones
    ],
)
def test_rounds_go_on_until_no_slope_is_found_for_some_and_then_are_long(few, slopes, wanted):
    rounds, steps, parts = unwrap.Rounds(few), [], []
    for number in rounds.steps():
        if rounds.over in slopes:
            rounds.flat = 0.0
            assert rounds.takes(0.5, 0.1, 3000)
        steps.append(number)
        parts.append(rounds.parts)
    assert steps == [unwrap.STEPS] * wanted + list(unwrap.LONG)
    assert parts[-1] == unwrap.PARTS and 0 <= min(parts) and max(parts[:-1]) < unwrap.PARTS


def held(field: PoseField, move: np.ndarray, monkeypatch) -> tuple[list[float], list[bool]]:
    """Pulls to the recorded place of the steps of all rounds, and whether a path was followed in each, where nothing
    moves."""
    pulls, along = [], []

    def stay(field, scene, move, prior, *, steps, damping):
        pulls.append(prior(scene, move).hold)
        return scene, move

    monkeypatch.setattr(unwrap, "far_scene_steps", stay)
    monkeypatch.setattr(
        unwrap, "unwrapped", lambda f, scene, move, p, rounds, path, **_: along.append(path is not None) or move
    )
    unwrap.refined(field, move, PRIOR, lambda part: None)
    return pulls, along


def test_independent_errors_are_held_firmly_at_first_more_than_later(planar, monkeypatch):
    move = white_error(len(planar.path), np.full(3, 1e-3), rng=np.random.default_rng(6))
    pulls, along = held(planar.field(move), move, monkeypatch)
    assert not any(along) and len(along) == unwrap.ROUNDS + len(unwrap.LONG) + 1
    short, long = pulls[: unwrap.ROUNDS], pulls[unwrap.ROUNDS :]
    assert short[0] > 1.5 * short[1] and min(short) > 3 * max(long), pulls  # what they leave would make them firmer


@pytest.mark.parametrize("clear", [False, True])
def test_smooth_errors_are_held_alike_and_poses_taken_each_for_itself_once_lags_are_clear(planar, monkeypatch, clear):
    """Not before scene and poses have come far together."""
    path = Followed(np.zeros(len(planar.path), int), np.zeros(len(planar.path)))
    monkeypatch.setattr(unwrap, "followed", lambda field, move: path)
    monkeypatch.setattr(unwrap, "clear", lambda *of: clear)
    move = white_error(len(planar.path), np.full(3, 0.2e-3), rng=np.random.default_rng(6))
    pulls, along = held(planar.field(move), move, monkeypatch)
    assert along == [True] * (unwrap.FEW + 1) + [not clear] * len(unwrap.LONG)
    assert max(pulls[: unwrap.FEW + 1]) < 1.2 * min(pulls[: unwrap.FEW + 1])


def test_lags_are_clear_where_poses_are_right_and_not_of_noise(planar, still):
    none = np.zeros((len(planar.path), 3))
    assert unwrap.clear(still, solve_scene(still, none), none)
    for poor, move in ((planar.field(none, snr_db=-20.0), none), (still, independent(planar, 1e-3))):
        assert not unwrap.clear(poor, solve_scene(poor, move), move)


def said(planar, move: np.ndarray, lag: np.ndarray) -> Asked:
    """What poses say whose lags are these, well told."""
    number = np.arange(-WITHIN, WITHIN + 1)[:, None]
    tried = np.stack([move + planar.deeper(np.full(len(move), n * planar.half)) for n in number[:, 0]])
    return Asked(planar.half, move, tried, 100 * (number - lag / planar.half) ** 2)


def test_lags_halfway_between_whole_half_wavelengths_are_taken_together(planar, still, monkeypatch):
    """Each for itself would be rounded up or down, and remain where it is, half of half a wavelength from its place."""
    rng = np.random.default_rng(12)
    lag = planar.half * (0.5 + planar.place @ np.array([0.8, -0.4]) + 0.08 * rng.standard_normal(len(planar.path)))
    lag -= planar.half * np.round(lag / planar.half)
    move, rounds = independent(planar, 1e-3), unwrap.Rounds()
    rounds.over = 1
    monkeypatch.setattr(unwrap, "asked", lambda *of: said(planar, move, lag))
    out = unwrap.unwrapped(still, np.zeros(planar.grid.shape), move, PRIOR, rounds, None)
    left = move[:, 2] + lag - out[:, 2]
    assert rounds.turned == 1
    assert spread(lag) > 0.25 * planar.half and spread(left) < 0.2 * planar.half


def test_a_pose_goes_where_its_lag_and_its_recorded_place_have_it(planar, still, monkeypatch):
    """A lag that is hardly told does not take it far from where it was recorded; one well told does."""
    rng = np.random.default_rng(13)
    move = independent(planar, 0.4e-3)
    lag = planar.half * 0.05 * rng.standard_normal(len(planar.path))
    lag[5::40] += 2.0 * planar.half
    for worth, goes in ((1.0, True), (1e-3, False)):
        of = said(planar, move, lag)
        of.misfit[:, 5::40] *= worth
        monkeypatch.setattr(unwrap, "asked", lambda *_, of=of: of)
        out = unwrap.unwrapped(still, np.zeros(planar.grid.shape), move, PRIOR, unwrap.Rounds(), None)
        far = np.abs(out[5::40, 2] - move[5::40, 2]) > 1.5 * planar.half
        assert np.all(far) if goes else not np.any(far), (out[5::40, 2] - move[5::40, 2]) / planar.half


@pytest.mark.parametrize(
    ("agree", "flat", "poses", "last", "takes"),
    [
        (0.5, 0.2, 300, 0.0, True),
        (0.47, 0.45, 300, 0.0, False),  # hardly more than without
        (0.12, 0.1, 5000, 0.0, False),
        (0.3, 0.01, 90, 0.0, False),  # too few
        (0.5, 0.2, 300, 0.2, False),  # no better than when one was taken last: it would go round and round
        (0.5, 0.2, 300, 0.13, True),
    ],
)
def test_a_slope_is_taken_where_it_is_plain(agree, flat, poses, last, takes):
    rounds = unwrap.Rounds()
    rounds.over, rounds.flat = 3, last
    assert rounds.takes(agree, flat, poses) == takes
    assert (rounds.turned, rounds.flat) == ((3, flat) if takes else (0, last))


def test_the_prior_pulls_by_what_is_left_to_explain(planar, still):
    move = planar.deeper(white_error(len(planar.path), np.full(3, 1e-3), rng=np.random.default_rng(6))[:, 2])
    noisy = planar.field(np.zeros((len(planar.path), 3)), snr_db=5.0)
    pulls = []
    for field in (still, noisy):
        scene = solve_scene(field, np.zeros((len(planar.path), 3)))
        pulls.append(unwrap.told(field, scene, move, PRIOR))
        assert unwrap.told(field, scene, 2 * move, PRIOR).hold < 0.5 * pulls[-1].hold
        assert unwrap.told(field, scene, move, replace(PRIOR, smooth=0.0)).smooth == 0
        assert pulls[-1].width == PRIOR.width and pulls[-1].reach == PRIOR.reach
        firm = [unwrap.told(field, scene, move, PRIOR, firm=times).hold for times in (1.0, 30.0, 1e9)]
        plain = pulls[-1].hold
        wanted = [max(plain, min(times / unwrap.HOLD * plain, unwrap.TIGHTEST)) for times in (1.0, 30.0, 1e9)]
        assert firm == pytest.approx(wanted) and firm[0] == plain
    assert 3 < pulls[1].hold / pulls[0].hold and pulls[0].hold > pulls[0].smooth > 0


def test_what_refining_makes_worse_is_not_kept(planar, monkeypatch):
    tried = []

    def worse(field, move, prior, done):
        tried.append(move)
        return move + white_error(len(move), np.full(3, 1e-3), rng=np.random.default_rng(7))

    monkeypatch.setattr(autofocus, "refined", worse)
    scan = planar.scan(white_error(len(planar.path), np.full(3, 0.8e-3), rng=np.random.default_rng(3)), snr_db=15.0)
    found = autofocus.autofocus(
        scan, planar.grid, options=autofocus.AutofocusOptions(progress=False, iterations=4, blind=True)
    )
    np.testing.assert_array_equal(found.move, tried[0])
