"""The figures about rotation in docs/methods.md and the README, and their numbers.

    python docs/figures/rotation.py        # writes docs/images/knife.png and kernels.png and prints the numbers

The knife: a blade of sheet metal, upright, 0.25 m away. A planar scan sees it when it lies flat before the aperture and
loses it when it is turned edge-on; a scan round it sees both its faces (Near-field MIMO-ISAR, arXiv 2305.02030). The
kernels: a point at (30, 0, -20) mm seen from 512 angles at 0.25 m, 77 to 81 GHz in 64 samples.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmsar.model import AntennaArray, Chirp, ImageGrid, Trajectory
from mmsar.model.image import Image
from mmsar.recon.options import KERNELS, ReconOptions
from mmsar.recon.planner import reconstruct
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.scene import Scene

IMAGES = Path(__file__).resolve().parents[1] / "images"
CHIRP = Chirp(f0=77e9, slope=4e9 / 64 * 2e6, fs=2e6, n_samples=64)
R0, STEP = 0.25, 2 * CHIRP.wavelength
HEIGHTS = (np.arange(16) - 7.5) * STEP
LENGTH = 0.1
BOX = {"y": (-0.06, 0.06), "wide": (-0.04, 0.04), "thin": (-0.02, 0.02)}


def image_of(scene: Scene, array: AntennaArray, path: Trajectory, grid: ImageGrid, kernel: str = "matched") -> Image:
    """The picture of a scene without noise."""
    scan = simulate(scene, chirp=CHIRP, array=array, trajectory=path, options=SimulationOptions(progress=False))
    return reconstruct(scan, grid, options=ReconOptions(progress=False, kernel=kernel, density="off"))


def knives() -> dict[str, np.ndarray]:
    """Largest magnitudes over depth (y, x) or (y, z) of the three cases; a unit point shows 1."""
    board = AntennaArray.iwr1443()
    flat = Scene.tool("knife", LENGTH, centre=(0.0, 0.0, 0.0))
    edge_on = flat.turned((0.0, np.pi / 2, 0.0))
    plane = Trajectory.raster((len(HEIGHTS), 120), (1e-3, STEP), z=-R0)
    ring = Trajectory.turntable(480, R0, heights=HEIGHTS)
    across = ImageGrid.from_extent(BOX["wide"], BOX["y"], BOX["thin"], spacing=(1e-3, 1e-3, 4e-3))
    along = ImageGrid.from_extent(BOX["thin"], BOX["y"], BOX["wide"], spacing=(1e-3, 1e-3, 1e-3))
    return {
        "planar scan, blade flat before it": image_of(flat, board, plane, across).magnitude().max(axis=0),
        "planar scan, blade edge-on": image_of(edge_on, board, plane, along).magnitude().max(axis=2).T,
        "the same blade, scanned all round": image_of(edge_on, board, ring, along).magnitude().max(axis=2).T,
    }


def draw_knives(found: dict[str, np.ndarray]) -> Figure:
    """Both planar scans re the peak of the first, the scan round re its own."""
    figure = Figure(figsize=(9.2, 4.6), layout="constrained")
    first = next(iter(found.values())).max()
    axes = figure.subplots(1, 3, sharey=True)
    extent = [1e3 * v for v in (*BOX["wide"], *BOX["y"])]
    for index, (ax, (title, values)) in enumerate(zip(axes, found.items(), strict=True)):
        peak = values.max() if index == 2 else first
        decibel = 20 * np.log10(np.maximum(values / peak, 1e-3))
        drawn = ax.imshow(decibel, origin="lower", extent=extent, vmin=-30, vmax=0, cmap="viridis")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("x [mm]" if index == 0 else "z [mm], away from the radar" if index == 1 else "z [mm]")
    axes[0].set_ylabel("y [mm]")
    figure.colorbar(drawn, ax=axes, label="dB; both planar scans re the peak of the left one", shrink=0.9)
    return figure


def points() -> dict[str, np.ndarray]:
    """The slice (z, x) of a point with every kernel."""
    grid = ImageGrid.from_extent((-0.05, 0.05), 0.0, (-0.05, 0.05), spacing=1e-3)
    scene, path = Scene.points([[0.03, 0.0, -0.02]]), Trajectory.turntable(512, R0)
    return {k: image_of(scene, AntennaArray.single(), path, grid, k).magnitude()[:, 0] for k in KERNELS}


def draw_points(found: dict[str, np.ndarray]) -> Figure:
    """Every slice re its peak."""
    figure = Figure(figsize=(11, 3.1), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True)
    for ax, (kernel, values) in zip(axes, found.items(), strict=True):
        decibel = 20 * np.log10(np.maximum(values / values.max(), 1e-4))
        drawn = ax.imshow(decibel, origin="lower", extent=[-50, 50, -50, 50], vmin=-50, vmax=0, cmap="viridis")
        ax.set_title(f"{kernel}: {values.max() / np.median(values):.0f}", fontsize=10)
        ax.set_xlabel("x [mm]")
    axes[0].set_ylabel("z [mm]")
    figure.colorbar(drawn, ax=axes, label="dB re peak")
    return figure


def main() -> None:
    """Write both figures, print peak over median of the kernels and how much of the knife is left."""
    seen = knives()
    flat, edge_on, _ = (values.max() for values in seen.values())
    draw_knives(seen).savefig(IMAGES / "knife.png", dpi=120)
    print(f"knife edge-on before a planar scan: {20 * np.log10(edge_on / flat):.0f} dB of what it shows flat")
    found = points()
    draw_points(found).savefig(IMAGES / "kernels.png", dpi=110)
    print("| kernel | peak over median |\n|---|---|")
    for kernel, values in found.items():
        print(f"| `{kernel}` | {values.max() / np.median(values):.0f} |")


if __name__ == "__main__":
    main()
