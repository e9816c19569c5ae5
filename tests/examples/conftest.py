"""Small scans for the lab scripts, and the scripts as modules."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from mmsar.io.scan_h5 import save_scan
from mmsar.model import AntennaArray, Chirp, Raster, Scan, Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TARGET = (0.004, -0.003, 0.15)
"""A point before the scans [m]."""
GRID = ["--extent=-20,20,-16,16,110,190", "--spacing", "1.5,1.5,8"]
"""Options for a grid about it."""


def script(name: str) -> ModuleType:
    """A script of examples/ as a module."""
    found = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def small_scan(point: tuple[float, float, float] = TARGET, **given) -> Scan:
    """Three rows of 24 poses of an IWR1443 before a point, 16 frequencies from 77 GHz in steps of 250 MHz."""
    array = AntennaArray.iwr1443()
    chirp = given.pop("chirp", Chirp.stepped(77e9, 250e6, 16))
    step = (1e-3, 8 * array.uniform_pitch())
    path, options = Trajectory.raster((3, 24), step), SimulationOptions(progress=False, **given)
    scan = simulate(Scene.points([point]), chirp=chirp, array=array, trajectory=path, options=options)
    return replace(scan, raster=Raster(n_y=3, n_x=24, step_x=step[0], step_y=step[1]))


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory) -> Path:
    """`small_scan` in a file."""
    path = tmp_path_factory.mktemp("examples") / "scan.h5"
    save_scan(small_scan(), path)
    return path
