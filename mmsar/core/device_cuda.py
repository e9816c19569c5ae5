"""One NVIDIA GPU as plans use it: arrays, kernels, FFTs, free memory, and data fed to it block by block."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from mmsar.core.fft import DeviceFFT
from mmsar.core.kernels_cuda import Constants, CudaKernels


class Kernels(Protocol):
    """Starts a kernel by name; see `core.kernels_cuda.CudaKernels`."""

    def __call__(
        self, name: str, kernel: str, constants: Constants, grid: tuple[int, ...], threads: int, args: tuple
    ) -> None: ...


class Device(Protocol):
    """What the plans of `recon` ask of a device; its methods are to be called while it is `active`."""

    name: str
    """As asked for: "cuda:0"."""
    xp: ModuleType
    """Namespace of its arrays."""
    kernels: Kernels
    """Starts kernels."""
    fft: DeviceFFT
    """Transforms arrays in place."""
    out_of_memory: type[Exception]
    """What is raised when its memory does not suffice."""

    def active(self) -> AbstractContextManager:
        """Arrays made inside are made on this device."""

    def free(self) -> int:
        """Memory that can be used now [bytes]."""

    def feed(self, blocks: Iterable[np.ndarray]) -> Iterator[Any]:
        """Arrays of the host on the device, one after the other."""


class CudaDevice:
    """A GPU by its number.

    Parameters
    ----------
    index : int
        Its number; that it is there is for `core.backend.resolve_device` to see to.
    """

    def __init__(self, index: int) -> None:
        import cupy

        self.name, self.xp = f"cuda:{index}", cupy
        self.kernels, self.fft = CudaKernels(), DeviceFFT()
        self._index = index

    @property
    def out_of_memory(self) -> type[Exception]:
        """cupy's error."""
        return self.xp.cuda.memory.OutOfMemoryError

    def active(self) -> AbstractContextManager:
        """Make this GPU the current one."""
        return self.xp.cuda.Device(self._index)

    def free(self) -> int:
        """Free memory of the GPU, and what cupy's pool holds ready [bytes]."""
        return self.xp.cuda.runtime.memGetInfo()[0] + self.xp.get_default_memory_pool().free_bytes()

    def feed(self, blocks: Iterable[np.ndarray]) -> Iterator[Any]:
        """Arrays of the host on the GPU: the next one is copied, on a stream of its own, while one is worked on."""
        stream = self.xp.cuda.Stream(non_blocking=True)
        ahead: deque = deque()
        for block in blocks:
            ahead.append(self._start_copy(block, stream))
            if len(ahead) == 2:
                yield self._arrived(*ahead.popleft())
        while ahead:
            yield self._arrived(*ahead.popleft())

    def _start_copy(self, block: np.ndarray, stream: Any) -> tuple[Any, Any, np.ndarray]:
        import cupyx

        pinned = cupyx.empty_pinned(block.shape, block.dtype)
        pinned[...] = block
        # the pool may hand out the memory of a block whose kernels have not run yet: they come first
        stream.wait_event(self.xp.cuda.get_current_stream().record())
        with stream:
            array = self.xp.empty(block.shape, block.dtype)
            array.set(pinned, stream=stream)
        return array, stream.record(), pinned

    def _arrived(self, array: Any, copied: Any, pinned: np.ndarray) -> Any:
        copied.synchronize()  # `pinned` must live until then
        return array
