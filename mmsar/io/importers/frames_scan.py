"""From the frames of a capture to a scan: poses, times and transmitter slots, wherever the samples come from."""

import numpy as np

from mmsar.io.importers.description import Description
from mmsar.io.importers.geometry import attrs_of, calibration_of, poses_of, timing_of
from mmsar.io.importers.raw_frames import Frames
from mmsar.io.lazy import FileSignal
from mmsar.model import AntennaArray, Chirp, Scan


def frames_of(description: Description, samples: int, n_tx: int, n_rx: int) -> Frames:
    """What a frame of a capture is, from [capture]; raises FormatError where it disagrees with [array]."""
    get = description.get
    layout, rx, tx = description.need("capture", "layout"), get("capture", "rx", n_rx), get("capture", "tx", n_tx)
    for name, got, wanted in (("rx", rx, n_rx), ("tx", tx, n_tx)):
        if got != wanted:
            raise description.error(f"[capture] {name}: got {got}, but [array] has {wanted}; make them agree")
    chirps = get("capture", "chirps_per_frame", tx)
    if chirps % tx:
        raise description.error(f"[capture] chirps_per_frame: got {chirps}, wanted a multiple of the {tx} transmitters")
    loops = get("capture", "loops")
    if chirps > tx and loops is None:
        raise description.error(
            f"[capture] loops: missing; {chirps} chirps per frame of {tx} transmitters repeat {chirps // tx} times: "
            'wanted "average" (one pose per frame) or "poses" (one pose per repetition)'
        )
    bits = get("capture", "bits", 16)
    if bits not in (12, 14, 16):
        raise description.error(f"[capture] bits: got {bits}, wanted 12, 14 or 16")
    return Frames(
        layout=layout,
        chirps=chirps,
        samples=samples,
        rx=rx,
        tx=tx,
        offset_binary=get("capture", "offset_binary", False),
        bits=bits,
        average=loops != "poses",
        conjugate=get("waveform", "sign", "positive") == "negative",
    )


def frames_scan(
    description: Description,
    frames: Frames,
    signal: FileSignal,
    *,
    chirp: Chirp,
    array: AntennaArray,
    rows: int | None = None,
    valid: np.ndarray | None = None,
) -> Scan:
    """A scan of the frames of a capture.

    Parameters
    ----------
    signal : FileSignal
        The samples by pose: one pose per frame, or per loop (`Frames.average`).
    rows : int, optional
        Row files, each of as many poses: n_y of the raster.
    valid : ndarray, optional
        Channels that were captured whole, (n_pose, n_tx, n_rx).

    Raises
    ------
    FormatError
        Poses that the description does not tell, or that disagree with the frames.
    """
    timing = timing_of(description, frames.chirps)
    per, n_pose = frames.poses_per_frame, signal.shape[0]
    index = np.arange(n_pose)
    time = index // per * timing.period + index % per * frames.tx * timing.chirp
    if not timing.nominal and per * frames.tx * timing.chirp > timing.period:
        raise description.error(f"[waveform] frame_period_ms: got {timing.period * 1e3:g}, shorter than its chirps")
    if description.get("scan", "positions") is None and rows is not None:
        _check_rows(description, rows, n_pose)
        tables = {
            **description.tables,
            "scan": {**description.tables.get("scan", {}), "n_y": rows, "n_x": n_pose // rows},
        }
        trajectory, raster = poses_of(Description(tables, description.where, description.folder), n_pose, time)
    else:
        trajectory, raster = poses_of(description, n_pose, time)
    late = frames.tx * (frames.loops - 1) / 2 if frames.average else 0.0
    return Scan(
        signal=signal,
        chirp=chirp,
        array=array,
        trajectory=trajectory,
        tx_delay=(np.arange(frames.tx) + late) * timing.chirp,
        raster=raster,
        valid=valid,
        calibration=calibration_of(description, array),
        attrs=attrs_of(description, timing),
    )


def _check_rows(description: Description, n_files: int, n_pose: int) -> None:
    n_y, n_x = description.get("scan", "n_y", n_files), description.get("scan", "n_x", n_pose // n_files)
    if n_y != n_files:
        raise description.error(
            f"[scan] n_y: got {n_y}, but there are {n_files} row files; wanted one file per row "
            '(or [capture] files = "split" for one capture cut into several files)'
        )
    if n_x * n_files != n_pose:
        raise description.error(f"[scan] n_x: got {n_x}, but every row file has {n_pose // n_files} positions")
