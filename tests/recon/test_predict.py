"""Predictions against measurement: coherence against the peak a point really loses, reasons, memory."""

import numpy as np
import pytest

from mmsar.model import AntennaArray, Chirp, Geometry, ImageGrid, Trajectory
from mmsar.recon import bpa
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import make_plan
from mmsar.recon.predict import METHODS, MIN_COHERENCE, coherence_at, cost, largest_sine, mean_coherence, predict

CHIRP = Chirp.stepped(77e9, 4e9 / 8, 8)
LAM = 299792458.0 / 79e9


def geometry_of(array, trajectory):
    matrices = trajectory.matrices()
    tx, rx = (np.einsum("pij,ej->pei", matrices, p) + trajectory.position[:, None] for p in (array.tx, array.rx))
    shape = (len(trajectory), array.n_tx, array.n_rx, 3)
    return Geometry(
        chirp=CHIRP,
        tx_position=np.broadcast_to(tx[:, :, None], shape),
        rx_position=np.broadcast_to(rx[:, None], shape),
    )


def box(half, low, high, spacing=(6e-3, 6e-3, 5e-3)):
    return ImageGrid.from_extent((-half, half), (-half, half), (low, high), spacing=spacing)


CASES = {
    "planar MIMO, near": (
        "rma",
        geometry_of(AntennaArray.iwr1443(), Trajectory.raster((4, 20), (2e-3, 2 * LAM))),
        box(0.03, 0.04, 0.07),
    ),
    "planar MIMO": (
        "rma",
        geometry_of(AntennaArray.iwr1443(), Trajectory.raster((6, 30), (2e-3, 2 * LAM))),
        box(0.04, 0.28, 0.32),
    ),
    "by hand, one plane": (
        "empm",
        geometry_of(
            AntennaArray.iwr1443(),
            Trajectory.freehand((8, 50), (4e-3, 25e-3), motion=(1e-3, 1e-3, 8e-3), rotation=0.03, seed=2),
        ),
        box(0.08, 0.28, 0.32),
    ),
    "by hand, deeper": (
        "empm",
        geometry_of(
            AntennaArray.iwr1443(),
            Trajectory.freehand((8, 50), (4e-3, 25e-3), motion=(1e-3, 1e-3, 15e-3), rotation=0.03, seed=5),
        ),
        box(0.08, 0.28, 0.32),
    ),
    "by hand, exact": (
        "nufft",
        geometry_of(
            AntennaArray.iwr1443(),
            Trajectory.freehand((8, 50), (4e-3, 25e-3), motion=(1e-3, 1e-3, 15e-3), rotation=0.03, seed=5),
        ),
        box(0.08, 0.28, 0.32),
    ),
    "wide baseline": (
        "nufft",
        geometry_of(AntennaArray.single(0.12), Trajectory.raster((24, 24), (3e-3, 3e-3))),
        box(0.03, 0.13, 0.17),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_predicted_coherence_is_what_points_keep(case):
    """A unit point shows 1 in back-projection; in the image of the method it shows its predicted coherence."""
    method, geometry, grid = CASES[case]
    plan = make_plan(method, geometry, grid, options=ReconOptions(progress=False))
    rng = np.random.default_rng(11)
    at = np.stack([rng.integers(0, m, 6) for m in grid.shape], axis=1)
    points = np.stack([grid.x[at[:, 2]], grid.y[at[:, 1]], grid.z[at[:, 0]]], axis=1)
    measured = []
    for index, point in zip(at, points, strict=True):
        path = sum(np.linalg.norm(p - point, axis=-1) for p in (geometry.tx_position, geometry.rx_position))
        signal = np.exp(1j * geometry.chirp.k * path[..., None]).astype(np.complex64)
        measured.append(abs(plan(signal)[tuple(index)]))
    assert abs(bpa.exact(signal, geometry, point[None])[0]) == pytest.approx(1, abs=1e-3)
    predicted = coherence_at(points, method, geometry, grid, ("reference", None))
    np.testing.assert_allclose(predicted, measured, atol=0.06)
    assert predicted.mean() == pytest.approx(np.mean(measured), abs=0.025)


def test_cases_span_good_and_bad():
    """The comparison above says something only when some points lose much and some nothing."""
    coherence = {name: mean_coherence(*CASES[name]) for name in CASES}
    assert coherence["planar MIMO"] > 0.995
    assert coherence["by hand, exact"] > 0.99
    assert 0.3 < coherence["by hand, deeper"] < coherence["by hand, one plane"] < 0.97
    assert coherence["wide baseline"] < 0.8


def test_taylor_phase_is_predicted_worse_near_the_aperture():
    _, geometry, grid = CASES["planar MIMO, near"]
    assert mean_coherence("rma", geometry, grid, phase="taylor") < mean_coherence("rma", geometry, grid) - 0.003


def test_one_prediction_per_method_bpa_exact():
    for _, geometry, grid in CASES.values():
        predictions = predict(geometry, grid)
        assert [p.method for p in predictions] == list(METHODS)
        assert predictions[-1].coherence == 1 and predictions[-1].reason == "" and predictions[-1].error_db == -50
        for p in predictions:
            assert 0 <= p.coherence <= 1 + 1e-9 and p.seconds > 0 and p.memory > 0
            assert "\n" not in p.reason
            assert p.reason or p.coherence >= MIN_COHERENCE


def reasons(geometry, grid, **options):
    return {p.method: p.reason for p in predict(geometry, grid, **options)}


def test_reasons_name_what_is_wrong():
    _, planar, _ = CASES["planar MIMO, near"]
    _, hand, _ = CASES["by hand, deeper"]
    _, wide, beside_pair = CASES["wide baseline"]
    assert reasons(hand, box(0.08, 0.28, 0.32))["rma"].startswith("the aperture is ")
    assert "coherence (the aperture is" in reasons(hand, box(0.08, 0.28, 0.32))["empm"]
    assert "separations reach 120 mm, too wide" in reasons(wide, beside_pair)["nufft"]
    for low, high in ((-0.07, -0.04), (-0.02, 0.05), (0.0, 0.05)):
        assert set(reasons(planar, box(0.03, low, high)).values()) == {
            "",
            "the image is not wholly in front of the aperture",
            "the antennas are not on a circle about the y axis",
        }
    beside = ImageGrid.from_extent((0.3, 0.32), (-0.01, 0.01), (0.02, 0.05), spacing=2e-3)
    assert any("degrees off the aperture's axis" in r for r in reasons(monostatic_raster(), beside).values())


def monostatic_raster():
    return geometry_of(AntennaArray.single(), Trajectory.raster((20, 20), (2e-3, 2e-3)))


@pytest.mark.parametrize("phase", ["reference", "taylor"])
def test_taylor_and_reference_say_the_same_of_a_grid_behind(phase):
    got = reasons(monostatic_raster(), box(0.03, -0.3, -0.2), phase=phase)
    assert got["bpa"] == "" and all(got[m] for m in ("rma", "empm", "nufft"))


def test_reference_plane_matters_to_empm_alone():
    geometry, grid = monostatic_raster(), box(0.03, 0.28, 0.32)
    usual, moved = reasons(geometry, grid), reasons(geometry, grid, z_ref=0.31)
    assert {m for m, reason in usual.items() if reason} == {"isar"}
    assert moved == {**usual, "empm": "the image is not wholly in front of the plane z_ref = 310 mm"}
    near = {p.method: p.coherence for p in predict(geometry, grid, z_ref=0.05)}
    assert near["empm"] < 0.98 < near["rma"]


def test_unused_channels_do_not_enter():
    """A board with one stray pair that is marked invalid is predicted like the board without it."""
    good = monostatic_raster()
    far = np.array([0.2, 0, 0])
    tx, rx = (np.concatenate([p, p + s * far]) for p, s in ((good.tx_position, 1), (good.rx_position, -1)))
    weight = np.concatenate([np.ones(good.weight.shape), np.zeros(good.weight.shape)])
    with_stray = Geometry(chirp=CHIRP, tx_position=tx, rx_position=rx, weight=weight)
    assert mean_coherence("rma", with_stray, box(0.03, 0.28, 0.32)) == pytest.approx(1, abs=1e-3)


def test_largest_sine():
    points = np.array([[-0.1, 0, 0], [0.1, 0, 0.0]])
    ahead = ImageGrid.from_extent((-0.1, 0.1), 0.0, (0.2, 0.3), spacing=0.01)
    assert largest_sine(points, ahead) == pytest.approx(np.sin(np.arctan(1.0)))
    assert largest_sine(np.zeros((1, 3)), ImageGrid.from_extent(0.0, 0.0, 0.3, spacing=0.01)) == 0
    touching = ImageGrid.from_extent((-0.1, 0.1), 0.0, (0.0, 0.3), spacing=0.01)
    assert largest_sine(points, touching) == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
def test_cost_grows_with_the_work(method):
    small = cost(method, monostatic_raster(), box(0.03, 0.28, 0.32))
    more_voxels = cost(method, monostatic_raster(), box(0.06, 0.28, 0.34))
    assert more_voxels[0] > small[0] and more_voxels[1] > small[1]
    more_samples = cost(method, CASES["by hand, deeper"][1], box(0.03, 0.28, 0.32))
    assert more_samples[0] > small[0]


def test_rotation_says_what_is_wrong(scans):
    turn = scans["turn"].geometry

    def why(geometry, grid):
        return reasons(geometry, grid)["isar"]

    assert why(turn, box(0.05, -0.05, 0.05)) == ""
    assert why(turn, box(0.05, -0.25, 0.05)).startswith("the image is not wholly inside the antennas' circle of 250 mm")
    assert why(geometry_of(AntennaArray.single(), Trajectory.raster((1, 3), (2e-3, 2e-3))), box(0.05, -0.05, 0.05)) == (
        "an antenna is on the y axis, not on a circle about it"
    )
    wide = geometry_of(AntennaArray.single(0.15), Trajectory.turntable(360, 0.25))
    assert "of the coherence (radii differ by 0.0 mm, TX-RX separations reach 150 mm)" in why(
        wide, box(0.08, -0.08, 0.08)
    )
    far = reasons(turn, box(0.05, -0.05, 0.05), far_field=True)
    assert far["isar"] == "" and all("referred to the axis" in far[m] for m in METHODS if m != "isar")


@pytest.mark.parametrize("method", METHODS)
def test_memory_is_predicted_within_a_factor_of_three(method, scans):
    geometry, grid = monostatic_raster(), box(0.06, 0.2, 0.3, spacing=(1.5e-3, 1.5e-3, 2e-3))
    if method == "isar":
        geometry, grid = scans["turn"].geometry, box(0.06, -0.06, 0.06, spacing=(0.8e-3, 4e-3, 0.8e-3))
    predicted = cost(method, geometry, grid)[1]
    held = make_plan(method, geometry, grid).nbytes
    assert held / 3 <= predicted <= 3 * held
