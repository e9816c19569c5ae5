"""Print the table of training runs, as docs/measurements has it, from their folders.

python docs/figures/training_runs.py gatenet/ gatenet_complex/ [--every 2000]
"""

import argparse
import csv
from pathlib import Path


def rows(folder: Path, every: int) -> list[str]:
    """Lines of one run: every so many steps, and the last."""
    with (folder / "curves.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return [
        f"| {folder.name} | {int(line['step']):,} | {float(line['seconds']):,.0f} | {float(line['loss']):.4f} | "
        f"{float(line['validation']):.4f} |"
        for line in lines
        if int(line["step"]) % every == 0 or line is lines[-1]
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of mmsar train-sr")
    parser.add_argument("--every", type=int, default=2000, help="steps from line to line")
    args = parser.parse_args()
    print("| run | step | seconds | loss | validation loss |\n|---|---|---|---|---|")
    for run in args.runs:
        print("\n".join(rows(run, args.every)))
