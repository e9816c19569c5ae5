"""The demonstration setup, in code so that an installed package has it; the same as data/scenes/freehand.toml."""

from dataclasses import replace

import numpy as np

from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Scan
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.forward import SimulationOptions
from mmsar.simulate.scene import Scene
from mmsar.simulate.setup import Setup

POINTS = (
    (-60e-3, -40e-3, 280e-3),
    (-20e-3, -40e-3, 290e-3),
    (20e-3, -40e-3, 310e-3),
    (60e-3, -40e-3, 320e-3),
    (0.0, 60e-3, 300e-3),
)
"""Point targets beside the letters [m]."""


SHAPE, STEP = (27, 200), (1e-3, 7.589682e-3)
"""Rows and positions per row of the sweep, and the distances it was meant to have (x, y) [m]."""


def demo_setup() -> Setup:
    """Letters and points about 0.30 m in front of an IWR1443 moved by hand over 200 x 200 mm.

    5,400 poses, two transmitters in 60 microsecond slots, 77 to 81 GHz in 64 samples; the hand wanders 12 mm in depth,
    1 mm along and 0.5 mm across the rows and turns by up to 2 degrees. Thermal noise at 20 dB below the signal.
    """
    letters = Scene.letters("MMSAR", 36e-3, pixel=1e-3, centre=(0.0, 8e-3, 0.3))
    return Setup(
        name="freehand",
        scene=letters + Scene.points(np.array(POINTS), 8.0),
        chirp=Chirp(f0=77e9, slope=4e9 * 2e6 / 64, fs=2e6, n_samples=64),
        array=AntennaArray.iwr1443(),
        trajectory=Trajectory.freehand(SHAPE, STEP, motion=(1e-3, 0.5e-3, 12e-3), rotation=np.deg2rad(2.0), seed=7),
        options=SimulationOptions(tx_delay=(0.0, 60e-6), snr_db=20.0, seed=1),
    )


def planar_assumption(scan: Scan) -> Scan:
    """The demonstration's samples with the poses of the plane raster the hand was to follow, all slots at once."""
    return replace(scan, trajectory=Trajectory.raster(SHAPE, STEP), tx_delay=None)
