"""CUDA kernels: their sources, how they are compiled, and how many threads they are started with.

The sources are the files cuda/*.cu: common.cu goes before each, and constants (tile sizes, numbers of antennas, taps)
are compiled in as macros. A kernel is compiled at its first call, per device and set of constants; cupy keeps what it
compiled in a cache on disk. The tests compile the very same text with nvcc for several architectures, and with g++ for
the host, where it is run against the numba kernels.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

NAMES = ("bpa", "stolt", "lateral", "stacked", "forward")
"""Sources beside common."""
OPTIONS = ("--std=c++14", "--use_fast_math")
"""How nvrtc compiles them: divisions and roots in float to the last bit or two, denormal floats taken for zero."""
WARP = 32
MOST = 256
"""Threads of a block at most."""

Constants = Mapping[str, int | float]


@cache
def _file(name: str) -> str:
    return (resources.files("mmsar.core") / "cuda" / f"{name}.cu").read_text(encoding="utf-8")


def source(name: str, constants: Constants) -> str:
    """The text of one source with its constants, ready to compile.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    constants : mapping of str to number
        Macros that the source asks for.
    """
    macros = "".join(f"#define {key} {value}\n" for key, value in sorted(constants.items()))
    return macros + _file("common") + _file(name)


def kernels(name: str) -> list[str]:
    """Names of the kernels in a source."""
    return re.findall(r"__global__ void (?:__launch_bounds__\(\w+\) )?(\w+)\(", _file(name))


def blocks(n: int, threads: int = MOST) -> int:
    """Blocks of `threads` that n threads take."""
    return -(-n // threads)


def warps(n: int) -> int:
    """Threads, in whole warps, for n of them; at most `MOST`."""
    return min(MOST, WARP * blocks(max(n, 1), WARP))


class CudaKernels:
    """Kernels of the current GPU, compiled by nvrtc when first started: `kernels("bpa", "bpa_project", ...)`."""

    def __init__(self) -> None:
        self._modules: dict[tuple, Any] = {}

    def __call__(
        self, name: str, kernel: str, constants: Constants, grid: tuple[int, ...], threads: int, args: tuple
    ) -> None:
        """Start a kernel of a source: `grid` blocks of `threads`; `args` are cupy arrays and numpy scalars."""
        import cupy

        key = (name, tuple(sorted(constants.items())))
        if key not in self._modules:
            self._modules[key] = cupy.RawModule(code=source(name, constants), options=OPTIONS)
        self._modules[key].get_function(kernel)(grid, (threads,), args)
