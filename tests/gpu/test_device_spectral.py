"""rma, empm, nufft and isar on a device against the CPU's plans, whose tables they use: kernels, FFTs, migration."""

from types import SimpleNamespace

import numpy as np
import pytest

from mmsar.errors import DeviceError, MmsarError
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import empm, isar, nufft, rma
from mmsar.recon.device_plan import DevicePlan
from mmsar.recon.operators import dot_test
from mmsar.recon.options import ReconOptions

CHIRP = Chirp.stepped(77e9, 4e9 / 16, 16)
BOARD = AntennaArray.iwr1443()
LAMBDA = 299792458.0 / 79e9
DEEP = ImageGrid.from_extent((-0.014, 0.01), (-0.015, 0.015), (0.27, 0.33), spacing=2.5e-3)
FLAT = ImageGrid.from_extent((-0.014, 0.01), (-0.015, 0.015), (0.29, 0.31), spacing=5e-3)
SLICE = ImageGrid.from_extent((-0.014, 0.01), 0, (0.27, 0.33), spacing=2.5e-3)
COLUMN = ImageGrid.from_extent(0, (-0.014, 0.01), (0.27, 0.33), spacing=2.5e-3)
BOX = ImageGrid.from_extent((-0.012, 0.012), (-0.008, 0.008), (-0.01, 0.014), spacing=4e-3)
DISC = ImageGrid.from_extent((-0.02, 0.02), 0, (-0.01, 0.014), spacing=2e-3)


def geometry_of(array, trajectory):
    shape = (len(trajectory), array.n_tx, array.n_rx, CHIRP.n_samples)
    return Scan(signal=np.zeros(shape, np.complex64), chirp=CHIRP, array=array, trajectory=trajectory).geometry


RASTER = geometry_of(AntennaArray.single(), Trajectory.raster((9, 12), (2e-3, 2e-3)))
ROWS = geometry_of(BOARD, Trajectory.raster((2, 12), (1.5e-3, 2 * LAMBDA)))
HAND = geometry_of(
    BOARD, Trajectory.freehand((2, 14), (3e-3, 15e-3), motion=(1e-3, 1e-3, 12e-3), rotation=0.03, seed=2)
)
LINE = geometry_of(AntennaArray.single(), Trajectory.linear(30, 2e-3))
TWICE = Geometry(  # every place twice: samples add up
    chirp=CHIRP,
    tx_position=np.concatenate([RASTER.tx_position] * 2),
    rx_position=np.concatenate([RASTER.rx_position] * 2),
)
ROUND = geometry_of(BOARD, Trajectory.turntable(90, 0.25, heights=np.arange(-1, 2) * 2 * LAMBDA))
UNEVEN = geometry_of(BOARD, Trajectory.turntable(np.linspace(0, 5, 60) ** 1.05, 0.25))
RING = geometry_of(AntennaArray.single(), Trajectory.turntable(120, 0.25))

CASES = {
    "rma, gridded": (rma, RASTER, DEEP),
    "rma, MIMO rows, summed": (rma, ROWS, FLAT),
    "rma, places come twice": (rma, TWICE, FLAT),
    "rma, a slice": (rma, RASTER, SLICE),
    "rma, a line in its plane": (rma, LINE, SLICE),
    "empm, irregular": (empm, HAND, DEEP),
    "empm, raster": (empm, ROWS, FLAT),
    "nufft, irregular": (nufft, HAND, DEEP),
    "nufft, one plane": (nufft, RASTER, FLAT),
    "nufft, a column": (nufft, HAND, COLUMN),
    "isar, even ring": (isar, ROUND, BOX),
    "isar, uneven angles": (isar, UNEVEN, BOX),
    "isar, one ring and slice": (isar, RING, DISC),
}


def noise(geometry, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(geometry.shape) + 1j * rng.standard_normal(geometry.shape)).astype(np.complex64)


def on(device, case, *, memory=None, devices=None):
    """The plan of the CPU and that of the device."""
    module, geometry, grid = CASES[case]
    error_db = -90.0 if module in (empm, isar) else -50.0  # finufft and cufinufft differ by their errors
    host = module.plan(geometry, grid, device="cpu", options=ReconOptions(progress=False, error_db=error_db))
    return host, DevicePlan(host, devices or [device], SimpleNamespace(memory=memory))


@pytest.mark.parametrize("case", CASES)
def test_device_and_cpu_agree(device, off_db, case):
    """To 1e-4 (-80 dB), both ways; a second run gives what the first gave."""
    host, plan = on(device, case)
    signal = noise(host.geometry)
    image = plan(signal)
    assert image.dtype == np.complex64
    assert off_db(image, host(signal)) < -80
    echoes = plan.adjoint(image)
    assert off_db(echoes, host.adjoint(image)) < -80
    assert off_db(plan(signal), image) < -100


@pytest.mark.parametrize("case", ["rma, gridded", "rma, MIMO rows, summed", "empm, irregular", "nufft, irregular"])
def test_adjoint_is_exact(device, case):
    assert dot_test(on(device, case)[1]) < 1e-5


@pytest.mark.parametrize("case", ["rma, gridded", "nufft, irregular"])
def test_same_bits_every_time(device, case):
    """Kernels of our own add in one order; cufinufft's (empm and isar) do not promise that."""
    host, plan = on(device, case)
    signal = noise(host.geometry)
    image = plan(signal)
    assert np.array_equal(plan(signal), image)
    assert np.array_equal(plan.adjoint(image), plan.adjoint(image))


BUDGETS = {
    "rma, gridded": (0.25, {"planes"}),
    "nufft, irregular": (0.25, {"planes", "frequencies"}),
    "empm, irregular": (0.25, {"planes", "frequencies"}),
    "isar, even ring": (0.4, {"poses", "frequencies"}),
}
"""Budgets, relative to what the whole takes at once, and what is cut in pieces then."""


@pytest.mark.parametrize("case", BUDGETS)
def test_larger_than_the_device(device, off_db, case):
    """Poses, frequencies and planes in blocks: the same image, within the budget."""
    host, whole = on(device, case)
    fraction, wanted = BUDGETS[case]
    memory = int(fraction * whole.nbytes)
    _, small = on(device, case, memory=memory)
    (share,) = (share for _, share in small._shares)
    assert small.nbytes <= memory < whole.nbytes
    cut = {
        "frequencies": len(share._frequencies()) > 1,
        "poses": share._poses < host.geometry.shape[0],
        "planes": share._migration._step < host.grid.shape[0],
    }
    assert {name for name in cut if cut[name]} >= wanted
    signal = noise(host.geometry)
    image = whole(signal)
    assert off_db(small(signal), image) < -80
    assert off_db(small.adjoint(image), whole.adjoint(image)) < -80
    with pytest.raises(MmsarError, match=r"on the device: needs .* wanted at most .*device='cpu'"):
        on(device, case, memory=memory // 20)


@pytest.mark.parametrize("case", ["rma, gridded", "isar, even ring"])
def test_devices_share_the_volume(device, off_db, case):
    host, one = on(device, case)
    _, two = on(device, case, devices=[device, device])
    signal = noise(host.geometry)
    image = one(signal)
    assert off_db(two(signal), image) < -80
    assert off_db(two.adjoint(image), one.adjoint(image)) < -80


def test_reconstruct_and_plans_use_the_device(device, monkeypatch, off_db):
    """The public calls, with a device that answers to the name asked for; the history says which it was."""
    from mmsar.recon import bpa, planner

    monkeypatch.setattr(planner, "resolve_device", lambda name: name)
    for module in (bpa, rma):
        monkeypatch.setattr(module, "open_devices", lambda name: [] if name == "cpu" else [device])
    trajectory = Trajectory.raster((9, 12), (2e-3, 2e-3))
    scan = Scan(signal=noise(RASTER), chirp=CHIRP, array=AntennaArray.single(), trajectory=trajectory)
    for method in ("rma", "bpa"):
        options = ReconOptions(progress=False, error_db=-60)
        image = planner.reconstruct(scan, FLAT, method=method, device="cuda:0", options=options)
        assert image.history[-1]["device"] == "cuda:0"
        host = planner.reconstruct(scan, FLAT, method=method, device="cpu", options=options)
        assert host.history[-1]["device"] == "cpu"
        assert off_db(image.data, host.data) < -55
    plan = rma.plan(scan, FLAT, device="cuda:0")
    assert isinstance(plan, DevicePlan)
    assert plan.device == device.name


def test_missing_cufinufft_is_said(monkeypatch):
    import sys
    from types import ModuleType

    from mmsar.core import nufft as transforms

    monkeypatch.setitem(sys.modules, "cufinufft", None)
    with pytest.raises(
        DeviceError, match=r"needs cufinufft on a GPU, which does not load .*pip install 'mmsar\[gpu12\]'"
    ):
        transforms._library(ModuleType("cupy"))
