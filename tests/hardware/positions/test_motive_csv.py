"""OptiTrack Motive CSV: header rows that vary, several bodies, markers, occlusions, units, rotation types, clocks."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.positions.track import read_track

META = (
    "Format Version,{version},Take Name,t1,Capture Frame Rate,120.000000,Export Frame Rate,120.000000,"
    "Capture Start Time,{start},Total Frames in Take,4,Rotation Type,{turns},Length Units,{units},"
    "Coordinate Space,Global"
)
TURN = Rotation.from_rotvec([0.3, -0.2, 0.5])


def text(
    *,
    version: str = "1.23",
    start: str = "2025-08-01 01.04.35.176 PM",
    turns: str = "Quaternion",
    units: str = "Meters",
    parent: bool = False,
    timecode: bool = False,
    labels: bool = True,
    bodies: tuple[str, ...] = ("drone",),
    markers: tuple[str, ...] = (),
    scale: float = 1.0,
) -> str:
    """An export with four rows; the second is occluded for all, the third for the last marker only."""
    angles = TURN.as_quat() if turns == "Quaternion" else TURN.as_euler("XYZ", degrees=True)
    names = "XYZW" if turns == "Quaternion" else "XYZ"
    columns: list[tuple[str, str, str, str, str, list[str]]] = []
    for i, body in enumerate(bodies):
        for k, axis in enumerate(names):
            columns.append(("Rigid Body", body, f"A{i}", "Rotation", axis, [f"{angles[k]:.9f}"] * 4))
        for k, axis in enumerate("XYZ"):
            columns.append(
                ("Rigid Body", body, f"A{i}", "Position", axis, [f"{scale * (i + k + r / 8):.6f}" for r in range(4)])
            )
        columns.append(("Rigid Body", body, f"A{i}", "Mean Marker Error", "", ["0.1"] * 4))
    for i, marker in enumerate(markers):
        for k, axis in enumerate("XYZ"):
            columns.append(("Marker", marker, f"B{i}", "Position", axis, [f"{scale * (9 + i + k):.6f}"] * 4))
    for column in columns:
        column[5][1] = ""
    if markers:
        for column in columns[-3:]:
            column[5][2] = ""
    lead = ["", ""] + ([""] if timecode else [])
    rows = [META.format(version=version, start=start, turns=turns, units=units), ""]
    for place, label in ((0, "Type"), (1, "Name"), (2, "ID")):
        rows.append(",".join([lead[0], label if labels else "", *lead[2:], *(c[place] for c in columns)]))
        if place == 2 and parent:
            rows.append(",".join(["", "Parent", *lead[2:], *(["P"] * len(columns))]))
    rows.append(",".join([*lead, *(c[3] for c in columns)]))
    rows.append(",".join(["Frame", "Time (Seconds)", *(["TimeCode"] if timecode else []), *(c[4] for c in columns)]))
    for r in range(4):
        rows.append(
            ",".join([str(r), f"{r / 120:.6f}", *(["00:00:00:00"] if timecode else []), *(c[5][r] for c in columns)])
        )
    return "\n".join(rows) + "\n"


def log(folder: Path, content: str) -> Path:
    path = folder / "take.csv"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"version": "1.25", "parent": True},
        {"timecode": True},
        {"labels": False},
        {"version": "1.21", "labels": False, "timecode": True},
        {"units": "Millimeters", "scale": 1e3},
        {"units": "Centimeters", "scale": 1e2},
        {"turns": "XYZ"},
        {"markers": ("m1", "m2")},
    ],
)
def test_forms_of_the_export(tmp_path, form):
    track = read_track(log(tmp_path, text(**form)))
    assert track.valid.tolist() == [True, False, True, True]
    assert track.clock == "take"
    assert track.time_ns.tolist() == [0, 8_333_000, 16_667_000, 25_000_000]
    np.testing.assert_allclose(track.position[3], [0.375, 1.375, 2.375], atol=1e-9)
    assert np.isnan(track.position[1]).all()
    assert (Rotation.from_quat(track.rotation[track.valid]) * TURN.inv()).magnitude().max() < 1e-7
    assert "y up" in track.frame


def test_several_bodies_are_listed(tmp_path):
    path = log(tmp_path, text(bodies=("drone", "wand", "target")))
    with pytest.raises(
        FormatError, match="got 3 rigid bodies, wanted one chosen; give --body, one of 'drone', 'wand', 't"
    ):
        read_track(path)
    np.testing.assert_allclose(read_track(path, body="wand").position[0], [1, 2, 3])
    with pytest.raises(FormatError, match="got no body of the name 'Drone'"):
        read_track(path, body="Drone")


def test_a_marker_has_no_rotation(tmp_path):
    path = log(tmp_path, text(markers=("m1", "m2")))
    track = read_track(path, body="m2")
    assert not track.rotation_measured
    assert track.valid.tolist() == [True, False, False, True]
    np.testing.assert_allclose(track.position[0], [10, 11, 12])
    alone = log(tmp_path, text(bodies=(), markers=("m1", "m2")))
    with pytest.raises(FormatError, match="no rigid body but 2 other assets"):
        read_track(alone)
    assert not read_track(alone, body="m1").rotation_measured


@pytest.mark.parametrize(
    ("start", "zone", "expected"),
    [
        ("2025-08-01 01.04.35.176 PM", "America/New_York", 1_754_067_875_176),
        ("2025-08-01 01.04.35.176 PM", "-04:00", 1_754_067_875_176),
        ("2025-08-01 12.30.00.000 AM", "UTC", 1_754_008_200_000),
        ("2025-08-01 13.04.35.176", "+00:00", 1_754_053_475_176),
    ],
)
def test_a_declared_zone_makes_unix_time(tmp_path, start, zone, expected):
    track = read_track(log(tmp_path, text(start=start)), zone=zone)
    assert track.clock == "unix"
    assert (track.time_ns[:2] - expected * 10**6).tolist() == [0, 8_333_000]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "25:00", "+24:00", "../etc", ""])
def test_zones_that_are_none(tmp_path, zone):
    with pytest.raises(GeometryError, match="zone: got"):
        read_track(log(tmp_path, text()), zone=zone)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text(units="Feet"), "Length Units: got 'Feet', wanted Meters"),
        (text().replace("Length Units,Meters,", ""), "Length Units: got 'no unit'"),
        (text(turns="YXZ"), "Rotation Type: got 'YXZ'"),
        (text().replace("Frame,Time", "Frame_,Time_"), None),
        (text().replace("Rotation,", "Spin,").replace("Position,", "Place,"), "no rows of types"),
        (text().replace("\n0,", "\n0,x"), "line 8: got the time 'x0.000000'"),
        (text().split("\n0,")[0] + "\n", "got 0 poses"),
        (text().replace(",Type,", ",Type").replace("Rigid Body", "Object"), "no rows of types"),
        (text(start="yesterday"), "Capture Start Time: got 'yesterday'"),
    ],
)
def test_bad_exports(tmp_path, content, message):
    path = log(tmp_path, content)
    if message is None:
        assert len(read_track(path)) == 4
        return
    with pytest.raises(FormatError) as error:
        read_track(path, zone="UTC")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", [{"markers": ("m1",)}, {"turns": "XYZ", "parent": True}])
def test_damage_is_survived(survives_damage, form):
    survives_damage(text(**form), 200, kind="motive-csv", zone="UTC")
