"""Real captures imported by the radar's configuration instead of a typed waveform: the same scan, or an explanation."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.scan_h5 import load_scan

DESCRIPTIONS = Path(__file__).parents[1] / "descriptions"
PLATE_CFG = """% AWR1243 with DCA1000, as in mmWave Studio's ProfileConfig, ChirpConfig and FrameConfig
dfeDataOutputMode 1
channelCfg 15 1 0
adcCfg 2 1
adcbufCfg -1 0 0 0 1
profileCfg 0 77 7 6 63 0 0 63.343 0 512 9121 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
frameCfg 0 0 1 400 5 1 0
"""
ROBOT_CFG = """% IWR1443 of a robot
dfeDataOutputMode 1
channelCfg 15 1 0
adcCfg 2 1
adcbufCfg -1 0 0 0 1
profileCfg 0 77 7 6 60 0 0 60.012 0 {samples} 5000 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
frameCfg 0 0 8 {frames} 10 1 0
"""
ROBOT = """
[capture]
config = "profile.cfg"
cf_json = "cf.json"
loops = "average"
compare = ["metadata.json", "params.json"]
[array]
board = "IWR1443BOOST"
[scan]
motion = "none"
"""


def test_the_plate_by_its_configuration(plate_raw: Path, plate_file: Path, tmp_path: Path, capsys) -> None:
    text = (DESCRIPTIONS / "square_plate.toml").read_text()
    start, stop = text.index("[waveform]"), text.index("[scan]")
    (tmp_path / "plate.toml").write_text(text[:start] + '[capture]\nconfig = "plate.cfg"\n' + text[stop:])
    (tmp_path / "plate.cfg").write_text(PLATE_CFG)
    out = tmp_path / "scan.h5"
    command = ["import", str(plate_raw), "-d", str(tmp_path / "plate.toml"), "-o", str(out), "--check-sign"]
    assert main(command) == 0
    by_cfg, typed = load_scan(out, lazy=True), load_scan(plate_file, lazy=True)
    assert by_cfg.shape == typed.shape == (16000, 1, 4, 512)
    for poses in (slice(0, 3), slice(7990, 8010), slice(15999, 16000)):
        assert np.array_equal(by_cfg.signal[poses], typed.signal[poses])
    assert by_cfg.chirp.f0 == pytest.approx(typed.chirp.f0, abs=1) and by_cfg.chirp.slope == typed.chirp.slope
    assert np.array_equal(by_cfg.trajectory.position, typed.trajectory.position)
    assert by_cfg.raster == typed.raster
    (tmp_path / "plate.cfg").write_text(PLATE_CFG.replace(" 512 ", " 256 "))
    assert main(command) == 3
    message = capsys.readouterr().err.splitlines()[-1]
    assert "scan1_Raw_0.bin: got 3276800 bytes, wanted 1638400 = 400 frames" in message
    assert "samples = 512 would fit" in message


@pytest.fixture
def robot(fixtures: Path, tmp_path: Path) -> Path:
    """A folder with the IWR1443 recordings and the JSON files of their makers."""
    for path in (fixtures / "dca1000_1443").iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    (tmp_path / "profile.cfg").write_text(ROBOT_CFG.format(samples=256, frames=50))
    (tmp_path / "robot.toml").write_text(ROBOT)
    return tmp_path


def run(folder: Path, capsys, name: str = "adc_data20251124114141.bin") -> tuple[int, str]:
    capsys.readouterr()
    arguments = ["import", str(folder / name), "-d", str(folder / "robot.toml"), "-o", str(folder / "scan.h5")]
    return main([*arguments, "--check-sign"]), capsys.readouterr().err


@pytest.mark.parametrize("name", ["adc_data20251124114141.bin", "adc_data20251124114014.bin"])
def test_the_card_settings_give_the_layout_and_notes_are_held_against_the_file(robot: Path, capsys, name: str) -> None:
    code, err = run(robot, capsys, name)  # cf.json: two lanes, not reordered, sequenceNumberEnable without effect
    assert code == 0
    assert "metadata.json: num_tx says 3 TX, imported with 1; 1638400 bytes are 50 frames of 8 chirps" in err
    assert "params.json: robot_collected.77_ghz.normal.num_samples says 512 samples per chirp, imported with 256" in err
    assert "25 of 8 chirps x 512 samples x 4 RX" in err and "400 of 1 chirps x 256 samples" in err
    scan = load_scan(robot / "scan.h5")
    assert scan.shape == (50, 1, 4, 256) and scan.attrs["history"][0]["sign_check_db"] > 30
    assert scan.attrs["history"][0]["description"]["capture"]["layout"] == "2lane-interleaved"


def test_what_the_others_say_is_explained(robot: Path, capsys) -> None:
    (robot / "profile.cfg").write_text(ROBOT_CFG.format(samples=512, frames=110))  # params.json, "normal"
    code, err = run(robot, capsys)
    assert code == 3 and "got 1638400 bytes, wanted 7208960 = 110 frames" in err and err.count("\n") == 1
    (robot / "profile.cfg").write_text(ROBOT_CFG.format(samples=256, frames=50))
    (robot / "robot.toml").write_text(ROBOT.replace('cf_json = "cf.json"', ""))  # as the chip sends on four lanes
    code, err = run(robot, capsys)
    assert code == 3 and 'set [capture] layout = "2lane-interleaved"' in err
    (robot / "robot.toml").write_text(ROBOT.replace('cf_json = "cf.json"', 'layout = "2lane-interleaved"'))
    assert run(robot, capsys)[0] == 0
    (robot / "robot.toml").write_text(ROBOT + "[waveform]\nsamples = 512\n")
    code, err = run(robot, capsys)
    assert code == 3 and "samples: got 512, but profile.cfg says 256" in err
    assert "50 frames of 8 chirps x 256 samples x 4 RX as profile.cfg says, 25 frames of 8 chirps x 512" in err
    text = (robot / "cf.json").read_text().replace('"reorderEnable": 0', '"reorderEnable": 1')
    (robot / "cf.json").write_text(text)
    (robot / "robot.toml").write_text(ROBOT)
    code, err = run(robot, capsys)
    assert code == 3 and 'set [capture] layout = "2lane-interleaved"' in err
    (robot / "profile.cfg").write_text(ROBOT_CFG.format(samples=256, frames=50).replace("adcCfg 2", "adcCfg 1"))
    code, err = run(robot, capsys)
    assert code == 3 and "dataFormatMode: got 16 bits, but the configuration says 14" in err


def test_the_single_frame(robot: Path, capsys) -> None:
    name = "adc_data0_2025-11-22_10-41-56.bin"
    (robot / "profile.cfg").write_text(ROBOT_CFG.format(samples=256, frames=50))
    code, err = run(robot, capsys, name)
    assert code == 3 and "got 32768 bytes, wanted 1638400 = 50 frames" in err and "1 frames would fit" in err
    (robot / "robot.toml").write_text(ROBOT.replace("[array]", "frames_per_file = 1\n[array]"))
    code, err = run(robot, capsys, name)
    assert code == 0 and "1 poses x 1 TX x 4 RX x 256 samples" in err


def test_offset_binary_by_configuration(fixtures: Path, tmp_path: Path, capsys) -> None:
    shutil.copyfile(fixtures / "offset_binary" / "adc_data02.bin", tmp_path / "adc_data02.bin")
    (tmp_path / "profile.cfg").write_text(
        ROBOT_CFG.format(samples=256, frames=0).replace("frameCfg 0 0 8", "frameCfg 0 0 1")
    )
    toml = ROBOT.replace('cf_json = "cf.json"\n', "").replace('compare = ["metadata.json", "params.json"]\n', "")
    (tmp_path / "robot.toml").write_text(toml)
    code, err = run(tmp_path, capsys, "adc_data02.bin")
    assert code == 3 and "set [capture] offset_binary = true" in err
    (tmp_path / "robot.toml").write_text(toml.replace("[array]", "offset_binary = true\n[array]"))
    code, err = run(tmp_path, capsys, "adc_data02.bin")
    assert code == 3 and 'set [capture] layout = "4lane-iqiq"' in err
    more = 'offset_binary = true\nlayout = "4lane-iqiq"\n[array]'
    (tmp_path / "robot.toml").write_text(toml.replace("[array]", more))
    code, err = run(tmp_path, capsys, "adc_data02.bin")
    assert code == 0 and "256 poses x 1 TX x 4 RX x 256 samples" in err
