"""A freehand scan: the poses of the frames from a tracker's log."""

from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.positions.mounting import Mounting, board_trajectory
from mmsar.hardware.positions.track import PoseTrack, check_track, read_track
from mmsar.hardware.session.assemble import Piece, open_capture, pose_times
from mmsar.hardware.session.folder import SessionFolder
from mmsar.hardware.session.setup import Session


def freehand_piece(session: Session, folder: SessionFolder, poses: Path | None, warnings: list[str]) -> Piece:
    """The poses of a freehand recording; frames where the tracker lost the body are left out.

    Raises
    ------
    FormatError
        No log, or one whose clock cannot be related to the frames.
    GeometryError
        No frame within the log.
    """
    _, signal, times = open_capture(session, folder, 0)
    path = poses or session.tracker.log
    if path is None:
        raise FormatError(
            f"{folder.path}: got no position log, wanted the tracker's: give it with --poses, or as [tracker] log"
        )
    tracker = session.tracker
    track = read_track(path, kind=tracker.kind, body=tracker.body, **tracker.settings)
    rows = np.zeros(0, dtype=np.intp)
    for finding in check_track(track):
        if finding.severity != "note":
            warnings.append(f"{path.name}: {finding}")
        rows = np.union1d(rows, finding.rows)
    track = track.masked(rows)
    offset = _offset(session, track, path)
    frames = np.arange(len(times.start_ns))
    index, time_ns = pose_times(session, times, frames)
    mounting = Mounting(lever_arm=tracker.lever_arm, rotation=tracker.rotation, world=tracker.world)
    trajectory, known = board_trajectory(track, mounting, time_ns - offset)
    valid = signal.valid()
    use = known & valid.any(axis=(1, 2))
    if not use.all():
        warnings.append(
            f"{int((~use).sum())} of {len(use)} poses are left out: {int((~known).sum())} outside the log or in its "
            f"gaps, {int((~valid.any(axis=(1, 2))).sum())} lost on the way from the card"
        )
    return Piece(
        signal=signal,
        poses=index[use],
        time_ns=time_ns[use],
        position=trajectory.position[use],
        rotation=trajectory.rotation[use],
        valid=valid[use],
        notes={
            "log": path.name,
            "offset_s": offset * 1e-9,
            "frame_clock_rms_us": round(times.residual * 1e6, 3),
            "drift_ppm": round(times.drift_ppm, 3),
        },
    )


def _offset(session: Session, track: PoseTrack, path: Path) -> int:
    """Radar time minus tracker time [ns]."""
    given = session.tracker.offset
    if given is None:
        raise FormatError(f'{path}: offset_ms = "estimate" is not supported here yet; give it in milliseconds')
    if track.clock != "unix" and given == 0:
        raise FormatError(
            f"{path}: got times of the clock {track.clock!r}, wanted seconds since 1970 as the frames have, or "
            "[tracker] offset_ms between the two"
        )
    return round(given * 1e9)
