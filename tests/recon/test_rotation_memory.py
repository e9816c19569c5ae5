"""What isar takes of memory under a budget, as the system sees it: also what libraries take and do not give back."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import isar
from mmsar.recon.operators import dot_test
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import explain
from mmsar.recon.predict import cost

MIB = 2**20
CHIRP = Chirp(f0=77e9, slope=4e9 / 64 * 2e6, fs=2e6, n_samples=64)

RESIDENT = """
import ctypes, json, os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # the buffers of two threads, on any machine
import numpy as np
from test_rotation_memory import scene, plan_of

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def growth(step):
    "Largest resident size while `step` runs, beyond that before, and what it returns."
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak counts from here
    before = status("VmRSS:")
    value = step()
    return status("VmHWM:") - before, value

warm = plan_of(*scene(64, 8, 24), None)
warm.adjoint(warm(np.ones(warm.geometry.shape, np.complex64)))
geometry, grid = scene(512, 256, 128)
signal = np.random.default_rng(0).standard_normal((*geometry.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
allowed = int(float(sys.argv[1]) * 2**20)
held = []
def image_it():
    held.append(plan_of(geometry, grid, allowed))
    return held[0](signal)
call, image = growth(image_it)
adjoint, echo = growth(lambda: held[0].adjoint(image))
print(json.dumps([call, adjoint - echo.nbytes, held[0].nbytes, plan_of(geometry, grid, None).nbytes]))
"""


def scene(n_angles, n_heights, n):
    """Even angles and heights 0.25 m from the axis; n voxels of 0.5 mm a side."""
    heights = (np.arange(n_heights) - (n_heights - 1) / 2) * CHIRP.wavelength / 4
    position = Trajectory.turntable(n_angles, 0.25, heights=heights).position[:, None, None, :]
    low = -(n - 1) / 2 * 0.5e-3
    return (
        Geometry(chirp=CHIRP, tx_position=position, rx_position=position),
        ImageGrid(shape=(n, n, n), origin=(low,) * 3, spacing=(0.5e-3,) * 3),
    )


def plan_of(geometry, grid, memory):
    return isar.plan(geometry, grid, options=ReconOptions(memory=memory, progress=False))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_resident_size_keeps_the_budget():
    allowed = 70 * MIB
    command = [sys.executable, "-c", RESIDENT, str(allowed / MIB)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=__file__.rsplit("/", 1)[0])
    call, adjoint, stated, whole = json.loads(done.stdout)
    assert stated <= allowed < whole, "in pieces"
    assert call <= allowed and adjoint <= allowed, (call / MIB, adjoint / MIB)
    assert call > 0.7 * stated, "what is stated is not far more than is taken"


@pytest.mark.parametrize("block, slab", [(3, 24), (100, 5), (1, 7)])
def test_pieces_are_the_whole(block, slab):
    """Blocks of height wavenumbers, slabs along z, and both; the adjoint in pieces is that of the image in pieces."""
    geometry, grid = scene(90, 16, 24)
    rng = np.random.default_rng(1)
    signal = rng.standard_normal((*geometry.shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    plan = plan_of(geometry, grid, None)
    whole = plan(signal)
    size = plan._migration.pieces
    assert size.count == 1
    plan._migration.pieces = replace(size, block=min(block, size.n_pairs), slab=slab)
    assert plan._migration.pieces.count > 1
    assert np.linalg.norm(plan(signal) - whole) < 2e-3 * np.linalg.norm(whole)
    assert dot_test(plan) < 1e-5


@pytest.fixture
def two_cores():
    """Buffers of two threads, on any machine."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("cannot be held to two cores")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:2])
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("mib", [4000, 80, 70])
def test_planner_knows_pieces_and_memory(mib, two_cores):
    """As the plan: the pieces within a factor of 2, memory within the budget; fewer bytes take no less time."""
    geometry, grid = scene(512, 256, 128)
    plan = plan_of(geometry, grid, mib * MIB)
    seconds, needed, pieces = cost("isar", geometry, grid, memory=mib * MIB)
    assert needed <= mib * MIB and needed == pytest.approx(plan.nbytes, rel=0.1)
    assert 0.5 <= pieces / plan._migration.pieces.count <= 2
    assert seconds >= cost("isar", geometry, grid, memory=8000 * MIB)[0]


def test_explain_says_the_pieces(two_cores):
    geometry, grid = scene(512, 256, 128)
    array = AntennaArray.single()
    trajectory = Trajectory(time=np.arange(len(geometry.tx_position)) * 1.0, position=geometry.tx_position[:, 0, 0])
    scan = Scan(signal=np.ones(geometry.shape, np.complex64), chirp=CHIRP, array=array, trajectory=trajectory)
    said = explain(scan, grid, method="isar", options=ReconOptions(memory=80 * MIB))
    (line,) = (line for line in said.splitlines() if line.startswith("> isar"))
    memory, pieces = re.search(r"s, (\d+) MiB in (\d+) pieces", line).groups()
    assert int(memory) <= 80 and int(pieces) >= 2
