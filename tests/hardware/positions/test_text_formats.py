"""TUM, EuRoC, named columns, T265, ARKit and Motive JSON: values, clocks, exact stamps, and what is refused."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mmsar.errors import FormatError, GeometryError, MmsarError
from mmsar.hardware.positions.text import nanoseconds
from mmsar.hardware.positions.track import read_track
from mmsar.hardware.positions.tum import text_of

TUM = "# a comment\n1305031098.6659 1 2 3 0 0 0 1\n\n1305031098.6758 1.5 2 3 0 0.6 0 0.8  # late\n"
EUROC = (
    "#timestamp [ns], p_x [m], p_y [m], p_z [m], q_w [], q_x [], q_y [], q_z []\n"
    "1403715524907143168,1,2,3,0.8,0.6,0,0\n1403715524912143105,1,2,4,1,0,0,0\n"
)
T265 = (
    "\n\nStream Type,F#,HW Timestamp (ms),Backend Timestamp(ms),Host Timestamp(ms),3DOF_x,3DOF_y,3DOF_z\n"
    "Gyro,1,10.000,0.000,1700000000000.000,1,2,3\n"
    "\n\nStream Type,F#,HW Timestamp (ms),Backend Timestamp(ms),Host Timestamp(ms),t_x,t_y,t_z,r_x,r_y,r_z,r_w\n"
    "Pose,1,10.000,0.000,1700000000000.125,0.1,0.2,0.3,0,0,0,1\n"
    "Pose,2,15.002,0.000,1700000000005.250,0.1,0.2,0.4,0,0.6,0,0.8\n"
    "Pose,3,20.001,0.000,1700000000010.500,nan,nan,nan,nan,nan,nan,nan\n"
)
MOTIVE = {
    "rigidBodies": {"1": "board", "2": "target"},
    "frames": [
        {"timestamp": 43.041, "rigidBodies": [{"id": 1, "position": [1.0, 2.0, 3.5], "orientation": [0, 0, 0, 1]}]},
        {"timestamp": 43.05, "rigidBodies": []},
        {"timestamp": 43.058, "rigidBodies": [{"id": 1, "position": [1, 2, 4], "orientation": [0.6, 0, 0, 0.8]}]},
        {"timestamp": 43.049, "rigidBodies": [{"id": 1, "position": [1, 2, 5], "orientation": [0, 0, 0, 1]}]},
    ],
}


def log(folder: Path, text: str | bytes, name: str = "log.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@given(st.integers(-(10**18), 2 * 10**18))
def test_decimal_seconds_are_exact(value):
    sign, rest = ("-" if value < 0 else ""), abs(value)
    assert nanoseconds(f"{sign}{rest // 10**9}.{rest % 10**9:09d}", 9, "here") == value
    assert nanoseconds(str(value), 0, "here") == value


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1e400", "-1e300", "99999999999", "0x10"])
def test_times_that_are_none(text):
    with pytest.raises(FormatError, match="here: got the time"):
        nanoseconds(text, 9, "here")


def test_tum(tmp_path):
    track = read_track(log(tmp_path, TUM))
    assert track.time_ns.tolist() == [1305031098665900000, 1305031098675800000]
    assert track.clock == "unix"
    np.testing.assert_array_equal(track.position, [[1, 2, 3], [1.5, 2, 3]])
    np.testing.assert_allclose(track.rotation[1], [0, 0.6, 0, 0.8])
    commas = read_track(log(tmp_path, TUM.replace(" ", ",").replace("#,", "# ")), kind="tum")
    np.testing.assert_array_equal(commas.time_ns, track.time_ns)


def test_tum_round_trip(tmp_path, hand):
    track = hand.track(duration=0.5, noise=1e-4).masked(np.array([3, 4]))
    back = read_track(log(tmp_path, text_of(track)))
    np.testing.assert_array_equal(back.time_ns, track.time_ns[track.valid])
    np.testing.assert_allclose(back.position, track.position[track.valid], rtol=1e-8)
    turn = Rotation.from_quat(back.rotation).inv() * Rotation.from_quat(track.rotation[track.valid])
    assert turn.magnitude().max() < 1e-7


def test_tum_of_a_clock_that_is_not_unix(tmp_path):
    path = log(tmp_path, "12.5 1 2 3 0 0 0 1\n12.6 1 2 3 0 0 0 1\n")
    assert read_track(path).clock == "unknown"
    assert read_track(path, clock="monotonic").clock == "monotonic"


@pytest.mark.parametrize("extra", ["", ",0,0,0,1,1,1,2,2,2"])
def test_euroc(tmp_path, extra):
    text = "\n".join(line + extra for line in EUROC.splitlines())
    for path in (log(tmp_path, text), log(tmp_path, gzip.compress(b"\xef\xbb\xbf" + text.encode()), "log.gz")):
        track = read_track(path)
        assert track.time_ns.tolist() == [1403715524907143168, 1403715524912143105]
        assert track.source.startswith("euroc")
        np.testing.assert_allclose(track.rotation[0], [0.6, 0, 0, 0.8])


def test_gantry_needs_its_units(tmp_path):
    path = log(tmp_path, "t,x,y,z\n0,0,0,0\n0.1,100,0,50\n")
    with pytest.raises(FormatError, match=r"time-unit: neither header nor format says it; give --time-unit s or"):
        read_track(path)
    with pytest.raises(FormatError, match=r"units: neither header nor format says it; give --units m or cm or mm"):
        read_track(path, time_unit="s")
    track = read_track(path, time_unit="s", units="mm")
    np.testing.assert_allclose(track.position[1], [0.1, 0, 0.05])
    assert track.time_ns.tolist() == [0, 100_000_000]
    assert track.rotation_measured


@pytest.mark.parametrize(
    "header", ["time_s,x_mm,y_mm,z_mm", "t [s],x [mm],y [mm],z [mm]", "# timestamp (s), X (mm), Y (mm), Z (mm)"]
)
def test_gantry_units_of_the_header(tmp_path, header):
    path = log(tmp_path, f"{header}\n1.000000001,1,2,3\n2,1,,3\n3,4,5,6\n")
    track = read_track(path)
    np.testing.assert_allclose(track.position[0], [1e-3, 2e-3, 3e-3])
    assert track.time_ns[0] == 1_000_000_001
    assert track.valid.tolist() == [True, False, True]
    with pytest.raises(FormatError, match="the header says 'mm' and --units 'm'; leave one out"):
        read_track(path, units="m")


def test_phones(tmp_path):
    rows = "timestamp,tx,ty,tz,qx,qy,qz,qw\n{a},1,2,3,0,0,0,1\n{b},1,2,3,0,0,0.6,0.8\n"
    path = log(tmp_path, rows.format(a="100.25", b="100.266666667"))
    with pytest.raises(FormatError, match=r"could be arkit-csv, arcore-csv, t265-csv .*; give --kind, one of these"):
        read_track(path)
    ios = read_track(path, kind="arkit-csv")
    assert (ios.clock, ios.time_ns[1]) == ("boot", 100_266_666_667)
    android = read_track(log(tmp_path, rows.format(a="100250000000", b="100266666667")), kind="arcore-csv")
    assert (android.clock, android.time_ns[1]) == ("monotonic", 100_266_666_667)
    np.testing.assert_allclose(android.rotation[1], [0, 0, 0.6, 0.8])
    with pytest.raises(FormatError, match="no columns qx, qy, qz, qw"):
        read_track(log(tmp_path, "t,x,y,z\n1,2,3,4\n2,2,3,4\n"), kind="arkit-csv")


def test_t265_of_the_converter(tmp_path):
    path = log(tmp_path, T265)
    track = read_track(path)
    assert track.time_ns.tolist() == [10_000_000, 15_002_000, 20_001_000]
    assert track.valid.tolist() == [True, True, False]
    assert track.clock == "device"
    host = read_track(path, clock="host")
    assert (host.clock, host.time_ns[0]) == ("unix", 1_700_000_000_000_125_000)
    with pytest.raises(FormatError, match=r"clock: got 'unix', wanted one of device, host"):
        read_track(path, clock="unix")
    micro = T265.replace(",10.000,0", ",10000,0").replace(",15.002,0", ",15002,0").replace(",20.001,0", ",20001,0")
    with pytest.raises(FormatError, match=r"median step of 5.0005 s, wanted about 0.005 s .*--time-unit us"):
        read_track(log(tmp_path, micro))
    assert read_track(log(tmp_path, micro), time_unit="us").time_ns.tolist() == track.time_ns.tolist()
    gyro = T265.split("\n\nStream Type,F#,HW Timestamp (ms),Backend Timestamp(ms),Host Timestamp(ms),t_x")[0]
    with pytest.raises(FormatError, match="1 streams and no poses"):
        read_track(log(tmp_path, gyro))


def test_t265_confidence(tmp_path):
    rows = ["time_ms,x,y,z,qx,qy,qz,qw,tracker_confidence"] + [f"{5 * i},0,0,{i},0,0,0,1,{i}" for i in range(4)]
    track = read_track(log(tmp_path, "\n".join(rows)))
    assert track.valid.tolist() == [False, True, True, True]
    assert track.source.startswith("t265-csv")


def test_arkit_json(tmp_path):
    turn = Rotation.from_rotvec([0.2, -0.4, 0.9])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn.as_matrix(), [1, 2, 3]
    frames = [{"timestamp": 1000 + k / 60, "transform": matrix.T.ravel().tolist()} for k in range(3)]
    nested = [{"time": f["timestamp"], "cameraTransform": matrix.T.tolist()} for f in frames]
    for tree in (frames, {"device": "phone", "frames": frames}, nested):
        track = read_track(log(tmp_path, json.dumps(tree)))
        assert track.clock == "boot"
        np.testing.assert_allclose(track.position[2], [1, 2, 3])
        assert (Rotation.from_quat(track.rotation) * turn.inv()).magnitude().max() < 1e-7
    rows = [f | {"transform": matrix.ravel().tolist()} for f in frames]
    with pytest.raises(FormatError, match="column after column"):
        read_track(log(tmp_path, json.dumps(rows)))
    scaled = [f | {"transform": (matrix.T * [[2], [2], [2], [1]]).ravel().tolist()} for f in frames]
    with pytest.raises(FormatError, match="no rotations"):
        read_track(log(tmp_path, json.dumps(scaled)))
    with pytest.raises(FormatError, match="frame 1: transform: got 3 numbers, wanted 16"):
        read_track(log(tmp_path, json.dumps([frames[0], frames[0] | {"transform": [1, 2, 3]}])))


def test_motive_json(tmp_path):
    path = log(tmp_path, json.dumps(MOTIVE))
    with pytest.raises(FormatError, match="2 rigid bodies, wanted one chosen; give --body, one of 'board', 'target'"):
        read_track(path)
    track = read_track(path, body="board")
    assert track.time_ns.tolist() == [43_041_000_000, 43_050_000_000, 43_058_000_000, 43_049_000_000]
    assert track.valid.tolist() in ([True, False, True, False], [True, False, False, True])
    assert np.isnan(track.position[1]).all()
    np.testing.assert_allclose(track.rotation[2], [0.6, 0, 0, 0.8])
    for broken in ({**MOTIVE, "frames": [{}]}, {**MOTIVE, "frames": 5}, {"rigidBodies": 1, "frames": []}):
        with pytest.raises(FormatError, match="not a Motive recording"):
            read_track(log(tmp_path, json.dumps(broken)), body="board", kind="motive-json")


@pytest.mark.parametrize(
    ("text", "told", "message"),
    [
        ("", {}, "empty file"),
        ("\0\1\2 binary", {}, "binary data"),
        ("hello\nworld\n", {}, "looks like no known position log; give --kind, one of tum, euroc,"),
        ("1 2 3\n4 5 6\n", {}, "looks like no known"),
        ("1,1,2,3,0,0,0,1\n2,1,2,3,0,0,0,1\n", {}, "could be tum, euroc"),
        (TUM.replace(" 0 0 0 1", " 0 0 1"), {"kind": "tum"}, "line 2: got 7 columns, wanted 8"),
        (TUM.replace("1.5", "one"), {}, "line 4: got 'one', wanted a number or a blank cell"),
        ("1305031098.6659 1 2 3 0 0 0 1\n", {}, "got 1 poses, wanted at least 2"),
        (EUROC.replace(",0,0,0\n", ",0,0\n"), {}, "line 3: got 7 columns, wanted 8 or 17"),
        (EUROC.replace("1403715524912143105", "1403715524.9"), {}, "got the stamp '1403715524.9', wanted whole"),
        ("{]", {"kind": "motive-json"}, "not JSON"),
        ('{"a": [1]}', {}, "looks like no known"),
        ("a,b\n1,2\n", {"kind": "gantry-csv"}, "wanted a header with time and x, y, z"),
        ("t_s,x_mm,y_mm,z_mm\n1,2,3,4\n\n,2,3,4\n", {}, "line 4: got the time ''"),
        ("t_s,x_in,y_in,z_in\n1,2,3,4\n", {"kind": "gantry-csv"}, "wanted a header"),
        ("t [s],x [in],y [in],z [in]\n1,2,3,4\n2,2,3,4\n", {}, "line 1: units: got 'in', wanted one of m, cm, mm"),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, told, message):
    with pytest.raises(FormatError) as error:
        read_track(log(tmp_path, text), **told)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_gzip(tmp_path):
    packed = gzip.compress(TUM.encode() * 100)
    for damaged in (packed[:-20], packed[:30] + b"\xff" * 20 + packed[50:]):
        with pytest.raises(FormatError, match="damaged gzip file"):
            read_track(log(tmp_path, damaged, "log.gz"))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"rotation": "helical"}, "rotation: got 'helical', which a tum log has no use for"),
        ({"units": "mm"}, "units: got 'mm', which a tum log"),
        ({"body": "drone"}, "body: got 'drone', which a tum log"),
        ({"units": "inch"}, "read_track units: got 'inch', wanted one of m, cm, mm"),
        ({"kind": "csv"}, "read_track kind: got 'csv', wanted one of tum"),
    ],
)
def test_declarations_that_do_not_belong(tmp_path, told, message):
    with pytest.raises(GeometryError, match=message):
        read_track(log(tmp_path, TUM), **told)


@given(
    st.binary(max_size=400),
    st.sampled_from(["tum", "euroc", "vicon-csv", "motive-csv", "t265-csv", "gantry-csv", None]),
)
def test_rubbish_never_escapes(tmp_path_factory, data, kind):
    path = tmp_path_factory.mktemp("rubbish") / "log"
    path.write_bytes(data)
    with pytest.raises(MmsarError):
        read_track(path, kind=kind)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_track(tmp_path / "none.csv")


PHONE = [{"timestamp": 1 + k / 60, "transform": np.eye(4).ravel().tolist()} for k in range(4)]
GANTRY = "time_s,x_mm,y_mm,z_mm\n" + "".join(f"{k / 10},{k},2,3\n" for k in range(20))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TUM, {}),
        (TUM, {"kind": "tum"}),
        (EUROC, {"kind": "euroc"}),
        (T265, {"kind": "t265-csv"}),
        (json.dumps(MOTIVE), {"kind": "motive-json", "body": "board"}),
        (json.dumps(PHONE), {"kind": "arkit-json"}),
        (GANTRY, {"kind": "gantry-csv"}),
    ],
)
def test_damage_is_survived(survives_damage, text, told):
    survives_damage(text, 200, **told)
