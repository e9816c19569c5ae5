"""`mmsar reconstruct`: every way to say the grid, every way to get it wrong, and what is left behind."""

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.errors import MmsarError
from mmsar.io.image_h5 import load_image
from mmsar.io.scan_h5 import save_scan
from mmsar.model import AntennaArray, Chirp, Trajectory
from mmsar.recon.planner import default_grid

POINT = (0.010, -0.012, 0.25)


@pytest.fixture(scope="module")
def scan():
    from mmsar.simulate.forward import simulate
    from mmsar.simulate.scene import Scene

    return simulate(
        Scene.points([POINT]),
        chirp=Chirp.stepped(77e9, 4e9 / 16, 16),
        array=AntennaArray.single(),
        trajectory=Trajectory.raster((24, 24), (1.5e-3, 1.5e-3)),
    )


@pytest.fixture
def path(scan, tmp_path):
    save_scan(scan, tmp_path / "scan.h5")
    return tmp_path / "scan.h5"


@pytest.fixture
def unexplained(monkeypatch):
    """No explanation: it plans back-projection for its time."""
    monkeypatch.setattr("mmsar.recon.planner.explain", lambda *args, **kwargs: "")


def image_of(path, *options):
    out = path.parent / "image.h5"
    assert main(["reconstruct", str(path), "-o", str(out), *options]) == 0
    return load_image(out)


def step_of(image):
    """The history entry of the reconstruction."""
    return next(step for step in image.history if step["step"] == "reconstruct")


BOX = "--extent=-20,20,-24,16,230,270"


def test_without_a_grid_it_takes_the_default(scan, path, capsys):
    image = image_of(path)
    grid = default_grid(scan)
    assert image.grid.shape == grid.shape
    np.testing.assert_allclose([*image.grid.origin, *image.grid.spacing], [*grid.origin, *grid.spacing])
    captured = capsys.readouterr()
    assert captured.out.strip() == str(path.parent / "image.h5")
    assert "> rma" in captured.err
    peak = np.unravel_index(np.argmax(image.magnitude()), image.grid.shape)
    at = [axis[i] for axis, i in zip((image.grid.z, image.grid.y, image.grid.x), peak, strict=True)]
    assert np.all(np.abs(np.array(at)[::-1] - POINT) <= image.grid.spacing)


def extent_of(grid):
    return [round(1e3 * v, 3) for pair in grid.extent for v in pair]


WAYS = [
    ([BOX, "--spacing", "4,4,10"], (5, 11, 11), [-20, 20, -24, 16, 230, 270]),
    ([BOX, "--spacing", "8"], (6, 6, 6), [-20, 20, -24, 16, 230, 270]),
    ([BOX, "--grid", "11,5,3"], (3, 5, 11), [-20, 20, -24, 16, 230, 270]),
    ([BOX, "--grid", "5"], (5, 5, 5), [-20, 20, -24, 16, 230, 270]),
    ([BOX, "--grid", "11,5,1"], (1, 5, 11), [-20, 20, -24, 16, 250, 250]),
    (["--extent", "40,20,30", "--center=10,-12,250", "--spacing", "5"], (7, 5, 9), [-10, 30, -22, -2, 235, 265]),
    (["--extent", "40,20,0", "--center=10,-12,250", "--spacing", "5"], (1, 5, 9), [-10, 30, -22, -2, 250, 250]),
    (["--extent", "40,20,30", "--center=10,-12,250", "--grid", "9,5,7"], (7, 5, 9), [-10, 30, -22, -2, 235, 265]),
    (["--grid", "9,5,7", "--spacing", "5", "--center=10,-12,250"], (7, 5, 9), [-10, 30, -22, -2, 235, 265]),
    (["--extent=10,10,-12,-12,230,270", "--spacing", "1,1,5"], (9, 1, 1), [10, 10, -12, -12, 230, 270]),
]


@pytest.mark.parametrize(("options", "shape", "extent"), WAYS)
def test_every_way_to_say_the_grid(path, unexplained, options, shape, extent):
    grid = image_of(path, *options).grid
    assert grid.shape == shape
    if "8" not in options:  # a spacing that does not divide the extent is centred on it
        assert extent_of(grid) == pytest.approx(extent, abs=0.01)
    else:
        assert np.mean(extent_of(grid)[:2]) == pytest.approx(0, abs=0.01)


def test_what_is_not_said_comes_from_the_default(scan, path, unexplained):
    default = default_grid(scan)
    finer = image_of(path, "--spacing", "2.5").grid
    assert finer.spacing == pytest.approx((2.5e-3,) * 3)
    np.testing.assert_allclose(finer.extent, default.extent, atol=2.5e-3)
    counted = image_of(path, "--grid", "7,8,9").grid
    assert counted.shape == (9, 8, 7)
    np.testing.assert_allclose(counted.extent, default.extent, atol=1e-9)
    moved = image_of(path, "--center=5,6,260").grid
    assert moved.shape == default.shape and moved.centre == pytest.approx((5e-3, 6e-3, 0.26))
    sized = image_of(path, "--extent", "30,30,60").grid
    assert sized.spacing == pytest.approx(default.spacing) and sized.centre == pytest.approx(default.centre)
    boxed = image_of(path, BOX).grid
    assert extent_of(boxed) == pytest.approx([-20, 20, -24, 16, 230, 270], abs=10)
    assert image_of(path, "--grid", "6", "--spacing", "2").grid.centre == pytest.approx(default.centre)


USAGE = [
    ([], "--output"),
    (["-o", "x.h5", "--extent", "1,2"], "3 or 6 numbers"),
    (["-o", "x.h5", "--extent=1,2,3,4,5,x"], "3 or 6 numbers"),
    (["-o", "x.h5", "--extent=1,2,3,4,5,inf"], "3 or 6 numbers"),
    (["-o", "x.h5", "--spacing", "1,2"], "1 or 3 numbers"),
    (["-o", "x.h5", "--spacing", "0"], "above 0"),
    (["-o", "x.h5", "--spacing=-1"], "above 0"),
    (["-o", "x.h5", "--grid", "2.5"], "whole numbers"),
    (["-o", "x.h5", "--grid", "0"], "whole numbers"),
    (["-o", "x.h5", "--center", "nan,0,0"], "3 numbers"),
    (["-o", "x.h5", BOX, "--center=0,0,250"], "own centre"),
    (["-o", "x.h5", BOX, "--spacing", "5", "--grid", "5"], "leave one"),
    (["-o", "x.h5", "--method", "magic"], "invalid choice"),
    (["-o", "x.h5", "--phase", "magic"], "invalid choice"),
    (["-o", "x.h5", "--density", "magic"], "invalid choice"),
    (["-o", "x.h5", "--background", "magic"], "invalid choice"),
    (["-o", "x.h5", "--z-ref", "1,2"], "wanted a number"),
    (["-o", "x.h5", "--error", "high"], "wanted a number"),
    (["-o", "x.h5", "--error", "-5"], "-100 to -20"),
    (["-o", "x.h5", "--window", "bartlett"], "hann"),
    (["-o", "x.h5", "--memory", "0.0001"], "1 MiB"),
    (["-o", "x.h5", "--sparse", "scan.h5"], "put files before --sparse"),
]


@pytest.mark.parametrize(("options", "wanted"), USAGE)
def test_usage_errors(path, capsys, monkeypatch, options, wanted):
    monkeypatch.chdir(path.parent)
    with pytest.raises(SystemExit) as caught:
        main(["reconstruct", str(path), *options])
    assert caught.value.code == 2
    assert wanted in capsys.readouterr().err.splitlines()[-1]
    assert [p.name for p in path.parent.iterdir()] == ["scan.h5"]


BAD = [
    (["--extent=20,-20,-24,16,230,270", "--spacing", "5"], "low"),
    (["--spacing", "1e-6"], "check extent and spacing"),
    (["--memory", "0"], "0"),
    (["--memory=-1"], "0"),
    (["--memory", "0.001", "--grid", "300,300,20", "--method", "rma"], "allow more memory"),
    (["--method", "rma", "--extent=-20,20,-20,20,-50,-10", "--spacing", "5"], "beyond the aperture"),
    (["--method", "empm", "--z-ref", "900", "--phase", "taylor"], "z_ref"),
    (["--reference", "nowhere.h5"], "no such file"),
]


@pytest.mark.parametrize(("options", "wanted"), BAD)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(path, capsys, monkeypatch, options, wanted):
    monkeypatch.chdir(path.parent)
    try:
        code = main(["reconstruct", str(path), "-o", "image.h5", *options])
    except SystemExit as caught:
        code = caught.code
    last = capsys.readouterr().err.splitlines()[-1]
    assert code in (2, 3) and last.startswith("mmsar reconstruct: ") and wanted in last
    assert [p.name for p in path.parent.iterdir()] == ["scan.h5"]


def test_missing_foreign_and_unwritable_files(path, tmp_path, capsys):
    assert main(["reconstruct", str(tmp_path / "none.h5"), "-o", str(tmp_path / "i.h5")]) == 3
    assert "no such file" in capsys.readouterr().err.splitlines()[-1]
    (tmp_path / "text.h5").write_text("not a scan")
    assert main(["reconstruct", str(tmp_path / "text.h5"), "-o", str(tmp_path / "i.h5")]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["reconstruct", str(path), "-o", str(tmp_path / "missing" / "i.h5")]) == 3
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "missing" in captured.err and captured.out == ""
    assert not (tmp_path / "missing").exists() and not (tmp_path / "i.h5").exists()


def test_a_device_that_is_not_there(path, tmp_path, capsys):
    from mmsar.core.backend import resolve_device
    from mmsar.errors import DeviceError

    for device in ("cuda:99", "abacus"):
        with pytest.raises(DeviceError):
            resolve_device(device)
        assert main(["reconstruct", str(path), "-o", str(tmp_path / "i.h5"), "--device", device]) == 4
        assert device in capsys.readouterr().err.splitlines()[-1]
    try:
        resolve_device("cuda")
    except DeviceError:
        assert main(["reconstruct", str(path), "-o", str(tmp_path / "i.h5"), "--device", "cuda"]) == 4
        assert "cpu" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "i.h5").exists()


def test_explain_writes_nothing_but_says_all(path, capsys):
    assert main(["reconstruct", str(path), "--explain", BOX, "--spacing", "5"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("grid 9 x 9 x 9 voxels") and "> rma" in captured.out
    assert all(f" {method} " in captured.out for method in ("rma", "empm", "nufft", "bpa"))
    assert [p.name for p in path.parent.iterdir()] == ["scan.h5"]
    assert main(["reconstruct", str(path), "--explain", BOX, "--spacing", "5", "--method", "bpa"]) == 0
    assert "> bpa" in capsys.readouterr().out


def test_verify_prints_its_numbers(path, capsys):
    image = image_of(path, BOX, "--spacing", "4", "--verify")
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("verify: NCC 0.99") or out[0].startswith("verify: NCC 1.0")
    assert "dB against bpa on" in out[0] and out[-1].endswith("image.h5")
    assert step_of(image)["verify"]["ncc"] > 0.99


def test_options_reach_the_image(path, unexplained):
    image = image_of(
        path, BOX, "--spacing", "4", "--method", "empm", "--phase", "taylor", "--window", "hann", "--density", "on",
        "--z-ref", "0", "--error=-40", "--memory", "1",
    )  # fmt: skip
    step = step_of(image)
    assert (step["method"], step["phase"], step["window"], step["density"]) == ("empm", "taylor", "hann", "on")
    plain = image_of(path, BOX, "--spacing", "4")
    assert np.linalg.norm(image.data - plain.data) > 0.05 * np.linalg.norm(plain.data)


def test_background_and_reference_are_removed_first(scan, path, unexplained):
    """A constant leakage in every pose goes with the mean over poses, or with a scan of the empty scene."""
    leak = np.exp(2j * scan.chirp.k * 0.25).astype(np.complex64)
    save_scan(scan.with_signal(scan.read() + 3 * leak), path)
    empty = path.parent / "empty.h5"
    save_scan(scan.with_signal(np.broadcast_to(3 * leak, scan.shape)), empty)
    options = ("--extent=10,10,-12,-12,240,260", "--spacing", "5", "--method", "rma")
    clean, mean = (image_of(path, *options, *more) for more in (("--reference", str(empty)), ("--background", "pose")))
    assert np.abs(clean.data[2, 0, 0]) == pytest.approx(1, abs=0.02)
    assert np.abs(mean.data[2, 0, 0]) == pytest.approx(1, abs=0.1)
    assert any("mean" in str(step) for step in mean.history[:-1])


def test_a_forced_method_warns(tmp_path, capsys):
    from mmsar.simulate.forward import simulate
    from mmsar.simulate.scene import Scene

    bistatic = simulate(
        Scene.points([(0, 0, 0.15)]),
        chirp=Chirp.stepped(77e9, 4e9 / 16, 16),
        array=AntennaArray.single(0.12),
        trajectory=Trajectory.raster((10, 10), (2e-3, 2e-3)),
    )
    save_scan(bistatic, tmp_path / "scan.h5")
    image_of(tmp_path / "scan.h5", "--extent=-30,30,-30,30,130,170", "--spacing", "5", "--method", "rma")
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("mmsar reconstruct: warning: rma: ") and "120 mm" in last


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--far-field"], "far_field: the antennas do not go round the y axis"),
        (["--method", "bpa", "--far-field"], "far_field: the antennas do not go round the y axis"),
        (["--method", "rma", "--kernel", "hankel"], "kernel: got hankel with method rma, which has none"),
        (["--kernel", "hankel"], "kernel: got hankel, which only method isar has, and that does not serve here"),
    ],
)
def test_what_only_a_turntable_has_is_refused_in_one_line_without_a_prediction(path, capsys, options, wanted):
    assert main(["reconstruct", str(path), "-o", str(path.parent / "image.h5"), BOX, *options]) == 3
    captured = capsys.readouterr()
    assert captured.out == "" and wanted in captured.err and len(captured.err.splitlines()) == 1


FAILURES = {
    "cancelled": (KeyboardInterrupt(), 130, "cancelled; nothing half-written was left behind"),
    "out of disk": (OSError(28, "No space left on device", "image.h5"), 3, "no space left on device"),
    "refused": (MmsarError("bpa: needs more than there is"), 3, "bpa: needs more than there is"),
}


@pytest.mark.parametrize("where", ["mmsar.recon.planner.reconstruct", "mmsar.io.image_h5.write_json"])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("before", [b"", b"an older image"], ids=["new", "existing"])
def test_failure_leaves_everything_as_it_was(path, unexplained, capsys, monkeypatch, where, failure, before):
    """Whether imaging or writing fails: no half-written file, and an older image stays whole."""
    error, code, wanted = FAILURES[failure]

    def fail(*args, **kwargs):
        raise error

    out = path.parent / "image.h5"
    if before:
        out.write_bytes(before)
    there = sorted(p.name for p in path.parent.iterdir())
    monkeypatch.setattr(where, fail)
    assert main(["reconstruct", str(path), "-o", str(out), BOX, "--spacing", "8"]) == code
    captured = capsys.readouterr()
    assert captured.out == "" and wanted in captured.err.splitlines()[-1]
    assert sorted(p.name for p in path.parent.iterdir()) == there
    assert not before or out.read_bytes() == before


def test_output_that_is_a_folder_is_refused_before_any_work(path, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    assert main(["reconstruct", str(path), "-o", str(tmp_path / "images")]) == 3
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "got a folder, wanted the name of a file" in captured.err
    assert list((tmp_path / "images").iterdir()) == []


def test_device_is_checked_before_any_work(path, capsys):
    assert main(["reconstruct", str(path), "--explain", "--device", "abacus"]) == 4
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (["--extent", "40,20,30", "--center=0,0,250"], None),
        (["--extent", "40,20,30", "--center=0,0,250", "--spacing", "5"], (7, 5, 9)),
        (["--grid", "9,5,7", "--spacing", "5", "--center=0,0,250"], (7, 5, 9)),
        ([BOX], None),
    ],
)
def test_given_depth_needs_no_echo(scan, path, unexplained, options, shape):
    """Four frequencies are too few to find the scene by; where the grid is said in full nothing has to be found."""
    save_scan(scan.subset(samples=slice(0, 16, 4)), path)
    grid = image_of(path, *options).grid
    assert grid.extent[2][0] == pytest.approx(0.235, abs=0.02)
    if shape is not None:
        assert grid.shape == shape


def test_without_depth_a_scan_of_few_frequencies_asks_for_it(scan, path, capsys):
    save_scan(scan.subset(samples=slice(0, 16, 4)), path)
    assert main(["reconstruct", str(path), "-o", str(path.parent / "image.h5")]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "give the depth" in err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--extent=10,10,0,20,230,270", "--grid", "4"], "wanted 1 voxel along an axis without extent"),
        (["--extent=20,-20,-24,16,230,270"], "lower end of each axis first"),
        (["--extent=20,-20,30", "--center", "0,0,250"], "sizes of 0 mm or more"),
        (["--memory", "0"], "more than 0 GiB"),
    ],
)
def test_more_usage_errors(path, capsys, options, wanted):
    with pytest.raises(SystemExit) as caught:
        main(["reconstruct", str(path), "-o", str(path.parent / "image.h5"), *options])
    assert caught.value.code == 2 and wanted in capsys.readouterr().err.splitlines()[-1]


def test_memory_is_the_budget_of_the_plan(path, unexplained, monkeypatch):
    from mmsar.recon import planner

    seen = []
    real = planner.make_plan

    def watch(*args, **kwargs):
        seen.append(kwargs["options"].memory)
        return real(*args, **kwargs)

    monkeypatch.setattr(planner, "make_plan", watch)
    image_of(path, BOX, "--spacing", "8", "--memory", "0.25")
    assert seen == [2**28]


def test_foreign_reference_is_one_line(scan, path, capsys):
    other = path.parent / "other.h5"
    save_scan(scan.subset(samples=slice(0, 8)), other)
    out = path.parent / "image.h5"
    assert main(["reconstruct", str(path), "-o", str(out), "--reference", str(other)]) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "subtract_reference: got a reference of" in err and not out.exists()


def test_a_scene_larger_than_the_default_grid_is_told_of_with_how_to_ask_for_more(tmp_path, capsys):
    """Points in a row beyond what was scanned; with the extent of the note they are all there, and it is gone."""
    from mmsar.simulate.forward import simulate
    from mmsar.simulate.scene import Scene

    path, row = Trajectory.raster((32, 32), (1.5e-3, 1.5e-3)), np.arange(-35e-3, 36e-3, 7e-3)
    chirp, array = Chirp.stepped(77e9, 4e9 / 16, 16), AntennaArray.single()
    for name, y in (("large", row), ("small", row[np.abs(row) < 16e-3])):
        scene = Scene.points([(0.0, at, 0.2) for at in y])
        save_scan(simulate(scene, chirp=chirp, array=array, trajectory=path), tmp_path / f"{name}.h5")
    assert step_of(image_of(tmp_path / "small.h5")).get("beyond") is None
    assert "note:" not in capsys.readouterr().err
    cut = image_of(tmp_path / "large.h5")
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "note:" in text]
    assert line == f"mmsar reconstruct: note: {step_of(cut)['beyond']}"
    assert "along y (" in line and "along x" not in line
    image_of(tmp_path / "large.h5", "--spacing", "2")  # the same extents
    assert "along y (" in capsys.readouterr().err
    extent = line.split("--extent ")[1]
    whole = image_of(tmp_path / "large.h5", "--extent", extent)
    assert "note:" not in capsys.readouterr().err
    assert whole.grid.extent[1][1] > 35e-3 > cut.grid.extent[1][1]
    bright = whole.magnitude().max(axis=(0, 2))
    assert min(bright[np.abs(whole.grid.y - y).argmin()] for y in row) > 0.4 * bright.max()


def test_factorised_back_projection_by_command(path, unexplained):
    exact, fast = (
        image_of(path, BOX, "--spacing", "2", "--error=-40", "--method", method).data for method in ("bpa", "ffbp")
    )
    assert np.linalg.norm(fast - exact) < 10 ** (-37 / 20) * np.linalg.norm(exact)
    assert not np.array_equal(fast, exact)
