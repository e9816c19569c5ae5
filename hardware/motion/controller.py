"""What the stages of all controllers share: checks before a move, confirmation after it, one way to fail.

A move is over when the controller says idle *and* reports the target; an idle controller that stands elsewhere has
lost the move. Nothing is assumed: after an alarm, a restart or a stop that cost the position, the stage wants to be
homed again. Queries are spaced by `POLL`, as controllers ask for; two threads that ask at once share one answer.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Self

from mmsar.core.checks import finite_number
from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.motion.stage import Axis, StageState, check_speed, check_target

POLL = 0.1
"""Least time between two queries [s]: GRBL's authors advise at most 5 to 10 a second."""
ARRIVED_POLLS = 3
"""Queries in a row that say "idle, but not there" before a move counts as lost."""
HISTORY = 100_000


class Controller(ABC):
    """Base of the stages. A subclass talks to its controller in `_query`, `_start`, `_find_home` and `_halt`."""

    def __init__(self, name: str, axes: Sequence[Axis], *, trust_position: bool = False) -> None:
        """Keep the axes.

        Parameters
        ----------
        name : str
            What messages call the stage.
        axes : sequence of Axis
            The axes in use.
        trust_position : bool
            Whether the controller's position is right without homing, by the user's word.
        """
        if not axes or len({axis.name for axis in axes}) < len(axes) or len({a.channel for a in axes}) < len(axes):
            raise GeometryError(
                f"{name} axes: got {', '.join(f'{a.name} on {a.channel}' for a in axes) or 'none'}, "
                "wanted at least one, each with a name and a channel of its own"
            )
        self.name = name
        self.axis: dict[str, Axis] = {axis.name: axis for axis in axes}
        """The axes by name."""
        self.axes = tuple(self.axis)
        self.homed = trust_position
        """Whether positions can be relied on: after `home`, or by the user's word."""
        self.history: deque[StageState] = deque(maxlen=HISTORY)
        """Every state that was reported, oldest first."""
        self._target: dict[str, float] = {}
        self._tolerance = {axis.name: axis.tolerance for axis in axes}
        self._asking = threading.Lock()
        self._last_query = -1e9
        self._latest: tuple[float, StageState] | None = None
        self._interrupt = threading.Event()  # an alarm, a lost line or a stop: no waiting now
        self._stopped = False

    @abstractmethod
    def _query(self) -> StageState:
        """Ask the controller once."""

    @abstractmethod
    def _start(self, target: Mapping[str, float], speed: float, now: StageState) -> None:
        """Start a checked move; return when it is accepted."""

    @abstractmethod
    def _find_home(self) -> None:
        """Home all axes in use and wait for it."""

    @abstractmethod
    def _halt(self) -> None:
        """Stop at once; from any thread. Clears `homed` if the position is lost."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the controller."""

    def home(self) -> None:
        """Drive all axes to their reference and wait for it.

        Raises
        ------
        CaptureError
            No reference switches, a reference that is not found, or a controller that fails on the way.
        """
        self._raise_if_stopped()
        self.homed = False
        self._target = {}
        try:
            self._find_home()
        finally:
            self._raise_if_stopped()
        self.homed = True

    def move_to(self, target: Mapping[str, float], *, speed: float) -> None:
        """Start a straight absolute move and return once the controller accepted it.

        Parameters
        ----------
        target : mapping
            Axis name -> position [m or rad]; axes not named keep their place.
        speed : float
            Speed along the path [m/s or rad/s].

        Raises
        ------
        GeometryError
            A target outside the soft limits or a speed that is too high; nothing has moved then.
        CaptureError
            Not homed, an alarm, a move still running, or a controller that fails.
        """
        checked = check_target(tuple(self.axis.values()), target, speed)
        if not self.homed:
            raise CaptureError(
                f"{self.name}: got a move before homing, wanted a known position; call home(), "
                "or open the stage with trust_position after setting it up by hand"
            )
        self._raise_if_stopped()
        now = self.state()
        if now.alarm is not None:
            raise CaptureError(f"{self.name}: got an alarm ({now.alarm}), wanted none; clear the cause and home again")
        if not now.idle:
            raise CaptureError(f"{self.name}: got a move while another runs, wanted wait_idle() first")
        check_speed(tuple(self.axis.values()), now.position, checked, float(speed))
        self._raise_if_stopped()
        self._target = checked
        try:
            self._start(checked, float(speed), now)
        finally:
            self._raise_if_stopped()

    def state(self) -> StageState:
        """Ask the controller for position and state; at most ten times a second, so it may wait up to 0.1 s.

        Raises
        ------
        CaptureError
            No answer, or a connection that is gone.
        """
        asked = time.monotonic()
        with self._asking:
            if self._latest is not None and self._latest[0] >= asked:
                return self._latest[1]
            wait = self._last_query + POLL - time.monotonic()
            if wait > 0 and self._interrupt.wait(wait):
                self._interrupt.clear()
            begun = self._last_query = time.monotonic()
            found = self._query()
            self._latest = (begun, found)
            self.history.append(found)
            return found

    def wait_idle(self, *, timeout: float) -> StageState:
        """Wait until the controller is idle and reports the target of the last move.

        Parameters
        ----------
        timeout : float
            Longest wait [s]. The stage is not stopped when it ends.

        Raises
        ------
        CaptureError
            An alarm, a lost answer, a stop, an end elsewhere than at the target, or the timeout.
        """
        deadline = time.monotonic() + finite_number("wait_idle timeout", timeout, "s", above=0)
        astray = 0
        while True:
            self._raise_if_stopped()
            try:
                state = self.state()
            finally:
                self._raise_if_stopped()
            if state.alarm is not None:
                raise CaptureError(f"{self.name}: got an alarm ({state.alarm}), wanted the move to end")
            if state.idle and not (missed := self._missed(state)):
                return state
            astray = astray + 1 if state.idle else 0
            if astray >= ARRIVED_POLLS:
                raise CaptureError(f"{self.name}: got idle at {missed}; the move was lost or cut short; home again")
            if time.monotonic() > deadline:
                where = self._text(state.position)
                raise CaptureError(f"{self.name}: got no end of the move in {timeout:g} s (at {where}), wanted idle")

    def stop(self) -> None:
        """Stop at once, from any thread; a `wait_idle` under way ends with CaptureError.

        Nothing moves afterwards until `rearm()`: a thread that was about to start a move must not win the race.

        Raises
        ------
        CaptureError
            A controller that could not be told, or did not confirm: use the emergency stop.
        """
        self._stopped = True
        self._interrupt.set()
        self._target = {}
        self._halt()

    def rearm(self) -> None:
        """Allow moves again after `stop`."""
        self._stopped = False
        self._interrupt.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _raise_if_stopped(self) -> None:
        if self._stopped:
            raise CaptureError(f"{self.name}: got stop(), wanted to move; call rearm() once it is safe")

    def _missed(self, state: StageState) -> str:
        """Where the axes stand that are not at their target, as text; empty when all are."""
        off = []
        for name, wanted in self._target.items():
            got = state.position[name]
            if not abs(got - wanted) <= self._tolerance[name]:
                off.append(f"{self._text({name: got})}, wanted {self._text({name: wanted})}")
        return "; ".join(off)

    def _text(self, position: Mapping[str, float]) -> str:
        """Positions for people: mm and degrees."""
        return ", ".join(
            f"{name} {value * abs(self.axis[name].scale):.4f} {'deg' if self.axis[name].rotary else 'mm'}"
            for name, value in position.items()
        )
