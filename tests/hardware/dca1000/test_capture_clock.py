"""Frame times of a recording made through the real code path, against what the emulated card knows."""

import numpy as np
import pytest

from mmsar.hardware.clocks import ClockPairs
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.record import Patience, record
from mmsar.hardware.emulate.faults import FaultPlan
from mmsar.hardware.emulate.source import CountingSource
from mmsar.hardware.timing import frame_clock


@pytest.mark.parametrize("samples", [256, 8], ids=["many packets a frame", "many frames a packet"])
def test_the_clock_of_a_recording_finds_the_frames(bench, tmp_path, samples):
    """The tolerance is a fraction of the period only: other jobs on the machine delay everything by milliseconds."""
    n = 120
    made = bench(frames=n, samples=samples, loops=4, period=10.0, rx=3, faults=FaultPlan(seed=3, drop=0.01))
    config = made.config
    made.card.source = CountingSource(
        config.frame_bytes, n_frames=n, period=config.frame_period, active=config.frame_active
    )
    record(
        tmp_path / "r",
        config,
        n_frames=n,
        link=made.link,
        patience=Patience(start=5.0, silence=2.0),
        on_armed=lambda _: made.card.start_stream(),
    )
    capture = Capture.open(tmp_path / "r")
    pairs = ClockPairs.from_events(capture.events)
    assert pairs is not None and pairs.steps == ()
    clock = frame_clock(capture.frame_stamps, capture.config, pairs=pairs)
    error = (clock.at(np.arange(n)) - np.array(made.card.log.frame_times)) / 1e9
    assert abs(np.median(error)) < config.frame_period / 4
    assert clock.n_frames > 0.6 * n
    assert clock.clock == "unix"
