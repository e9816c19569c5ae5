"""Vicon Nexus CSV: blocks, lost frames, units, and rotations whose kind must be declared."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.errors import FormatError
from mmsar.hardware.positions.track import read_track

TURN = Rotation.from_rotvec([0.3, -1.2, 0.5])


def text(*, angles: np.ndarray, unit: str = "deg", bodies: tuple[str, ...] = ("rig:board",), rate: str = "100") -> str:
    """Segments of four frames (the second blank, the third zero) and two markers below."""
    turn = ",".join(f"{a:.10f}" for a in angles)
    lines = ["Segments", rate, ",," + ",,,,,,".join(bodies) + ",,,,,"]
    lines.append("Frame,Sub Frame" + ",RX,RY,RZ,TX,TY,TZ" * len(bodies))
    lines.append("," + f",{unit},{unit},{unit},mm,mm,mm" * len(bodies))
    for frame in range(4):
        cells = []
        for i in range(len(bodies)):
            there = f"{turn},{100 * i + frame},200,300"
            cells.append({1: ",,,,,", 2: "0,0,0,0,0,0"}.get(frame, there))
        lines.append(f"{frame + 1},0," + ",".join(cells))
    lines += ["", "Trajectories", "200", ",,rig:m1,,,rig:m2,,", "Frame,Sub Frame,X,Y,Z,X,Y,Z", ",,mm,mm,mm,mm,mm,mm"]
    lines += [f"{frame},0,1,2,3,4,5,{frame}" for frame in range(1, 4)]
    return "\n".join(lines) + "\n"


def log(folder: Path, content: str) -> Path:
    path = folder / "nexus.csv"
    path.write_text(content, encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("kind", "angles", "unit"),
    [
        ("helical", np.degrees(TURN.as_rotvec()), "deg"),
        ("helical", TURN.as_rotvec(), "rad"),
        ("euler-xyz", TURN.as_euler("XYZ", degrees=True), "deg"),
        ("euler-xyz-fixed", TURN.as_euler("xyz", degrees=True), "deg"),
    ],
)
def test_rotations_as_declared(tmp_path, kind, angles, unit):
    track = read_track(log(tmp_path, text(angles=angles, unit=unit)), rotation=kind)
    assert track.valid.tolist() == [True, False, False, True]
    assert (Rotation.from_quat(track.rotation[track.valid]) * TURN.inv()).magnitude().max() < 1e-8
    np.testing.assert_allclose(track.position[3], [0.003, 0.2, 0.3])
    assert track.time_ns.tolist() == [10_000_000, 20_000_000, 30_000_000, 40_000_000]
    assert (track.clock, track.rotation_measured) == ("take", True)


def test_rotation_must_be_declared(tmp_path):
    path = log(tmp_path, text(angles=[1, 2, 3]))
    with pytest.raises(
        FormatError, match="helical vector or Euler angles, which the numbers cannot tell; give --rotation"
    ):
        read_track(path)


def test_times_of_a_rate_that_does_not_divide(tmp_path):
    track = read_track(log(tmp_path, text(angles=[1, 2, 3], rate="119.88")), rotation="helical")
    assert track.time_ns.tolist() == [8341675, 16683350, 25025025, 33366700]


def test_markers_and_bodies(tmp_path):
    path = log(tmp_path, text(angles=[1, 2, 3], bodies=("rig:board", "rig:hand")))
    with pytest.raises(
        FormatError, match="got 2 bodies, wanted one chosen; give --body, one of 'rig:board', 'rig:hand'"
    ):
        read_track(path, rotation="helical")
    np.testing.assert_allclose(read_track(path, body="rig:hand", rotation="helical").position[0], [0.1, 0.2, 0.3])
    with pytest.raises(FormatError, match=r"got no body 'rig:foot'; there are .*'rig:m2'"):
        read_track(path, body="rig:foot")
    marker = read_track(path, body="rig:m2")
    assert not marker.rotation_measured
    np.testing.assert_allclose(marker.position[2], [0.004, 0.005, 0.003])
    assert marker.time_ns.tolist() == [5_000_000, 10_000_000, 15_000_000]
    with pytest.raises(FormatError, match="rotation: got 'helical' for 'rig:m2', which has no rotation columns"):
        read_track(path, body="rig:m2", rotation="helical")


GOOD = text(angles=[1, 2, 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.replace("mm", "ft"), "units: got ft, wanted one of m, cm, mm"),
        (GOOD.replace("deg,deg,deg", "deg,deg,rad"), "units: got deg, rad"),
        (GOOD.replace("\n100\n", "\nfast\n"), "got the rate 'fast', wanted frames per second"),
        (GOOD.replace("\n100\n", "\n0\n"), "got the rate '0'"),
        (GOOD.replace("\n4,0,", "\n4,1,"), "line 9: got frame 4.1"),
        (GOOD.replace("TX,TY,TZ", "A,B,C").replace("X,Y,Z", "D,E,F"), "no block of segments or trajectories"),
        (GOOD.replace("Segments", "12"), "wanted the name of a block"),
        (GOOD.split("\n\nTraj")[0].replace("\n2,", "\n;").split("\n;")[0], "got 1 poses"),
    ],
)
def test_bad_exports(tmp_path, content, message):
    with pytest.raises(FormatError) as error:
        read_track(log(tmp_path, content), body="rig:board", rotation="helical")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_damage_is_survived(survives_damage):
    survives_damage(GOOD, 250, kind="vicon-csv", body="rig:board", rotation="helical")
