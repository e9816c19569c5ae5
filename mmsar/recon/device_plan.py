"""A plan run on GPUs: the tables of the CPU's plan are moved once, and several GPUs share the volume out.

What a device does with its share is in `device_bpa` and `device_spectral`. Every device gets the whole signal, block by
block, and makes a run of tiles or planes; an adjoint is the sum of theirs. Each keeps within a budget of its own.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mmsar.core.backend import namespace, to_host
from mmsar.core.checks import check_shape
from mmsar.core.memory import require, size_text
from mmsar.errors import DeviceError, MmsarError
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

    def __call__(self, signal: Any) -> Any:
        """The parts of the image, where the signal is."""

    def adjoint(self, parts: Any) -> Any:
        """The parts' contribution to the signal, where the parts are."""


class Divided(Protocol):
    """A plan of the CPU as a `DevicePlan` wants it."""

    geometry: Geometry
    grid: ImageGrid
    error_db: float
    n_parts: int

    def on_device(self, device: "Device", mine: slice, memory: int) -> Share:
        """One device's share, within `memory` bytes of the device."""

    def join(self, parts: list[Any]) -> Any:
        """The image of all parts in order."""

    def part(self, image: Any) -> Any:
        """The transpose of `join`: an image as an array of parts."""


class DevicePlan:
    """A plan on one or more devices: apply by `plan(signal)` and `plan.adjoint(image)`.

    What comes as an array of the device stays there, result included; numpy arrays go and come back, block by block.

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

    def __call__(self, signal: Any) -> Any:
        """Image the signal.

        Parameters
        ----------
        signal : (n_pose, n_tx, n_rx, n_samples) complex64, or an object with `blocks()`
            Samples: on the host, of any size, or an array of the device.

        Returns
        -------
        (n_z, n_y, n_x) complex64
            The image, where the signal was; a unit point peaks at 1.

        Raises
        ------
        GeometryError
            A signal of another shape than the geometry.
        DeviceError
            An array of one device for a plan on several.
        MmsarError
            A device whose memory others have taken since.
        """
        check_shape("signal", getattr(signal, "shape", None) or np.shape(signal), self.geometry.shape)
        self._check_place(signal)
        return self._plan.join(self._each(lambda share: share(signal)))

    def adjoint(self, image: Any) -> Any:
        """The exact adjoint: image (n_z, n_y, n_x) to signal (n_pose, n_tx, n_rx, n_samples), complex64."""
        check_shape("image", getattr(image, "shape", None) or np.shape(image), self.grid.shape)
        self._check_place(image)
        parts = self._plan.part(namespace(image).asarray(image, dtype=np.complex64))
        of_shares = self._each(lambda share: share.adjoint(parts[share.mine]))
        total = of_shares[0]
        for other in of_shares[1:]:
            total += other
        return total

    def _check_place(self, array: Any) -> None:
        if len(self._shares) > 1 and namespace(array) is not np:
            raise DeviceError(f"device: got an array of one GPU for a plan on {self.device}, wanted one of the host")

    def _each(self, work: Callable[[Share], Any]) -> list[Any]:
        """work(share) for every device, side by side."""

        def one(device: "Device", share: Share) -> Any:
            try:
                with device.active():
                    return work(share)
            except device.out_of_memory as error:
                device.fft.forget()
                raise MmsarError(
                    f"{device.name}: out of memory, of {size_text(share.nbytes)} planned ({error}); what else uses it? "
                    "give a smaller budget (--memory), or use device='cpu'"
                ) from None

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


def place_of(signal: Any) -> ModuleType:
    """The namespace of an array, or numpy for what is read in blocks."""
    return np if hasattr(signal, "blocks") else namespace(signal)


def landed(array: Any, place: ModuleType) -> Any:
    """An array of a device as one of `place`: there, or on the host."""
    return array if namespace(array) is place else to_host(array)


def blocks_on(device: "Device", signal: Any, most: int) -> Iterator[Any]:
    """Blocks of at most `most` poses of a signal, on the device and complex64."""
    blocks = _pose_blocks(signal, most)
    return device.feed(blocks) if place_of(signal) is np else blocks


def _pose_blocks(signal: Any, most: int) -> Iterator[Any]:
    """Consecutive complex64 blocks of at most `most` poses of an array or of an object with `blocks()`."""
    place = place_of(signal)
    blocks = (block for _, block in signal.blocks()) if hasattr(signal, "blocks") else (place.asarray(signal),)
    for block in blocks:
        for first in range(0, len(block), most):
            yield place.ascontiguousarray(block[first : first + most], dtype=np.complex64)
