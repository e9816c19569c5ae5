"""Held FFT plans: aligned, in-place, one per thread, with stored wisdom (FFTW through pyfftw).

Many short contiguous rows are transformed by as many threads as there are cores, each with a plan of its own: FFTW
releases the interpreter's lock, so this scales without FFTW's internal threads. Transforms are not normalised:
forward uses exp(-j...), backward exp(+j...), each the adjoint of the other.
"""

import contextlib
import json
import os
import platform
import tempfile
from pathlib import Path

import numpy as np

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


def wisdom_path() -> Path:
    """File that keeps FFTW's wisdom for this machine and FFTW version."""
    import pyfftw

    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = f"{platform.machine()}-{_cpu_name()}-{pyfftw.__version__}"
    safe = "".join(c if c.isalnum() or c in "-._" else "_" for c in key)
    return base / "mmsar" / f"fftw-{safe}.json"


def _cpu_name() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return f"{found.get('model name', 'cpu')}-{found.get('model', '')}"
    return platform.processor() or "cpu"


class Wisdom:
    """Load FFTW's wisdom when entered, store it when a plan was measured anew. A missing or bad file is no error."""

    def __enter__(self) -> "Wisdom":
        import pyfftw

        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            stored = json.loads(wisdom_path().read_text())["wisdom"]
            pyfftw.import_wisdom(tuple(part.encode("latin1") for part in stored))
        self._before = pyfftw.export_wisdom()
        return self

    def __exit__(self, *_: object) -> None:
        import pyfftw

        after = pyfftw.export_wisdom()
        if after == self._before:
            return
        path = wisdom_path()
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
            with os.fdopen(handle, "w") as out:
                json.dump({"wisdom": [part.decode("latin1") for part in after]}, out)
            os.replace(name, path)


class RowFFT:
    """In-place FFT of the rows of a private aligned buffer: fill `buffer`, call, read `buffer`.

    Parameters
    ----------
    rows, length : int
        Shape of the buffer.
    direction : "forward" or "backward"
        Sign of the exponent, - or +.
    """

    def __init__(self, rows: int, length: int, direction: str) -> None:
        import pyfftw

        self.buffer = pyfftw.empty_aligned((rows, length), dtype="complex64")
        self.buffer[:] = 0
        with Wisdom():
            self._plan = pyfftw.FFTW(
                self.buffer,
                self.buffer,
                axes=(1,),
                direction=_SIGN[direction],
                flags=("FFTW_MEASURE",),
                threads=1,
                planning_timelimit=2.0,
            )
        self.buffer[:] = 0

    def __call__(self) -> np.ndarray:
        """Transform the buffer in place and return it."""
        self._plan.execute()
        return self.buffer
