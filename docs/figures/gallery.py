"""The pictures of docs/gallery.md and of the pages that explain, from simulated scans alone.

    python docs/figures/gallery.py              # all of them into docs/images/gallery, and what is said about them
    python docs/figures/gallery.py ghosts psf   # some

Every function is one picture; its name is that of the file. Colours are cut to 256, so that the files stay small.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from PIL import Image as Picture

from mmsar.metrics import ncc, point_response
from mmsar.model import AntennaArray, Chirp, Image, ImageGrid, Scan, Trajectory
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.signal.rangefft import energy_interval, range_profile
from mmsar.simulate.demo import planar_assumption
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene
from mmsar.simulate.setup import load_setup
from mmsar.view import plot
from mmsar.view.look import Look
from mmsar.view.movie import write_picture
from mmsar.view.rendering import drawing_into, rendering
from mmsar.view.volume import build_scene

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "images" / "gallery"
QUIET = ReconOptions(progress=False)
CHIRP = Chirp(f0=77e9, slope=4e9 / 64 * 2e6, fs=2e6, n_samples=64)
BOARD = AntennaArray.iwr1443()
BOARD_LENGTH = 8 * BOARD.uniform_pitch()


@cache
def scan_of(name: str) -> Scan:
    """The scan of a scene file of data/scenes."""
    return load_setup(ROOT / "data" / "scenes" / f"{name}.toml").simulate()


@cache
def image_of(name: str) -> Image:
    """The picture of such a scan on a grid that shows it well."""
    x, y, z, spacing = {
        "letters": ((-0.09, 0.09), (-0.07, 0.07), (0.24, 0.36), (1e-3, 1e-3, 6e-3)),
        "freehand": ((-0.1, 0.1), (-0.08, 0.08), (0.25, 0.35), (1e-3, 1e-3, 4e-3)),
        "wrench": ((-0.04, 0.04), (-0.055, 0.055), (-0.04, 0.04), (7e-4, 7e-4, 7e-4)),
        "line": (0.0, (-0.09, 0.09), (0.25, 0.53), (1e-3, 1e-3, 4e-3)),
        "siemens": ((-0.07, 0.07), (-0.07, 0.07), 0.3, 5e-4),
    }[name]
    return reconstruct(scan_of(name), ImageGrid.from_extent(x, y, z, spacing=spacing), options=QUIET)


def small_scan(scene: Scene, shape: tuple[int, int] = (16, 120), step_x: float = 0.9e-3) -> Scan:
    """A planar raster of the board, every cell of the aperture filled."""
    path = Trajectory.raster(shape, (step_x, BOARD_LENGTH))
    quiet = SimulationOptions(progress=False)
    return simulate(scene, chirp=CHIRP, array=BOARD, trajectory=path, options=quiet)


def mips() -> Figure:
    """A word and four points before a planar raster."""
    return plot.figure_mips(image_of("letters"))


def tutorial() -> Figure:
    """The image of docs/tutorial.md, from the scene file that stands there."""
    scene = re.search(r"^```toml\n(.*?)^```", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), re.M | re.S)
    with TemporaryDirectory() as folder:
        path = Path(folder, "first.toml")
        path.write_text(scene[1], encoding="utf-8")
        scan = load_setup(path).simulate()
    grid = ImageGrid.from_extent((-0.04, 0.04), (-0.04, 0.04), (0.26, 0.34), spacing=(1e-3, 1e-3, 8e-3))
    return plot.figure_mips(reconstruct(scan, grid, options=QUIET))


def slices() -> Figure:
    """The same image, cut through one of its points."""
    return plot.figure_slices(image_of("letters"), point=(-0.02, -0.045, 0.3))


def siemens() -> Figure:
    """A star of spokes, one slice: where the spokes run together, the resolution ends."""
    return plot.figure_mips(image_of("siemens"))


def phase() -> Figure:
    """The phase of a star that is turned by 2 degrees about the y axis: its depth shows as fringes."""
    star = Scene.siemens(45e-3, spokes=8).turned((0.0, np.deg2rad(2.0), 0.0), about=(0.0, 0.0, 0.3))
    grid = ImageGrid.from_extent((-0.05, 0.05), (-0.05, 0.05), 0.3, spacing=5e-4)
    return plot.figure_phase(reconstruct(small_scan(star), grid, options=QUIET))


def psf() -> Figure:
    """The response of a point at the middle, cut along x, y and z."""
    grid = ImageGrid.from_extent((-0.03, 0.03), (-0.03, 0.03), (0.1, 0.5), spacing=(1e-3, 1e-3, 8e-3))
    image = reconstruct(small_scan(Scene.points([[0.0, 0.0, 0.3]])), grid, options=QUIET)
    width = point_response(image).width
    print(f"psf: widths at -3 dB {width[0] * 1e3:.2f}, {width[1] * 1e3:.2f}, {width[2] * 1e3:.1f} mm (x, y, z)")
    return plot.figure_psf(image)


def aperture() -> Figure:
    """Where a hand carried the board, and how far its samples are apart."""
    return plot.figure_aperture(scan_of("freehand"))


def profile() -> Figure:
    """The echoes of that scan over range."""
    scan = scan_of("freehand")
    return plot.figure_range_profile(*range_profile(scan), interval=energy_interval(scan))


def irregular() -> Figure:
    """One scan by hand imaged as if it were a plane raster, projected to a plane, and exactly."""
    scan, grid = scan_of("freehand"), image_of("freehand").grid
    images = [reconstruct(planar_assumption(scan), grid, method="rma", options=QUIET)]
    images += [reconstruct(scan, grid, method=name, options=QUIET) for name in ("empm", "nufft", "bpa")]
    exact, titles = images.pop(), ["rma, as if planar", "empm", "nufft"]
    for title, image in zip(titles, images, strict=True):
        print(f"irregular: {title}: NCC with bpa {abs(ncc(image.data, exact.data)):.3f}")
    return plot.figure_compare(images, titles, floor=-25)


def ghosts() -> Figure:
    """A point to the side, sampled every quarter wavelength along x and every wavelength."""
    point = Scene.points([[0.045, 0.0, 0.3]])
    grid = ImageGrid.from_extent((-0.14, 0.14), (-0.03, 0.03), 0.3, spacing=1e-3)
    images = []
    for factor in (1, 4):
        scan = small_scan(point, (16, 120 // factor), factor * CHIRP.wavelength / 4)
        images.append(reconstruct(scan, grid, method="bpa", options=QUIET))
    power = images[1].magnitude()[0].max(axis=0)
    away = np.abs(grid.x - 0.045) > 0.02
    ghost = grid.x[away][np.argmax(power[away])]
    level = 20 * np.log10(power[away].max() / power.max())
    print(f"ghosts: at a step of lambda the highest is at x = {ghost * 1e3:.0f} mm, {level:.1f} dB")
    return plot.figure_compare(images, ["step λ/4 along x", "step λ along x"], floor=-30)


def sign() -> Figure:
    """Three points imaged from samples of the right sign, and from their conjugates."""
    scan = small_scan(Scene.points([[-0.02, 0.01, 0.3], [0.02, 0.01, 0.3], [0.0, -0.02, 0.3]]))
    grid = ImageGrid.from_extent((-0.06, 0.06), (-0.05, 0.05), (0.22, 0.38), spacing=(1e-3, 1e-3, 8e-3))
    wrong = replace(scan, signal=np.conj(scan.read()))
    images = [reconstruct(s, grid, method="bpa", options=QUIET) for s in (scan, wrong)]
    level = 20 * np.log10(images[1].magnitude().max() / images[0].magnitude().max())
    print(f"sign: the wrong sign leaves {level:.0f} dB of the peak")
    return plot.figure_compare(images, ["phase grows with range", "conjugated samples"], floor=-25)


def line() -> Figure:
    """Six points in the plane before a line of antennas: y against range."""
    return plot.figure_mips(image_of("line"))


def solid(target: Path, image: Image, look: Look, aperture: np.ndarray | None = None) -> None:
    """A picture in 3-D, from a little further away, so that all of the box is in it."""
    with drawing_into(rendering().window):
        scene = build_scene([image], [""], look=look, aperture=aperture)
        scene.plotter.camera.zoom(0.88)
        write_picture(scene.picture(), target)
        scene.close()


def wrench(target: Path) -> None:
    """A wrench on a turntable: surfaces at -18 and -8 dB."""
    solid(target, image_of("wrench"), Look(kind="iso", levels=(-18.0, -8.0)))


def volume(target: Path) -> None:
    """The scan by hand as a volume, with the phase centres before it."""
    aperture = scan_of("freehand").virtual_position
    solid(target, image_of("freehand"), Look(floor=-22.0), aperture)


FLAT: tuple[Callable[[], Figure], ...] = (
    mips, tutorial, slices, siemens, phase, psf, aperture, profile, irregular, ghosts, sign, line,
)  # fmt: skip
SOLID: tuple[Callable[[Path], None], ...] = (wrench, volume)
MOST_BYTES = 150_000


def main(names: list[str]) -> None:
    """Draw the pictures of these names, all where there is none."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for draw in (*FLAT, *SOLID):
        if names and draw.__name__ not in names:
            continue
        target = FOLDER / f"{draw.__name__}.png"
        if draw in SOLID:
            draw(target)
        else:
            draw().savefig(target, dpi=110, bbox_inches="tight")
        with Picture.open(target) as picture:
            small = picture.convert("RGB").quantize(256)
        small.save(target, optimize=True)
        size = target.stat().st_size
        print(f"{target.relative_to(ROOT)}: {small.width} x {small.height}, {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            raise SystemExit(f"{target}: got {size} bytes, wanted {MOST_BYTES} at most")


if __name__ == "__main__":
    main(sys.argv[1:])
