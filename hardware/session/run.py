"""Driving a session: prepare, and for every sweep arm the card, start the radar, move, stop, finish.

One recording per sweep, so that an interruption costs a sweep and not the scan. The stage is polled while it moves and
its reports are kept; the radar runs from before the motion until a whole frame after it. Between radar and card the end
of the stream is waited for: what the card still held would begin the next recording, and shift every frame of it. A
sweep is done when it can be used: its frames are looked up in the stage's reports before the next one is driven.
Whatever goes wrong, the stage is told to stop at once, then the radar, then the card, and what was recorded stays a
valid recording.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from threading import Thread
from typing import Any

from mmsar.errors import CaptureError, MmsarError
from mmsar.hardware.dca1000.card import Card, CardStatus
from mmsar.hardware.dca1000.protocol import AsyncStatus
from mmsar.hardware.dca1000.record import (
    Link,
    Running,
    add_notes,
    keep,
    prepare_card,
    record,
    start_card,
    warnings_for,
)
from mmsar.hardware.dca1000.recorder import Recorder, RecorderState
from mmsar.hardware.dca1000.report import Report
from mmsar.hardware.motion.stage import Stage, StageState, open_stage
from mmsar.hardware.radar_cli import RadarCli
from mmsar.hardware.serial_ports import cli_port
from mmsar.hardware.session.assemble import sweep_piece
from mmsar.hardware.session.check import outline
from mmsar.hardware.session.folder import SessionFolder
from mmsar.hardware.session.setup import Session
from mmsar.hardware.session.stagelog import StageLogWriter
from mmsar.hardware.session.sweeps import Sweep
from mmsar.hardware.session.watch import SLACK, Silence, follow

FIRST_FRAME = 5.0
"""Longest wait for the first packet after the radar's start [s]."""
LEAD = 5.0
"""Frames are counted for the planned time of a sweep times SLACK and LEAD [s] more: stages are slower than planned."""
TAIL = 2.3
"""Longest wait for the end of the stream once the radar has stopped [s]; it comes after 2.0 s."""
POLL = 0.05
DWELL_POLL = 0.25
"""Longest pause between two looks at a stage that halts [s]."""

Progress = Callable[[int, float, RecorderState], None]
"""Called a few times a second with the sweep's number, the part of it that is driven (0 to 1), and the recorder."""


class SessionRun:
    """A session on the bench.

    Parameters
    ----------
    session : Session
        What to do.
    folder : SessionFolder
        Where the recordings go; sweeps that are done there are left out.
    on_progress : callable, optional
        See `Progress`.
    on_warning : callable, optional
        Called with one line for what is doubtful but goes on.
    """

    def __init__(
        self,
        session: Session,
        folder: SessionFolder,
        *,
        on_progress: Progress = lambda index, part, state: None,
        on_warning: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.session, self.folder = session, folder
        self._progress, self._warn = on_progress, on_warning
        card = session.card
        self.link = Link(
            host_ip=card.host_ip,
            card_ip=card.card_ip,
            packet_delay=card.packet_delay,
            buffer=card.buffer_bytes,
        )
        self._recorder: Recorder | None = None
        self._configured = False

    def missing(self) -> list[Sweep]:
        """The sweeps that are not done."""
        return [sweep for sweep in self.session.sweeps if not self.folder.is_done(sweep.index)]

    def run(self) -> None:
        """Everything that is missing, from homing to the last sweep.

        Raises
        ------
        CaptureError
            An instrument that is not there or fails, a sweep that lost its data, a disk that is full. Sweeps that were
            completed by then are in the folder; a new run goes on with the rest.
        """
        if self.session.kind == "freehand":
            self._freehand()
            return
        missing = self.missing()
        if not missing:
            return
        self._check_room(len(missing) / len(self.session.sweeps))
        with ExitStack() as stack:
            radar = stack.enter_context(self._open_radar())  # stops one that still runs, before the card is set up
            card = stack.enter_context(Card(self.link.host_ip, self.link.card_ip, config_port=self.link.config_port))
            card.on_status(self._card_status)
            settings = prepare_card(card, self.session.radar.config, self.link)
            stage = self._open_stage()
            stack.callback(stage.close)
            self._home(stage)
            for sweep in missing:
                self._sweep(sweep, card, radar, stage, settings)

    def _check_room(self, part: float) -> None:
        """Raise CaptureError when the disk cannot hold this part of the session's recordings."""
        wanted, free = part * outline(self.session).nbytes, shutil.disk_usage(self.folder.path).free
        if free < wanted:
            raise CaptureError(
                f"{self.folder.path}: got {free / 2**20:,.0f} MiB free on the disk, wanted {wanted / 2**20:,.0f} MiB "
                "for the recordings; free some space, or put them on another disk with --folder"
            )

    def _open_radar(self) -> RadarCli:
        port = self.session.radar.port
        radar = RadarCli(cli_port().path if port == "auto" else port)
        try:
            radar.wake()
            problem = radar.stop()
            if problem:
                raise CaptureError(problem)
        except BaseException:
            radar.close()
            raise
        return radar

    def _open_stage(self) -> Stage:
        plan = self.session.stage
        options = dict(plan.options)
        return open_stage(plan.kind, plan.port, axes=plan.axes, trust_position=not plan.home, **options)

    def _home(self, stage: Stage) -> None:
        if self.session.stage.home:
            try:
                stage.home()
            except BaseException as error:
                add_notes(error, _halt(stage))
                raise

    def _card_status(self, status: CardStatus) -> None:
        recorder = self._recorder
        if recorder is not None:
            recorder.card_status(status)

    # One sweep

    def _sweep(self, sweep: Sweep, card: Card, radar: RadarCli, stage: Stage, settings: dict[str, Any]) -> None:
        self._go(stage, sweep.begin(), sweep)
        path = self.folder.begin(sweep.index)
        seconds = self.session.drive.sweep_time(sweep)
        period = self.session.radar.config.frame_period
        recorder = self._make_recorder(path / "recording", int((SLACK * seconds + LEAD) / period) + 2)
        log = StageLogWriter(self.folder.stage_log(sweep.index), stage.axes)
        with recorder, log, self._watched(recorder):
            recorder.bind()
            recorder.drain()
            recorder.arm(card=settings)
            running = Running(card, recorder, radar)
            try:
                start_card(card, recorder)
                running.card_records = True
                if not self._configured:
                    self._warn_all(warnings_for(recorder, self.link))
                self._start_radar(radar, running)
                self._await_data(recorder)
                began = time.time_ns()
                halts = self._drive(sweep, stage, recorder, log, seconds)
                self._await_frames(recorder, began, time.time_ns())
                self._stop_radar(running)
            except BaseException as error:
                _stop(stage, running, recorder, error)
                raise
            problems = running.stop()
            report = recorder.finish("sweep complete", early=True, messages=tuple(problems))
        if problems:
            error = CaptureError(problems[0])
            add_notes(error, problems[1:])
            raise error
        self._judge(sweep, report, halts)
        self.folder.finish(
            sweep.index,
            {
                "halts_ns": halts,
                "frames_reached": report.frames_reached,
                "frames_complete": report.frames_complete,
                "upstream_lost": report.upstream_lost,
                "kernel_dropped": report.kernel_dropped,
            },
        )

    def _make_recorder(self, folder: Any, n_frames: int) -> Recorder:
        radar = self.session.radar
        limit = radar.config.n_frames
        return Recorder(
            folder,
            radar.config,
            host_ip=self.link.host_ip,
            card_ip=self.link.card_ip,
            n_frames=min(n_frames, limit) if limit else n_frames,
            data_port=self.link.data_port,
            board=radar.array.name,
            buffer=self.link.buffer,
        )

    @contextlib.contextmanager
    def _watched(self, recorder: Recorder) -> Iterator[None]:
        self._recorder = recorder
        try:
            yield
        finally:
            self._recorder = None

    def _start_radar(self, radar: RadarCli, running: Running) -> None:
        if not self._configured:
            radar.configure(self.session.radar.config.text)
        running.radar_runs = True
        radar.start(reconfigure=not self._configured)
        self._configured = True
        running.recorder.event("radar_started")

    def _stop_radar(self, running: Running) -> None:
        """Stop the radar and wait until the card has sent what it held."""
        so_far = len(running.card.statuses)
        running.stop_radar()
        running.card.wait_status(AsyncStatus.RECORD_COMPLETED, timeout=TAIL, after=so_far)

    def _await_data(self, recorder: Recorder) -> None:
        deadline = time.monotonic() + FIRST_FRAME + self.session.radar.config.frame_period
        while not recorder.state().packets:
            if time.monotonic() > deadline:
                raise CaptureError(
                    f"no data: got no packet from {self.link.card_ip} in {FIRST_FRAME:g} s after sensorStart; look at "
                    "lvdsStreamCfg -1 0 1 0, the 60-pin cable and the LEDs of the card; `mmsar hw doctor` sees the rest"
                )
            time.sleep(POLL)

    def _await_frames(self, recorder: Recorder, began: int, ended: int) -> None:
        """Wait until a whole frame after the motion has come."""
        config = self.session.radar.config
        frames = int(((ended - began) * 1e-9 + POLL) / config.frame_period) + 2  # the first packet was seen late
        wanted = min(frames, recorder.n_frames) * config.frame_bytes
        # the end of a frame stays in the card until the next one pushes it out
        guard = Silence(config.frame_period)
        while (state := recorder.state()).reached < wanted:
            guard.check(state)
            time.sleep(POLL)

    def _drive(
        self, sweep: Sweep, stage: Stage, recorder: Recorder, log: StageLogWriter, seconds: float
    ) -> list[tuple[int, int]]:
        """Drive a sweep and keep the stage's reports; for a sweep with stops, when it stood still [ns, ns]."""
        guard = Silence(self.session.radar.config.frame_period)
        length = abs(sweep.stop - sweep.start) or 1.0

        def look(state: StageState) -> None:
            log.add(state.time_ns, state.position)
            now = recorder.state()
            guard.check(now)
            if now.restarted:
                raise CaptureError("the card began to count anew: it was reset, or told to record by another program")
            self._progress(sweep.index, abs(state.position[sweep.axis] - sweep.start) / length, now)

        look(stage.state())
        halts = []
        for target in sweep.stops or (sweep.stop,):
            move_to = {sweep.axis: target}
            follow(stage, move_to, sweep.speed, seconds, look)
            if sweep.stops:
                arrived, until = time.time_ns(), time.monotonic() + self.session.drive.dwell
                while (left := until - time.monotonic()) > 0:
                    time.sleep(min(DWELL_POLL, left))
                    look(stage.state())
                halts.append((arrived, time.time_ns()))
        look(stage.state())
        return halts

    def _go(self, stage: Stage, place: dict[str, float], sweep: Sweep) -> None:
        """Move to where a sweep begins and wait until the stage stands there."""
        plan = self.session.stage
        rotary = {axis.name for axis in plan.axes if axis.rotary}
        groups = [{k: v for k, v in place.items() if (k in rotary) == turning} for turning in (False, True)]
        for group in groups:
            if group:
                speed = sweep.speed if rotary & set(group) else plan.travel_speed
                ways = [abs(axis.high - axis.low) for axis in plan.axes if axis.name in group]
                try:
                    stage.move_to(group, speed=speed)
                    stage.wait_idle(timeout=10 + 3 * sum(ways) / speed)
                except BaseException as error:
                    add_notes(error, _halt(stage))
                    raise

    def _judge(self, sweep: Sweep, report: Report, halts: list[tuple[int, int]]) -> None:
        """Raise CaptureError for a sweep that is of no use; warn of losses."""
        try:
            sweep_piece(self.session, self.folder, sweep, halts, [])
        except MmsarError as error:
            raise CaptureError(f"sweep {sweep.index + 1}: {error}; --resume records it again") from error
        lost = report.upstream_lost + report.kernel_dropped
        if lost:
            self._warn(
                f"sweep {sweep.index + 1}: {lost} packets lost ({report.kernel_dropped} in this computer), "
                f"{report.frames_damaged} frames damaged; their channels are marked as not valid"
            )

    def _warn_all(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._warn(text)

    # Without a stage

    def _freehand(self) -> None:
        if self.folder.is_done(0):
            return
        self._check_room(1.0)
        config = self.session.radar.config
        n = max(1, round(self.session.duration / config.frame_period))
        self.folder.begin(0)
        with self._open_radar() as radar:
            report = record(
                self.folder.recording(0),
                config,
                n_frames=n,
                link=self.link,
                radar=radar,
                board=self.session.radar.array.name,
                on_armed=self._warn_all,
                on_progress=lambda state: self._progress(0, state.reached / (n * config.frame_bytes), state),
            )
        self._warn_all(report.messages)
        self.folder.finish(0, {"halts_ns": [], "frames_complete": report.frames_complete})


def _stop(stage: Stage, running: Running, recorder: Recorder, error: BaseException) -> None:
    """Stop everything, the stage without waiting for the others, and keep the recording; see `keep`."""
    problems: list[str] = []
    halting = Thread(target=lambda: problems.extend(_halt(stage)), name="stage-stop")
    halting.start()
    stopped = running.stop()
    halting.join()
    keep(recorder, error, [*problems, *stopped])


def _halt(stage: Stage) -> list[str]:
    """Stop a stage at once; what did not work."""
    try:
        stage.stop()
    except CaptureError as error:
        return [f"the stage could not be stopped and may still move: {error}"]
    return []
