"""A hand that never was: smooth motion known at every instant, and the track a tracker would log of it."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.errors import MmsarError
from mmsar.hardware.positions.check import checked
from mmsar.hardware.positions.track import PoseTrack, read_track

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


@pytest.fixture(scope="session")
def survives_damage(tmp_path_factory) -> Callable[..., None]:
    """Checks that a log with bytes changed, added, taken away or repeated is read and checked, or refused in a line."""
    path = tmp_path_factory.mktemp("damaged") / "log"
    letters = '0123456789,.-+eE\n\r"{}[]:# nanIf\0\xff\u00b2\t;'

    def check(text: str, count: int, **told: str) -> None:
        rng = random.Random(text)
        for _ in range(count):
            damaged = list(text)
            for _ in range(rng.choice((1, 1, 2, 3, 8))):
                at, how = rng.randrange(len(damaged) + 1), rng.randrange(4)
                if how == 0:
                    damaged[at : at + 1] = rng.choice(letters)
                elif how == 1:
                    damaged.insert(at, rng.choice(letters))
                elif how == 2:
                    del damaged[at : at + rng.choice((1, 5, 40))]
                else:
                    damaged[at:at] = damaged[at : at + rng.choice((3, 20, 80))]
            path.write_text("".join(damaged), encoding="utf-8")
            try:
                track, _ = checked(read_track(path, **told))
            except MmsarError as error:
                assert "\n" not in str(error)
            else:
                track.at(np.unique(track.time_ns))

    return check
