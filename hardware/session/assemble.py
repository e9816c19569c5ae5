"""From the recordings of a session to a scan: which frames count, where the board was, what is valid.

The time of a frame comes from the clock fitted to the kernel stamps of all of them, the pose from the stage's own
reports or the tracker's log at that time. A frame has a place of its own whether its neighbours were lost or not; what
was lost is not valid, and nothing moves up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.errors import CaptureError, FormatError, GeometryError, MmsarError
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.readers.capture_signal import CaptureSignal
from mmsar.hardware.session.folder import SessionFolder
from mmsar.hardware.session.frametimes import frame_times
from mmsar.hardware.session.rows import backward_shift, shift_warning
from mmsar.hardware.session.setup import Session
from mmsar.hardware.session.stagelog import read_stage_log
from mmsar.hardware.session.sweeps import Sweep
from mmsar.hardware.timing import FrameClock
from mmsar.io.calibration_h5 import load_calibration
from mmsar.io.importers.raw_frames import Frames
from mmsar.io.lazy import FileSignal
from mmsar.model import Raster, Scan, Trajectory
from mmsar.signal.calibrate import attach_calibration

STRAY = 0.5
"""A frame further from its planned place than this part of a step is worth a warning."""
ASTRAY = 0.1
"""A frame further from its planned place than this part of the sweep (and two steps) makes another scan of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """The poses that one recording gives."""

    signal: CaptureSignal
    poses: np.ndarray
    """Which poses of `signal`, (n,), rising."""
    time_ns: np.ndarray
    """Time of the first transmit slot of each [ns], (n,)."""
    position: np.ndarray
    """(n, 3) [m]."""
    rotation: np.ndarray
    """(n, 4)."""
    valid: np.ndarray
    """(n, n_tx, n_rx)."""
    notes: dict[str, Any]
    """What is worth keeping in the history."""


class PiecesSignal(FileSignal):
    """The samples of several recordings laid end to end, read when asked for."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        ends = np.cumsum([len(piece.poses) for piece in pieces])
        scale = {piece.signal.int16_scale for piece in pieces}
        super().__init__((int(ends[-1]), *pieces[0].signal.shape[1:]), scale.pop() if len(scale) == 1 else None)
        self._parts = [(piece.signal, piece.poses) for piece in pieces]
        self._ends = ends

    def _read(self, first: int, last: int) -> np.ndarray:
        out = np.empty((last - first, *self.shape[1:]), dtype=self.dtype)
        begin = 0
        for (signal, poses), end in zip(self._parts, self._ends.tolist(), strict=True):
            low, high = max(first, begin), min(last, end)
            if low < high:
                out[low - first : high - first] = signal[poses[low - begin : high - begin]]
            begin = end
        return out


def assemble(session: Session, folder: SessionFolder, *, poses: Path | None = None) -> tuple[Scan, list[str]]:
    """The scan of a session, its signal still in the recordings, and what is doubtful about it, one line each.

    Parameters
    ----------
    session : Session
        The session that was recorded in `folder`.
    poses : Path, optional
        The tracker's log of a freehand scan, instead of the one the session names.

    Raises
    ------
    CaptureError
        Sweeps that are not recorded yet.
    FormatError
        Recordings or logs that cannot be read, or have too few frames on the planned way.
    GeometryError
        No valid pose.
    """
    wanted = range(len(session.sweeps)) if session.kind != "freehand" else range(1)
    open_sweeps = [index for index in wanted if not folder.is_done(index)]
    if open_sweeps:
        raise CaptureError(
            f"{folder.path}: {len(open_sweeps)} of {len(wanted)} sweeps are not recorded yet, the first is number "
            f"{open_sweeps[0] + 1}; `mmsar capture` with --resume records them"
        )
    warnings: list[str] = []
    if session.kind == "freehand":
        from mmsar.hardware.session.freehand import freehand_piece

        pieces = [freehand_piece(session, folder, poses, warnings)]
    else:
        pieces = []
        for sweep in session.sweeps:
            try:
                pieces.append(sweep_piece(session, folder, sweep, folder.halts(sweep.index), warnings))
            except MmsarError as error:
                cure = f"take {folder.sweep(sweep.index)} away and --resume records it again"
                raise FormatError(f"{error}; {cure}") from error
    order = sorted(pieces, key=lambda piece: int(piece.time_ns[0]) if len(piece.time_ns) else 0)
    planned = all(a is b for a, b in zip(order, pieces, strict=True))
    if not planned:
        warnings.append("sweeps were not recorded in the planned order: the scan has them by time, and no raster")
    scan = _scan(session, order, planned=planned)
    shift = backward_shift(scan)
    if shift is not None:
        text = shift_warning(shift, scan.chirp.wavelength, session.stage.axis("x").backlash)
        warnings += [text] if text else []
    return scan, warnings


def sweep_scan(session: Session, folder: SessionFolder, index: int) -> tuple[Scan, list[str]]:
    """The scan of one sweep that is done, while others may still be driven, and what is doubtful about it.

    Parameters
    ----------
    session : Session
        One with a stage, which is recorded in `folder`.
    index : int
        Number of the sweep, from 0.

    Raises
    ------
    CaptureError
        A sweep that is not done yet.
    FormatError
        A recording or log that cannot be read, or too few frames on the planned way.
    GeometryError
        No valid pose.
    """
    if not folder.is_done(index):
        raise CaptureError(f"{folder.sweep(index)}: is not recorded yet, wanted a sweep that is done")
    warnings: list[str] = []
    piece = sweep_piece(session, folder, session.sweeps[index], folder.halts(index), warnings)
    return _scan(session, [piece], planned=False), warnings


def open_capture(session: Session, folder: SessionFolder, index: int) -> tuple[Capture, CaptureSignal, FrameClock]:
    """The recording of a sweep, its samples by pose, and the clock of its frames."""
    capture = Capture.open(folder.recording(index))
    if capture.config.digest != session.radar.config.digest:
        raise FormatError(f"{folder.recording(index)}: recorded with another radar configuration than the session's")
    config = capture.config
    frames = Frames(
        layout=config.layout,
        chirps=config.chirps_per_frame,
        samples=config.n_samples,
        rx=config.n_rx,
        tx=config.n_tx,
        offset_binary=False,
        bits=config.adc_bits,
        average=session.loops == "average",
        conjugate=False,
    )
    moves = session.drive is None or session.drive.mode == "continuous"
    return capture, CaptureSignal(capture, frames, moves=moves), frame_times(capture, latency=session.latency)


def pose_times(session: Session, clock: FrameClock, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which poses the frames give, and the time of each [ns]: the middle of its first transmitter's chirps."""
    config = session.radar.config
    if session.loops == "average":
        return frames, clock.pose_times(config, frames)
    poses = frames[:, None] * config.n_loops + np.arange(config.n_loops)
    return poses.ravel(), clock.slots(config, frames)[:, :, 0].ravel()


def sweep_piece(
    session: Session, folder: SessionFolder, sweep: Sweep, halts: Sequence[tuple[int, int]], warnings: list[str]
) -> Piece:
    """The poses of a sweep.

    Parameters
    ----------
    halts : sequence of (int, int)
        When the stage stood still at every stop of the sweep [ns].
    warnings : list of str
        What is doubtful is appended, one line each.

    Raises
    ------
    FormatError
        A recording or log that cannot be read, or too few frames with a known place on the planned way.
    """
    capture, signal, clock = open_capture(session, folder, sweep.index)
    log = read_stage_log(folder.stage_log(sweep.index))
    axis = session.stage.axis(sweep.axis)
    velocity = sweep.speed * sweep.direction if not sweep.stops else 0.0
    n = session.shape[1]
    start_ns = clock.at(np.arange(capture.n_frames))
    middle = np.rint(start_ns + 0.5e9 * session.radar.config.frame_active).astype(np.int64)
    place, known = log.at(middle)
    along = axis.actual(place[sweep.axis], velocity, backward=sweep.direction < 0)
    if sweep.stops:
        frames = _frames_at_halts(halts, start_ns, session)
    else:
        first = _nearest_passage(along, known, sweep.first)
        frames = first + np.arange(n)
    if len(frames) < n or frames[0] < 0 or frames[-1] >= len(middle) or not known[frames].all():
        raise FormatError(
            f"{folder.sweep(sweep.index)}: got {_seen(frames, known)} frames with a known place on the way from "
            f"{_told(sweep, sweep.first)} to {_told(sweep, sweep.last)}, wanted {n}: the stage was slower or went "
            "elsewhere, or its reports or the frames ended too early"
        )
    step = abs(sweep.last - sweep.first) / max(n - 1, 1)
    stray = np.abs(along[frames] - np.linspace(sweep.first, sweep.last, n)).max()
    if stray > max(2 * step, ASTRAY * abs(sweep.last - sweep.first)):
        raise FormatError(
            f"{folder.sweep(sweep.index)}: got frames up to {stray / step:.0f} steps from their planned places between "
            f"{_told(sweep, sweep.first)} and {_told(sweep, sweep.last)}, wanted a step per frame: the stage does not "
            "go at the speed that was asked for; check its steps per millimetre and its highest speed"
        )
    if stray > STRAY * step:
        warnings.append(
            f"sweep {sweep.index + 1}: frames are up to {stray / step:.1f} steps from their planned places; the true "
            "places are used (is the stage's speed what was asked for?)"
        )
    poses, time_ns = pose_times(session, clock, frames)
    place, _ = log.at(time_ns)
    place[sweep.axis] = axis.actual(place[sweep.axis], velocity, backward=sweep.direction < 0)
    position, rotation = session.world.poses({name: place[name] for name in (sweep.axis, *sweep.others)})
    low, high = poses[0], poses[-1] + 1
    valid = np.ones((high - low, *signal.shape[1:3]), dtype=bool)
    if not capture.frames_complete[frames[0] : frames[-1] + 1].all():
        per = signal.frames.poses_per_frame
        valid = signal.poses(int(frames[0]), int(frames[-1]) + 1)[1]
        valid = valid[int(low) - int(frames[0]) * per :][: high - low]
    return Piece(
        signal=signal,
        poses=poses,
        time_ns=time_ns,
        position=position,
        rotation=rotation,
        valid=valid[poses - low],
        notes={
            "frame_clock_rms_us": round(clock.residual_rms * 1e6, 3),
            "drift_ppm": round(clock.drift_ppm, 3),
            "stray_steps": round(float(stray / step), 4) if step else 0.0,
        },
    )


def _nearest_passage(along: np.ndarray, known: np.ndarray, first: float) -> int:
    """The frame nearest to a coordinate, of those with a known place."""
    distance = np.where(known, np.abs(along - first), np.inf)
    return int(np.argmin(distance))


def _seen(frames: np.ndarray, known: np.ndarray) -> int:
    """How many of the frames there are, with a known place."""
    return int(known[frames[(frames >= 0) & (frames < len(known))]].sum())


def _told(sweep: Sweep, place: float) -> str:
    """A stage coordinate for people."""
    return f"{np.rad2deg(place):.1f} deg" if sweep.axis == "angle" else f"{place * 1e3:.1f} mm"


def _frames_at_halts(halts: Sequence[tuple[int, int]], start_ns: np.ndarray, session: Session) -> np.ndarray:
    """For every halt the first frame that lies within it as a whole."""
    active = session.radar.config.frame_active * 1e9
    frames = []
    for arrived, left in halts:
        k = int(np.searchsorted(start_ns, arrived))
        if k < len(start_ns) and start_ns[k] + active <= left:
            frames.append(k)
    return np.array(frames, dtype=int)


def _scan(session: Session, pieces: list[Piece], *, planned: bool) -> Scan:
    time_ns = np.concatenate([piece.time_ns for piece in pieces])
    if not len(time_ns):
        raise GeometryError(f"{session.path.name}: got no pose that is known and valid, wanted at least one")
    begin = int(time_ns[0])
    raster = None
    if session.kind == "raster" and session.loops == "average" and planned:
        n_y, n_x = session.shape
        serpentine = n_y > 1 and session.sweeps[1].direction < 0
        raster = Raster(n_y=n_y, n_x=n_x, step_x=session.step[0], step_y=session.step[1], serpentine=serpentine)
    config = session.radar.config
    scan = Scan(
        signal=PiecesSignal(pieces),
        chirp=config.chirp(),
        array=session.radar.array,
        trajectory=Trajectory(
            time=(time_ns - begin) * 1e-9,
            position=np.concatenate([piece.position for piece in pieces]),
            rotation=np.concatenate([piece.rotation for piece in pieces]),
        ),
        tx_delay=session.radar.config.tx_delay(),
        raster=raster,
        valid=np.concatenate([piece.valid for piece in pieces]),
        attrs={
            "name": session.name,
            "config_digest": config.digest,
            "device": config.device,
            "board": session.radar.array.name,
            "begin_ns": begin,
        },
    )
    notes = [piece.notes for piece in pieces]
    scan = scan.with_step(
        step="capture", version=__version__, session=session.path.name, kind=session.kind, sweeps=notes
    )
    return scan if session.calibration is None else attach_calibration(scan, load_calibration(session.calibration))
