"""A freehand scan: the poses of the frames from a tracker's log."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.echo_track import track_scatterer
from mmsar.hardware.offset import estimate_offset
from mmsar.hardware.positions.check import checked
from mmsar.hardware.positions.mounting import Mounting, board_poses, board_trajectory
from mmsar.hardware.positions.track import PoseTrack, read_track
from mmsar.hardware.session.assemble import Piece, open_capture, pose_times
from mmsar.hardware.session.folder import SessionFolder
from mmsar.hardware.session.setup import Session
from mmsar.hardware.timing import FrameClock

BLOCK = 64 << 20
"""Samples that are read at once [bytes]."""


def freehand_piece(session: Session, folder: SessionFolder, poses: Path | None, warnings: list[str]) -> Piece:
    """The poses of a freehand recording; frames where the tracker lost the body are left out.

    Raises
    ------
    FormatError
        No log, or one whose clock cannot be related to the frames.
    GeometryError
        No frame within the log.
    """
    capture, signal, clock = open_capture(session, folder, 0)
    path = poses or session.tracker.log
    if path is None:
        raise FormatError(
            f"{folder.path}: got no position log, wanted the tracker's: give it with --poses, or as [tracker] log"
        )
    tracker = session.tracker
    track, found = checked(read_track(path, kind=tracker.kind, body=tracker.body, **tracker.settings))
    warnings += [f"{path.name}: {finding}" for finding in found if finding.severity != "note"]
    mounting = Mounting(lever_arm=tracker.lever_arm, rotation=tracker.rotation, world=tracker.world)
    frames = np.arange(capture.n_frames)
    index, time_ns = pose_times(session, clock, frames)
    to_track, offset_notes = _to_track(session, capture, clock, track, mounting, path)
    trajectory, known = board_trajectory(track, mounting, to_track(time_ns))
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
            **offset_notes,
            "frame_clock_rms_us": round(clock.residual_rms * 1e6, 3),
            "drift_ppm": round(clock.drift_ppm, 3),
        },
    )


def _to_track(
    session: Session, capture: Capture, clock: FrameClock, track: PoseTrack, mounting: Mounting, path: Path
) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, Any]]:
    """Radar times to the tracker's clock [ns], and what to note of it."""
    tracker = session.tracker
    given = tracker.offset if tracker.offset is not None else tracker.offset_guess
    if track.clock != "unix" and not given:
        raise FormatError(
            f"{path}: got times of the clock {track.clock!r}, wanted seconds since 1970 as the frames have; say in "
            "[tracker] what this clock reads more than that: offset_ms, or offset_guess_ms to within a second"
        )
    shift = round((given or 0.0) * 1e9)
    if tracker.offset is not None:
        return (lambda time_ns: time_ns + shift), {"offset_s": given}
    position, rotation = board_poses(track, mounting)
    board = PoseTrack.from_log(track.time_ns, position, rotation, valid=track.valid, clock=track.clock)
    echo = track_scatterer(*_one_channel(capture, clock), capture.config.chirp(), near=tracker.scatterer)
    array = session.radar.array
    found = estimate_offset(echo, board, tx=array.tx[0], rx=array.rx[0], guess_ns=shift)
    return found.to_track, {
        "offset_s": found.offset + shift * 1e-9,
        "offset_sigma_us": round(found.sigma * 1e6, 2),
        "tracker_drift_ppm": round(found.drift_ppm, 3),
        "offset_residual_mm": round(found.residual_rms * 1e3, 4),
    }


def _one_channel(capture: Capture, clock: FrameClock) -> tuple[np.ndarray, np.ndarray]:
    """The chirps of the first transmitter and receiver that came whole, and the middle of each [ns]."""
    slots = clock.slots(capture.config, np.arange(capture.n_frames))[:, :, 0]
    samples, stamps = [], []
    step = max(1, BLOCK // (9 * int(np.prod(capture.shape[1:]))))
    for first in range(0, capture.n_frames, step):
        frames = slice(first, min(first + step, capture.n_frames))
        cube, valid = capture.samples(frames)
        whole = valid[:, :, 0, 0].all(axis=-1)
        samples.append(cube[:, :, 0, 0][whole])
        stamps.append(slots[frames][whole])
    return np.concatenate(samples), np.concatenate(stamps)
