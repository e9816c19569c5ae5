"""A hand that never was: smooth motion known at every instant, and the track a tracker would log of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.hardware.positions.track import PoseTrack

REPO_ROOT = Path(__file__).resolve().parents[3]
LOGS = REPO_ROOT.parent / "shared" / "data" / "fixtures" / "trajectories"
START = 1_700_000_000_123_456_789


class Hand:
    """A sweep of 0.3 m/s with a tremor of 2 Hz, 20 mm and 5 degrees on every axis."""

    start = START

    @staticmethod
    def position(seconds: np.ndarray) -> np.ndarray:
        w = 2 * np.pi * 2.0
        tremor = 0.02 * np.stack([np.sin(w * seconds), np.cos(w * seconds + 0.3), np.sin(w * seconds + 1)], axis=-1)
        return tremor + np.stack([0.3 * seconds, 0 * seconds, 0.1 + 0 * seconds], axis=-1)

    @staticmethod
    def rotation(seconds: np.ndarray) -> Rotation:
        w = 2 * np.pi * 2.0
        shake = np.stack([np.sin(w * seconds), np.cos(w * seconds), np.sin(w * seconds + 0.5)], axis=-1)
        return Rotation.from_rotvec(np.radians(5) * shake) * Rotation.from_rotvec([0.3, -0.5, 0.2])

    def track(self, rate: float = 120.0, duration: float = 4.0, noise: float = 0.0, seed: int = 0) -> PoseTrack:
        """What a tracker logs; noise [m] on positions, and as much at 0.1 m on rotations."""
        rng = np.random.default_rng(seed)
        time_ns = START + np.rint(np.arange(round(rate * duration)) * 1e9 / rate).astype(np.int64)
        seconds = (time_ns - START) / 1e9
        turn = self.rotation(seconds) * Rotation.from_rotvec(10 * noise * rng.standard_normal((len(seconds), 3)))
        position = self.position(seconds) + noise * rng.standard_normal((len(seconds), 3))
        return PoseTrack(time_ns=time_ns, position=position, rotation=turn.as_quat(), clock="unix")


@pytest.fixture(scope="session")
def hand() -> Hand:
    return Hand()


@pytest.fixture(scope="session")
def real_log() -> Callable[[str], Path]:
    """A real log by its name; skips when it is not there."""

    def path(name: str) -> Path:
        if not (LOGS / name).exists():
            pytest.skip(f"measured data fixtures/trajectories/{name} is not there")
        return LOGS / name

    return path
