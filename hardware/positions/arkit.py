"""ARKit camera poses in JSON: a list of frames, or an object with one list of frames.

    [{"timestamp": s, "transform": [16 numbers, column after column] or [[4], [4], [4], [4]] (columns)}, ...]

`transform` (or `camera_transform`, `cameraTransform`) is ARKit's `camera.transform`: column-major, camera to world.
`timestamp` (or `time`) counts seconds since the phone started (clock "boot"). World: metres, y up; the camera looks
along -z, in the landscape-right frame of its sensor. ARCore or ARKit logs in CSV are read by `columns`.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from mmsar.errors import FormatError
from mmsar.hardware.positions.columns import KINDS
from mmsar.hardware.positions.declared import Declared
from mmsar.hardware.positions.motive_json import load_json
from mmsar.hardware.positions.text import nanoseconds, need_rows
from mmsar.hardware.positions.track import NORM_TOLERANCE, PoseTrack

USES = frozenset(("clock", "frame"))
TRANSFORM = ("transform", "camera_transform", "cameraTransform")
TIME = ("timestamp", "time")


def frames_of(tree: object) -> list[dict] | None:
    """The list of frames with a transform and a time in a JSON tree, or None."""
    if isinstance(tree, dict):
        lists = [value for value in tree.values() if frames_of(value) is not None] if len(tree) < 1000 else []
        return lists[0] if len(lists) == 1 else None
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        if any(key in tree[0] for key in TRANSFORM) and any(key in tree[0] for key in TIME):
            return tree
    return None


def read(path: str, told: Declared) -> PoseTrack:
    """The track of the camera; FormatError for another structure or matrices that are no rigid transforms."""
    frames = frames_of(load_json(path))
    if frames is None:
        raise FormatError(f"{path}: got no one list of frames with timestamp and transform, wanted an ARKit log")
    times, matrices = [], []
    for i, frame in enumerate(frames):
        try:
            time = next(frame[key] for key in TIME if key in frame)
            matrix = next(frame[key] for key in TRANSFORM if key in frame)
            values = np.array(matrix, dtype=np.float64)
        except (StopIteration, TypeError, ValueError):
            raise FormatError(f"{path}, frame {i}: got no timestamp and transform of numbers") from None
        if values.size != 16:
            raise FormatError(f"{path}, frame {i}: transform: got {values.size} numbers, wanted 16")
        times.append(nanoseconds(str(time), 9, f"{path}, frame {i}"))
        matrices.append(values.reshape(4, 4).T)
    need_rows(path, len(frames))
    table = np.array(matrices)
    turn = table[:, :3, :3]
    if np.abs(table[:, 3] - [0, 0, 0, 1]).max() > NORM_TOLERANCE:
        raise FormatError(f"{path}: transform: got a last row that is not 0 0 0 1, wanted matrices column after column")
    if np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max() > 10 * NORM_TOLERANCE or np.linalg.det(turn).min() < 0:
        raise FormatError(f"{path}: transform: got matrices that are no rotations, wanted camera.transform of ARKit")
    return PoseTrack.from_log(
        np.array(times, dtype=np.int64),
        table[:, :3, 3],
        Rotation.from_matrix(turn).as_quat(),
        clock=told.clock or "boot",
        frame=told.frame or KINDS["arkit-csv"].frame,
        sigma=told.sigma,
        source=f"arkit-json {path}",
    )
