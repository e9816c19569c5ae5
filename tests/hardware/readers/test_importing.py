"""Every kind of recording as a scan through `mmsar import`: what the configuration says need not be typed."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.errors import FormatError
from mmsar.hardware.adc import cube_shape, encode_frames
from mmsar.hardware.board import board
from mmsar.hardware.config.radar import parse_cfg
from mmsar.hardware.readers import import_recording
from mmsar.io.scan_h5 import load_scan

CFG = """% IWR1443 board
dfeDataOutputMode 1
channelCfg 15 5 0
adcCfg 2 1
adcbufCfg -1 0 0 0 1
profileCfg 0 77 7 6 60 0 0 60.012 0 32 5000 0 0 30
chirpCfg 0 0 0 0 0 0 0 4
chirpCfg 1 1 0 0 0 0 0 1
frameCfg 0 1 3 {frames} 40 1 0
"""
TOML = """
[capture]
config = "profile.cfg"
loops = "{loops}"
[array]
board = "IWR1443BOOST"
[scan]
n_x = {n_x}
n_y = 2
x_step_mm = 1
y_step_mm = 7.6
direction = "serpentine"
first_row = "top"
"""
MANIFEST = {"mmsar_recording": 1, "device": "xWR1443", "board": "IWR1443BOOST"}


def config_of(frames: int = 6):
    return parse_cfg(CFG.format(frames=frames), device="xWR1443")


def cube_of(frames: int = 6, seed: int = 0) -> np.ndarray:
    """Echoes: tones at positive beat frequencies, of every channel its own."""
    config, rng = config_of(frames), np.random.default_rng(seed)
    shape = cube_shape(config, frames)[:-1]
    tone = 2j * np.pi * (rng.uniform(0.08, 0.2, shape)[..., None] * np.arange(32) + rng.uniform(0, 1, shape)[..., None])
    value = 900 * np.exp(tone)
    return (np.round(value.real) + 1j * np.round(value.imag)).astype(np.complex64)


def folder_of(path: Path, *, loops: str = "average", frames: int = 6, toml: str = "scan.toml", told: int | None = None):
    path.mkdir(exist_ok=True)
    (path / "profile.cfg").write_text(CFG.format(frames=frames if told is None else told))
    n_x = frames // 2 * (3 if loops == "poses" else 1)
    (path / toml).write_text(TOML.format(loops=loops, n_x=n_x))
    return path


def check(scan, cube: np.ndarray, loops: str = "average") -> None:
    config = config_of()
    if loops == "average":
        assert np.allclose(scan.read(), cube.mean(axis=1), atol=1e-3)
    else:
        assert np.array_equal(scan.read(), cube.reshape(-1, *cube.shape[2:]))
    array = config.array(board("IWR1443BOOST"))
    assert np.allclose(scan.array.tx, array.tx) and np.allclose(scan.array.rx, array.rx)  # TX3 fires first
    assert scan.chirp.f0 == pytest.approx(77e9 + 60.012e12 * 6e-6, abs=1) and scan.chirp.n_samples == 32
    assert np.allclose(np.diff(scan.tx_delay), 67e-6)
    assert scan.attrs["config_digest"] == config.digest
    row = scan.trajectory.time[: scan.raster.n_x]
    assert np.diff(row).max() == pytest.approx(40e-3 if loops == "average" else 40e-3 - 2 * 134e-6)


@pytest.mark.parametrize("loops", ["average", "poses"])
def test_bin_with_its_configuration(tmp_path: Path, loops: str, capsys) -> None:
    folder = folder_of(tmp_path, loops=loops, toml="adc_data.toml")
    cube = cube_of()
    encode_frames(cube, config_of()).tofile(folder / "adc_data.bin")
    out = tmp_path / "scan.h5"
    assert main(["import", str(folder / "adc_data.bin"), "-o", str(out), "--check-sign"]) == 0
    scan = load_scan(out)
    check(scan, cube, loops)
    assert scan.attrs["history"][0]["description"]["waveform"]["samples"] == 32
    assert "6 poses" in capsys.readouterr().err or loops == "poses"


@pytest.mark.parametrize("toggle", [0, 1])
@pytest.mark.parametrize("reorder", [0, 1])
def test_files_of_the_command_line_recorder(tmp_path: Path, toggle: int, reorder: int) -> None:
    folder = folder_of(tmp_path, toml="adc_Raw_0.toml")
    cube = cube_of()
    raw = encode_frames(cube, config_of(), layout="4lane-iqiq" if reorder else "4lane")
    (raw.view(np.uint16) ^ np.uint16(0x8000 * toggle)).tofile(folder / "adc_Raw_0.bin")
    settings = {
        "dataLoggingMode": "raw",
        "dataTransferMode": "LVDSCapture",
        "dataCaptureMode": "ethernetStream",
        "lvdsMode": 1,
        "dataFormatMode": 3,
        "packetDelay_us": 25,
        "dataFormatConfig": {"MSBToggle": toggle, "reorderEnable": reorder},
    }
    (folder / "cf.json").write_text(json.dumps({"DCA1000Config": settings}))
    toml = folder / "adc_Raw_0.toml"
    toml.write_text(toml.read_text().replace("[capture]", '[capture]\ncf_json = "cf.json"'))
    check(import_recording(folder / "adc_Raw_0.bin"), cube)
    settings["dataFormatConfig"] = {"MSBToggle": 1 - toggle, "reorderEnable": reorder}
    (folder / "cf.json").write_text(json.dumps({"DCA1000Config": settings}))
    assert "set [capture] offset_binary" in refusal(folder / "adc_Raw_0.bin")
    settings["dataFormatConfig"] = {"MSBToggle": toggle, "reorderEnable": 1 - reorder}
    (folder / "cf.json").write_text(json.dumps({"DCA1000Config": settings}))
    assert "set [capture] layout" in refusal(folder / "adc_Raw_0.bin")


def refusal(path: Path, description=None) -> str:
    with pytest.raises(FormatError) as caught:
        import_recording(path, description)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_parts_of_one_capture(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    cube = cube_of()
    raw = encode_frames(cube, config_of()).view(np.uint8)
    for k, part in enumerate(np.split(raw, [1000, 2000, 9001])):  # anywhere
        part.tofile(folder / f"adc [1]_Raw_{k}.bin")
    check(import_recording(folder), cube)
    check(import_recording(folder / "adc [1]_Raw_0.bin", folder / "scan.toml"), cube)
    toml = folder / "scan.toml"
    toml.write_text(toml.read_text().replace("[capture]", '[capture]\nfiles = "split"'))
    check(import_recording(folder / "adc [1]_Raw_0.bin", toml), cube)
    (folder / "adc [1]_Raw_2.bin").unlink()
    assert "adc [1]_Raw_2.bin: missing beside adc [1]_Raw_3.bin" in refusal(folder)


def test_parts_or_rows(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, told=3)
    cubes = [cube_of(3, seed=k) for k in range(2)]
    for k, cube in enumerate(cubes):
        encode_frames(cube, config_of()).tofile(folder / f"scan_Raw_{k}.bin")
    check(import_recording(folder), np.concatenate(cubes))  # each as many frames as the configuration says: rows
    folder_of(tmp_path, told=0)
    assert '("rows") or the parts of one capture ("split")' in refusal(folder)
    toml = folder / "scan.toml"
    toml.write_text(toml.read_text().replace("[capture]", '[capture]\nfiles = "split"'))
    check(import_recording(folder), np.concatenate(cubes))


def test_row_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, told=3)
    cubes = [cube_of(3, seed=k) for k in range(2)]
    for k, cube in enumerate(cubes):
        encode_frames(cube, config_of()).tofile(folder / f"row{k}_Raw_0.bin")
    check(import_recording(folder), np.concatenate(cubes))


def test_studio_folder_with_its_json(tmp_path: Path) -> None:
    cube = cube_of()
    encode_frames(cube, config_of()).tofile(tmp_path / "adc_Raw_0.bin")
    profile = {
        "profileId": 0,
        "startFreqConst_GHz": 77.0,
        "idleTimeConst_usec": 7.0,
        "adcStartTimeConst_usec": 6.0,
        "rampEndTime_usec": 60.0,
        "freqSlopeConst_MHz_usec": 60.012,
        "txStartTime_usec": 0.0,
        "numAdcSamples": 32,
        "digOutSampleRate": 5000.0,
        "hpfCornerFreq1": 0,
        "hpfCornerFreq2": 0,
        "rxGain_dB": "0x1E",
    }
    chirps = [
        {"rlChirpCfg_t": {"chirpStartIdx": k, "chirpEndIdx": k, "profileId": 0, "txEnable": mask}}
        for k, mask in enumerate(["0x4", "0x1"])
    ]
    frame = {"chirpStartIdx": 0, "chirpEndIdx": 1, "numLoops": 3, "numFrames": 6, "numAdcSamples": 64}
    radar = {
        "mmWaveDeviceId": 0,
        "rfConfig": {
            "waveformType": "legacyFrameChirp",
            "MIMOScheme": "TDM",
            "rlChanCfg_t": {"rxChannelEn": "0xF", "txChannelEn": "0x5", "cascading": 0},
            "rlAdcOutCfg_t": {"fmt": {"b2AdcBits": 2, "b2AdcOutFmt": 1}},
            "rlProfiles": [{"rlProfileCfg_t": profile}],
            "rlChirps": chirps,
            "rlFrameCfg_t": {**frame, "framePeriodicity_msec": 40.0, "triggerSelect": 1},
        },
        "rawDataCaptureConfig": {"rlDevDataFmtCfg_t": {"iqSwapSel": 0, "chInterleave": 0}},
    }
    (tmp_path / "a.mmwave.json").write_text(json.dumps({"mmWaveDevices": [radar]}))
    (tmp_path / "scan.toml").write_text(
        TOML.format(loops="average", n_x=3).replace('config = "profile.cfg"', 'device = "IWR1443"')
    )
    check(import_recording(tmp_path), cube)
    setup = {
        "mmWaveDevice": "awr1443",
        "configUsed": "C:\\data\\a.mmwave.json",
        "capturedFiles": {"files": [{"rawFileName": "adc_Raw_0.bin"}]},
    }
    (tmp_path / "a.setup.json").write_text(json.dumps(setup))
    (tmp_path / "other.bin").write_bytes(b"123")
    (tmp_path / "scan.toml").write_text(
        TOML.format(loops="average", n_x=3).replace('config = "profile.cfg"', "")
    )  # the chip is in the setup
    check(import_recording(tmp_path), cube)
    (tmp_path / "a.setup.json").write_text(json.dumps({**setup, "configUsed": "b.mmwave.json"}))
    assert "configUsed: got b.mmwave.json, but the folder holds a.mmwave.json" in refusal(tmp_path)
    setup["capturedFiles"]["files"].append({"rawFileName": "adc_Raw_1.bin"})
    (tmp_path / "a.setup.json").write_text(json.dumps(setup))
    assert "names adc_Raw_1.bin (1 missing)" in refusal(tmp_path)
    (tmp_path / "b.mmwave.json").write_text("{}")
    assert "got 2 files *.mmwave.json (a.mmwave.json, b.mmwave.json)" in refusal(tmp_path)


def datagrams(raw: bytes, lost: tuple[int, ...] = ()) -> list[bytes]:
    size = 1456
    cut = [raw[at : at + size] for at in range(0, len(raw), size)]
    return [struct.pack("<IIH", k + 1, k * size, 0) + part for k, part in enumerate(cut) if k not in lost]


@pytest.mark.parametrize("loops", ["average", "poses"])
@pytest.mark.parametrize("kind", ["pcap", "recording"])
def test_captures_with_a_lost_packet(tmp_path: Path, kind: str, loops: str, capsys) -> None:
    cube, config = cube_of(), config_of()
    sent = datagrams(encode_frames(cube, config).tobytes(), lost=(4,))  # bytes 5824 .. 7280: end of frame 0, begin of 1
    if kind == "pcap":
        source = folder_of(tmp_path, loops=loops, toml="dca.toml") / "dca.pcap"
        content = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
        for datagram in sent:
            udp = struct.pack(">HHHH", 1024, 4098, 8 + len(datagram), 0) + datagram
            packet = struct.pack(">BBHHHBBH8s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(8)) + udp
            content += struct.pack("<IIII", 1_700_000_000, 0, len(packet), len(packet)) + packet
        source.write_bytes(content)
    else:
        from mmsar.hardware.dca1000.journal import JournalWriter, write_json
        from mmsar.hardware.dca1000.records import pack

        source = tmp_path / "rec"
        source.mkdir()
        manifest = {**MANIFEST, "config": config.text, "frames": 6, "frame_bytes": config.frame_bytes}
        write_json(source / "manifest.json", manifest)
        writer = JournalWriter(source)
        writer.append(b"".join(pack(datagram, 1) for datagram in sent), len(sent))
        writer.close()
        text = TOML.format(loops=loops, n_x=9 if loops == "poses" else 3).replace('config = "profile.cfg"', "")
        (source / "scan.toml").write_text(text.replace('[array]\nboard = "IWR1443BOOST"\n', ""))  # the recording has it
    out = tmp_path / "scan.h5"
    assert main(["import", str(source), "-o", str(out)]) == 0
    err = capsys.readouterr().err
    assert "were not captured whole" in err and "note: " in err
    assert "6 frames, 2 of them damaged" in err if kind == "pcap" else "4 of 6 frames complete; 1 packets lost" in err
    scan = load_scan(out)
    size = config.frame_bytes
    gone = np.zeros(6 * size, bool)
    gone[4 * 1456 : 5 * 1456] = True
    words = gone.reshape(6, 3, 2, 32, 2, 4, 2).any(axis=(4, 6))  # frame, loop, tx, sample, IQ, lane, byte
    whole = ~words.transpose(0, 1, 2, 4, 3).any(axis=-1)  # frame, loop, tx, rx
    assert not whole.all()
    if loops == "poses":
        good = whole.reshape(18, 2, 4)
        assert np.array_equal(scan.valid, good)
        assert np.array_equal(scan.read()[good], cube.reshape(18, 2, 4, 32)[good]) and not scan.read()[~good].any()
    else:
        good = whole.all(axis=1)  # the board moves: all loops are needed
        assert np.array_equal(scan.valid, good)
        assert np.allclose(scan.read()[good], cube.mean(axis=1)[good], atol=1e-3)
        description = source.with_suffix(".toml") if kind == "pcap" else source / "scan.toml"
        description.write_text(description.read_text().replace("[scan]", '[scan]\nmotion = "step"'))
        still = import_recording(source)  # it stood still: the whole loops make the mean
        assert np.array_equal(still.valid, whole.any(axis=1))
        mean = (cube * whole[..., None]).sum(axis=1) / np.maximum(whole.sum(axis=1), 1)[..., None]
        assert np.allclose(still.read(), mean, atol=1e-3)


def test_disagreements_are_explained_with_all_numbers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, toml="adc.toml")
    path = folder / "adc.bin"
    encode_frames(cube_of(), config_of()).tofile(path)
    text = (folder / "adc.toml").read_text()

    def told(change: str) -> str:
        (folder / "adc.toml").write_text(text + change)
        return refusal(path)

    message = told("[waveform]\nsamples = 64\n")
    assert "adc.toml: [waveform] samples: got 64, but profile.cfg says 32" in message
    assert "adc.bin of 18432 bytes: 6 frames of 6 chirps x 32 samples x 4 RX as profile.cfg says" in message
    assert "3 frames of 6 chirps x 64 samples x 4 RX as the description says; correct the wrong one" in message
    assert "slope_mhz_us: got 70.0, but profile.cfg says 60.012" in told("[waveform]\nslope_mhz_us = 70.0\n")
    (folder / "adc.toml").write_text(text + "[waveform]\nslope_mhz_us = 60.0120001\n")
    check(import_recording(path), cube_of())  # rounded: they agree
    text = text.replace("[array]", "[array]\nuse_tx = [1, 3]")
    assert "use_tx: got [1, 3], but profile.cfg says [3, 1] in order of firing" in told("")
    text = text.replace("use_tx = [1, 3]", "use_rx = [1]")
    assert "use_rx: got [1], but profile.cfg enables [1, 2, 3, 4]" in told("")
    text = text.replace("use_rx = [1]", "").replace("IWR1443BOOST", "IWR1843BOOST")
    assert "tx_rx_gap_mm" in told("")
    text = text.replace("IWR1843BOOST", "nonsense")
    assert "wanted one of" in told("")
    text = text.replace("nonsense", "IWR1443BOOST")
    path.write_bytes(path.read_bytes()[:-100])
    message = told("")
    assert (
        "got 18332 bytes, wanted 18432 = 6 frames (as profile.cfg says) x 6 chirps" in message
        and "5 frames and 2972 bytes over" in message
    )


def test_what_is_missing_or_misspelt(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, toml="adc.toml")
    path = folder / "adc.bin"
    encode_frames(cube_of(), config_of()).tofile(path)
    toml = folder / "adc.toml"
    text = toml.read_text()
    assert "no such file or folder" in refusal(folder / "gone.bin")
    for old, new, expected in (
        ("profile.cfg", "other.cfg", "other.cfg: no such file beside the data"),
        ('config = "profile.cfg"', "config = 5", "[capture] config: got 5, wanted a text"),
        ('config = "profile.cfg"', 'config = "profile.cfg"\nport = 0', "[capture] port: got 0"),
        ('config = "profile.cfg"', 'device = "xWR1443"', "[capture] config: missing"),
        ('config = "profile.cfg"', 'config = "profile.cfg"\ndevice = "xWR99"', "[capture] device: got 'xWR99'"),
        ('config = "profile.cfg"', 'config = "profile.cfg"\ncf_json = "profile.cfg"', "profile.cfg"),
        ('config = "profile.cfg"', 'config = "profile.cfg"\nlayuot = "4lane"', "did you mean layout?"),
        ("[capture]", 'format = "mat"\n[capture]', 'does not belong to format "mat"'),
        ('loops = "average"', "", "loops: missing"),
        ('board = "IWR1443BOOST"', "", "wanted either board or both tx_mm and rx_mm"),
    ):
        assert old in text
        toml.write_text(text.replace(old, new))
        assert expected in refusal(path), (old, new)
    toml.write_text(text)
    (folder / "profile.cfg").write_text(CFG.format(frames=6).replace("% IWR1443 board\n", ""))
    assert 'profile.cfg does not say for which chip it is, wanted [capture] device = "xWR1843"' in refusal(path)
    toml.write_text(text.replace("[capture]", '[capture]\ndevice = "iwr1443"'))
    check(import_recording(path), cube_of())
    toml.write_text(text.replace("[capture]", '[capture]\ndevice = "xWR1843"'))
    assert "wanted one after the other" in refusal(path)


def test_files_split_by_headers(tmp_path: Path) -> None:
    path = folder_of(tmp_path, toml="adc_data_hdr_0ADC_0.toml") / "adc_data_hdr_0ADC_0.bin"
    encode_frames(cube_of(), config_of()).tofile(path)
    assert 'the recorder\'s mode "multi" (split by headers), wanted "raw"' in refusal(path)


def test_plain_import_scan_says_what_reads_a_configuration(tmp_path: Path) -> None:
    from mmsar import import_scan

    folder = folder_of(tmp_path, toml="adc.toml")
    path = folder / "adc.bin"
    encode_frames(cube_of(), config_of()).tofile(path)
    toml = folder / "adc.toml"
    toml.write_text('format = "ti-raw"\n' + toml.read_text().replace("IWR1443BOOST", "iwr1443"))
    with pytest.raises(FormatError, match="import_recording"):
        import_scan(path)
    with pytest.raises(FormatError, match="import_recording"):
        import_scan(path, {"format": "ti-raw", "array": {"board": "IWR1443BOOST"}, "waveform": waveform()})


@pytest.mark.parametrize("line", ["frames_per_file = 6", "skip_bytes = 1", "offset_binary = true", 'cf_json = "c"'])
def test_keys_of_files_are_not_ignored_for_packets(tmp_path: Path, line: str) -> None:
    source = folder_of(tmp_path, toml="dca.toml") / "dca.pcap"
    source.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
    toml = tmp_path / "dca.toml"
    toml.write_text(toml.read_text().replace("[capture]", f"[capture]\n{line}"))
    assert "does not belong to a packet capture; remove it" in refusal(source)
    assert "got no UDP datagram" in refusal(source, folder_of(tmp_path, toml="dca.toml") / "dca.toml")


def waveform() -> dict[str, float]:
    return {"start_ghz": 77, "slope_mhz_us": 60, "adc_start_us": 6, "sample_rate_ksps": 5000, "samples": 32}


def test_recording_that_names_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        json.dumps({**MANIFEST, "config": CFG.format(frames=1), "frames": 1, "frame_bytes": 3072})
    )
    (tmp_path / "scan.toml").write_text(TOML.format(loops="average", n_x=1))
    assert "[capture] config: does not belong to a recording of mmsar; remove it" in refusal(tmp_path)
    (tmp_path / "scan.toml").write_text('format = "mat"')
    assert 'wanted "ti-raw" for a recording of mmsar' in refusal(tmp_path)
    (tmp_path / "scan.toml").unlink()
    assert "raw data does not describe itself" in refusal(tmp_path)
