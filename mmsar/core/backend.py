"""Array namespaces and devices: numpy on the CPU, cupy on a GPU, chosen by the arrays themselves.

There is no global backend. `namespace(*arrays)` answers from its arguments; mixing devices is an error;
asking for a GPU that is not there is a `DeviceError`, never a quiet run on the CPU.
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np

from mmsar.errors import DeviceError


def namespace(*arrays: Any) -> ModuleType:
    """Return numpy or cupy, whichever all `arrays` belong to.

    Raises
    ------
    DeviceError
        When the arrays live on different devices.
    """
    cupy = sys.modules.get("cupy")
    on_gpu = [cupy is not None and isinstance(a, cupy.ndarray) for a in arrays]
    if any(on_gpu):
        if not all(on_gpu):
            raise DeviceError("arrays: got some on the CPU and some on a GPU, wanted one device; use to_device first")
        return cupy
    return np


def resolve_device(device: str) -> str:
    """Return the device actually used for a request: "cpu" or "cuda:N".

    Parameters
    ----------
    device : str
        "auto" (the CPU in this version), "cpu", "cuda" or "cuda:N".

    Raises
    ------
    DeviceError
        Unknown name, cupy not installed, no usable NVIDIA GPU, or no GPU of that number.
    """
    if device in ("auto", "cpu"):
        return "cpu"
    kind, _, number = device.partition(":")
    if kind != "cuda" or (number and not number.isdigit()):
        raise DeviceError(f"device: got {device!r}, wanted auto, cpu, cuda or cuda:N")
    try:
        import cupy
    except ImportError:
        raise DeviceError(
            f"device: {device} asked for but cupy is not installed; pip install 'mmsar[gpu12]' or use device='cpu'"
        ) from None
    if not cupy.cuda.is_available():
        raise DeviceError(f"device: {device} asked for but no usable NVIDIA GPU and driver was found; use device='cpu'")
    index = int(number or 0)
    count = cupy.cuda.runtime.getDeviceCount()
    if index >= count:
        raise DeviceError(f"device: got cuda:{index}, wanted a number below {count} (GPUs found)")
    return f"cuda:{index}"


def to_device(array: Any, device: str) -> Any:
    """Return `array` on `device` ("cpu" or "cuda:N"); a copy only when it has to move."""
    if resolve_device(device) == "cpu":
        return to_host(array)
    import cupy

    with cupy.cuda.Device(int(device.partition(":")[2] or 0)):
        return cupy.asarray(array)


def to_host(array: Any) -> np.ndarray:
    """Return `array` as a numpy array; a copy only when it is on a GPU."""
    return array.get() if namespace(array) is not np else np.asarray(array)
