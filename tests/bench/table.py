"""Run the benchmarks and write docs/benchmarks.md: `make bench`, or `python tests/bench/table.py [pytest options]`."""

import datetime
import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `make bench` (tests/bench/table.py); every figure below was printed by that one run. Contestants of a table
take turns in the same process and the best round of each counts, so ratios mean more than seconds: the machine may be
shared.

"""


def main(options: list[str]) -> int:
    """Run pytest on tests/bench, then turn what the benchmarks kept in `extra_info` into tables."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [
            *(sys.executable, "-m", "pytest", str(ROOT / "tests" / "bench"), "-q", "--benchmark-enable"),
            *("--benchmark-only", f"--benchmark-json={results}", "--benchmark-columns=min", *options),
        ]
        code = subprocess.run(command, cwd=ROOT).returncode
        if code != 0 or not results.exists():
            print(
                f"table.py: the benchmarks failed (exit code {code}); docs/benchmarks.md is unchanged", file=sys.stderr
            )
            return code or 1
        benchmarks = json.loads(results.read_text())["benchmarks"]
    infos = [b["extra_info"] for b in benchmarks if "rows" in b["extra_info"]]
    packages = ", ".join(f"{name} {version(name)}" for name in ("mmsar", "numpy", "numba", "pyfftw", "finufft"))
    today = datetime.date.today().isoformat()
    text = HEAD + f"{today}, {infos[0]['machine']}, {platform.system()}, {packages}.\n"
    for info in infos:
        text += f"\n## {info['name']}\n\n| | |\n|---|---|\n"
        text += "".join(f"| {label} | {value} |\n" for label, value in info["rows"])
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(PAGE)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
