"""Scans round a target, and before one, whose antennas were elsewhere than recorded."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mmsar.focus.jointstep import ERROR_DB
from mmsar.focus.observation import MOVES, move_basis
from mmsar.focus.posefield import PoseField
from mmsar.model import AntennaArray, Chirp, ImageGrid, Scan, Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.noise import add_noise
from mmsar.simulate.scene import Scene

CHIRP = Chirp.stepped(77e9, 4e9 / 16, 16)
POINTS = np.array(
    [[0.03, 0.0, -0.02], [-0.06, 0.005, 0.03], [0.02, -0.01, 0.08], [-0.05, 0.0, -0.07], [0.09, 0.0, 0.01]]
)


def recorded(true: Trajectory, points: np.ndarray, *, nominal: Trajectory, array: AntennaArray, **kwargs) -> Scan:
    """What is recorded along `true` when the poses are thought to be `nominal`."""
    options = SimulationOptions(progress=False, **kwargs)
    scan = simulate(Scene.points(points), chirp=CHIRP, array=array, trajectory=true, options=options)
    return replace(scan, trajectory=nominal)


def round_scan(
    points=POINTS, *, n=256, radius=0.25, span=2 * np.pi, heights=None, array=None, snr=20, **kwargs
) -> Scan:
    """A turntable scan with errors by name of `MOVES` [m]; a flat target where the antennas do not tell heights."""
    moves = np.array([kwargs.pop(name, 0.0) for name in MOVES])
    nominal = Trajectory.turntable(n, radius, heights=heights, span=span)
    moved = nominal.position + np.einsum("ngi,g->ni", move_basis(nominal.position), moves)
    true = Trajectory(time=nominal.time, position=moved, rotation=nominal.rotation)
    array = array or AntennaArray.iwr1443()
    if array.n_tx == 1 and heights is None:
        points = np.asarray(points) * (1, 0, 1)
    return recorded(true, points, nominal=nominal, array=array, snr_db=snr, **kwargs)


@pytest.fixture(scope="session")
def lab():
    """The functions above."""
    return SimpleNamespace(points=POINTS, round_scan=round_scan, chirp=CHIRP)


PATH = Trajectory.raster((8, 40), (1.2e-3, 7.6e-3))
GRID = ImageGrid.from_extent((-0.026, 0.026), (-0.026, 0.026), 0.2, spacing=1.3e-3)
BEFORE = Scene.points(
    np.array([[0.0, 0.0, 0.2], [0.012, 0.008, 0.2], [-0.016, 0.004, 0.2], [0.004, -0.012, 0.2], [-0.008, -0.014, 0.2]]),
    np.array([1, 0.7j, -0.6, 0.5, 0.4j]),
)


def planar_scan(error: np.ndarray, *, chirp: Chirp = CHIRP, snr_db: float = 25.0) -> Scan:
    """A scan along PATH + error as recorded along PATH."""
    true = Trajectory(time=PATH.time, position=PATH.position + error, rotation=PATH.rotation)
    echo = simulate(BEFORE, chirp=chirp, array=AntennaArray.iwr1443(), trajectory=true)
    noisy = add_noise(echo.read(), snr_db, rng=np.random.default_rng(9))
    return Scan(signal=noisy, chirp=chirp, array=AntennaArray.iwr1443(), trajectory=PATH)


def planar_field(error: np.ndarray, **how) -> PoseField:
    """That scan before GRID."""
    scan = planar_scan(error, **how)
    return PoseField(scan.geometry, scan, GRID, reach=5e-3).coarser(ERROR_DB)


def deeper(depth: np.ndarray) -> np.ndarray:
    """Displacements (n, 3) along z only."""
    return np.c_[np.zeros((len(depth), 2)), depth]


@pytest.fixture(scope="session")
def planar():
    """The functions above, and where poses are: recorded, and from -1 to 1."""
    return SimpleNamespace(
        scan=planar_scan,
        field=planar_field,
        deeper=deeper,
        path=PATH,
        grid=GRID,
        chirp=CHIRP,
        half=np.pi / CHIRP.k.mean(),
        place=PATH.position[:, :2] / np.abs(PATH.position[:, :2]).max(axis=0),
    )


@pytest.fixture(scope="session")
def still() -> PoseField:
    """A scan without position errors."""
    return planar_field(np.zeros((len(PATH), 3)))
