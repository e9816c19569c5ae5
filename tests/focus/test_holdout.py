"""What some poses tell of what others see: right poses tell it, wrong ones and noise do not."""

import numpy as np
import pytest

import mmsar
from mmsar.focus.holdout import explained
from mmsar.focus.posefield import PoseField
from mmsar.model import AntennaArray, ImageGrid, Scan, Trajectory
from mmsar.simulate.noise import add_noise, white_error
from mmsar.simulate.scene import Scene

CHIRP = mmsar.Chirp(f0=77e9, slope=63e12, fs=1e6, n_samples=24)
PATH = Trajectory.raster((6, 40), (1.2e-3, 7.6e-3))
GRID = ImageGrid.from_extent((-0.026, 0.026), (-0.026, 0.026), 0.2, spacing=1.3e-3)
STILL = np.zeros((len(PATH), 3))


def field(snr_db: float, scene: Scene, grid: ImageGrid = GRID) -> PoseField:
    board = AntennaArray.iwr1443()
    echo = mmsar.simulate(scene, chirp=CHIRP, array=board, trajectory=PATH).read()
    noisy = add_noise(echo, snr_db, rng=np.random.default_rng(9))
    scan = Scan(signal=noisy, chirp=CHIRP, array=board, trajectory=PATH)
    return PoseField(scan.geometry, scan, grid, reach=5e-3)


LETTER = Scene.letters("E", 0.03, centre=(0.0, 0.0, 0.2))


def test_right_poses_tell_all_but_noise_and_wrong_ones_less_the_more_they_are_wrong():
    seen = field(30.0, LETTER)
    rng = np.random.default_rng(2)
    error = white_error(len(PATH), np.full(3, 1.0), rng=rng)
    told = [explained(seen, rms * error) for rms in (0.0, 0.2e-3, 0.5e-3)]
    assert told[0] > 0.98 and told[0] > told[1] + 0.05 > told[2] + 0.1
    assert explained(seen, STILL) == told[0]  # the same halves


def test_of_noise_nothing_is_told():
    """However poses are moved to suit it."""
    assert explained(field(-40.0, LETTER), STILL) < 0.1


def test_a_slice_more_tells_what_one_cannot():
    """Objects 16 mm apart in depth, on a grid of one plane between them and on one of two."""
    scene = Scene.points(np.array([[-0.012, 0.0, 0.192], [0.012, 0.006, 0.208]]), np.array([1, 0.9j]))
    two = ImageGrid.from_extent((-0.026, 0.026), (-0.026, 0.026), (0.192, 0.208), spacing=(1.3e-3, 1.3e-3, 16e-3))
    one, both = (explained(field(30.0, scene, grid), STILL) for grid in (GRID, two))
    assert both == pytest.approx(0.99, abs=0.01) and 1 - one > 2 * (1 - both)


def test_a_single_pose_tells_nothing():
    assert explained(field(30.0, LETTER).part(np.array([7])), STILL[:1]) == 0.0
