"""From an array with named axes to a scan: what .mat and .npz files share.

[data] axes names the axes of the variable in order, out of pose, y, x, angle, tx, rx, channel (rx fastest), sample and
iq (a last axis I, Q). Poses come out rows after rows, y slow and x (angle on a turntable) fast. Order of the steps:
division by the probe response (divide_by; power = 2 where transmit and receive probe each add it), conjugation
(sign = "negative"), subtraction of the mean over all poses (background = "mean").
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.io.importers.description import Description
from mmsar.io.importers.geometry import UNITS, array_of, attrs_of, calibration_of, chirp_of, poses_of, timing_of
from mmsar.io.importers.turntable import is_turntable
from mmsar.model import Raster, Scan, Trajectory

Reader = Callable[[Path, str], np.ndarray]
"""Reads one variable of one file."""

COUNTS = {"y": "n_y", "x": "n_x", "angle": "n_x"}
"""What tells in [scan] how many positions a pose axis has."""
ORDER = ("pose", "y", "x", "angle", "tx", "rx", "sample")


def cube_scan(data: Path, description: Description, read: Reader) -> Scan:
    """A scan from a file of variables.

    Raises
    ------
    FormatError
        Variables missing, axes that do not fit the shape, or numbers that are not complex.
    """
    chirp, array = chirp_of(description), array_of(description)
    name = description.need("data", "variable")
    cube, pose_axes = _ordered(read(data, name), description, array.n_tx, array.n_rx, where=f"{data.name}: {name}")
    pose_shape = cube.shape[: len(pose_axes)]
    shape = (int(np.prod(pose_shape)), array.n_tx, array.n_rx, chirp.n_samples)
    if cube.shape[len(pose_axes) :] != shape[1:]:
        got = dict(zip(("tx", "rx", "sample"), cube.shape[len(pose_axes) :], strict=True))
        wanted = dict(zip(("tx", "rx", "sample"), shape[1:], strict=True))
        wrong = next(axis for axis in got if got[axis] != wanted[axis])
        source = "[waveform] samples" if wrong == "sample" else f"[array] {wrong}"
        raise FormatError(
            f"{data.name}: {name}: got {got[wrong]} along axis {wrong}, wanted {wanted[wrong]} ({source}); "
            f"check it, or the order of [data] axes for shape {cube.shape}"
        )
    signal = cube.reshape(shape).astype(np.complex128)
    if not np.isfinite(signal).all():
        raise FormatError(f"{data.name}: {name}: got NaN or infinite samples, wanted finite ones")
    signal = _divide(signal, data, description, read)
    if description.get("waveform", "sign", "positive") == "negative":
        signal = signal.conj()
    if description.get("data", "background", "none") == "mean":
        if shape[0] < 2:
            raise description.error('[data] background: got "mean" for a single pose, wanted at least 2 poses')
        signal = signal - signal.mean(axis=0)
    timing = timing_of(description, array.n_tx)
    time = np.arange(shape[0]) * timing.period
    if description.get("scan", "x_variable") or description.get("scan", "y_variable"):
        trajectory, raster = _variable_poses(data, description, read, pose_axes, pose_shape)
        trajectory = replace(trajectory, time=time)
    else:
        if len(pose_axes) == 2 and description.get("scan", "positions") is None:
            _check_raster(description, data, pose_shape)
        trajectory, raster = poses_of(_with_shape(description, pose_axes, pose_shape), shape[0], time)
    return Scan(
        signal=signal.astype(np.complex64),
        chirp=chirp,
        array=array,
        trajectory=trajectory,
        tx_delay=np.arange(array.n_tx) * timing.chirp,
        raster=raster,
        calibration=calibration_of(description, array),
        attrs=attrs_of(description, timing),
    )


def _ordered(
    cube: np.ndarray, description: Description, n_tx: int, n_rx: int, *, where: str
) -> tuple[np.ndarray, list[str]]:
    """The cube with axes (pose axes..., tx, rx, sample), complex; and the names of its pose axes."""
    axes = list(description.need("data", "axes"))
    if cube.ndim != len(axes):
        raise FormatError(f"{where}: got shape {cube.shape}, wanted {len(axes)} axes ({', '.join(axes)})")
    if "sample" not in axes or ("channel" in axes and {"tx", "rx"} & set(axes)):
        raise description.error("[data] axes: wanted sample, and either channel or tx and rx")
    fast = "angle" if is_turntable(description) else "x"
    pose_axes = [axis for axis in ("pose", "y", "x", "angle") if axis in axes]
    if pose_axes not in (["pose"], ["y"], [fast], ["y", fast]):
        hint = "" if fast == "angle" or "angle" not in axes else "; angle is the axis of a turntable ([scan] radius_mm)"
        raise description.error(f"[data] axes: wanted either pose, or y and {fast} (one or both){hint}")
    if "iq" in axes:
        if cube.shape[axes.index("iq")] != 2 or np.iscomplexobj(cube):
            raise FormatError(f"{where}: axis iq: got {cube.shape}, {cube.dtype}, wanted 2 real numbers along it")
        cube = np.moveaxis(cube, axes.index("iq"), -1)
        cube, axes = cube[..., 0] + 1j * cube[..., 1], [axis for axis in axes if axis != "iq"]
    if not np.iscomplexobj(cube):
        raise FormatError(f"{where}: got {cube.dtype}, wanted complex samples (or an axis iq of 2)")
    if "channel" in axes:
        at = axes.index("channel")
        if cube.shape[at] != n_tx * n_rx:
            raise FormatError(f"{where}: got {cube.shape[at]} channels, wanted {n_tx} TX x {n_rx} RX ([array])")
        cube = cube.reshape(*cube.shape[:at], n_tx, n_rx, *cube.shape[at + 1 :])
        axes[at : at + 1] = ["tx", "rx"]
    for axis in ("tx", "rx"):
        if axis not in axes:
            cube, axes = cube[..., None], [*axes, axis]
    return cube.transpose([axes.index(axis) for axis in ORDER if axis in axes]), pose_axes


def _divide(signal: np.ndarray, data: Path, description: Description, read: Reader) -> np.ndarray:
    """The signal over the probe response of [data] divide_by, to its power, if there is one."""
    spec = description.get("data", "divide_by")
    if spec is None:
        return signal
    path = description.file(spec["file"]) if "file" in spec else data
    name = description.need("divide_by", "variable") if "variable" not in spec else spec["variable"]
    stride, offset = spec.get("stride", 1), spec.get("offset", 0)
    response = np.asarray(read(path, name)).ravel()
    used, n = response[offset::stride], signal.shape[-1]
    if used.size != n:
        fit = [k for k in range(1, 101) if response[offset::k].size == n]
        advice = f"stride = {fit[0]} would fit" if fit else f"wanted {n} values"
        raise FormatError(
            f"{path.name}: {name}: got {response.size} values, {used.size} with stride {stride}, wanted {n} "
            f"([waveform] samples); {advice}"
        )
    if not np.isfinite(used).all() or not used.all():
        raise FormatError(f"{path.name}: {name}: got zeros or non-finite values, wanted a response to divide by")
    return signal / used ** spec.get("power", 1)


def _with_shape(description: Description, pose_axes: list[str], pose_shape: tuple[int, ...]) -> Description:
    """The description with n_x and n_y filled in from the axes of the data."""
    if pose_axes == ["pose"] or description.get("scan", "positions") is not None:
        return description
    sizes = {"n_y": 1, "n_x": 1, **{COUNTS[axis]: n for axis, n in zip(pose_axes, pose_shape, strict=True)}}
    scan = {**description.tables.get("scan", {}), **sizes}
    return replace(description, tables={**description.tables, "scan": scan})


def _check_raster(description: Description, data: Path, pose_shape: tuple[int, ...]) -> None:
    for key, got in zip(("n_y", "n_x"), pose_shape, strict=True):
        wanted = description.get("scan", key, got)
        if wanted != got:
            raise FormatError(f"{data.name}: got {got} along axis {key[-1]}, wanted {wanted} ([scan] {key})")


def _variable_poses(
    data: Path, description: Description, read: Reader, pose_axes: list[str], pose_shape: tuple[int, ...]
) -> tuple[Trajectory, Raster | None]:
    """Poses from variables: of the pose axes' shape (in the order of [data] axes), or one value per row or column."""
    unit = UNITS[description.need("scan", "position_unit")]
    clash = [k for k in ("positions", "x_step_mm", "y_step_mm", "direction") if description.get("scan", k) is not None]
    if clash:
        raise description.error(f"[scan]: got both x_variable / y_variable and {clash[0]}, wanted one description")
    given = [axis for axis in description.get("data", "axes") if axis in pose_axes]
    stored = tuple(pose_shape[pose_axes.index(axis)] for axis in given)
    n_pose = int(np.prod(pose_shape))
    position = np.zeros((n_pose, 3))
    position[:, 2] = description.get("scan", "z_mm", 0.0) * 1e-3
    for column, axis in enumerate("xyz"):
        name = description.get("scan", f"{axis}_variable")
        if name is None:
            continue
        value = np.asarray(read(data, name), dtype=float)
        flat = value.ravel()
        if value.shape == stored:
            flat = value.transpose([given.index(a) for a in pose_axes]).ravel()
        elif axis in pose_axes and flat.size == pose_shape[pose_axes.index(axis)]:
            along = [flat.size if a == axis else 1 for a in pose_axes]
            flat = np.broadcast_to(flat.reshape(along), pose_shape).ravel()
        elif not (pose_axes == ["pose"] and flat.size == n_pose):
            raise FormatError(
                f"{data.name}: {name}: got shape {value.shape}, wanted {stored} as the positions of the data"
            )
        if not np.isfinite(flat).all():
            raise FormatError(f"{data.name}: {name}: got positions that are not finite")
        flip = axis != "z" and description.get("scan", f"flip_{axis}", False)
        position[:, column] = flat * (-unit if flip else unit)
    raster = None
    if len(pose_axes) == 2:
        n_y, n_x = pose_shape
        grid = position.reshape(n_y, n_x, 3)
        step_x = float(np.median(np.abs(np.diff(grid[..., 0], axis=1)))) if n_x > 1 else 0.0
        step_y = float(np.median(np.abs(np.diff(grid[..., 1], axis=0)))) if n_y > 1 else 0.0
        raster = Raster(n_y=n_y, n_x=n_x, step_x=step_x, step_y=step_y)
    return Trajectory(time=np.zeros(n_pose), position=position), raster
