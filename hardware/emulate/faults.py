"""What goes wrong between the card and the host, drawn from a seed, and an exact log of it.

`FaultPlan` says what shall happen, `FaultLane` lets packets through it: packets in, datagrams in the order and at the
times they go on the wire out. What happens to a packet depends on the seed and on its place in the stream alone, never
on how the stream was cut into batches. `StreamLog` counts from what was really sent, not from what was meant.
"""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from mmsar.core.checks import finite_number
from mmsar.errors import GeometryError

_BLOCK = 4096
_DRAWS = 8
_MEMORY = 1_000_000
"""Packets a copy may come after and still be known as one."""
_CHANCES = ("drop", "burst", "reorder", "duplicate", "delay", "truncate", "async_before_reply")


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """Faults of the card and of the way to the host. All off by default.

    Raises
    ------
    GeometryError
        A chance outside 0 to 1, or a count or time below its least value.
    """

    drop: float = 0.0
    """Chance of a packet to get lost."""
    burst: float = 0.0
    """Chance of a loss of `burst_length` packets in a row to begin at a packet."""
    burst_length: int = 20
    """Packets of a burst loss."""
    reorder: float = 0.0
    """Chance of a packet to be overtaken by 1 to `depth` packets."""
    depth: int = 32
    """Most packets that overtake."""
    duplicate: float = 0.0
    """Chance of a packet to come a second time, 1 to `depth` packets later."""
    delay: float = 0.0
    """Chance of a packet to be held up by `delay_s`."""
    delay_s: float = 0.01
    """How long a packet is held up [s]."""
    truncate: float = 0.0
    """Chance of a packet to be cut to a random length."""
    restart_after: int | None = None
    """Packets after which sequence number and byte count begin anew, as after a reset of the card."""
    silent_after: int | None = None
    """Packets after which nothing leaves the card any more, no answer and no status either, as with a pulled cable."""
    mute_after: int | None = None
    """Requests after which none is answered any more."""
    async_before_reply: float = 0.0
    """Chance of an asynchronous status between a request and its answer."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        for name in _CHANCES:
            value = finite_number(f"faults {name}", getattr(self, name), "chance")
            if not 0 <= value <= 1:
                raise GeometryError(f"faults {name}: got {value:g}, wanted a chance from 0 to 1")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "delay_s", finite_number("faults delay_s", self.delay_s, "s", above=0.0))
        for name, least in (("burst_length", 1), ("depth", 1), ("seed", 0)):
            self._whole(name, least)
        for name in ("restart_after", "silent_after", "mute_after"):
            if getattr(self, name) is not None:
                self._whole(name, 0)

    def _whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise GeometryError(f"faults {name}: got {value!r}, wanted a whole number >= {least}")

    @property
    def touches_data(self) -> bool:
        """Whether any fault concerns the data packets."""
        chances = any(getattr(self, name) for name in _CHANCES if name != "async_before_reply")
        return chances or self.restart_after is not None or self.silent_after is not None

    @classmethod
    def parse(cls, text: str) -> "FaultPlan":
        """A plan from `name=value` pairs separated by commas, as on the command line: "drop=0.01,seed=1"."""
        known = {f.name: f for f in fields(cls)}
        values: dict[str, Any] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            name, _, value = part.partition("=")
            if name not in known:
                raise GeometryError(f"faults: got {name!r}, wanted one of {', '.join(known)}")
            whole = "int" in str(known[name].type)
            try:
                values[name] = int(value) if whole else float(value)
            except ValueError:
                kind = "a whole number" if whole else "a number"
                raise GeometryError(f"faults {name}: got {value!r}, wanted {kind}") from None
        return cls(**values)


@dataclass(kw_only=True)
class StreamLog:
    """What one recording's data really was: everything the card packed, and everything that went on the wire.

    It is complete once the stream is (`DcaEmulator.wait`); before that it may be some packets behind the wire.
    """

    packed: int = 0
    """Packets the card made."""
    packed_bytes: int = 0
    """Their payload."""
    sent: int = 0
    """Datagrams put on the wire."""
    dropped: int = 0
    """Packets that never went on the wire (`drop`, `burst`, `silent_after`)."""
    duplicated: int = 0
    """Datagrams that were sent although their packet had been sent before."""
    late: int = 0
    """Packets first sent after one with a higher number."""
    truncated: int = 0
    """Packets cut short."""
    delayed: int = 0
    """Packets held up."""
    restarts: int = 0
    """Times the numbering began anew."""
    tails: int = 0
    """Part packets sent after silence."""
    lost_bytes: int = 0
    """Data of the radar that the card had no room for."""
    max_lag: float = 0.0
    """Longest time a packet was sent later than it was due [s]: above some ms the emulator was too slow."""
    notes: list[str] = field(default_factory=list)
    """What else happened, in words."""
    order: list[np.ndarray | range] = field(default_factory=list)
    """Places in the stream (from 0) of the datagrams in the order they were sent, in pieces; see `sent_order`."""
    frame_times: list[int] = field(default_factory=list)
    """True start of every frame, CLOCK_REALTIME [ns]."""

    _highest: int = -1
    _known: set[int] = field(default_factory=set)

    @property
    def distinct(self) -> int:
        """Packets that went on the wire at least once."""
        return self.sent - self.duplicated

    def sent_order(self) -> np.ndarray:
        """Places in the stream (from 0) of all datagrams in the order they were sent, int64."""
        pieces = [np.asarray(piece, dtype=np.int64) for piece in self.order]
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)

    def missing(self) -> np.ndarray:
        """Places in the stream of the packets that never went on the wire, int64, ascending."""
        return np.setdiff1d(np.arange(self.packed), self.sent_order())

    def damaged_frames(self, frame_bytes: int, *, payload: int = 1456) -> set[int]:
        """Frames that a missing packet carried a part of; for streams without truncated packets and restarts."""
        hurt: set[int] = set()
        for place in self.missing():
            first, end = int(place) * payload, min((int(place) + 1) * payload, self.packed_bytes)
            hurt.update(range(first // frame_bytes, (end - 1) // frame_bytes + 1))
        return hurt

    def count_run(self, first: int, n: int) -> None:
        """Enter `n` packets that were sent in order, none of them before, after all others."""
        last = self.order[-1] if self.order else None
        if isinstance(last, range) and last.stop == first:
            self.order[-1] = range(last.start, first + n)
        elif n:
            self.order.append(range(first, first + n))
        self.sent += n

    def count(self, places: np.ndarray) -> None:
        """Enter datagrams that were sent, in order."""
        if not len(places):
            return
        self.order.append(places)
        self.sent += len(places)
        for place in places.tolist():
            if place in self._known:
                self.duplicated += 1
                continue
            self._known.add(place)
            if place > self._highest:
                self._highest = place
            else:
                self.late += 1
        if len(self._known) > _MEMORY:
            self._known = {place for place in self._known if place > self._highest - _MEMORY // 2}


Sent = tuple[np.ndarray, list[bytes], np.ndarray]
"""Places in the stream, datagrams, and when they go on the wire [s], in order."""


class FaultLane:
    """Packets through a `FaultPlan`."""

    def __init__(self, plan: FaultPlan, log: StreamLog) -> None:
        self.plan = plan
        self.log = log
        self._draws: tuple[int, np.ndarray] = (-1, np.empty(0))
        self._lost_to = 0
        self._held: list[tuple[float, float, bool, int, bytes]] = []

    def through(
        self, first: int, datagrams: list[bytes], due: np.ndarray
    ) -> tuple[np.ndarray, list[bytes], np.ndarray]:
        """The datagrams that go on the wire now, in order.

        Parameters
        ----------
        first : int
            Place of the first packet in the stream, from 0; batches follow each other.
        datagrams : list of bytes
            The packets.
        due : float array
            When each is sent [s].

        Returns
        -------
        places : int64 array
            Place in the stream of every datagram.
        datagrams : list of bytes
            What is sent.
        due : float array
            When [s]; not decreasing.
        """
        plan, log = self.plan, self.log
        out = self._held
        for i, datagram in enumerate(datagrams):
            place = first + i
            draw = self._draw(place)
            if plan.silent_after is not None and place >= plan.silent_after:
                log.dropped += 1
                continue
            if draw[1] < plan.burst:
                self._lost_to = max(self._lost_to, place + plan.burst_length)
            if place < self._lost_to or draw[0] < plan.drop:
                log.dropped += 1
                continue
            if draw[2] < plan.truncate:
                datagram = datagram[: int(draw[3] * len(datagram))]
                log.truncated += 1
            shift = 1 + int(draw[5] * plan.depth)
            held_up = bool(draw[4] < plan.delay)
            time = float(due[i]) + (plan.delay_s if held_up else 0.0)
            log.delayed += held_up
            key = place + shift + 0.5 if draw[6] < plan.reorder else float(place)
            out.append((key, time, held_up, place, datagram))
            if draw[7] < plan.duplicate:
                out.append((key + shift + 0.25, time, held_up, place, datagram))
        return self._release(first + len(datagrams) - 1, float(due[-1]) if len(due) else -np.inf)

    def idle(self, now: float) -> Sent:
        """What goes on the wire when no packet comes to overtake: all but packets held up beyond `now` [s]."""
        return self._release(np.inf, now)

    def _release(self, place: float, now: float) -> Sent:
        """Everything whose turn has come, by place and then by time."""
        ready = sorted(h for h in self._held if h[0] <= place + 0.5 and h[1] <= now)
        self._held = [h for h in self._held if not (h[0] <= place + 0.5 and h[1] <= now)]
        due, clock = np.empty(len(ready)), -np.inf
        for i, (_, time, held_up, _, _) in enumerate(ready):
            clock = clock if held_up else max(clock, time)  # who overtakes is not slowed down
            due[i] = time if held_up else clock
        order = np.argsort(due, kind="stable")
        ready = [ready[i] for i in order]
        return np.array([h[3] for h in ready], dtype=np.int64), [h[4] for h in ready], due[order]

    def _draw(self, place: int) -> np.ndarray:
        block, row = divmod(place, _BLOCK)
        if self._draws[0] != block:
            self._draws = block, np.random.default_rng([self.plan.seed, block]).random((_BLOCK, _DRAWS))
        return self._draws[1][row]
