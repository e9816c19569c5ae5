"""What is solved for, in images: least squares and autofocus of a scan against the imager that both use.

A held nufft plan and a fresh one are the baselines: an iteration of least squares is an echo and an image, and
autofocus makes new transforms in every step, as poses move. Contestants take turns in one run; nothing is asserted.
"""

from dataclasses import replace

import numpy as np
import pytest
from sidebyside import interleaved


@pytest.fixture(autouse=True)
def only_as_a_benchmark(request):
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a benchmark of a minute; run make bench")


def scan_with_errors(rms: float):
    """15,360 channels of letters, positions wrong by so much along every axis [m], and where they truly were."""
    import mmsar
    from mmsar.simulate.noise import add_noise, smooth_error
    from mmsar.simulate.scene import Scene

    rng = np.random.default_rng(0)
    path = mmsar.Trajectory.raster((16, 120), (1.2e-3, 7.6e-3))
    error = smooth_error(len(path), np.full(3, rms), cycles=120.0, rng=rng)
    true = mmsar.Trajectory(time=path.time, position=path.position + error, rotation=path.rotation)
    chirp = mmsar.Chirp(f0=77e9, slope=63e12, fs=1e6, n_samples=64)
    letters = Scene.letters("SAR", 0.02, centre=(0.0, 0.0, 0.3))
    scan = mmsar.simulate(letters, chirp=chirp, array=mmsar.AntennaArray.iwr1443(), trajectory=true)
    noisy = scan.with_signal(add_noise(scan.read(), 10.0, rng=rng))
    return replace(noisy, trajectory=path), noisy


def test_least_squares_and_autofocus_in_images(benchmark, report, monkeypatch):
    from mmsar.focus.autofocus import AutofocusOptions, apply_autofocus, autofocus
    from mmsar.metrics.compare import ncc
    from mmsar.model import ImageGrid
    from mmsar.recon import nufft
    from mmsar.recon.least_squares import LeastSquaresPlan
    from mmsar.recon.options import ReconOptions

    scan, exact = scan_with_errors(0.3e-3)
    grid = ImageGrid.from_extent((-0.055, 0.055), (-0.055, 0.055), 0.3, spacing=1e-3)
    quiet = ReconOptions(progress=False)
    plan = nufft.plan(scan.geometry, grid, options=quiet)
    solver = LeastSquaresPlan(plan, show=False)

    def focus(threads: str | None):
        with monkeypatch.context() as patch:
            if threads is not None:
                patch.setenv("OMP_NUM_THREADS", threads)
            return autofocus(scan, grid, options=AutofocusOptions(progress=False))

    best = interleaved(
        {
            "held": lambda: plan(scan.signal),
            "fresh": lambda: nufft.plan(scan.geometry, grid, options=quiet)(scan.signal),
            "least squares": lambda: solver(scan.signal),
            "focus": lambda: focus(None),
            "one thread": lambda: focus("1"),
        },
        rounds=3,
    )
    found = benchmark.pedantic(lambda: focus(None), rounds=1)
    before, after, true = (
        nufft.plan(s.geometry, grid, options=quiet)(s.signal) for s in (scan, apply_autofocus(scan, found), exact)
    )
    likeness = f"{ncc(before, true):.2f} -> {ncc(after, true):.2f}"
    rows = [
        (
            "samples -> voxels",
            f"{scan.geometry.n_channels:,} channels x 64 frequencies -> 111 x 111, errors 0.3 mm RMS",
        ),
        ("nufft, plan held", f"{1e3 * best['held']:.1f} ms"),
        ("nufft, with its plan", f"{1e3 * best['fresh']:.1f} ms"),
        ("least squares, 18 iterations", f"{1e3 * best['least squares']:.0f} ms"),
        ("least squares / nufft, plan held", f"{best['least squares'] / best['held']:.0f}"),
        (
            "autofocus, 30 + 12 steps and hold-outs",
            f"{best['focus']:.2f} s, NCC with the image at true positions {likeness}",
        ),
        ("autofocus / nufft with its plan", f"{best['focus'] / best['fresh']:.0f}"),
        ("autofocus on one thread / on all", f"{best['one thread'] / best['focus']:.2f}"),
    ]
    report("least squares and autofocus, in images", rows)
