"""The picture and the table of docs/methods.md#least-squares: the demonstration's scan by the imager, by spikes and by
least squares, at positions that are right and that are wrong.

    python docs/figures/least_squares.py
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from scipy.spatial import cKDTree

from mmsar.model import Image, ImageGrid, Scan, Trajectory
from mmsar.recon.options import LeastSquaresOptions, ReconOptions, SparseOptions
from mmsar.recon.planner import reconstruct
from mmsar.simulate.noise import smooth_error
from mmsar.simulate.setup import load_setup
from mmsar.view.plot import save_figure

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "least-squares.png"
GRID = ImageGrid.from_extent((-0.1, 0.1), (-0.1, 0.1), 0.3, spacing=1e-3)
CELL = 5e-3
"""Farther from every scatterer than this, there is nothing [m]."""
CONTESTANTS = {
    "nufft": ReconOptions(progress=False),
    "--sparse": ReconOptions(progress=False, sparse=SparseOptions()),
    "--least-squares": ReconOptions(progress=False, least_squares=LeastSquaresOptions()),
    "--least-squares 0.1": ReconOptions(progress=False, least_squares=LeastSquaresOptions(damping=0.1)),
}
DRAWN = ("nufft", "--sparse", "--least-squares")
ERRORS = (0.0, 0.1e-3, 0.2e-3, 0.4e-3)


def scan_with(error: float) -> tuple[Scan, np.ndarray]:
    """The scan with positions that are wrong by so much along every axis, RMS [m], and places of the scatterers."""
    setup = load_setup(ROOT / "data" / "scenes" / "freehand.toml")
    scan = setup.simulate()
    rng = np.random.default_rng(0)
    path = scan.trajectory
    wrong = smooth_error(len(path), np.full(3, error), cycles=40.0, rng=rng) if error else 0.0
    recorded = Trajectory(time=path.time, position=path.position + wrong, rotation=path.rotation)
    return replace(scan, trajectory=recorded), setup.scene.position


def beside(image: Image, scatterers: np.ndarray) -> float:
    """Energy where there is nothing, re the whole."""
    x, y = np.meshgrid(image.grid.x, image.grid.y)
    far = cKDTree(scatterers[:, :2]).query(np.c_[x.ravel(), y.ravel()])[0] > CELL
    energy = np.abs(image.data[0].ravel()).astype(float) ** 2
    return float(energy[far].sum() / energy.sum())


def main() -> None:
    """Print the table, draw the picture."""
    from matplotlib.figure import Figure

    print("| position error | " + " | ".join(CONTESTANTS) + " |\n" + "|---" * (1 + len(CONTESTANTS)) + "|")
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    pictures: list[np.ndarray] = []
    for error in ERRORS:
        scan, scatterers = scan_with(error)
        shares = []
        for name, options in CONTESTANTS.items():
            start = time.perf_counter()
            image = reconstruct(scan, GRID, method="nufft", options=options)
            seconds[name].append(time.perf_counter() - start)
            shares.append(f"{10 * np.log10(beside(image, scatterers)):.1f} dB")
            if error == 0 and name in DRAWN:
                pictures.append(image.data[0])
        print(f"| {error * 1e3:g} mm | " + " | ".join(shares) + " |")
    times = [min(values) for values in seconds.values()]
    print("| time, re nufft | " + " | ".join(f"{t / times[0]:.1f}" for t in times) + " |")
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    panels = figure.subplots(1, len(DRAWN), sharey=True)
    for panel, name, data in zip(panels, DRAWN, pictures, strict=True):
        level = 20 * np.log10(np.maximum(np.abs(data) / np.abs(data).max(), 1e-6))
        drawn = panel.imshow(level, vmin=-35, vmax=0, origin="lower", extent=(-100, 100, -100, 100), cmap="inferno")
        panel.set_title(name)
        panel.set_xlabel("x [mm]")
    panels[0].set_ylabel("y [mm]")
    figure.colorbar(drawn, ax=panels, label="dB re the peak of each", shrink=0.85)
    save_figure(figure, PICTURE)
    with Picture.open(PICTURE) as whole:
        whole.convert("RGB").quantize(256).save(PICTURE, optimize=True)
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
