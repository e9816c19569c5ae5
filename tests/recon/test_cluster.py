"""Tiles on a Dask cluster: a real scheduler and two workers on loopback, started as the documentation says."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.core.parallel import threads, use_cores
from mmsar.errors import DeviceError
from mmsar.io.image_h5 import load_image
from mmsar.io.scan_h5 import save_scan
from mmsar.model import ImageGrid
from mmsar.recon import cluster as module
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import reconstruct, request
from mmsar.recon.tiled import TiledRun

pytest.importorskip("distributed")
ROOT = Path(__file__).resolve().parents[2]
QUIET = ReconOptions(progress=False)
GRID = ImageGrid(shape=(33, 30, 32), origin=(-0.03, -0.03, 0.26), spacing=(2e-3, 2e-3, 2e-3))
BOX = ["--extent=-20,20,-20,20,270,310", "--spacing", "2"]


class Dask:
    """Processes of `dask`, ended with the tests."""

    def __init__(self, folder):
        self.file, self.processes = folder / "scheduler.json", {}
        self.start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        deadline = time.monotonic() + 30
        while not self.file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, name, *command):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "dask", *command]
        if command[0] == "scheduler":
            line += ["--scheduler-file", str(self.file)]
        sink = subprocess.DEVNULL
        self.processes[name] = subprocess.Popen(line, env=environment, stdout=sink, stderr=sink)

    def worker(self, name, n_threads=1):
        options = ["--nthreads", str(n_threads), "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        self.start(name, "worker", self.address, "--name", name, *options)

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    started = Dask(tmp_path_factory.mktemp("dask"))
    yield started
    started.end()


@pytest.fixture(scope="module")
def workers(dask):
    """Two of them; the second may run two tasks at a time, which tiles do not."""
    dask.worker("first")
    dask.worker("second", n_threads=2)
    with module.cluster(dask.address) as found:
        deadline = time.monotonic() + 30
        while found.workers < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found.workers == 2
    return dask


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 1.0)


def said(capsys):
    *_, line = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def paths(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("mmsar.recon.planner.explain", lambda *args, **kwargs: "")
    monkeypatch.chdir(tmp_path)
    for name in ("raster", "hand"):
        save_scan(scans[name], f"{name}.h5")
    return tmp_path


def test_a_scheduler_without_workers_is_told_with_the_command_that_starts_one(dask, hurried):
    with pytest.raises(DeviceError, match=r"has no workers; start some with `dask worker tcp://127\S+ --nthreads 1`"):
        with module.cluster(dask.address):
            pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "udp://127.0.0.1:9"])
def test_no_scheduler_is_one_line_and_nothing_is_left(paths, hurried, capsys, address):
    assert main(["reconstruct", "raster.h5", "-o", "image.h5", *BOX, "--cluster", address]) == 4
    line = said(capsys)
    assert line.startswith(f"mmsar reconstruct: cluster: no scheduler answers at {address} (")
    assert line.endswith("); start one with `dask scheduler` and give the address that it prints, as tcp://host:8786")
    assert sorted(os.listdir()) == ["hand.h5", "raster.h5"]


def test_without_dask_it_says_what_to_install(paths, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for option in (["--workers", "2"], ["--cluster", "tcp://127.0.0.1:9"]):
        assert main(["reconstruct", "raster.h5", "-o", "image.h5", *BOX, *option]) == 4
        assert "wanted for --cluster and --workers; pip install 'mmsar[cluster]'" in said(capsys)


def test_several_scans_become_the_images_of_one_process(workers, paths, scans, capsys):
    (paths / "images").mkdir()
    command = ["reconstruct", "raster.h5", "hand.h5", "-o", "images", *BOX, "--cluster", workers.address]
    assert main([*command, "--method", "empm"]) == 0
    out = capsys.readouterr()
    assert sorted(out.out.split()) == ["images/hand_image.h5", "images/raster_image.h5"]
    assert "note: 2 workers, sent " in out.err and " of samples and geometry, received " in out.err
    for name in ("raster", "hand"):
        image = load_image(f"images/{name}_image.h5")
        whole = reconstruct(scans[name], image.grid, method="empm", options=QUIET)
        assert np.linalg.norm(image.data - whole.data) <= 1e-5 * np.linalg.norm(whole.data)
    assert sorted(os.listdir("images")) == ["hand_image.h5", "raster_image.h5"]


def test_errors_of_a_method_come_back_as_they_are(workers, paths, capsys):
    command = ["reconstruct", "hand.h5", "-o", "image.h5", *BOX, "--method", "rma", "--tiles", "3"]
    assert main([*command, "--cluster", workers.address]) == 3
    assert "mmsar reconstruct: method rma: the aperture is" in said(capsys)
    assert sorted(os.listdir()) == ["hand.h5", "raster.h5"]


def test_other_versions_are_refused_by_name(workers, monkeypatch):
    monkeypatch.setattr(module, "__version__", "9.9")
    wanted = r"cluster: worker tcp://\S+ has mmsar \S+, wanted 9\.9 as here; install it on all machines"
    with pytest.raises(DeviceError, match=wanted), module.cluster(workers.address):
        pass


def test_other_versions_of_dask_are_refused_by_name(workers, monkeypatch):
    from distributed import Client

    real = Client.get_versions

    def versions(self, *args, **kwargs):
        found = real(self, *args, **kwargs)
        found["scheduler"]["packages"]["distributed"] = "1.0"
        return found

    monkeypatch.setattr(Client, "get_versions", versions)
    with pytest.raises(DeviceError, match=r"cluster: the scheduler has distributed 1\.0, wanted 20\S+ as here"):
        with module.cluster(workers.address):
            pass


def killing(run, processes):
    """After the first tile these processes are killed; the others make the rest."""
    put = run.put

    def first(number, values):
        put(number, values)
        run.put = put
        for process in processes:
            process.send_signal(signal.SIGKILL)

    run.put = first


def test_a_killed_worker_loses_nothing(workers, scans, tmp_path):
    wanted = request(scans["hand"], GRID, method="nufft", options=QUIET)
    with module.cluster(workers.address) as found:
        run = TiledRun(wanted, tmp_path / "image.h5", tiles=11, told={}, maker=found)
        killing(run, [workers.processes["second"]])
        (done,) = found.finish([run], total=11, show=False)
        image = done.image()
        assert found.workers == 1
    whole = reconstruct(scans["hand"], GRID, method="nufft", options=QUIET)
    assert np.linalg.norm(image.data - whole.data) < 1e-5 * np.linalg.norm(whole.data)
    run.store.remove()


def test_samples_lost_with_all_workers_are_sent_again_and_no_worker_is_told(workers, scans, tmp_path, monkeypatch):
    """First nobody comes: what is finished is kept. Then a new worker takes over."""
    monkeypatch.setattr(module, "PATIENCE", 2.0)
    wanted = request(scans["raster"], GRID, method="rma", options=replace(QUIET, window="hann"))
    with module.cluster(workers.address) as found:
        run = TiledRun(wanted, tmp_path / "image.h5", tiles=9, told={}, maker=found)
        killing(run, [workers.processes["first"]])
        with pytest.raises(DeviceError, match="cluster: all workers have been gone for 2 s; start them again"):
            list(found.finish([run], show=False))
        assert "tiles are kept in" in run.abandon()
        monkeypatch.setattr(module, "PATIENCE", 30.0)
        workers.worker("third")
        again = TiledRun(wanted, tmp_path / "image.h5", tiles=None, told={}, maker=found, resume=True)
        assert 0 < again.store.resumed < 9
        (done,) = found.finish([again], show=False)
        whole = reconstruct(scans["raster"], GRID, method="rma", options=wanted.options)
        assert np.linalg.norm(done.image().data - whole.data) < 1e-5 * np.linalg.norm(whole.data)
        again.store.remove()


class Inline:
    """A client with one worker, which does not make it."""

    status = "running"

    def __init__(self, error):
        self._error, self.asked = error, 0

    def nthreads(self):
        return {"tcp://a": 1}

    def scatter(self, data, **_):
        return [Future(data)] * len(data) if isinstance(data, list) else Future(data)

    def submit(self, *_, **__):
        self.asked += 1
        return Future(self._error)

    def run(self, *_): ...

    def cancel(self, *_, **__): ...


class Future:
    status = "finished"

    def __init__(self, value):
        self._value = value

    def result(self):
        raise self._value


@pytest.mark.parametrize(
    ("kind", "asked", "said"),
    [
        ("KilledWorker", 2, "ended every worker that tried it, out of memory most likely; give workers less at a time"),
        ("MemoryError", 2, "out of memory most likely"),
        ("OSError", 10, "was lost 5 times (OSError); look at the log of the workers"),
    ],
)
def test_a_tile_that_cannot_be_made_is_given_up_with_advice(scans, tmp_path, monkeypatch, kind, asked, said):
    import distributed

    made = {
        "KilledWorker": distributed.KilledWorker("tile", None, 3),
        "MemoryError": MemoryError(),
        "OSError": OSError("gone"),
    }
    monkeypatch.setattr(distributed, "wait", lambda *_, **__: None)
    client = Inline(made[kind])
    found = module.Cluster(client, "tcp://a")
    wanted = request(scans["raster"], GRID, method="rma", options=QUIET)
    run = TiledRun(wanted, tmp_path / "image.h5", tiles=4, told={}, maker=found)
    (ended,) = found.finish([run], show=False)
    with pytest.raises(DeviceError) as caught:
        ended.image()
    assert said in str(caught.value) and str(tmp_path / "image.h5") in str(caught.value)
    assert client.asked == asked
    ended.abandon()


def test_a_scan_that_cannot_be_read_keeps_none_of_the_others(scans, tmp_path, monkeypatch):
    import distributed

    monkeypatch.setattr(distributed, "wait", lambda *_, **__: None)
    found = module.Cluster(Inline(OSError("gone")), "tcp://a")
    wanted = request(scans["raster"], GRID, method="rma", options=QUIET)
    monkeypatch.setattr(type(wanted.scan), "blocks", lambda _: (_ for _ in ()).throw(OSError(5, "broken disk", "x")))
    runs = [TiledRun(wanted, tmp_path / name, tiles=2, told={}, maker=found) for name in ("a.h5", "b.h5")]
    ended = list(found.finish(runs, show=False))
    assert [run.output.name for run in ended] == ["a.h5", "b.h5"]
    for run in ended:
        with pytest.raises(OSError, match="broken disk"):
            run.image()
        run.abandon()


def test_workers_of_this_machine(paths, scans, capsys):
    command = ["reconstruct", "raster.h5", "-o", "image.h5", *BOX, "--method", "rma", "--tiles", "3"]
    assert main([*command, "--workers", "1"]) == 0
    assert "note: 1 workers, sent " in capsys.readouterr().err
    image = load_image("image.h5")
    whole = reconstruct(scans["raster"], image.grid, method="rma", options=QUIET)
    assert np.linalg.norm(image.data - whole.data) < 1e-5 * np.linalg.norm(whole.data)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are not bound to cores here")
def test_processes_that_share_a_machine_share_its_cores(monkeypatch):
    cores, counts, real = threads(), [], os.sched_getaffinity
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: real(0))  # the parent of a test may have others

    def inside(which, of):
        use_cores(which, of)
        counts.append(threads())

    for which, of in ((0, None), (0, cores), (3, 2 * cores)):
        thread = threading.Thread(target=inside, args=(which, of))
        thread.start()
        thread.join()
    assert counts == [cores, 1, 1] and threads() == cores
