"""Back-projection, range migration and irregular scans on the first GPU, beside the goals for an H200.

Skipped without a GPU; `make bench-gpu` runs it with the GPU's tests and writes docs/measurements/DATE-gpu.md.
"""

import benchscenes
import gpu_measures
import pytest

from mmsar.model import AntennaArray, ImageGrid, Trajectory

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of some seconds to minutes; run make bench-gpu")


@pytest.fixture
def device():
    from mmsar.core.backend import open_devices

    return open_devices("cuda:0")[0]


def test_bpa_multistatic(benchmark, report, device):
    scan, grid = benchscenes.freehand(), benchscenes.volume((64, 256, 256))
    goal = f"goal on an H200 >= {gpu_measures.BPA_GOAL / 1e12:g} T"
    report("bpa, multistatic", benchmark.pedantic(gpu_measures.bpa_rows, (device, scan, grid, 3), {"goal": goal}))


def test_bpa_monostatic_plane(benchmark, report, device):
    """torchbp's case, one antenna and a plane: no legs to share."""
    scan = benchscenes.scan_of(Trajectory.raster((64, 512), (1e-3, 1e-3)), AntennaArray.single())
    grid = ImageGrid.from_extent((-0.5, 0.5), 0, (0.3, 1.3), spacing=0.5e-3)
    goal = f"torchbp publishes {gpu_measures.TORCHBP / 1e12:g} T on an RTX 3090 Ti"
    report(
        "bpa, monostatic, a plane", benchmark.pedantic(gpu_measures.bpa_rows, (device, scan, grid, 3), {"goal": goal})
    )


def test_rma(benchmark, report, device):
    scan, grid = benchscenes.raster(512), benchscenes.volume((256, 512, 512), half=0.24)
    report("rma", benchmark.pedantic(gpu_measures.rma_rows, (device, scan, grid, 5)))


def test_nufft(benchmark, report, device):
    scan, grid = benchscenes.freehand(), benchscenes.volume((64, 256, 256))
    report("nufft, freehand", benchmark.pedantic(gpu_measures.nufft_rows, (device, scan, grid, 5)))
