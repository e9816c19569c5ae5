"""Array namespaces and devices: numpy on the CPU, cupy on GPUs, chosen by the arrays themselves.

There is no global backend. `namespace(*arrays)` answers from its arguments; mixing devices is an error;
asking for a GPU that is not there is a `DeviceError`, never a quiet run on the CPU.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsar.errors import DeviceError

if TYPE_CHECKING:
    from mmsar.core.device_cuda import Device

WANTED = "wanted auto, cpu, cuda or cuda:N (for several GPUs cuda:N,M or cuda:all)"


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
    """Return the device actually used for a request: "cpu", "cuda:N", or "cuda:N,M" for several GPUs.

    Parameters
    ----------
    device : str
        "cpu"; "cuda" (the first GPU), "cuda:N", "cuda:N,M" (these GPUs share the volume out) or "cuda:all"; "auto": the
        CPU, as long as the GPU's path has not been run on a card (docs/gpu.md).

    Raises
    ------
    DeviceError
        Unknown name, cupy not installed, no usable NVIDIA GPU, or no GPU of that number.
    """
    if device in ("auto", "cpu"):
        return "cpu"
    kind, colon, which = device.partition(":") if isinstance(device, str) else ("", "", "")
    numbers = [n.strip() for n in which.split(",")] if colon and which != "all" else []
    if kind != "cuda" or not all(n.isdigit() for n in numbers):
        raise DeviceError(f"device: got {device!r}, {WANTED}")
    try:
        import cupy
    except ImportError:
        raise DeviceError(
            f"device: {device} asked for but cupy is not installed; pip install 'mmsar[gpu12]' or use device='cpu'"
        ) from None
    if not cupy.cuda.is_available():
        raise DeviceError(f"device: {device} asked for but no usable NVIDIA GPU and driver was found; use device='cpu'")
    count = cupy.cuda.runtime.getDeviceCount()
    chosen = range(count) if which == "all" else [int(n) for n in numbers or ["0"]]
    for index in chosen:
        if index >= count:
            raise DeviceError(f"device: got cuda:{index}, wanted a number below {count} (GPUs found)")
    if len(set(chosen)) < len(chosen):
        raise DeviceError(f"device: got {device!r}, wanted every GPU once")
    return "cuda:" + ",".join(str(index) for index in chosen)


def open_devices(device: str) -> list["Device"]:
    """The GPUs of a request, ready for plans; none for the CPU.

    Raises
    ------
    DeviceError
        As `resolve_device`.
    """
    name = resolve_device(device)
    if name == "cpu":
        return []
    from mmsar.core.device_cuda import CudaDevice

    return [CudaDevice(int(number)) for number in name.partition(":")[2].split(",")]


def to_device(array: Any, device: str) -> Any:
    """Return `array` on `device` ("cpu" or "cuda:N"); a copy only when it has to move."""
    name = resolve_device(device)
    if name == "cpu":
        return to_host(array)
    if "," in name:
        raise DeviceError(f"device: got {device!r} for one array, wanted one GPU")
    import cupy

    with cupy.cuda.Device(int(name.partition(":")[2])):
        return cupy.asarray(array)


def to_host(array: Any) -> np.ndarray:
    """Return `array` as a numpy array; a copy only when it is on a GPU."""
    return array.get() if namespace(array) is not np else np.asarray(array)
