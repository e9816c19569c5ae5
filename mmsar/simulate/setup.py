"""Scene files: scene, radar, trajectory and imperfections of a simulation in one TOML file.

Keys carry their unit: millimetres, GHz, degrees, microseconds, dB; inside everything is SI. data/README.md lists them.
A key that is not known is refused with the nearest known one, so that a misspelling never passes as a default.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from mmsar.core.toml_table import Table, load_table, read_table
from mmsar.errors import FormatError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.scan import Raster, Scan
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.pattern import Pattern
from mmsar.simulate.scene import Scene
from mmsar.simulate.scene_kinds import MM, read_scene, seed_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Setup:
    """Everything `simulate` needs, by name."""

    name: str
    """Name of the setup, for people."""
    scene: Scene
    """What is there."""
    chirp: Chirp
    """The waveform."""
    array: AntennaArray
    """The antennas."""
    trajectory: Trajectory
    """The recorded poses."""
    options: SimulationOptions = field(default_factory=SimulationOptions)
    """Noise, TDM slots, amplitude, seed."""
    raster: Raster | None = None
    """Layout of the poses, when they are a planar raster."""

    def simulate(self) -> Scan:
        """The scan of this setup; errors as of `mmsar.simulate.forward.simulate`."""
        scan = simulate(
            self.scene, chirp=self.chirp, array=self.array, trajectory=self.trajectory, options=self.options
        )
        return replace(scan, raster=self.raster, attrs={"name": self.name, **scan.attrs})


def load_setup(path: str | PathLike[str]) -> Setup:
    """Read a scene file.

    Parameters
    ----------
    path : path
        TOML file; files named in it are looked for beside it.

    Raises
    ------
    FormatError
        Not TOML, a key missing, unknown or of the wrong type, or values the model refuses; the message names file,
        table and key.
    OSError
        When the file cannot be read.
    """
    path = Path(fspath(path))
    top = load_table(path, "a scene description")
    parts = top.tables("scene")
    scene = Scene.union(*(read_table(t, lambda t: read_scene(t, path.parent)) for t in parts))
    chirp = read_table(top.table("chirp"), _chirp)
    array = read_table(top.table("array"), _array)
    trajectory, raster = read_table(top.table("trajectory"), _trajectory)
    options = read_table(top.table("simulation", required=False), lambda t: _options(t, array.n_tx, path.parent))
    name = top.text("name", path.stem)
    top.finish()
    return Setup(
        name=name, scene=scene, chirp=chirp, array=array, trajectory=trajectory, options=options, raster=raster
    )


def _chirp(t: Table) -> Chirp:
    start, fs, n = t.number("start_ghz") * 1e9, t.number("sample_rate_ksps") * 1e3, t.whole("samples")
    if t.has("slope_mhz_us") == t.has("bandwidth_ghz"):
        raise FormatError(f"{t.where}: wanted either slope_mhz_us or bandwidth_ghz (of the sampled part), and one only")
    if "slope_mhz_us" in t.content:
        slope = t.number("slope_mhz_us") * 1e12
    else:
        slope = t.number("bandwidth_ghz") * 1e9 * fs / max(n, 1)
    return Chirp(f0=start + slope * t.number("adc_start_us", 0.0) * 1e-6, slope=slope, fs=fs, n_samples=n)


def _array(t: Table) -> AntennaArray:
    if t.has("board"):
        boards: dict[str, Callable[[], AntennaArray]] = {
            "iwr1443": lambda: AntennaArray.iwr1443(t.whole("n_tx", 2)),
            "iwr1642": AntennaArray.iwr1642,
            "iwr6843isk": AntennaArray.iwr6843isk,
            "single": lambda: AntennaArray.single(t.number("baseline_mm", 0.0) * MM),
        }
        return t.choice("board", boards)()
    if "tx_mm" not in t.content and "rx_mm" not in t.content:
        raise FormatError(f"{t.where}: wanted a known board, or tx_mm and rx_mm; keys here: {', '.join(t.content)}")
    polarity = t.numbers("polarity") if t.has("polarity") else None
    name = t.text("name", "array")
    return AntennaArray(tx=t.numbers("tx_mm", unit=MM), rx=t.numbers("rx_mm", unit=MM), polarity=polarity, name=name)


def _raster_shape(t: Table) -> tuple[tuple[int, int], tuple[float, float]]:
    return (t.whole("rows"), t.whole("columns")), (t.number("step_x_mm") * MM, t.number("step_y_mm") * MM)


def _trajectory(t: Table) -> tuple[Trajectory, Raster | None]:
    kinds = {"raster": _raster, "linear": _linear, "freehand": _freehand, "turntable": _turntable}
    return t.choice("kind", kinds)(t)


def _raster(t: Table) -> tuple[Trajectory, Raster]:
    shape, step = _raster_shape(t)
    serpentine = t.flag("serpentine", True)
    z, period = t.number("z_mm", 0.0) * MM, t.number("period_ms", 5.0) * 1e-3
    trajectory = Trajectory.raster(shape, step, serpentine=serpentine, z=z, period=period)
    return trajectory, Raster(n_y=shape[0], n_x=shape[1], step_x=step[0], step_y=step[1], serpentine=serpentine)


def _linear(t: Table) -> tuple[Trajectory, None]:
    n, step, axis = t.whole("positions"), t.number("step_mm") * MM, t.text("axis", "x")
    z, period = t.number("z_mm", 0.0) * MM, t.number("period_ms", 5.0) * 1e-3
    return Trajectory.linear(n, step, axis=axis, z=z, period=period), None


def _freehand(t: Table) -> tuple[Trajectory, None]:
    shape, step = _raster_shape(t)
    motion = t.numbers("motion_mm", [2.0, 2.0, 15.0], unit=MM)
    rotation = np.deg2rad(t.number("rotation_deg", 0.0))
    return Trajectory.freehand(shape, step, motion=motion, rotation=rotation, seed=seed_of(t)), None


def _turntable(t: Table) -> tuple[Trajectory, None]:
    start, radius = np.deg2rad(_degrees(t, "start_deg", -90.0, turns=2)), t.positive("radius_mm") * MM
    direction = t.choice("direction", {"ccw": 1, "cw": -1}) if t.has("direction") else 1
    if t.has("angles") == t.has("angles_deg"):
        raise FormatError(f"{t.where}: wanted either angles (their number) or angles_deg (a list), and one only")
    if t.has("angles_deg"):
        if t.has("span_deg"):
            raise FormatError(f"{t.where}: got both angles_deg (a list) and span_deg, wanted one of them")
        angles, span = _angles(t), None
    else:
        angles, span = _count(t, "angles"), np.deg2rad(_degrees(t, "span_deg", 360.0, above=0.0))
    trajectory = Trajectory.turntable(
        angles,
        radius,
        heights=_heights(t),
        start=start,
        span=span,
        direction=direction,
        fastest=t.choice("fastest", {"angle": "angle", "height": "height"}) if t.has("fastest") else "angle",
    )
    trajectory = replace(trajectory, time=trajectory.time * (t.positive("period_ms", 5.0) / 5.0))
    jitter = t.number("angle_jitter", 0.0)
    if not 0 <= jitter <= 0.5:
        raise FormatError(f"{t.where} angle_jitter: got {jitter:g}, wanted a fraction of a step from 0 to 0.5")
    if not jitter:
        return trajectory, None
    x, y, z = trajectory.position.T
    step = np.ptp(angles) / max(len(angles) - 1, 1) if np.ndim(angles) else span / angles
    moved = jitter * step * np.random.default_rng(seed_of(t)).uniform(-1, 1, len(trajectory))
    return Trajectory.around((np.arctan2(z, x) + moved) % (2 * np.pi), radius, height=y, time=trajectory.time), None


def _degrees(t: Table, key: str, default: float, *, turns: int = 1, above: float | None = None) -> float:
    """An angle of at most so many turns, in degrees."""
    value, most = t.number(key, default), 360.0 * turns
    low = -most if above is None else above
    if not low <= value <= most * (1 + 1e-9) or value == above:
        wanted = (
            f"{low:g} to {most:g} degrees" if above is None else f"more than {above:g} and at most {most:g} degrees"
        )
        raise FormatError(f"{t.where} {key}: got {value:g}, wanted {wanted}")
    return value


def _angles(t: Table) -> np.ndarray:
    """The listed angles of a turn [rad]."""
    listed = t.numbers("angles_deg")
    if listed.ndim != 1 or not np.isfinite(listed).all():
        raise FormatError(f"{t.where} angles_deg: got {listed.tolist()}, wanted a plain list of finite numbers")
    if np.ptp(listed) > 360 * (1 + 1e-9):
        raise FormatError(
            f"{t.where} angles_deg: got {listed.min():g} to {listed.max():g}, wanted them within one turn of 360 "
            "degrees; heights_mm gives further turns"
        )
    return np.deg2rad(listed)


def _count(t: Table, key: str) -> int:
    n = t.whole(key)
    if n < 1:
        raise FormatError(f"{t.where} {key}: got {n}, wanted a whole number >= 1")
    return n


def _heights(t: Table) -> np.ndarray | None:
    """Heights of the turns [m]: listed, or `heights` of them `height_step_mm` apart about `height_mm`."""
    if t.has("heights_mm"):
        if t.has("heights") or t.has("height_step_mm"):
            raise FormatError(f"{t.where}: got both heights_mm and heights with height_step_mm, wanted one of them")
        return t.numbers("heights_mm", unit=MM)
    middle = t.number("height_mm", 0.0) * MM
    if not t.has("heights"):
        return np.array([middle])
    n = _count(t, "heights")
    return middle + (np.arange(n) - (n - 1) / 2) * t.positive("height_step_mm") * MM


def _options(t: Table, n_tx: int, folder: Path) -> SimulationOptions:
    slot = t.number("tdm_slot_us", 0.0) / 1e6
    errors = {
        name: t.numbers(f"{name}_mm", [0.0, 0.0, 0.0], unit=MM)
        for name in ("position_error", "position_jitter", "drift")
    }
    return SimulationOptions(
        tx_delay=[n * slot for n in range(n_tx)],
        amplitude=t.flag("amplitude", False),
        pattern=_pattern(t, folder),
        shadows=t.flag("shadows", True),
        shadow_angle=np.deg2rad(t.positive("shadow_angle_deg", 2.0)),
        snr_db=t.number("snr_db") if t.has("snr_db") else None,
        error_cycles=t.number("error_cycles", 20.0),
        rvp=t.flag("rvp", False),
        seed=seed_of(t),
        **errors,
    )


def _pattern(t: Table, folder: Path) -> str | float | Pattern:
    value = t.take("pattern", "isotropic")
    if not isinstance(value, dict):
        return value
    kinds = {
        "patch": lambda p: Pattern.patch(p.number("width", 0.5), p.number("length", 0.5), turn=_turn(p)),
        "csv": lambda p: Pattern.from_csv(
            folder / p.text("file"),
            frequency=p.positive("freq_ghz") * 1e9 if p.has("freq_ghz") else None,
            column=p.text("column") if p.has("column") else None,
            turn=_turn(p),
        ),
    }
    return read_table(Table(value, f"{t.where} pattern"), lambda p: p.choice("kind", kinds)(p))


def _turn(t: Table) -> float:
    return float(np.deg2rad(t.number("turn_deg", 0.0)))
