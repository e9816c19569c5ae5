"""What the planner does with scans that go round an axis: method, grid, weights, samples seen from far away."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.errors import GeometryError, MmsarError
from mmsar.metrics import ncc
from mmsar.model import AntennaArray, Chirp, ImageGrid, Trajectory
from mmsar.recon.default_grid import ROUND_VOXELS, default_grid
from mmsar.recon.options import ReconOptions
from mmsar.recon.planner import density_of, explain, reconstruct

QUIET = ReconOptions(progress=False)
LAM = 299792458.0 / 79e9
BOX = ImageGrid.from_extent((-0.04, 0.04), (-0.02, 0.02), (-0.04, 0.04), spacing=(1e-3, 4e-3, 1e-3))

SMALL = ImageGrid.from_extent((-0.002, 0.002), 0.0, (-0.002, 0.002), spacing=1e-3)


def last(image):
    return image.history[-1]


def test_auto_images_a_turntable_by_isar(scans):
    image = reconstruct(scans["turn"], BOX, options=replace(QUIET, verify=True))
    step = last(image)
    assert step["method"] == "isar" and step["kernel"] == "matched" and step["phase"] == "reference"
    assert step["verify"]["ncc"] >= 0.97
    assert step["predicted_error_db"] < -15
    peak = np.unravel_index(np.argmax(image.magnitude()), image.grid.shape)
    found = np.array([image.grid.x[peak[2]], image.grid.y[peak[1]], image.grid.z[peak[0]]])
    assert min(np.abs(found - p).max() for p in ([0.03, 0, -0.02], [-0.012, -0.008, 0.01])) < 1e-9


def test_explain_says_why_the_planar_methods_do_not_serve(scans):
    lines = explain(scans["turn"], BOX, options=QUIET).splitlines()
    marks = {line[2:].split()[0]: line for line in lines[1:]}
    assert marks["isar"].startswith(">")
    assert all("not for auto: the image is not wholly in front" in marks[m] for m in ("rma", "empm", "nufft"))


def test_predicted_error_is_what_comes_out(scans):
    """The compensation of the pairs is all that is wrong with it."""
    from mmsar.recon import bpa, isar
    from mmsar.recon.predict import predict

    scan = scans["turn"]
    (predicted,) = (p.error_db for p in predict(scan.geometry, BOX) if p.method == "isar")
    image = isar.plan(scan, BOX, options=QUIET)(scan)
    exact = bpa.plan(scan, BOX, options=QUIET)(scan)
    measured = 20 * np.log10(np.linalg.norm(image - exact) / np.linalg.norm(exact))
    assert predicted == pytest.approx(measured, abs=6)


def test_a_wide_pair_goes_to_back_projection(lab):
    scan = lab.scan_of(AntennaArray.single(0.15), Trajectory.turntable(200, 0.25), [[0.03, 0, -0.02]])
    grid = ImageGrid.from_extent((-0.06, 0.06), 0.0, (-0.06, 0.06), spacing=2e-3)
    assert last(reconstruct(scan, grid, options=QUIET))["method"] == "bpa"
    forced = last(reconstruct(scan, grid, method="isar", options=QUIET))
    assert "TX-RX separations reach 150 mm" in forced["warning"]


# ---- the default grid ------------------------------------------------------------------------------------------------


def scan_for_grid(lab, points, n=64, heights=None, **turn):
    trajectory = Trajectory.turntable(n, 0.25, heights=heights, **turn)
    return lab.scan_of(AntennaArray.single(), trajectory, points, chirp=Chirp.stepped(77e9, 4e9 / 32, 32))


def test_default_grid_lies_about_the_axis_and_holds_the_target(lab):
    points = [[0.06, 0.0, -0.02], [-0.01, 0.01, 0.03]]
    heights = (np.arange(8) - 3.5) * 4e-3
    scan = scan_for_grid(lab, points, heights=heights)
    grid = default_grid(scan)
    (x0, x1), (y0, y1), (z0, z1) = grid.extent
    assert x0 == pytest.approx(-x1, abs=1e-3) and (z0, z1) == pytest.approx((x0, x1), abs=1e-9)
    assert 0.065 < x1 < 0.15
    assert y0 == pytest.approx(heights[0], abs=4e-3) and y1 == pytest.approx(heights[-1], abs=4e-3)
    half = 0.09 * LAM  # half of 0.18 lambda, or a whole cell where that would be too many voxels
    assert half * 0.9 < grid.spacing[0] < 2.1 * half and grid.spacing[2] == pytest.approx(grid.spacing[0])
    assert grid.n_voxels < 1.3 * ROUND_VOXELS


def test_default_grid_of_one_ring_is_one_slice(lab):
    grid = default_grid(scan_for_grid(lab, [[0.03, 0.005, -0.02]], heights=[0.005]))
    assert grid.shape[1] == 1 and grid.y[0] == pytest.approx(0.005)
    assert grid.spacing[0] == pytest.approx(0.09 * LAM, rel=0.03)


def test_default_grid_of_an_arc_is_coarser(lab):
    full, arc = (default_grid(scan_for_grid(lab, [[0.0, 0, 0.0]], span=s)) for s in (2 * np.pi, 0.5))
    assert arc.spacing[0] > 2 * full.spacing[0]


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_even_turns_need_no_density_weights(lab, scans):
    assert density_of(scan_for_grid(lab, [[0, 0, 0]], heights=[0, 0.01]).geometry, QUIET) is None
    assert density_of(scans["turn"].geometry, QUIET) is None
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * (np.arange(64) + 0.5 * rng.uniform(-1, 1, 64)) / 64
    two_turns = np.concatenate([angles, angles[::-1] + 0.02])
    points = np.stack([0.25 * np.cos(two_turns), np.repeat([0, 0.01], 64), 0.25 * np.sin(two_turns)], axis=1)
    assert density_of(lab.monostatic(points), QUIET) is not None


def test_window_tapers_heights_not_the_closed_circle(lab):
    """Sidelobes along y fall; the picture across the axis stays."""
    scan = scan_for_grid(lab, [[0.0, 0.0, 0.0]], n=90, heights=(np.arange(40) - 19.5) * LAM / 4)
    along = ImageGrid.from_extent(0.0, (-0.06, 0.06), 0.0, spacing=(1e-3, 0.5e-3, 1e-3))
    plain, tapered = (
        np.abs(reconstruct(scan, along, options=replace(QUIET, window=w)).data[0, :, 0]) for w in ("none", "hann")
    )
    outside = np.abs(along.y) > 0.03
    assert tapered[outside].max() < 0.3 * plain[outside].max()
    across = ImageGrid.from_extent((-0.004, 0.004), 0.0, 0.0, spacing=0.1e-3)
    cuts = [np.abs(reconstruct(scan, across, options=replace(QUIET, window=w)).data[0, 0]) for w in ("none", "hann")]
    assert ncc(*cuts) > 0.99


# ---- seen from far away ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def far(lab):
    """A short arc, samples referred to the axis: 10 m away, the way to the axis taken out."""
    scan = lab.scan_of(
        AntennaArray.single(), Trajectory.turntable(60, 1e4, span=0.3, start=-1.7), [[0.03, 0, -0.02], [-0.02, 0, 0.01]]
    )
    signal = scan.signal * np.exp(-2j * scan.chirp.k * 1e4)
    return replace(scan, signal=signal.astype(np.complex64), attrs={**scan.attrs, "far_field": True})


def test_far_field_samples_go_to_isar_without_being_told(far):
    grid = ImageGrid.from_extent((-0.05, 0.05), 0.0, (-0.06, 0.04), spacing=1e-3)
    image = reconstruct(far, grid, options=QUIET)
    assert last(image)["method"] == "isar" and last(image)["kernel"] == "far_field"
    z, _, x = np.unravel_index(np.argmax(image.magnitude()), grid.shape)
    assert min(np.hypot(grid.x[x] - px, grid.z[z] - pz) for px, pz in ((0.03, -0.02), (-0.02, 0.01))) < 3e-3
    assert "rma" in explain(far, grid, options=QUIET) and "referred to the axis" in explain(far, grid, options=QUIET)


def test_far_field_samples_are_refused_where_they_would_be_wrong(far):
    grid = ImageGrid.from_extent((-0.05, 0.05), 0.0, (-0.06, 0.04), spacing=1e-3)
    with pytest.raises(GeometryError, match=r"method bpa: .* wanted method isar"):
        reconstruct(far, grid, method="bpa", options=QUIET)
    with pytest.raises(GeometryError, match="verify: "):
        reconstruct(far, grid, options=replace(QUIET, verify=True))
    with pytest.raises(MmsarError, match="give an extent"):
        reconstruct(far, options=QUIET)


def called_far(lab, radius, axis_at):
    """A turntable whose samples have the way `axis_at` [m] to the axis taken out, and do not say so; its grid."""
    chirp = Chirp.stepped(77e9, 4e9 / 64, 64)
    array, turn = AntennaArray.single(), Trajectory.turntable(40, radius, span=1.2)
    scan = lab.scan_of(array, turn, [[0.03, 0, -0.02], [-0.02, 0, 0.01]], chirp=chirp)
    signal = scan.signal * np.exp(-2j * chirp.k * axis_at)
    grid = ImageGrid.from_extent((-0.05, 0.05), 0.0, (-0.05, 0.05), spacing=2e-3)
    return replace(scan, signal=signal.astype(np.complex64)), grid


FAR = replace(QUIET, far_field=True)


def test_a_near_field_scan_called_far_is_refused_by_its_ranges(lab):
    scan, grid = called_far(lab, 0.25, 0.0)
    for call in (reconstruct, explain):
        with pytest.raises(
            GeometryError, match=r"not referred to the axis: the strongest echo is at 2\d\d mm"
        ) as caught:
            call(scan, grid, options=FAR)
        assert "\n" not in str(caught.value) and "--far-field" in str(caught.value)
    leaky = replace(scan, signal=scan.signal + 30)  # leakage at range 0, the same at every pose, is no echo
    with pytest.raises(GeometryError, match="not referred to the axis"):
        reconstruct(leaky, grid, options=FAR)


def test_referred_samples_from_too_near_are_imaged_with_a_warning(lab):
    scan, grid = called_far(lab, 0.5, 0.5)
    image = reconstruct(scan, grid, options=FAR)
    rho, lam = np.hypot(0.05, 0.05), scan.chirp.wavelength
    degrees = round(float(np.rad2deg(2 * np.pi / lam * (np.hypot(0.5, rho) - 0.5) * 2)))
    text = last(image)["warning"]
    off = int(text.split(" degrees off")[0].split("(")[1])
    assert "from 0.5 m waves are not plane over +-71 mm" in text and off == pytest.approx(degrees, rel=0.01)
    assert f"warning: {text}" in explain(scan, grid, options=FAR)


def test_referred_samples_from_far_away_are_imaged_without_a_word(lab):
    scan, grid = called_far(lab, 12.0, 12.0)  # 8 rho^2 / lambda = 10.5 m
    assert "warning" not in last(reconstruct(scan, grid, options=FAR))
    with pytest.raises(MmsarError, match="give an extent"):
        reconstruct(scan, options=FAR)


def test_a_planar_scan_called_far_is_refused_before_anything_is_predicted(lab, monkeypatch):
    from mmsar.recon import planner

    monkeypatch.setattr(planner, "predict", lambda *a, **k: pytest.fail("predicted"))
    scan = lab.raster_scan([[0, 0, 0.3]], shape=(8, 8))
    for method in ("auto", "bpa", "isar"):
        with pytest.raises(GeometryError, match=r"do not go round the y axis.*leave far_field") as caught:
            explain(scan, method=method, options=FAR)
        assert "bpa" not in str(caught.value)


# ---- kernels are of isar ---------------------------------------------------------------------------------------------


def test_a_kernel_makes_auto_take_isar_or_refuse(lab, scans, monkeypatch):
    from mmsar.recon import planner

    options = replace(QUIET, kernel="hankel")
    predicted = [replace(p, seconds=float(p.method != "bpa")) for p in planner.predict(scans["turn"].geometry, SMALL)]
    monkeypatch.setattr(planner, "predict", lambda *a, **k: predicted)
    assert last(reconstruct(scans["turn"], SMALL, options=QUIET))["method"] == "bpa"
    step = last(reconstruct(scans["turn"], SMALL, options=options))
    assert step["method"] == "isar" and step["kernel"] == "hankel"
    assert "> isar" in explain(scans["turn"], SMALL, options=options)
    monkeypatch.undo()
    planar = lab.raster_scan([[0, 0, 0.3]], shape=(8, 8))
    for call in (reconstruct, explain):
        with pytest.raises(
            GeometryError, match=r"kernel: got hankel, which only method isar has.*does not serve here: "
        ):
            call(planar, ImageGrid.from_extent(0.0, 0.0, (0.28, 0.32), spacing=2e-3), options=options)


@pytest.mark.parametrize("method", ["rma", "empm", "nufft", "bpa"])
def test_a_kernel_is_refused_by_methods_without(scans, method):
    options = replace(QUIET, kernel="exponential")
    with pytest.raises(GeometryError, match=rf"kernel: got exponential with method {method}, which has none"):
        reconstruct(scans["turn"], BOX, method=method, options=options)


def test_a_kernel_is_refused_for_far_field_samples(far):
    with pytest.raises(GeometryError, match="kernel: got exponential, but far-field samples need none"):
        reconstruct(far, BOX, options=replace(QUIET, kernel="exponential"))


def test_rma_names_isar_for_a_round_scan(lab, scans):
    with pytest.raises(GeometryError, match=r"method rma: .* use method isar \(round the y axis\) or bpa"):
        reconstruct(scans["turn"], BOX, method="rma", options=QUIET)
