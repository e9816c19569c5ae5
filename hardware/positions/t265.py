"""Poses of an Intel T265 as librealsense's converter writes them: blocks of streams in one CSV.

    Stream Type,F#,HW Timestamp (ms),Backend Timestamp(ms),Host Timestamp(ms),t_x,t_y,t_z,r_x,r_y,r_z,r_w
    Pose,1,1234.567,...

The block of the Pose stream is taken (others hold the gyroscope and the accelerometer). Clock "device" is the hardware
stamp, "host" the arrival on the host in Unix time; hardware stamps whose steps do not fit the stated milliseconds at
the camera's 200 Hz are refused, because libraries differ in their unit. World: y up, z backward, x right; metres. The
pose jumps when the camera relocalises, and turns to NaN after long runs: both are found by the check of the track.
"""

from dataclasses import replace

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.columns import KINDS, read_named
from mmsar.hardware.positions.declared import TIMES, Declared
from mmsar.hardware.positions.text import nanoseconds, need_rows, numbers, read_text, rows_of
from mmsar.hardware.positions.track import PoseTrack

USES = frozenset(("clock", "frame", "time_unit", "units"))
STREAM = "Stream Type"
POSE = ("t_x", "t_y", "t_z", "r_x", "r_y", "r_z", "r_w")
CLOCKS = {"device": "HW Timestamp (ms)", "host": "Host Timestamp(ms)"}
STEP = (2e-3, 20e-3)
"""Median step that a pose stream may have [s]: 50 to 500 Hz around the camera's 200 Hz."""


def read(path: str, told: Declared) -> PoseTrack:
    """The track of the pose stream, or of a CSV with named columns (see `columns`).

    Raises
    ------
    FormatError
        No pose block, a clock that is not there, stamps whose unit does not fit the camera's rate.
    """
    rows = rows_of(read_text(path), path)
    heads = [i for i, row in enumerate(rows) if row and row[0] == STREAM]
    if not heads:
        return read_named(path, told, "t265-csv")
    head = next((i for i in heads if {*POSE, *CLOCKS.values()} <= set(rows[i])), None)
    if head is None:
        raise FormatError(f"{path}: got {len(heads)} streams and no poses, wanted a block of the Pose stream")
    if told.units is not None:
        raise FormatError(f"{path}: units: got {told.units!r}, but the converter writes metres; leave it out")
    clock = told.clock or "device"
    if clock not in CLOCKS:
        raise FormatError(f"{path}: clock: got {clock!r}, wanted one of {', '.join(CLOCKS)}")
    stop = next((i for i in heads if i > head), len(rows))
    data = [(i + 1, rows[i]) for i in range(head + 1, stop) if rows[i] and rows[i][0] == "Pose"]
    need_rows(path, len(data))
    stamp = rows[head].index(CLOCKS[clock])
    power = TIMES[told.time_unit or "ms"]
    time_ns = np.array(
        [nanoseconds("".join(row[stamp : stamp + 1]), power, f"{path}, line {i}") for i, row in data], dtype=np.int64
    )
    step = float(np.median(np.diff(time_ns))) / 1e9
    if not STEP[0] <= step <= STEP[1]:
        raise FormatError(
            f"{path}: {CLOCKS[clock]}: got a median step of {step:.6g} s, wanted about 0.005 s (200 Hz); "
            "if the stamps are microseconds give --time-unit us, if they are all 0 take --clock host"
        )
    table = numbers(data, [rows[head].index(name) for name in POSE], path)
    track = PoseTrack.from_log(
        time_ns,
        table[:, :3],
        table[:, 3:],
        clock="unix" if clock == "host" else "device",
        frame=told.frame or KINDS["t265-csv"].frame,
        source=f"t265-csv {path}",
    )
    return replace(track, sigma=told.sigma)
