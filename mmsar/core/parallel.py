"""Threads: one per core, each with state of its own that is held between runs (FFT plans and their buffers).

Kernels and FFTW release the interpreter's lock, so threads are enough. The calling thread is one of them; the others
wait for its next run. An error or Ctrl-C stops all of them after the item each is at.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np

from mmsar.core.control_groups import cpu_quota
from mmsar.core.progress import counter

LIMITS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables of the environment that hold threads down."""


def threads() -> int:
    """Threads for the hot loops: the cores this process may use, or fewer by a container's quota and `LIMITS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = [os.environ.get(name, "").split(",")[0].strip() for name in LIMITS]
    return min([cores, cpu_quota() or cores, *(int(text) for text in asked if text.isdecimal() and int(text) > 0)])


def use_cores(which: int, of: int | None) -> None:
    """Keep this thread, and the pools it starts, to its share of the cores: number `which` of `of` (None: to all).

    For processes that share a machine. Systems that do not bind threads to cores get what they give.
    """
    if of is None or not hasattr(os, "sched_setaffinity"):
        return
    import numba

    cores = sorted(os.sched_getaffinity(os.getppid()))
    mine = cores[which % of :: of] or [cores[which % len(cores)]]
    os.sched_setaffinity(0, mine)
    numba.set_num_threads(min(len(mine), numba.config.NUMBA_NUM_THREADS))


@cache
def _blas():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Matrix products on the calling thread only, so that `Workers` can share them out.

    A BLAS pool keeps its threads spinning for a while after a product, on the cores the next step wants.
    """
    with _blas().limit(limits=1):
        yield


def matmul_rows(left: np.ndarray, right: np.ndarray, *, rows: int = 4096, out: np.ndarray | None = None) -> np.ndarray:
    """left @ right for a tall `left`, `rows` rows at a time on one thread per core; into `out` where that is given."""
    if out is None:
        out = np.empty((len(left), right.shape[1]), dtype=np.result_type(left, right))

    def part(first: int) -> None:
        np.matmul(left[first : first + rows], right, out=out[first : first + rows])

    with one_blas_thread():
        Workers().run(part, range(0, len(left), rows))
    return out


SHORT = 1e-4
"""Items that take less are done on the calling thread alone: others would wait for the interpreter's lock [s]."""


class Workers:
    """Threads with held state; not to be run from two threads at once.

    Parameters
    ----------
    make_state : callable, optional
        Makes one thread's state, a tuple that is passed to the work after the item. Called in turn, when first needed.
    """

    def __init__(self, make_state: Callable[[], tuple] = tuple) -> None:
        self._make_state = make_state
        self._states: list[tuple] = []
        self._seconds = np.inf

    def run(
        self,
        work: Callable[..., None],
        items: Sequence[Any],
        *,
        label: str | None = None,
        show: bool | None = False,
    ) -> None:
        """work(item, *state) for every item, each taken by the thread that is free next.

        Parameters
        ----------
        label : str, optional
            Name of a progress bar over the items.
        show : bool, optional
            As for `core.progress.progress`.
        """
        n = max(1, min(threads(), len(items)))
        stop, done, next_one = threading.Event(), [0] * n, itertools.count()
        self._states = self._states or [self._make_state()]
        job = [(work, self._states)]  # emptied at the end: what a busy pool has not looked at yet holds no arrays

        def loop(worker: int, after: Callable[[], None] = lambda: None) -> None:
            try:
                mine, states = job[0]
                while not stop.is_set() and (number := next(next_one)) < len(items):
                    mine(items[number], *states[worker])
                    done[worker] += 1
                    after()
            except BaseException:
                stop.set()
                raise

        others: list[Future] = []
        begun = perf_counter()
        try:
            with counter(label, len(items), show) as count:

                def after() -> None:
                    self._seconds = (perf_counter() - begun) / done[0]
                    if self._seconds > SHORT and not others:
                        self._help(loop, n, others)
                    count(sum(done))

                if self._seconds > SHORT:
                    self._help(loop, n, others)
                loop(0, after)
            _over(others)
        except BaseException:
            stop.set()
            _over(others)
            raise
        finally:
            job.clear()
        for other in others:
            if not other.cancelled():
                other.result()

    def _help(self, loop: Callable[[int], None], n: int, others: list[Future]) -> None:
        """Have other threads take items, too: n with this one."""
        while len(self._states) < n:
            self._states.append(self._make_state())
        others += [_pool(n - 1).submit(loop, worker) for worker in range(1, n)]


_mine = threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: vars(_mine).clear())


def _pool(size: int) -> ThreadPoolExecutor:
    """The threads that help this one, kept from run to run: at least so many."""
    if getattr(_mine, "size", 0) < size:
        _mine.pool, _mine.size = ThreadPoolExecutor(size, "mmsar"), size
    return _mine.pool


def _over(others: list[Future]) -> None:
    """Wait for those at work; what has not begun, has nothing left to do."""
    wait([other for other in others if not other.cancel()])
