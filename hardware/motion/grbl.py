"""A stage driven by GRBL 1.1.

Moves are jogs in machine coordinates (`$J=G53 G90 G21`): GRBL refuses a jog beyond its own soft limits without an
alarm, and a hold cancels it without losing the position. Feed rates go over the line in mm/min (degrees/min for rotary
axes). The controller's settings are read and used: highest speed, acceleration, travel, soft limits, resolution.
GRBL answers no `?` while it homes.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.motion import grbl_text
from mmsar.hardware.motion.controller import Controller
from mmsar.hardware.motion.grbl_link import HOLD, JOG_CANCEL, GrblLink, Ticket
from mmsar.hardware.motion.stage import Axis, StageState, check_speed, check_target

_REPORT_INCHES, _SOFT_LIMITS, _HOMING, _SEEK, _HOMING_FEED = 13, 20, 22, 25, 24
_STEPS, _RATE, _ACCELERATION, _TRAVEL = 100, 110, 120, 130
_SLOW_DOWN = 0.5
"""Longest wait for a held move to come to rest before it is cut [s]."""
_HOME_MARGIN = 10.0


class GrblStage(Controller):
    """GRBL 1.1 (or grblHAL) on a serial port.

    `settings` holds the controller's `$n` values, `acceleration` that of each axis [m/s^2 or rad/s^2].
    """

    def __init__(
        self,
        port: str,
        *,
        axes: Sequence[Axis],
        trust_position: bool = False,
        home_timeout: float | None = None,
        baudrate: int = 115200,
    ) -> None:
        """Connect, restart the controller and read its settings.

        Parameters
        ----------
        port : str
            Serial port.
        axes : sequence of Axis
            The axes in use; channel X, Y, Z (A, B, C where the firmware has them).
        trust_position : bool
            Take the controller's position for right without homing; also unlocks a start-up alarm ($X).
        home_timeout : float, optional
            Longest time homing may take [s]; default: from travel and homing speeds.

        Raises
        ------
        CaptureError
            No GRBL 1.1 at this port, or reports in inches.
        GeometryError
            An axis the controller lacks, or limits wider than its travel.
        """
        super().__init__("GRBL stage", axes, trust_position=trust_position)
        for axis in axes:
            if axis.channel not in tuple(grbl_text.LETTERS):
                raise GeometryError(f"Axis {axis.name} channel: got {axis.channel!r}, wanted one of X, Y, Z, A, B, C")
        self._home_timeout = home_timeout
        self._homing = False
        self._offset: tuple[float, ...] | None = None
        self._link = GrblLink(port, baudrate=baudrate, on_event=self._interrupt)
        try:
            self._seen_restarts = self._link.restarts
            self.settings = self._read_settings()
            self._adopt_settings()
            if trust_position:
                self._unlock()
        except BaseException:
            self._link.close()
            raise

    def move_through(self, targets: Iterable[Mapping[str, float]], *, speed: float) -> None:
        """Queue straight moves one after the other; returns once all are accepted.

        GRBL plans 15 moves ahead and is fed with counted characters, so more moves than that make this call last
        until the first ones are done. `wait_idle` then confirms the last target.

        Raises
        ------
        GeometryError
            A target outside the limits or a speed too high; checked for all before anything moves.
        CaptureError
            As `move_to`; a move refused by the controller.
        """
        axes = tuple(self.axis.values())
        checked = [check_target(axes, target, speed) for target in targets]
        if not checked:
            return
        place = dict(self.state().position)
        for target in checked:
            check_speed(tuple(self.axis.values()), place, target, speed)
            place |= target
        self.move_to(checked[0], speed=speed)
        tickets: list[Ticket] = []
        try:
            for target in checked[1:]:
                self._raise_if_stopped()
                self._target |= target
                tickets.append(self._link.submit(self._jog(target, speed)))
                for ticket in tickets:
                    if ticket.error is not None:
                        self._link.wait(ticket)
            for ticket in tickets:
                self._link.wait(ticket)
        except CaptureError:
            self._raise_if_stopped()
            self._link.realtime(JOG_CANCEL)  # a path with a gap is not driven on
            raise

    def close(self) -> None:
        """Close the port; a move that runs goes on."""
        self._link.close()

    def _query(self) -> StageState:
        time_ns, status = self._link.query()
        if status.offset is not None:
            self._offset = status.offset
        places = status.position
        if not status.machine:
            if self._offset is None:  # GRBL sends WCO with the first report and then now and again
                raise CaptureError("GRBL stage: got work positions without WCO, wanted machine positions; set $10=1")
            places = tuple(a + b for a, b in zip(places, self._offset, strict=True))
        position = {}
        for name, axis in self.axis.items():
            index = grbl_text.LETTERS.index(axis.channel)
            if index >= len(places):
                raise GeometryError(
                    f"Axis {name} channel: got {axis.channel}, wanted one of {grbl_text.LETTERS[: len(places)]} "
                    "(this controller has no more)"
                )
            position[name] = axis.from_controller(places[index])
        return StageState(
            time_ns=time_ns, position=position, idle=status.state == "Idle", alarm=self._alarm_text(status)
        )

    def _alarm_text(self, status: grbl_text.Status) -> str | None:
        """What is wrong, and whether that costs the position."""
        self.homed &= not self._link.position_lost
        if self._link.restarts != self._seen_restarts:
            return "the controller restarted by itself"
        number = self._link.alarm
        if number is not None and status.state == "Alarm":
            return grbl_text.alarm_text(number)
        if status.state == "Alarm":
            return "locked since its start: home first"
        if status.state in ("Door", "Sleep", "Check"):
            return f"state {status.state}"
        return None

    def _start(self, target: Mapping[str, float], speed: float, now: StageState) -> None:
        self._link.command(self._jog(target, speed))

    def _jog(self, target: Mapping[str, float], speed: float) -> str:
        """The line of a move. GRBL's numbers are float32 and its reports have 3 decimals; 4 are sent."""
        words = "".join(
            f" {self.axis[name].channel}{self.axis[name].to_controller(value):.4f}" for name, value in target.items()
        )
        per_minute = speed * abs(self.axis[next(iter(target))].scale) * 60
        return f"$J=G53 G90 G21{words} F{per_minute:.3f}"

    def _find_home(self) -> None:
        if not self.settings.get(_HOMING, 0):
            raise CaptureError(
                "GRBL stage: got $22=0 (no homing), wanted reference switches; fit them, or set the position by hand "
                "and open the stage with trust_position"
            )
        with self._asking:
            if self._link.alarm in grbl_text.CRITICAL:
                self._link.reset()
            self._link.unlock()
            self._seen_restarts, self._link.position_lost = self._link.restarts, False
            self._homing = True
            try:
                self._link.command("$H", timeout=self._home_timeout or self._homing_time())
            finally:
                self._homing = False

    def _homing_time(self) -> float:
        """Longest time homing can take [s]: every axis twice along its travel at seek speed, and a margin."""
        seek = self.settings.get(_SEEK) or 500.0
        feed = self.settings.get(_HOMING_FEED) or 25.0
        travel = sum(value for number, value in self.settings.items() if _TRAVEL <= number < _TRAVEL + 6)
        return 60 * (2 * travel / seek + 30 / feed) + _HOME_MARGIN

    def _halt(self) -> None:
        if not self._homing:
            self._link.realtime(HOLD)  # slows down; a jog is cancelled
            self._await_rest()
        self._link.reset(boot=1.0)  # empties every buffer; cuts a move that still runs
        self._link.query()  # it answers
        self.homed &= not self._link.position_lost

    def _await_rest(self) -> None:
        """Wait until a held move has come to rest, but not for long."""
        deadline = time.monotonic() + _SLOW_DOWN
        while time.monotonic() < deadline:
            try:
                status = self._link.query(tries=1)[1]
            except CaptureError:
                return
            if status.state not in ("Run", "Jog", "Home") and (status.state, status.detail) != ("Hold", 1):
                return
            time.sleep(0.03)

    def _unlock(self) -> None:
        """Clear the lock of the start, by the user's word that the position is right."""
        if self._link.query()[1].state == "Alarm":
            self._link.unlock()
            self._link.command("$X")

    def _read_settings(self) -> dict[int, float]:
        lines = self._link.command("$$")
        settings = dict(found for line in lines if (found := grbl_text.parse_setting(line)))
        if _RATE not in settings or _STEPS not in settings:
            raise CaptureError(f"GRBL stage: got {len(settings)} settings of $$, wanted $100 and $110 among them")
        if settings.get(_REPORT_INCHES):
            raise CaptureError("GRBL stage: got reports in inches ($13=1), wanted millimetres; send $13=0")
        return settings

    def _adopt_settings(self) -> None:
        """Take speeds, travel and resolution from the controller."""
        self.acceleration = {}
        for name, axis in self.axis.items():
            index, unit = grbl_text.LETTERS.index(axis.channel), abs(axis.scale)
            if _RATE + index not in self.settings:
                raise GeometryError(f"Axis {name} channel: got {axis.channel}, wanted an axis that this controller has")
            fastest = self.settings[_RATE + index] / 60 / unit
            if axis.max_speed is not None and axis.max_speed > fastest * (1 + 1e-9):
                raise GeometryError(
                    f"Axis {name} max_speed: got {axis.max_speed:g}, wanted at most the controller's "
                    f"${_RATE + index} = {fastest:g} [{axis.unit}/s]"
                )
            travel = self.settings.get(_TRAVEL + index, 0.0) / unit
            if self.settings.get(_SOFT_LIMITS) and axis.high - axis.low > travel * (1 + 1e-9):
                raise GeometryError(
                    f"Axis {name} limits: got {axis.high - axis.low:g} between them, wanted at most the controller's "
                    f"travel ${_TRAVEL + index} = {travel:g} [{axis.unit}]"
                )
            self.axis[name] = replace(axis, max_speed=axis.max_speed or fastest)
            self.acceleration[name] = self.settings.get(_ACCELERATION + index, 0.0) / unit
            step = 1 / self.settings[_STEPS + index] / unit  # the nearest step, and a report of three decimals
            self._tolerance[name] = max(axis.tolerance, step + 1e-3 / unit)
