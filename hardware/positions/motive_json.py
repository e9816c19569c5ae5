"""Motive recordings in JSON: frames of rigid bodies with position [m] and orientation (x, y, z, w).

    {"rigidBodies": {"1": "name"}, "frames": [{"timestamp": s, "rigidBodies": [{"id", "position", "orientation"}]}]}

A frame without the chosen body is an occlusion. Source: rigid-body recordings published with OptiTrack's drone
calibration; frames that were written out of order occur in them.
"""

import json

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.declared import Declared
from mmsar.hardware.positions.motive_csv import FRAME, Asset, choose
from mmsar.hardware.positions.text import nanoseconds, need_rows, read_text
from mmsar.hardware.positions.track import PoseTrack

USES = frozenset(("body", "clock", "frame"))


def read(path: str, told: Declared) -> PoseTrack:
    """The track of one rigid body; FormatError for another structure or a choice that is not clear."""
    tree = load_json(path)
    bodies, frames = (tree.get(key) if isinstance(tree, dict) else None for key in ("rigidBodies", "frames"))
    if not isinstance(bodies, dict) or not isinstance(frames, list):
        raise FormatError(f"{path}: not a Motive recording: wanted an object rigidBodies and a list frames")
    times, rows = [], []
    try:
        names = {int(key): str(name) for key, name in bodies.items()}
        chosen = choose(path, [Asset("Rigid Body", name) for name in names.values()], told.body)
        wanted = next(key for key, name in names.items() if name == chosen.name)
        for i, frame in enumerate(frames):
            times.append(nanoseconds(str(frame["timestamp"]), 9, f"{path}, frame {i}"))
            here = [body for body in frame["rigidBodies"] if body["id"] == wanted]
            rows.append([*here[0]["position"], *here[0]["orientation"]] if here else [float("nan")] * 7)
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 7)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{path}: not a Motive recording: frame {max(len(times) - 1, 0)}: {type(error).__name__} {error}"
        ) from None
    need_rows(path, len(rows))
    return PoseTrack.from_log(
        np.array(times, dtype=np.int64),
        table[:, :3],
        table[:, 3:],
        clock=told.clock or "take",
        frame=told.frame or FRAME,
        sigma=told.sigma,
        source=f"motive-json {chosen.name!r} {path}",
    )


def load_json(path: str) -> object:
    """A JSON file, numbers with a point kept as their text's decimal value; FormatError when it is not JSON."""
    from decimal import Decimal

    try:
        return json.loads(read_text(path), parse_float=Decimal)
    except (json.JSONDecodeError, ArithmeticError, RecursionError) as error:
        raise FormatError(f"{path}: not JSON: {error}") from None
