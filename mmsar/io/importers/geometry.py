"""From a description to chirp, array, poses and calibration.

World frame: right-handed, y up, planar apertures look along +z. Position i along a row is at x = x_step * i, row r at
y = y_step * r counted upwards (so row 1 is the highest with first_row = "top"), both centred on 0, at z = z_mm. In such
a frame +x points to the right for somebody who faces the radar, and to the left for somebody who stands behind it and
looks along +z: rows that run to the right as seen from behind are direction = "backward".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mmsar.constants import C0
from mmsar.errors import FormatError, GeometryError
from mmsar.io.importers.columns import columns_of
from mmsar.io.importers.description import BEYOND, Description
from mmsar.io.importers.turntable import is_turntable, turntable_poses
from mmsar.model import AntennaArray, Calibration, Chirp, Raster, Trajectory

UNITS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
NOMINAL_PERIOD = 5e-3
"""Time between poses [s] where the description gives none and nothing depends on it."""


@dataclass(frozen=True)
class Timing:
    """When the chirps of a frame happened."""

    period: float
    """Time between frames [s]."""
    chirp: float
    """Time between chirps [s]; 0 when nothing depends on it."""
    nominal: bool
    """Whether the period is assumed, not described."""


def chirp_of(description: Description) -> Chirp:
    """The waveform: an FMCW chirp (slope, sample rate, ADC start) or stepped frequencies (stop or step).

    Raises
    ------
    FormatError
        Keys missing, or both kinds mixed.
    """
    get, need = description.get, description.need
    start, samples = need("waveform", "start_ghz") * 1e9, need("waveform", "samples")
    stepped = [key for key in ("stop_ghz", "step_mhz") if get("waveform", key) is not None]
    swept = [key for key in ("slope_mhz_us", "adc_start_us", "sample_rate_ksps") if get("waveform", key) is not None]
    if stepped and swept:
        raise description.error(f"[waveform]: got both {stepped[0]} (stepped) and {swept[0]} (chirp), wanted one kind")
    if len(stepped) == 2:
        raise description.error("[waveform]: got both stop_ghz and step_mhz, wanted one of them")
    if not stepped:
        slope = need("waveform", "slope_mhz_us", "or stop_ghz / step_mhz for stepped frequencies") * 1e12
        delay = need("waveform", "adc_start_us", "0 if start_ghz is the first sample's frequency") * 1e-6
        rate = need("waveform", "sample_rate_ksps") * 1e3
        return Chirp(f0=start + slope * delay, slope=slope, fs=rate, n_samples=samples)
    if stepped == ["step_mhz"]:
        return Chirp.stepped(start, get("waveform", "step_mhz") * 1e6, samples)
    stop = get("waveform", "stop_ghz") * 1e9
    if stop <= start or samples < 2:
        raise description.error(f"[waveform] stop_ghz: got {stop / 1e9:g} with start_ghz {start / 1e9:g}, wanted more")
    return Chirp.stepped(start, (stop - start) / (samples - 1), samples)


def array_of(description: Description) -> AntennaArray:
    """The antennas: a known board (with use_tx, use_rx in order of firing) or explicit positions.

    A board is centred on the mean virtual element of the elements in use.

    Raises
    ------
    FormatError
        Neither or both, or numbers of elements that do not fit.
    """
    get = description.get
    board, tx, rx = get("array", "board"), get("array", "tx_mm"), get("array", "rx_mm")
    if (board is None) == (tx is None and rx is None):
        raise description.error("[array]: wanted either board or both tx_mm and rx_mm")
    if board is None:
        tx = np.array(description.need("array", "tx_mm"), dtype=float) * 1e-3
        rx = np.array(description.need("array", "rx_mm"), dtype=float) * 1e-3
        if get("array", "use_tx") or get("array", "use_rx"):
            raise description.error("[array] use_tx, use_rx: only with board; list the wanted positions instead")
        name = get("array", "name", "array")
    else:
        if board not in BOARDS or get("array", "tx_rx_gap_mm") is not None:
            raise description.error(
                f"[array] board: got {board!r}, wanted one of {', '.join(BOARDS)}; the boards of mmsar.hardware need "
                f"{BEYOND}"
            )
        known = BOARDS[board]()
        tx = known.tx[_pick(description, "use_tx", known.n_tx, get("capture", "tx"), board)]
        rx = known.rx[_pick(description, "use_rx", known.n_rx, get("capture", "rx"), board)]
        centre = (tx.mean(axis=0) + rx.mean(axis=0)) / 2
        tx, rx, name = tx - centre, rx - centre, get("array", "name", known.name)
    angle = np.deg2rad(get("array", "rotation_deg", 0.0))
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    polarity = get("array", "polarity")
    if polarity is not None:
        polarity = _pairs(description, "array", "polarity", polarity, len(tx), len(rx))
    return AntennaArray(tx=tx @ turn.T, rx=rx @ turn.T, polarity=polarity, name=name)


def calibration_of(description: Description, array: AntennaArray) -> Calibration | None:
    """Channel gains and range bias of [calibration], or None. They are kept beside the signal, not applied to it."""
    if not description.tables.get("calibration"):
        return None
    get = description.get
    bias, delay = get("calibration", "range_bias_mm"), get("calibration", "delay_ns")
    if bias is not None and delay is not None:
        raise description.error("[calibration]: got both range_bias_mm and delay_ns, wanted one of them")
    size = (array.n_tx, array.n_rx)
    gain = _pairs(description, "calibration", "gain", get("calibration", "gain", 1.0), *size)
    phase = _pairs(description, "calibration", "phase_deg", get("calibration", "phase_deg", 0.0), *size)
    return Calibration(
        gain=gain * np.exp(1j * np.deg2rad(phase)),
        range_bias=C0 / 2 * delay * 1e-9 if delay is not None else (bias or 0.0) * 1e-3,
        source=get("calibration", "source", description.where),
    )


def timing_of(description: Description, chirps_per_frame: int) -> Timing:
    """Frame and chirp times; refused when missing although the board moves between the chirps of a frame."""
    get, need = description.get, description.need
    moves = get("scan", "motion", "continuous") == "continuous"
    period = get("waveform", "frame_period_ms")
    if not (moves and chirps_per_frame > 1):
        return Timing(NOMINAL_PERIOD if period is None else period * 1e-3, 0.0, period is None)
    why = 'the board moves between the chirps of a frame; or say [scan] motion = "step"'
    chirp = (need("waveform", "idle_us", why) + need("waveform", "ramp_end_us", why)) * 1e-6
    return Timing(need("waveform", "frame_period_ms", why) * 1e-3, chirp, False)


def attrs_of(description: Description, timing: Timing) -> dict[str, Any]:
    """Notes for `Scan.attrs`: name and note of the description, whether the pose times are made up, far field."""
    attrs = {key: description.tables[key] for key in ("name", "note") if key in description.tables}
    if timing.nominal and not any(description.get("scan", key) for key in ("positions", "angle_list")):
        attrs["nominal_times"] = True
    if description.get("scan", "far_field"):
        attrs["far_field"] = True
    return attrs


def poses_of(description: Description, n_pose: int, frame_time: np.ndarray) -> tuple[Trajectory, Raster | None]:
    """The poses of `n_pose` samples: a positions file, a turntable, one place (motion = "none"), or n_y rows of n_x.

    Parameters
    ----------
    frame_time : ndarray
        Time of every pose without the pauses between rows [s], (n_pose,).

    Raises
    ------
    FormatError
        Counts that disagree with the data, with both numbers.
    """
    get = description.get
    if is_turntable(description):
        return turntable_poses(description, n_pose, frame_time), None
    still = get("scan", "motion") == "none"
    if still or get("scan", "positions") is not None:
        raster_keys = ("n_x", "n_y", "x_step_mm", "y_step_mm", "direction", *(["positions"] if still else []))
        mixed = [key for key in raster_keys if get("scan", key) is not None]
        if mixed:
            one = 'motion = "none"' if still else "positions"
            raise description.error(f"[scan]: got both {one} and {mixed[0]}, wanted one description of the poses")
        if still:
            place = [0.0, 0.0, get("scan", "z_mm", 0.0) * 1e-3]
            return Trajectory(time=frame_time, position=[place] * n_pose), None
        return read_positions(description, n_pose), None
    n_y, n_x = raster_shape(description, n_pose)
    return raster_poses(description, (n_y, n_x), frame_time)


def raster_shape(description: Description, n_pose: int) -> tuple[int, int]:
    """(n_y, n_x) of the raster, from the two, or from one of them and the number of poses."""
    n_x, n_y = description.get("scan", "n_x"), description.get("scan", "n_y")
    if n_x is None and n_y is None:
        raise description.error(
            f"[scan] n_x, n_y: missing, wanted the positions per row and rows of {n_pose} poses "
            '(or motion = "none" for a radar that stood still)'
        )
    known = n_x or n_y
    n_x, n_y = n_x or max(1, n_pose // known), n_y or max(1, n_pose // known)
    if n_x * n_y != n_pose:
        fit = [f"n_x = {n_pose // n_y}"] if n_pose % n_y == 0 else []
        fit += [f"n_y = {n_pose // n_x}"] if n_pose % n_x == 0 else []
        advice = (
            f"{' or '.join(fit)} would fit" if fit else "neither divides it: check the frames, or the rows captured"
        )
        raise description.error(
            f"[scan]: got n_y {n_y} x n_x {n_x} = {n_x * n_y} positions, data has {n_pose}; {advice}"
        )
    return n_y, n_x


def raster_poses(description: Description, shape: tuple[int, int], frame_time: np.ndarray) -> tuple[Trajectory, Raster]:
    """Poses of a raster in the order of the samples: rows one after the other (see the module for the axes)."""
    n_y, n_x = shape
    get = description.get
    step_x = description.need("scan", "x_step_mm") * 1e-3 if n_x > 1 else get("scan", "x_step_mm", 0.0) * 1e-3
    step_y = description.need("scan", "y_step_mm") * 1e-3 if n_y > 1 else get("scan", "y_step_mm", 0.0) * 1e-3
    direction = description.need("scan", "direction") if n_x > 1 else "forward"
    top = description.need("scan", "first_row") == "top" if n_y > 1 else False
    x = np.tile((np.arange(n_x) - (n_x - 1) / 2) * step_x, (n_y, 1))
    if direction == "backward":
        x = x[:, ::-1]
    elif direction == "serpentine":
        x[1::2] = x[1::2, ::-1]
    y = (np.arange(n_y) - (n_y - 1) / 2) * step_y * (-1 if top else 1)
    z = get("scan", "z_mm", 0.0) * 1e-3
    flip_x, flip_y = (-1 if get("scan", key, False) else 1 for key in ("flip_x", "flip_y"))
    position = np.stack([flip_x * x, flip_y * np.repeat(y[:, None], n_x, axis=1), np.full((n_y, n_x), z)], axis=-1)
    pause = np.repeat(np.arange(n_y), n_x) * max(n_x, 3) * (frame_time[1] - frame_time[0] if n_y * n_x > 1 else 0.0)
    trajectory = Trajectory(time=frame_time + pause, position=position.reshape(-1, 3))
    return trajectory, Raster(n_y=n_y, n_x=n_x, step_x=step_x, step_y=step_y, serpentine=direction == "serpentine")


def read_positions(description: Description, n_pose: int) -> Trajectory:
    """Poses from a .csv or .npz file with time [s], x, y, z and optionally qx, qy, qz, qw (board to world).

    Raises
    ------
    FormatError
        Columns missing, values that are no numbers, or another number of rows than poses.
    """
    path = description.file(description.get("scan", "positions"))
    columns = columns_of(path)
    missing = [name for name in ("time", "x", "y", "z") if name not in columns]
    turned = [name for name in ("qx", "qy", "qz", "qw") if name in columns]
    if missing or len(turned) not in (0, 4):
        raise FormatError(f"{path}: got columns {', '.join(columns)}, wanted time,x,y,z and none or all of qx,qy,qz,qw")
    n = len(columns["time"])
    if n != n_pose:
        raise FormatError(f"{path}: got {n} positions, the data has {n_pose} poses; wanted one row for every pose")
    unit = UNITS[description.get("scan", "position_unit", "m")]
    signs = [-unit if description.get("scan", f"flip_{a}", False) else unit for a in "xy"] + [unit]
    try:
        return Trajectory(
            time=columns["time"],
            position=np.stack([columns[a] * s for a, s in zip("xyz", signs, strict=True)], axis=1),
            rotation=np.stack([columns[a] for a in turned], axis=1) if turned else None,
        )
    except GeometryError as error:
        raise FormatError(f"{path}: {error}") from error


BOARDS = {
    "iwr1443": lambda: AntennaArray.iwr1443(3),
    "iwr1642": AntennaArray.iwr1642,
    "iwr6843isk": AntennaArray.iwr6843isk,
    "single": AntennaArray.single,
}
"""Boards with all their transmitters, in the order of their markings."""


def _pick(description: Description, key: str, n: int, wanted: int | None, board: str) -> list[int]:
    """Element numbers (from 0) of use_tx or use_rx (from 1), checked against the count of [capture]."""
    given = description.get("array", key)
    if given is None:
        given = list(range(1, n + 1))
        if wanted is not None and wanted != n:
            raise description.error(
                f"[array] {key}: missing; board {board} has {n}, [capture] says {wanted}: list the numbers in use, "
                f"in order of firing, for example {key} = {given[:wanted] if wanted < n else given}"
            )
    if not all(isinstance(i, int) and 1 <= i <= n for i in given) or len(set(given)) != len(given):
        raise description.error(f"[array] {key}: got {given}, wanted different numbers from 1 to {n} (board {board})")
    return [i - 1 for i in given]


def _pairs(description: Description, table: str, key: str, value: Any, n_tx: int, n_rx: int) -> np.ndarray:
    """A value per pair, (n_tx, n_rx): from one number, a list per receiver (one transmitter), or n_tx lists."""
    try:
        given = np.array(value, dtype=float)
    except ValueError:
        given = np.empty(0)
    if given.ndim == 0:
        return np.full((n_tx, n_rx), float(given))
    if n_tx == 1 and given.shape == (n_rx,):
        given = given[None]
    if given.shape != (n_tx, n_rx):
        rows = f"{n_rx} numbers" if n_tx == 1 else f"{n_tx} lists (one per TX) of {n_rx} numbers"
        raise description.error(f"[{table}] {key}: got shape {given.shape}, wanted {rows}")
    return given
