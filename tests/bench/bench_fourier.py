"""rma against its bare FFTs, nufft against empm and bpa, slices and lines, the 2-D case of the EMPM paper, peak memory.

Every test prints ratios of contestants that took turns in one run and keeps them in `benchmark.extra_info` for
tests/bench/table.py. Nothing is asserted about times.
"""

import subprocess
import sys
from pathlib import Path

import benchscenes
import numpy as np
import pytest
from sidebyside import interleaved


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of some seconds to minutes; run make bench")


def bare_ffts(n_k: int, aperture: tuple[int, int], volume: tuple[int, int, int]):
    """A function that runs n_k forward 2-D FFTs and one inverse 3-D FFT: held, measured, in-place FFTW plans."""
    import pyfftw

    from mmsar.core.parallel import threads

    flags = {"flags": ("FFTW_MEASURE",), "threads": threads(), "planning_timelimit": 60.0}
    planes = pyfftw.empty_aligned((n_k, *aperture), dtype="complex64")
    cube = pyfftw.empty_aligned(volume, dtype="complex64")
    forward = pyfftw.FFTW(planes, planes, axes=(1, 2), direction="FFTW_FORWARD", **flags)
    backward = pyfftw.FFTW(cube, cube, axes=(0, 1, 2), direction="FFTW_BACKWARD", **flags)
    planes[:], cube[:] = 0, 0

    def run() -> None:
        forward.execute()
        backward.execute()

    return run


@pytest.mark.parametrize("n_z", [64, 256])
def test_rma_against_bare_ffts(benchmark, report, n_z):
    from mmsar.recon import rma

    scan = benchscenes.raster(256)
    grid = benchscenes.volume((n_z, 256, 256), half=0.12)
    plan = rma.plan(scan, grid)
    period = plan._migration.period
    bare = bare_ffts(64, (period[1], period[0]), (n_z, period[1], period[0]))
    best = interleaved({"rma": lambda: plan(scan.signal), "bare FFTs": bare}, rounds=5)
    benchmark.pedantic(lambda: plan(scan.signal), rounds=1)
    rows = [
        ("samples -> voxels", f"256 x 256 x 64 -> {n_z} x 256 x 256, padded to {period[0]} x {period[1]}"),
        ("rma end to end", f"{best['rma']:.3f} s"),
        ("64 forward 2-D + one inverse 3-D FFT of the padded sizes", f"{best['bare FFTs']:.3f} s"),
        ("ratio (goal <= 1.5)", f"{best['rma'] / best['bare FFTs']:.2f}"),
    ]
    report(f"rma against bare FFTs, {n_z} planes", rows)


def test_slice_against_bare_ffts(benchmark, report):
    """One plane without a Stolt step: per frequency a 2-D transform times a phase, then one inverse transform."""
    from mmsar.recon import rma

    scan = benchscenes.raster(256)
    grid = benchscenes.volume((1, 256, 256), half=0.12)
    plan = rma.plan(scan, grid)
    period = plan._migration.period[::-1]
    contestants = {"slice": lambda: plan(scan.signal)}
    contestants |= {n: bare_ffts(n, tuple(period), (1, *period)) for n in (64, plan.n_frequencies)}
    best = interleaved(contestants, rounds=5)
    benchmark.pedantic(lambda: plan(scan.signal), rounds=1)
    rows = [
        ("samples -> voxels", f"256 x 256 x 64 -> 1 x 256 x 256, padded to {period[0]} x {period[1]}"),
        ("rma end to end", f"{best['slice']:.3f} s"),
        ("64 forward 2-D + one inverse 2-D FFT of the padded sizes", f"{best[64]:.3f} s"),
        (f"the same for the {plan.n_frequencies} compressed frequencies", f"{best[plan.n_frequencies]:.3f} s"),
        ("ratio to the first (goal <= 1.5)", f"{best['slice'] / best[64]:.2f}"),
    ]
    report("one slice by rma against bare FFTs", rows)


def test_line_against_bpa(benchmark, report):
    """A scan along a line into the plane before it: migrated in two dimensions."""
    from mmsar.model import AntennaArray, ImageGrid, Trajectory
    from mmsar.recon import bpa, nufft, rma

    quarter = benchscenes.CHIRP.wavelength / 4
    scan = benchscenes.scan_of(Trajectory.linear(1024, quarter, axis="y"), AntennaArray.single())
    grid = ImageGrid.from_extent(0.0, (-0.4, 0.4), (0.4, 0.9), spacing=(1e-3, 1e-3, 5e-3))
    plans = {name: method.plan(scan.geometry, grid) for name, method in (("rma", rma), ("nufft", nufft), ("bpa", bpa))}
    best = interleaved({name: lambda p=p: p(scan.signal) for name, p in plans.items()}, rounds=5)
    exact = plans["bpa"](scan.signal)
    error = np.linalg.norm(plans["rma"](scan.signal) - exact) / np.linalg.norm(exact)
    benchmark.pedantic(lambda: plans["rma"](scan.signal), rounds=1)
    rows = [("samples -> voxels", "1024 x 64 -> 101 x 801")]
    rows += [(name, f"{1e3 * seconds:.1f} ms") for name, seconds in best.items()]
    rows += [("rma from bpa, on noise", f"{20 * np.log10(error):.1f} dB")]
    report("a line into the plane before it", rows)


def test_nufft_against_empm_and_bpa(benchmark, report):
    from mmsar.recon import bpa, empm, nufft

    scan = benchscenes.freehand()
    grid = benchscenes.volume((64, 256, 256))
    plans = {"nufft": nufft.plan(scan, grid), "empm": empm.plan(scan, grid)}
    best = interleaved({name: lambda p=p: p(scan.signal) for name, p in plans.items()}, rounds=5)
    image = plans["nufft"](scan.signal)
    benchmark.pedantic(lambda: plans["nufft"](scan.signal), rounds=1)
    direct = bpa.plan(scan.geometry, grid)
    pairs = scan.geometry.n_channels * grid.n_voxels
    slow = interleaved({"bpa": lambda: direct(scan.signal)}, rounds=1)["bpa"]
    exact = direct(scan.signal)
    error = np.linalg.norm(image - exact) / np.linalg.norm(exact)
    rows = [
        ("samples -> voxels", f"{scan.geometry.n_channels:,} channels x 64 frequencies -> 64 x 256 x 256"),
        ("nufft", f"{best['nufft']:.3f} s, {20 * np.log10(error):.1f} dB from bpa on noise"),
        ("empm", f"{best['empm']:.3f} s"),
        ("bpa", f"{slow:.1f} s, {pairs / slow / 1e9:.1f} G voxel-pairs/s"),
        ("nufft / empm (goal <= 1.2)", f"{best['nufft'] / best['empm']:.2f}"),
        ("bpa / nufft", f"{slow / best['nufft']:.0f}"),
        (
            "a plain sum at 1 G voxel-pairs/s / nufft (goal >= 100)",
            f"{pairs / 1e9 / best['nufft']:.0f}",
        ),
    ]
    report("nufft against empm and bpa", rows)


def test_two_dimensional_case_of_the_empm_paper(benchmark, report):
    """Check 13: 103,168 irregular samples into one 400 x 400 slice (paper: 1.1 s on 12 cores, BPA 1,325 s)."""
    from mmsar.recon import bpa, empm, nufft

    scan = benchscenes.freehand()
    grid = benchscenes.volume((1, 400, 400))
    plans = {"empm": empm.plan(scan, grid), "nufft": nufft.plan(scan, grid)}
    plans["bpa"] = bpa.plan(scan.geometry, grid)
    best = interleaved({name: lambda p=p: p(scan.signal) for name, p in plans.items()}, rounds=3)
    benchmark.pedantic(lambda: plans["empm"](scan.signal), rounds=1)
    rows = [
        (name, f"{seconds:.3f} s, {best['bpa'] / seconds:.1f} times faster than bpa") for name, seconds in best.items()
    ]
    report("one 400 x 400 slice of 103,168 samples", rows)


def test_scaling(benchmark, report):
    """Check 13: slope of time over the number N of samples and voxels along each axis, in log-log."""
    from mmsar.recon import bpa, rma

    sizes, times = (32, 64, 128), {"rma": [], "bpa": []}
    for n in sizes:
        scan, grid = benchscenes.raster(n), benchscenes.volume((n // 4, n, n), half=n * 0.47e-3)
        for name, plan in (("rma", rma.plan(scan, grid)), ("bpa", bpa.plan(scan.geometry, grid))):
            times[name].append(interleaved({name: lambda p=plan, s=scan: p(s.signal)}, rounds=2)[name])
    benchmark.pedantic(lambda: None, rounds=1)
    rows = []
    for name, seconds in times.items():
        slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        rows.append(
            (name, ", ".join(f"N={n}: {s:.3f} s" for n, s in zip(sizes, seconds, strict=True)) + f"; slope {slope:.1f}")
        )
    report("N x N x 64 samples into N/4 x N x N voxels", rows)


MEMORY = """
import sys
sys.path.insert(0, sys.argv[1])
import benchscenes
from sidebyside import peak_memory
from mmsar.recon.planner import make_plan
scan = getattr(benchscenes, sys.argv[3])()
warm = benchscenes.volume((2, 16, 16))
small = scan.subset(slice(0, 64))
make_plan(sys.argv[2], small.geometry, warm)(small.signal)
grid = benchscenes.volume(tuple(map(int, sys.argv[4:])), half=0.12)
before = peak_memory()
image = make_plan(sys.argv[2], scan.geometry, grid)(scan.signal)
print(peak_memory() - before, scan.signal.nbytes, image.nbytes)
"""


LARGE, MEDIUM = (256, 512, 512), (64, 256, 256)


@pytest.mark.parametrize(
    ("method", "scene", "shape"),
    [("rma", "raster", LARGE), ("empm", "freehand", LARGE), ("nufft", "freehand", LARGE), ("bpa", "freehand", MEDIUM)],
)
def test_peak_memory(benchmark, report, method, scene, shape):
    """Growth of the resident size in a fresh process, input counted in; goal: at most 3 times input plus output."""
    command = [sys.executable, "-c", MEMORY, str(Path(__file__).parent), method, scene, *map(str, shape)]
    grown, signal, image = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    benchmark.pedantic(lambda: None, rounds=1)
    ratio = (grown + signal) / (signal + image)
    rows = [
        ("input + output", f"{(signal + image) / 2**20:.0f} MiB ({' x '.join(map(str, shape))} voxels)"),
        ("peak", f"{(grown + signal) / 2**20:.0f} MiB"),
        ("ratio (goal <= 3)", f"{ratio:.2f}"),
    ]
    report(f"peak memory of {method}", rows)
