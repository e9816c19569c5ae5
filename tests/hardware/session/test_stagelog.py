"""Stage logs: interpolation that never extrapolates, and files that survive a crash."""

import numpy as np
import pytest

from mmsar.errors import CaptureError, FormatError
from mmsar.hardware.session.stagelog import StageLog, StageLogWriter, read_stage_log

T0 = 1_760_000_000_000_000_000


def log(times_s, x):
    return StageLog(time_ns=T0 + (np.array(times_s) * 1e9).astype(np.int64), place={"x": np.array(x, float)})


def test_places_are_interpolated_between_reports_and_unknown_elsewhere():
    reports = log([0.0, 0.1, 0.2, 5.0, 5.1], [0.0, 0.001, 0.003, 0.003, 0.004])
    place, known = reports.at(T0 + np.array([-1, 50_000_000, 150_000_000, 3_000_000_000, 5_100_000_001]))
    assert known.tolist() == [False, True, True, False, False]
    assert place["x"][1:3] == pytest.approx([0.0005, 0.002])


def test_nanoseconds_of_the_epoch_are_not_rounded():
    place, _ = log([0.0, 1.0], [0.0, 1.0]).at(np.array([T0 + 1]))
    assert place["x"][0] == pytest.approx(1e-9)


def test_line_residual_is_the_noise_of_the_reports():
    rng = np.random.default_rng(3)
    t = np.arange(100) * 0.1
    reports = log(t, 0.02 * t + 2e-5 * rng.standard_normal(100))
    assert reports.line_residual("x", 0.0, 0.2) == pytest.approx(2e-5, rel=0.2)
    assert np.isnan(reports.line_residual("x", 0.5, 0.6))


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "stage.csv"
    with StageLogWriter(path, ("x", "y")) as writer:
        for i in range(5):
            writer.add(T0 + i * 10**8, {"x": 1e-3 * i, "y": -0.1})
        writer.add(T0, {"x": 9.0, "y": 9.0})
        assert len(path.read_text().splitlines()) == 6, "every report is on disk at once"
    reports = read_stage_log(path)
    assert reports.time_ns.tolist() == [T0 + i * 10**8 for i in range(5)]
    np.testing.assert_allclose(reports.place["x"], 1e-3 * np.arange(5))
    with open(path, "a") as file:
        file.write(f"{T0 + 10**9},0.0")
    assert len(read_stage_log(path)) == 5, "a line cut short does not count"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "time_ns,x\n", "time_ns,x\n1,a\n2,3\n", "time_ns,x\n2,1\n1,2\n"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "stage.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"stage\.csv: "):
        read_stage_log(path)
    with pytest.raises(FormatError, match="recorded again"):
        read_stage_log(tmp_path / "none.csv")


def test_a_disk_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(CaptureError, match="cannot be written"):
        StageLogWriter(tmp_path / "absent" / "stage.csv", ("x",))
