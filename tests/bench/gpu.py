"""Test and measure the GPU, write docs/measurements/DATE-gpu.md: `make bench-gpu`, or `python tests/bench/gpu.py`."""

import datetime
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from table import ROOT, measured, tables

from mmsar.core.backend import resolve_device
from mmsar.errors import DeviceError

PACKAGES = ("mmsar", "numpy", "cupy-cuda12x", "cupy-cuda13x", "cufinufft")


def main(options: list[str]) -> int:
    """Tests marked gpu, then the benchmarks; a page only when both passed."""
    try:
        resolve_device("cuda")
    except DeviceError as error:
        print(f"gpu.py: {error}; nothing was run and no page written", file=sys.stderr)
        return 4
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--ignore", str(ROOT / "tests" / "bench")]
    tests = subprocess.run([*pytest, str(ROOT / "tests"), *options], cwd=ROOT, capture_output=True, text=True)
    print(tests.stdout)
    if tests.returncode != 0:
        print(f"gpu.py: the GPU's tests failed (exit code {tests.returncode}); no page was written", file=sys.stderr)
        return tests.returncode
    infos = measured(ROOT / "tests" / "bench" / "bench_gpu.py", options)
    if not infos:
        return 1
    today = datetime.date.today().isoformat()
    page = ROOT / "docs" / "measurements" / f"{today}-gpu.md"
    machine = f"{gpu()}; {infos[0]['machine']}, {platform.system()}, {packages()}"
    head = f"# GPU, {today}\n\nWritten by `make bench-gpu`. {machine}.\n"
    head += f"Tests marked gpu: {tests.stdout.strip().splitlines()[-1].strip('= ')}.\n"
    page.write_text(head + tables(infos), encoding="utf-8")
    print(f"wrote {page.relative_to(ROOT)}")
    return 0


def gpu() -> str:
    """The first GPU, its driver's CUDA version and its memory."""
    import cupy

    found = cupy.cuda.runtime.getDeviceProperties(0)
    driver = cupy.cuda.runtime.driverGetVersion()
    memory = found["totalGlobalMem"] / 2**30
    return f"{found['name'].decode()}, {memory:.0f} GiB, CUDA {driver // 1000}.{driver % 1000 // 10}"


def packages() -> str:
    """Versions of what is installed of `PACKAGES`."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
