"""Images in tiles: the same as whole, in less memory, and left and taken up again without a difference."""

import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from mmsar.core.kernels_bpa_design import Design
from mmsar.core.kernels_bpa_layout import Tiles
from mmsar.errors import FormatError, MmsarError
from mmsar.model import ImageGrid
from mmsar.recon import tiles as tiles_module
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import make_plan, reconstruct, request
from mmsar.recon.tiled import Here, TiledRun
from mmsar.recon.tiles import Bench, Samples, good_number, make_job

QUIET = ReconOptions(progress=False)
FRONT = ImageGrid(shape=(37, 21, 24), origin=(-0.02, -0.02, 0.27), spacing=(2e-3, 2e-3, 1.3e-3))
ROUND = ImageGrid.from_extent((-0.03, 0.03), (-0.012, 0.012), (-0.03, 0.03), spacing=2e-3)
CASES = [
    ("bpa", "hand", FRONT),
    ("rma", "raster", FRONT),
    ("empm", "hand", FRONT),
    ("nufft", "hand", FRONT),
    ("isar", "turn", ROUND),
    ("ffbp", "hand", FRONT),
]


def asked(scan, grid, method, **changes):
    return request(scan, grid, method=method, options=replace(QUIET, **changes))


def difference(image, whole):
    return np.linalg.norm(image - whole) / np.linalg.norm(whole)


def put_together(job, tiles):
    image = np.zeros(job.grid.shape, dtype=np.complex64)
    for region, values in zip(job.regions, tiles, strict=True):
        assert job.adds or not image[region].any(), "tiles overlap"
        image[region] += values
    return image


@pytest.mark.parametrize(("method", "kind", "grid"), CASES)
def test_tiles_make_the_whole_image(scans, method, kind, grid):
    scan = scans[kind]
    wanted = asked(scan, grid, method)
    plan = make_plan(method, wanted.geometry, grid, options=QUIET)
    job = pickle.loads(pickle.dumps(make_job(wanted, 5)))
    assert 3 <= len(job.regions) <= 8
    blocks = [block for _, block in scan.blocks(max_bytes=scan.nbytes // 3)]
    assert len(blocks) > 2
    whole = plan(Samples(blocks))  # some BLAS libraries round a row of a product by how many rows there are
    assert difference(plan(scan), whole) <= 1e-6
    bench = Bench(job, Samples(blocks))
    tiles = [bench.tile(n) for n in reversed(range(len(job.regions)))][::-1]
    assert difference(put_together(job, tiles), whole) <= (0 if method in ("bpa", "ffbp") else 1e-5)
    assert all(np.linalg.norm(tile) > 0 for tile in tiles)
    assert method != "bpa" or job.plan.nbytes < 0.8 * plan.nbytes, "one tile in memory"


@pytest.mark.parametrize("axes", [(2, 1, 0), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("shape", [(1, 40, 48), (33, 30, 32), (40, 9, 9), (1, 1, 1)])
def test_runs_of_the_kernels_tiles_are_boxes_that_fill_the_grid(axes, shape):
    """Along two dimensions where one does not do; never in more tiles than the kernel has."""
    n = shape[::-1]
    tiles = Tiles(Design(axes, (12, 8, 16), (4, 4, 5), 0, 0.0), n, (0.0, 0.0, 0.0), (1e-3, 1e-3, 1e-3))
    packed = np.random.default_rng(0).normal(size=tiles.zeros().shape).astype(np.float32)
    whole = tiles.unpack(packed, 2.0)
    for wanted in (1, 2, 7, 1000):
        image, runs = np.zeros(shape, np.complex64), tiles.runs(wanted)
        assert len(runs) >= min(wanted, tiles.blocks[0] * tiles.blocks[1])
        for run in runs:
            assert not image[run.region].any()
            image[run.region] = tiles.unpack(packed[run.tiles], 2.0, run)
        np.testing.assert_array_equal(image, whole)


def test_tiles_fit_where_the_whole_does_not(scans):
    grid = ImageGrid(shape=(300, 40, 40), origin=(-0.02, -0.02, 0.25), spacing=(1e-3, 1e-3, 0.5e-3))
    scan = scans["raster"]
    whole = make_plan("rma", scan.geometry, grid, options=QUIET)
    tight = int(1.1 * make_plan("rma", scan.geometry, grid, options=replace(QUIET, tiles=300)).nbytes)
    assert tight < 0.5 * whole.nbytes
    advice = r"allow more memory \(--memory\), use a smaller grid, or make it in tiles \(--tiles\)"
    with pytest.raises(MmsarError, match=advice):
        reconstruct(scan, grid, method="rma", options=replace(QUIET, memory=tight))
    image = whole(scan)
    job = make_job(asked(scan, grid, "rma", memory=tight), 300)
    tracemalloc.start()
    try:
        bench = Bench(job, scan)
        first = bench.tile(0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 1.05 * tight
    assert difference(put_together(job, [first, *(bench.tile(n) for n in range(1, 300))]), image) < 1e-5


def test_isar_has_no_more_shares_than_frequencies(scans):
    job = make_job(asked(scans["turn"], ROUND, "isar"), 1000)
    assert len(job.regions) == make_plan("isar", scans["turn"].geometry, ROUND, options=QUIET).n_frequencies
    assert np.linalg.norm(Bench(job, scans["turn"]).tile(len(job.regions) - 1)) > 0


def test_number_of_tiles_where_nobody_says(scans):
    wanted = asked(scans["raster"], FRONT, "rma")
    assert good_number(wanted, 1, 2**40) == 4
    assert good_number(wanted, 8, 2**40) == 32
    assert good_number(wanted, 1, 2**20) == 4
    slow = replace(wanted, chosen=replace(wanted.chosen, seconds=600.0))
    assert good_number(slow, 1, 2**40) == 31
    large = replace(wanted, grid=replace(FRONT, shape=(640, 512, 512)))
    assert good_number(large, 1, 2**30) == 10
    turned = asked(scans["turn"], ROUND, "isar")
    assert good_number(turned, 30, 2**40) == 8


# ---- runs that are left and taken up --------------------------------------------------------------------------------


def run_of(tmp_path, wanted, tiles=6, **options):
    return TiledRun(wanted, tmp_path / "image.h5", tiles=tiles, told={"scan": "1"}, maker=Here(), **options)


@pytest.mark.parametrize(("method", "kind", "grid"), [CASES[1], CASES[4]])
def test_what_was_made_is_not_made_again(tmp_path, scans, method, kind, grid):
    wanted = asked(scans[kind], grid, method)
    first = run_of(tmp_path, wanted)
    bench = Bench(first.job, wanted.scan)
    for number in first.missing[1:3]:
        first.put(number, bench.tile(number))
    n = len(first.job.regions)
    assert first.abandon() == f"2 of {n} tiles are kept in {tmp_path / 'image.h5.tiles'}; go on with --resume"
    with pytest.raises(FormatError, match="tiles of an earlier run are there; go on with --resume, or remove"):
        run_of(tmp_path, wanted)
    again = run_of(tmp_path, wanted, tiles=None, resume=True)
    assert again.missing == [0, *range(3, n)] and again.store.resumed == 2
    (run,) = Here().finish([again], show=False)
    image = run.image()
    assert image.history[-1]["tiles"] == n and image.history[-1]["method"] == method
    whole = reconstruct(scans[kind], grid, method=method, options=QUIET)
    assert difference(image.data, whole.data) < 1e-5
    run.store.remove()
    assert list(tmp_path.iterdir()) == []


def test_tiles_cut_otherwise_do_not_mix(tmp_path, scans, monkeypatch):
    """As many tiles, but not the same ones: another machine may choose so."""
    wanted = asked(scans["raster"], FRONT, "rma")
    first = run_of(tmp_path, wanted)
    first.put(0, Bench(first.job, wanted.scan).tile(0))
    first.abandon()
    cut = tiles_module.slabs
    monkeypatch.setattr(tiles_module, "slabs", lambda n, count: [slice(0, 1), *cut(n, count)[1:]])
    with pytest.raises(FormatError, match=r"tiles of another run \(made\.way: got"):
        run_of(tmp_path, wanted, resume=True)


def test_nothing_made_leaves_nothing(tmp_path, scans):
    run = run_of(tmp_path, asked(scans["raster"], FRONT, "rma"))
    assert run.abandon() == ""
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_tells_why_and_the_next_is_made(tmp_path, scans):
    good = run_of(tmp_path, asked(scans["raster"], FRONT, "rma"))
    (tmp_path / "other").mkdir()
    bad = run_of(tmp_path / "other", asked(scans["raster"], FRONT, "empm", z_ref=0.0))
    bad.put = lambda number, values: (_ for _ in ()).throw(OSError(28, "no space", "x"))
    first, second = Here().finish([bad, good], show=False)
    with pytest.raises(OSError, match="no space"):
        first.image()
    assert second.image().data.shape == FRONT.shape
    for run in (first, second):
        run.store.close()


def test_progress_tells_the_time_that_is_left(tmp_path, scans, capsys):
    run = run_of(tmp_path, asked(scans["raster"], FRONT, "rma"))
    list(Here().finish([run], total=6, show=True))
    run.store.remove()
    err = capsys.readouterr().err
    assert "tiles" in err and "/6" in err and "<" in err.split("tiles")[-1], "elapsed<left"
