"""Figures against pictures of them, small and blurred so that letters and lines of other versions do not count.

`python tests/view/test_baseline.py` writes tests/view/baseline/*.png again: look at them before they are committed.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image as Picture

from mmsar.model import AntennaArray, Chirp, Image, ImageGrid, Scan, Trajectory
from mmsar.view import plot

FOLDER = Path(__file__).parent / "baseline"
DPI, BLUR = 48, 6
"""Resolution of a figure, and pixels across to one of its baseline."""
MEAN, LARGEST = 1.5, 40
"""What may differ, of 255: on average, and anywhere; a letter moved by a pixel is 10 to 30."""


def make_image() -> Image:
    """Two points off the middle, at +x, +y, +z and at -x, -y, with sidelobes."""
    grid = ImageGrid(shape=(20, 40, 50), origin=(-0.05, -0.04, 0.25), spacing=(2e-3, 2e-3, 5e-3))
    data = np.zeros(grid.shape, np.complex64)
    for place, weight in (((0.03, 0.02, 0.31), 1.0), ((-0.025, -0.015, 0.28), 0.4j)):
        x, y, z = (
            np.sinc((getattr(grid, a) - p) / w) for a, p, w in zip("xyz", place, (5e-3, 5e-3, 15e-3), strict=True)
        )
        data += (weight * z[:, None, None] * y[:, None] * x).astype(np.complex64)
    return Image(data=data, grid=grid)


def make_scan() -> Scan:
    """A raster with a missing row."""
    y, x = np.meshgrid(np.delete(np.arange(16), 5) * 2e-3, np.arange(24) * 1e-3, indexing="ij")
    position = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    rotation = np.tile([0.0, 0, 0, 1], (len(position), 1))
    return Scan(
        signal=np.zeros((len(position), 1, 1, 8), np.complex64),
        chirp=Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=8),
        array=AntennaArray(tx=np.zeros((1, 3)), rx=np.zeros((1, 3)), name="one"),
        trajectory=Trajectory(time=np.arange(len(position)) * 1e-3, position=position, rotation=rotation),
    )


def profile() -> Figure:
    distance = np.linspace(0, 1, 200)
    power = 1e-4 + np.exp(-(((distance - 0.3) / 0.02) ** 2))
    return plot.figure_range_profile(distance, power, interval=(0.25, 0.35), title="range")


FIGURES: dict[str, Callable[[], Figure]] = {
    "mips": lambda: plot.figure_mips(make_image(), title="mips"),
    "slices": lambda: plot.figure_slices(make_image(), title="slices"),
    "phase": lambda: plot.figure_phase(make_image(), title="phase"),
    "psf": lambda: plot.figure_psf(make_image(), title="psf"),
    "compare": lambda: plot.figure_compare([make_image(), make_image()], ["before", "after"], title="compare"),
    "aperture": lambda: plot.figure_aperture(make_scan(), title="aperture"),
    "range": profile,
}


def drawn(figure: Figure) -> np.ndarray:
    """The figure, blurred, (height, width, 3) uint8."""
    file = io.BytesIO()
    figure.savefig(file, dpi=DPI, format="png")
    picture = Picture.open(file).convert("RGB")
    return np.asarray(picture.resize([n // BLUR for n in picture.size], Picture.Resampling.BOX))


def difference(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """On average and at most, of 255; as for different pictures where sizes differ by more than a pixel."""
    if np.abs(np.subtract(one.shape, other.shape)).max() > 1:
        return 255.0, 255.0
    height, width = np.minimum(one.shape[:2], other.shape[:2])
    both = np.abs(one[:height, :width].astype(int) - other[:height, :width])
    return float(both.mean()), float(both.max())


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_that_of_its_baseline(name) -> None:
    found = drawn(FIGURES[name]())
    wanted = np.asarray(Picture.open(FOLDER / f"{name}.png"))
    mean, largest = difference(found, wanted)
    assert mean < MEAN and largest < LARGEST
    for other in (found[:, ::-1], found[::-1], found // 2):  # and what is wrong is seen to be wrong
        assert difference(other, wanted)[0] > MEAN


if __name__ == "__main__":
    for name, make in FIGURES.items():
        Picture.fromarray(drawn(make())).save(FOLDER / f"{name}.png", optimize=True)
