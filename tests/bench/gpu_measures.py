"""What is measured on a GPU, as rows of a table: rates and times beside their goals, on data that is on the device.

The functions take the device, so that a test runs them, small, on the kernels compiled for the host.
"""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from mmsar.metrics import error_db
from mmsar.model import Geometry, ImageGrid, Scan
from mmsar.recon import bpa, nufft, rma
from mmsar.recon.device_plan import DevicePlan
from mmsar.recon.options import ReconOptions

Rows = list[tuple[str, str]]

BPA_GOAL = 0.6e12
"""Voxel-pairs a second, multistatic, on an H200."""
RMA_GOAL = 2.0
"""Times the memory-traffic bound."""
NUFFT_GOAL = 50e-3
"""Of the 100,000-sample irregular volume [s]."""
TORCHBP = 370e9
"""Back-projections a second that torchbp publishes (RTX 3090 Ti, 2-D, monostatic)."""


def on(device: Any, module: Any, geometry: Geometry, grid: ImageGrid) -> DevicePlan:
    """A method's plan on the device."""
    if module is bpa:
        host: Any = bpa.BpaPlan(geometry, grid, direct=True)
    else:
        host = module.plan(geometry, grid, device="cpu", options=ReconOptions(progress=False))
    return DevicePlan(host, [device], SimpleNamespace(memory=None))


def seconds(device: Any, run: Callable[[], Any], rounds: int) -> float:
    """Best time of some rounds after one that compiles, the device's queue empty before and after [s]."""
    times = []
    with device.active():
        for _ in range(rounds + 1):
            wait(device)
            start = time.perf_counter()
            run()
            wait(device)
            times.append(time.perf_counter() - start)
    return min(times[1:])


def wait(device: Any) -> None:
    """Until everything that was started on the device is done."""
    if device.xp is not np:
        device.xp.cuda.get_current_stream().synchronize()


def copy_rate(device: Any, size: int) -> float:
    """Bytes read and written a second by copying `size` bytes on the device."""
    source = device.xp.zeros(size // 8, dtype=np.complex64)
    target = device.xp.empty_like(source)

    def copy() -> None:
        target[:] = source

    return 2 * source.nbytes / seconds(device, copy, 5)


def bpa_rows(device: Any, scan: Scan, grid: ImageGrid, rounds: int, *, goal: str) -> Rows:
    """Rate of back-projection, its error on some voxels, and the adjoint's rate."""
    geometry, signal = scan.geometry, np.asarray(scan.signal)
    plan = on(device, bpa, geometry, grid)
    there = device.xp.asarray(signal)
    pairs = geometry.n_channels * grid.n_voxels
    took = seconds(device, lambda: plan(there), rounds)
    image = plan(signal)
    back = device.xp.asarray(image)
    adjoint = seconds(device, lambda: plan.adjoint(back), 1)
    rng = np.random.default_rng(0)
    z, y, x = (rng.integers(0, n, 200) for n in grid.shape)
    exact = bpa.exact(signal, geometry, np.stack([grid.x[x], grid.y[y], grid.z[z]], axis=1))
    return [
        ("samples -> voxels", f"{geometry.n_channels:,} x {geometry.shape[3]} -> {grid.n_voxels:,}"),
        (f"bpa, -50 dB ({goal})", f"{pairs / took / 1e12:.3f} T voxel-pairs/s, {took:.3f} s"),
        ("error against a float64 sum", f"{error_db(image[z, y, x], exact).error_db:.1f} dB"),
        ("adjoint", f"{pairs / adjoint / 1e12:.3f} T voxel-pairs/s, {adjoint:.3f} s"),
    ]


def rma_rows(device: Any, scan: Scan, grid: ImageGrid, rounds: int) -> Rows:
    """Time of rma beside the time its least memory traffic takes at the rate of a copy."""
    geometry = scan.geometry
    plan = on(device, rma, geometry, grid)
    there = device.xp.asarray(np.asarray(scan.signal))
    took = seconds(device, lambda: plan(there), rounds)
    moved = traffic(plan)
    bound = moved / copy_rate(device, min(2**30, device.free() // 8))
    n_z, n_y, n_x = grid.shape
    return [
        ("samples -> voxels", f"{geometry.n_channels:,} x {geometry.shape[3]} -> {n_x} x {n_y} x {n_z}"),
        ("rma, samples and image on the device", f"{1e3 * took:.2f} ms"),
        (f"least memory traffic, {moved / 2**30:.2f} GiB, at the rate of a copy", f"{1e3 * bound:.2f} ms"),
        (f"ratio (goal <= {RMA_GOAL:g})", f"{took / bound:.2f}"),
    ]


def traffic(plan: DevicePlan) -> int:
    """Bytes that range migration must move: samples read once; every array between two steps written and read once,
    the 2-D FFT's twice; the image written once."""
    host = plan._plan
    (n_pose, n_tx, n_rx, n_samples), migration = plan.geometry.shape, host._migration
    channels, m, n_z = n_pose * n_tx * n_rx, host.n_frequencies, plan.grid.shape[0]
    compressed, spectrum = m * channels, m * migration.n_pairs
    planes, padded = n_z * migration.n_pairs, n_z * migration.period[0] * migration.period[1]
    return 8 * (channels * n_samples + 2 * (compressed + spectrum + planes + 2 * padded) + plan.grid.n_voxels)


def nufft_rows(device: Any, scan: Scan, grid: ImageGrid, rounds: int) -> Rows:
    """Time of the irregular volume, with samples and image on the device and on the host."""
    geometry, signal = scan.geometry, np.asarray(scan.signal)
    plan = on(device, nufft, geometry, grid)
    there = device.xp.asarray(signal)
    took = seconds(device, lambda: plan(there), rounds)
    with_copies = seconds(device, lambda: plan(signal), rounds)
    host = nufft.plan(geometry, grid, device="cpu", options=ReconOptions(progress=False))
    n_z, n_y, n_x = grid.shape
    return [
        ("samples -> voxels", f"{geometry.n_channels:,} x {geometry.shape[3]} -> {n_x} x {n_y} x {n_z}"),
        (f"nufft, samples and image on the device (goal <= {1e3 * NUFFT_GOAL:.0f} ms)", f"{1e3 * took:.1f} ms"),
        ("with copies from and to the host", f"{1e3 * with_copies:.1f} ms"),
        ("off the CPU's image", f"{error_db(plan(signal), host(signal)).error_db:.1f} dB"),
    ]
