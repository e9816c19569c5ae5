"""Memory budgets: read from the system, and refused with sizes and advice."""

import io

import pytest

from mmsar.core import memory
from mmsar.errors import MmsarError


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
