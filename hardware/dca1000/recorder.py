"""Recording the card's packets to a folder: the data side of a capture.

    recorder = Recorder(folder, config, host_ip=..., n_frames=...)
    recorder.arm()        socket bound, manifest written, receiver and writer running; then the card, then the radar
    recorder.wait(...)    until the frames are there, or nothing comes any more
    recorder.finish(...)  the report

Two processes do the work (`receiver`, `writer`); this object starts them, watches their counters and ends them. When
the program that holds it is killed, they finish the recording by themselves.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mmsar._version import __version__
from mmsar.core.checks import positive_int
from mmsar.errors import CaptureError, FormatError
from mmsar.hardware.dca1000 import diagnose, journal, protocol, receiver
from mmsar.hardware.dca1000.report import Report
from mmsar.hardware.dca1000.ring import Ring, Slot
from mmsar.io.atomic import DISK_ADVICE

if TYPE_CHECKING:
    from mmsar.hardware.config.radar import RadarConfig

RING_SECONDS = 6.0
"""How long a stall of the disk the ring bridges at the configured rate [s]."""
RING_RANGE = (32 << 20, 640 << 20)
RING_SHARE = 8
"""The ring takes at most this fraction of the free memory, but never less than the lower end of the range."""
LEAST_BUFFER = 0.25
"""Less than this in the socket's buffer is worth a warning [s]."""
SILENCE = 2.6
"""Silence after which a recording is over [s]: the last part of a packet comes 2.000 s after the radar's last data."""
GRACE = 0.3
"""Time for late packets once the end of the stream was seen [s]."""
COMPLETED_SILENCE = 1.0
"""Least time without packets before the card's message that a recording is complete [s]; usually 2 s."""
SETTLE = 0.1
"""Time for copies of the last packets, so that they are counted [s]."""
START_TIMEOUT = 5.0
POLL = 0.02
RECEIVER_TIMEOUT = 5.0
FINISH_TIMEOUT = 120.0
"""Longest time the disk may take for what is in the ring [s]."""


@dataclass(frozen=True, kw_only=True)
class RecorderState:
    """A look at a running recording."""

    packets: int
    """Datagrams of the card so far."""
    frames_complete: int
    bytes_received: int
    """Bytes of the wanted frames."""
    reached: int
    """End of the stream seen so far [bytes]."""
    lost: int
    """Packets missing up to there."""
    kernel_dropped: int
    foreign: int
    restarted: bool
    """Whether the card began to count anew."""


def clocks() -> dict[str, int]:
    """The machine's clocks at one moment [ns]; REALTIME in the middle of the readings."""
    monotonic = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    realtime = time.clock_gettime_ns(time.CLOCK_REALTIME)
    raw = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    return {"realtime_ns": realtime, "monotonic_ns": monotonic, "monotonic_raw_ns": raw}


class Recorder:
    """One recording of `n_frames` frames; a context manager that ends what it started.

    Parameters
    ----------
    folder : path
        Folder to make; an empty one may be there.
    config : RadarConfig
        What the radar sends.
    host_ip, card_ip : str
        Address the card sends to, and the card's own: datagrams of others are counted, not kept.
    n_frames : int
        Frames to record.
    data_port : int
        Port the card sends to.
    board : str, optional
        Name of the antenna board, for the manifest.
    buffer : int
        Socket buffer to ask for [bytes].
    notes : mapping, optional
        Further JSON values for the manifest.

    Raises
    ------
    GeometryError, FormatError, CaptureError
        A number of frames below 1; a folder that holds something; an address or port that is not free.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        config: "RadarConfig",
        *,
        host_ip: str = protocol.HOST_IP,
        card_ip: str = protocol.CARD_IP,
        n_frames: int,
        data_port: int = protocol.DATA_PORT,
        board: str | None = None,
        buffer: int = receiver.BUFFER,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.config = Path(folder), config
        self.host_ip, self.card_ip, self.data_port = host_ip, card_ip, data_port
        self.n_frames = positive_int("frames", n_frames)
        self.board, self.notes, self._buffer_wanted = board, dict(notes or {}), buffer
        self.buffer: receiver.Buffer | None = None
        """The socket's buffer, once bound."""
        self.report: Report | None = None
        """The report, once finished."""
        self._socket = None
        self._ring: Ring | None = None
        self._receiver: subprocess.Popen | None = None
        self._writer: subprocess.Popen | None = None
        self._events: journal.EventLog | None = None
        self._completed_at = float("-inf")
        self._complaints: list[str] = []
        self._clock_at = 0.0
        journal.check_folder(self.folder)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close(str(error) or kind.__name__ if kind else "closed before it was finished")

    # Start

    def bind(self) -> receiver.Buffer:
        """Take the data port; `arm` does it when it was not done before. The socket buffer that the kernel gave."""
        if self._socket is None:
            self._socket, self.buffer = receiver.open_data_socket(
                self.host_ip, self.data_port, buffer=self._buffer_wanted
            )
        return self.buffer

    def drain(self) -> int:
        """Throw away what came before `arm`: the rest of an earlier stream. How many datagrams that was."""
        self.bind()
        return receiver.drain(self._socket)

    def arm(self, *, card: Mapping[str, Any] | None = None) -> None:
        """Write the manifest (with `card`: version and settings) and start receiving and writing.

        When that fails the folder is left as it was found, so that the next try does not stumble over it.

        Raises
        ------
        CaptureError
            No memory for the ring, or a disk that takes no data.
        OSError
            A disk that does not take the manifest.
        """
        self.bind()
        made = not self.folder.exists()
        try:
            self.folder.mkdir(exist_ok=True)
            journal.write_json(self.folder / journal.MANIFEST, self._manifest(card or {}))
            self._events = journal.EventLog(self.folder)
            self.event("clocks", **clocks())
            self._start()
        except BaseException:
            self._release()
            journal.remove(self.folder)
            if made:
                with suppress(OSError):
                    self.folder.rmdir()
            raise

    def _manifest(self, card: Mapping[str, Any]) -> dict[str, Any]:
        config = self.config
        return {
            "mmsar_recording": journal.SCHEMA,
            "mmsar_version": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "device": config.device,
            "board": self.board,
            "frames": self.n_frames,
            "frame_bytes": config.frame_bytes,
            "frame_period_s": config.frame_period,
            "layout": config.layout,
            "tx_order": list(config.tx_order),
            "rx": list(config.rx),
            "loops": config.n_loops,
            "samples": config.n_samples,
            "config_digest": config.digest,
            "host": {"ip": self.host_ip, "data_port": self.data_port},
            "card": {"ip": self.card_ip, **card},
            "socket_buffer": {
                "requested": self.buffer.requested,
                "granted": self.buffer.granted,
                "forced": self.buffer.forced,
            },
            "clocks": clocks(),
            **self.notes,
            "config": config.text,
        }

    def _start(self) -> None:
        low, high = RING_RANGE
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._ring = Ring.create(int(max(min(RING_SECONDS * self.config.data_rate, high, free / RING_SHARE), low)))
        sizes = {"frame_bytes": self.config.frame_bytes, "n_frames": self.n_frames}
        ring, sock, folder = self._ring.fd, self._socket.fileno(), str(self.folder.resolve())
        self._writer = _spawn("writer", [ring], ring=ring, folder=folder, **sizes)
        self._receiver = _spawn("receiver", [ring, sock], ring=ring, socket=sock, card_ip=self.card_ip)
        deadline = time.monotonic() + 30
        slots = self._ring.slots
        while not (slots[Slot.WRITER_READY] and slots[Slot.RECEIVER_READY]):
            self._check_alive()
            if time.monotonic() > deadline:
                raise CaptureError("recorder: its processes did not start in 30 s; is the machine overloaded?")
            time.sleep(0.002)
        self._socket.close()  # the receiver has it
        self._socket = None

    # While it runs

    def state(self) -> RecorderState:
        """A look at the counters.

        Raises
        ------
        CaptureError
            The disk refused, or one of the processes is gone.
        """
        self._check_alive()
        slots = self._ring.slots
        return RecorderState(
            packets=slots[Slot.PACKETS],
            frames_complete=slots[Slot.FRAMES],
            bytes_received=slots[Slot.BYTES],
            reached=slots[Slot.REACHED],
            lost=slots[Slot.LOST],
            kernel_dropped=slots[Slot.KERNEL_DROPPED],
            foreign=slots[Slot.FOREIGN],
            restarted=bool(slots[Slot.RESTARTED]),
        )

    def event(self, name: str, **values: Any) -> None:
        """Note something in the recording, with the time."""
        if self._events is not None:
            self._events.add(name, time_ns=time.time_ns(), **values)

    def card_status(self, status: Any) -> None:
        """Note a status message of the card (`CardStatus`); for `Card.on_status`."""
        if status.status & protocol.AsyncStatus.RECORD_COMPLETED:
            self._completed_at = time.monotonic()
        if diagnose.is_failure(status.status) and str(status) not in self._complaints:
            self._complaints.append(str(status))
        self.event("card_status", kernel_ns=status.time_ns, status=int(status.status), text=str(status))

    def wait(
        self,
        *,
        start_timeout: float = START_TIMEOUT,
        silence: float = SILENCE,
        on_progress: Callable[[RecorderState], None] | None = None,
    ) -> str:
        """Wait for the end: "complete", "end of stream" (with losses), "silence" or "restart".

        Parameters
        ----------
        start_timeout : float
            Time until the first packet [s].
        silence : float
            Time without packets after which no more are expected [s].
        on_progress : callable, optional
            Called some times a second.

        Raises
        ------
        CaptureError
            No packet in `start_timeout`, or what `state` raises.
        """
        begin = changed = time.monotonic()
        packets, over_at, last_look = 0, None, 0.0
        total = self.config.frame_bytes * self.n_frames
        while True:
            state, now = self.state(), time.monotonic()
            if on_progress is not None and now - last_look > 0.1:
                on_progress(state)
                last_look = now
            if now - self._clock_at > 1.0:
                self.event("clocks", **clocks())
                self._clock_at = now
            if state.frames_complete == self.n_frames:
                time.sleep(SETTLE)
                return "complete"
            if state.restarted:
                return "restart"
            if state.packets != packets:
                packets, changed = state.packets, now
            quiet = now - changed
            if state.reached >= total:
                over_at = over_at or now
                if now - over_at > GRACE:
                    return "end of stream"
            if not packets and now - begin > start_timeout:
                raise CaptureError(self._no_data(state, start_timeout))
            if packets and (quiet > silence or (quiet > SILENCE and total - state.reached < protocol.PAYLOAD)):
                return "silence"
            if packets and self._completed(changed, quiet):
                return "end of stream"
            time.sleep(POLL)

    def _completed(self, changed: float, quiet: float) -> bool:
        """Whether the card said that the recording is complete, after a silence as at its end, and nothing came since.

        The message alone proves nothing: it may belong to an earlier recording, or come before the first packet.
        """
        said = self._completed_at - changed > COMPLETED_SILENCE
        return self.config.trigger == "software" and said and quiet > GRACE + 1.2 * self.config.frame_period

    def _no_data(self, state: RecorderState, timeout: float) -> str:
        seen = ""
        if state.foreign:
            ip = ".".join(str(byte) for byte in int(self._ring.slots[Slot.FOREIGN_IP]).to_bytes(4, "big"))
            seen = f" ({state.foreign} datagrams of {ip} are not the card's: give --card-ip {ip} if that is the card)"
        seen += "".join(f" (the card said: {text})" for text in self._complaints)
        return (
            f"no data: got no packet from {self.card_ip} in {timeout:g} s{seen}, wanted the radar's samples. Look at: "
            "was sensorStart answered by Done; lvdsStreamCfg -1 0 1 0 in the configuration (stock xWR14xx demos have "
            "no LVDS); SOP jumpers in functional mode (001); 60-pin cable; LED LVDS_PATH_ERR: no data from the radar, "
            "wrong number of lanes; hardware trigger: does it come"
        )

    def _check_alive(self) -> None:
        slots = self._ring.slots
        if number := slots[Slot.ERRNO]:
            what = os.strerror(number).lower()
            advice = DISK_ADVICE.get(number, "check the disk")
            raise CaptureError(f"{self.folder}: the disk refused to take more ({what}); {advice}")
        for name, process in (("writing", self._writer), ("receiving", self._receiver)):
            if process is not None and process.poll() is not None:
                raise CaptureError(f"recorder: its {name} process ended unasked (exit {process.returncode})")

    # End

    def finish(
        self,
        ended: str = "complete",
        *,
        interrupted: bool = False,
        early: bool = False,
        messages: tuple[str, ...] = (),
    ) -> Report:
        """Stop receiving, write what is there, and report; a second call returns the same report.

        Parameters
        ----------
        ended : str
            Why the recording ended, for the report.
        interrupted : bool
            Whether something cut the recording short: what is missing was never waited for.
        early : bool
            The same, but as intended: fewer frames than `n_frames`, which was an upper bound, are all there is.
        messages : tuple of str
            Further lines for the report.

        Raises
        ------
        CaptureError
            The disk did not take what was left.
        """
        if self.report is not None:
            return self.report
        if self._ring is None:
            raise CaptureError("recorder: finish() before arm(); there is nothing to report")
        end = {"ended": ended, "interrupted": interrupted, "early": early}
        self.event("end", **end, **clocks())
        self._ring.slots[Slot.STOP] = 1
        said = [f"the card said: {text}" for text in self._complaints]
        why = json.dumps({**end, "messages": [*messages, *said]}) + "\n"
        try:
            with suppress(subprocess.TimeoutExpired):
                self._receiver.wait(timeout=RECEIVER_TIMEOUT)
            self._ring.slots[Slot.RECEIVER_DONE] = 1  # says so itself, unless it was killed
            self._writer.communicate(why.encode(), timeout=FINISH_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise CaptureError(
                f"{self.folder}: the disk did not take the rest in {FINISH_TIMEOUT:g} s; run mmsar hw recover on it"
            ) from None
        finally:
            self._release()
        path = self.folder / journal.REPORT
        if not path.exists():  # the writer was killed, or has no room for the report
            from mmsar.hardware.dca1000.recover import survey

            self.report = survey(self.folder, ended=ended).report
        else:
            self.report = Report.from_json(journal.read_json(path), str(path))
        return self.report

    def close(self, ended: str = "closed before it was finished") -> None:
        """End everything; what was recorded is kept as an interrupted recording."""
        if self._ring is not None and self.report is None:
            try:
                self.finish(ended, interrupted=True)
            except (CaptureError, FormatError, OSError):
                self._release()
        self._release()

    def _release(self) -> None:
        for process in (self._receiver, self._writer):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
            if process is not None and process.stdin is not None:
                process.stdin.close()
        self._receiver = self._writer = None
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _spawn(module: str, fds: list[int], **given: Any) -> subprocess.Popen:
    given["parent"] = os.getpid()
    command = [sys.executable, "-m", f"mmsar.hardware.dca1000.{module}", json.dumps(given)]
    return subprocess.Popen(command, pass_fds=fds, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
