"""Devices: the namespace comes from the arrays, and a missing GPU is an error, never a quiet CPU run.

A stand-in for cupy (this suite runs without a GPU) shows the behaviour on the other side of the seam.
"""

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mmsar.core.backend import namespace, open_devices, resolve_device, to_device, to_host
from mmsar.errors import DeviceError


class FakeGpuArray:
    """Holds an array "on the GPU"; `get` brings it back."""

    def __init__(self, array):
        self.array = np.asarray(array)

    def get(self):
        return self.array.copy()


@pytest.fixture
def no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.fixture
def fake_cupy(monkeypatch):
    """A module that looks like cupy with two GPUs; its `available` switches the driver off."""
    module = ModuleType("cupy")
    module.ndarray = FakeGpuArray
    module.asarray = FakeGpuArray
    module.available = True
    module.entered = []

    class Device:
        def __init__(self, index):
            self.index = index

        def __enter__(self):
            module.entered.append(self.index)

        def __exit__(self, *exc):
            return False

    runtime = SimpleNamespace(getDeviceCount=lambda: 2)
    module.cuda = SimpleNamespace(is_available=lambda: module.available, runtime=runtime, Device=Device)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_numpy_is_the_namespace_of_cpu_arrays():
    assert namespace(np.zeros(2), np.float32(1), 3.0) is np


def test_cupy_is_the_namespace_of_gpu_arrays(fake_cupy):
    assert namespace(FakeGpuArray([1]), FakeGpuArray([2])) is fake_cupy


def test_mixed_devices_are_refused(fake_cupy):
    with pytest.raises(DeviceError, match=r"some on the CPU and some on a GPU.*to_device"):
        namespace(np.zeros(2), FakeGpuArray([1]))


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_cpu_needs_nothing(device, no_cupy):
    assert resolve_device(device) == "cpu"


def test_auto_is_the_cpu_beside_a_gpu_too(fake_cupy):
    assert resolve_device("auto") == "cpu"


def test_several_gpus(fake_cupy):
    assert resolve_device("cuda:all") == "cuda:0,1"
    assert resolve_device("cuda:1,0") == "cuda:1,0"
    assert [device.name for device in open_devices("cuda:1,0")] == ["cuda:1", "cuda:0"]
    with pytest.raises(DeviceError, match="got cuda:3, wanted a number below 2"):
        resolve_device("cuda:0,3")
    with pytest.raises(DeviceError, match="wanted every GPU once"):
        resolve_device("cuda:1,1")
    with pytest.raises(DeviceError, match="for one array, wanted one GPU"):
        to_device(np.zeros(2), "cuda:all")


def test_the_cpu_opens_no_devices(no_cupy):
    assert open_devices("cpu") == open_devices("auto") == []


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:-1", "cuda:", "cuda:0,", "cuda:all,1", "CPU", ""])
def test_unknown_device_is_refused(device):
    with pytest.raises(DeviceError, match="wanted auto, cpu, cuda or cuda:N"):
        resolve_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_missing_cupy_is_an_error_with_the_remedy(device, no_cupy):
    with pytest.raises(DeviceError, match=r"cupy is not installed; pip install 'mmsar\[gpu12\]'"):
        resolve_device(device)


def test_missing_driver_is_an_error(fake_cupy):
    fake_cupy.available = False
    with pytest.raises(DeviceError, match="no usable NVIDIA GPU"):
        resolve_device("cuda")


def test_gpu_number_is_checked(fake_cupy):
    assert resolve_device("cuda") == "cuda:0"
    assert resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(DeviceError, match="got cuda:2, wanted a number below 2"):
        resolve_device("cuda:2")


def test_to_host_copies_only_from_a_gpu(fake_cupy):
    array = np.arange(3.0)
    assert to_host(array) is array
    np.testing.assert_array_equal(to_host(FakeGpuArray(array)), array)


def test_to_device_moves_to_the_gpu_asked_for(fake_cupy):
    array = np.arange(3.0)
    assert to_device(array, "cpu") is array
    moved = to_device(array, "cuda:1")
    assert isinstance(moved, FakeGpuArray)
    assert fake_cupy.entered == [1]
    np.testing.assert_array_equal(to_device(moved, "cpu"), array)


def test_to_device_never_falls_back(no_cupy):
    with pytest.raises(DeviceError):
        to_device(np.zeros(2), "cuda")


def test_backend_does_not_load_cupy():
    code = "import sys, numpy, mmsar.core.backend as b; b.namespace(numpy.zeros(1)); print('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.gpu
def test_round_trip_on_a_real_gpu():
    array = np.arange(6, dtype=np.complex64).reshape(2, 3)
    moved = to_device(array, "cuda")
    assert namespace(moved).__name__ == "cupy"
    np.testing.assert_array_equal(to_host(moved), array)
