"""Print how far autofocus finds back from position errors, and draw it, as docs/autofocus.md has it.

python docs/figures/autofocus.py [--seeds 3] [--blind] [-o docs/images/autofocus.png]

A raster of 120 x 16 poses of a 2 x 4 board (1.2 mm and 7.6 mm apart) sees scenes 0.3 m away, 64 frequencies, 10 dB a
sample. Positions are wrong by a smooth wander (40 swings over the scan) or from pose to pose, the same RMS along x, y
and z. Compared are magnitudes of the images as recorded and as focused with that at the true positions, correlation
after the shift along x and y that fits best (which no samples tell). --blind: larger errors, also from a blind start;
the picture is then of such.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import mmsar
from mmsar.focus.autofocus import AutofocusOptions, apply_autofocus, autofocus
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Scan
from mmsar.model.trajectory import Trajectory
from mmsar.recon import nufft
from mmsar.simulate.noise import add_noise, smooth_error, white_error
from mmsar.simulate.scene import Scene

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "bench"))

RMS = (0.1e-3, 0.2e-3, 0.3e-3, 0.4e-3, 0.5e-3, 0.6e-3, 0.8e-3)
LARGE = (0.6e-3, 0.8e-3, 1.0e-3)
SWINGS = 40.0
SIZE = 0.11
GRID = ImageGrid.from_extent((-SIZE / 2, SIZE / 2), (-SIZE / 2, SIZE / 2), 0.3, spacing=1e-3)


def scenes() -> dict[str, Scene]:
    """Points over 20 dB, letters, and a smooth plate as large as the aperture sees."""
    rng = np.random.default_rng(5)
    place = np.c_[rng.uniform(-0.04, 0.04, (15, 2)), np.full(15, 0.3)]
    points = Scene.points(place, 10 ** (-rng.uniform(0, 20, 15) / 20) * np.exp(2j * np.pi * rng.random(15)))
    return {
        "15 points": points,
        "letters": Scene.letters("SAR", 0.02, centre=(0.0, 0.0, 0.3)),
        "smooth plate": Scene.from_mask(np.ones((90, 90)), 1e-3, centre=(0.0, 0.0, 0.3)),
    }


def registered(image: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Correlation of magnitudes at the shift that fits best, and how long that is [m]."""
    a, b = np.abs(image[0]), np.abs(reference[0])
    product = np.fft.irfft2(np.fft.rfft2(a) * np.fft.rfft2(b).conj(), a.shape)
    at = np.unravel_index(product.argmax(), a.shape)
    shift = [GRID.spacing[0] * min(i, n - i) for i, n in zip(at, a.shape, strict=True)]
    return float(product.max() / np.sqrt((a**2).sum() * (b**2).sum())), float(np.hypot(*shift))


def case(scene: Scene, kind: str, rms: float, seed: int, *, blind: bool = False) -> dict:
    """Images and their correlations."""
    rng = np.random.default_rng(seed)
    path = Trajectory.raster((16, 120), (1.2e-3, 7.6e-3))
    size = np.full(3, rms)
    error = white_error(len(path), size, rng=rng)
    if kind == "smooth":
        error = smooth_error(len(path), size, cycles=SWINGS, rng=rng)
    true = Trajectory(time=path.time, position=path.position + error, rotation=path.rotation)
    chirp, board = mmsar.Chirp(f0=77e9, slope=63e12, fs=1e6, n_samples=64), mmsar.AntennaArray.iwr1443()
    echo = mmsar.simulate(scene, chirp=chirp, array=board, trajectory=true)
    scan = Scan(signal=add_noise(echo.read(), 10.0, rng=rng), chirp=chirp, array=board, trajectory=path)
    seconds = []
    for from_nothing in sorted({False, blind}):
        start = time.perf_counter()
        found = autofocus(scan, GRID, options=AutofocusOptions(progress=False, blind=from_nothing))
        seconds.append(time.perf_counter() - start)
    exact = nufft.plan(replace(scan, trajectory=true), GRID)(scan.signal)
    before, after = (nufft.plan(s, GRID)(scan.signal) for s in (scan, apply_autofocus(scan, found)))
    after_like, aside = registered(after, exact)
    return {
        "before": registered(before, exact)[0],
        "after": after_like,
        "aside": aside,
        "improved": found.improved,
        "seconds": seconds[-1],
        "times": seconds[-1] / seconds[0],
        "images": (before, after, exact),
    }


def draw(target: Path, *, blind: bool) -> None:
    """As recorded, focused, and at the true positions, for points and letters with smooth errors of 0.4 mm.

    With `blind`: points with independent errors of 1 mm, and letters with smooth ones.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(7.6, 4.9), sharex=True, sharey=True, layout="constrained")
    points, letters = list(scenes().items())[:2]
    rows = [(*points, "independent"), (*letters, "smooth")] if blind else [(*points, "smooth"), (*letters, "smooth")]
    for number, (row, (name, scene, kind)) in enumerate(zip(axes, rows, strict=True)):
        found = case(scene, kind, 1e-3 if blind else 0.4e-3, 0, blind=blind)
        titles = ("as recorded", "autofocus", "true positions")
        for axis, image, title in zip(row, found["images"], titles, strict=True):
            level = 20 * np.log10(np.abs(image[0]) / np.abs(image).max() + 1e-9)
            side = 1e3 * SIZE / 2
            shown = axis.imshow(
                level, vmin=-25, vmax=0, origin="lower", extent=(-side, side, -side, side), cmap="inferno"
            )
            if number == 0:
                axis.set_title(title)
            else:
                axis.set_xlabel("x [mm]")
        row[0].set_ylabel(f"{name}, {kind} errors\ny [mm]")
    figure.colorbar(shown, ax=axes, label="dB re the peak", shrink=0.8)
    figure.savefig(target, dpi=110)


def main() -> None:
    """Measure and print; draw where asked."""
    from sidebyside import machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="errors drawn per case; 0: only the picture")
    parser.add_argument("-o", "--output", type=Path, help="picture to write")
    parser.add_argument("--blind", action="store_true", help="larger errors, from a blind start too")
    args = parser.parse_args()
    if args.output is not None:
        draw(args.output, blind=args.blind)
    if not args.seeds:
        return
    print(f"{machine()}; correlation before -> after (share that counts as improved), {args.seeds} errors each\n")
    sizes = LARGE if args.blind else RMS
    print(f"| scene, error | {' | '.join(f'{1e3 * rms:.1f} mm' for rms in sizes)} |\n|---|{'---|' * len(sizes)}")
    times, more, aside = [], [], {}
    for name, scene in scenes().items():
        for kind in ("smooth", "independent"):
            cells = []
            for rms in sizes:
                found = [case(scene, kind, rms, seed, blind=args.blind) for seed in range(args.seeds)]
                before, after, better = (np.mean([f[key] for f in found]) for key in ("before", "after", "improved"))
                cells.append(f"{before:.2f} -> {after:.2f} ({100 * better:.0f} %)")
                aside.setdefault(name, []).extend(1e3 * f["aside"] for f in found)
                times += [f["seconds"] for f in found]
                more += [f["times"] for f in found]
            print(f"| {name}, {kind} | {' | '.join(cells)} |", flush=True)
    print(f"\nthey lie aside by {', '.join(f'{np.median(by):.1f} mm ({name})' for name, by in aside.items())} (median)")
    print(f"\n{np.median(times):.1f} s each (median), 30 iterations, 15,360 channels into {GRID.n_voxels:,} voxels")
    if args.blind:
        print(f"{np.median(more):.1f} times as long as without --blind (median)")


if __name__ == "__main__":
    main()
