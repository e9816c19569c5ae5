"""A whole bench: radar, capture card, stage or hand, and a scene, wired up as on the real one.

    host program ── serial ──▶ RadarPty ── on_start ──▶ SceneSource ──▶ DcaEmulator ── UDP ──▶ host program
    host program ── serial ──▶ GrblPty / Amc4030Pty ── true position ──▶ SceneSource

The samples of every chirp are those of the board where the stage's table truly is at that instant (never where the
controller says it is), so that what is captured is physically right and can be reconstructed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from mmsar.hardware.config.radar import RadarConfig
from mmsar.hardware.emulate.dca import DcaEmulator, Habits
from mmsar.hardware.emulate.faults import FaultPlan
from mmsar.hardware.emulate.hand import HandClock
from mmsar.hardware.emulate.pty_port import PtyPort
from mmsar.hardware.emulate.radar import RadarPty
from mmsar.hardware.emulate.scene_source import Poses, SceneSource, still
from mmsar.hardware.motion.stage import Axis
from mmsar.model.array import AntennaArray
from mmsar.model.calibration import Calibration
from mmsar.simulate.scene import Scene

CHANNELS = "XYZ"


class TruePosition(Protocol):
    """What the emulated stages offer beside their port."""

    def position_at(self, time_ns: int) -> np.ndarray:
        """True place of the table [m or rad], (n_axes,), in the controller's homed coordinates."""
        ...


class World(Protocol):
    """From stage coordinates to poses; see `mmsar.hardware.session.world`."""

    def poses(self, place: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 3) [m] and rotations (n, 4) of the board."""
        ...


def stage_poses(stage: TruePosition, axes: Sequence[Axis], world: World) -> Poses:
    """Poses of a board whose stage's table is where `stage.position_at` says."""

    def poses(k: int, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        table = np.array([stage.position_at(int(t)) for t in time_ns])
        place = {}
        for axis in axes:
            own = table[:, CHANNELS.index(axis.channel)] * abs(axis.scale)
            place[axis.name] = np.array([axis.from_controller(float(value)) for value in own])
        return world.poses(place)

    return poses


@dataclass(frozen=True, kw_only=True, eq=False)
class Instrument:
    """What the emulated radar is like."""

    device: str = "xWR1642"
    """The chip."""
    array: Callable[[RadarConfig], AntennaArray]
    """Phase centres for a configuration: `lambda config: config.array(board)`."""
    scene: Scene
    """What stands before it."""
    errors: Calibration | None = None
    """Channel errors and range bias that a calibration has to find."""
    scale: float | None = None
    """Counts of a point of reflectivity 1; see `SceneSource`."""
    noise: float = 0.0
    """RMS noise of I and of Q [counts]."""
    seed: int = 0
    """Seed of the noise."""


class EmulatedBench:
    """Radar and card before a scene, on a stage, in a hand or standing still; a context manager."""

    def __init__(
        self,
        instrument: Instrument,
        *,
        poses: Poses | HandClock | None = None,
        stage: PtyPort | None = None,
        host_ip: str = "127.0.0.1",
        card_ip: str = "127.0.0.2",
        faults: FaultPlan = FaultPlan(),
        flush: float = 2.0,
        habits: Habits = Habits(),
        **radar: object,
    ) -> None:
        """Switch everything on.

        Parameters
        ----------
        instrument : Instrument
            The radar and its scene.
        poses : Poses or HandClock, optional
            Where the board is; default still at the origin. A `HandClock` begins to move with the first frame.
        stage : PtyPort, optional
            An emulated stage controller, closed with the bench; `stage_poses` makes its poses.
        host_ip, card_ip, faults, flush, habits
            See `DcaEmulator`.
        radar
            Options of `RadarPty`.

        Raises
        ------
        CaptureError
            Addresses or ports that cannot be had.
        """
        self.instrument, self.stage = instrument, stage
        self.poses = poses
        self.source: SceneSource | None = None
        """Source of the newest start."""
        self.configs: list[RadarConfig] = []
        """What the radar was told at every start."""
        with ExitStack() as stack:
            if stage is not None:
                stack.callback(stage.close)
            self.card = stack.enter_context(DcaEmulator(card_ip, host_ip, faults=faults, flush=flush, habits=habits))
            self.radar = stack.enter_context(
                RadarPty(instrument.device, on_start=self._start, on_stop=self.card.stop_stream, **radar)
            )
            self.card.on_reset_radar = self.radar.reboot
            self._stack = stack.pop_all()

    def _start(self, config: RadarConfig) -> None:
        self.configs.append(config)
        poses = self.poses
        if isinstance(poses, HandClock):
            poses = self._moving(poses)
        made = self.instrument
        self.source = SceneSource(
            config,
            made.array(config),
            made.scene,
            poses=poses or still(),
            instrument=made.errors,
            scale=made.scale,
            noise=made.noise,
            seed=made.seed + len(self.configs) - 1,
        )
        self.card.start_stream(self.source, hardware_trigger=config.trigger == "hardware")

    def _moving(self, hand: HandClock) -> Poses:
        def poses(k: int, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            hand.start(int(time_ns[0]))
            return hand.poses(k, time_ns)

        return poses

    def also_close(self, close: Callable[[], None]) -> None:
        """Call this first when the bench is closed."""
        self._stack.callback(close)

    def close(self) -> None:
        """Switch everything off; raises what went wrong in the instruments."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
