"""Real logs of other projects: what is truly in them is found, no more and no less."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mmsar.hardware.positions.check import checked
from mmsar.hardware.positions.sniff import sniff
from mmsar.hardware.positions.track import PoseTrack, read_track

DRONE = "Aug1Flight4.csv"
SWAPS = [[2], [4, 5, 6], [18], [8069], [12837, 12838]]
"""Rows of the drone log in which the body is solved with the wrong markers. Read off the log by eye: all steps of more
than 4 degrees in one frame of 2.8 ms (29 rad/s) are 2, 3, 4, 7, 18, 19, 8069, 12837, 12838, 12839; each goes out to
another pose (4 to 5 degrees and 3.5 to 5.5 mm off, at 35.66 s half a turn and 21 mm) or comes back from it."""


@pytest.fixture(scope="module")
def drone(real_log) -> PoseTrack:
    return read_track(real_log(DRONE))


def test_the_drone_log_as_read(drone):
    assert len(drone) == 14482
    assert np.flatnonzero(~drone.valid).tolist() == [25]
    assert drone.rate == pytest.approx(360, rel=1e-6)
    assert (drone.clock, drone.time_ns[1]) == ("take", 2_778_000)
    np.testing.assert_array_equal(drone.position[0], [-3.741007, 1.985799, -2.616457])
    np.testing.assert_allclose(drone.rotation[0], [0.024433, 0.095546, 0.008102, -0.995092], atol=1e-6)


def test_every_step_that_no_drone_can_make_is_in_a_swap(drone):
    q = drone.rotation[drone.valid]
    angle = np.degrees(2 * np.arccos(np.clip(np.abs(np.sum(q[1:] * q[:-1], axis=1)), 0, 1)))
    rows = np.flatnonzero(drone.valid)[1:][angle > 4]
    assert rows.tolist() == [2, 3, 4, 7, 18, 19, 8069, 12837, 12838, 12839]


def test_the_drone_logs_gap_and_swaps_are_found(drone):
    track, found = checked(drone)
    assert [one.rows.tolist() for one in found if one.what == "marker swap"] == SWAPS
    (gap,) = [one for one in found if one.what == "gap"]
    assert (gap.severity, gap.explanation) == ("note", "1 pose missing; bridged")
    assert gap.time == pytest.approx(24 / 360, abs=1e-5)
    assert gap.size == pytest.approx(2000 / 360, abs=0.01)
    assert set(Counter(one.what for one in found)) == {"marker swap", "gap", "outlier"}
    largest = max((one for one in found if one.what == "marker swap"), key=lambda one: one.size)
    assert largest.time == pytest.approx(35.6583, abs=1e-3)
    assert largest.size == pytest.approx(21, abs=2)
    assert np.count_nonzero(~track.valid) < 0.025 * len(track)
    np.testing.assert_array_equal(track.position, drone.position)


def test_the_drone_stays_on_its_path_through_the_swap(drone):
    track, _ = checked(drone)
    found = track.at(drone.time_ns[12837:12839])
    assert found.valid.all()
    straight = (drone.position[12836] + drone.position[12839]) / 2
    assert np.linalg.norm(found.position - straight, axis=1).max() < 3e-3
    assert np.abs(found.rotation @ drone.rotation[12836]).min() > np.cos(np.radians(2) / 2)


def test_a_zone_gives_the_drone_log_unix_time(real_log):
    track = read_track(real_log(DRONE), zone="America/New_York")
    assert (track.clock, track.time_ns[0]) == ("unix", 1_754_067_875_176_000_000)


def test_tum(real_log):
    track = read_track(real_log("freiburg1_xyz-groundtruth.txt"))
    assert (len(track), track.clock, int(track.valid.sum())) == (3000, "unix", 3000)
    assert track.time_ns[:2].tolist() == [1305031098665900000, 1305031098675800000]
    step = np.diff(track.time_ns)
    _, found = checked(track)
    gaps = [one for one in found if one.what == "gap"]
    assert len(gaps) == np.count_nonzero(step > 15_000_000) == 1
    assert gaps[0].size == pytest.approx(step.max() / 1e6)
    assert gaps[0].severity == "warning"
    assert set(Counter(one.what for one in found)) == {"gap", "outlier"}


def test_euroc(real_log):
    track = read_track(real_log("V102_groundtruth.csv.gz"))
    assert (len(track), track.time_ns[0]) == (16702, 1403715524907143168)
    assert track.rate == pytest.approx(200, rel=1e-6)
    np.testing.assert_allclose(track.rotation[0], [0.789985, -0.205376, 0.554528, 0.161996], atol=1e-5)
    _, found = checked(track)
    (sign,) = [one for one in found if one.what == "sign"]
    assert sign.size == np.count_nonzero(np.sum(track.rotation[1:] * track.rotation[:-1], axis=1) < 0) == 8
    assert set(Counter(one.what for one in found)) == {"sign", "outlier"}


def test_ros_transforms(real_log):
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    track = read_track(real_log("tf_example.bag"))
    assert (len(track), track.frame, track.clock) == (517, "odom", "unix")
    board = read_track(real_log("tf_example.bag"), body="base_link", frame="odom")
    offset = np.linalg.norm(board.position - track.position, axis=1)
    assert np.ptp(offset) < 1e-9
    _, found = checked(track)
    assert [(one.severity, one.what) for one in found] == [("error", "rate")]
    assert not track.at(track.time_ns[:1] + 1).valid.any()


def test_rigid_body_with_frames_out_of_order(real_log):
    track = read_track(real_log("Rigid_Body_02_Simple_Move.json.gz"))
    assert track.source.startswith("motive-json 'Rigid Body 1'")
    assert len(track) == 2016
    lost = np.flatnonzero(~track.valid)
    assert len(lost) == np.count_nonzero(np.diff(track.time_ns) <= 0) == 15
    _, found = checked(track)
    kinds = Counter(one.what for one in found)
    assert kinds["order"] == 15
    assert kinds["marker swap"] == kinds["jump"] == kinds["glitch"] == 0
    assert kinds["gap"] == np.count_nonzero(np.diff(track.time_ns[track.valid]) > 12_500_000)


@pytest.mark.parametrize("name", [DRONE, "freiburg1_xyz-groundtruth.txt", "V102_groundtruth.csv.gz"])
def test_quaternion_order_of_real_motion(real_log, name):
    track = read_track(real_log(name))
    assert "quaternion order" not in [one.what for one in checked(track)[1]]
    swapped = replace(track, rotation=track.rotation[:, [3, 0, 1, 2]])
    (one,) = [one for one in checked(swapped)[1] if one.what == "quaternion order"]
    assert one.size > 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (DRONE, "motive-csv"),
        ("freiburg1_xyz-groundtruth.txt", "tum"),
        ("V102_groundtruth.csv.gz", "euroc"),
        ("tf_example.bag", "rosbag"),
        ("Rigid_Body_02_Simple_Move.json.gz", "motive-json"),
    ],
)
def test_formats_are_known_by_their_marks(real_log, name, kind):
    found = sniff(real_log(name))
    assert found.kind == kind
    assert found.reason


def test_metres_read_from_millimetres_are_doubted(drone):
    found = checked(replace(drone, position=drone.position * 1000))[1]
    assert [one.unit for one in found if one.what == "units"] == ["m"]
