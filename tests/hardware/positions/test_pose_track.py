"""The track type: what it refuses, what it marks, and that it changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import GeometryError
from mmsar.hardware.positions.track import PoseTrack, longest_increasing

STILL = [0.0, 0.0, 0.0, 1.0]


def make(n: int = 4, **changes: object) -> PoseTrack:
    values = {
        "time_ns": np.arange(n) * 10**7,
        "position": np.zeros((n, 3)),
        "rotation": np.tile(STILL, (n, 1)),
    }
    return PoseTrack(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_ns": np.arange(4) * 1e7}, "whole nanoseconds"),
        ({"time_ns": np.array([], dtype=np.int64)}, "whole nanoseconds"),
        ({"time_ns": np.array([0, 2, 1, 3])}, "do not increase"),
        ({"time_ns": np.array([0, 1, 1, 3])}, "do not increase"),
        ({"position": np.zeros((3, 3))}, "position"),
        ({"rotation": np.zeros((4, 4))}, "unit quaternions"),
        ({"rotation": np.tile([0, 0, 0, 1.0011], (4, 1))}, "unit quaternions"),
        ({"position": np.full((4, 3), np.nan)}, "not finite"),
        ({"valid": np.ones(4)}, "bool"),
        ({"valid": np.ones(3, dtype=bool)}, "bool"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(GeometryError, match=message):
        make(**changes)


def test_is_frozen_and_normalised():
    track = make(rotation=np.tile([0, 0, 0, 1.0009], (4, 1)))
    assert track.rotation[0, 3] == 1.0
    for value in (track.time_ns, track.position, track.rotation, track.valid):
        with pytest.raises(ValueError, match="read-only"):
            value[0] = 0


def test_epoch_nanoseconds_survive():
    stamps = np.array([1_403_715_524_907_143_168, 1_403_715_524_907_143_169, 1_403_715_524_907_143_171])
    track = make(3, time_ns=stamps)
    assert track.time_ns.dtype == np.int64
    assert track.time_ns.tolist() == stamps.tolist()
    assert make(3, time_ns=stamps.astype(np.uint64)).time_ns.tolist() == stamps.tolist()


def test_from_log_marks_what_cannot_be_used():
    position, rotation = np.arange(21.0).reshape(7, 3), np.tile(STILL, (7, 1))
    position[1] = np.nan
    rotation[2] = [0, 0, 0, 0]
    rotation[3, 0] = np.nan
    time_ns = np.array([0, 1, 2, 3, 4, 4, 6])
    track = PoseTrack.from_log(time_ns, position, rotation, valid=[True] * 6 + [False])
    assert np.count_nonzero(track.valid) == 2
    assert track.valid[0]
    assert track.valid[4] != track.valid[5]
    np.testing.assert_array_equal(track.position, position)
    np.testing.assert_array_equal(track.time_ns, time_ns)


def test_rate_of_rounded_stamps():
    stamps = np.rint(np.arange(1000) / 360 * 1e6).astype(np.int64) * 1000
    assert make(1000, time_ns=stamps).rate == pytest.approx(360, rel=1e-5)
    assert np.isnan(make(1).rate)


def test_masked_and_shifted_leave_the_rest():
    track = make(clock="take", frame="lab", sigma=1e-4, source="here")
    masked = track.masked(np.array([1, 2]))
    assert masked.valid.tolist() == [True, False, False, True]
    assert track.valid.all()
    moved = masked.shifted(5_000_000_000, clock="unix")
    assert moved.time_ns[0] == 5_000_000_000
    assert (moved.clock, moved.frame, moved.sigma, moved.source) == ("unix", "lab", 1e-4, "here")
    assert [run.tolist() for run in masked.segments(0.02)] == [[0], [3]]
    assert [run.tolist() for run in masked.segments(0.03)] == [[0, 3]]


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=9))
def test_longest_increasing_is_longest(values):
    values = np.array(values)
    kept = longest_increasing(values)
    assert np.all(np.diff(kept) > 0)
    assert np.all(np.diff(values[kept]) > 0)
    best = 1
    for mask in range(1, 1 << len(values)):
        chosen = values[[i for i in range(len(values)) if mask >> i & 1]]
        if len(chosen) > best and np.all(np.diff(chosen) > 0):
            best = len(chosen)
    assert len(kept) == best
