"""Print where the time of the planar imagers goes, as docs/performance.md has it.

python docs/figures/stage_times.py [--rounds 7]

Each stage is timed alone, best of the rounds, on scans of tests/bench: a raster of 256 x 256 into 256 x 256 x 64 voxels
(rma) and 103,168 freehand samples into the same grid (empm, nufft). Times are processor seconds of all threads, which
a shared machine disturbs less than wall time.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bench"))


def best(work, rounds: int) -> float:
    """Least processor time of `work` after a first run [ms]."""
    work()
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def stages(plan, signal, rounds: int) -> dict[str, float]:
    """Stage -> processor time [ms]."""
    data = plan._compressed(signal)
    phased = data * plan._phase
    spectrum = plan._front(phased)
    migration = plan._migration
    migration(spectrum, False)
    (piece,) = migration._pieces()
    planes = migration._planes(piece.n)
    out = {
        "compress frequencies": best(lambda: plan._compressed(signal), rounds),
        "compensate": best(lambda: data * plan._phase, rounds),
        "to the spectrum": best(lambda: plan._front(phased), rounds),
        "Stolt": best(lambda: piece.stolt.forward(spectrum, planes, False), rounds),
    }
    out["lateral FFTs"] = best(lambda: migration(spectrum, False), rounds) - out["Stolt"]
    out["all"] = best(lambda: plan(signal), rounds)
    return out


def main() -> None:
    """Measure and print."""
    import benchscenes
    from sidebyside import machine

    from mmsar.recon import empm, nufft, rma

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions, the best counts")
    rounds = parser.parse_args().rounds
    grid, freehand, raster = benchscenes.volume((64, 256, 256)), benchscenes.freehand(), benchscenes.raster(256)
    table, sizes = {}, {}
    for name, module, scan in (("rma", rma, raster), ("empm", empm, freehand), ("nufft", nufft, freehand)):
        plan = module.plan(scan, grid)
        table[name] = stages(plan, scan.signal, rounds)
        (piece,) = plan._migration._pieces()
        sizes[name] = f"{plan.n_frequencies} frequencies, {plan._migration.n_pairs:,} pairs, {piece.n} heights"
        transform = getattr(plan._front, "_transform", None)
        if transform is not None:
            sizes[name] += f", {transform.n_planes[0]} planes along z as {transform.n_planes[1]}"
    print(f"{machine()}; processor time [ms], best of {rounds}\n")
    print(f"| stage | {' | '.join(table)} |\n|---|{'---|' * len(table)}")
    for stage in table["rma"]:
        print(f"| {stage} | {' | '.join(f'{column[stage]:.1f}' for column in table.values())} |")
    print(f"| sizes | {' | '.join(sizes.values())} |")


if __name__ == "__main__":
    main()
