"""Threads: the cores of the process, or fewer where the environment says so."""

import os

import pytest

from mmsar.core.parallel import LIMITS, threads


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "5"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "16"}, 8),
        ({"OMP_NUM_THREADS": "0"}, 8),
        ({"OMP_NUM_THREADS": "many"}, 8),
        ({"OMP_NUM_THREADS": "", "NUMBA_NUM_THREADS": " 1 "}, 1),
    ],
)
def test_threads_keep_to_the_limits_of_the_environment(monkeypatch, limits, wanted):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr("mmsar.core.parallel.cpu_quota", lambda: None)
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    for name, value in limits.items():
        monkeypatch.setenv(name, value)
    assert threads() == wanted
