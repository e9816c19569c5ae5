"""A configuration of small frames, an emulated card with known bytes, and what a recording of it must hold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

CFG = """\
sensorStop
flushCfg
dfeDataOutputMode 1
channelCfg {rx} 5 0
adcCfg 2 1
adcbufCfg -1 0 1 1 1
profileCfg 0 77 7 6 63 0 0 63.343 1 {samples} 9121 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
chirpCfg 1 1 0 0 0 0 0 4
frameCfg 0 1 {loops} {frames} {period} {trigger} 0
lowPower 0 0
lvdsStreamCfg -1 0 1 0
sensorStart
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """An emulated card and the addresses to record from it with."""

    host_ip: str
    card_ip: str
    card: object
    config: object

    @property
    def link(self):
        from mmsar.hardware.dca1000.record import Link

        return Link(host_ip=self.host_ip, card_ip=self.card_ip, packet_delay=5e-6, buffer=8 << 20)

    def record(self, folder, n_frames: int, **options):
        """Record with the stream started as soon as the recording is armed; the report."""
        from mmsar.hardware.dca1000.record import Patience, record

        options = {
            "patience": Patience(start=5.0, silence=1.0),
            "on_armed": lambda _: self.card.start_stream(),
            **options,
        }
        return record(folder, self.config, n_frames=n_frames, link=self.link, **options)

    def check(self, folder):
        """The capture and its mask; its valid samples must be those sent, the others 0."""
        from mmsar.hardware.dca1000.capture import Capture

        capture = Capture.open(folder)
        samples, valid = capture.samples()
        truth = self.truth(capture.n_frames)
        assert samples.shape == valid.shape == capture.shape
        assert (samples[valid] == truth[valid]).all()
        assert not samples[~valid].any()
        return capture, valid

    def truth(self, n_frames: int) -> np.ndarray:
        """Samples of the first frames as they must come out."""
        from mmsar.hardware.adc import decode_frames
        from mmsar.hardware.emulate.source import counting_bytes

        return decode_frames(counting_bytes(0, self.config.frame_bytes * n_frames), self.config)


def cfg_text(
    *, frames: int = 20, loops: int = 4, samples: int = 256, period: float = 40.0, rx: int = 15, trigger: int = 1
) -> str:
    """Command lines of a 1843 with TX1 and TX3."""
    return CFG.format(frames=frames, loops=loops, samples=samples, period=period, rx=rx, trigger=trigger)


@pytest.fixture
def small_cfg() -> Callable[..., str]:
    """cfg_text(frames=..., loops=..., samples=..., period=[ms], rx=mask, trigger=...)."""
    return cfg_text


@pytest.fixture
def bench(addresses) -> Iterator[Callable[..., Bench]]:
    """bench(frames=..., faults=..., flush=..., pace=..., ...) -> Bench; the cards are closed at the end."""
    from mmsar.hardware.config.radar import parse_cfg
    from mmsar.hardware.emulate.dca import DcaEmulator, Habits
    from mmsar.hardware.emulate.source import CountingSource

    host_ip, card_ip = addresses
    with ExitStack() as stack:

        def make(*, frames=20, sent=None, faults=None, flush=0.3, pace=None, emulated_period=0.0, **cfg) -> Bench:
            config = parse_cfg(cfg_text(frames=frames, **cfg), device="xWR1843")
            source = CountingSource(
                config.frame_bytes, n_frames=frames if sent is None else sent, period=emulated_period
            )
            more = {} if faults is None else {"faults": faults}
            card = DcaEmulator(
                card_ip, host_ip, source=source, flush=flush, pace=pace, habits=Habits(source_port=0), **more
            )
            return Bench(host_ip=host_ip, card_ip=card_ip, card=stack.enter_context(card), config=config)

        yield make


@contextmanager
def no_children() -> Iterator[None]:
    """Fails when a process started inside is still there at the end."""
    import os

    yield
    me = str(os.getpid())
    left = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if fields[1] == me and "mmsar.hardware.dca1000" in command:
            left.append(command)
    assert not left


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """No receiver or writer outlives its test."""
    with no_children():
        yield
