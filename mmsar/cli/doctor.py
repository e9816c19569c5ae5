"""Say what this machine offers: libraries, cores, memory, FFT wisdom, GPU and 3-D rendering, with hints.

Every line is `ok`, `missing` (with what to install and what it is for) or `hint`. Nothing is changed, and the exit
code is 0 whatever is found.

example:
  mmsar doctor
  mmsar doctor --json
"""

import argparse
import importlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from mmsar.view.rendering import SPHERE, try_rendering

HELP = "say what is installed and what this machine can do"

CORE = ("numpy", "scipy", "h5py", "matplotlib", "pyfftw", "finufft", "numba", "threadpoolctl", "tqdm")

OPTIONAL = {
    "pyvista": "3-D windows; pip install 'mmsar[viz]'",
    "trame": "the view in a browser; pip install 'mmsar[web]'",
    "xarray": "Image.to_xarray; pip install xarray",
    "distributed": "clusters; pip install 'mmsar[cluster]'",
    "trimesh": "meshes as scenes; pip install 'mmsar[mesh]'",
    "pytest": "running the tests; pip install 'mmsar[test]'",
}

CUPY = ("cupy-cuda12x", "cupy-cuda13x", "cupy")

WITHOUT = "projections by `mmsar view --save` work without"


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    name: str
    state: str
    """"ok", "missing" or "hint"."""
    text: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of `mmsar doctor`."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the findings; always 0."""
    from mmsar._version import __version__

    findings = list(examine())
    if args.json:
        report = {"mmsar": __version__, "findings": [asdict(f) for f in findings]}
        print(json.dumps(report, indent=2))
        return 0
    for finding in findings:
        print(f"{finding.state:8} {finding.name:14} {finding.text}")
    missing = [f.name for f in findings if f.state == "missing" and f.name in CORE]
    if missing:
        print(f"\nmmsar needs {', '.join(missing)}: run in its environment: pip install mmsar")
    else:
        print("\nEverything mmsar needs is here; what is missing above is optional.")
    return 0


def examine() -> Iterator[Finding]:
    """All findings, one examination after another; one that fails is itself a finding."""
    for name, examination in EXAMINATIONS.items():
        try:
            yield from examination()
        except Exception as error:  # a doctor reports, it does not fall ill
            yield Finding(name, "hint", f"could not be examined: {_one_line(error)}")


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _software() -> Iterator[Finding]:
    import mmsar

    yield Finding("mmsar", "ok", f"{mmsar.__version__} in {Path(mmsar.__file__).parent}")
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield Finding("system", "ok", platform.platform())


def _processor() -> Iterator[Finding]:
    from mmsar.core.control_groups import cpu_quota
    from mmsar.core.parallel import LIMITS

    model, flags = platform.processor() or platform.machine(), set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = set(value.split())
                break
    except OSError:
        pass
    known = ("sse4_2", "avx", "avx2", "fma", "avx512f", "asimd", "sve")
    simd = " ".join(flag for flag in known if flag in flags) or "vector instructions unknown"
    yield Finding("cpu", "ok", f"{model}; {simd}")
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    limits = [f"{k}={os.environ[k]}" for k in LIMITS if os.environ.get(k)]
    if quota := cpu_quota():
        limits.append(f"a quota of {quota} cores (control groups)")
    text = f"{usable} of {total} usable" + (f"; threads limited by {', '.join(limits)}" if limits else "")
    yield Finding("cores", "hint" if limits else "ok", text)


def _memory() -> Iterator[Finding]:
    from mmsar.core.memory import budget, free_memory

    free, allowed = free_memory() / 2**30, budget() / 2**30
    yield Finding("memory", "ok", f"{free:.1f} GiB free; a step uses at most {allowed:.1f} GiB unless told otherwise")


def _libraries() -> Iterator[Finding]:
    for name in CORE:
        version = _version(name)
        if version is None:
            yield Finding(name, "missing", "needed; pip install mmsar")
            continue
        try:
            importlib.import_module(name)
        except Exception as error:
            yield Finding(
                name,
                "missing",
                f"{version} is installed but does not load ({_one_line(error)}); pip install --force-reinstall {name}",
            )
            continue
        yield Finding(name, "ok", version)
    for name, purpose in OPTIONAL.items():
        version = _version(name)
        yield Finding(name, "missing" if version is None else "ok", version or purpose)


def _threading() -> Iterator[Finding]:
    import numba
    import numpy as np

    @numba.njit(parallel=True)
    def total(values: np.ndarray) -> float:
        result = 0.0
        for i in numba.prange(values.size):
            result += values[i]
        return result

    correct = total(np.ones(1000)) == 1000.0
    text = f"{numba.get_num_threads()} threads by {numba.threading_layer()}"
    yield Finding("threading", "ok" if correct else "hint", text if correct else f"{text}: wrong sums; reinstall numba")


def _wisdom() -> Iterator[Finding]:
    from mmsar.core.fft import wisdom_path

    path = Path(wisdom_path())
    if path.is_file():
        yield Finding("fft wisdom", "ok", f"{path} ({path.stat().st_size} bytes)")
    else:
        yield Finding("fft wisdom", "hint", f"none yet at {path}; the first plans take longer and write it")


def _gpu() -> Iterator[Finding]:
    from mmsar.core.backend import resolve_device
    from mmsar.errors import DeviceError

    installed = [f"{name} {version}" for name in CUPY if (version := _version(name))]
    if len(installed) > 1:
        yield Finding("cupy", "hint", f"{' and '.join(installed)} overwrite each other; keep the one of your CUDA")
    elif installed:
        yield Finding("cupy", "ok", installed[0])
    else:
        seen = "an NVIDIA driver is here; " if shutil.which("nvidia-smi") else ""
        text = (
            f"GPU reconstruction; {seen}pip install 'mmsar[gpu12]' (CUDA 12) or 'mmsar[gpu13]' (CUDA 13), one of them"
        )
        yield Finding("cupy", "missing", text)
    try:
        devices = resolve_device("cuda:all")
        without = "" if _version("cufinufft") else "; empm of irregular scans and isar need cufinufft as well"
        yield Finding("gpu", "hint" if without else "ok", devices + without)
    except DeviceError as error:
        yield Finding("gpu", "hint", str(error))


def _rendering() -> Iterator[Finding]:
    if _version("pyvista") is None:
        yield Finding(
            "rendering", "missing", "3-D pictures need pyvista; projections by `mmsar view --save` work without"
        )
        return
    found = try_rendering(SPHERE)
    if found.fault:
        yield Finding("rendering", "hint", f"{found.fault}; {WITHOUT}")
    else:
        yield Finding("rendering", "ok", f"off screen, by {found.window}")


EXAMINATIONS: dict[str, Callable[[], Iterator[Finding]]] = {
    "software": _software,
    "cpu": _processor,
    "memory": _memory,
    "libraries": _libraries,
    "threading": _threading,
    "fft wisdom": _wisdom,
    "gpu": _gpu,
    "rendering": _rendering,
}
