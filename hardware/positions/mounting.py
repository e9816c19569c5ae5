"""From the tracked body to the radar board, and from the log's world to the project's.

An element a of the board lies at

    p = W (p_body + R_body (l + M a))

with l the lever arm (origin of the board frame in the body frame), M the mounting rotation (board to body) and W the
rotation from the log's world to the project's, which is right-handed with y up and looks along +z. Lever arm and
rotation matter even for planar scans by hand: 1 degree at 0.1 m is 1.7 mm, 0.9 wavelengths of round trip at 79 GHz.
"""

import re
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from mmsar.core.checks import real_array
from mmsar.errors import GeometryError
from mmsar.hardware.positions.track import MAX_GAP, NORM_TOLERANCE, PoseTrack
from mmsar.model.trajectory import Trajectory

AXES = {"x": 0, "y": 1, "z": 2}
STILL = (0.0, 0.0, 0.0, 1.0)


def world_rotation(*, up: str, look: str) -> np.ndarray:
    """Rotation from a log's world to the project's (y up, looking along +z), quaternion x, y, z, w.

    Parameters
    ----------
    up, look : str
        Which axes of the log's world point up and along the look of the radar, as "+y", "-z". A Motive, ARKit or T265
        world with the radar looking along its -z: up="+y", look="-z".

    Raises
    ------
    GeometryError
        Not an axis with its sign, or the same axis twice.
    """
    vertical, forward = _axis("up", up), _axis("look", look)
    if vertical @ forward != 0:
        raise GeometryError(f"world_rotation: got up {up!r} and look {look!r}, wanted two different axes")
    return Rotation.from_matrix(np.stack([np.cross(vertical, forward), vertical, forward])).as_quat()


@dataclass(frozen=True, kw_only=True, eq=False)
class Mounting:
    """How the board sits on the tracked body, and how the log's world lies in the project's.

    Raises
    ------
    GeometryError
        Wrong shapes, values that are not finite, quaternions off unit length.
    """

    lever_arm: np.ndarray = (0.0, 0.0, 0.0)
    """Origin of the board frame in the body frame [m], (3,)."""
    rotation: np.ndarray = STILL
    """Board to body, unit quaternion x, y, z, w, (4,): turns a vector of board coordinates into body coordinates."""
    world: np.ndarray = STILL
    """The log's world to the project's, unit quaternion x, y, z, w, (4,); see `world_rotation`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lever_arm", real_array("Mounting.lever_arm", self.lever_arm, (3,), "m"))
        for name in ("rotation", "world"):
            value = real_array(f"Mounting.{name}", getattr(self, name), (4,), "unit quaternion x, y, z, w")
            length = float(np.linalg.norm(value))
            if abs(length - 1) > NORM_TOLERANCE:
                raise GeometryError(f"Mounting.{name}: got length {length:.4g}, wanted a unit quaternion x, y, z, w")
            object.__setattr__(self, name, real_array(f"Mounting.{name}", value / length, (4,), "1"))


def board_poses(track: PoseTrack, mounting: Mounting) -> tuple[np.ndarray, np.ndarray]:
    """Position (n, 3) [m] and rotation (n, 4) board to world of the board at the rows of a track; NaN where not valid.

    Raises
    ------
    GeometryError
        A lever arm or a turned board on a body whose rotation was not measured.
    """
    turned = np.abs(mounting.rotation[:3]).max() > 0
    if not track.rotation_measured and (np.abs(mounting.lever_arm).max() > 0 or turned):
        raise GeometryError(
            f"Mounting: got a lever arm or a turned board, but {track.source or 'the track'} has no rotation; "
            "track a rigid body, or put the marker at the board's origin"
        )
    position, rotation = np.full((len(track), 3), np.nan), np.full((len(track), 4), np.nan)
    if track.valid.any():
        world, lever = Rotation.from_quat(mounting.world), mounting.lever_arm.copy()  # scipy wants it writeable
        body = Rotation.from_quat(track.rotation[track.valid])
        position[track.valid] = world.apply(track.position[track.valid] + body.apply(lever))
        rotation[track.valid] = (world * body * Rotation.from_quat(mounting.rotation)).as_quat()
    return position, rotation


def board_trajectory(
    track: PoseTrack, mounting: Mounting, time_ns: np.ndarray, *, max_gap: float = MAX_GAP
) -> tuple[Trajectory, np.ndarray]:
    """The board at given times, and which of its poses are known.

    Parameters
    ----------
    track : PoseTrack
    mounting : Mounting
    time_ns : array_like
        Increasing times on the track's clock [ns], (n,) integers.
    max_gap : float
        Longest gap that is bridged [s].

    Returns
    -------
    (Trajectory, valid)
        Its times are seconds after `time_ns[0]`. A pose that is not valid holds its place with the nearest valid one:
        use `valid` (n,) bool to leave it out.

    Raises
    ------
    GeometryError
        As `board_poses` and `PoseTrack.at`; no valid pose at any of the times.
    """
    here = track.at(time_ns, max_gap=max_gap)
    if not here.valid.any():
        since = (here.time_ns[[0, -1]] - track.time_ns[0]) / 1e9
        raise GeometryError(
            f"board_trajectory: got times {since[0]:.3f} to {since[1]:.3f} s after the track's first row, wanted some "
            f"within its valid rows (it lasts {track.seconds[-1]:.3f} s); check clock and offset"
        )
    position, rotation = board_poses(here, mounting)
    known = np.flatnonzero(here.valid)
    right = np.clip(np.searchsorted(known, np.arange(len(here))), 0, len(known) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.abs(here.time_ns[known[left]] - here.time_ns) < np.abs(here.time_ns[known[right]] - here.time_ns)
    nearest = known[np.where(nearer, left, right)]
    trajectory = Trajectory(
        time=(here.time_ns - here.time_ns[0]) / 1e9, position=position[nearest], rotation=rotation[nearest]
    )
    return trajectory, here.valid


def _axis(name: str, text: str) -> np.ndarray:
    match = re.fullmatch(r"([+-])([xyz])", text)
    if match is None:
        raise GeometryError(f"world_rotation {name}: got {text!r}, wanted an axis with its sign, as +y or -z")
    axis = np.zeros(3)
    axis[AXES[match[2]]] = -1.0 if match[1] == "-" else 1.0
    return axis
