"""Raw int16 samples to complex64, layout by layout, against plain numpy and against copying the same bytes.

One thread. Nothing is asserted about times.
"""

import numpy as np
import pytest
from sidebyside import interleaved

from mmsar.io.importers.iq_layout import LAYOUTS, decode, frame_bytes, split_iq

CHIRPS, SAMPLES, RX = 64, 256, 4
MIB = 64


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of some seconds; run make bench")


def plain(raw: np.ndarray, layout: str, out: np.ndarray) -> None:
    """What one writes with numpy alone: views of I and Q, copied into the real and imaginary parts."""
    i, q = split_iq(raw, layout, chirps=CHIRPS, samples=SAMPLES, rx=RX)
    out.real, out.imag = i, q


def test_decode(benchmark, report):
    """GB/s of int16 input per core for every layout, into an array that is kept (goal >= 1.5)."""
    shape = {"chirps": CHIRPS, "samples": SAMPLES, "rx": RX}
    raw = np.random.default_rng(0).integers(-2000, 2000, MIB * 2**19, dtype=np.int16)
    copy = np.empty_like(raw)
    rows = [("input", f"{MIB} MiB: {RX} RX x {SAMPLES} samples x {CHIRPS} chirps per frame")]
    for layout in LAYOUTS:
        assert raw.nbytes % frame_bytes(layout, **shape) == 0
        out = decode(raw, layout, **shape)
        contestants = {
            "decode": lambda name=layout, out=out: decode(raw, name, **shape, out=out),
            "fresh": lambda name=layout: decode(raw, name, **shape),
            "12 bits": lambda name=layout, out=out: decode(raw, name, **shape, bits=12, out=out),
            "numpy": lambda name=layout, out=out: plain(raw, name, out),
            "memcpy": lambda: np.copyto(copy, raw),
        }
        best = interleaved(contestants, rounds=5)
        speed = {name: raw.nbytes / seconds / 1e9 for name, seconds in best.items()}
        rows.append(
            (
                layout,
                f"{speed['decode']:.2f} GB/s (12 bits {speed['12 bits']:.2f}, fresh array {speed['fresh']:.2f}); "
                f"plain numpy {speed['numpy']:.2f}, memcpy {speed['memcpy']:.2f}",
            )
        )
    benchmark.pedantic(lambda: None, rounds=1)
    report("raw samples decoded, one core", rows)
