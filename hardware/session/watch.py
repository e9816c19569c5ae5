"""Watching a sweep: a card that falls silent, a stage that fails or does not arrive."""

import time
from collections.abc import Callable

from mmsar.errors import CaptureError
from mmsar.hardware.dca1000.recorder import RecorderState
from mmsar.hardware.motion.stage import Stage, StageState

SILENCE = 1.0
"""Longest pause between packets while the stage moves, beside three frame periods [s]."""
SLACK = 1.3
"""Stages are slower than planned by this factor, at most."""


class Silence:
    """Notices a card that has stopped sending while it should."""

    def __init__(self, frame_period: float) -> None:
        self.limit = SILENCE + 3 * frame_period
        self.packets, self.since = -1, time.monotonic()

    def check(self, state: RecorderState) -> None:
        now = time.monotonic()
        if state.packets != self.packets:
            self.packets, self.since = state.packets, now
        elif now - self.since > self.limit:
            raise CaptureError(
                f"the card fell silent for {self.limit:.1f} s while the radar should send: check cables, power and the "
                "radar; --resume goes on with this sweep"
            )


def follow(
    stage: Stage, target: dict[str, float], speed: float, seconds: float, look: Callable[[StageState], None]
) -> None:
    """A move, watched until the stage stands at its target."""
    stage.move_to(target, speed=speed)
    deadline = time.monotonic() + 10 + 2 * SLACK * seconds
    while True:
        state = stage.state()
        look(state)
        if state.alarm is not None:
            raise CaptureError(f"stage: {state.alarm}; clear the cause, then --resume goes on with this sweep")
        if state.idle:
            stage.wait_idle(timeout=2.0)
            return
        if time.monotonic() > deadline:
            raise CaptureError(f"stage: still moving after {seconds * SLACK * 2 + 10:.0f} s, twice the planned time")
