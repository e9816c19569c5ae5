"""Logs of a turntable, angle against time: the board round the target, on the command line and in a session file."""

import json

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.positions.mounting import Mounting, board_trajectory
from mmsar.hardware.positions.sniff import sniff
from mmsar.hardware.positions.track import read_track
from mmsar.hardware.session.world import CylinderWorld

EPOCH = 1_700_000_000
RATE = 36.0
"""Turning of the table [deg/s]."""


def write(path, header="time_s,angle_deg,height_mm", *, n=200, modulo=360.0):
    """A table that turns, reported every 20 ms, with a slow lift."""
    time = np.arange(n) * 0.02
    rows = [f"{EPOCH + t:.3f},{(350 + RATE * t) % modulo:.9f},{5 + t:.6f}" for t in time]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_log_of_angles_is_a_track_of_the_board(tmp_path):
    track = read_track(write(tmp_path / "table.csv"), radius=0.25, direction="cw", start=0.3)
    t = np.arange(200) * 0.02
    angle = np.deg2rad(350 + RATE * t)
    position, rotation = CylinderWorld(radius=0.25, start=0.3, direction=-1).poses(
        {"angle": angle, "y": (5 + t) * 1e-3}
    )
    np.testing.assert_allclose(track.position, position, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(track.rotation * rotation, axis=1)), 1, atol=1e-12)
    assert track.clock == "unix" and track.rotation_measured and track.valid.all()


def test_between_the_reports_the_board_stays_on_its_circle(tmp_path):
    track = read_track(write(tmp_path / "table.csv"), radius=0.25)
    wanted = EPOCH * 10**9 + np.arange(7_000_000, 3_900_000_000, 13_370_000)
    trajectory, known = board_trajectory(track, Mounting(), wanted)
    assert known.all()
    x, y, z = trajectory.position.T
    np.testing.assert_allclose(np.hypot(x, z), 0.25, atol=2e-6)
    t = (wanted - EPOCH * 10**9) * 1e-9
    np.testing.assert_allclose(
        np.unwrap(np.arctan2(z, x))[1:] - np.arctan2(z, x)[0], np.deg2rad(RATE) * (t - t[0])[1:], atol=1e-5
    )
    np.testing.assert_allclose(y, 5e-3 + 1e-3 * t, atol=1e-8)
    np.testing.assert_allclose(trajectory.matrices()[:, :, 2], np.stack([-x, 0 * y, -z], axis=1) / 0.25, atol=1e-4)
    _, known = board_trajectory(track, Mounting(), wanted + 3_000_000_000)
    assert not known[-1] and known[0]


@pytest.mark.parametrize(
    ("header", "row", "place"),
    [
        ("t [ms],angle [rad],y [m]", "1000,0.5,0.02", (0.5, 0.02)),
        ("time_ns,angle,y", "1000000000,0.5,0.02", (0.5, 0.02)),  # the stage log of a session
        ("time_ns,angle", "1000000000,0.5", (0.5, 0.0)),
        ("angle_deg,timestamp_us", "30,1000000", (np.pi / 6, 0.0)),
    ],
)
def test_headers(tmp_path, header, row, place):
    (tmp_path / "t.csv").write_text(f"{header}\n{row}\n{row.replace('1', '2', 1)}\n")
    assert sniff(tmp_path / "t.csv").kind == "turntable-csv"
    track = read_track(tmp_path / "t.csv", radius=0.3, start=0.0)
    assert track.time_ns[0] == 10**9
    np.testing.assert_allclose(track.position[0], [0.3 * np.cos(place[0]), place[1], 0.3 * np.sin(place[0])])


def test_blank_angles_are_not_valid(tmp_path):
    (tmp_path / "t.csv").write_text("time_s,angle_deg\n0,0\n1,\n2,4\n")
    np.testing.assert_array_equal(read_track(tmp_path / "t.csv", radius=0.3).valid, [True, False, True])


@pytest.mark.parametrize(
    ("text", "told", "message"),
    [
        ("time_s,angle_deg\n0,0\n1,1\n", {}, "radius: a log of angles does not say it; give the distance"),
        ("time,angle_deg\n0,0\n1,1\n", {"radius": 0.3}, "time: got no unit, wanted s or ms or us or ns in its name"),
        ("time_s,angle\n0,0\n1,1\n", {"radius": 0.3}, "angle: got no unit, wanted deg or rad in its name"),
        ("time_s,angle_deg,y\n0,0,1\n1,1,1\n", {"radius": 0.3}, "height: got no unit, wanted m or cm or mm"),
        ("time_s,angle_deg\n0,0\n", {"radius": 0.3}, "got 1 poses, wanted at least 2"),
        ("angle_deg,time_s\n0,0\n1\n", {"radius": 0.3}, "line 3: got no time"),
        ("time_s,x\n0,0\n1,1\n", {"radius": 0.3, "kind": "turntable-csv"}, "wanted a header with time and angle"),
    ],
)
def test_logs_that_leave_something_open(tmp_path, text, told, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_track(tmp_path / "t.csv", **told)


def test_facts_of_a_turntable_are_of_no_use_elsewhere(tmp_path):
    (tmp_path / "g.csv").write_text("t_s,x_mm,y_mm,z_mm\n0,0,0,0\n1,1,1,1\n")
    with pytest.raises(GeometryError, match=r"radius: got 0\.3, which a gantry-csv log has no use for"):
        read_track(tmp_path / "g.csv", radius=0.3)
    with pytest.raises(GeometryError, match="direction: got 'left', wanted one of ccw, cw"):
        read_track(write(tmp_path / "t.csv"), radius=0.3, direction="left")
    with pytest.raises(GeometryError, match=r"radius: got -0\.3"):
        read_track(write(tmp_path / "t.csv"), radius=-0.3)


def test_by_command(tmp_path, capsys):
    log, out = write(tmp_path / "table.csv"), tmp_path / "board.txt"
    assert main(["hw", "poses", str(log), "--radius", "250", "--start", "-90", "--tum", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "turntable-csv" and report["used"] == 200 and report["masked"] == 0
    np.testing.assert_allclose(np.linalg.norm(read_track(out).position[:, [0, 2]], axis=1), 0.25, atol=1e-6)
    assert main(["hw", "poses", str(log)]) == 3
    assert "give the distance of the board from the axis (--radius, radius_mm)" in capsys.readouterr().err
