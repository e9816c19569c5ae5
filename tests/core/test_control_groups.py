"""Quotas of containers: both versions of control groups, those around the process' own, and none."""

import os
import subprocess
import sys

import pytest

from mmsar.core import control_groups, parallel


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """An empty place for control groups, with the process two levels down."""
    top, mine = tmp_path / "groups", tmp_path / "cgroup"
    top.mkdir()
    mine.write_text("0::/batch/job\n4:cpu,cpuacct:/batch/job\n")
    monkeypatch.setattr(control_groups, "GROUPS", top)
    monkeypatch.setattr(control_groups, "OF_PROCESS", mine)
    control_groups.cpu_quota.cache_clear()
    yield top
    control_groups.cpu_quota.cache_clear()


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"batch/cpu.max": "300000 100000", "batch/job/cpu.max": "max 100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/batch/job/cpu.cfs_quota_us": "400000", "cpu/batch/job/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu.max": "what is this"}, None),
    ],
)
def test_quota_in_cores(groups, files, cores):
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text + "\n")
    assert control_groups.cpu_quota() == cores


def test_threads_keep_to_the_quota(groups, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name in parallel.LIMITS:
        monkeypatch.delenv(name, raising=False)
    (groups / "cpu.max").write_text("250000 100000\n")
    assert parallel.threads() == 3


def test_no_control_groups_at_all(groups, monkeypatch, tmp_path):
    monkeypatch.setattr(control_groups, "OF_PROCESS", tmp_path / "none")
    assert control_groups.cpu_quota() is None


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a quota below the cores needs two of them")
def test_the_command_line_has_numba_keep_to_the_quota(tmp_path):
    """numba counts cores itself, once, when it is loaded."""
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    code = (
        "import sys, pathlib; from mmsar.core import control_groups; from mmsar.cli import main;"
        f"control_groups.GROUPS = pathlib.Path({str(tmp_path)!r});"
        "code = main(['doctor']); import numba; print('numba', numba.get_num_threads()); sys.exit(0)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in parallel.LIMITS}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "numba 1" in told.stdout
    assert "a quota of 1 cores" in told.stdout
