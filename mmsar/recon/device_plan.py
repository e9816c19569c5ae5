"""A plan run on GPUs: the tables of the CPU's plan are moved once, and several GPUs share the volume out.

What a device does with its share is in `device_bpa` and `device_spectral`. Every device gets the whole signal, block by
block, and makes a run of tiles or planes; an adjoint is the sum of theirs. Each keeps within a budget of its own.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mmsar.core.checks import check_shape
from mmsar.core.memory import require
from mmsar.model.grid import ImageGrid
from mmsar.model.scan import Geometry
from mmsar.recon.options import ReconOptions

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device

SHARE = 0.8
"""Of the free memory of a device, what a plan may use by default."""
IN_FLIGHT = 2**26
"""Samples fed to a device at a time [bytes]."""


class Share(Protocol):
    """A device's share of a plan, over parts `mine` of what the plan's whole is made of (tiles or planes)."""

    mine: slice
    nbytes: int

    def __call__(self, signal: Any) -> np.ndarray:
        """The parts of the image, on the host."""

    def adjoint(self, parts: np.ndarray) -> np.ndarray:
        """The parts' contribution to the signal, on the host."""


class Divided(Protocol):
    """A plan of the CPU as a `DevicePlan` wants it."""

    geometry: Geometry
    grid: ImageGrid
    error_db: float
    n_parts: int

    def on_device(self, device: "Device", mine: slice, memory: int) -> Share:
        """One device's share, within `memory` bytes of the device."""

    def join(self, parts: list[np.ndarray]) -> np.ndarray:
        """The image of all parts in order."""

    def part(self, image: np.ndarray) -> np.ndarray:
        """The transpose of `join`: an image as an array of parts."""


class DevicePlan:
    """A plan on one or more devices: apply by `plan(signal)` and `plan.adjoint(image)`, numpy arrays in and out.

    Attributes: `geometry`, `grid`, `error_db`, `device` (the names of the devices) and `nbytes` (the most memory that
    is used on a device).

    Parameters
    ----------
    plan : Divided
        The CPU's plan.
    devices : list of Device
        At least one; those beyond the plan's parts stay idle.
    options : ReconOptions
        `memory` is the budget of each device [bytes], default `SHARE` of what is free there.

    Raises
    ------
    MmsarError
        A grid or geometry whose smallest pieces do not fit the budget.
    """

    def __init__(self, plan: Divided, devices: list["Device"], options: ReconOptions) -> None:
        self.geometry, self.grid, self.error_db = plan.geometry, plan.grid, plan.error_db
        self.device = ", ".join(device.name for device in devices)
        self._plan = plan
        edges = np.linspace(0, plan.n_parts, min(len(devices), plan.n_parts) + 1).round().astype(int)
        self._shares: list[tuple[Device, Share]] = []
        for device, start, stop in zip(devices, edges[:-1], edges[1:], strict=False):
            with device.active():
                memory = int(SHARE * device.free()) if options.memory is None else options.memory
                self._shares.append((device, plan.on_device(device, slice(int(start), int(stop)), memory)))

    @property
    def nbytes(self) -> int:
        """Memory used on a device [bytes]."""
        return max(share.nbytes for _, share in self._shares)

    def __call__(self, signal: Any) -> np.ndarray:
        """Image the signal.

        Parameters
        ----------
        signal : (n_pose, n_tx, n_rx, n_samples) complex64, or an object with `blocks()`
            Samples, on the host; of any size, they are fed to the device in blocks.

        Returns
        -------
        (n_z, n_y, n_x) complex64
            The image, on the host; a unit point peaks at 1.

        Raises
        ------
        GeometryError
            A signal of another shape than the geometry.
        """
        check_shape("signal", np.shape(signal) if not hasattr(signal, "blocks") else signal.shape, self.geometry.shape)
        return self._plan.join(self._each(lambda share: share(signal)))

    def adjoint(self, image: np.ndarray) -> np.ndarray:
        """The exact adjoint: image (n_z, n_y, n_x) to signal (n_pose, n_tx, n_rx, n_samples), complex64."""
        check_shape("image", np.shape(image), self.grid.shape)
        parts = self._plan.part(np.asarray(image, dtype=np.complex64))
        of_shares = self._each(lambda share: share.adjoint(parts[share.mine]))
        total = of_shares[0]
        for other in of_shares[1:]:
            total += other
        return total

    def _each(self, work: Callable[[Share], np.ndarray]) -> list[np.ndarray]:
        """work(share) for every device, side by side."""

        def one(device: "Device", share: Share) -> np.ndarray:
            with device.active():
                return work(share)

        if len(self._shares) == 1:
            return [one(*self._shares[0])]
        with ThreadPoolExecutor(len(self._shares)) as pool:
            return list(pool.map(lambda pair: one(*pair), self._shares))


def host_options(options: ReconOptions, devices: list["Device"]) -> ReconOptions:
    """The options for the plan of the CPU: where devices do the work the memory budget is theirs."""
    return replace(options, memory=None) if devices else options


def fit(name: str, fixed: int, per_item: int, items: int, memory: int) -> int:
    """How many of `items` can be taken at a time: all, or as many as fit beside `fixed` bytes.

    Raises
    ------
    MmsarError
        When not even one fits.
    """
    advice = "use a smaller grid, more or larger GPUs, or device='cpu'"
    require(f"{name} on the device", fixed + per_item, memory, advice)
    return int(min(items, (memory - fixed) // max(1, per_item)))


def pose_blocks(signal: Any, most: int) -> Iterator[np.ndarray]:
    """Consecutive complex64 blocks of at most `most` poses of an array or of an object with `blocks()`."""
    blocks = (block for _, block in signal.blocks()) if hasattr(signal, "blocks") else (np.asarray(signal),)
    for block in blocks:
        for first in range(0, len(block), most):
            yield np.ascontiguousarray(block[first : first + most], dtype=np.complex64)
