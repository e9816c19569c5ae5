"""What the benchmarks share: their helper modules on the path, and a report that is printed and kept for the table."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def report(benchmark, capsys) -> Callable[[str, list[tuple[str, str]]], None]:
    """report(name, rows): print one line per fact, and keep them in `benchmark.extra_info` for table.py."""
    from sidebyside import machine

    def tell(name: str, rows: list[tuple[str, str]]) -> None:
        benchmark.extra_info.update(name=name, machine=machine(), rows=rows)
        with capsys.disabled():
            print(f"\n{name} [{machine()}]")
            for label, text in rows:
                print(f"  {label}: {text}")

    return tell
