"""The emulated bench a session file asks for, and the session file that uses it.

What a session says of radar, board, stage and tracker is what is put on the bench: a newcomer tries a scan without an
instrument, and a session is tried before the instruments are there.
"""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from mmsar.errors import GeometryError
from mmsar.hardware.device import device
from mmsar.hardware.emulate.amc4030 import Amc4030Pty
from mmsar.hardware.emulate.bench import CHANNELS, EmulatedBench, Instrument, stage_poses
from mmsar.hardware.emulate.grbl import GrblPty
from mmsar.hardware.emulate.hand import Hand, HandClock, TrackerLog
from mmsar.hardware.emulate.pty_port import PtyPort
from mmsar.hardware.emulate.scene_source import Poses
from mmsar.hardware.session.setup import Session, StageSetup, TrackerSetup
from mmsar.model.calibration import Calibration
from mmsar.simulate.scene import Scene

POINTS = ((-0.03, 0.0, 0.3), (0.025, 0.02, 0.3), (0.0, -0.025, 0.35))
"""Points that a radar sees when no scene is named [m]."""
UNHOMED = (150.0, 120.0, 40.0)
"""How far from its switches an emulated GRBL stands before it is homed, within its travel [mm or degrees]."""
REST = 1.0
"""Time the emulated hand is done before a freehand recording ends [s]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Before:
    """What stands before the radar, and how well it is seen."""

    scene: Scene
    errors: Calibration | None = None
    noise: float = 0.0
    """RMS noise of I and of Q [counts]."""
    hand: Hand | None = None
    """How the board is moved in a freehand scan; default a sweep of 100 mm x 100 mm over the session's time."""
    tracker_log: Path | None = None
    """Where the tracker of a freehand scan writes."""
    tracker_noise: float = 0.1e-3
    """RMS error of a tracked position along each axis [m]."""
    tracker_offset: float = 0.0
    """Radar time minus tracker time where the session has it estimated [s]."""


def ready_scene(session: Session) -> Scene:
    """A scene for a session: three points before a raster or on a turntable, one before a hand.

    By hand the offset of the clocks is found by one echo that stands out.
    """
    if session.kind == "freehand":
        return Scene.points([[0.0, 0.0, 0.3]])
    if session.kind == "cylinder":
        return Scene.points([[0.04, 0.0, 0.0], [-0.02, 0.0, 0.03], [0.0, 0.0, -0.05]])
    return Scene.points(POINTS)


def bench_for(session: Session, before: Before, *, speedup: float = 1.0, **options: Any) -> EmulatedBench:
    """The bench of a session.

    Parameters
    ----------
    session : Session
        What is to be done on it.
    before : Before
        Scene, noise, hand, tracker.
    speedup : float
        Times faster than real that the stage moves. The radar keeps its pace, so a sweep gets that much fewer frames.
    options
        Those of `EmulatedBench`.

    Raises
    ------
    GeometryError
        A stage that is not emulated.
    CaptureError
        Addresses or ports that cannot be had.
    """
    radar = session.radar
    instrument = Instrument(
        device=device(radar.config.device).name,
        array=lambda config: radar.array,
        scene=before.scene,
        errors=before.errors,
        noise=before.noise,
    )
    if session.stage is not None:
        stage = stage_for(session.stage, speedup=speedup)
        return EmulatedBench(
            instrument, poses=stage_poses(stage, session.stage.axes, session.world), stage=stage, **options
        )
    hand = HandClock(before.hand or Hand(duration=max(session.duration - REST, REST)))
    with ExitStack() as stack:
        log = None
        if before.tracker_log is not None:
            log = stack.enter_context(_tracker(hand, session.tracker or TrackerSetup(), before))
        bench = EmulatedBench(instrument, poses=hand, **options)
        if log is not None:
            bench.also_close(log.close)
        stack.pop_all()
    return bench


def stage_for(setup: StageSetup, *, speedup: float = 1.0) -> PtyPort:
    """The emulated controller of a stage, with room for its limits.

    Raises
    ------
    GeometryError
        A controller that is not emulated, or a channel it does not have.
    """
    for axis in setup.axes:
        if axis.channel not in tuple(CHANNELS):
            raise GeometryError(
                f"stage axis {axis.name}: got channel {axis.channel!r}, wanted X, Y or Z, which the emulated "
                "controllers have"
            )
    ends = {a.channel: sorted(a.to_controller(value) for value in (a.low, a.high)) for a in setup.axes}
    rotary = [any(a.rotary and a.channel == name for a in setup.axes) for name in CHANNELS]
    turns = setup.axes[0].rotary
    acceleration = float(np.degrees(setup.acceleration)) if turns else setup.acceleration * 1e3
    if setup.kind == "grbl":
        settings: dict[int, float] = {120 + i: acceleration for i in range(3)}
        for name, (low, high) in ends.items():
            if high > 0:  # a machine that counts upwards from its switch: GRBL's own soft limits cannot be used
                settings[20] = 0
            settings[130 + CHANNELS.index(name)] = max(high, 0.0) - min(low, 0.0)
        travel = [settings.get(130 + i, np.inf) for i in range(3)]
        start = [-min(place, length / 2) for place, length in zip(UNHOMED, travel, strict=True)]
        return GrblPty(start=start, settings=settings, rotary=rotary, speedup=speedup)
    if setup.kind == "amc4030":
        travel = [max(ends.get(name, (0.0, 400.0))[1], 1.0) for name in CHANNELS]
        start = [min(37.0, t / 2) for t in travel]
        return Amc4030Pty(start=start, travel=travel, rotary=rotary, acceleration=acceleration, speedup=speedup)
    raise GeometryError(f"stage kind: got {setup.kind!r}, wanted grbl or amc4030, which can be emulated")


def _tracker(hand: HandClock, setup: TrackerSetup, before: Before) -> TrackerLog:
    mount, arm = Rotation.from_quat(setup.rotation), np.array(setup.lever_arm)

    def body(k: int, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        position, rotation = hand.poses(k, time_ns)
        turn = Rotation.from_quat(rotation) * mount.inv()
        return position - turn.apply(arm), turn.as_quat()

    poses: Poses = body
    offset = before.tracker_offset if setup.offset is None else -setup.offset  # the session's: tracker less radar
    return TrackerLog(before.tracker_log, poses, noise=before.tracker_noise, offset=offset)


def on_bench(session: Session, bench: EmulatedBench) -> Session:
    """The same session with the ports and addresses of an emulated bench: for programs that drive both.

    `redirected` makes a file of it, for a program that runs beside the bench.
    """
    card = replace(session.card, host_ip=bench.card.host_ip, card_ip=bench.card.card_ip)
    stage = session.stage if bench.stage is None else replace(session.stage, port=bench.stage.port)
    return replace(session, radar=replace(session.radar, port=bench.radar.port), card=card, stage=stage)


def redirected(text: str, values: Mapping[str, Mapping[str, str]]) -> str:
    """A session file with other values for some texts, everything else unchanged.

    Parameters
    ----------
    text : str
        The session file.
    values : mapping
        Table -> key -> text: {"radar": {"port": "/dev/pts/3"}}. Keys and tables that are not there are added.
    """
    lines = text.splitlines()
    for table, keys in values.items():
        heads = [i for i, line in enumerate(lines) if re.match(rf"\s*\[\s*{re.escape(table)}\s*\]", line)]
        if not heads:
            lines += ["", f"[{table}]"]
            heads = [len(lines) - 1]
        start = heads[0] + 1
        end = next((i for i in range(start, len(lines)) if re.match(r"\s*\[", lines[i])), len(lines))
        for key, value in keys.items():
            there = [i for i in range(start, end) if re.match(rf"\s*{re.escape(key)}\s*=", lines[i])]
            if there:
                lines[there[0]] = f'{key} = "{value}"'
            else:
                lines.insert(start, f'{key} = "{value}"')
                end += 1
    return "\n".join(lines) + "\n"
