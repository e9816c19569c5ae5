"""Reflector scans with a known instrument in front of them."""

import numpy as np

from mmsar.model import AntennaArray, Calibration, Chirp, Scan, Trajectory
from mmsar.simulate.forward import simulate
from mmsar.simulate.scene import Scene

CHIRP = Chirp(f0=77.3e9, slope=60e12, fs=4e6, n_samples=256)
PLACE = np.array([5e-3, -3e-3, 0.3])
RASTER = Trajectory.raster((6, 50), (2e-3, 8e-3))
STILL = Trajectory(time=np.arange(40) * 5e-3, position=np.zeros((40, 3)))


def instrument(seed: int = 0, *, delays: bool = True, chirp: Chirp = CHIRP, array: AntennaArray | None = None):
    """A calibration drawn at random: gains of any phase, 67.8 mm of bias, delays of some picoseconds."""
    rng = np.random.default_rng(seed)
    shape = (2, 4) if array is None else (array.n_tx, array.n_rx)
    delay = rng.standard_normal(shape) * 5e-12 if delays else None
    return Calibration(
        gain=(1 + 0.2 * rng.uniform(-1, 1, shape)) * np.exp(2j * np.pi * rng.random(shape)),
        range_bias=0.0678,
        delay=None if delay is None else delay - delay.mean(),
        delay_frequency=chirp.f_centre if delays else None,
    )


def measure(
    scene: Scene,
    trajectory: Trajectory,
    truth: Calibration,
    *,
    snr_db: float = 20,
    array: AntennaArray | None = None,
    leakage: float = 0.0,
    seed: int = 1,
    **fields,
) -> Scan:
    """What an instrument records of a scene: ideal echoes, leakage at zero range, its response, noise."""
    array = AntennaArray.iwr1443() if array is None else array
    ideal = simulate(scene, chirp=CHIRP, array=array, trajectory=trajectory)
    rng = np.random.default_rng(seed)
    echo = ideal.read()
    power = np.mean(np.abs(echo) ** 2)
    leak = leakage * np.exp(1j * CHIRP.k * 0.02) * np.exp(2j * np.pi * rng.random((array.n_tx, array.n_rx, 1)))
    noise = rng.standard_normal(echo.shape) + 1j * rng.standard_normal(echo.shape)
    signal = (echo + leak) * truth.response(CHIRP.f) + noise * np.sqrt(power / 2 / 10 ** (snr_db / 10))
    return Scan(signal=signal, chirp=CHIRP, array=array, trajectory=trajectory, **fields)
