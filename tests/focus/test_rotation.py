"""The axis of rotation from the samples: millimetres recovered, honest errors, and what cannot be told is said."""

from dataclasses import replace

import numpy as np
import pytest

from mmsar.errors import GeometryError
from mmsar.focus.rotation import apply_rotation, fit_rotation
from mmsar.focus.rotation_result import RotationOptions
from mmsar.model import AntennaArray, Trajectory
from mmsar.simulate.noise import add_noise

QUIET = RotationOptions(progress=False, scatterers=6, channels=512)
SINGLE = AntennaArray.single()
STEPPED = 7.59e-3 * (np.arange(8) - 3.5)


def error(fit, **truth):
    """Errors of the fitted moves [m] and their sizes in stated errors, by name."""
    assert set(fit.moves) == set(truth)
    off = {name: fit.moves[name].value - value for name, value in truth.items()}
    return off, {name: abs(value) / fit.moves[name].sigma for name, value in off.items()}


@pytest.mark.parametrize(
    ("radial", "kwargs"),
    [
        (3e-3, {}),
        (-3e-3, {"array": SINGLE}),
        (4.7e-3, {"array": SINGLE, "points": [[0.07, 0, 0.02], [-0.02, 0, -0.09]]}),
        (-4.7e-3, {"span": np.pi / 2, "n": 128}),
        (3e-3, {"heights": STEPPED, "n": 128}),
        (-4.7e-3, {"heights": np.linspace(-0.06, 0.06, 32), "n": 128, "array": SINGLE}),
        (3e-3, {"amplitude": True, "pattern": 1.0}),
        (0.0, {}),
    ],
    ids="mimo siso two-points arc stepped siso-stepped shaded nothing-wrong".split(),
)
def test_radius_is_recovered(lab, radial, kwargs):
    fit = fit_rotation(lab.round_scan(radial=radial, **kwargs), options=QUIET)
    off, sizes = error(fit, radial=radial)
    assert abs(off["radial"]) < 0.2e-3 and sizes["radial"] < 4, (off, sizes)
    assert fit.radius.value == pytest.approx(0.25 + radial, abs=0.2e-3)
    assert fit.sigma_with_bias >= fit.moves["radial"].sigma
    before, after = fit.sharpness
    assert after > before if radial else after == pytest.approx(before, abs=1e-4)
    assert set(fit.not_fitted) == {"tangential", "height", "centre_x", "centre_z"}
    assert all("give a pin" in reason for reason in fit.not_fitted.values())


def test_scatterers_are_found_in_the_corrected_frame(lab):
    fit = fit_rotation(lab.round_scan(radial=3e-3, heights=STEPPED, n=128), options=QUIET)
    near = [np.linalg.norm(fit.scatterers - point, axis=1).min() for point in lab.points]
    assert max(near) < 0.2e-3


@pytest.mark.parametrize("kwargs", [{}, {"heights": STEPPED, "n": 128}], ids=["one turn", "stepped"])
def test_pin_tells_the_offsets(lab, kwargs):
    truth = {"radial": 1.5e-3, "tangential": 3e-3, "height": 2e-3}
    fit = fit_rotation(lab.round_scan(**truth, **kwargs), pin=lab.points[1], options=QUIET)
    off, sizes = error(fit, **truth)
    assert max(map(abs, off.values())) < 0.2e-3 and max(sizes.values()) < 4, (off, sizes)
    assert fit.turn.value == pytest.approx(np.arctan2(3e-3, 0.2515), abs=1e-3)
    assert fit.radius.value == pytest.approx(np.hypot(0.2515, 3e-3), abs=0.2e-3)
    assert set(fit.not_fitted) == {"centre_x", "centre_z"}


def test_pin_tells_the_centre_of_the_circle_instead(lab):
    truth = {"radial": -1e-3, "height": 2e-3, "centre_x": -2e-3, "centre_z": 3e-3}
    scan = lab.round_scan(**truth, heights=STEPPED, n=128)
    fit = fit_rotation(scan, pin=lab.points[1], options=replace(QUIET, unknown="centre"))
    off, sizes = error(fit, **truth)
    assert max(map(abs, off.values())) < 0.2e-3 and max(sizes.values()) < 4, (off, sizes)
    assert "second pin" in fit.not_fitted["tangential"] and fit.turn is None


def test_two_pins_tell_everything(lab):
    truth = {"radial": 1e-3, "tangential": 2e-3, "height": -1e-3, "centre_x": -2e-3, "centre_z": 1e-3}
    fit = fit_rotation(lab.round_scan(**truth, heights=STEPPED, n=128), pin=lab.points[1:3], options=QUIET)
    off, _ = error(fit, **truth)
    assert max(map(abs, off.values())) < 0.2e-3, off
    assert not fit.not_fitted


def test_a_shifted_circle_is_not_seen_without_a_pin(lab):
    fit = fit_rotation(lab.round_scan(centre_x=3e-3, centre_z=-2e-3), options=QUIET)
    assert abs(fit.moves["radial"].value) < 0.2e-3
    near = [np.linalg.norm(fit.scatterers - point + (3e-3, 0, -2e-3), axis=1).min() for point in lab.points]
    assert max(near) < 0.2e-3  # all that happens is that everything moves


def test_a_height_that_one_height_cannot_tell_is_not_fitted(lab):
    points = lab.points * (1, 0, 1)
    truth = {"radial": 1e-3, "tangential": -2e-3}
    fit = fit_rotation(lab.round_scan(points, array=SINGLE, **truth), pin=points[1], options=QUIET)
    off, _ = error(fit, **truth)
    assert max(map(abs, off.values())) < 0.2e-3, off
    assert "does not tell" in fit.not_fitted["height"]
    assert any("h^2 / 2 R" in note for note in fit.notes)


def test_targets_off_the_plane_of_one_height_are_within_the_stated_error(lab):
    """h^2 / 2 R of 10 mm is 0.2 mm, ten times what noise alone would state."""
    points = lab.points * (1, 0, 1) + (0, 10e-3, 0)
    scan = lab.round_scan(points, array=SINGLE, heights=[0.0])
    fit = fit_rotation(scan, options=QUIET)
    off, sizes = error(fit, radial=0.0)
    assert sizes["radial"] < 2 and not fit.significant, (off, sizes)
    assert fit.moves["radial"].sigma < 0.3e-3 and any("0.20 mm of the stated error" in note for note in fit.notes)
    bold = fit_rotation(scan, options=replace(QUIET, off_plane=0.1e-3)).moves["radial"]
    assert abs(bold.value) > 4 * bold.sigma  # said to be flat, it is taken at its word


def test_stated_errors_are_honest(lab):
    """Errors in stated errors over seeds and noise: none beyond 3, and not all tiny."""
    sizes = []
    for seed, snr in enumerate([-15, -15, -15, -10, -10, -10, -5, -5]):
        scan = lab.round_scan(lab.points[[2, 4]], radial=2e-3, array=SINGLE, n=192, snr=snr, seed=seed)
        fit = fit_rotation(scan, options=replace(QUIET, off_plane=0.1e-3))
        sizes.append((fit.moves["radial"].value - 2e-3) / fit.moves["radial"].sigma)
    assert max(map(abs, sizes)) < 3, sizes
    assert 0.3 < np.sqrt(np.mean(np.square(sizes))) < 2, sizes


def test_a_range_bias_comes_out_as_radius(lab):
    scan = lab.round_scan()
    biased = scan.with_signal(scan.read() * np.exp(2j * lab.chirp.k * 1e-3).astype(np.complex64))
    fit = fit_rotation(biased, options=QUIET)
    assert 0.1e-3 < fit.moves["radial"].value < 1.1e-3
    assert fit.sigma_with_bias > 1.05 * fit.moves["radial"].sigma


def test_corrected_scan_has_the_true_poses(lab):
    truth = {"radial": 1.5e-3, "tangential": 3e-3, "height": 2e-3}
    scan = lab.round_scan(**truth, heights=STEPPED, n=128)
    done = apply_rotation(scan, fit_rotation(scan, pin=lab.points[1], options=QUIET))
    ideal = Trajectory.turntable(128, 0.2515, heights=STEPPED + 2e-3)
    x, _, z = scan.trajectory.position.T
    along = np.stack([-z, 0 * x, x], axis=1) / np.hypot(x, z)[:, None]
    assert np.abs(done.trajectory.position - ideal.position - 3e-3 * along).max() < 0.1e-3
    np.testing.assert_array_equal(done.trajectory.rotation, scan.trajectory.rotation)
    step = done.attrs["history"][-1]
    assert step["step"] == "align rotation" and set(step["moves"]) == set(truth)
    again = fit_rotation(done, pin=lab.points[1], options=QUIET)
    assert all(abs(found.value) < 0.05e-3 for found in again.moves.values())


def test_images_of_the_corrected_scan_are_right_and_sharp(lab):
    """Exact back-projection at the true places, where it shows about 1 when all is well."""
    from mmsar.recon import bpa

    scan = lab.round_scan(radial=3e-3, tangential=4e-3, heights=STEPPED, n=128)
    done = apply_rotation(scan, fit_rotation(scan, pin=lab.points[1], options=QUIET))
    before, after = (np.abs(bpa.exact(s.read(), s.geometry, lab.points)) for s in (scan, done))
    assert before.max() < 0.6 and np.all(np.abs(after - 1) < 0.1)


def test_lost_channels_and_inverted_feeds_do_not_disturb(lab):
    array = AntennaArray.iwr1443()
    inverted = AntennaArray(tx=array.tx, rx=array.rx, polarity=np.where(np.arange(8).reshape(2, 4) % 3, 1, -1))
    scan = lab.round_scan(radial=3e-3, array=inverted)
    valid = np.random.default_rng(3).random(scan.shape[:3]) > 0.2
    scan = scan.with_signal(np.where(valid[..., None], scan.read(), 1e3 + 0j).astype(np.complex64), valid=valid)
    off, _ = error(fit_rotation(scan, options=QUIET), radial=3e-3)
    assert abs(off["radial"]) < 0.2e-3


def refusal(scan, **kwargs) -> str:
    kwargs.setdefault("options", QUIET)
    with pytest.raises(GeometryError) as stopped:
        fit_rotation(scan, **kwargs)
    text = str(stopped.value)
    assert "\n" not in text
    return text


def test_noise_is_refused(lab):
    scan = lab.round_scan(n=128, array=SINGLE)
    noise = add_noise(scan.read(), -80, rng=np.random.default_rng(0))
    assert "nothing in this scan is sharp" in refusal(scan.with_signal(noise))
    assert "is zero" in refusal(scan.with_signal(np.zeros(scan.shape, dtype=np.complex64)))


def test_pins_that_are_not_there_are_refused(lab):
    scan = lab.round_scan(n=128)
    assert "nothing bright within 5.0 mm of 40.0, 0.0, -60.0 mm" in refusal(scan, pin=[0.04, 0, -0.06])
    assert "inside the circle" in refusal(scan, pin=[0.3, 0, 0])
    assert "pin" in refusal(scan, pin=[0.04, 0])


def test_scans_that_are_not_round_are_refused(lab):
    from mmsar.simulate.forward import SimulationOptions, simulate
    from mmsar.simulate.scene import Scene

    flat = simulate(
        Scene.points([[0, 0, 0.3]]),
        chirp=lab.chirp,
        array=SINGLE,
        trajectory=Trajectory.raster((4, 20), (5e-3, 5e-3), z=0.01),
        options=SimulationOptions(progress=False),
    )
    assert "scan round a target" in refusal(flat)
    assert "an arc of" in refusal(lab.round_scan(n=32, array=SINGLE, span=np.deg2rad(10)))


def test_a_radius_that_the_scan_does_not_tell_is_refused(lab):
    scan = lab.round_scan([[0.002, 0, 0.0]], array=SINGLE, span=np.deg2rad(40), n=64, snr=-5)
    assert "cannot be told" in refusal(scan, options=replace(QUIET, search=1e-3))


def test_an_error_beyond_the_search_is_refused(lab):
    text = refusal(lab.round_scan(radial=3e-3), options=replace(QUIET, search=1e-3))
    assert "the edge of the search (+-1.0 mm)" in text


@pytest.mark.parametrize(
    ("kwargs", "complaint"),
    [
        ({"search": 0}, "search"),
        ({"search": float("nan")}, "search"),
        ({"unknown": "radius"}, "tangential, centre"),
        ({"extent": -1}, "extent"),
        ({"off_plane": 0}, "off_plane"),
        ({"scatterers": 0}, "scatterers"),
        ({"channels": 1.5}, "channels"),
    ],
)
def test_options_are_checked(kwargs, complaint):
    with pytest.raises(GeometryError, match=complaint):
        RotationOptions(**kwargs)


def test_a_search_wider_than_the_circle_is_refused(lab):
    options = replace(QUIET, search=0.1)
    assert "a quarter of the radius" in refusal(lab.round_scan(n=32, array=SINGLE), options=options)
