"""The part of `mmsar bench` that measures the planner's factors for this machine."""

import math
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsar.model.grid import ImageGrid
    from mmsar.model.scan import Scan


@dataclass(frozen=True)
class Checked:
    """One scan imaged by one method: what the planner says with factor 1, and what it took."""

    size: str
    scan: str
    method: str
    predicted_s: float
    measured_s: float
    """Planning and imaging, best of the repetitions [s]."""
    predicted_bytes: int
    plan_bytes: int

    @property
    def ratio(self) -> float:
        """Measured over predicted time."""
        return self.measured_s / self.predicted_s


def check(size: str, name: str, methods: tuple[str, ...], problem: tuple["Scan", "ImageGrid"], repeat: int) -> list:
    """Time every method on one scan, and compare with the planner's word."""
    from mmsar.recon.predict import cost

    scan, grid = problem
    signal = scan.read()
    rows = []
    for method in methods:
        print(f"mmsar bench: {size} {name} scan, {method}", file=sys.stderr)
        module, best = import_module(f"mmsar.recon.{method}"), math.inf
        for turn in range(repeat + 1):  # the first compiles, and measures FFT plans
            start = time.perf_counter()
            plan = module.plan(scan.geometry, grid)
            plan(signal)
            best = min(best, time.perf_counter() - start) if turn else best
        seconds, needed, _ = cost(method, scan.geometry, grid)
        rows.append(Checked(size, name, method, seconds, best, needed, plan.nbytes))
    return rows


def factors_of(rows: list[Checked]) -> dict[str, float]:
    """Method -> geometric mean of measured over predicted time."""
    out = {}
    for method in dict.fromkeys(row.method for row in rows):
        logs = [math.log(row.ratio) for row in rows if row.method == method]
        out[method] = round(math.exp(sum(logs) / len(logs)), 3)
    return out


def report(rows: list[Checked], factors: dict[str, float]) -> str:
    """The table: prediction with the factor, measurement, and their ratio; memory predicted and planned."""
    lines = [
        f"{'size':7} {'scan':9} {'method':6} {'predicted s':>11} {'measured s':>10} {'ratio':>6}"
        f" {'predicted MiB':>13} {'plan MiB':>9}"
    ]
    for row in rows:
        said = row.predicted_s * factors[row.method]
        lines.append(
            f"{row.size:7} {row.scan:9} {row.method:6} {said:11.4f} {row.measured_s:10.4f} {row.measured_s / said:6.2f}"
            f" {row.predicted_bytes / 2**20:13.1f} {row.plan_bytes / 2**20:9.1f}"
        )
    return "\n".join(lines)
