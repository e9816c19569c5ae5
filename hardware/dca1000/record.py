"""A whole recording in the order that works: socket, card, recording, radar; at the end radar, tail, card.

A radar that still runs is stopped before anything else. The data socket is bound before the card is told to record, and
the card records before the radar starts, so that frames begin at byte 0. The card sends the last part of a packet 2 s
after the radar's last data, so the end is waited for. Whatever goes wrong, the radar is stopped first and the card
second, and what was recorded stays a valid recording.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mmsar.core.checks import finite_number
from mmsar.errors import CaptureError, FormatError, GeometryError
from mmsar.hardware import device
from mmsar.hardware.dca1000 import protocol, receiver
from mmsar.hardware.dca1000.card import Card
from mmsar.hardware.dca1000.recorder import LEAST_BUFFER, SILENCE, START_TIMEOUT, Recorder, RecorderState
from mmsar.hardware.dca1000.report import Report

if TYPE_CHECKING:
    from mmsar.hardware.config.radar import RadarConfig

START_TIMEOUT_ALONE = 30.0
"""Time something else has to start the radar [s]."""
IDLE_TIMEOUT = 60.0
"""Longest pause between frames with a hardware trigger [s]."""
HURRY_TIMEOUT = 0.025
"""Time a card that has fallen silent gets for its answer [s], for each of four tries; it needs about 0.1 ms."""
TAIL_PACKETS = 4
"""A stream that ends further from its end than this has not only lost packets: the card fell silent."""


class Radar(Protocol):
    """What starts and stops the frames: `RadarCli`, or anything else that can."""

    def configure(self, text: str) -> object: ...
    def start(self) -> object: ...
    def stop(self) -> str | None: ...


@dataclass(frozen=True, kw_only=True)
class Link:
    """How the card is reached and how its packets are received."""

    host_ip: str = protocol.HOST_IP
    card_ip: str = protocol.CARD_IP
    config_port: int = protocol.CONFIG_PORT
    data_port: int = protocol.DATA_PORT
    packet_delay: float = 25e-6
    """Pause between datagrams [s]."""
    buffer: int = receiver.BUFFER
    """Socket buffer to ask for [bytes], 1 GiB or less: the kernel books twice as much in an int."""

    def __post_init__(self) -> None:
        if self.host_ip == self.card_ip:
            raise GeometryError(f"card address: got {self.card_ip}, this machine's own; wanted the card's; correct it")
        if not 0 < self.buffer < 1 << 30:
            raise GeometryError(
                f"socket buffer: got {self.buffer / 2**20:g} MiB, wanted less than 1024 MiB; ask for less"
            )

    @property
    def capacity(self) -> float:
        """Payload the card can send [bytes/s]."""
        return protocol.PAYLOAD / protocol.packet_interval(self.packet_delay)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for what [s]."""

    start: float = START_TIMEOUT
    """For the first packet after the radar's start."""
    silence: float = SILENCE
    """For further packets."""

    def __post_init__(self) -> None:
        for name in ("start", "silence"):
            object.__setattr__(self, name, finite_number(f"patience {name}", getattr(self, name), "s", above=0.0))


def lanes_of(config: "RadarConfig") -> int:
    """LVDS lanes the card must expect."""
    if config.layout.startswith("4lane"):
        return 4
    return device.device(config.device).lanes if config.layout == "real" else 2


def prepare_card(card: Card, config: "RadarConfig", link: Link) -> dict[str, object]:
    """Set a connected card for a configuration; what it says of itself, for the manifest."""
    card.aliveness()
    version = card.version()
    lanes, bits = lanes_of(config), config.adc_bits
    card.configure(lanes=lanes, bits=bits)
    card.set_packet_delay(link.packet_delay)
    return {"version": str(version), "lanes": lanes, "bits": bits, "packet_delay_us": link.packet_delay * 1e6}


def start_card(card: Card, recorder: Recorder) -> None:
    """START_RECORD; a card that still records for a recorder that has gone is stopped and asked again."""
    try:
        card.start_record()
    except CaptureError:
        if not card.stop_record():
            raise
        recorder.event("card_restarted", text="it was still recording")
        card.start_record()
    recorder.event("start_record")


def record(
    folder: Path,
    config: "RadarConfig",
    *,
    n_frames: int,
    link: Link = Link(),
    radar: Radar | None = None,
    board: str | None = None,
    patience: Patience | None = None,
    on_armed: Callable[[list[str]], None] = lambda warnings: None,
    on_progress: Callable[[RecorderState], None] | None = None,
) -> Report:
    """Record `n_frames` frames to `folder`.

    Parameters
    ----------
    radar : Radar, optional
        Started once the card records and stopped at the end; None: something else does that.
    patience : Patience, optional
        Default: the tail's 2.6 s; with a hardware trigger `IDLE_TIMEOUT`; without `radar` 30 s for the first packet.
    on_armed : callable
        Called with warnings once the card records, before the radar is started.
    on_progress : callable, optional
        Called some times a second with the recorder's state.

    Returns
    -------
    Report
        Also where packets were lost: look at `lossless`.

    Raises
    ------
    CaptureError
        The card or the radar does not do what it should, no data comes, the card falls silent before the last frame, it
        begins to count anew, or the disk refuses. What was recorded by then is in `folder`. What could not be stopped
        (the radar may still transmit) is in the notes of the error (`__notes__`), also of KeyboardInterrupt.
    FormatError, GeometryError
        A folder that is not empty, more frames than the configuration sends.
    """
    check_frames(config, n_frames)
    lanes_of(config)
    if patience is None:
        patience = Patience(
            start=START_TIMEOUT if radar is not None else START_TIMEOUT_ALONE,
            silence=IDLE_TIMEOUT if config.trigger == "hardware" else SILENCE,
        )
    card = Card(link.host_ip, link.card_ip, config_port=link.config_port)
    recorder = Recorder(
        folder,
        config,
        host_ip=link.host_ip,
        card_ip=link.card_ip,
        n_frames=n_frames,
        data_port=link.data_port,
        board=board,
        buffer=link.buffer,
    )
    with recorder:
        recorder.bind()
        with card:
            if radar is not None and (problem := radar.stop()):  # what it still sent would begin the recording
                raise CaptureError(problem)
            settings = prepare_card(card, config, link)
            if recorder.drain():  # the rest of an earlier stream, or one that still runs
                card.stop_record()
                recorder.drain()
            recorder.arm(card=settings)
            card.on_status(recorder.card_status)
            running = Running(card, recorder, radar)
            try:
                start_card(card, recorder)
                running.card_records = True
                on_armed(warnings_for(recorder, link))
                if radar is not None:
                    radar.configure(config.text)
                    running.radar_runs = True
                    radar.start()
                    recorder.event("radar_started")
                ended = recorder.wait(start_timeout=patience.start, silence=patience.silence, on_progress=on_progress)
            except BaseException as error:
                running.hurry = True
                keep(recorder, error, running.stop())
                raise
            running.hurry = ended == "silence"
            problems = running.stop()
            report = recorder.finish(ended, messages=tuple(problems))
    _complain(report, recorder, ended)
    return report


@dataclass
class Running:
    """What has been started, to be stopped in the right order whatever happens."""

    card: Card
    recorder: Recorder
    radar: Radar | None
    card_records: bool = False
    hurry: bool = False
    """Whether the card may be gone: do not wait long for its answer."""
    radar_runs: bool = False
    problems: list[str] = field(default_factory=list)
    """What could not be stopped so far."""

    def stop_radar(self) -> None:
        """Stop the radar, unless that was done already."""
        if not self.radar_runs or self.radar is None:
            return
        problem = self.radar.stop()
        self.radar_runs = False
        self.recorder.event("radar_stopped", problem=problem)
        self.problems += [problem] if problem else []

    def stop(self) -> list[str]:
        """Stop the radar, then the card; what could not be stopped."""
        self.stop_radar()
        if self.card_records:
            usual = self.card.timeout
            self.card.timeout = HURRY_TIMEOUT if self.hurry else usual
            try:
                self.card.stop_record()
                self.recorder.event("stop_record")
            except CaptureError as error:
                self.problems.append(f"the card could not be stopped: {error}")
            finally:
                self.card.timeout = usual
        return self.problems


def add_notes(error: BaseException, notes: Iterable[str]) -> None:
    """Note on an error what else the user must know; the command prints it as warnings."""
    for note in notes:
        error.add_note(note)


def keep(recorder: Recorder, error: BaseException, problems: list[str]) -> None:
    """End a recording that ends in an error; `problems`, what could not be stopped, go to its report and the error."""
    add_notes(error, problems)
    why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
    try:
        recorder.finish(why, interrupted=True, messages=tuple(problems))
    except (CaptureError, FormatError, OSError) as second:  # the first error is the one to tell
        error.add_note(str(second))


def check_frames(config: "RadarConfig", n_frames: int) -> None:
    """Raise FormatError when the configuration sends fewer frames than are wanted."""
    if config.n_frames and n_frames > config.n_frames:
        raise FormatError(
            f"frames: got {n_frames} to record, wanted at most the {config.n_frames} that frameCfg sends; change either"
        )


def warnings_for(recorder: Recorder, link: Link) -> list[str]:
    """What may cost packets, known before the first one comes."""
    found = []
    buffer, rate = recorder.buffer, recorder.config.data_rate
    seconds = buffer.seconds(rate / protocol.PAYLOAD)
    if seconds < LEAST_BUFFER:
        found.append(
            f"socket buffer: got {buffer.granted / 2**20:.1f} MiB, {seconds:.2f} s of data, wanted {LEAST_BUFFER} s or "
            f"more; sudo sysctl -w net.core.rmem_max={max(buffer.requested, receiver.BUFFER)}"
        )
    if rate > 0.8 * link.capacity:
        found.append(
            f"packet delay: got {link.packet_delay * 1e6:g} us, which lets {link.capacity * 8e-6:.0f} Mb/s through, "
            f"wanted 1.25 times the radar's {rate * 8e-6:.0f} Mb/s; lower it"
        )
    return found


def _complain(report: Report, recorder: Recorder, ended: str) -> None:
    """Raise CaptureError, with the report's messages as notes, when a recording ended that should not have."""
    whole = f"{report.frames_complete} of {report.frames_expected} frames are complete in {recorder.folder}"
    missing = report.frames_expected * report.frame_bytes - report.stream_end
    if ended == "restart":
        error = CaptureError(f"the card began to count anew: it was reset, or told to record by another; {whole}")
    elif ended == "silence" and missing > TAIL_PACKETS * report.payload_bytes:
        frame = report.stream_end // report.frame_bytes
        error = CaptureError(
            f"the card fell silent in frame {frame} of {report.frames_expected}: check cables, power and the radar; "
            f"{whole}"
        )
    else:
        return
    add_notes(error, report.messages)
    raise error
