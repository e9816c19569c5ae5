"""Planes behind the grid, for what stands there, and what is left to explain where there is noise."""

import numpy as np
import pytest

from mmsar.errors import MmsarError
from mmsar.focus import autofocus
from mmsar.focus.autofocus import AutofocusOptions, _gain
from mmsar.focus.holdout import explained
from mmsar.focus.posefield import PoseField, deeper
from mmsar.model import AntennaArray, ImageGrid, Scan
from mmsar.simulate.forward import simulate
from mmsar.simulate.noise import add_noise, white_error
from mmsar.simulate.scene import Scene

POINTS = np.array([[0.0, 0.0, 0.2], [0.012, 0.008, 0.2], [-0.016, 0.004, 0.2]])
WALL = np.array([[0.02, -0.01, 0.28], [-0.02, 0.015, 0.29], [0.0, -0.02, 0.3]])


def scan(planar, wall: float, *, snr_db: float = 25.0) -> Scan:
    """Points, and others behind them of an amplitude `wall`."""
    scene = Scene.points(np.concatenate([POINTS, WALL]), np.r_[1, 0.7j, -0.6, wall * np.array([1, -1j, 0.8])])
    echo = simulate(scene, chirp=planar.chirp, array=AntennaArray.iwr1443(), trajectory=planar.path)
    noisy = add_noise(echo.read(), snr_db, rng=np.random.default_rng(9))
    return Scan(signal=noisy, chirp=planar.chirp, array=AntennaArray.iwr1443(), trajectory=planar.path)


def test_planes_go_on_behind_a_grid(planar):
    grid = deeper(planar.grid, 0.1)
    assert grid.origin == planar.grid.origin and grid.shape[1:] == planar.grid.shape[1:]
    assert grid.extent[2][1] >= planar.grid.extent[2][1] + 0.1 > grid.extent[2][1] - grid.spacing[2]
    volume = ImageGrid(shape=(3, 5, 5), origin=(0, 0, 0.19), spacing=(1e-3, 1e-3, 6e-3))
    assert deeper(volume, 0.012).shape == (5, 5, 5) and deeper(volume, 0.0) == volume


@pytest.mark.parametrize(("wall", "taken"), [(0.0, False), (1.0, True)])
def test_planes_are_added_where_something_stands_behind(planar, monkeypatch, wall, taken):
    """Then both shares are told with them."""
    seen = []
    monkeypatch.setattr(autofocus, "retrieve", lambda field, prior, done, *, sharpen: np.zeros((field.n_poses, 3)))
    monkeypatch.setattr(autofocus, "refined", lambda field, move, prior, done: seen.append(field) or move)
    some, shares = scan(planar, wall, snr_db=5.0), []
    for behind in (0.0, 0.12):
        options = AutofocusOptions(progress=False, iterations=2, blind=True, behind=behind)
        found = autofocus.autofocus(some, planar.grid, options=options)
        shares.append(found.fit)
        assert found.grid == planar.grid and not found.cut
    assert [field.grid.shape[0] for field in seen] == [1, 16 if taken else 1]
    for as_recorded, with_planes in zip(*shares, strict=True):
        assert 1 - with_planes < 0.6 * (1 - as_recorded) if taken else with_planes == as_recorded


def test_planes_that_do_not_fit_into_memory_are_refused_at_once(planar, monkeypatch):
    some = scan(planar, 1.0)
    monkeypatch.setattr(autofocus, "explained", lambda *of: pytest.fail("went on"))
    options = AutofocusOptions(progress=False, blind=True, behind=100.0, memory=2**28)
    with pytest.raises(MmsarError, match=r"align autofocus: .*memory"):
        autofocus.autofocus(some, planar.grid, options=options)


def test_what_noise_leaves_is_not_there_to_explain():
    """Two starts that differ by little of all samples, and by most of what there is to explain."""
    assert _gain(0.48, 0.494) < 1.03 < 1.1 < _gain(0.48, 0.494, 0.497)
    assert _gain(0.48, 0.484, 0.497) < 1.1  # as poses that were moved to suit noise
    assert _gain(0.494, 0.48, 0.497) < 1  # less is less
    assert _gain(0.5, 0.75, 1.0) == pytest.approx(2.0) and _gain(0.1, 0.3, 0.2) == pytest.approx(_gain(0.1, 0.3, 0.3))
    assert _gain(0.9, 0.9, 0.9) == pytest.approx(1.0)


def test_a_start_is_judged_by_what_there_is_to_explain(planar):
    """Of noisy samples a scene explains little of its own poses, too, and most with the right poses."""
    noisy = scan(planar, 0.0, snr_db=-15.0)
    field = PoseField(noisy.geometry, noisy, planar.grid, reach=5e-3)
    right = np.zeros((len(planar.path), 3))
    wrong = white_error(len(right), np.full(3, 0.2e-3), rng=np.random.default_rng(2))
    own = autofocus._own(field, wrong, right)
    assert explained(field, wrong) < explained(field, right) < own < 0.95
    assert autofocus._own(field, wrong) < own == autofocus._own(field, right)
