"""Scans round a target whose antennas were elsewhere than recorded."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mmsar.focus.observation import MOVES, move_basis
from mmsar.model import AntennaArray, Chirp, Scan, Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
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
