"""Real captures described wrongly are refused in one line, and a capture nobody described for us is read right."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.io.scan_h5 import load_scan
from mmsar.signal.rangefft import mean_range_power

PLATE = (Path(__file__).parents[1] / "descriptions" / "square_plate.toml").read_text()
STILL = """
format = "ti-raw"
[waveform]
start_ghz = 77
slope_mhz_us = 60.012
adc_start_us = 6
sample_rate_ksps = 5000
samples = 256
[capture]
layout = "4lane"
rx = 4
[scan]
motion = "none"
[array]
tx_mm = [[0, 0, 0]]
rx_mm = [[0, 0, 0], [2, 0, 0], [4, 0, 0], [6, 0, 0]]
"""
"""What a newcomer might write for a radar that stood still."""


@pytest.fixture
def refusal(tmp_path: Path, capsys):
    """The one line that `mmsar import` answers a source and a description with, exit code 3."""

    def run(source: Path, description: str) -> str:
        toml, out = tmp_path / "description.toml", tmp_path / "scan.h5"
        toml.write_text(description)
        capsys.readouterr()
        assert main(["import", str(source), "-d", str(toml), "-o", str(out)]) == 3
        message = capsys.readouterr().err
        assert message.count("\n") == 1 and message.startswith("mmsar import: ")
        assert not out.exists()
        return message

    return run


@pytest.mark.parametrize("layout", ["2lane-iiqq", "2lane-qqii", "iqiq", "4lane-iqiq", "2lane-interleaved"])
def test_wrong_layout(plate_raw: Path, layout: str, refusal) -> None:
    message = refusal(plate_raw, PLATE.replace('layout = "4lane"', f'layout = "{layout}"'))
    assert f'read as "{layout}"' in message and 'set [capture] layout = "4lane"' in message


def test_row_cut_short(plate_raw: Path, tmp_path: Path, refusal) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    for number in range(1, 41):
        name = f"scan{number}_Raw_0.bin"
        (rows / name).symlink_to(plate_raw / name)
    cut = rows / "scan7_Raw_0.bin"
    cut.unlink()
    cut.write_bytes((plate_raw / cut.name).read_bytes()[:3_000_000])
    message = refusal(rows, PLATE)
    assert "scan7_Raw_0.bin: got 3000000 bytes, wanted 3276800 = 400 frames" in message
    assert "366 frames and 1728 bytes over; a capture cut short" in message
    cut.unlink()
    assert "without number 7 (1 missing)" in refusal(rows, PLATE)


def test_wrong_numbers_of_samples_and_receivers(plate_raw: Path, refusal) -> None:
    assert "samples = 512 would fit" in refusal(plate_raw, PLATE.replace("samples = 512", "samples = 256"))
    assert "400 frames would fit" in refusal(plate_raw, PLATE.replace("frames_per_file = 400", "frames_per_file = 40"))


def test_offset_binary(fixtures: Path, refusal) -> None:
    source = fixtures / "offset_binary" / "adc_data02.bin"
    assert "set [capture] offset_binary = true" in refusal(source, STILL)
    toggled = STILL.replace("rx = 4", "rx = 4\noffset_binary = true")
    assert 'set [capture] layout = "4lane-iqiq"' in refusal(source, toggled)


def test_a_newcomer_is_led_to_a_range_profile(fixtures: Path, tmp_path: Path, refusal, capsys) -> None:
    """Message by message to a description of an IWR1443 recording (50 frames of 8 chirps): its files say 4 lanes."""
    source = fixtures / "dca1000_1443" / "adc_data20251124114014.bin"
    description = STILL.replace("rx = 4", "rx = 4\nframes_per_file = 50")
    assert "chirps_per_frame = 8 would fit" in refusal(source, description)
    description = description.replace("rx = 4", "rx = 4\nchirps_per_frame = 8")
    assert 'loops: missing; 8 chirps per frame of 1 transmitters repeat 8 times: wanted "average"' in refusal(
        source, description
    )
    description = description.replace("rx = 4", 'rx = 4\nloops = "average"')
    assert 'set [capture] layout = "2lane-interleaved"' in refusal(source, description)
    description = description.replace('"4lane"', '"2lane-interleaved"')
    (tmp_path / "right.toml").write_text(description)
    out = tmp_path / "scan.h5"
    assert main(["import", str(source), "-d", str(tmp_path / "right.toml"), "-o", str(out), "--check-sign"]) == 0
    assert main(["info", str(out)]) == 0
    assert "50 poses x 1 TX x 4 RX x 256 samples" in capsys.readouterr().out
    scan = load_scan(out)
    assert scan.attrs["history"][0]["sign_check_db"] > 30  # 36.8 dB; read as 4 lanes -1.7 dB
    found = mean_range_power(scan)
    near = found.range_m < 4.5
    assert found.power[near].sum() > 0.99 * found.power.sum()  # a room: echoes to 4 m, nothing at negative ranges
    assert found.range_m[np.argmax(found.power)] == pytest.approx(0.93, abs=0.05)
    assert found.changing.max() < 1e-3 * found.power.max()  # it stood still


def test_folder_without_captures(tmp_path: Path, refusal, plate_raw: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no file that matches *.bin" in refusal(empty, PLATE)
    shutil.copy(plate_raw / "scan1_Raw_0.bin", empty / "other_1.bin")
    shutil.copy(plate_raw / "scan2_Raw_0.bin", empty / "scan2_Raw_0.bin")
    assert "files named differently" in refusal(empty, PLATE)
