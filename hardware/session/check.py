"""What a session will do, in numbers, and what is wrong with it, before any hardware is touched."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsar.hardware.config.finding import Finding
from mmsar.hardware.config.limits import check
from mmsar.hardware.session.setup import Session
from mmsar.hardware.session.sweeps import Sweep, extent
from mmsar.hardware.session.world import CylinderWorld

TURN_TIME = 3.5
"""Time between sweeps beside the moves [s]: stopping and starting the radar and the card."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The figures of a session."""

    frames: int
    """Frames that are used."""
    recorded_frames: int
    """Frames that are recorded, run-ups included."""
    nbytes: int
    """Size of the recordings [bytes]."""
    seconds: float
    """Expected length of the whole session [s]."""
    step: float
    """Distance between frames on the aperture [m]."""
    speed: float
    """Largest speed of the board against the scene [m/s]."""


def frames_of(session: Session, sweep: Sweep) -> int:
    """Frames to record during a sweep: from rest to rest and one frame more at either end."""
    config = session.radar.config
    return int(np.ceil(session.drive.sweep_time(sweep) / config.frame_period)) + 2


def outline(session: Session) -> Outline:
    """Frames, bytes and time of a session."""
    config = session.radar.config
    if session.kind == "freehand":
        n = int(np.ceil(session.duration / config.frame_period))
        return Outline(
            frames=n,
            recorded_frames=n,
            nbytes=n * config.frame_bytes,
            seconds=session.duration + TURN_TIME,
            step=float("nan"),
            speed=float("nan"),
        )
    recorded = sum(frames_of(session, sweep) for sweep in session.sweeps)
    arm = session.world.radius if isinstance(session.world, CylinderWorld) else 1.0
    moving = session.drive.mode == "continuous"
    return Outline(
        frames=session.shape[0] * session.shape[1],
        recorded_frames=recorded,
        nbytes=recorded * config.frame_bytes,
        seconds=sum(session.drive.sweep_time(sweep) for sweep in session.sweeps) + _between(session),
        step=session.step[0] * arm,
        speed=session.drive.speed * arm if moving else 0.0,
    )


def findings(session: Session) -> list[Finding]:
    """Everything that is wrong or doubtful: limits of the radar and the link, of the stage, and of the sampling."""
    config, figures = session.radar.config, outline(session)
    speed = figures.speed if np.isfinite(figures.speed) and figures.speed > 0 else None
    found = list(check(config, speed=speed, packet_delay=session.card.packet_delay))
    if config.trigger == "hardware":
        found.append(
            Finding(
                severity="error",
                limit="trigger",
                got="hardware",
                allowed="software",
                explanation="a session starts the radar's frames itself and takes positions from the clock; set the "
                "sixth value of frameCfg to 1 (hw record serves an external trigger)",
            )
        )
    if session.kind != "freehand":
        found += _stage_findings(session)
        longest = max(frames_of(session, sweep) for sweep in session.sweeps)
        if config.n_frames and config.n_frames < longest:
            found.append(
                Finding(
                    severity="error",
                    limit="frames",
                    got=str(config.n_frames),
                    allowed=f"0 (endless) or at least {longest}",
                    explanation="the radar would stop before a sweep ends; set the fourth value of frameCfg to 0",
                )
            )
    return found


def _between(session: Session) -> float:
    """Time of the moves between sweeps and of restarting the instruments [s]."""
    ways = [abs(b.start - a.stop) for a, b in zip(session.sweeps, session.sweeps[1:], strict=False)]
    return sum(session.drive.move_time(way) for way in ways) + TURN_TIME * len(session.sweeps)


def _stage_findings(session: Session) -> list[Finding]:
    found = []
    for axis, (low, high) in extent(session.sweeps).items():
        unit, scale = ("deg", 180 / np.pi) if axis == "angle" else ("mm", 1e3)
        limits = session.stage.limits.get(axis)
        if limits is None:
            continue
        if low < limits[0] - 1e-9 or high > limits[1] + 1e-9:
            found.append(
                Finding(
                    severity="error",
                    limit=f"travel of axis {axis}",
                    got=f"{low * scale:.1f} to {high * scale:.1f} {unit}",
                    allowed=f"{limits[0] * scale:.1f} to {limits[1] * scale:.1f} {unit}",
                    explanation=f"run-ups of {session.drive.run_up * scale:.1f} {unit} included; move the centre, take "
                    "fewer positions, or raise the acceleration",
                )
            )
    return found


def errors(found: Sequence[Finding]) -> list[Finding]:
    """The findings that forbid the session."""
    return [finding for finding in found if finding.severity == "error"]
