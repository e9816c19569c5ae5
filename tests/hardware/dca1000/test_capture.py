"""A recording as samples: any frames of it, by slice; real captures sent through the emulated card come out as read."""

from pathlib import Path

import numpy as np
import pytest

from mmsar.errors import FormatError, GeometryError
from mmsar.hardware.adc import decode_frames
from mmsar.hardware.config.radar import parse_cfg
from mmsar.hardware.dca1000 import journal
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.index import Index
from mmsar.hardware.dca1000.record import Link, Patience, record
from mmsar.hardware.dca1000.recover import Recovered, recover, survey
from mmsar.hardware.dca1000.report import Report
from mmsar.hardware.emulate.dca import DcaEmulator, Habits
from mmsar.hardware.emulate.faults import FaultPlan
from mmsar.hardware.emulate.source import FileSource

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"

PLATE_CFG = """\
% xWR1443, the waveform of the square plate
channelCfg 15 1 0
adcCfg 2 1
adcbufCfg 0 0 0 1
profileCfg 0 77 7 6 63 0 0 63.343 1 512 9121 0 0 30
chirpCfg 0 0 0 0 0 0 0 1
frameCfg 0 0 1 400 2 1 0
lvdsStreamCfg -1 0 1 0
"""


@pytest.fixture
def recorded(bench, tmp_path):
    made = bench(frames=40, emulated_period=0.01, faults=FaultPlan(drop=0.02, reorder=0.02, seed=3))
    record(
        tmp_path / "r",
        made.config,
        n_frames=40,
        link=made.link,
        board="IWR1843BOOST",
        patience=Patience(start=5.0, silence=1.0),
        on_armed=lambda _: made.card.start_stream(),
    )
    return made, tmp_path / "r"


def test_any_frames_by_slice(recorded):
    made, folder = recorded
    capture = Capture.open(folder)
    samples, valid = capture.samples()
    truth = made.truth(40)
    for frames in (slice(0, 1), slice(7, 9), slice(38, None), slice(-3, -1), slice(5, 5), slice(30, 400)):
        part, mask = capture.samples(frames)
        assert (part == samples[frames]).all() and (mask == valid[frames]).all()
        assert (capture.valid(frames) == valid[frames]).all()
        assert (part[mask] == truth[frames][mask]).all()
    with pytest.raises(GeometryError, match="got a step of 2"):
        capture.samples(slice(0, 10, 2))
    assert (capture.frames_complete == valid.reshape(40, -1).all(axis=1)).all()
    assert capture.manifest["board"] == "IWR1843BOOST" and capture.manifest["config"] == made.config.text
    assert capture.manifest["config_digest"] == capture.config.digest == made.config.digest


def test_stamps_are_those_of_each_frames_first_packet(recorded):
    made, folder = recorded
    capture = Capture.open(folder)
    missing = set(made.card.log.missing().tolist())
    holders = [k * made.config.frame_bytes // 1456 for k in range(40)]
    assert [stamp < 0 for stamp in capture.frame_stamps] == [packet in missing for packet in holders]
    got = capture.frame_stamps >= 0
    late = capture.frame_stamps[got] - np.array(made.card.log.frame_times)[got]
    assert (late > 0).all() and (late < 5e9).all()


def test_the_index_is_built_again_the_same(recorded):
    _, folder = recorded
    index, report = Index.load(folder), Capture.open(folder).report
    found = survey(folder)
    assert found.report == report
    for name in ("chunk", "at", "size", "begin", "end", "skip", "covered", "stamps"):
        assert (getattr(found.index, name) == getattr(index, name)).all(), name
    (folder / journal.INDEX).unlink()
    assert recover(folder) == Recovered(report=report, done=True)
    assert (Index.load(folder).stamps == index.stamps).all()
    for damage in (b"", b"PK nonsense"):
        (folder / journal.INDEX).write_bytes(damage)
        with pytest.raises(FormatError, match="run mmsar hw recover"):
            Index.load(folder)


def test_a_chunk_cut_after_recording_is_told(recorded):
    _, folder = recorded
    chunk = journal.chunk_path(folder, 0)
    chunk.write_bytes(chunk.read_bytes()[: chunk.stat().st_size // 2])
    with pytest.raises(FormatError, match="was cut after recording"):
        Capture.open(folder).samples()


def test_reports_come_back_from_json(recorded):
    report = Capture.open(recorded[1]).report
    assert Report.from_json(report.to_json()) == report
    with pytest.raises(FormatError, match="got report schema None"):
        Report.from_json({})
    with pytest.raises(FormatError, match="got no duplicates, wanted a whole report"):
        Report.from_json({k: v for k, v in report.to_json().items() if k != "duplicates"})


def test_a_real_capture_goes_through_card_and_recorder(addresses, tmp_path):
    """One row of the square plate, four lanes, sent by the emulated card with losses."""
    path = SHARED / "dca1000_square_plate" / "scan1_Raw_0.bin"
    if not path.exists():
        pytest.skip("measured data dca1000_square_plate is not there")
    config = parse_cfg(PLATE_CFG, device="xWR1443")
    assert config.layout == "4lane" and config.frame_bytes * 400 == path.stat().st_size
    source = FileSource(path, config.frame_bytes)
    host_ip, card_ip = addresses
    faults = FaultPlan(drop=0.01, reorder=0.01, duplicate=0.005, seed=8)
    with DcaEmulator(card_ip, host_ip, source=source, flush=0.3, faults=faults, habits=Habits(source_port=0)) as card:
        report = record(
            tmp_path / "r",
            config,
            n_frames=400,
            link=Link(host_ip=host_ip, card_ip=card_ip, packet_delay=5e-6),
            patience=Patience(start=5.0, silence=1.0),
            on_armed=lambda _: card.start_stream(),
        )
        assert report.upstream_lost == card.log.dropped and card.fpga.lanes == 4
    truth = decode_frames(path.read_bytes(), config)
    capture = Capture.open(tmp_path / "r")
    samples, valid = capture.samples()
    assert (samples[valid] == truth[valid]).all()
    assert 0.98 < valid.mean() < 1 and capture.n_frames == 400
