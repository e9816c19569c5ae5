"""Quotas of containers: both versions of control groups, those around the process' own, and none."""

import os

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
