"""Threads: the cores of the process, or fewer where the environment says so; how they share work and stop."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import Future

import pytest

from mmsar.core.parallel import LIMITS, Workers, threads


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


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setattr("mmsar.core.parallel.threads", lambda: 4)


def test_every_item_is_done_once_and_threads_keep_their_state(four):
    made = []
    workers = Workers(lambda: (made.append([]) or made[-1],))

    def work(item, mine):
        time.sleep(1e-3)
        mine.append((item, threading.get_ident()))

    for _ in range(3):
        workers.run(work, range(40))
    done = [entry for mine in made for entry in mine]
    assert sorted(item for item, _ in done) == sorted([*range(40)] * 3)
    assert 2 <= len(made) <= 4 and {ident for _, ident in made[0]} == {threading.get_ident()}


def test_short_items_stay_on_the_calling_thread_until_they_are_long(four):
    workers, seen = Workers(), []

    def work(seconds):
        time.sleep(seconds)
        seen.append(threading.get_ident())

    workers.run(lambda item: None, range(50))  # how long items are is found out
    workers.run(lambda item: seen.append(threading.get_ident()), range(50))
    assert set(seen) == {threading.get_ident()}
    seen.clear()
    workers.run(work, [2e-3] * 60)
    assert len(seen) == 60 and len(set(seen)) > 1


@pytest.mark.parametrize("wrong", [0, 7, 39])
def test_an_error_stops_all_and_is_raised_once_nothing_runs_any_more(four, wrong):
    running, started = set(), []

    def work(item):
        running.add(item)
        started.append(item)
        time.sleep(2e-3)
        running.discard(item)
        if item == wrong:
            raise ValueError("item")

    with pytest.raises(ValueError, match="item"):
        Workers().run(work, range(400))
    assert not running and wrong in started and len(started) < wrong + 20


def test_ctrl_c_waits_for_the_items_that_others_are_at(four):
    running, started = set(), []

    def work(item):
        running.add(item)
        started.append(item)
        time.sleep(5e-3)
        running.discard(item)
        if len(started) > 8 and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Workers().run(work, range(400))
    assert not running and len(started) < 30


def test_runs_within_runs_and_from_several_threads(four):
    total, lock = [], threading.Lock()

    def inner(item):
        time.sleep(2e-4)
        with lock:
            total.append(item)

    def outer(item):
        Workers().run(inner, range(10))

    calls = [threading.Thread(target=Workers().run, args=(outer, range(6))) for _ in range(3)]
    for call in calls:
        call.start()
    for call in calls:
        call.join(timeout=30)
    assert len(total) == 3 * 6 * 10


def test_what_a_busy_pool_has_not_begun_holds_nothing(four, monkeypatch):
    """Helpers that come too late are cancelled; what the work holds must not wait for them."""
    queued = []

    class Busy:
        def submit(self, work, *args):
            queued.append((work, args))
            return Future()

    class Large:
        """Stands for an array that the work closes over."""

    monkeypatch.setattr("mmsar.core.parallel._pool", lambda size: Busy())
    large, done = Large(), []
    held = weakref.ref(large)
    Workers().run(lambda item, large=large: done.append(item), range(5))
    del large
    gc.collect()
    assert done == [0, 1, 2, 3, 4] and queued and held() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_that_was_forked_has_threads_of_its_own():
    code = """
import os, threading, time
from mmsar.core import parallel
parallel.threads = lambda: 3
def helped():
    seen = set()
    parallel.Workers().run(lambda item: (time.sleep(1e-3), seen.add(threading.get_ident())), range(60))
    return len(seen) > 1
assert helped()
child = os.fork()
if child == 0:
    os._exit(0 if helped() else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
