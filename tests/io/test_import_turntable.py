"""Data of turntables: poses from steps, lists and logs; far field; and what contradicts itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.io.importers import import_scan
from mmsar.io.importers.iq_layout import encode
from mmsar.model import Scan, Trajectory

N = 8
LOG_RATE = 20.0
"""Reports of the emulated log [1/s]."""


def cube(*shape: int) -> np.ndarray:
    parts = np.random.default_rng(3).standard_normal((2, *shape, N)).astype(np.float32)
    return parts[0] + 1j * parts[1]


def description(axes: tuple[str, ...] = ("angle", "sample"), **scan: Any) -> dict:
    return {
        "format": "npz",
        "waveform": {"start_ghz": 77.0, "step_mhz": 50.0, "samples": N, "frame_period_ms": 20.0},
        "data": {"variable": "cube", "axes": list(axes)},
        "scan": {"radius_mm": 250.0, **scan},
        "array": {"board": "single"},
    }


def imported(folder: Path, data: np.ndarray, described: dict) -> Scan:
    np.savez(folder / "a.npz", cube=data)
    return import_scan(folder / "a.npz", described)


def refusal(folder: Path, data: np.ndarray, described: dict) -> str:
    with pytest.raises(FormatError) as caught:
        imported(folder, data, described)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def angles(scan: Scan) -> np.ndarray:
    """Board angles [deg], continuous."""
    return np.rad2deg(np.unwrap(np.arctan2(scan.trajectory.position[:, 2], scan.trajectory.position[:, 0])))


def test_a_full_turn_is_that_of_the_model(tmp_path: Path) -> None:
    scan = imported(tmp_path, cube(3, 12), description(("y", "angle", "sample"), span_deg=360, heights_mm=[0, 5, 9]))
    wanted = Trajectory.turntable(12, 0.25, heights=[0.0, 5e-3, 9e-3])
    np.testing.assert_allclose(scan.trajectory.position, wanted.position, atol=1e-15)
    np.testing.assert_allclose(scan.trajectory.rotation, wanted.rotation, atol=1e-15)
    np.testing.assert_allclose(scan.trajectory.time, wanted.time * 4)  # frames of 20 ms; the model has 5 ms
    np.testing.assert_array_equal(scan.signal[:, 0, 0], cube(3, 12).reshape(36, N))
    assert "far_field" not in scan.attrs and scan.raster is None


@pytest.mark.parametrize("axes", [("angle", "y", "sample"), ("sample", "angle", "y"), ("y", "sample", "angle")])
def test_axes_in_any_order(tmp_path: Path, axes: tuple[str, ...]) -> None:
    data = cube(2, 5)
    stored = data.transpose([("y", "angle", "sample").index(axis) for axis in axes])
    scan = imported(tmp_path, stored, description(axes, step_deg=10, heights_mm=[0, 5]))
    np.testing.assert_array_equal(scan.signal[:, 0, 0], data.reshape(10, N))


def test_directions_starts_lists_and_turns_back(tmp_path: Path) -> None:
    scan = imported(tmp_path, cube(4), description(step_deg=2.5, start_deg=30, direction="cw"))
    np.testing.assert_allclose(angles(scan), [30, 27.5, 25, 22.5])
    pose = description(("pose", "sample"), angles_deg=[0, 1, 5], heights_mm=[-2, 2], serpentine=True, start_deg=10)
    scan = imported(tmp_path, cube(6), pose)
    np.testing.assert_allclose(angles(scan), [10, 11, 15, 15, 11, 10])
    np.testing.assert_allclose(scan.trajectory.position[:, 1], np.repeat([-2e-3, 2e-3], 3))
    assert np.diff(scan.trajectory.time)[2] > 2 * np.diff(scan.trajectory.time)[0]


def test_a_list_has_a_row_for_every_pose(tmp_path: Path) -> None:
    (tmp_path / "angles.csv").write_text("time_ms, angle_deg, height_mm\n0,0,1\n30,2,1\n50,3,4\n")
    scan = imported(tmp_path, cube(3), description(("pose", "sample"), angle_list="angles.csv"))
    np.testing.assert_allclose(angles(scan), [-90, -88, -87])
    np.testing.assert_allclose(scan.trajectory.time, [0, 0.03, 0.05])
    np.testing.assert_allclose(scan.trajectory.position[:, 1], [1e-3, 1e-3, 4e-3])
    np.savez(tmp_path / "angles.npz", time=[0, 1, 2], angle_rad=np.deg2rad([0, 2, 3]))
    scan = imported(tmp_path, cube(3), description(("pose", "sample"), angle_list="angles.npz", heights_mm=[7]))
    np.testing.assert_allclose(angles(scan), [-90, -88, -87])
    np.testing.assert_allclose(scan.trajectory.position[:, 1], 7e-3)
    message = refusal(tmp_path, cube(4), description(("pose", "sample"), angle_list="angles.npz"))
    assert "got 3 angles, the data has 4 poses; wanted one row for every pose, or angle_log" in message


def table_log(path: Path, *, rate: float = 90.0, zero: float = 0.0, modulo: bool = True) -> None:
    """A table that turns at a rate [deg/s] for ten seconds, on a lift, its angle counted anew after every turn."""
    time = np.arange(0, 10, 1 / LOG_RATE)
    angle = rate * time % 360 if modulo else rate * time
    rows = [f"{t + zero:.3f},{a:.6f},{t:.3f}" for t, a in zip(time, angle, strict=True)]
    path.write_text("\n".join(["time_s,angle_deg,height_mm", *rows]) + "\n")


@pytest.mark.parametrize("modulo", [True, False])
def test_a_log_is_read_at_the_times_of_the_frames(tmp_path: Path, modulo: bool) -> None:
    """Frames every 20 ms from 1.234 s of the log on; turns are counted on across 360 degrees."""
    table_log(tmp_path / "log.csv", zero=5.0, modulo=modulo)
    scan = imported(tmp_path, cube(400), description(("pose", "sample"), angle_log="log.csv", log_offset_ms=6234.0))
    t = np.arange(400) * 0.02
    np.testing.assert_allclose(scan.trajectory.time, t)
    np.testing.assert_allclose((angles(scan) - (-90 + 90 * (t + 1.234)) + 180) % 360 - 180, 0, atol=1e-6)
    np.testing.assert_allclose(scan.trajectory.position[:, 1], 1e-3 * (t + 1.234), atol=1e-9)


def test_a_log_is_never_read_beyond_its_ends(tmp_path: Path) -> None:
    table_log(tmp_path / "log.csv")
    for offset in (-0.1, 2000.0):
        described = description(("pose", "sample"), angle_log="log.csv", log_offset_ms=offset)
        message = refusal(tmp_path, cube(400), described)
        assert "got reports from 0 to 9.95 s, wanted them around the frames from" in message
        assert "check [scan] log_offset_ms" in message


def test_raw_frames_of_a_turntable(tmp_path: Path) -> None:
    """A file for every turn, two transmitters: the poses of the frames, the second slot a little further on."""
    for turn in (1, 2):
        encode(np.ones((6, 2, 4, 4)) * (100.0 * turn), "4lane").tofile(tmp_path / f"turn{turn}.bin")
    described = {
        "format": "ti-raw",
        "waveform": {"start_ghz": 77, "slope_mhz_us": 60, "adc_start_us": 5, "sample_rate_ksps": 9000, "samples": 4},
        "capture": {"layout": "4lane", "rx": 4, "tx": 2},
        "scan": {"radius_mm": 300, "step_deg": 0.5, "heights_mm": [0, 7.6]},
        "array": {"board": "iwr1443", "use_tx": [1, 3]},
    }
    described["waveform"] |= {"idle_us": 7, "ramp_end_us": 63, "frame_period_ms": 40}
    scan = import_scan(tmp_path, described)
    assert scan.shape == (12, 2, 4, 4)
    np.testing.assert_allclose(angles(scan), np.tile(-90 + 0.5 * np.arange(6), 2))
    np.testing.assert_allclose(scan.trajectory.position[:, 1], np.repeat([0, 7.6e-3], 6))
    late = scan.tx_position[:, 1, 0] - scan.trajectory.after(70e-6).position
    turned = scan.trajectory.after(70e-6).matrices() @ scan.array.tx[1]
    np.testing.assert_allclose(late, turned, atol=1e-9)
    described["scan"]["heights_mm"] = [0, 7.6, 15.2]
    with pytest.raises(FormatError, match="got 3 heights, wanted one for each of the 2 turns of the data"):
        import_scan(tmp_path, described)
    described["scan"] = {"radius_mm": 300, "angle_log": "log.csv", "heights_mm": [0, 7.6]}
    table_log(tmp_path / "log.csv")
    with pytest.raises(FormatError, match="got 2 turns, wanted one recording without pauses"):
        import_scan(tmp_path, described)


def test_far_field_is_marked_and_needs_no_radius(tmp_path: Path) -> None:
    described = description(far_field=True, step_deg=0.01)
    del described["scan"]["radius_mm"]
    scan = imported(tmp_path, cube(20), described)
    assert scan.attrs["far_field"] is True
    np.testing.assert_allclose(np.linalg.norm(scan.trajectory.position, axis=1), 1.0)
    with pytest.warns(UserWarning, match="far-field samples are referred to the axis"):
        import_scan(tmp_path / "a.npz", described, check_sign=True)


@pytest.mark.parametrize(
    ("scan", "expected"),
    [
        ({}, "got no angles, wanted one of step_deg, span_deg, angles_deg, angle_list, angle_log"),
        ({"step_deg": 1, "span_deg": 9}, "got step_deg and span_deg, wanted one of"),
        ({"step_deg": 60}, "step_deg: got 9 poses over 540 degrees, wanted no more than 360 in a turn"),
        ({"span_deg": 720}, "span_deg: got 9 poses over 720 degrees"),
        ({"angles_deg": [0, 1]}, "angles_deg: got 2 angles, the data has 9 poses in a turn"),
        ({"step_deg": 1, "x_step_mm": 2}, "x_step_mm: does not belong to a turntable"),
        ({"step_deg": 1, "positions": "p.csv"}, "positions: does not belong to a turntable"),
        ({"step_deg": 1, "direction": "forward"}, 'direction: got "forward", wanted "ccw" or "cw"'),
        ({"step_deg": 1, "motion": "none"}, 'motion: got "none", wanted "continuous" or "step"'),
        ({"step_deg": 1, "heights_mm": [1, 2]}, "heights_mm: got 2 heights, wanted one for each of the 1 turns"),
        ({"step_deg": 1, "log_offset_ms": 3}, "log_offset_ms: only with angle_log"),
        ({"step_deg": 1, "radius_mm": 0}, "radius_mm: got 0, wanted a number above 0"),
        (
            {"step_deg": 1, "radius_mm": None},
            "step_deg: only for a turntable, wanted radius_mm (or far_field = true) too",
        ),
        ({"direction": "cw", "radius_mm": None}, '"ccw" and "cw" are for a turntable'),
        ({"angle_log": "none.csv"}, "none.csv: no such file beside the data"),
        ({"step_dge": 1}, "step_dge: unknown key; did you mean step_deg?"),
    ],
)
def test_what_contradicts_itself(tmp_path: Path, scan: dict, expected: str) -> None:
    described = description(**scan)
    if scan.get("radius_mm", 1) is None:
        del described["scan"]["radius_mm"]
        described["data"]["axes"] = ["pose", "sample"]
    assert expected in refusal(tmp_path, cube(9), described)


def test_axes_that_do_not_fit(tmp_path: Path) -> None:
    message = refusal(tmp_path, cube(9), description(("x", "sample"), step_deg=1))
    assert "wanted either pose, or y and angle" in message
    planar = description(("angle", "sample"))
    planar["scan"] = {"n_x": 9, "x_step_mm": 1, "direction": "forward"}
    message = refusal(tmp_path, cube(9), planar)
    assert "angle is the axis of a turntable ([scan] radius_mm)" in message
    poses = description(("pose", "sample"), step_deg=1, heights_mm=[0, 1])
    assert "got 2 turns, data has 9 poses, wanted equally many in each" in refusal(tmp_path, cube(9), poses)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("time,angle\n0,0\n1,1\n", "got columns time, angle, wanted one of angle_deg, angle_rad for the angle"),
        ("angle_deg\n0\n1\n", "wanted one of time, time_s, time_ms, time_us, time_ns for the time"),
        ("time,angle_deg,angle_rad\n0,0,0\n1,1,0\n", "wanted one of angle_deg, angle_rad for the angle"),
        ("time,angle_deg\n0,0\n", "got 1 reports, wanted two or more in order of time"),
        ("time,angle_deg\n0,0\n2,3\n1,2\n", "wanted two or more in order of time"),
        ("time,angle_deg\n0,0\n1,nan\n", "angle_deg: got values that are not finite"),
        ("time,angle_deg\n0,0\n1,100\n", "got reports 100 degrees apart, wanted less than 90"),
        ("time,angle_deg\n0,0\n1,x\n", "line 3: got '1,x', wanted numbers"),
    ],
)
def test_logs_that_tell_no_angle(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    described = description(("pose", "sample"), angle_log="log.csv", start_deg=0)
    assert expected in refusal(tmp_path, cube(9), described)


def test_a_log_needs_the_frame_period(tmp_path: Path) -> None:
    table_log(tmp_path / "log.csv")
    described = description(("pose", "sample"), angle_log="log.csv")
    del described["waveform"]["frame_period_ms"]
    assert "frame_period_ms: missing" in refusal(tmp_path, cube(9), described)
