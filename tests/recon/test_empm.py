"""EMPM: what it is good for (planar scans, a scene straight ahead) and what it is not, with the paper's scenes."""

import numpy as np
import pytest

from mmsar.errors import DeviceError, GeometryError
from mmsar.metrics import point_response
from mmsar.model import AntennaArray, Chirp, Image, ImageGrid, Trajectory
from mmsar.recon import bpa, empm, rma
from mmsar.recon.fronts import IrregularFront, RectilinearFront
from mmsar.recon.options import ReconOptions

POINTS = np.array([[0.010, -0.012, 0.25], [-0.015, 0.010, 0.27], [0.0, 0.020, 0.29]])
LAMBDA = 299792458.0 / 79e9
TAYLOR, REFERENCE = (ReconOptions(phase=p, z_ref=0.0) for p in ("taylor", "reference"))
VOLUME = ImageGrid.from_extent((-0.03, 0.03), (-0.036, 0.036), (0.22, 0.32), spacing=(1.5e-3, 1.2e-3, 8e-3))


@pytest.fixture(scope="module")
def mimo(lab):
    return lab.mimo_scan(POINTS, [1, 0.8j, -0.9], shape=(8, 36))


def test_on_a_planar_scan_it_is_range_migration(lab, mimo):
    """Check 4."""
    plan = empm.plan(mimo, VOLUME)
    assert isinstance(plan._front, RectilinearFront)
    image = plan(mimo)
    np.testing.assert_allclose(image, rma.plan(mimo, VOLUME)(mimo), atol=1e-6)
    got = lab.against_oracle(image, mimo.read(), mimo.geometry, VOLUME, POINTS)
    assert got.ncc >= 0.999 and abs(np.abs(got.mine).max() / np.abs(got.exact).max() - 1) < 0.01


def test_the_irregular_path_gives_the_same_image(mimo, monkeypatch):
    want = empm.plan(mimo, VOLUME)(mimo)
    monkeypatch.setattr(empm, "product_grid", lambda *a, **k: "forced")
    plan = empm.plan(mimo, VOLUME)
    assert isinstance(plan._front, IrregularFront)
    assert np.linalg.norm(plan(mimo) - want) < 2e-3 * np.linalg.norm(want)


def test_irregular_positions_on_a_plane_agree_with_the_oracle(lab):
    rng = np.random.default_rng(0)
    geometry = lab.monostatic(rng.uniform(-0.03, 0.03, (900, 3)) * [1, 1, 0])
    signal = lab.signal_of(geometry, POINTS)
    plan = empm.plan(geometry, VOLUME)
    assert isinstance(plan._front, IrregularFront)
    assert lab.against_oracle(plan(signal), signal, geometry, VOLUME, POINTS).error_db < -40


def test_plane_of_projection_is_an_option(lab):
    scan = lab.raster_scan(POINTS, shape=(20, 20))
    default, here, there = (empm.plan(scan, VOLUME, options=ReconOptions(z_ref=z))(scan) for z in (None, 0.0, -0.01))
    np.testing.assert_array_equal(default, here)
    assert 0.01 < np.linalg.norm(there - here) / np.linalg.norm(here) < 0.5


def jitter(seed, peak_to_peak, n=32):
    """The paper's smooth motion in depth: Gaussian spectrum of 3 bins, scaled to its peaks [m]."""
    i = np.fft.fftfreq(n) * n
    noise = np.random.default_rng(seed).standard_normal(n)
    z = np.fft.ifft(np.exp(-0.5 * (i / 3) ** 2) * np.fft.fft(noise)).real
    return peak_to_peak * ((z - z.min()) / np.ptp(z) - 0.5)


def column(depth):
    """32 stops of an upright IWR1443 two wavelengths apart (243 mm), at depths z [m]."""
    position = np.zeros((32, 3))
    position[:, 1] = (np.arange(32) - 15.5) * 2 * LAMBDA
    position[:, 2] = depth
    return Trajectory(time=np.arange(32) * 0.1, position=position)


LINE = ImageGrid.from_extent((0, 0), (-0.05, 0.05), (0.3, 0.3), spacing=(1e-3, 0.5e-3, 5e-3))


def gain(lab, seed, peak_to_peak, y, options):
    scan = lab.scan_of(AntennaArray.iwr1443(), column(jitter(seed, peak_to_peak)), [[0, y, 0.3]])
    return abs(empm.plan(scan, LINE, options=options)(scan)[0, round((y + 0.05) / 0.5e-3), 0])


def test_reference_phase_is_exact_at_the_centre_and_fades_beside_it(lab):
    """Check 8, means of 8 seeds: 10 mm peak to peak, gain 1 at the centre, >= 0.98 at 25 mm, >= 0.94 at 50 mm."""
    mean = {y: np.mean([gain(lab, seed, 10e-3, y, REFERENCE) for seed in range(8)]) for y in (0.0, 0.025, 0.05)}
    assert mean[0.0] == pytest.approx(1.0, abs=5e-3)
    assert mean[0.025] >= 0.98 and 0.94 <= mean[0.05] < mean[0.025]


def test_motion_in_depth_costs_what_the_paper_hides(lab):
    """Check 7, means of 8 seeds, 30 mm peak to peak, target (0, 0, 0.3): lost raw, 0.70 of the peak with EMPM."""
    grid = ImageGrid.from_extent((0, 0), (-0.03, 0.03), (0.27, 0.33), spacing=(1e-3, 0.5e-3, 6e-3))
    flat = lab.scan_of(AntennaArray.iwr1443(), column(np.zeros(32)), [[0, 0, 0.3]])
    rows = []
    for seed in range(8):
        scan = lab.scan_of(AntennaArray.iwr1443(), column(jitter(seed, 30e-3)), [[0, 0, 0.3]])
        raw = rma.plan(flat, grid)(scan.read())
        mine = empm.plan(scan, grid, options=TAYLOR)(scan)
        best = empm.plan(scan, grid, options=REFERENCE)(scan)
        exact = point_response(Image(data=bpa.exact_image(scan.read(), scan.geometry, grid), grid=grid))
        found = point_response(Image(data=mine, grid=grid))
        shift = abs(found.position[1]) * 1e3
        values = [abs(image[5, 60, 0]) for image in (raw, mine, best)]
        rows.append([*values, found.width[1] / exact.width[1], shift, exact.value])
    raw, taylor, reference, width, shift, exact = np.mean(rows, axis=0)
    assert raw < 0.25 and 0.65 <= taylor <= 0.78 and width <= 1.25 and shift <= 1.5
    assert reference == pytest.approx(1, abs=5e-3) and exact == pytest.approx(1, abs=1e-3)


def test_adjoint_of_both_paths(lab, mimo):
    from mmsar.recon.operators import dot_test

    rng = np.random.default_rng(1)
    irregular = lab.monostatic(rng.uniform(-0.03, 0.03, (200, 3)) * [1, 1, 0.1])
    for geometry in (mimo.geometry, irregular):
        assert dot_test(empm.plan(geometry, VOLUME)) < 1e-4


def test_what_cannot_be_is_refused(mimo):
    with pytest.raises(GeometryError, match="in front"):
        empm.plan(mimo, VOLUME, options=ReconOptions(phase="taylor", z_ref=0.5))
    with pytest.raises(GeometryError, match="beyond the aperture"):
        empm.plan(mimo, ImageGrid(shape=(2, 2, 2), origin=(0, 0, -0.01), spacing=(1e-3, 1e-3, 5e-3)))
    with pytest.raises(DeviceError):
        empm.plan(mimo, VOLUME, device="cuda:99")


def test_more_frequencies_than_needed_change_nothing(lab):
    """64 samples compress to the same few frequencies as 16 of the same band."""
    image = {}
    for n in (16, 64):
        scan = lab.raster_scan(POINTS, shape=(16, 16), chirp=Chirp.stepped(77e9, 4e9 / n, n))
        plan = empm.plan(scan, VOLUME)
        assert plan.n_frequencies <= 13
        image[n] = lab.against_oracle(plan(scan), scan.read(), scan.geometry, VOLUME, POINTS)
        assert image[n].error_db < -40
