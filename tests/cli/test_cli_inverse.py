"""`mmsar reconstruct --sparse` and `--least-squares`: what they write and say, and what they refuse."""

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.image_h5 import load_image
from mmsar.io.scan_h5 import save_scan
from mmsar.model import AntennaArray, Chirp, Trajectory

POINT = (0.010, -0.012, 0.25)
WHERE = ["--method", "rma", "--extent=-10,30,-24,0,250,250", "--spacing", "2"]


@pytest.fixture
def path(tmp_path):
    """A scan of a point."""
    from mmsar.simulate.forward import simulate
    from mmsar.simulate.scene import Scene

    scan = simulate(
        Scene.points([POINT]),
        chirp=Chirp.stepped(77e9, 4e9 / 16, 16),
        array=AntennaArray.single(),
        trajectory=Trajectory.raster((24, 24), (1.5e-3, 1.5e-3)),
    )
    save_scan(scan, tmp_path / "scan.h5")
    return tmp_path / "scan.h5"


def image_of(path, *options):
    """The image, and what its history says of the reconstruction."""
    out = path.parent / "image.h5"
    assert main(["reconstruct", str(path), "-o", str(out), *WHERE, *options]) == 0
    image = load_image(out)
    return image, next(step for step in image.history if step["step"] == "reconstruct")


def test_sparse(path, capsys):
    image, step = image_of(path, "--sparse", "0.1", "--iterations", "10", "--restore", "3")
    told = step["sparse"]
    assert told["strength"] == 0.1 and told["restore"] == [3e-3] * 3 and told["iterations"] <= 30
    assert "spikes explain" in capsys.readouterr().out
    _, y, x = np.unravel_index(np.argmax(image.magnitude()), image.grid.shape)
    assert (image.grid.x[x], image.grid.y[y]) == pytest.approx(POINT[:2], abs=2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sparse", "--tiles", "4"], "--sparse: got --tiles too"),
        (["--sparse", "--workers", "2"], "--sparse: got --workers too"),
        (["--sparse", "--resume"], "--sparse: got --resume too"),
        (["--sparse", "--verify"], "--sparse: got --verify too"),
        (["--sparse", "--kernel", "hankel", "--method", "isar"], "--kernel hankel"),
        (["--sparse", "2"], "wanted a part of the peak above 0 and below 1"),
        (["--sparse", "--restore", "-1"], "--restore: got -1"),
        (["--iterations", "5"], "--iterations: wanted --sparse with it"),
        (["--restore", "1"], "--restore: wanted --sparse with it"),
    ],
)
def test_sparse_refused(path, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        main(["reconstruct", str(path), "-o", str(path.parent / "image.h5"), *options])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_least_squares(path, capsys):
    (plain, _), (image, step) = image_of(path), image_of(path, "--least-squares", "0.05")
    told = step["least_squares"]
    assert told["damping"] == 0.05 and told["rounds"] == 3
    assert f"explains {100 * told['explained']:.1f} %" in capsys.readouterr().out
    _, y, x = np.unravel_index(np.argmax(image.magnitude()), image.grid.shape)
    assert (image.grid.x[x], image.grid.y[y]) == pytest.approx(POINT[:2], abs=2e-3)
    assert np.sum(image.magnitude() > 0.1 * image.magnitude().max()) < np.sum(
        plain.magnitude() > 0.1 * plain.magnitude().max()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--least-squares", "--tiles", "4"], "--least-squares: got --tiles too"),
        (["--least-squares", "--verify"], "--least-squares: got --verify too"),
        (["--least-squares", "--sparse"], "--least-squares: got --sparse too"),
        (["--least-squares", "--kernel", "hankel", "--method", "isar"], "--least-squares: got --kernel hankel too"),
        (["--least-squares", "0"], "wanted a number above 0 and at most 10"),
        (["--least-squares", "scan.h5"], "put files before --least-squares"),
        (["--least-squares", "--iterations", "5"], "--iterations: wanted --sparse with it"),
    ],
)
def test_least_squares_refused(path, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        main(["reconstruct", str(path), "-o", str(path.parent / "image.h5"), *options])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_least_squares_are_explained(path, capsys):
    assert main(["reconstruct", str(path), "--explain", "--least-squares", "--grid", "8", "--spacing", "5"]) == 0
    assert "least squares: 3 x 6 iterations" in capsys.readouterr().out


def test_sparse_is_explained(path, capsys):
    assert main(["reconstruct", str(path), "--explain", "--sparse", "--grid", "8", "--spacing", "5"]) == 0
    assert "sparse: at most 3 x 50 iterations" in capsys.readouterr().out
