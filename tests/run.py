"""The whole suite in two lanes at once: python tests/run.py (what `make test` runs).

The emulated captures of tests/hardware live in real time and mostly wait: they run one after another at normal
priority. Everything else computes: it runs beside them on all cores at the lowest priority, so that the captures find
the machine as good as idle. The second lane's output is printed when both are done. Exit code 0 when both passed.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HARDWARE = "tests/hardware"
PYTEST = (sys.executable, "-m", "pytest", "-q", "--durations=15", "--durations-min=5")


def workers() -> int:
    """Processes for what computes: one a core, at least two."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, cores)


def main() -> int:
    """Run both lanes and print what they said."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no lane outlives this
    root = Path(__file__).resolve().parents[1]
    start, took = time.monotonic(), {}
    others = (
        *PYTEST,
        "tests",
        f"--ignore={HARDWARE}",
        "-n",
        str(workers()),
        "--dist",
        "loadfile",
        "--max-worker-restart=0",
    )
    with tempfile.TemporaryFile("w+") as said:
        print("==", *others, "(its output comes below)", flush=True)
        computing = subprocess.Popen(
            others,
            cwd=root,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},  # idle threads do not spin on a core another test wants
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=_yield_to_others if os.name == "posix" else None,
        )
        try:
            waiting = (*PYTEST, HARDWARE)
            print("==", *waiting, flush=True)
            codes = [subprocess.run(waiting, cwd=root, check=False).returncode]  # killed with this, if this is stopped
            took["hardware"] = time.monotonic() - start
            codes.append(computing.wait())
        except BaseException:
            computing.terminate()
            computing.wait()
            raise
        took["the rest"] = time.monotonic() - start
        said.seek(0)
        print("==", *others)
        print(said.read(), end="")
    print("==", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items()), flush=True)
    return max(codes)


def _yield_to_others() -> None:
    os.nice(19)


if __name__ == "__main__":
    sys.exit(main())
