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


def measured(where: Path, options: list[str]) -> list[dict]:
    """Run pytest on benchmarks and return what they kept in `extra_info`; nothing when one failed."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [
            *(sys.executable, "-m", "pytest", str(where), "-q", "--benchmark-enable"),
            *("--benchmark-only", f"--benchmark-json={results}", "--benchmark-columns=min", *options),
        ]
        code = subprocess.run(command, cwd=ROOT).returncode
        if code != 0 or not results.exists():
            print(f"the benchmarks failed (exit code {code}); no page was written", file=sys.stderr)
            return []
        benchmarks = json.loads(results.read_text())["benchmarks"]
    return [b["extra_info"] for b in benchmarks if "rows" in b["extra_info"]]


def tables(infos: list[dict]) -> str:
    """A section with a table for every benchmark."""
    text = ""
    for info in infos:
        text += f"\n## {info['name']}\n\n| | |\n|---|---|\n"
        text += "".join(f"| {label} | {value} |\n" for label, value in info["rows"])
    return text


def main(options: list[str]) -> int:
    """Run pytest on tests/bench, then write what the benchmarks kept as tables."""
    infos = measured(ROOT / "tests" / "bench", options)
    if not infos:
        return 1
    packages = ", ".join(f"{name} {version(name)}" for name in ("mmsar", "numpy", "numba", "pyfftw", "finufft"))
    today = datetime.date.today().isoformat()
    text = HEAD + f"{today}, {infos[0]['machine']}, {platform.system()}, {packages}.\n"
    text += tables(infos)
    temporary = PAGE.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(PAGE)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
