"""Simulate a freehand MIMO scan, image it exactly and by plain planar migration, and show the difference.

Letters and points some 0.30 m in front of a 77 GHz radar moved by hand (12 mm to and fro, 2 degrees of rotation).
The exact irregular method uses the measured poses; plain planar migration takes the sweep for the plane raster it was
meant to be.
Writes the scan, both images and one figure.

Example:
  mmsar demo -o out/
"""

import argparse

HELP = "simulate and image a freehand scan: the quickest look at what mmsar does"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("-o", "--output", metavar="FOLDER", default="mmsar-demo", help="folder to write (mmsar-demo)")


def run(args: argparse.Namespace) -> int:
    """Simulate, image twice, measure, draw."""
    import time
    from pathlib import Path

    from mmsar.io.image_h5 import save_image
    from mmsar.io.scan_h5 import save_scan
    from mmsar.model.grid import ImageGrid
    from mmsar.recon.options import ReconOptions
    from mmsar.recon.planner import reconstruct
    from mmsar.simulate.demo import POINTS, demo_setup, planar_assumption
    from mmsar.view.plot import figure_compare, save_figure

    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    setup = demo_setup()
    print(f"simulating {len(setup.scene):,} scatterers seen from {len(setup.trajectory):,} freehand poses x 8 channels")
    scan = setup.simulate()
    scan_path = folder / "scan.h5"
    save_scan(scan, scan_path)
    grid = ImageGrid.from_extent((-0.1, 0.1), (-0.08, 0.08), (0.26, 0.34), spacing=(1e-3, 1e-3, 4e-3))
    images, titles = [], []
    runs = (
        ("plain planar migration (rma)", planar_assumption(scan), "rma", False),
        ("exact irregular method (nufft)", scan, "auto", True),
    )
    for title, source, method, check in runs:
        start = time.perf_counter()
        image = reconstruct(source, grid, method=method, options=ReconOptions(verify=check))
        seconds = time.perf_counter() - start
        path = folder / f"image_{image.history[-1]['method']}.h5"
        save_image(image, path, scan_path=scan_path)
        print(f"\n{title}: {grid.n_voxels:,} voxels in {seconds:.1f} s{' (with the check)' if check else ''}, {path}")
        _report(image, POINTS[-1])
        images.append(image)
        titles.append(title)
    figure = figure_compare(images, titles, floor=-25, title="one freehand scan, two ways to image it")
    save_figure(figure, folder / "demo.png")
    print(f"\nfigure: {folder / 'demo.png'} (times of a first run include compiling the kernels, which are then kept)")
    print(f"next: mmsar info {scan_path}; mmsar view {folder / 'image_nufft.h5'} --save view.png")
    return 0


def _report(image, point: tuple[float, float, float]) -> None:
    """Print the point response at a known target and the focus of the whole image."""
    import numpy as np

    from mmsar.metrics import contrast, entropy, point_response

    x, y, z = point
    near = image.crop(x=(x - 0.02, x + 0.02), y=(y - 0.015, y + 0.015), z=(z - 0.03, z + 0.03))
    peak = point_response(near)
    offset = 1e3 * np.linalg.norm(np.subtract(peak.position, point)[:2])
    widths = " x ".join("-" if np.isnan(w) else f"{1e3 * w:.1f}" for w in peak.width[:2])
    print(
        f"  point at ({1e3 * x:.0f}, {1e3 * y:.0f}, {1e3 * z:.0f}) mm: peak {peak.value:.3f}, off by {offset:.1f} mm,",
        end=" ",
    )
    print(f"-3 dB width {widths} mm (x, y), highest sidelobe {max(peak.pslr[:2]):.1f} dB")
    print(f"  focus: entropy {entropy(image):.2f} nat (low is sharp), contrast {contrast(image):.1f} (high is sharp)")
    check = image.history[-1].get("verify")
    if check:
        print(
            f"  against exact back-projection on {check['voxels']:,} voxels: NCC {check['ncc']:.4f}, "
            f"error {check['error_db']:.1f} dB"
        )
