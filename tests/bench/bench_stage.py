"""Scan control: time until an alarm, a lost ok and silence are found and a stop has worked, on an emulated GRBL.

Nothing is asserted about times; the waits behind them are tested in tests/hardware/motion.
"""

import threading
import time

import numpy as np
import pytest

from mmsar.errors import CaptureError
from mmsar.hardware.emulate.grbl import GrblPty
from mmsar.hardware.motion.grbl import GrblStage
from mmsar.hardware.motion.stage import Axis

ROUNDS = 10


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of half a minute; run make bench")


def trial(fault: str) -> tuple[float, float]:
    """(until the failure is found, until the table stands after the stop that follows) [s], from the fault on."""
    with (
        GrblPty(start=(-1.0, -1.0, -1.0)) as grbl,
        GrblStage(grbl.port, axes=[Axis(name="x", low=-0.399, high=0.0)]) as stage,
    ):
        stage.home()
        begun = []

        def strike(action) -> None:
            begun.append(time.monotonic())
            action()

        if fault == "lost ok":
            strike(grbl.lose_ok)
        try:
            stage.move_to({"x": -0.3}, speed=0.05)
            if fault == "stop()":
                time.sleep(0.2)
                begun.append(time.monotonic())
            else:
                action = grbl.trip if fault == "alarm" else grbl.freeze
                threading.Timer(0.2, strike, [action]).start()
                stage.wait_idle(timeout=10)
        except CaptureError:
            pass
        found = time.monotonic() - begun[0]
        if fault == "silence":
            return found, np.nan
        stage.stop()
        stood = time.monotonic() - begun[0]
        assert not grbl.machine.moving()
        return found, stood


def test_failures_of_a_stage(benchmark, report):
    rows = []
    for fault in ("alarm", "lost ok", "silence", "stop()"):
        times = np.array([trial(fault) for _ in range(ROUNDS)]) * 1e3
        found, stood = times[:, 0], times[:, 1]
        text = f"found in {np.median(found):.0f} ms, worst {found.max():.0f} ms" if fault != "stop()" else ""
        if not np.isnan(stood).any():
            text += f"{', ' if text else ''}table at rest after {np.median(stood):.0f} ms, worst {stood.max():.0f} ms"
        rows.append((fault, text))
    rows.append(("bar", "1000 ms; 50 mm/s, 500 mm/s^2, worst of ten"))
    benchmark.pedantic(lambda: trial("stop()"), rounds=1)
    report("failures of an emulated GRBL stage", rows)
