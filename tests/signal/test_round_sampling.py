"""The sampling report of apertures round the y axis: what aliases, what is resolved, what the compensation leaves."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import j0

from mmsar.constants import C0
from mmsar.model import AntennaArray, Chirp, Scan, Trajectory
from mmsar.signal.cylinder import cylinder_of
from mmsar.signal.round_residual import residual_map
from mmsar.signal.round_sampling import FULL_CIRCLE, round_sampling
from mmsar.signal.sampling import sampling_report

CHIRP = Chirp.stepped(77e9, 4e9 / 8, 8)
LAM = CHIRP.wavelength
K = 2 * np.pi / LAM
STEP = 2 * C0 / 79e9
"""Heights of an IWR1443 whose turns join [m]."""


def scan_of(trajectory: Trajectory, array: AntennaArray | None = None, **changes) -> Scan:
    array = array or AntennaArray.single()
    signal = np.zeros((len(trajectory), array.n_tx, array.n_rx, 8), np.complex64)
    return Scan(signal=signal, chirp=CHIRP, array=array, trajectory=trajectory, **changes)


def test_a_well_sampled_cylinder_has_no_warnings_of_a_plane() -> None:
    scan = scan_of(Trajectory.turntable(360, 0.25, heights=(np.arange(8) - 3.5) * STEP), AntennaArray.iwr1443())
    report = sampling_report(scan)
    assert report.warnings == () and report.x is None and report.y is None
    found = report.round
    assert found.radius == pytest.approx(0.25) and found.deviation < 1e-9 and found.closed
    assert found.step == pytest.approx(np.deg2rad(1)) and found.height.pitch == pytest.approx(STEP / 8)
    assert found.alias_radius == pytest.approx(C0 / CHIRP.f.max() / (4 * np.deg2rad(1)))
    assert found.height.resolution == pytest.approx(LAM * 0.25 / (2 * found.height.extent))
    json.dumps(report.to_dict())


def test_a_plane_has_no_cylinder() -> None:
    assert sampling_report(scan_of(Trajectory.raster((9, 40), (0.9e-3, 0.9e-3), z=-0.3))).round is None


def test_full_circle_resolution_is_the_width_of_the_bessel_function() -> None:
    """The image of a point on a full circle at one frequency, summed from its angles, against the reported width."""
    a = np.arange(2000) * 2 * np.pi / 2000
    x = np.linspace(0, 0.2 * LAM, 2001)
    shape = np.abs(np.exp(2j * K * np.cos(a)[:, None] * x).mean(axis=0))
    np.testing.assert_allclose(shape, np.abs(j0(2 * K * x)), atol=1e-9)
    width = 2 * np.interp(-np.sqrt(0.5), -shape, x)
    found = round_sampling(scan_of(Trajectory.turntable(720, 0.25)))
    assert found.resolution_across == pytest.approx(width, rel=1e-3)
    assert found.resolution_across == found.resolution_along == pytest.approx(0.18 * LAM, rel=0.01)
    assert pytest.approx(0.18, rel=0.01) == FULL_CIRCLE


@settings(max_examples=10)
@given(span=st.floats(0.1, 1.0), start=st.floats(-3, 3))
def test_arc_resolution_is_where_its_point_response_falls_to_zero(span: float, start: float) -> None:
    found = round_sampling(scan_of(Trajectory.turntable(400, 0.5, start=start, span=span)))
    assert not found.closed and found.span == pytest.approx(span, rel=0.01)
    assert (found.start - start + 1) % (2 * np.pi) == pytest.approx(1, abs=0.01)
    u = np.linspace(-span / 2, span / 2, 4000)
    across = np.abs(np.mean(np.exp(2j * K * np.sin(u) * found.resolution_across) * np.cos(u)))
    assert across < 0.02  # even over the sines: a sinc, whose first zero is the resolution
    assert found.resolution_across == pytest.approx(LAM / (4 * np.sin(span / 2)), rel=0.02)
    depth = 2 * CHIRP.k.max() - 2 * CHIRP.k.min() * np.cos(span / 2)
    assert found.resolution_along == pytest.approx(2 * np.pi / depth, rel=0.05)


def test_wider_arcs_never_resolve_less() -> None:
    spans = np.deg2rad([20, 90, 170, 190, 270, 350])
    found = [round_sampling(scan_of(Trajectory.turntable(720, 0.25, span=s))) for s in spans]
    full = round_sampling(scan_of(Trajectory.turntable(720, 0.25)))
    for name in ("resolution_across", "resolution_along"):
        values = [getattr(f, name) for f in [*found, full]]
        assert np.all(np.diff(values) <= 1e-12) and values[-2] < 1.5 * values[-1]


def test_coarse_heights_and_angles_are_explained() -> None:
    coarse = sampling_report(scan_of(Trajectory.turntable(360, 0.25, heights=np.arange(9) * 3e-3)))
    (text,) = coarse.warnings
    assert "heights: pitch 3.00 mm is above lambda/2 = 1.9" in text and "ghosts at 39" in text
    quarter = sampling_report(scan_of(Trajectory.turntable(360, 0.25, heights=np.arange(9) * 1.5e-3))).warnings
    assert len(quarter) == 1 and "above lambda/4" in quarter[0] and "lambda/2" not in quarter[0]
    few = sampling_report(scan_of(Trajectory.turntable(90, 0.25))).warnings
    assert len(few) == 1 and "a step of 4 degrees images without ghosts only what is within 13 mm" in few[0]


def test_gaps_between_heights_are_told_with_their_place() -> None:
    """The union of the virtual arrays counts: 40 mm less the array's 6.6 mm, and turns left out of many."""
    two = round_sampling(scan_of(Trajectory.turntable(90, 0.25, heights=[0.0, 0.04]), AntennaArray.iwr1443()))
    ((low, high),) = two.gaps
    assert (low, high) == pytest.approx((3.5 * STEP / 8, 0.04 - 3.5 * STEP / 8))
    assert two.warnings[0].startswith(
        "heights: a gap of 33.4 mm from y = 3.3 to 36.7 mm between antennas 0.95 mm apart"
    )
    left_out = np.delete(np.arange(20), [6, 13, 14]) * STEP
    many = round_sampling(scan_of(Trajectory.turntable(90, 0.25, heights=left_out), AntennaArray.iwr1443()))
    assert [high - low for low, high in many.gaps] == pytest.approx([STEP + STEP / 8, 2 * STEP + STEP / 8])
    assert any(text.startswith("heights: 2 gaps, the widest of 16.1 mm from y = 94.4") for text in many.warnings)
    joined = np.arange(20) * STEP
    assert round_sampling(scan_of(Trajectory.turntable(90, 0.25, heights=joined), AntennaArray.iwr1443())).gaps == ()
    coarse = np.array([0.0, 3.0, 6.0, 9.0, 30.0, 33.0]) * 1e-3  # beside the warning of a coarse pitch
    texts = round_sampling(scan_of(Trajectory.turntable(90, 0.25, heights=coarse))).warnings
    assert "pitch 3.00 mm" in texts[0] and "a gap of 21.0 mm from y = 9.0 to 30.0 mm" in texts[1]
    jittered = np.repeat(joined, 90) + np.random.default_rng(0).uniform(-1e-3, 1e-3, 1800)
    angle = np.tile(np.arange(90) * 2 * np.pi / 90, 20)
    assert round_sampling(scan_of(Trajectory.around(angle, 0.25, height=jittered), AntennaArray.iwr1443())).gaps == ()


def test_angles_closer_than_the_alias_rule_tell_points_apart() -> None:
    """At the reported radius the echo turns by half a turn from angle to angle, the most that is unambiguous."""
    found = round_sampling(scan_of(Trajectory.turntable(360, 0.25)))
    assert 2 * CHIRP.k.max() * found.alias_radius * found.step == pytest.approx(np.pi)


def test_jitter_of_every_turn_leaves_the_step_what_it_is() -> None:
    rng = np.random.default_rng(3)
    angle = np.concatenate([(np.arange(360) + rng.uniform(-0.3, 0.3, 360)) * np.pi / 180 for _ in range(12)])
    found = round_sampling(scan_of(Trajectory.around(angle, 0.25, height=np.repeat(np.arange(12) * 0.9e-3, 360))))
    assert found.closed and found.step == pytest.approx(np.deg2rad(1), rel=0.05)
    assert found.height.pitch == pytest.approx(0.9e-3) and found.warnings == ()


def test_a_helix_has_the_pitch_of_its_thread() -> None:
    angle = np.arange(40 * 360) * np.deg2rad(1)
    found = round_sampling(scan_of(Trajectory.around(angle, 0.05, height=angle * 0.9e-3 / (2 * np.pi))))
    assert found.step == pytest.approx(np.deg2rad(1), rel=1e-3) and found.height.pitch == pytest.approx(
        0.9e-3, rel=0.01
    )


def exact_residual(scan: Scan, rho: float, y: float = 0.0) -> float:
    """Largest phase over every pose, pair and 90 points of the circle, from the formula of the compensation."""
    around = np.arange(90) * 2 * np.pi / 90
    virtual = scan.virtual_position
    worst = 0.0
    for point in np.stack([rho * np.cos(around), 0 * around + y, rho * np.sin(around)], axis=1):
        legs = [np.linalg.norm(point - of, axis=-1) for of in (scan.tx_position, scan.rx_position)]
        axis = [np.linalg.norm(of, axis=-1) for of in (scan.tx_position, scan.rx_position, virtual)]
        left = sum(legs) - 2 * np.linalg.norm(point - virtual, axis=-1) - (axis[0] + axis[1] - 2 * axis[2])
        worst = max(worst, K * float(np.abs(left).max()))
    return worst


def test_residual_of_the_compensation_is_that_of_the_paper() -> None:
    """IWR1443 at 0.25 m: under 25 degrees to 100 mm; and equal to a sum over all pairs that knows no cylinder."""
    scan = scan_of(Trajectory.turntable(180, 0.25, heights=[-STEP, STEP]), AntennaArray.iwr1443())
    found = round_sampling(scan)
    assert [one.rho for one in found.residual] == [0.025, 0.05, 0.1]
    degrees = np.rad2deg([one.phase for one in found.residual])
    assert np.all(np.diff(degrees) > 0) and 5 < degrees[1] < 10 and 15 < degrees[2] < 25
    assert np.deg2rad(degrees[2]) == pytest.approx(exact_residual(scan, 0.1), rel=0.01)
    assert not any("compensating" in text for text in found.warnings)
    near = round_sampling(scan_of(Trajectory.turntable(180, 0.12), AntennaArray.iwr1443()))
    assert any("leaves 4" in text and "at 50 mm from the axis, y = 1 mm: use bpa" in text for text in near.warnings), (
        near.warnings
    )


def test_residual_over_height_is_told_where_it_is_largest() -> None:
    """docs/methods.md: 64 heights two wavelengths apart at 0.25 m, 100 mm off the axis: below 25 degrees to 65."""
    table = Trajectory.turntable(12, 0.25, heights=(np.arange(64) - 31.5) * STEP)
    scan = scan_of(table, AntennaArray.iwr1443())
    cylinder = cylinder_of(scan.geometry)
    y = np.array([-0.1, -0.075, -0.065, 0.0, 0.065, 0.075, 0.1])
    (degrees,) = np.rad2deg(residual_map(scan.geometry, cylinder, [0.1], y))
    exact = np.rad2deg([exact_residual(scan, 0.1, at) for at in y])
    np.testing.assert_allclose(degrees, exact, rtol=0.02)
    assert np.all((degrees < 25) == (np.abs(y) < 0.07)) and degrees[[0, -1]] == pytest.approx(28, abs=0.5)
    found = round_sampling(scan).residual[-1]
    assert found.rho == 0.1 and np.rad2deg(found.phase) == pytest.approx(21, abs=0.2)
    assert abs(found.most_height) == pytest.approx(0.242, abs=1e-3)  # the end of the antennas' heights
    assert np.rad2deg(found.most) == pytest.approx(41, abs=1)
    assert found.most == pytest.approx(exact_residual(scan, 0.1, found.most_height), rel=0.02)
    low = scan_of(Trajectory.turntable(12, 0.25, heights=(np.arange(16) - 7.5) * STEP), AntennaArray.iwr1443())
    assert np.rad2deg(round_sampling(low).residual[-1].most) == pytest.approx(23.4, abs=0.2)


def test_residual_is_nothing_on_the_axis_and_without_separation() -> None:
    scan = scan_of(Trajectory.turntable(60, 0.25), AntennaArray.iwr1443())
    cylinder = cylinder_of(scan.geometry)
    assert residual_map(scan.geometry, cylinder, [0.0])[0] < 1e-6
    taylor = residual_map(scan.geometry, cylinder, [0.0, 0.1], phase="taylor")
    assert 0 < taylor[0] < np.deg2rad(2) and taylor[1] < np.deg2rad(25)
    alone = scan_of(Trajectory.turntable(60, 0.25))
    assert residual_map(alone.geometry, cylinder_of(alone.geometry), [0.1])[0] < 1e-6


def test_a_far_field_scan_is_not_judged_by_its_nominal_radius() -> None:
    arc = Trajectory.turntable(300, 1.0, span=np.deg2rad(3.375))
    scan = scan_of(arc, AntennaArray.single(0.5), attrs={"far_field": True})
    report = sampling_report(scan)
    assert report.round.far_field and report.round.residual == () and report.warnings == ()
    assert any("monostatic" in text for text in sampling_report(scan_of(arc, AntennaArray.single(0.5))).warnings)
