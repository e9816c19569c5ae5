"""Factorised back-projection of 103,168 freehand samples into 256^3 voxels, against bpa at the same error, and nufft.

    pytest tests/bench/bench_ffbp.py --benchmark-enable -s

`bpa` images two slabs of 16 planes and is extrapolated by its voxel-pairs a second; `ffbp` images the whole volume.
Contestants take turns in one run; errors are against the float64 sum at random voxels. A wide multistatic panel, where
`nufft` fails, is the second table. Nothing is asserted about times.
"""

import benchscenes
import numpy as np
import pytest
from sidebyside import interleaved

from mmsar.metrics import error_db
from mmsar.model import AntennaArray, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa, ffbp, nufft
from mmsar.recon.options import ReconOptions

SLAB = 16
"""Planes of the slabs that bpa images: as deep as its tiles get."""


def panel(n_pose: int) -> Scan:
    """A raster of a board with antennas up to 0.8 m apart, 16 x 20 pairs."""
    place = np.random.default_rng(3).uniform(-0.3, 0.3, (36, 3)) * [1, 1, 0.05]
    array = AntennaArray(tx=place[:16], rx=place[16:], name="panel")
    return benchscenes.scan_of(Trajectory.raster((n_pose, n_pose), (9e-3, 9e-3)), array)


def slabs(grid: ImageGrid, count: int) -> list[ImageGrid]:
    """`count` slabs of planes spread over a grid."""
    step, z = grid.shape[0] // count, grid.spacing[2]
    return [
        ImageGrid(
            shape=(min(SLAB, step), *grid.shape[1:]),
            origin=(*grid.origin[:2], grid.origin[2] + n * step * z),
            spacing=grid.spacing,
        )
        for n in range(count)
    ]


def against_bpa(scan: Scan, grid: ImageGrid, wanted: float, *, count: int = 2, rounds: int = 3) -> list:
    """Rows of the table: bpa on slabs, ffbp on all of a grid, nufft to compare."""
    options = ReconOptions(error_db=wanted, progress=False)
    parts = [bpa.plan(scan, part, options=options) for part in slabs(grid, count)]
    whole = ffbp.plan(scan, grid, options=options)
    other = nufft.plan(scan, grid, options=options)
    best = interleaved(
        {
            "bpa": lambda: [part(scan.signal) for part in parts],
            "ffbp": lambda: whole(scan.signal),
            "ffbp planned": lambda: ffbp.plan(scan, grid, options=options)(scan.signal),
            "nufft": lambda: other(scan.signal),
        },
        rounds,
    )
    at = np.random.default_rng(0).integers(0, grid.shape, (200, 3))
    points = np.array(grid.origin) + np.array(grid.spacing) * at[:, ::-1]
    exact = bpa.exact(scan.signal, scan.geometry, points)
    images = {"ffbp": whole(scan.signal), "nufft": other(scan.signal)}
    errors = {name: error_db(image[tuple(at.T)], exact).error_db for name, image in images.items()}
    done = sum(part.grid.n_voxels for part in parts)
    rate = done * scan.geometry.n_channels / best["bpa"]
    all_of_it = grid.n_voxels * scan.geometry.n_channels / rate
    n_z, n_y, n_x = grid.shape
    return [
        ("samples -> voxels", f"{scan.geometry.n_channels:,} x {scan.chirp.n_samples} -> {n_x} x {n_y} x {n_z}"),
        ("error asked for", f"{wanted:.0f} dB"),
        ("bpa, a part of the planes", f"{best['bpa']:.2f} s for {done:,} voxels, {rate / 1e9:.1f} G voxel-pairs/s"),
        ("bpa, all voxels at that rate", f"{all_of_it:.1f} s"),
        ("ffbp", f"{best['ffbp']:.3f} s, {errors['ffbp']:.1f} dB from the float64 sum on noise"),
        ("ffbp and its planning", f"{best['ffbp planned']:.3f} s"),
        ("nufft", f"{best['nufft']:.3f} s, {errors['nufft']:.1f} dB from the float64 sum on noise"),
        ("bpa / ffbp (goal >= 10)", f"{all_of_it / best['ffbp']:.1f}"),
        ("nufft / ffbp", f"{best['nufft'] / best['ffbp']:.2f}"),
    ]


@pytest.mark.parametrize("scene", ["freehand", "wide panel"])
def test_ffbp_against_bpa(benchmark, report, scene):
    if benchmark.disabled:
        pytest.skip("a benchmark of some minutes; run make bench")
    scan = benchscenes.freehand() if scene == "freehand" else panel(18)
    grid = benchscenes.volume((256, 256, 256))
    rows = against_bpa(scan, grid, -40.0, **({} if scene == "freehand" else {"count": 1, "rounds": 1}))
    plan = ffbp.plan(scan, grid, options=ReconOptions(error_db=-40.0, progress=False))
    benchmark.pedantic(lambda: plan(scan.signal), rounds=1)
    report(f"ffbp against bpa: {scene} into 256^3", rows)
