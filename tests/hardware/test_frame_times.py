"""The line through the stamps: jitter, stalls, drift, losses, steps of the clock; and what cannot be fitted."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.clocks import ClockPairs
from mmsar.hardware.timing import FrameClock, TriggeredClock, first_packet_delay, frame_clock

EPOCH = 1_700_000_000_000_000_000
PERIOD = 5e-3


def stamps(n: int, seed: int, *, drift_ppm: float = 30.0, lost: float = 0.05, period: float = PERIOD):
    """(frames, arrival, true start): exponential queueing of 0.2 ms, one frame in a hundred 20 ms late, some lost."""
    rng = np.random.default_rng(seed)
    k = np.arange(n)
    true = EPOCH + np.rint(k * period * (1 + drift_ppm * 1e-6) * 1e9).astype(np.int64)
    queue = rng.exponential(0.2e-3, n) + (rng.random(n) < 0.01) * 20e-3
    kept = rng.random(n) >= lost
    kept[[0, -1]] = True
    return k[kept], (true + np.rint(queue * 1e9).astype(np.int64))[kept], true


@pytest.mark.parametrize("n", [100, 1000, 20000])
@pytest.mark.parametrize("seed", range(5))
def test_frame_times_hold_the_bar(n: int, seed: int) -> None:
    k, arrival, true = stamps(n, seed)
    clock = FrameClock.fit(k, arrival, nominal_period=PERIOD)
    error = (clock.at(np.arange(n)) - true) / 1e9
    assert np.sqrt(np.mean(error**2)) < 50e-6
    assert abs(error.mean()) < 100e-6
    assert clock.bow < 100e-6
    if n >= 1000:
        assert clock.drift_ppm == pytest.approx(30, abs=2)
        assert clock.residual_median == pytest.approx(0.2e-3 * np.log(2), rel=0.2)
        assert clock.residual_max > 19e-3
        assert abs(error[n // 2]) < 5 * clock.sigma + 1e-6


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(100, 400),
    drift=st.floats(-100, 100),
    first=st.integers(0, 10**6),
    period=st.floats(1e-3, 0.1),
)
def test_any_period_drift_and_first_frame(seed: int, n: int, drift: float, first: int, period: float) -> None:
    k, arrival, true = stamps(n, seed, drift_ppm=drift, period=period)
    order = np.random.default_rng(seed).permutation(len(k))
    clock = FrameClock.fit((k + first)[order], arrival[order], nominal_period=period)
    error = (clock.at(np.arange(n) + first) - true) / 1e9
    assert abs(error.mean()) < 100e-6
    assert np.abs(error).max() < 300e-6
    assert (clock.at(k + first) <= arrival + 1).all()


def test_few_frames_are_kept_from_a_wild_drift() -> None:
    clock = FrameClock.fit([3, 4], [EPOCH, EPOCH + 5_400_000], nominal_period=PERIOD)
    assert abs(clock.drift_ppm) <= 200.001
    assert clock.at(3) <= EPOCH and clock.at(4) <= EPOCH + 5_400_000


def test_a_frame_time_is_exact_after_weeks() -> None:
    clock = FrameClock(t0_ns=EPOCH, period=PERIOD, nominal_period=PERIOD)
    assert int(clock.at(300_000_000)) - EPOCH == 1_500_000_000_000_000


def test_shifting_moves_and_drifts() -> None:
    clock = FrameClock(t0_ns=EPOCH, period=PERIOD, nominal_period=PERIOD).shifted(0.25, 40)
    assert int(clock.at(0)) == EPOCH + 250_000_000
    assert int(clock.at(200_000)) == EPOCH + 250_000_000 + 1000 * 10**9 + 40_000_000
    assert clock.drift_ppm == pytest.approx(40)


def test_stamps_that_are_too_early_or_bent_show() -> None:
    k, arrival, _ = stamps(2000, 1)
    early = arrival.copy()
    early[700] -= 5_000_000
    assert FrameClock.fit(k, early, nominal_period=PERIOD).bow > 2e-3
    bent = arrival + np.rint(2e6 * ((k - 1000) / 1000) ** 2).astype(np.int64)
    assert FrameClock.fit(k, bent, nominal_period=PERIOD).bow > 0.5e-3


def test_another_period_is_refused() -> None:
    k, arrival, _ = stamps(500, 2, period=5.05e-3)
    with pytest.raises(CaptureError, match=r"got a period of 5\.05.* wanted 5 ms"):
        FrameClock.fit(k, arrival, nominal_period=PERIOD)


@pytest.mark.parametrize(
    ("index", "arrival", "complaint"),
    [
        ([0], [EPOCH], "got 1 stamped"),
        ([1, 1], [EPOCH, EPOCH], "got 1 stamped"),
        ([0, 1], [EPOCH], "wanted one for each"),
    ],
)
def test_too_few_or_mismatched_stamps_are_refused(index, arrival, complaint) -> None:
    with pytest.raises(GeometryError, match=complaint):
        FrameClock.fit(index, arrival, nominal_period=PERIOD)


def config(**changes) -> SimpleNamespace:
    """What of a RadarConfig the clock uses."""
    values = {
        "n_loops": 4,
        "n_tx": 2,
        "chirp_time": 100e-6,
        "frame_bytes": 16384,
        "frame_period": PERIOD,
        "frame_active": 800e-6,
        "trigger": "software",
    }
    return SimpleNamespace(**(values | changes))


def test_slots_and_pose_times() -> None:
    clock = FrameClock(t0_ns=EPOCH, period=PERIOD, nominal_period=PERIOD)
    slots = clock.slots(config(), [0, 3])
    assert slots.shape == (2, 4, 2)
    assert (slots[0] - EPOCH == (np.arange(8).reshape(4, 2) * 100_000 + 50_000)).all()
    assert (slots[1] - slots[0] == 15_000_000).all()
    poses = clock.pose_times(config(), [0, 3])
    assert (poses == slots[:, :, 0].mean(axis=1)).all()


def test_a_first_packet_is_late_by_what_it_waits_for() -> None:
    delay = first_packet_delay(config(), np.arange(92), n_frames=92)
    assert delay[0] == pytest.approx(800e-6 * 1456 / 16384)
    held = (np.arange(92) * 16384 // 1456 + 1) * 1456 - np.arange(92) * 16384
    np.testing.assert_allclose(delay, 800e-6 * held / 16384)
    small = config(frame_bytes=512, frame_active=100e-6)
    delay = first_packet_delay(small, np.arange(5), n_frames=5)
    np.testing.assert_allclose(delay[:2], [2 * PERIOD + 100e-6 * (1456 - 1024) / 512, PERIOD + 100e-6 * 432 / 512])
    assert np.isnan(delay[3:]).all()
    assert np.isnan(first_packet_delay(config(frame_bytes=512, trigger="hardware"), np.arange(2))).all()


def test_a_recording_has_its_clock(monkeypatch) -> None:
    k, arrival, true = stamps(1000, 4)
    held = first_packet_delay(config(), np.arange(1000), n_frames=1000)
    all_stamps = np.full(1000, -1, np.int64)
    all_stamps[k] = arrival + np.rint(held[k] * 1e9).astype(np.int64)
    clock = frame_clock(all_stamps, config())
    error = (clock.at(np.arange(1000)) - true) / 1e9
    assert np.sqrt(np.mean(error**2)) < 50e-6 and clock.clock == "unix"
    triggered = frame_clock(all_stamps, config(trigger="hardware"))
    assert isinstance(triggered, TriggeredClock)
    np.testing.assert_allclose(triggered.at(k), arrival, atol=2)
    lost = int(np.setdiff1d(np.arange(1000), k)[0])
    with pytest.raises(GeometryError, match=f"first {lost}; leave them out"):
        triggered.at(np.arange(1000))


@pytest.mark.parametrize("step", [1_000_000_000, -300_000_000, 20_000_000])
def test_a_step_of_the_clock_does_not_bend_the_line(step: int) -> None:
    """CLOCK_REALTIME is set forth or back in mid-recording; pairs every second."""
    k, arrival, true = stamps(4000, 5)
    mono = arrival - EPOCH + 10**12
    at = 10**12 + 9_437_000_000
    real = np.where(mono >= at, arrival + step, arrival)
    pair_mono = np.arange(10**12 - 500_000_000, 10**12 + 22 * 10**9, 10**9)
    pair_real = np.where(pair_mono >= at, pair_mono + step, pair_mono) - 10**12 + EPOCH
    pairs = ClockPairs(realtime_ns=pair_real, monotonic_ns=pair_mono)
    assert pairs.steps == ((9, step),)
    stamped = np.full(4000, -1, np.int64)
    stamped[k] = real + np.rint(first_packet_delay(config(), k, n_frames=4000) * 1e9).astype(np.int64)
    clock = frame_clock(stamped, config(), pairs=pairs)
    assert clock.clock == "monotonic"
    error = (clock.at(np.arange(4000)) - (true - EPOCH + 10**12)) / 1e9
    assert np.sqrt(np.mean(error**2)) < 50e-6 and abs(error.mean()) < 100e-6
    without = frame_clock(stamped, config()) if abs(step) < 5e7 else None
    assert without is None or without.bow > 1e-3


@given(seed=st.integers(0, 10**6), step=st.integers(-(10**9), 10**9), slew=st.floats(-400e-6, 400e-6))
def test_a_certain_stamp_is_right(seed: int, step: int, slew: float) -> None:
    rng = np.random.default_rng(seed)
    mono = np.sort(rng.integers(0, 20 * 10**9, 500))
    pair_mono = np.arange(0, 21 * 10**9, 10**9)
    at = int(rng.integers(10**9, 19 * 10**9))

    def real(t: np.ndarray) -> np.ndarray:
        return EPOCH + t + np.rint(slew * t).astype(np.int64) + np.where(t >= at, step, 0)

    pairs = ClockPairs(realtime_ns=real(pair_mono), monotonic_ns=pair_mono)
    found, certain = pairs.to_monotonic(real(mono))
    if pairs.steps:
        assert np.abs(found - mono)[certain].max(initial=0) < 2000
        away = np.abs(mono - at) > 2 * 10**9 + abs(step)
        assert certain[away].all()
    else:
        assert abs(step) < 2_600_000


def test_pairs_from_events() -> None:
    events = [
        {"event": "clocks", "realtime_ns": EPOCH + 5, "monotonic_ns": 5},
        {"event": "status", "realtime_ns": EPOCH},
        {"event": "end", "realtime_ns": EPOCH + 9, "monotonic_ns": 9},
        {"event": "clocks", "realtime_ns": EPOCH + 5, "monotonic_ns": 5},
    ]
    assert ClockPairs.from_events(events).monotonic_ns.tolist() == [5, 9]
    assert ClockPairs.from_events(events[1:2]) is None


@pytest.mark.parametrize(
    ("real", "mono", "complaint"),
    [
        ([], [], "wanted whole nanoseconds"),
        ([1.5], [1.5], "wanted whole nanoseconds"),
        ([1, 2], [1], "pairs"),
        ([1, 2], [2, 2], "increase"),
    ],
)
def test_bad_pairs_are_refused(real, mono, complaint) -> None:
    with pytest.raises(GeometryError, match=complaint):
        ClockPairs(realtime_ns=np.array(real), monotonic_ns=np.array(mono))
