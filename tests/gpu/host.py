"""The kernels of mmsar/core/cuda compiled for the host (shim.h), and a stand-in for a GPU made of them and of numpy.

`HostDevice` has what `core.device_cuda.CudaDevice` has: with it the very plans of the GPU run on this machine.
"""

import ctypes
import hashlib
import shutil
import subprocess
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from mmsar.core import kernels_cuda
from mmsar.core.fft import DeviceFFT

SHIM = Path(__file__).with_name("shim.h")
ONE_AT_A_TIME = threading.Lock()
"""A kernel's shared memory and thread numbers are statics of its library."""


def compile_for_host(name, constants, folder):
    """A shared library of one source: `start_<kernel>(grid, threads, args)` for every kernel in it."""
    text = kernels_cuda.source(name, constants)
    program = f'#include "{SHIM}"\n{text}\n'
    for kernel in kernels_cuda.kernels(name):
        body = text[text.index(f" {kernel}(") :].partition("\n}\n")[0]
        together = "true" if "__syncthreads" in body or "_sync(" in body else "false"
        program += (
            f'extern "C" void start_{kernel}(const int *grid, int threads, void **args) '
            f"{{ host::start({kernel}, args, grid, threads, {together}); }}\n"
        )
    library = Path(folder) / f"{name}-{hashlib.sha256(program.encode()).hexdigest()[:16]}.so"
    if not library.exists():
        code = library.with_suffix(".cpp")
        code.write_text(program)
        command = ["g++", "-std=c++17", "-O2", "-fPIC", "-shared", "-w", "-fno-fast-math", "-U_FORTIFY_SOURCE"]
        done = subprocess.run([*command, "-o", library, code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


class HostKernels:
    """Kernels run on the host; started as `kernels_cuda.CudaKernels` are, arguments checked on the way."""

    def __init__(self, folder):
        self._folder, self._libraries, self.started = folder, {}, []

    def __call__(self, name, kernel, constants, grid, threads, args):
        assert 1 <= threads <= 1024
        assert threads % 32 == 0
        assert 1 <= grid[0] < 2**31
        assert all(1 <= n < 2**16 for n in grid[1:])
        self.started.append(kernel)
        key = (name, tuple(sorted(constants.items())))
        with ONE_AT_A_TIME:
            if key not in self._libraries:
                self._libraries[key] = compile_for_host(name, constants, self._folder)
        values = [self._value(kernel, a) for a in args]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        sizes = (ctypes.c_int * 3)(*grid, *[1] * (3 - len(grid)))
        with ONE_AT_A_TIME:
            getattr(self._libraries[key], f"start_{kernel}")(sizes, ctypes.c_int(threads), pointers)

    @staticmethod
    def _value(kernel, a):
        if isinstance(a, np.ndarray):
            assert a.flags.c_contiguous, f"{kernel}: an array that is not contiguous"
            return ctypes.c_void_p(a.ctypes.data)
        return {np.int32: ctypes.c_int, np.float32: ctypes.c_float, np.float64: ctypes.c_double}[type(a)](a)


class HostDevice:
    """A device made of numpy and of the kernels compiled for the host."""

    name = "host"
    xp = np
    out_of_memory = MemoryError

    def __init__(self, folder, memory=2**30):
        self.kernels, self.fft, self.memory = HostKernels(folder), DeviceFFT(), memory

    def active(self):
        return nullcontext()

    def free(self):
        return self.memory

    def feed(self, blocks):
        yield from blocks


@pytest.fixture(scope="session")
def host_folder(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("g++ not found: the kernels' arithmetic is tested on the host by compiling them with it")
    return tmp_path_factory.mktemp("kernels")
