"""The exact forward model on a device, by the kernel of core/cuda/forward.cu; several devices share the channels out.

Paths and phases at the middle frequency are formed in double precision, phases of the samples from there and the sums
in single: against the CPU's double precision samples are -90 dB off or less (a test holds it to -85).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.core.backend import to_host
from mmsar.core.memory import require

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device

THREADS = 128
"""Points that a block takes together."""
CHANNELS = 2**16
"""Channels at a time at most."""


class ForwardOnDevice:
    """A scene on devices: call it as `core.kernels_forward.forward_channels`, less what is of the scene.

    Parameters
    ----------
    devices : list of Device
        At least one.
    scene : (points, surface, sigma, amplitude, pattern, seen)
        As the arguments of `forward_channels`.
    cycles : (float, float, float)
        As there.
    """

    def __init__(self, devices: list["Device"], scene: tuple, cycles: tuple[float, float, float]) -> None:
        self._devices = devices
        self._scenes = []
        for device in devices:
            with device.active():
                self._scenes.append(_scene_arguments(device.xp, scene, cycles, device.free()))

    def __call__(self, channels: tuple[np.ndarray, ...], out: np.ndarray) -> None:
        """Write the samples of some channels.

        Parameters
        ----------
        channels : (tx, rx, board, gain, view)
            As the arguments of `forward_channels`, on the host.
        out : complex64 (n_channel, n_samples)
            Overwritten.
        """
        edges = np.linspace(0, len(out), len(self._devices) + 1).round().astype(int)

        def share(d: int) -> None:
            device = self._devices[d]
            with device.active():
                for first in range(edges[d], edges[d + 1], CHANNELS):
                    part = slice(first, min(first + CHANNELS, edges[d + 1]))
                    out[part] = self._some(d, [c[part] for c in channels], out.shape[1])

        if len(self._devices) == 1:
            share(0)
            return
        with ThreadPoolExecutor(len(self._devices)) as pool:
            list(pool.map(share, range(len(self._devices))))

    def _some(self, d: int, channels: list[np.ndarray], n_samples: int) -> np.ndarray:
        device, (of_scene, seen) = self._devices[d], self._scenes[d]
        xp = device.xp
        *doubles, view = channels
        arrays = [xp.asarray(np.ascontiguousarray(a, dtype=np.float64)) for a in doubles]
        samples = xp.empty((len(channels[0]), n_samples), dtype=np.complex64)
        sight = (xp.asarray(np.ascontiguousarray(view, dtype=np.int64)), *seen)
        args = (*arrays, *of_scene, *sight, np.int32(n_samples), samples)
        device.kernels("forward", "forward_channels", {"THREADS": THREADS}, (len(samples),), THREADS, args)
        return to_host(samples)


def _scene_arguments(xp: Any, scene: tuple, cycles: tuple[float, float, float], free: int) -> tuple[tuple, tuple]:
    """Arguments of the kernel that are the same for all channels: the scene, and what is seen of it."""
    points, (normal, lobe), sigma, amplitude, (exponent, table), seen = scene
    arrays = (points, normal, lobe, sigma, table, seen)
    require("simulate on the device", sum(a.nbytes for a in arrays), free, "use fewer points or device='cpu'")
    points, normal, lobe, sigma, table = (xp.asarray(np.ascontiguousarray(a, dtype=float)) for a in arrays[:5])
    of_surface = (normal, np.int32(normal.shape[1] > 0), lobe)
    first, step, rvp = (np.float64(c) for c in cycles)
    of_element = (np.float64(exponent), table, *(np.int32(n) for n in table.shape))
    of_points = (points, *of_surface, sigma, np.int32(points.shape[1]))
    n_byte = np.int32(seen.shape[1] if len(seen) else 0)
    return (*of_points, first, step, rvp, np.int32(bool(amplitude)), *of_element), (xp.asarray(seen), n_byte)
