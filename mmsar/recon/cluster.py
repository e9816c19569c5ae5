"""Tiles made by the workers of a Dask cluster, here or on other machines; the only module that knows dask.

What goes out: the samples of a scan, once to every worker (they need no common disk), geometry and options, and with
every tile its number. What comes back is the tile's voxels; the client writes them. A worker keeps the plan and the
prepared samples of the scan it is at, makes one tile at a time with all its cores, and is asked for another when it is
done. What a lost worker was at is made by another one; samples that were lost with it are sent again.
"""

import logging
import os
import threading
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pkgutil import resolve_name
from time import monotonic, sleep
from typing import Any

import numpy as np

from mmsar._version import __version__
from mmsar.core.memory import size_text
from mmsar.core.parallel import use_cores
from mmsar.core.progress import counter
from mmsar.errors import DeviceError, MmsarError
from mmsar.recon.tiled import TiledRun
from mmsar.recon.tiles import Bench, Job, Samples

PATIENCE = 20.0
"""How long a scheduler, and workers where there are none, are waited for [s]."""
ATTEMPTS = 5
"""How often a tile is asked for when what it needs was lost."""
SAME = ("dask", "distributed")
"""Packages of which client, scheduler and workers want one version."""


@contextmanager
def cluster(address: str | None = None, *, workers: int | None = None) -> Iterator["Cluster"]:
    """A cluster to make tiles on, left (or, of this machine, ended) when the block ends.

    Parameters
    ----------
    address : str, optional
        Of a scheduler that runs: "tcp://host:8786".
    workers : int, optional
        Without an address: so many processes on this machine, which share its cores and memory.

    Raises
    ------
    DeviceError
        Dask not installed, no scheduler at the address, no workers, or other versions there than here.
    """
    try:
        import distributed
    except ImportError:
        raise DeviceError(
            "cluster: dask.distributed is not installed, wanted for --cluster and --workers; pip install "
            "'mmsar[cluster]'"
        ) from None
    with ExitStack() as stack:
        stack.callback(_quiet())
        if address is None:
            count = int(workers or 1)
            local = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                memory_limit=0,  # the budget of the plan counts, and is told with advice
                dashboard_address="127.0.0.1:0",  # with none it takes a port that may be another one's
                silence_logs=logging.CRITICAL,
            )
            address = stack.enter_context(local).scheduler_address
        client = stack.enter_context(_client(address))
        yield Cluster(client, address, share=workers)


def _quiet() -> Any:
    """Keep dask's own log off standard error, where an error is one line; returns what puts it back."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("distributed", "tornado")]
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    return lambda: [logger.setLevel(level) for logger, level in zip(loggers, before, strict=True)]


def _client(address: str) -> Any:
    """A client of the scheduler at an address whose versions go with those here."""
    import distributed

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other versions: looked at below
            client = distributed.Client(address, timeout=PATIENCE / 2)
    except (OSError, ValueError, TimeoutError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise DeviceError(
            f"cluster: no scheduler answers at {address} ({why}); start one with `dask scheduler` and give the address "
            "that it prints, as tcp://host:8786"
        ) from None
    try:
        _check_workers(client, address)
    except BaseException:
        client.close()
        raise
    return client


def _check_workers(client: Any, address: str) -> None:
    """Refuse a cluster without workers, or with other versions than here."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE / 2)
    except TimeoutError:
        raise DeviceError(
            f"cluster: the scheduler at {address} has no workers; start some with `dask worker {address} --nthreads 1`"
        ) from None
    found = client.get_versions()
    mine = found["client"]["packages"]
    places = {"the scheduler": found["scheduler"], **{f"worker {a}": v for a, v in found["workers"].items()}}
    for place, theirs in places.items():
        packages = theirs["packages"]
        for name in SAME:
            _same(place, name, packages.get(name), mine[name])
        _same(place, "python", *(".".join(v["python"].split(".")[:2]) for v in (packages, mine)))
    versions = client.run(resolve_name, "mmsar._version:__version__", on_error="return")
    for place, version in versions.items():
        got = "none" if isinstance(version, BaseException) else version
        _same(f"worker {place}", "mmsar", got, __version__)


def _same(place: str, name: str, got: str | None, wanted: str) -> None:
    if got != wanted:
        raise DeviceError(f"cluster: {place} has {name} {got}, wanted {wanted} as here; install it on all machines")


@dataclass
class _Sent:
    """What the workers were given of a run."""

    token: str
    job: Any
    blocks: list[Any]


class Cluster:
    """Workers that make tiles (a `recon.tiled.Maker`); made by `cluster`."""

    def __init__(self, client: Any, address: str, *, share: int | None = None) -> None:
        self._client, self.address, self._share = client, address, share
        self.share_memory = share or 1
        self.sent = self.received = 0
        """Bytes to all workers, of samples and geometry, and from them, of voxels."""

    @property
    def workers(self) -> int:
        """Workers there are now."""
        try:
            return len(self._client.nthreads())
        except OSError:  # the scheduler does not answer: told of when that lasts
            return 0

    def finish(
        self, runs: Iterable[TiledRun], *, total: int | None = None, show: bool | None = None
    ) -> Iterator[TiledRun]:
        """Make what is missing, tiles of several runs side by side. Parameters and results as of `Here.finish`.

        Raises
        ------
        DeviceError
            All workers or the scheduler gone for good. What is finished is kept.
        """
        work = _Work(self, iter(runs))
        try:
            with counter("tiles", total, show) as count:
                while work.fill():
                    yield from work.take()
                    count(work.made)
                yield from work.whole()
            self._client.run(forget)
        finally:
            work.drop()

    def scatter(self, data: Any) -> Any:
        """Give something to all workers."""
        return self._client.scatter(data, broadcast=True, hash=False)

    @property
    def report(self) -> str:
        """What went over the network."""
        return f"sent {size_text(self.sent)} of samples and geometry, received {size_text(self.received)} of voxels"


class _Work:
    """Tiles on their way: taken from the runs as workers come free, so that few samples are held at a time."""

    def __init__(self, owner: Cluster, runs: Iterator[TiledRun]) -> None:
        self._owner, self._client, self._runs = owner, owner._client, runs
        self._queue: deque[tuple[TiledRun, int]] = deque()
        self._sent: dict[int, _Sent] = {}
        self._left: dict[int, tuple[TiledRun, set[int]]] = {}
        self._ready: list[TiledRun] = []
        self._futures: dict[Any, tuple[TiledRun, int]] = {}
        self._attempts: Counter[tuple[int, int]] = Counter()
        self._alone = monotonic()
        self._more = True
        self.made = 0

    def fill(self) -> bool:
        """Hand out as many tiles as there should be on their way; False when there is nothing more to come."""
        window = 2 * self._owner.workers
        while len(self._futures) < window:
            if not self._queue and not self._next_run():
                break
            if self._queue and not self._submit(*self._queue[0]):
                break
        return bool(self._futures or self._ready or self._queue or self._more)

    def _next_run(self) -> bool:
        run = next(self._runs, None)
        self._more = run is not None
        if run is None:
            return False
        missing = run.missing
        self._left[id(run)] = (run, set(missing))
        self._queue.extend((run, number) for number in missing)
        if not missing:
            self._end(run)
        return True

    def _submit(self, run: TiledRun, number: int) -> bool:
        """Hand out the first tile of the queue; False when there is nobody to take it."""
        sent = self._sent.get(id(run))
        if sent is None:
            try:
                blocks = [block for _, block in run.wanted.scan.blocks()]
            except (MmsarError, OSError) as error:
                self._end(run, error)
                return True
            try:
                sent = self._send(run, blocks)
            except OSError:  # the last worker has just gone
                return False
        self._queue.popleft()
        self._attempts[id(run), number] += 1
        future = self._client.submit(
            make_tile, sent.token, sent.job, number, self._owner._share, *sent.blocks, pure=False
        )
        self._futures[future] = (run, number)
        return True

    def _send(self, run: TiledRun, blocks: list[np.ndarray]) -> _Sent:
        sent = _Sent(os.urandom(8).hex(), self._owner.scatter(run.job), self._owner.scatter(blocks))
        size = sum(block.nbytes for block in blocks) + run.job.nbytes
        self._owner.sent += size * self._owner.workers
        self._sent[id(run)] = sent
        return sent

    def take(self) -> list[TiledRun]:
        """Keep what came in; the runs that are finished, or cannot be."""
        from distributed import wait

        if self._futures:
            with suppress(TimeoutError, CancelledError):  # what was cancelled is looked at below
                wait(list(self._futures), timeout=1.0, return_when="FIRST_COMPLETED")
        elif not self._ready:
            sleep(0.2)  # nobody there
        for future in [future for future in self._futures if future.status != "pending"]:
            run, number = self._futures.pop(future)
            try:
                self._take_one(run, number, future)
            except (MmsarError, OSError) as error:
                self._end(run, error)
        self._check_alive()
        return self.whole()

    def whole(self) -> list[TiledRun]:
        """Runs that are finished and were not told of yet."""
        ready, self._ready = self._ready, []
        return ready

    def _take_one(self, run: TiledRun, number: int, future: Any) -> None:
        from distributed import KilledWorker

        if id(run) not in self._left:
            return
        try:
            values = future.result()
        except (KilledWorker, MemoryError):
            raise DeviceError(
                f"cluster: tile {number} of {run.output} ended every worker that tried it, out of memory most likely; "
                "give workers less at a time (--memory), or more tiles (--tiles)"
            ) from None
        except (CancelledError, OSError) as error:  # samples lost with a worker, or a connection
            self._again(run, number, error)
            return
        self._alone = monotonic()
        self._owner.received += values.nbytes
        self.made += 1
        run.put(number, values)
        left = self._left[id(run)][1]
        left.discard(number)
        if not left:
            self._end(run)

    def _again(self, run: TiledRun, number: int, error: Exception) -> None:
        """Ask for a tile again, and send the samples again where they were lost with a worker."""
        if self._attempts[id(run), number] >= ATTEMPTS:
            raise DeviceError(
                f"cluster: tile {number} of {run.output} was lost {ATTEMPTS} times ({type(error).__name__}); look at "
                "the log of the workers"
            ) from None
        self._queue.appendleft((run, number))
        sent = self._sent.get(id(run))
        if sent is not None and any(f.status != "finished" for f in (sent.job, *sent.blocks)):
            del self._sent[id(run)]

    def _end(self, run: TiledRun, error: Exception | None = None) -> None:
        run.error = error
        self._left.pop(id(run), None)
        self._sent.pop(id(run), None)
        self._attempts = Counter({key: n for key, n in self._attempts.items() if key[0] != id(run)})
        self._queue = deque(item for item in self._queue if item[0] is not run)
        self._ready.append(run)

    def _check_alive(self) -> None:
        """Give up when there has been nobody to work for a while."""
        lost = self._client.status in ("closed", "closing")
        if not lost and self._owner.workers:
            self._alone = monotonic()
        if lost or monotonic() - self._alone > PATIENCE:
            who = "the scheduler is gone" if lost else f"all workers have been gone for {PATIENCE:.0f} s"
            raise DeviceError(f"cluster: {who}; start them again and go on with --resume")

    def drop(self) -> None:
        """Ask for nothing more."""
        with suppress(Exception):
            self._client.cancel(list(self._futures), force=True)
        self._futures.clear()
        self._sent.clear()


class _Held:
    """What a worker keeps between tiles."""

    def __init__(self) -> None:
        self.lock, self.token, self.bench = threading.Lock(), "", None


def forget(dask_worker: Any) -> None:
    """Let a worker give up what it keeps between tiles."""
    vars(dask_worker).pop("mmsar_held", None)


def make_tile(token: str, job: Job, number: int, share: int | None, *blocks: np.ndarray) -> np.ndarray:
    """One tile, on a worker: one at a time in a process, whatever the number of its threads.

    Parameters
    ----------
    token : str
        Names the samples; the bench made of them is kept until another comes.
    job, number
        What is made.
    share : int or None
        Among how many workers the cores of this machine are shared.
    blocks : arrays
        The samples.
    """
    from distributed import get_worker

    worker = get_worker()
    held: _Held = vars(worker).setdefault("mmsar_held", _Held())
    with held.lock:
        use_cores(worker.name if isinstance(worker.name, int) else 0, share)
        if held.token != token:
            held.bench = None
            held.bench, held.token = Bench(job, Samples(blocks)), token
        return held.bench.tile(number)
