"""Enhancement of a 256 x 256 image by both networks that come with the package, taking turns in one run."""

import numpy as np
import pytest
from sidebyside import interleaved


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of a minute; run make bench")


def test_enhancing_a_slice(benchmark, report):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; pip install 'mmsar[sr]'")
    from mmsar.enhance.infer import Enhancer
    from mmsar.enhance.weights import find, shipped

    image = np.random.default_rng(0).rayleigh(size=(256, 256)).astype(np.float32)
    networks = {name: Enhancer(find(name)) for name in shipped() if Enhancer(find(name)).inputs == "magnitude"}
    best = interleaved({name: lambda network=network: network(image) for name, network in networks.items()}, rounds=5)
    benchmark.pedantic(lambda: networks["gatenet"](image), rounds=5)
    rows = [(f"{name}, 256 x 256", f"{1e3 * seconds:.1f} ms") for name, seconds in best.items()]
    if "srvit" in best:
        rows.append(("srvit / gatenet", f"{best['srvit'] / best['gatenet']:.0f}"))
    report("enhancement of a slice, onnxruntime on the CPU", rows)
