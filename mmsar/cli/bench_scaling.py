"""The part of `mmsar bench` that measures how time grows with samples, voxels, frequencies and threads."""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmsar.cli.bench import Size

STEPS = 4
"""Sizes along an axis, each twice the one before."""


@dataclass(frozen=True)
class Curve:
    """Time of one method along one axis."""

    axis: str
    """"samples" (channels), "voxels", "frequencies" or "threads"."""
    method: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    """Signal to image, best of the repetitions."""

    @property
    def slope(self) -> float:
        """Exponent p of time ~ size^p, by least squares in log-log."""
        import numpy as np

        if len(self.sizes) < 2:
            return float("nan")
        return float(np.polyfit(np.log(self.sizes), np.log(self.seconds), 1)[0])


def curves(base: "Size", scans: dict[str, tuple[str, ...]], repeat: int) -> list[Curve]:
    """Every method of every scan along every axis from a base size; a method that two scans have is measured once."""
    seen, out = set(), []
    for scan, methods in scans.items():
        for method in methods:
            if method not in seen:
                seen.add(method)
                out += [_curve(axis, scan, method, base, repeat) for axis in ("samples", "voxels", "frequencies")]
                out.append(_threads(scan, method, base, repeat))
    return out


def report(found: list[Curve]) -> str:
    """One line per curve: sizes, times and slope."""
    lines = [f"{'axis':11} {'method':6} {'slope':>6}  time [ms] at size"]
    for curve in found:
        points = ", ".join(f"{1e3 * s:.3g} at {n:,}" for n, s in zip(curve.sizes, curve.seconds, strict=True))
        lines.append(f"{curve.axis:11} {curve.method:6} {curve.slope:6.2f}  {points}")
    return "\n".join(lines)


def _curve(axis: str, scan: str, method: str, base: "Size", repeat: int) -> Curve:
    rows, columns = base.poses
    n_z, n_y, n_x = base.voxels
    made = {
        "samples": lambda f: replace(base, poses=(rows * f, columns)),
        "voxels": lambda f: replace(base, voxels=(n_z * f, n_y, n_x)),
        "frequencies": lambda f: replace(base, samples=base.samples * f),
    }[axis]
    sizes, seconds = [], []
    for step in range(STEPS):
        size = made(2**step)
        print(f"mmsar bench: {method}, {axis} x {2**step}", file=sys.stderr)
        n = {"samples": 8 * size.poses[0] * columns, "voxels": size.voxels[0] * n_y * n_x, "frequencies": size.samples}
        sizes.append(n[axis])
        seconds.append(_time(scan, method, size, repeat))
    return Curve(axis, method, tuple(sizes), tuple(seconds))


def _threads(scan: str, method: str, base: "Size", repeat: int) -> Curve:
    """Over cores this process may use: 1, 2, 4, ... (one point where the system cannot say or set them)."""
    settable = hasattr(os, "sched_setaffinity")
    cores = sorted(os.sched_getaffinity(0)) if settable else [0]
    numbers = [n for n in (2**i for i in range(12)) if n <= len(cores)]
    seconds = []
    try:
        for n in numbers:
            print(f"mmsar bench: {method}, {n} threads", file=sys.stderr)
            if settable:
                _hold(cores[:n])
            seconds.append(_time(scan, method, base, repeat))
    finally:
        if settable:
            _hold(cores)
    return Curve("threads", method, tuple(numbers), tuple(seconds))


def _hold(cores: list[int]) -> None:
    """Let all threads of this process, those that kernels hold ready included, run on these cores only."""
    os.sched_setaffinity(0, cores)
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), cores)


def _time(scan: str, method: str, size: "Size", repeat: int) -> float:
    from mmsar.cli.bench import problem, time_method

    made, grid = problem(scan, size)
    return time_method(method, made, grid, made.read(), repeat)[1]
