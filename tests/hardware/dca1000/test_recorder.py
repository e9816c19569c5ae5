"""Recordings of the emulated card: each packet counted, undamaged samples as sent, every end a valid recording."""

import socket
import time
from threading import Thread

import numpy as np
import pytest

from mmsar.errors import CaptureError, FormatError, GeometryError
from mmsar.hardware.config.radar import parse_cfg
from mmsar.hardware.dca1000 import journal
from mmsar.hardware.dca1000.capture import Capture
from mmsar.hardware.dca1000.protocol import AsyncStatus
from mmsar.hardware.dca1000.record import Patience, lanes_of, record
from mmsar.hardware.emulate.faults import FaultLane, FaultPlan, StreamLog

QUICK = Patience(start=5.0, silence=1.0)


def test_a_clean_recording_is_whole(bench, tmp_path):
    made = bench(frames=20)
    report = made.record(tmp_path / "r", 20)
    assert (report.frames_complete, report.frames_damaged, report.ended) == (20, 0, "complete")
    assert report.packets_received == report.packets_expected == made.card.log.packed
    assert report.lossless and not report.interrupted and report.messages == ()
    capture, valid = made.check(tmp_path / "r")
    assert valid.all() and capture.shape == (20, 4, 2, 4, 256)
    assert capture.config.tx_order == (0, 2)
    stamps = capture.frame_stamps
    assert (np.diff(stamps) >= 0).all()
    assert abs(stamps[0] - made.card.log.frame_times[0]) < 5e9
    assert {"clocks", "start_record", "card_status", "stop_record", "end"} <= {e["event"] for e in capture.events}
    assert [e["status"] for e in capture.events if e["event"] == "card_status"] == [AsyncStatus.RECORD_COMPLETED]


def test_the_tail_of_two_seconds_is_waited_for(bench, tmp_path):
    made = bench(frames=3, flush=2.0)
    report = made.record(tmp_path / "r", 3, patience=None)
    assert report.frames_complete == 3 and report.ended == "complete"


def test_a_stray_message_of_completion_ends_nothing(bench, tmp_path):
    """It comes right before the first packets; the tail is still waited for."""
    made = bench(frames=3, flush=1.5)

    def armed(_):
        made.card.send_status(AsyncStatus.RECORD_COMPLETED)
        made.card.start_stream()
        time.sleep(0.2)
        made.card.send_status(AsyncStatus.RECORD_COMPLETED)

    report = record(tmp_path / "r", made.config, n_frames=3, link=made.link, on_armed=armed)
    assert report.frames_complete == 3


def test_a_lost_tail_is_not_waited_for_once_the_card_says_so(bench, tmp_path):
    """Without the last packet it is the card's message after 2 s of silence that ends the recording."""
    everything = ([b""] * 68, np.zeros(68))
    plans = (FaultPlan(drop=0.01, seed=seed) for seed in range(5000))
    plan = next(
        plan for plan in plans if FaultLane(plan, StreamLog()).through(0, *everything)[0].tolist() == list(range(67))
    )
    made = bench(frames=3, flush=2.0, faults=plan)
    report = made.record(tmp_path / "r", 3, patience=Patience(start=5.0, silence=30.0))
    assert report.ended == "end of stream" and made.card.log.missing().tolist() == [67]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_losses_reordering_and_copies_are_counted_exactly(bench, tmp_path, seed):
    plan = FaultPlan(drop=0.01, reorder=0.01, depth=32, duplicate=0.005, async_before_reply=0.5, seed=seed)
    made = bench(frames=60, faults=plan)
    report = made.record(tmp_path / "r", 60)
    log = made.card.log
    assert log.dropped and log.late and log.duplicated
    assert report.packets_expected == log.packed
    assert report.packets_received == log.distinct
    assert (report.upstream_lost, report.kernel_dropped) == (log.dropped, 0)
    assert (report.duplicates, report.late) == (log.duplicated, log.late)
    damaged = log.damaged_frames(made.config.frame_bytes)
    assert report.frames_damaged == len(damaged) and report.frames_complete == 60 - len(damaged)
    capture, valid = made.check(tmp_path / "r")
    assert set(np.flatnonzero(~valid.reshape(60, -1).all(axis=1))) == damaged
    lost = sum(min(1456, log.packed_bytes - 1456 * int(k)) for k in log.missing())
    assert report.zero_filled_bytes == lost
    assert np.count_nonzero(~valid) * 4 >= lost > np.count_nonzero(~valid) * 4 - 8 * 2 * log.dropped
    assert capture.report == report


@pytest.mark.parametrize("rx", [1, 3, 15])
def test_frames_of_any_size_are_found(bench, tmp_path, rx):
    made = bench(frames=7, loops=1, samples=60, rx=rx, faults=FaultPlan(drop=0.2, seed=rx))
    report = made.record(tmp_path / "r", 7)
    assert report.frames_damaged == len(made.card.log.damaged_frames(made.config.frame_bytes))
    made.check(tmp_path / "r")


def test_an_endless_radar_is_stopped_and_the_surplus_ignored(bench, tmp_path):
    made = bench(frames=0, sent=0, emulated_period=0.01)

    class Radar:
        calls = ()

        def configure(self, text):
            self.calls += (text,)

        def start(self):
            made.card.start_stream()
            self.calls += ("start",)

        def stop(self):
            made.card.stop_stream()
            self.calls += ("stop",)

    radar = Radar()
    report = record(tmp_path / "r", made.config, n_frames=5, link=made.link, radar=radar, patience=QUICK)
    assert radar.calls == ("stop", made.config.text, "start", "stop")
    assert report.frames_complete == report.frames_expected == 5 and report.surplus > 0
    assert "beyond the wanted frames" in report.messages[0]
    made.check(tmp_path / "r")


def test_the_radar_is_stopped_before_the_card(bench, tmp_path):
    made = bench(frames=4)
    order = []

    class Radar:
        def configure(self, text):
            order.append("configure")

        def start(self):
            order.append(made.card.recording)
            made.card.start_stream()

        def stop(self):
            order.append(made.card.recording)
            return "sensorStop: no answer" if len(order) > 1 else None

    report = record(tmp_path / "r", made.config, n_frames=4, link=made.link, radar=Radar(), patience=QUICK)
    assert order == [False, "configure", True, True] and not made.card.recording
    assert report.messages == ("sensorStop: no answer",)
    names = [e["event"] for e in journal.read_events(tmp_path / "r")]
    assert names.index("start_record") < names.index("radar_started") < names.index("radar_stopped")
    assert names.index("radar_stopped") < names.index("stop_record") < names.index("end")


def test_no_data_is_a_diagnosis_and_an_empty_recording(bench, tmp_path):
    made = bench(frames=4)
    with pytest.raises(CaptureError, match=r"no packet .* in 0.3 s.*lvdsStreamCfg.*SOP.*LVDS_PATH_ERR"):
        record(tmp_path / "r", made.config, n_frames=4, link=made.link, patience=Patience(start=0.3, silence=1.0))
    assert not made.card.recording
    capture = Capture.open(tmp_path / "r")
    assert capture.n_frames == 0 and capture.report.interrupted and capture.samples()[0].shape[0] == 0


def test_what_the_card_complains_about_is_in_the_report(bench, tmp_path):
    made = bench(frames=4)

    def armed(_):
        for status in (AsyncStatus.DDR_FULL, AsyncStatus.DDR_FULL, AsyncStatus.SD_DETECTED):
            made.card.send_status(status)
        made.card.start_stream()

    report = record(tmp_path / "r", made.config, n_frames=4, link=made.link, patience=QUICK, on_armed=armed)
    assert len(report.messages) == 1 and report.messages[0].startswith("the card said: the card's memory is full")
    silent = Patience(start=0.4, silence=1.0)

    def alone(_):
        made.card.send_status(AsyncStatus.NO_LVDS_DATA)

    with pytest.raises(CaptureError, match=r"the card said: no data came from the radar"):
        record(tmp_path / "s", made.config, n_frames=4, link=made.link, patience=silent, on_armed=alone)


def test_triggered_frames_may_take_their_time(bench, tmp_path):
    """The end of a frame comes with the next one or, after the pause, as a part packet; nothing is waited for."""
    made = bench(frames=3, trigger=2)

    def armed(_):
        made.card.start_stream(hardware_trigger=True)
        Thread(target=lambda: [(time.sleep(0.7), made.card.trigger()) for _ in range(3)]).start()

    report = record(tmp_path / "r", made.config, n_frames=3, link=made.link, on_armed=armed)
    assert report.ended == "complete" and made.card.log.tails == 3
    made.check(tmp_path / "r")


def test_a_card_that_falls_silent_is_told_and_its_frames_kept(bench, tmp_path):
    made = bench(frames=20, faults=FaultPlan(silent_after=300))
    with pytest.raises(CaptureError, match=r"fell silent in frame 13 of 20.*13 of 20 frames are complete"):
        made.record(tmp_path / "r", 20)
    capture, valid = made.check(tmp_path / "r")
    assert capture.report.frames_complete == 13 and capture.n_frames == 20
    assert capture.report.upstream_lost == made.card.log.dropped or capture.report.packets_received == 300
    assert valid[:13].all() and not valid[14:].any()


def test_a_card_that_starts_anew_is_told(bench, tmp_path):
    made = bench(frames=40, faults=FaultPlan(restart_after=400))
    with pytest.raises(CaptureError, match="began to count anew"):
        made.record(tmp_path / "r", 40)
    capture, valid = made.check(tmp_path / "r")
    assert capture.report.packets_received == 400 and capture.report.after_restart > 0
    assert any("count anew after packet 400 (frame 17)" in m for m in capture.report.messages)
    assert valid[:17].all() and not valid[18:].any()


def test_datagrams_of_others_are_counted_and_named(bench, tmp_path):
    made = bench(frames=4)

    def armed(_):
        _send_foreign(made.host_ip)
        made.card.start_stream()

    report = record(tmp_path / "r", made.config, n_frames=4, link=made.link, patience=QUICK, on_armed=armed)
    assert report.foreign == 7 and report.lossless
    with pytest.raises(CaptureError, match=r"7 datagrams of 127.0.0.1 are not the card's: give --card-ip 127.0.0.1"):
        record(
            tmp_path / "s",
            made.config,
            n_frames=4,
            link=made.link,
            patience=Patience(start=0.4, silence=1.0),
            on_armed=lambda _: _send_foreign(made.host_ip),
        )


def _send_foreign(host_ip):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for _ in range(7):
            other.sendto(b"x" * 1466, (host_ip, 4098))


def test_what_a_card_still_sends_is_stopped_first(bench, tmp_path, monkeypatch):
    """A recorder was killed: its card still records and streams. Its radar ends once the card is stopped."""
    from mmsar.hardware.dca1000.card import Card

    made = bench(frames=0, sent=0, emulated_period=0.005)
    with Card(made.host_ip, made.card_ip) as card:
        card.configure(lanes=2)
        card.start_record()
    made.card.start_stream()
    deadline = time.monotonic() + 10
    while not made.card.log.packed and time.monotonic() < deadline:
        time.sleep(0.01)
    stop_record, stopped = Card.stop_record, []

    def stop_and_wait(card):
        stopped.append(stop_record(card))
        made.card.stop_stream()
        assert made.card.wait(10)
        return stopped[-1]

    monkeypatch.setattr(Card, "stop_record", stop_and_wait)
    report = record(
        tmp_path / "r",
        made.config,
        n_frames=5,
        link=made.link,
        patience=QUICK,
        on_armed=lambda _: made.card.start_stream(),
    )
    assert stopped[0] and len(made.card.logs) == 2
    assert report.packets_received == report.packets_expected
    made.check(tmp_path / "r")


def test_the_folder_and_the_frames_are_checked_before_anything_moves(bench, tmp_path):
    made = bench(frames=4)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    (tmp_path / "file").write_text("")
    for name, complaint in (("full", "not empty"), ("file", "got a file"), ("no/where", "does not exist")):
        with pytest.raises(FormatError, match=complaint):
            made.record(tmp_path / name, 4)
    with pytest.raises(FormatError, match="got 5 to record, wanted at most the 4"):
        made.record(tmp_path / "r", 5)
    with pytest.raises(GeometryError, match="frames"):
        made.record(tmp_path / "r", 0)
    assert made.card.requests == [] and not (tmp_path / "r").exists()


def test_lanes_follow_the_layout(small_cfg):
    assert lanes_of(parse_cfg(small_cfg(), device="xWR1843")) == 2
