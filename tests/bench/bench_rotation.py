"""isar: 1,024 angles x 512 heights x 64 frequencies into 256^3, against bpa and against its bare FFTs and NUFFTs.

The bare transforms are those of the same sizes with nothing between them: the FFTs over angle and height, the azimuth
FFTs, and the NUFFTs from polar wavenumbers to pixels. Contestants take turns in one run; nothing is asserted.
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


def bare_transforms(plan, ring: tuple[int, int]):
    """A function that runs the FFTs and NUFFTs of an isar plan on zeros and noise: held plans, all threads."""
    from mmsar.core.fft import RowFFT
    from mmsar.core.nufft import Waves
    from mmsar.core.parallel import Workers

    migration, n_angles = plan._migration, ring[0]
    n_k, n_orders, n_ky = plan.n_frequencies, 2 * migration.order + 1, len(migration.ky)
    length, (n_z, _, n_x) = plan._front.length, plan.grid.shape
    points = n_k * migration.n_angles
    rng = np.random.default_rng(0)
    z, x = rng.uniform(-np.pi, np.pi, (2, points)).astype(np.float32)
    strengths = np.ones((2, points), dtype=np.complex64)
    fronts = Workers(lambda: (RowFFT(ring[1], n_angles, "forward"), RowFFT(n_orders, length, "forward")))

    def make_waves():
        waves = Waves((n_z, n_x), n_trans=2, eps=migration.eps)
        return RowFFT(n_k, migration.n_angles, "backward"), waves, np.empty((2, n_z, n_x), dtype=np.complex64)

    backs = Workers(make_waves)

    def front(_, round_, up) -> None:
        round_()
        up()

    def back(_, azimuth, waves, out) -> None:
        azimuth()
        azimuth()
        waves.place(z, x)
        waves(strengths, out)

    def run() -> None:
        fronts.run(front, range(n_k))
        backs.run(back, range((n_ky + 1) // 2))

    return run


def against_bpa(ring: tuple[int, int], n: int, rounds: int) -> list[tuple[str, str]]:
    """Rows of a table: isar of `ring` angles x heights into n^3 voxels against bpa, all of it, taking turns."""
    from mmsar.recon import bpa, isar

    geometry, signal = benchscenes.turntable(*ring)
    grid = benchscenes.about_axis(n)
    plans = {"isar": isar.plan(geometry, grid), "bpa": bpa.plan(geometry, grid)}
    best = interleaved({name: lambda plan=plan: plan(signal) for name, plan in plans.items()}, rounds=rounds)
    image, exact = (plan(signal) for plan in plans.values())
    error = np.linalg.norm(image - exact) / np.linalg.norm(exact)
    pairs = geometry.n_channels * grid.n_voxels
    return [
        ("samples -> voxels", f"{ring[0]} angles x {ring[1]} heights x 64 frequencies -> {n} x {n} x {n} at 0.5 mm"),
        ("isar", f"{best['isar']:.3g} s, {20 * np.log10(error):.1f} dB from bpa on noise"),
        ("bpa", f"{best['bpa']:.3g} s, {pairs / best['bpa'] / 1e9:.1f} G voxel-pairs/s"),
        ("bpa / isar", f"{best['bpa'] / best['isar']:.1f}"),
    ]


def test_isar_against_bpa(benchmark, report):
    rows = benchmark.pedantic(lambda: against_bpa((720, 64), 128, rounds=3), rounds=1)
    report("isar against bpa: a turntable into 128^3", rows)


def test_isar_against_bpa_and_bare_transforms(benchmark, report):
    from mmsar.recon import bpa, isar

    ring = (1024, 512)
    geometry, signal = benchscenes.turntable(*ring)
    grid = benchscenes.about_axis(256)
    plan = isar.plan(geometry, grid)
    bare = bare_transforms(plan, ring)
    best = interleaved({"isar": lambda: plan(signal), "bare": bare}, rounds=5)
    image = plan(signal)
    benchmark.pedantic(lambda: plan(signal), rounds=1)
    block = benchscenes.about_axis(256, planes=slice(120, 136))
    direct = bpa.plan(geometry, block)
    pairs = geometry.n_channels * block.n_voxels
    slow = interleaved({"bpa": lambda: direct(signal)}, rounds=1)["bpa"]
    exact = direct(signal)
    error = np.linalg.norm(image[120:136] - exact) / np.linalg.norm(exact)
    whole = slow * grid.n_voxels / block.n_voxels
    migration = plan._migration
    rows = [
        ("samples -> voxels", f"{ring[0]} angles x {ring[1]} heights x 64 frequencies -> 256 x 256 x 256 at 0.5 mm"),
        ("isar end to end", f"{best['isar']:.2f} s, {20 * np.log10(error):.1f} dB from bpa on noise"),
        (
            "in it",
            f"{plan.n_frequencies} frequencies x {2 * migration.order + 1} orders x {len(migration.ky)} wavenumbers ky",
        ),
        ("bare FFTs and NUFFTs of the same sizes", f"{best['bare']:.2f} s"),
        ("isar / bare transforms", f"{best['isar'] / best['bare']:.2f}"),
        ("bpa, 16 of the 256 slices", f"{slow:.1f} s, {pairs / slow / 1e9:.1f} G voxel-pairs/s"),
        ("bpa, all slices at that rate / isar", f"{whole / best['isar']:.0f}"),
        (
            "a plain sum at 1 G voxel-pairs/s / isar",
            f"{geometry.n_channels * grid.n_voxels / 1e9 / best['isar']:.0f}",
        ),
    ]
    report("isar: a turntable into 256^3", rows)


MEMORY = """
import sys
import time
sys.path.insert(0, sys.argv[1])
import benchscenes
from sidebyside import peak_memory
from mmsar.recon import isar
from mmsar.recon.options import ReconOptions
from mmsar.recon.predict import cost
small, few = benchscenes.turntable(64, 8)
isar.plan(small, benchscenes.about_axis(16))(few)
geometry, signal = benchscenes.turntable(1024, 512)
grid = benchscenes.about_axis(256)
before = peak_memory()
budget = int(sys.argv[2]) * 2**20 or None
plan = isar.plan(geometry, grid, options=ReconOptions(memory=budget))
start = time.perf_counter(), time.process_time()
image = plan(signal)
wall, cores = time.perf_counter() - start[0], time.process_time() - start[1]
predicted = cost("isar", geometry, grid, memory=budget)[1]
sizes = peak_memory() - before, plan.nbytes, predicted, signal.nbytes + image.nbytes
print(plan._migration.pieces.count, wall, cores, *sizes)
"""


@pytest.mark.parametrize("budget", [0, 500, 360], ids=lambda b: f"{b} MiB" if b else "free")
def test_memory_of_isar(benchmark, report, budget):
    command = [sys.executable, "-c", MEMORY, str(Path(__file__).parent), str(budget)]
    out = benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, text=True, check=True), rounds=1)
    pieces, wall, cores, *sizes = out.stdout.split()
    peak, stated, predicted, touched = (int(v) / 2**20 for v in sizes)
    rows = [
        ("samples and image", f"{touched:.0f} MiB"),
        ("peak beyond the samples", f"{peak:.0f} MiB"),
        ("stated by the plan", f"{stated:.0f} MiB"),
        ("predicted by the planner", f"{predicted:.0f} MiB"),
        ("pieces", pieces),
        ("time", f"{float(wall):.1f} s, {float(cores):.1f} core-seconds"),
    ]
    report("memory of isar" + (f", budget of {budget} MiB" if budget else ""), rows)
