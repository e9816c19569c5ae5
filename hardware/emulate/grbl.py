"""GRBL 1.1h on a pseudo-terminal, with a machine behind it.

What the driver can trip over is there: the lock after power-up, 128 characters of receive buffer, 15 planned moves and
an `ok` that waits for room, holds that take their time, resets that cost the position, soft limits, silence while
homing and after a hard limit. `position_at` tells the truth, whatever is reported. Simplified: moves are exact stops
(no look-ahead), and homing is one straight move to the switches.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmsar.hardware.emulate.machine import Machine
from mmsar.hardware.emulate.pty_port import PtyPort

RX_BUFFER = 128
PLANNER = 15
BANNER = b"\r\nGrbl 1.1h ['$' for help]\r\n"
SETTINGS: Mapping[int, float] = {
    10: 1,  # report MPos; 2 adds Bf
    13: 0,
    20: 1,
    21: 1,
    22: 1,
    23: 0,
    24: 25,
    25: 3000,
    27: 1,
    **{100 + i: 250 for i in range(3)},
    **{110 + i: 6000 for i in range(3)},
    **{120 + i: 500 for i in range(3)},
    **{130 + i: 400 for i in range(3)},
}
"""`$n` values of the emulated machine: 400 mm of travel, 100 mm/s, 500 mm/s^2, homing on."""

_WORD = re.compile(r"([A-Z])(-?\d*\.?\d+)")


class GrblPty(PtyPort):
    """An emulated GRBL with three axes.

    Machine coordinates run from -travel to 0 as on the real thing; `position_at` is in homed machine coordinates [m].
    """

    def __init__(
        self,
        *,
        start: Sequence[float] = (-150.0, -120.0, -40.0),
        settings: Mapping[int, float] | None = None,
        speedup: float = 1.0,
        backlash: Sequence[float] = (0.0, 0.0, 0.0),
        rotary: Sequence[bool] = (False, False, False),
        work_offset: Sequence[float] = (0.0, 0.0, 0.0),
        **options: Any,
    ) -> None:
        """Switch it on.

        Parameters
        ----------
        start : sequence of float
            Where the axes really stand [mm or degrees]; reported as 0 until homed.
        settings : mapping, optional
            `$n` values that differ from `SETTINGS`.
        speedup, backlash, rotary
            See `Machine`.
        work_offset : sequence of float
            WCO [mm]; matters with $10=0.
        options
            Those of `PtyPort`.
        """
        self.settings = {**SETTINGS, **(settings or {})}
        self.machine = Machine(start, speedup=speedup, backlash=backlash, rotary=rotary)
        self.work_offset = tuple(work_offset)
        self.overflowed = False
        """Whether characters were lost because the sender did not count them."""
        self.homing_fault: int | None = None
        """Alarm with which the next homings end, as 9: no switch found."""
        self.lines: list[str] = []
        """Lines that were executed."""
        self._offset = tuple(-s for s in start)  # reported = drive + offset
        self._state = "Alarm" if self.settings[22] else "Idle"
        self._critical = False
        self._frozen = False
        self._lose_oks = 0
        self._rx = bytearray()
        self._blocks: deque[tuple[float, tuple[float, ...], float]] = deque()  # end, target (drive), speed
        self._held: list[tuple[tuple[float, ...], float]] = []
        self._jogging = self._homing = self._hold = False
        self._epoch = 0  # counts resets: what was scheduled before one is void
        self._reports = 0
        self._modal = {"distance": 90, "unit": 21, "motion": 0}
        self._feed = 0.0
        super().__init__(**options)
        self.write(BANNER)
        if self._state == "Alarm":
            self.write(b"[MSG:'$H'|'$X' to unlock]\r\n")

    # what a test or a bench does to it, from any thread

    def position_at(self, time_ns: int) -> np.ndarray:
        """True position of the table [m or rad], (3,), at a CLOCK_REALTIME [ns]."""
        return self.machine.position_at(time_ns)

    def on_pulse(self, axis: str, steps: int, callback: Callable[[int, int], None]) -> None:
        """Call `callback(time_ns, index)` at every `steps` steps of the drive of `axis`, forth and back."""
        index = "XYZ".index(axis)
        self.machine.set_pulses(index, steps / self.settings[100 + index], callback)

    def lose_ok(self, count: int = 1) -> None:
        """Lose the next `count` ok answers."""
        self.later(0.0, lambda: setattr(self, "_lose_oks", count))

    def freeze(self) -> None:
        """Answer nothing any more; a move goes on."""
        self.later(0.0, lambda: setattr(self, "_frozen", True))

    def trip(self, number: int = 1) -> None:
        """Raise an alarm now: the machine stands at once."""
        self.later(0.0, lambda: self._trip(number))

    def restart(self) -> None:
        """Restart as after a dip of the supply: position lost, banner."""
        self.later(0.0, self._restart)

    # the controller

    def receive(self, data: bytes) -> None:
        """Real-time bytes at once, the others into the receive buffer."""
        for byte in data:
            if byte == 0x18:
                self._soft_reset()
            elif self._critical:
                continue
            elif byte == ord("?"):
                if not self._homing:
                    self._report()
            elif byte == ord("!"):
                self._feed_hold()
            elif byte == ord("~"):
                self._resume()
            elif byte == 0x85:
                if self._jogging:
                    self._feed_hold()
            elif byte < 0x80 and byte != ord("\r"):
                if len(self._rx) < RX_BUFFER:
                    self._rx.append(byte)
                else:
                    self.overflowed = True
        self._pump()

    def _send(self, data: bytes) -> None:
        if not self._frozen:
            super()._send(data)

    def _reply(self, text: str) -> None:
        if text == "ok" and self._lose_oks:
            self._lose_oks -= 1
            return
        self.answer(text.encode() + b"\r\n")

    def _pump(self) -> None:
        """Execute complete lines until one has to wait."""
        while b"\n" in self._rx and not (self._homing or self._critical or self._hold):
            line = bytes(self._rx[: self._rx.index(b"\n")]).decode("ascii", "replace")
            with self.machine.lock:
                now = self.machine.now()
                while self._blocks and self._blocks[0][0] <= now:
                    self._blocks.popleft()
                moves = re.search(r"[XYZ]", line.upper().removeprefix("$X")) is not None
                if moves and len(self._blocks) >= PLANNER:
                    self._after(self.machine.wall(self._blocks[0][0] - now), self._pump)
                    return
            del self._rx[: self._rx.index(b"\n") + 1]
            answer = self._execute(re.sub(r"\(.*?\)|\s", "", line).upper())
            if answer is not None:
                self._reply(answer)

    def _execute(self, line: str) -> str | None:
        """Run one line; its answer, or None when that comes later."""
        if not line:
            return "ok"
        self.lines.append(line)
        if line.startswith("$J="):
            return self._jog(line[3:])
        if line == "$$":
            for number, value in sorted(self.settings.items()):
                self._reply(f"${number}={value:.3f}" if number >= 24 else f"${number}={value:g}")
            return "ok"
        if line == "$X":
            if self._state == "Alarm":
                self._state = "Idle"
                self._reply("[MSG:Caution: Unlocked]")
            return "ok"
        if line == "$H":
            return self._home()
        if line == "$I":
            self._reply("[VER:1.1h.20190825:]")
            return "ok"
        if line.startswith("$"):
            found = re.fullmatch(r"\$(\d+)=(-?[\d.]+)", line)
            if found is None:
                return "error:3"
            if self.machine.moving():
                return "error:8"
            self.settings[int(found[1])] = float(found[2])
            return "ok"
        return self._gcode(line)

    def _words(self, text: str) -> tuple[list[float], dict[str, float]] | None:
        """G numbers and other words of a line; None if it is not made of words."""
        words = _WORD.findall(text)
        if "".join(a + b for a, b in words) != text:
            return None
        return [float(v) for letter, v in words if letter == "G"], {a: float(v) for a, v in words if a != "G"}

    def _target(self, codes: list[float], words: Mapping[str, float], modal: Mapping[str, int]) -> tuple[float, ...]:
        """Where a line leads, in coordinates of the drives [mm]."""
        unit = 25.4 if modal["unit"] == 20 else 1.0
        with self.machine.lock:
            place = self._blocks[-1][1] if self._blocks else self.machine.track.drive(self.machine.now())
        out = list(place)
        for i, letter in enumerate("XYZ"):
            if letter in words:
                value = words[letter] * unit
                if 53 in codes or modal["distance"] == 90:
                    work = 0.0 if 53 in codes else self.work_offset[i]
                    out[i] = value + work - self._offset[i]
                else:
                    out[i] += value
        return tuple(out)

    def _inside(self, target: Sequence[float]) -> bool:
        """Whether a target is within the machine's travel, as far as the controller knows."""
        reported = [t + o for t, o in zip(target, self._offset, strict=True)]
        return not self.settings[20] or all(
            -self.settings[130 + i] - 1e-6 <= r <= 1e-6 for i, r in enumerate(reported) if self.settings[130 + i]
        )

    def _jog(self, text: str) -> str:
        if self._state == "Alarm" or (self.machine.moving() and not self._jogging):
            return "error:8"
        found = self._words(text)
        if found is None:
            return "error:2"
        codes, words = found
        if set(words) - set("XYZF") or set(codes) - {20, 21, 53, 90, 91} or not set(words) & set("XYZ"):
            return "error:16"
        if "F" not in words:
            return "error:22"
        modal = dict(self._modal)
        for code in codes:
            if code in (20, 21):
                modal["unit"] = int(code)
            elif code in (90, 91):
                modal["distance"] = int(code)
        target = self._target(codes, words, modal)
        if not self._inside(target):
            return "error:15"
        self._jogging = True
        self._plan(target, words["F"] * (25.4 if modal["unit"] == 20 else 1.0) / 60)
        return "ok"

    def _gcode(self, text: str) -> str:
        if self._state == "Alarm" or self._jogging:
            return "error:9"
        found = self._words(text)
        if found is None:
            return "error:2"
        codes, words = found
        for code in codes:
            kind = {0: "motion", 1: "motion", 20: "unit", 21: "unit", 90: "distance", 91: "distance"}.get(code)
            if kind is not None:
                self._modal[kind] = int(code)
            elif code not in (4, 17, 53, 54, 94):
                return "error:20"
        self._feed = words.get("F", self._feed * 60) / 60
        if not set(words) & set("XYZ"):
            return "ok"
        target = self._target(codes, words, self._modal)
        if not self._inside(target):
            self._trip(2)
            return "ok"
        if self._modal["motion"] == 1 and self._feed <= 0:
            return "error:22"
        self._plan(target, self._feed if self._modal["motion"] == 1 else np.inf)
        return "ok"

    def _plan(self, target: tuple[float, ...], speed: float) -> None:
        """Queue a move, slowed to what its axes allow."""
        with self.machine.lock:
            track = self.machine.track
            origin = self._blocks[-1][1] if self._blocks else track.drive(self.machine.now())
            step = np.abs(np.subtract(target, origin))
            share = step / max(np.hypot.reduce(step), 1e-300)
            limits = [
                min(self.settings[base + i] / per / s for i, s in enumerate(share) if s > 1e-9)
                if step.any()
                else np.inf
                for base, per in ((110, 60), (120, 1))
            ]
            end = track.move(self.machine.now(), target, speed=min(speed, limits[0]), acceleration=limits[1])
            self._blocks.append((end, target, speed))
            wait = self.machine.wall(end - self.machine.now())
        self._after(wait, self._finish)
        self._pulse()

    def _finish(self) -> None:
        """A move may have ended."""
        if not self.machine.moving():
            self._jogging = False
        self._pump()

    def _pulse(self) -> None:
        """Report encoder pulses while the machine moves."""
        wait = self.machine.report_pulses()
        if wait is not None:
            self.later(wait, self._pulse)

    def _home(self) -> str | None:
        if not self.settings[22]:
            return "error:5"
        if self.machine.moving():
            return "error:8"
        pull = self.settings[27]
        mask = int(self.settings[23])
        home = tuple(-self.settings[130 + i] + pull if mask >> i & 1 else -pull for i in range(3))
        self._state, self._homing = "Home", True
        with self.machine.lock:
            now = self.machine.now()
            acceleration = min(self.settings[120 + i] for i in range(3))
            end = self.machine.track.move(now, home, speed=self.settings[25] / 60, acceleration=acceleration)

        def arrived() -> None:
            if self.homing_fault is not None:
                self._trip(self.homing_fault)
                self.write(BANNER)
                return
            self._homing, self._state, self._offset = False, "Idle", (0.0, 0.0, 0.0)
            self._reply("ok")
            self._pump()

        self._after(self.machine.wall(end - now), arrived)
        return None

    def _feed_hold(self) -> None:
        """Slow down; a jog is over then, other moves wait for `~`."""
        if self._homing or self._state == "Alarm":
            return
        with self.machine.lock:
            now = self.machine.now()
            acceleration = min(self.settings[120 + i] for i in range(3))
            left = [(target, speed) for end, target, speed in self._blocks if end > now]
            end = self.machine.track.halt(now, acceleration=acceleration)
            self._blocks.clear()
        self._hold = True
        self._held = [] if self._jogging else left

        def jog_over() -> None:
            self._jogging = self._hold = False
            self._pump()

        if self._jogging:
            self._after(self.machine.wall(end - now), jog_over)

    def _resume(self) -> None:
        if self._hold and not self._jogging and not self.machine.moving():
            self._hold = False
            held, self._held = self._held, []
            for target, speed in held:
                self._plan(target, speed)

    def _cut(self) -> bool:
        """Stand at once; whether anything moved."""
        with self.machine.lock:
            moved = self.machine.moving()
            self.machine.track.halt(self.machine.now(), acceleration=np.inf)
        self._epoch += 1
        self._blocks.clear()
        self._rx.clear()
        self._held = []
        self._jogging = self._homing = self._hold = False
        return moved

    def _trip(self, number: int) -> None:
        self._cut()
        self._state, self._critical = "Alarm", number in (1, 2)
        self._reply(f"ALARM:{number}")
        if self._critical:
            self._reply("[MSG:Reset to continue]")

    def _soft_reset(self) -> None:
        homing = self._homing
        if self._cut():
            self._state = "Alarm"
            self._reply("ALARM:6" if homing else "ALARM:3")
        self._critical = False
        self._reports = 0
        self.write(BANNER)
        if self._state == "Alarm":
            self.write(b"[MSG:'$H'|'$X' to unlock]\r\n")

    def _restart(self) -> None:
        self._cut()
        with self.machine.lock:
            self._offset = tuple(-p for p in self.machine.track.drive(self.machine.now()))
        self._state, self._critical = ("Alarm" if self.settings[22] else "Idle"), False
        self.write(BANNER)

    def _report(self) -> None:
        """The answer to `?`."""
        with self.machine.lock:
            now = self.machine.now()
            drive = self.machine.track.drive(now)
            speed, moving = self.machine.track.speed(now), self.machine.moving(now)
            free = PLANNER - sum(end > now for end, _, _ in self._blocks)
        if self._state == "Alarm":
            state = "Alarm"
        elif self._hold and not self._jogging:
            state = "Hold:1" if moving else "Hold:0"
        else:
            state = ("Jog" if self._jogging else "Run") if moving else "Idle"
        machine = [d + o for d, o in zip(drive, self._offset, strict=True)]
        steps = [round(m * self.settings[100 + i]) / self.settings[100 + i] for i, m in enumerate(machine)]
        mask = int(self.settings[10])
        if not mask & 1:
            steps = [s - w for s, w in zip(steps, self.work_offset, strict=True)]
        fields = [state, ("MPos:" if mask & 1 else "WPos:") + ",".join(f"{s:.3f}" for s in steps)]
        if mask & 2:
            fields.append(f"Bf:{free},{RX_BUFFER - len(self._rx)}")
        fields.append(f"FS:{speed * 60:.0f},0")
        if self._reports % 10 == 0:
            fields.append("WCO:" + ",".join(f"{w:.3f}" for w in self.work_offset))
        self._reports += 1
        self._reply("<" + "|".join(fields) + ">")

    def _after(self, wall: float, function: Callable[[], None]) -> None:
        """Later, unless a reset comes first."""
        epoch = self._epoch
        self.later(wall + 1e-4, lambda: function() if self._epoch == epoch else None)
