"""What a session will do, in numbers, and what is wrong with it, before any hardware is touched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmsar.hardware.config.finding import Finding
from mmsar.hardware.config.limits import check
from mmsar.hardware.session.setup import Session
from mmsar.hardware.session.sweeps import Sweep, extent
from mmsar.hardware.session.world import CylinderWorld

TURN_TIME = 5.5
"""Time between sweeps beside the moves [s]: stopping and starting the radar and the card, two of them its tail."""
START = 2.0
"""Time the radar runs before and after the motion, at most [s]."""


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
    found = [_softened(f) for f in check(config, speed=speed, packet_delay=session.card.packet_delay)]
    if config.trigger == "hardware":
        why = "a session starts the frames itself and takes positions from the clock; set the sixth value of frameCfg "
        why += "to 1 (`mmsar hw record` serves an external trigger)"
        found.append(_error("trigger", "hardware", "software", why))
    needed = figures.frames
    if session.kind != "freehand":
        found += _stage_findings(session)
        needed = max(frames_of(session, sweep) for sweep in session.sweeps) + int(np.ceil(START / config.frame_period))
    if config.n_frames and config.n_frames < needed:
        why = "the radar would stop too early; set the fourth value of frameCfg to 0"
        found.append(_error("frames", str(config.n_frames), f"0 (endless) or at least {needed}", why))
    return found


def _between(session: Session) -> float:
    """Time of the moves between sweeps and of restarting the instruments [s]."""
    ways = [abs(b.start - a.stop) for a, b in zip(session.sweeps, session.sweeps[1:], strict=False)]
    return sum(session.drive.move_time(way) for way in ways) + TURN_TIME * len(session.sweeps)


def _stage_findings(session: Session) -> list[Finding]:
    found = []
    known = {axis.name: axis for axis in session.stage.axes}
    for name, (low, high) in extent(session.sweeps).items():
        unit, scale = ("deg", 180 / np.pi) if name == "angle" else ("mm", 1e3)
        axis = known.get(name)
        if axis is None:
            found.append(_error(f"axis {name}", "none in [stage]", f"a table [stage.{name}]", "the plan moves it"))
        elif low < axis.low - 1e-9 or high > axis.high + 1e-9:
            found.append(
                _error(
                    f"travel of axis {name}",
                    f"{low * scale:.1f} to {high * scale:.1f} {unit}",
                    f"{axis.low * scale:.1f} to {axis.high * scale:.1f} {unit}",
                    f"run-ups of {session.drive.run_up * scale:.1f} {unit} included; move the centre, take fewer "
                    "positions, or raise the acceleration",
                )
            )
        elif name == session.sweeps[0].axis and axis.max_speed is not None and session.drive.speed > axis.max_speed:
            found.append(
                _error(
                    f"speed of axis {name}",
                    f"{session.drive.speed * scale:.1f} {unit}/s",
                    f"{axis.max_speed * scale:.1f} {unit}/s",
                    "one step per frame; take smaller steps or a longer frame period",
                )
            )
    plan = session.stage
    slowest = min((a.max_speed for a in plan.axes if a.max_speed is not None and not a.rotary), default=np.inf)
    if plan.travel_speed > slowest:
        found.append(
            _error(
                "travel_speed_mm_s",
                f"{plan.travel_speed * 1e3:g} mm/s",
                f"{slowest * 1e3:g} mm/s",
                "the slowest axis limits the way from sweep to sweep",
            )
        )
    return found


def _softened(finding: Finding) -> Finding:
    """Coarse sampling shows ghosts only of what lies far to the side: the user's to decide."""
    coarse = finding.limit == "sampling in space" and finding.severity == "error"
    return replace(finding, severity="warning") if coarse else finding


def _error(limit: str, got: str, allowed: str, explanation: str) -> Finding:
    return Finding(severity="error", limit=limit, got=got, allowed=allowed, explanation=explanation)


def errors(found: Sequence[Finding]) -> list[Finding]:
    """The findings that forbid the session."""
    return [finding for finding in found if finding.severity == "error"]
