"""`.mmwave.json` of one radar and of the cascade, `.setup.json`, and what is refused."""

import copy
import json

import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.hardware.board import board
from mmsar.hardware.config.limits import check
from mmsar.hardware.config.mmwave_json import read_setup
from mmsar.hardware.config.radar import device_of, parse_cfg, read_cfg


def radar(number=0, *, tx=("0x1", "0x4"), rx="0xF", enabled="0x7", trigger=1, interleave=1, swap=0):
    """One entry of mmWaveDevices."""
    return {
        "mmWaveDeviceId": number,
        "rfConfig": {
            "waveformType": "legacyFrameChirp",
            "MIMOScheme": "TDM",
            "rlChanCfg_t": {"rxChannelEn": rx, "txChannelEn": enabled, "cascading": 0},
            "rlAdcOutCfg_t": {"fmt": {"b2AdcBits": 2, "b8FullScaleReducFctr": 0, "b2AdcOutFmt": 1}},
            "rlProfiles": [
                {
                    "rlProfileCfg_t": {
                        "profileId": 0,
                        "startFreqConst_GHz": 77.0,
                        "idleTimeConst_usec": 5.0,
                        "adcStartTimeConst_usec": 6.0,
                        "rampEndTime_usec": 40.0,
                        "txOutPowerBackoffCode": "0x0",
                        "txPhaseShifter": "0x0",
                        "freqSlopeConst_MHz_usec": 78.986,
                        "txStartTime_usec": 0.0,
                        "numAdcSamples": 256,
                        "digOutSampleRate": 8000.0,
                        "hpfCornerFreq1": 0,
                        "hpfCornerFreq2": 1,
                        "rxGain_dB": "0x30",
                    }
                }
            ],
            "rlChirps": [
                {
                    "rlChirpCfg_t": {
                        "chirpStartIdx": k,
                        "chirpEndIdx": k,
                        "profileId": 0,
                        "idleTimeVar_usec": 0.0,
                        "txEnable": mask,
                    }
                }
                for k, mask in enumerate(tx)
            ],
            "rlFrameCfg_t": {
                "chirpStartIdx": 0,
                "chirpEndIdx": len(tx) - 1,
                "numLoops": 64,
                "numFrames": 10,
                "numAdcSamples": 512,
                "framePeriodicity_msec": 100.0,
                "triggerSelect": trigger,
                "frameTriggerDelay": 0.0,
            },
        },
        "rawDataCaptureConfig": {"rlDevDataFmtCfg_t": {"iqSwapSel": swap, "chInterleave": interleave}},
    }


def text(*radars):
    return json.dumps({"configGenerator": {}, "mmWaveDevices": list(radars)}, indent=2)


def cascade():
    """The usual twelve chirps, from the last transmitter to the first: chirp k fires transmitter 11 - k."""
    radars = []
    for chip in range(4):
        tx = [hex(1 << (11 - k) % 3) if (11 - k) // 3 == chip else "0x0" for k in range(12)]
        radars.append(radar(chip, tx=tx, trigger=1 if chip == 0 else 2, interleave=0))
    return radars


def test_one_radar():
    given = text(radar())
    config = parse_cfg(given, device="AWR1843", name="x.mmwave.json")
    assert (config.device, config.text, config.tx_order, config.rx) == ("xWR1843", given, (0, 2), (0, 1, 2, 3))
    assert (config.start_frequency, config.slope, config.fs, config.n_samples) == (77e9, 78.986e12, 8e6, 256)
    assert (config.idle, config.adc_start, config.ramp_end, config.frame_period) == (5e-6, 6e-6, 40e-6, 0.1)
    assert (config.n_loops, config.n_frames, config.trigger, config.layout) == (64, 10, "software", "2lane-iiqq")
    assert (config.hpf, config.rx_gain) == ((0, 1), 48)
    assert config.frame_bytes == 2 * 64 * 4 * 256 * 4
    assert parse_cfg(text(radar(swap=1)), device="xWR6843").layout == "2lane-qqii"
    assert parse_cfg(text(radar(interleave=0)), device="xWR1243").layout == "4lane"


def test_cascade():
    given = text(*reversed(cascade()))
    assert device_of(given) == "MMWCAS"
    config = parse_cfg(given, device="MMWCAS")
    assert config.tx_order == tuple(range(11, -1, -1))
    assert config.rx == tuple(range(16))
    assert (config.layout, config.n_rx, config.trigger) == ("4lane-iqiq", 16, "software")
    assert config.frame_bytes == 12 * 64 * 256 * 16 * 4
    row = config.array(board("MMWCAS-RF", tx_rx_gap=(0, 0.02, 0)))
    assert row.tx.shape == (12, 3)
    assert np.all(np.diff(row.tx[:9, 1]) > 0)  # TX12 to TX4 run along the row
    assert not [f for f in check(config) if f.severity == "error"]


def test_cascade_in_a_file_needs_no_device(tmp_path):
    path = tmp_path / "cascade.mmwave.json"
    path.write_text(text(*cascade()))
    assert read_cfg(path).device == "MMWCAS"
    path.write_text(text(radar()))
    with pytest.raises(FormatError, match="say --device"):
        read_cfg(path)


def change(where, value):
    """A radar with one value changed; `where` is a path of keys."""
    found = copy.deepcopy(radar())
    node = found
    for key in where[:-1]:
        node = node[key]
    if value is None:
        del node[where[-1]]
    else:
        node[where[-1]] = value
    return text(found)


PROFILE = ("rfConfig", "rlProfiles", 0, "rlProfileCfg_t")
CHIRP = ("rfConfig", "rlChirps", 1, "rlChirpCfg_t")
FRAME = ("rfConfig", "rlFrameCfg_t")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (change(("rfConfig", "waveformType"), "advancedFrameChirp"), "waveformType: .*plain frames only"),
        (change(("rfConfig", "MIMOScheme"), "BPM"), "MIMOScheme: got 'BPM'"),
        (change((*CHIRP, "idleTimeVar_usec"), 1.5), "idleTimeVar_usec: got 1.5, wanted 0"),
        (change((*CHIRP, "txEnable"), "0x5"), "chirp 1: got 2 transmitters"),
        (change((*CHIRP, "txEnable"), "0x0"), "chirp 1: got 0 transmitters"),
        (change((*CHIRP, "txEnable"), "0x8"), "txEnable: got '0x8', wanted some of txChannelEn"),
        (change((*CHIRP, "chirpStartIdx"), 0), "each chirp once"),
        (change((*CHIRP, "profileId"), 1), r"profiles \[0, 1\]"),
        (change((*FRAME, "chirpEndIdx"), 2), "got no chirp 2"),
        (change((*FRAME, "numAdcSamples"), 256), "numAdcSamples: got 256, wanted 512"),
        (change((*FRAME, "triggerSelect"), 3), "triggerSelect: got 3, wanted 1 to 2"),
        (change((*PROFILE, "freqSlopeConst_MHz_usec"), "fast"), "freqSlopeConst_MHz_usec: got 'fast', wanted a number"),
        (change((*PROFILE, "freqSlopeConst_MHz_usec"), -5), "slope: got -5e"),
        (change((*PROFILE, "numAdcSamples"), None), "numAdcSamples: got None"),
        (change((*PROFILE, "profileId"), 3), "rlProfiles: got 0 of number 0"),
        (change(("rawDataCaptureConfig",), None), "rawDataCaptureConfig: got None, wanted an object"),
        (change(("rawDataCaptureConfig", "rlDevDataFmtCfg_t", "chInterleave"), 0), "sample order: got receivers inter"),
        (text(*cascade()), "got 4, wanted 1 for xWR1843; a cascade is --device MMWCAS"),
        (text(), "mmWaveDevices: got .*, wanted a list of objects"),
        ('{"DCA1000Config": {}}', "got a DCA1000 configuration, wanted a radar"),
        ('{"hello": 1}', "got JSON with hello, wanted a radar configuration"),
        ('{"mmWaveDevices": ', "wanted JSON"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(FormatError, match=message) as caught:
        parse_cfg(given, device="xWR1843", name="x.mmwave.json")
    assert str(caught.value).startswith("x.mmwave.json")


def test_chips_of_a_cascade_must_agree():
    radars = cascade()
    radars[2]["rfConfig"]["rlProfiles"][0]["rlProfileCfg_t"]["idleTimeConst_usec"] = 6
    with pytest.raises(FormatError, match=r"mmWaveDevices\[2\]: idle: got 6e-06, wanted 5e-06 as chip 0 has"):
        parse_cfg(text(*radars), device="MMWCAS")
    radars = cascade()
    radars[1]["mmWaveDeviceId"] = 0
    with pytest.raises(FormatError, match="mmWaveDeviceId: got repeated"):
        parse_cfg(text(*radars), device="MMWCAS")
    radars = cascade()
    radars[3]["rfConfig"]["rlChirps"][5]["rlChirpCfg_t"]["txEnable"] = "0x1"
    with pytest.raises(FormatError, match="chirp 5: got 2 transmitters"):
        parse_cfg(text(*radars), device="MMWCAS")


def test_setup(tmp_path):
    path = tmp_path / "x.setup.json"
    setup = {
        "configUsed": "C:\\ti\\x.mmwave.json",
        "captureHardware": "DCA1000",
        "mmWaveDevice": "awr1843",
        "capturedFiles": {
            "numFilesCollected": 2,
            "fileBasePath": "C:\\ti\\PostProc",
            "files": [
                {"processedFileName": "adc.bin", "rawFileName": "C:\\ti\\adc_Raw_0.bin"},
                {"processedFileName": "adc_1.bin"},
            ],
        },
    }
    path.write_text(json.dumps(setup))
    found = read_setup(path)
    assert (found.config, found.hardware, found.device) == ("x.mmwave.json", "DCA1000", "awr1843")
    assert (found.base_path, found.files) == ("C:\\ti\\PostProc", ("adc_Raw_0.bin", "adc_1.bin"))
    path.write_text("{}")
    with pytest.raises(FormatError, match="neither capturedFiles nor configUsed"):
        read_setup(path)


def leaves(node, path=()):
    """Paths of every value in a JSON tree, containers included."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from leaves(value, (*path, key))


@pytest.mark.parametrize(
    "value", [None, True, -1, 0, 0.5, 70000, 1e300, "x", "0x", "0xFF", [], {}, [1], [{}], {"a": 1}]
)
def test_any_changed_value_is_read_or_refused(value):
    """A damaged file never ends in another error."""
    whole = {"mmWaveDevices": [radar()]}
    for path in list(leaves(whole))[1:]:
        damaged = copy.deepcopy(whole)
        node = damaged
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        try:
            config = parse_cfg(json.dumps(damaged), device="xWR1843", name="x", for_capture=False)
        except FormatError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(check(config), list)
