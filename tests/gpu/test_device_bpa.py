"""Back-projection on a device: the kernels of core/cuda/bpa.cu against the float64 sum and the CPU's plan."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from host import HostDevice

from mmsar.errors import MmsarError
from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Scan, Trajectory
from mmsar.recon import bpa
from mmsar.recon.device_plan import DevicePlan
from mmsar.recon.operators import dot_test

CHIRP = Chirp.stepped(77e9, 4e9 / 16, 16)
BOARD = AntennaArray.iwr1443()


def geometry_of(array=BOARD, n=(2, 5), z=0.0, **kwargs):
    """A small freehand aperture with rotation, optionally with TDM delays."""
    trajectory = Trajectory.freehand(n, (4e-3, 12e-3), motion=(1e-3, 1e-3, 8e-3), rotation=0.05, seed=1)
    trajectory = replace(trajectory, position=trajectory.position + np.array([0, 0, z]))
    shape = (len(trajectory), array.n_tx, array.n_rx, CHIRP.n_samples)
    scan = Scan(signal=np.zeros(shape, np.complex64), chirp=CHIRP, array=array, trajectory=trajectory, **kwargs)
    return scan.geometry


def box(z=0.3, n=(3, 9, 10), step=2e-3):
    shape = np.array(n)
    origin = -(shape[::-1] - 1) / 2 * step + [0, 0, z]
    return ImageGrid(shape=n, origin=tuple(origin), spacing=(step,) * 3)


def noise(geometry, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(geometry.shape) + 1j * rng.standard_normal(geometry.shape)).astype(np.complex64)


def on(device, geometry, grid, *, error_db=-50.0, memory=None, devices=None):
    """The CPU's plan with direct tiles, and the same on the device."""
    host = bpa.BpaPlan(geometry, grid, error_db=error_db, direct=True)
    budget = SimpleNamespace(memory=memory)  # of any size, which ReconOptions would not take
    return host, DevicePlan(host, devices or [device], budget)


@pytest.mark.parametrize("distance", [0.1, 0.3, 3.0])
def test_error_is_kept_from_near_to_far(device, off_db, distance):
    """Single precision with phases counted from the tile's centre: as far off at 3 m as at 0.1 m."""
    geometry, grid = geometry_of(z=0.3 - distance), box()
    signal = noise(geometry)
    host, plan = on(device, geometry, grid)
    exact = bpa.exact_image(signal, geometry, grid)
    got = plan(signal)
    assert off_db(got, exact) < -50
    assert off_db(got, host(signal)) < -80  # 1e-4: the CPU's kernel on the same tables
    assert off_db(plan.adjoint(got), host.adjoint(got)) < -80


def test_wanted_error_is_spent_and_kept(device, off_db):
    """On coarse tiles the range polynomial's error is there to be seen, and within what was asked for."""
    geometry, grid = geometry_of(n=(2, 3)), box(n=(3, 9, 10), step=6e-3)
    signal = noise(geometry)
    exact = bpa.exact_image(signal, geometry, grid)
    errors = {db: off_db(on(device, geometry, grid, error_db=db)[1](signal), exact) for db in (-30, -50)}
    assert errors[-30] < -30
    assert errors[-50] < -50
    assert errors[-30] > errors[-50] + 6


def test_adjoint_is_exact(device):
    geometry = geometry_of(n=(1, 3))
    assert dot_test(on(device, geometry, box(n=(2, 9, 10)))[1]) < 1e-5


ARRAYS = {
    "receivers move between slots": (BOARD, {"tx_delay": [0.0, 4e-3]}),
    "too many pairs for one shot": (AntennaArray(tx=np.eye(3) * 3e-3, rx=np.arange(150).reshape(50, 3) * 1e-4), {}),
    "one pair": (AntennaArray.single(5e-3), {}),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_any_array(device, off_db, name):
    array, more = ARRAYS[name]
    geometry, grid = geometry_of(array, (1, 3), **more), box(n=(2, 9, 10))
    if "move" in name:
        assert np.any(geometry.rx_position[:, 0] != geometry.rx_position[:, 1])
    signal = noise(geometry)
    host, plan = on(device, geometry, grid)
    image = plan(signal)
    assert off_db(image, host(signal)) < -80
    assert off_db(plan.adjoint(image), host.adjoint(image)) < -80


def test_weights_and_lost_channels(device, off_db):
    """Signs and zeros of the weights, and what stands in a lost channel, are treated as on the CPU."""
    geometry, grid = geometry_of(n=(1, 3)), box(n=(2, 9, 10))
    weight = np.random.default_rng(3).uniform(-1, 1, geometry.weight.shape)
    weight[1, 0] = 0
    geometry = Geometry(chirp=CHIRP, tx_position=geometry.tx_position, rx_position=geometry.rx_position, weight=weight)
    signal = noise(geometry)
    signal[1, 0] = 1e6
    _, plan = on(device, geometry, grid)
    assert off_db(plan(signal), bpa.exact_image(signal, geometry, grid)) < -50
    assert not plan.adjoint(plan(signal))[1, 0].any()


def test_same_bits_every_time(device):
    """No two threads add to one place, so sums have one order."""
    geometry, grid = geometry_of(), box(n=(2, 9, 10))
    signal = noise(geometry)
    plan = on(device, geometry, grid)[1]
    first = plan(signal)
    assert np.array_equal(first, plan(signal))
    assert np.array_equal(plan.adjoint(first), plan.adjoint(first))


def test_data_and_volume_larger_than_the_device(device, off_db):
    """Poses in blocks and tiles in runs: the same image, within the budget, up to the order of sums."""
    geometry, grid = geometry_of(), box(n=(6, 12, 30))
    signal = noise(geometry)
    _, whole = on(device, geometry, grid)
    _, small = on(device, geometry, grid, memory=60_000)
    (share,) = (share for _, share in small._shares)
    assert small.nbytes <= 60_000 < whole.nbytes
    assert share._n_poses < geometry.shape[0]
    assert share._n_tiles < small._plan.n_parts
    image = whole(signal)
    assert off_db(small(signal), image) < -110
    assert off_db(small.adjoint(image), whole.adjoint(image)) < -110
    with pytest.raises(MmsarError, match=r"bpa on the device: needs .* wanted at most .*device='cpu'"):
        on(device, geometry, grid, memory=20_000)


def test_memory_that_others_took_is_said(host_folder, monkeypatch):
    device = HostDevice(host_folder)
    plan = on(device, geometry_of(n=(1, 2)), box(n=(2, 9, 10)))[1]

    def full(*_):
        raise MemoryError("allocating 123 bytes")

    monkeypatch.setattr(device, "kernels", full)
    with pytest.raises(MmsarError, match=r"host: out of memory, .*allocating 123 bytes.*--memory"):
        plan(noise(plan.geometry))


def test_devices_share_the_volume(device, off_db):
    geometry, grid = geometry_of(n=(1, 3)), box(n=(6, 12, 30))
    signal = noise(geometry)
    _, one = on(device, geometry, grid)
    _, three = on(device, geometry, grid, devices=[device] * 3)
    assert three.device == ", ".join([device.name] * 3)
    image = one(signal)
    assert np.array_equal(three(signal), image)
    assert off_db(three.adjoint(image), one.adjoint(image)) < -110


def test_signal_may_come_in_blocks(device):
    geometry, grid = geometry_of(), box(n=(2, 9, 10))
    signal = noise(geometry)

    class Lazy:
        shape = signal.shape

        def blocks(self):
            for first in range(0, len(signal), 3):
                yield slice(first, first + 3), signal[first : first + 3]

    plan = on(device, geometry, grid)[1]
    assert np.allclose(plan(Lazy()), plan(signal), rtol=0, atol=1e-6 * np.abs(plan(signal)).max())
    with pytest.raises(MmsarError, match="signal: got shape"):
        plan(signal[1:])
