"""Held FFT plans: aligned, one per thread, with stored wisdom (FFTW through pyfftw); cuFFT for GPU arrays.

Many short contiguous rows are transformed by as many threads as there are cores, each with a plan of its own: FFTW
releases the interpreter's lock, so this scales without FFTW's internal threads. Transforms are not normalised:
forward uses exp(-j...), backward exp(+j...), each the adjoint of the other.
"""

import contextlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.core.backend import namespace
from mmsar.core.machine import cache_folder, machine_key
from mmsar.core.parallel import threads

_SIGN = {"forward": "FFTW_FORWARD", "backward": "FFTW_BACKWARD"}


def good_size(n: int) -> int:
    """Smallest even size >= n whose prime factors are 2, 3, 5 and 7."""
    n = max(2, int(n))
    while True:
        rest = n
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and n % 2 == 0:
            return n
        n += 1


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros that begin at a line of the cache, complex64."""
    import pyfftw

    return pyfftw.zeros_aligned(shape, dtype="complex64", n=64)


def row_time(n: int) -> float:
    """About how long FFTW takes for a row of `n` points, per point [ns]: its factors, and few twos fill no vectors."""
    rest, powers = int(n), []
    for factor in (2, 3, 5, 7):
        powers.append(0)
        while rest % factor == 0:
            rest //= factor
            powers[-1] += 1
    return float(np.dot(powers, (0.08, 0.32, 0.21, 0.54))) + 0.2 * max(0, 5 - powers[0])


def fast_size(n: int, most: float, beside: float, power: int) -> int:
    """The good size from `n` to `most` n of the least time: n^power (row_time + beside), the other work per point."""
    sizes, size = [], good_size(n)
    while size <= most * n or not sizes:
        sizes.append(size)
        size = good_size(size + 1)
    return min(sizes, key=lambda size: size**power * (row_time(size) + beside))


@cache
def _file_name() -> str:
    import pyfftw

    return f"fftw-{machine_key(pyfftw.__version__)}.json"


def wisdom_path() -> Path:
    """File that keeps FFTW's wisdom for this machine and FFTW version."""
    return cache_folder() / _file_name()


@cache
def load_wisdom(path: Path) -> None:
    """Give FFTW the wisdom stored in a file, once per process; a missing or bad file is no error."""
    import pyfftw

    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        stored = json.loads(path.read_text())["wisdom"]
        pyfftw.import_wisdom(tuple(part.encode("latin1") for part in stored))


def store_wisdom(path: Path) -> None:
    """Write FFTW's wisdom to a file, together with what other processes stored meanwhile; no error where it cannot."""
    import pyfftw

    load_wisdom.__wrapped__(path)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as out:
            json.dump({"wisdom": [part.decode("latin1") for part in pyfftw.export_wisdom()]}, out)
        os.replace(name, path)


class RowFFT:
    """FFT of the rows of a private aligned buffer: fill `buffer`, call, read what is returned.

    Parameters
    ----------
    rows, length : int
        Shape of the buffer.
    direction : "forward" or "backward"
        Sign of the exponent, - or +.
    keep : bool
        Keep what is in `buffer` and write to another one, so that zeros around what is filled in stay; else in place.
    """

    _axes: tuple[int, ...] = (1,)

    def __init__(self, rows: int, length: int, direction: str, *, keep: bool = False) -> None:
        import pyfftw

        self.buffer = pyfftw.zeros_aligned((rows, length), dtype="complex64")
        self._out = pyfftw.zeros_aligned((rows, length), dtype="complex64") if keep else self.buffer
        self._plan = self._with_wisdom(_SIGN[direction])
        self.buffer[:] = 0

    def _with_wisdom(self, direction: str):
        """The measured plan, from stored wisdom where there is some; else it is measured and stored."""
        import pyfftw

        path = wisdom_path()
        load_wisdom(path)
        options = {"axes": self._axes, "direction": direction, "threads": 1}
        try:
            return pyfftw.FFTW(self.buffer, self._out, flags=("FFTW_MEASURE", "FFTW_WISDOM_ONLY"), **options)
        except RuntimeError:
            plan = pyfftw.FFTW(self.buffer, self._out, flags=("FFTW_MEASURE",), planning_timelimit=2.0, **options)
            store_wisdom(path)
            return plan

    def __call__(self) -> np.ndarray:
        """Transform the buffer and return where the result is."""
        self._plan.execute()
        return self._out


class PlaneFFT(RowFFT):
    """In-place FFT over both axes of a private aligned buffer: fill `buffer`, call, read `buffer`."""

    _axes = (0, 1)


class DeviceFFT:
    """FFTs of whole arrays where they are, over their last one or two axes: cuFFT with held plans on a GPU, else scipy.

    Not normalised, as all transforms here; the array given may be overwritten.
    """

    def __init__(self) -> None:
        self._plans: dict[tuple, Any] = {}

    def __call__(self, array: Any, n_axes: int, direction: str) -> Any:
        """Transform a C-contiguous complex64 array over its last `n_axes` axes, "forward" or "backward"."""
        axes = tuple(range(array.ndim - n_axes, array.ndim))
        options: dict[str, Any] = {"axes": axes, "overwrite_x": True}
        if namespace(array) is np:
            from scipy import fft

            options["workers"] = threads()
        else:
            from cupyx.scipy import fft
            from cupyx.scipy.fftpack import get_fft_plan

            key = (array.shape, n_axes)
            if key not in self._plans:
                self._plans[key] = get_fft_plan(array, axes=axes)
            if not array.flags.f_contiguous:  # one row, which cupy takes for Fortran's order and the plan for C's
                options["plan"] = self._plans[key]
        if direction == "forward":
            return fft.fftn(array, **options)
        return fft.ifftn(array, norm="forward", **options)

    def forget(self) -> None:
        """Drop the held plans and the memory they work in."""
        self._plans.clear()
