"""Session files: a whole measurement in one TOML file, read and checked before any port is opened.

Tables: [radar] what it is told and which board it is; [card] the addresses of the DCA1000; [stage] the controller, or
[tracker] the log of a freehand scan; [scan] where to go; [output] what to make of it. Keys carry their unit. Unknown
keys are refused with the nearest known one; files are looked for beside the session file. docs/capture.md lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.core.toml_table import Table, load_table, read_table
from mmsar.errors import FormatError
from mmsar.hardware.board import board
from mmsar.hardware.config.radar import RadarConfig, read_cfg
from mmsar.hardware.dca1000.protocol import CARD_IP, HOST_IP
from mmsar.hardware.motion.stage import KINDS, Axis
from mmsar.hardware.positions.mounting import world_rotation
from mmsar.hardware.session.sweeps import MODES, Drive, Sweep, cylinder_sweeps, raster_sweeps
from mmsar.hardware.session.world import CylinderWorld, PlanarWorld
from mmsar.model import AntennaArray

MM = 1e-3
DEGREE = float(np.deg2rad(1.0))
LOOPS = ("average", "poses")
TOLD = ("units", "rotation", "time_unit", "zone", "clock", "topic", "direction")
"""What can be said of a position log that it does not say itself."""


@dataclass(frozen=True, kw_only=True)
class RadarSetup:
    """The radar and what it is told."""

    config: RadarConfig
    """Its configuration, as it will be sent."""
    array: AntennaArray
    """Phase centres of the board, transmitters in firing order."""
    port: str
    """Serial port of its command line; "auto" to look for it."""


@dataclass(frozen=True, kw_only=True)
class CardSetup:
    """The capture card."""

    host_ip: str = HOST_IP
    """Address of this computer that the card sends to."""
    card_ip: str = CARD_IP
    """Address of the card."""
    packet_delay: float = 25e-6
    """Pause between packets [s]."""
    buffer_bytes: int = 64 * 2**20
    """Socket buffer to ask for [bytes]."""


@dataclass(frozen=True, kw_only=True)
class StageSetup:
    """The stage and its controller."""

    kind: str
    """"grbl", "amc4030" or "zaber"."""
    port: str
    """Serial port."""
    axes: tuple[Axis, ...]
    """Its axes: limits, channels, backlash."""
    acceleration: float
    """Acceleration of the sweeping axis [m/s^2] or [rad/s^2]."""
    travel_speed: float
    """Speed of linear moves between sweeps [m/s]."""
    home: bool = True
    """Whether to drive to the reference first; otherwise the controller's position is trusted."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of the controller."""

    def axis(self, name: str) -> Axis:
        """An axis by its name."""
        return next(axis for axis in self.axes if axis.name == name)


@dataclass(frozen=True, kw_only=True)
class TrackerSetup:
    """The position log of a freehand scan and how the board is mounted on the tracked body."""

    log: Path | None = None
    """The log; None when it is given at assembly."""
    kind: str | None = None
    """Its format; None to find out."""
    body: str | None = None
    """Name of the rigid body."""
    lever_arm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Board origin in the body frame [m]."""
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    """Board to body, unit quaternion x, y, z, w."""
    world: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    """The log's world to the project's (y up, looking along +z), unit quaternion x, y, z, w."""
    offset: float | None = 0.0
    """Tracker time minus radar time [s]; None to estimate it from a strong scatterer that stands still."""
    offset_guess: float | None = None
    """Where to look for it [s]; None: near 0, as for a tracker that logs seconds since 1970."""
    scatterer: float | None = None
    """Range of that scatterer, instrument delay included [m]; None: the strongest echo."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the log does not say: units, rotation, time_unit, zone, clock, topic."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A measurement, planned."""

    name: str
    """Name of the session, for people."""
    path: Path
    """The session file."""
    radar: RadarSetup
    """The radar."""
    card: CardSetup
    """The capture card."""
    kind: str
    """"raster", "cylinder" or "freehand"."""
    sweeps: tuple[Sweep, ...] = ()
    """Rows or turns; empty for a freehand scan."""
    drive: Drive | None = None
    """Speeds of the sweeps."""
    world: PlanarWorld | CylinderWorld | None = None
    """From stage coordinates to poses."""
    shape: tuple[int, int] = (0, 0)
    """Sweeps and positions per sweep."""
    step: tuple[float, float] = (0.0, 0.0)
    """Distances along a sweep [m] or [rad] and between sweeps [m]."""
    stage: StageSetup | None = None
    """The stage; None for a freehand scan."""
    tracker: TrackerSetup | None = None
    """The tracker of a freehand scan."""
    duration: float = 0.0
    """Length of a freehand scan [s]."""
    loops: str = "average"
    """"average": a pose for every frame; "poses": one for every loop of the transmitters."""
    latency: float = 0.0
    """Constant delay of the arrival stamps, taken off every frame time [s]."""
    calibration: Path | None = None
    """Calibration to put into the scan."""


def read_session(path: str | PathLike[str]) -> Session:
    """Read a session file and the radar configuration it names.

    Raises
    ------
    FormatError
        Not TOML, a key missing, unknown or wrong, a named file that is not there, or a plan that cannot be driven.
    OSError
        When the file cannot be read.
    """
    source = Path(fspath(path))
    top = load_table(source, "a session description")
    folder = source.parent
    radar = read_table(top.table("radar"), lambda t: _radar(t, folder))
    card = read_table(top.table("card", required=False), _card)
    output = read_table(top.table("output", required=False), lambda t: _output(t, folder))
    scan = top.table("scan")
    kind = scan.choice("kind", {name: name for name in ("raster", "cylinder", "freehand")})
    if kind == "freehand":
        tracker = read_table(top.table("tracker", required=False), lambda t: _tracker(t, folder))
        plan: dict[str, Any] = {"tracker": tracker, **read_table(scan, _freehand)}
    else:
        stage = read_table(top.table("stage"), lambda t: _stage(t, kind))
        period = radar.config.frame_period
        read = _raster if kind == "raster" else _cylinder
        plan = {"stage": stage, **read_table(scan, lambda t: read(t, stage, period))}
    name = top.text("name", source.stem)
    top.finish()
    return Session(name=name, path=source, radar=radar, card=card, kind=kind, **plan, **output)


def _file(t: Table, folder: Path, key: str) -> Path:
    path = folder / t.text(key)
    if not path.is_file():
        raise FormatError(f"{t.where} {key}: no such file {path}; wanted a path beside the session file")
    return path


def _radar(t: Table, folder: Path) -> RadarSetup:
    config = read_cfg(_file(t, folder, "config"), device=t.text("device") if t.has("device") else None)
    name = t.text("board")
    gap = t.numbers("tx_rx_gap_mm", unit=MM) if t.has("tx_rx_gap_mm") else None
    known = board(str(folder / name) if name.endswith(".json") else name, tx_rx_gap=gap)
    array = known.array(tx=config.tx_order, rx=config.rx, upright=t.flag("upright", True))
    angle = np.deg2rad(t.number("rotation_deg", 0.0))
    if angle:
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        array = AntennaArray(tx=array.tx @ turn.T, rx=array.rx @ turn.T, polarity=array.polarity, name=array.name)
    return RadarSetup(config=config, array=array, port=t.text("port", "auto"))


def _card(t: Table) -> CardSetup:
    return CardSetup(
        host_ip=t.text("host_ip", HOST_IP),
        card_ip=t.text("card_ip", CARD_IP),
        packet_delay=t.positive("packet_delay_us", 25.0) * 1e-6,
        buffer_bytes=int(t.positive("buffer_mib", 64.0) * 2**20),
    )


def _output(t: Table, folder: Path) -> dict[str, Any]:
    return {
        "loops": t.choice("loops", {name: name for name in LOOPS}) if t.has("loops") else "average",
        "latency": t.number("latency_ms", 0.0) * 1e-3,
        "calibration": _file(t, folder, "calibration") if t.has("calibration") else None,
    }


def _stage(t: Table, kind: str) -> StageSetup:
    unit, scale = ("mm", MM) if kind == "raster" else ("deg", DEGREE)
    wanted = ("x", "y") if kind == "raster" else ("angle", "y")
    axes = [read_table(t.table(name), lambda axis, name=name: _axis(axis, name)) for name in wanted if t.has(name)]
    if wanted[0] not in t.content:
        raise FormatError(f"{t.where}: no axis {wanted[0]}; wanted a table [stage.{wanted[0]}] with its limits")
    controller = t.choice("kind", {name: name for name in KINDS})
    options = {"home_timeout": t.positive("home_timeout_s")} if t.has("home_timeout_s") else {}
    if controller == "amc4030":
        options |= {key: t.positive(key) for key in ("position_scale", "speed_scale") if t.has(key)}
    return StageSetup(
        kind=controller,
        port=t.text("port"),
        axes=tuple(axes),
        acceleration=t.positive(f"acceleration_{unit}_s2") * scale,
        travel_speed=t.positive("travel_speed_mm_s", 20.0) * MM,
        home=t.flag("home", True),
        options=options,
    )


def _axis(t: Table, name: str) -> Axis:
    rotary = name == "angle"
    unit, scale = ("deg", DEGREE) if rotary else ("mm", MM)
    limits = t.numbers(f"limits_{unit}", unit=scale)
    if limits.shape != (2,):
        raise FormatError(f"{t.where} limits_{unit}: got {limits.size} numbers, wanted [low, high]")
    return Axis(
        name=name,
        low=limits[0],
        high=limits[1],
        channel=t.text("channel") if rotary or t.has("channel") else None,
        rotary=rotary,
        reverse=t.flag("reverse", False),
        zero=t.number(f"zero_{unit}", 0.0) * scale,
        max_speed=t.positive(f"max_speed_{unit}_s") * scale if t.has(f"max_speed_{unit}_s") else None,
        tolerance=t.positive(f"tolerance_{unit}", 0.02) * scale,
        backlash=t.number(f"backlash_{unit}", 0.0) * scale,
        latency=t.number("latency_ms", 0.0) * 1e-3,
    )


def _drive(t: Table, stage: StageSetup, period: float, step: float, unit: str, scale: float) -> Drive:
    mode = t.choice("mode", {name: name for name in MODES}) if t.has("mode") else "continuous"
    key = f"speed_{unit}_s"
    if mode == "step":
        speed = t.positive(key) * scale
        return Drive(
            speed=speed,
            acceleration=stage.acceleration,
            frame_period=period,
            mode=mode,
            dwell=t.positive("dwell_ms") * 1e-3,
        )
    speed = step / period
    if t.has(key) and abs(t.positive(key) * scale - speed) > 1e-6 * speed:
        raise FormatError(
            f"{t.where} {key}: got {t.number(key):g}, but one step per frame of {period * 1e3:g} ms is "
            f"{speed / scale:g} {unit}/s; leave it out, or change the step or the frame period"
        )
    return Drive(speed=speed, acceleration=stage.acceleration, frame_period=period)


def _raster(t: Table, stage: StageSetup, period: float) -> dict[str, Any]:
    shape = (t.whole("rows", 1), t.whole("columns"))
    step = (t.positive("step_x_mm") * MM, t.positive("step_y_mm", 1.0) * MM)
    centre = t.numbers("centre_mm", [0.0, 0.0], unit=MM)
    sign = t.numbers("sign", [1, 1])
    if centre.shape != (2,) or sign.shape != (2,) or not np.all(np.abs(sign) == 1):
        raise FormatError(f"{t.where} centre_mm, sign: wanted two numbers each, sign of +1 or -1")
    serpentine = t.flag("serpentine", True)
    drive = _drive(t, stage, period, step[0], "mm", MM)
    sweeps = raster_sweeps(shape, step, drive, centre=tuple(centre), serpentine=serpentine)
    world = PlanarWorld(centre=(*centre, 0.0), sign=(int(sign[0]), int(sign[1]), 1), z=t.number("z_mm", 0.0) * MM)
    return {"sweeps": _standing(sweeps, stage), "drive": drive, "world": world, "shape": shape, "step": step}


def _standing(sweeps: tuple[Sweep, ...], stage: StageSetup) -> tuple[Sweep, ...]:
    """A single sweep of a stage without further axes: nothing else is placed."""
    if len(sweeps) > 1 or len(stage.axes) > 1:
        return sweeps
    return tuple(replace(sweep, others={}) for sweep in sweeps)


def _cylinder(t: Table, stage: StageSetup, period: float) -> dict[str, Any]:
    n, span = t.whole("angles"), t.positive("span_deg", 360.0) * DEGREE
    heights = t.numbers("heights_mm", unit=MM) if t.has("heights_mm") else np.empty(0)
    step = span / max(n, 1)
    drive = _drive(t, stage, period, step, "deg", DEGREE)
    sweeps = cylinder_sweeps(
        n,
        drive,
        heights=heights,
        start=t.number("stage_start_deg", 0.0) * DEGREE,
        span=span,
        serpentine=t.flag("serpentine", True),
    )
    world = CylinderWorld(
        radius=t.positive("radius_mm") * MM,
        start=t.number("start_deg", -90.0) * DEGREE,
        direction=t.choice("direction", {"ccw": 1, "cw": -1}) if t.has("direction") else 1,
        height=float(heights.mean()) if len(heights) else 0.0,
    )
    rows = float(heights[1] - heights[0]) if len(heights) > 1 else 0.0
    shape = (len(sweeps), n)
    return {"sweeps": _standing(sweeps, stage), "drive": drive, "world": world, "shape": shape, "step": (step, rows)}


def _freehand(t: Table) -> dict[str, Any]:
    return {"duration": t.positive("duration_s")}


def _tracker(t: Table, folder: Path) -> TrackerSetup:
    arm = t.numbers("lever_arm_mm", [0.0, 0.0, 0.0], unit=MM)
    rotation = t.numbers("rotation_xyzw", [0.0, 0.0, 0.0, 1.0])
    if arm.shape != (3,) or rotation.shape != (4,) or abs(np.linalg.norm(rotation) - 1) > 1e-3:
        raise FormatError(
            f"{t.where}: wanted lever_arm_mm of three numbers and rotation_xyzw a unit quaternion x, y, z, w"
        )
    estimate = t.content.get("offset_ms") == "estimate"
    t.has("offset_ms")
    return TrackerSetup(
        log=_file(t, folder, "log") if t.has("log") else None,
        kind=t.text("kind") if t.has("kind") else None,
        body=t.text("body") if t.has("body") else None,
        lever_arm=tuple(arm),
        rotation=tuple(rotation),
        world=tuple(world_rotation(up=t.text("up", "+y"), look=t.text("look", "+z"))),
        offset=None if estimate else t.number("offset_ms", 0.0) * 1e-3,
        offset_guess=t.number("offset_guess_ms") * 1e-3 if estimate and t.has("offset_guess_ms") else None,
        scatterer=t.positive("scatterer_mm") * MM if estimate and t.has("scatterer_mm") else None,
        settings={key: t.text(key) for key in TOLD if t.has(key)} | _table(t),
    )


def _table(t: Table) -> dict[str, float]:
    """What the log of a turntable does not say, in SI units."""
    told = {"radius": t.positive("radius_mm") * MM} if t.has("radius_mm") else {}
    return told | ({"start": t.number("start_deg") * DEGREE} if t.has("start_deg") else {})
