"""The forward model against a float64 sum written out in full, and what every option does to it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsar.constants import C0
from mmsar.errors import GeometryError, MmsarError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.forward import SimulationOptions, forward, simulate
from mmsar.simulate.scene import Scene

CHIRP = Chirp(f0=77e9, slope=4e9 * 2e6 / 64, fs=2e6, n_samples=64)
ARRAY = AntennaArray.iwr1443(3)


def direct(geometry, position, sigma):
    """s = sum_i sigma_i exp(+j k (R_tx + R_rx)) by numpy, complex128."""
    p = np.asarray(position)
    path = sum(
        np.linalg.norm(a[..., None, :] - p, axis=-1) for a in (geometry.tx_position, geometry.rx_position)
    )  # (pose, tx, rx, point)
    return np.einsum("ptrin,i->ptrn", np.exp(1j * geometry.chirp.k * path[..., None]), sigma)


def random_scene(n, seed=0, centre=(0, 0, 0.3), size=0.2):
    rng = np.random.default_rng(seed)
    sigma = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    return Scene.points(rng.uniform(-size / 2, size / 2, (n, 3)) + centre, sigma)


def hand(n=7, seed=3):
    return Trajectory.freehand((2, n), (9e-3, 30e-3), motion=(5e-3, 5e-3, 2e-2), rotation=0.3, seed=seed)


@pytest.mark.parametrize("n_point", [1, 63, 64, 65, 200])
def test_equals_the_written_out_sum(n_point):
    scene = random_scene(n_point)
    scan = simulate(scene, chirp=CHIRP, array=ARRAY, trajectory=hand())
    want = direct(scan.geometry, scene.position, scene.reflectivity)
    assert scan.signal.dtype == np.complex64
    assert np.abs(scan.signal - want).max() <= 1e-6 * np.abs(want).max()


@settings(deadline=None, max_examples=25)
@given(
    f0=st.floats(1e9, 300e9),
    bandwidth=st.floats(1e6, 3e10),
    n_samples=st.integers(1, 600),
    distance=st.floats(0.01, 50.0),
    seed=st.integers(0, 1000),
)
def test_equals_the_written_out_sum_for_any_waveform_and_range(f0, bandwidth, n_samples, distance, seed):
    chirp = Chirp.stepped(f0, bandwidth / n_samples, n_samples)
    scene = random_scene(5, seed, (0.1, -0.05, distance + 0.2))
    scan = simulate(scene, chirp=chirp, array=AntennaArray.single(0.05), trajectory=hand(2, seed))
    want = direct(scan.geometry, scene.position, scene.reflectivity)
    assert np.abs(scan.signal - want).max() <= 1e-5 * np.abs(scene.reflectivity).sum()


@pytest.mark.parametrize("distance", [0.1, 0.5, 1.0])
def test_beat_sign_and_range(distance):
    """A point at R peaks at R in the matched range profile, sum_n s_n exp(-j k_n 2 R)."""
    scan = simulate(
        Scene.points([[0, 0, distance]]),
        chirp=CHIRP,
        array=AntennaArray.single(),
        trajectory=Trajectory.linear(1, 1e-3),
    )
    n_fft = 16 * 64
    profile = np.abs(np.fft.fft(scan.signal[0, 0, 0], n_fft))
    peak = np.argmax(profile) * C0 / (2 * CHIRP.step * n_fft)
    assert peak == pytest.approx(distance, abs=CHIRP.range_resolution / 16)
    assert profile.max() == pytest.approx(64, rel=0.01)


def test_far_points_are_not_left_out():
    """Every sample of a point beyond the unambiguous range has its full size."""
    scan = simulate(
        Scene.points([[0, 0, 3 * CHIRP.range_max]], 2.0),
        chirp=CHIRP,
        array=AntennaArray.single(),
        trajectory=Trajectory.linear(2, 1e-3),
    )
    np.testing.assert_allclose(np.abs(scan.signal), 2.0, rtol=1e-6)


def test_linear_in_the_scene():
    a, b = random_scene(40, 1), random_scene(70, 2)
    run = lambda scene: simulate(scene, chirp=CHIRP, array=ARRAY, trajectory=hand()).signal  # noqa: E731
    both = run(a.scaled(2 - 1j) + b)
    np.testing.assert_allclose(both, (2 - 1j) * run(a) + run(b), atol=2e-5 * np.abs(both).max())


@settings(deadline=None, max_examples=20)
@given(x=st.floats(-0.2, 0.2), y=st.floats(-0.2, 0.2), z=st.floats(0.05, 1.0), baseline=st.floats(0.0, 0.3))
def test_exchanging_transmitter_and_receiver_changes_nothing(x, y, z, baseline):
    point = Scene.points([[x, y, z]])
    there = AntennaArray(tx=[[baseline, 0, 0]], rx=[[0, 0.01, 0]])
    back = AntennaArray(tx=there.rx, rx=there.tx)
    options = SimulationOptions(amplitude=True, pattern=1.0)
    signals = [simulate(point, chirp=CHIRP, array=a, trajectory=hand(1), options=options).signal for a in (there, back)]
    np.testing.assert_allclose(signals[0], signals[1], rtol=1e-6, atol=1e-5)


def test_amplitude_is_the_product_of_both_distances_times_reflectivity():
    scene = Scene.points([[0.02, 0.03, 0.4]], 3 - 4j)
    array = AntennaArray(tx=[[0.05, 0, 0]], rx=[[-0.1, 0, 0]])
    trajectory = Trajectory.linear(3, 0.05)
    with_loss = simulate(
        scene, chirp=CHIRP, array=array, trajectory=trajectory, options=SimulationOptions(amplitude=True)
    )
    without = simulate(scene, chirp=CHIRP, array=array, trajectory=trajectory)
    product = np.prod(
        [np.linalg.norm(p - scene.position[0], axis=-1) for p in (with_loss.tx_position, with_loss.rx_position)], axis=0
    )
    np.testing.assert_allclose(np.abs(without.signal), 5.0, rtol=1e-5)
    np.testing.assert_allclose(with_loss.signal * product[..., None], without.signal, rtol=1e-5, atol=1e-5)


def test_pattern_follows_the_turned_board():
    """cos^2 for each way, about the board's own +z; nothing behind it."""
    angle = 0.4
    turned = Trajectory(
        time=[0.0, 1.0, 2.0],
        position=np.zeros((3, 3)),
        rotation=[[0, 0, 0, 1], [0, np.sin(angle / 2), 0, np.cos(angle / 2)], [0, 1, 0, 0]],
    )
    scan = simulate(
        Scene.points([[0, 0, 0.5]]),
        chirp=CHIRP,
        array=AntennaArray.single(),
        trajectory=turned,
        options=SimulationOptions(pattern=2.0),
    )
    size = np.abs(scan.signal[:, 0, 0, 0])
    np.testing.assert_allclose(size, [1.0, np.cos(angle) ** 4, 0.0], rtol=1e-5, atol=1e-7)


def test_normals_face_the_radar():
    """Lambert: amplitude sqrt(cos cos) from the front, nothing from behind, all sides where the normal is zero."""
    s = np.sqrt(0.5)
    normal = [[0, 0, -1], [s, 0, -s], [0, 0, 1], [0, 0, 0]]
    for row, want in zip(normal, (1.0, s, 0.0, 1.0), strict=True):
        scene = Scene(position=[[0, 0, 0.5]], normal=[row])
        scan = simulate(scene, chirp=CHIRP, array=AntennaArray.single(), trajectory=Trajectory.linear(1, 1e-3))
        np.testing.assert_allclose(np.abs(scan.signal), want, rtol=1e-6, atol=1e-7)


def test_polarity_turns_the_sign_and_invalid_channels_are_zero():
    scene, trajectory = random_scene(10), hand()
    plain = AntennaArray.iwr1443()
    polarity = np.ones((2, 4))
    polarity[1, 2] = -1
    flipped = AntennaArray(tx=plain.tx, rx=plain.rx, polarity=polarity)
    a = simulate(scene, chirp=CHIRP, array=plain, trajectory=trajectory)
    b = simulate(scene, chirp=CHIRP, array=flipped, trajectory=trajectory)
    np.testing.assert_array_equal(b.signal, a.signal * polarity[:, :, None].astype(np.float32))
    weight = np.full(a.shape[:3], 0.5)
    weight[2, 0, 1] = 0
    lost = forward(a.geometry.replace(weight=weight), scene)
    assert not lost[2, 0, 1].any()
    np.testing.assert_array_equal(lost[weight != 0], a.signal[weight != 0])


def test_tdm_slots_move_the_board():
    """At v = 1 m/s a slot 100 us later sees the board 0.1 mm on: the signal of a board shifted by that."""
    trajectory = Trajectory.linear(6, 5e-3, period=5e-3)
    scene = random_scene(20)
    array = AntennaArray.iwr1443()
    moved = simulate(
        scene, chirp=CHIRP, array=array, trajectory=trajectory, options=SimulationOptions(tx_delay=(0, 1e-4))
    )
    shifted = Trajectory(time=trajectory.time, position=trajectory.position + np.array([1e-4, 0, 0]))
    still, late = (simulate(scene, chirp=CHIRP, array=array, trajectory=t) for t in (trajectory, shifted))
    scale = np.abs(still.signal).max()
    np.testing.assert_array_equal(moved.signal[:, 0], still.signal[:, 0])
    np.testing.assert_allclose(moved.signal[:, 1], late.signal[:, 1], atol=1e-5 * scale)
    assert np.abs(moved.signal[:, 1] - still.signal[:, 1]).max() > 0.05 * scale
    np.testing.assert_allclose(moved.tx_delay, [0, 1e-4])


def test_rvp_is_the_dechirped_quadratic_phase():
    scene = Scene.points([[0, 0, 0.9]])
    kw = {"chirp": CHIRP, "array": AntennaArray.single(), "trajectory": Trajectory.linear(1, 1e-3)}
    off = simulate(scene, **kw).signal
    on = simulate(scene, **kw, options=SimulationOptions(rvp=True)).signal
    tau = 2 * 0.9 / C0
    np.testing.assert_allclose(np.angle(on / off), -np.pi * CHIRP.slope * tau**2, atol=1e-5)


def test_turntable_sees_a_point_on_the_axis_equally():
    trajectory = Trajectory.turntable(12, 0.25, heights=[-0.01, 0.02])
    scan = simulate(
        Scene.points([[0, 0, 0]]),
        chirp=CHIRP,
        array=AntennaArray.single(4e-3),
        trajectory=trajectory,
        options=SimulationOptions(pattern=1.0),
    )
    rows = scan.signal.reshape(2, 12, 64)
    np.testing.assert_allclose(rows, np.broadcast_to(rows[:, :1], rows.shape), atol=1e-5)
    assert np.abs(rows).min() > 0.98


def test_position_errors_move_the_world_not_the_record():
    trajectory = hand(20)
    scene = random_scene(10)
    options = SimulationOptions(position_error=(1e-4, 0, 2e-4), position_jitter=(0, 5e-5, 0), drift=(0, 0, 1e-3))
    kw = {"chirp": CHIRP, "array": ARRAY, "trajectory": trajectory}
    wrong = simulate(scene, **kw, options=options)
    np.testing.assert_array_equal(wrong.trajectory.position, trajectory.position)
    assert np.abs(wrong.signal - simulate(scene, **kw).signal).max() > 1


def test_same_seed_same_samples_and_separate_streams():
    scene = random_scene(10)
    kw = {"chirp": CHIRP, "array": ARRAY, "trajectory": hand()}
    run = lambda **o: simulate(scene, **kw, options=SimulationOptions(**o)).signal  # noqa: E731
    full = {"snr_db": 10.0, "position_error": (1e-4, 1e-4, 1e-4), "position_jitter": (1e-5, 0, 0)}
    np.testing.assert_array_equal(run(**full, seed=5), run(**full, seed=5))
    assert not np.array_equal(run(**full, seed=5), run(**full, seed=6))
    quiet = {k: v for k, v in full.items() if k != "snr_db"}
    noise = run(**full, seed=5) - run(**quiet, seed=5)
    level = np.mean(np.abs(noise) ** 2) / np.mean(np.abs(run(**quiet, seed=5)) ** 2)
    assert 10 * np.log10(level) == pytest.approx(-10, abs=0.3)


def test_chunks_do_not_change_the_result(monkeypatch):
    scene, kw = random_scene(30), {"chirp": CHIRP, "array": ARRAY, "trajectory": hand()}
    whole = simulate(scene, **kw).signal
    monkeypatch.setattr("mmsar.simulate.forward._CHUNK", 30 * 64 * 5)
    np.testing.assert_array_equal(simulate(scene, **kw, options=SimulationOptions(amplitude=False)).signal, whole)


def test_cancelling_stops_between_chunks(monkeypatch):
    def stop(items, *_, **__):
        yield next(iter(items))
        raise KeyboardInterrupt

    monkeypatch.setattr("mmsar.simulate.forward._CHUNK", 1)
    monkeypatch.setattr("mmsar.simulate.forward.progress", stop)
    with pytest.raises(KeyboardInterrupt):
        simulate(random_scene(3), chirp=CHIRP, array=ARRAY, trajectory=hand())


def test_history_says_what_was_simulated_in_json_values():
    import json

    scan = simulate(
        random_scene(3), chirp=CHIRP, array=ARRAY, trajectory=hand(), options=SimulationOptions(seed=4, pattern=1)
    )
    (step,) = scan.attrs["history"]
    assert (step["step"], step["n_points"], step["seed"], step["pattern"]) == ("simulate", 3, 4, 1.0)
    assert json.loads(json.dumps(step)) == step


def test_refusals_are_clear():
    kw = {"chirp": CHIRP, "array": ARRAY, "trajectory": hand()}
    with pytest.raises(GeometryError, match="away from the antennas"):
        simulate(
            Scene.points([[0, 0, 0]]),
            chirp=CHIRP,
            array=AntennaArray.single(),
            trajectory=Trajectory.linear(1, 1e-3),
            options=SimulationOptions(amplitude=True),
        )
    with pytest.raises(MmsarError, match="raise the memory budget"):
        simulate(random_scene(1), **kw, options=SimulationOptions(memory=1000))
    with pytest.raises(GeometryError, match=r"tx_delay: got shape \(2,\), wanted \(3\)"):
        simulate(random_scene(1), **kw, options=SimulationOptions(tx_delay=(0, 1e-4)))
    with pytest.raises(GeometryError, match="forward board"):
        forward(simulate(random_scene(1), **kw).geometry, random_scene(1), board=np.ones((2, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pattern": "dipole"}, "pattern: got 'dipole', wanted isotropic"),
        ({"pattern": -1.0}, "pattern"),
        ({"snr_db": float("nan")}, "snr_db.*dB"),
        ({"position_error": (1, 2)}, r"position_error: got shape \(2,\)"),
        ({"error_cycles": 0}, "error_cycles"),
        ({"seed": -1}, "seed: got -1"),
        ({"seed": 1.5}, "seed: got 1.5"),
        ({"drift": (np.inf, 0, 0)}, "drift.*finite"),
    ],
)
def test_options_check_themselves(change, message):
    with pytest.raises(GeometryError, match=message):
        replace(SimulationOptions(), **change)


def test_the_public_name_is_callable_however_it_was_imported():
    import mmsar
    import mmsar.simulate.scene

    scan = mmsar.simulate(random_scene(1), chirp=CHIRP, array=ARRAY, trajectory=hand())
    assert scan.shape == (14, 3, 4, 64)
