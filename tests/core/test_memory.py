"""Memory budgets: read from the system, and refused with sizes and advice."""

import io
import subprocess
import sys

import pytest

from mmsar.core import control_groups, memory
from mmsar.errors import MmsarError


@pytest.fixture(autouse=True)
def no_groups(monkeypatch, tmp_path):
    monkeypatch.setattr(control_groups, "GROUPS", tmp_path)


def fake_open(text):
    def opener(name, *args, **kwargs):
        assert name == "/proc/meminfo"
        if text is None:
            raise FileNotFoundError(name)
        return io.StringIO(text)

    return opener


def test_free_memory_reads_what_linux_says(monkeypatch):
    text = "MemTotal:       9999 kB\nMemFree:           5 kB\nMemAvailable:   2048 kB\n"
    monkeypatch.setattr(memory, "open", fake_open(text), raising=False)
    assert memory.free_memory() == 2048 * 1024


@pytest.mark.parametrize("text", [None, "MemTotal: 10 kB\n"])
def test_free_memory_without_that_line_is_half_of_all(monkeypatch, text):
    monkeypatch.setattr(memory, "open", fake_open(text), raising=False)
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False)
    assert memory.free_memory() == 1000 * 4096 // 2


def test_free_memory_on_a_silent_system(monkeypatch):
    def refuse(name):
        raise ValueError(name)

    monkeypatch.setattr(memory, "open", fake_open(None), raising=False)
    monkeypatch.setattr(memory.os, "sysconf", refuse, raising=False)
    assert memory.free_memory() == 4 * 2**30


@pytest.mark.parametrize("version", [1, 2])
def test_free_memory_keeps_within_control_groups(monkeypatch, tmp_path, version):
    """Of a container or a batch job; what is cached is given back when asked for."""
    limit, used, spare = (
        ("memory.max", "memory.current", "inactive_file")
        if version == 2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    )
    folder = tmp_path if version == 2 else tmp_path / "memory"
    folder.mkdir(exist_ok=True)
    (folder / limit).write_text("90000000\n")
    (folder / used).write_text("50000000\n")
    (folder / "memory.stat").write_text(f"anon 1\n{spare} 20000000\n")
    monkeypatch.setattr(memory, "open", fake_open("MemAvailable: 999999999 kB\n"), raising=False)
    assert memory.free_memory() == 60000000
    (folder / limit).write_text("max\n" if version == 2 else f"{2**63 - 4096}\n")
    assert memory.free_memory() == 999999999 * 1024
    (folder / limit).write_text("1000\n")
    assert memory.free_memory() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are read on Linux")
def test_free_memory_keeps_within_the_address_space():
    code = (
        "import resource; from mmsar.core.memory import free_memory;"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)); print(free_memory())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0 < int(told) < 2**31


def test_free_memory_here_is_plausible():
    assert 2**20 < memory.free_memory() < 2**50


def test_budget_is_the_request_or_half_of_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    assert memory.budget() == 500
    assert memory.budget(123) == 123
    assert memory.budget(0) == 0


def test_require_passes_within_the_budget():
    memory.require("bpa", 100, 100, "nothing to do")


def test_require_refuses_with_sizes_and_advice():
    with pytest.raises(MmsarError) as caught:
        memory.require("rma", 3 * 2**30, 2**30, "use a smaller grid")
    assert str(caught.value) == "rma: needs 3.00 GiB, wanted at most 1.00 GiB (the budget); use a smaller grid"
