"""Smoothing: takes noise away, leaves a hand's motion, says how much it took, refuses what would do harm or nothing."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.errors import GeometryError
from mmsar.hardware.positions.smooth import smooth


def test_noise_goes_and_tremor_stays(hand):
    noisy = hand.track(rate=360, noise=0.3e-3)
    smoothed, report = smooth(noisy, cutoff=15)
    s = (smoothed.time_ns - hand.start) / 1e9
    left = np.sqrt(np.mean(np.sum((smoothed.position - hand.position(s)) ** 2, axis=1)))
    assert left < 0.5 * 0.3e-3 * np.sqrt(3)
    assert report.position_rms == pytest.approx(0.3e-3 * np.sqrt(3), rel=0.1)
    assert report.position_worst > report.position_rms
    turn = (Rotation.from_quat(smoothed.rotation).inv() * hand.rotation(s)).magnitude()
    assert np.sqrt(np.mean(turn**2)) < 0.5 * 3e-3 * np.sqrt(3)
    assert "smoothed below 15 Hz" in smoothed.source


def test_cutoff_is_where_it_says(hand):
    """Half the power at the cut-off, within the accuracy of the rule for the window."""
    base = hand.track(rate=400, duration=4)
    s = base.seconds
    for cutoff in (15.0, 30.0):
        wave = 1e-3 * np.sin(2 * np.pi * cutoff * s)
        track = type(base)(
            time_ns=base.time_ns,
            position=np.stack([wave, 0 * s, 0 * s], axis=1),
            rotation=np.tile([0, 0, 0, 1.0], (len(s), 1)),
        )
        smoothed, _ = smooth(track, cutoff=cutoff)
        gain = np.std(smoothed.position[200:-200, 0]) / np.std(wave)
        assert np.sqrt(0.5) <= gain < 0.82


def test_gaps_stay_and_short_runs_are_counted(hand):
    track = hand.track(rate=200, noise=1e-4).masked(np.r_[300:320, 326:345])
    smoothed, report = smooth(track, cutoff=20)
    assert report.rows_lost == 6
    gap = (smoothed.time_ns > track.time_ns[299]) & (smoothed.time_ns < track.time_ns[345])
    assert not gap.any()
    assert not smoothed.at(track.time_ns[[310]]).valid[0]


@pytest.mark.parametrize(
    ("rate", "duration", "cutoff", "message"),
    [(200, 4, 10, "at least 15"), (30, 4, 20, "it would do nothing"), (200, 0.05, 15, "no run of")],
)
def test_refusals(hand, rate, duration, cutoff, message):
    with pytest.raises(GeometryError, match=message):
        smooth(hand.track(rate=rate, duration=duration), cutoff=cutoff)
