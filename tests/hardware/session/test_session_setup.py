"""Session files: the examples are right, units are right, and mistakes get one line that names the place."""

from pathlib import Path

import numpy as np
import pytest

from mmsar.errors import CaptureError, FormatError
from mmsar.hardware.session.assemble import sweep_scan
from mmsar.hardware.session.folder import SessionFolder, digest_of, plan_of
from mmsar.hardware.session.setup import read_session
from mmsar.hardware.session.sweeps import extent

EXAMPLES = Path(__file__).resolve().parents[3] / "data" / "sessions"


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A copy of an example with one text replaced."""
    for file in EXAMPLES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / f"{name}.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_the_raster_example():
    session = read_session(EXAMPLES / "raster.toml")
    assert (session.kind, session.shape) == ("raster", (13, 110))
    assert session.drive.speed == pytest.approx(0.9e-3 / 40e-3)
    assert session.radar.config.tx_order == (0, 1)
    low, high = extent(session.sweeps)["y"]
    assert high - low == pytest.approx(12 * 7.589e-3)
    position, _ = session.world.poses({"x": np.array([0.2, 0.21]), "y": np.array([0.15, 0.15])})
    np.testing.assert_allclose(position, [[0, 0, 0], [0.01, 0, 0]], atol=1e-12)
    assert [(axis.name, axis.low, axis.high) for axis in session.stage.axes] == [("x", 0, 0.399), ("y", 0, 0.299)]


def test_the_cylinder_example():
    session = read_session(EXAMPLES / "cylinder.toml")
    assert session.shape == (4, 1680)
    assert session.drive.speed == pytest.approx(np.deg2rad(360 / 1680) / 40e-3)
    assert session.stage.axis("angle").rotary
    assert session.world.height == pytest.approx(0.15)


def test_the_freehand_example():
    session = read_session(EXAMPLES / "freehand.toml")
    assert session.tracker.offset is None
    assert session.tracker.log is None
    assert session.duration == 30.0


def test_the_board_is_turned_when_it_lies(tmp_path):
    session = read_session(changed(tmp_path, "raster", "[stage]", "upright = false\n[stage]"))
    row = session.radar.array.virtual.reshape(-1, 3)
    assert np.ptp(row[:, 1]) < 1e-12
    assert np.ptp(row[:, 0]) > 5e-3


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("raster", "rows = 13", "row = 13", r"\[scan\].*unknown key `row`; did you mean `rows`"),
        ("raster", 'config = "iwr1642.cfg"', 'config = "no.cfg"', r"\[radar\] config: no such file"),
        ("raster", 'device = "xWR1642"', 'device = "xWR9999"', r"\[radar\].*xWR9999"),
        (
            "raster",
            'board = "IWR1642BOOST"',
            'board = "IWR1843BOOST"',
            "measure the vector from RX1 to TX1",
        ),
        ("raster", "limits_mm = [0, 399]", "limits_mm = [0]", r"\[x\] limits_mm: got 1 numbers"),
        ("raster", "limits_mm = [0, 399]", "limits_mm = [399, 0]", r"\[x\].*wanted low < high"),
        ("raster", "[stage.x]", "[stage.z]", "no axis x; wanted a table"),
        ("raster", 'kind = "grbl"', 'kind = "girbl"', "did you mean grbl"),
        ("raster", "step_x_mm = 0.9", "step_x_mm = 0.9\nspeed_mm_s = 20", "one step per frame of 40 ms is 22.5 mm/s"),
        ("raster", "step_x_mm = 0.9", 'step_x_mm = 0.9\nmode = "step"', r"speed_mm_s: missing"),
        ("raster", "[scan]", "[scan", "not a TOML file"),
        ("raster", 'name = "raster"', 'name = "raster"\nspeed = 3', "unknown key `speed`"),
        ("cylinder", "radius_mm = 250", "radius_mm = 0", "radius_mm: got 0, wanted a number above 0"),
        ("cylinder", 'direction = "ccw"', 'direction = "left"', "wanted one of ccw, cw"),
        ("cylinder", 'channel = "X"\n', "", "channel: missing"),
        ("freehand", "lever_arm_mm = [0, 0, 0]", "lever_arm_mm = [0, 0]", "three numbers"),
        ("freehand", "duration_s = 30", "duration_s = -1", "duration_s: got -1"),
        ("freehand", "duration_s = 30", "duration_s = inf", "duration_s: got inf, wanted a finite number"),
        ("raster", "rows = 13", "rows = 99999999999999999999", "rows: got 99999999999999999999, wanted at most 65535"),
        ("cylinder", "angles = 1680", "angles = 70000", "angles: got 70000, wanted at most 65535"),
    ],
)
def test_mistakes_are_explained(tmp_path, name, old, new, message):
    with pytest.raises(FormatError, match=message) as caught:
        read_session(changed(tmp_path, name, old, new))
    assert "\n" not in str(caught.value)


def test_a_folder_is_begun_once_and_resumed_only_with_the_same_plan(tmp_path):
    session = read_session(EXAMPLES / "raster.toml")
    folder = SessionFolder.create(tmp_path / "scan", session)
    assert (folder.path / "radar.cfg").read_text() == session.radar.config.text
    assert SessionFolder.open(tmp_path / "scan", session).plan()["digest"] == digest_of(plan_of(session))
    SessionFolder.create(tmp_path / "scan", session)  # nothing is recorded yet: begun again
    folder.begin(0)
    with pytest.raises(CaptureError, match=r"already there.*--resume"):
        SessionFolder.create(tmp_path / "scan", session)
    (tmp_path / "changed").mkdir()
    other = read_session(changed(tmp_path / "changed", "raster", "columns = 110", "columns = 90"))
    with pytest.raises(FormatError, match=r"another .*shape, .*sweeps"):
        SessionFolder.open(tmp_path / "scan", other)
    with pytest.raises(FormatError, match=r"no plan\.json"):
        SessionFolder.open(tmp_path, session)


def test_an_interrupted_sweep_is_kept_aside(tmp_path):
    folder = SessionFolder.create(tmp_path / "scan", read_session(EXAMPLES / "raster.toml"))
    for number in range(3):
        path = folder.begin(0)
        (path / "data").write_text(str(number))
        assert not folder.is_done(0)
    folder.finish(0, {"halts_ns": [(3, 4)]})
    assert folder.is_done(0)
    assert folder.halts(0) == [(3, 4)]
    kept = sorted(p.name for p in folder.path.glob("sweep_0000.broken_*"))
    assert kept == ["sweep_0000.broken_1", "sweep_0000.broken_2"]
    assert (folder.sweep(0) / "data").read_text() == "2"


def test_a_sweep_that_is_not_done_makes_no_scan(tmp_path):
    session = read_session(EXAMPLES / "raster.toml")
    folder = SessionFolder.create(tmp_path / "scan", session)
    folder.begin(3)
    with pytest.raises(CaptureError, match="sweep_0003: is not recorded yet"):
        sweep_scan(session, folder, 3)


def test_settings_of_a_controller_are_those_its_driver_knows(tmp_path):
    from inspect import signature

    from mmsar.hardware.motion.amc4030 import Amc4030Stage

    told = 'kind = "amc4030"\nposition_scale = 1e4\nspeed_scale = 60\nhome_timeout_s = 30'
    options = read_session(changed(tmp_path, "raster", 'kind = "grbl"', told)).stage.options
    assert options == {"position_scale": 1e4, "speed_scale": 60, "home_timeout": 30}
    assert set(options) <= set(signature(Amc4030Stage).parameters)
    with pytest.raises(FormatError, match="unknown key `speed_scale`"):
        read_session(changed(tmp_path, "raster", 'kind = "grbl"', 'kind = "grbl"\nspeed_scale = 60'))
