"""The figure and the table of docs/explanation/assumptions.md: what the methods' assumptions cost.

    python docs/figures/assumptions.py        # writes docs/images/gallery/assumptions.png and prints the tables

Forty points in a plane 0.3 m before an aperture of 107 x 121 mm. First a hand wanders in depth by 0 to 12 mm and every
method images the plane; then a single pair of antennas is drawn apart. Errors are those of the whole picture against
back-projection, after the best scale; predicted ones are those that `mmsar reconstruct --explain` prints.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmsar.metrics import error_db
from mmsar.model import AntennaArray, Chirp, ImageGrid, Scan, Trajectory
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.recon.predict import predict
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene

TARGET = Path(__file__).resolve().parents[1] / "images" / "gallery" / "assumptions.png"
OPTIONS = ReconOptions(progress=False, density="off", error_db=-60.0)
CHIRP = Chirp(f0=77e9, slope=4e9 / 64 * 2e6, fs=2e6, n_samples=64)
BOARD = AntennaArray.iwr1443()
STEP = (0.9e-3, 8 * BOARD.uniform_pitch())
GRID = ImageGrid.from_extent((-0.06, 0.06), (-0.06, 0.06), 0.3, spacing=1e-3)
DEPTHS = (0.0, 0.5e-3, 1e-3, 2e-3, 4e-3, 8e-3, 12e-3)
BASELINES = (0.0, 0.02, 0.04, 0.08, 0.16)
COLOURS = ("tab:orange", "tab:blue")
Errors = dict[str, tuple[list[float], list[float]]]


def scan_with(array: AntennaArray, path: Trajectory) -> Scan:
    """Forty points at random places of the plane."""
    place = np.random.default_rng(3).uniform(-0.05, 0.05, (40, 3))
    place[:, 2] = 0.3
    quiet = SimulationOptions(progress=False)
    return simulate(Scene.points(place), chirp=CHIRP, array=array, trajectory=path, options=quiet)


def errors(scan: Scan, methods: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Measured and predicted error of each method [dB]."""
    told = {p.method: p.error_db for p in predict(scan.geometry, GRID)}
    exact = reconstruct(scan, GRID, method="bpa", options=OPTIONS).data
    found = {}
    for method in methods:
        image = reconstruct(scan, GRID, method=method, options=OPTIONS)
        found[method] = (float(error_db(image.data, exact).error_db), told[method])
    return found


def sweep(scans: list[Scan], methods: tuple[str, ...]) -> Errors:
    """The errors of every scan, method by method: measured, predicted."""
    found = [errors(scan, methods) for scan in scans]
    return {m: ([f[m][0] for f in found], [f[m][1] for f in found]) for m in methods}


def table(name: str, values: tuple[float, ...], found: Errors) -> str:
    """Markdown: measured (predicted) in dB."""
    lines = [f"| {name} | " + " | ".join(f"`{m}`" for m in found) + " |", "|---|" + "---|" * len(found)]
    for i, value in enumerate(values):
        cells = [f"{measured[i]:.1f} ({predicted[i]:.1f})" for measured, predicted in found.values()]
        lines.append(f"| {value * 1e3:g} mm | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(depth: Errors, apart: Errors) -> Figure:
    """Measured errors as points, predicted ones as lines."""
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, values, found, name in (
        (left, DEPTHS, depth, "motion in depth, largest [mm]"),
        (right, BASELINES, apart, "distance of transmitter and receiver [mm]"),
    ):
        for (method, (measured, predicted)), colour in zip(found.items(), COLOURS, strict=False):
            axes.plot(np.array(values) * 1e3, measured, "o", color=colour, label=f"{method}, measured")
            axes.plot(np.array(values) * 1e3, predicted, "-", color=colour, linewidth=1, label="predicted")
        axes.set_xlabel(name)
        axes.grid(color="0.9")
        axes.legend(fontsize=8, ncols=1, frameon=False)
    left.set_ylabel("error against back-projection [dB]")
    return figure


def main() -> None:
    """Write the figure, print the tables."""
    wander = [Trajectory.freehand((16, 120), STEP, motion=(5e-4, 5e-4, depth), seed=2) for depth in DEPTHS]
    depth = sweep([scan_with(BOARD, path) for path in wander], ("empm", "nufft"))
    path = Trajectory.raster((128, 120), (0.9e-3, BOARD.uniform_pitch()))
    apart = sweep([scan_with(AntennaArray.single(baseline), path) for baseline in BASELINES], ("rma",))
    print(table("motion in depth", DEPTHS, depth), end="\n\n")
    print(table("distance of the antennas", BASELINES, apart))
    draw(depth, apart).savefig(TARGET, dpi=110)


if __name__ == "__main__":
    main()
