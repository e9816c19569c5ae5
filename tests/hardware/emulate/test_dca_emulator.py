"""The emulated card: bytes on the wire, tail, pace, deaf times. Parsed here by hand, not by the product's codec."""

import socket
import struct
import time
from contextlib import ExitStack

import numpy as np
import pytest

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.emulate.dca import DcaEmulator, Habits
from mmsar.hardware.emulate.faults import FaultPlan
from mmsar.hardware.emulate.process import CardProcess
from mmsar.hardware.emulate.source import CountingSource, FileSource, counting_bytes

ALIVE, VERSION = "5aa509000000aaee", "5aa50e000000aaee"
FPGA_2LANE, FPGA_4LANE = (
    "5aa503000600010201020 31eaaee".replace(" ", ""),
    "5aa503000600010101020 31eaaee".replace(" ", ""),
)
RECORD_25US, RECORD_5US = "5aa50b000600be05350c0000aaee", "5aa50b000600be0571020000aaee"
START, STOP, RESET_RADAR, RESET_FPGA = "5aa505000000aaee", "5aa506000000aaee", "5aa502000000aaee", "5aa501000000aaee"
COMPLETED = "5aa50a000001aaee"


class Host:
    """The host's two sockets, as plain as can be."""

    def __init__(self, host_ip: str, card_ip: str, stack: ExitStack) -> None:
        self.card = (card_ip, 4096)
        self.config, self.data = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
        )
        self.config.bind((host_ip, 4096))
        self.data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.data.bind((host_ip, 4098))
        self.config.settimeout(5)
        self.data.settimeout(5)

    def send(self, request: str) -> None:
        self.config.sendto(bytes.fromhex(request), self.card)

    def ask(self, request: str) -> str:
        self.send(request)
        return self.config.recv(100).hex()

    def silent(self, request: str, wait: float = 0.1) -> bool:
        self.config.settimeout(wait)
        try:
            self.ask(request)
        except TimeoutError:
            return True
        finally:
            self.config.settimeout(5)
        return False

    def packets(self, last: int, timeout: float = 5) -> list[tuple[int, int, bytes, float]]:
        """(sequence, byte count, payload, time) of what comes until byte `last` of the stream or a silence."""
        self.data.settimeout(timeout)
        found = []
        try:
            while not found or found[-1][1] + len(found[-1][2]) < last:
                datagram = self.data.recv(2000)
                sequence, low, high = struct.unpack_from("<IIH", datagram)
                found.append((sequence, low | high << 32, datagram[10:], time.monotonic()))
        except TimeoutError:
            pass
        return found


@pytest.fixture
def bench(addresses):
    """bench(...) -> (host, card): an emulator with a host beside it."""
    host_ip, card_ip = addresses
    with ExitStack() as stack:

        def make(**options):
            host = Host(host_ip, card_ip, stack)
            return host, stack.enter_context(DcaEmulator(card_ip, host_ip, **{"flush": 0.2, **options}))

        yield make


def test_answers_are_byte_exact(bench):
    host, card = bench(habits=Habits(deaf=0.0, reset_time=0.0))
    assert host.ask(ALIVE) == "5aa509000000aaee"
    assert host.ask(VERSION) == "5aa50e000204aaee"
    assert host.ask(RESET_FPGA) == "5aa501000000aaee"
    assert host.ask(FPGA_2LANE) == "5aa503000000aaee"
    assert (card.fpga.lanes, card.fpga.bits, card.fpga.timer) == (2, 16, 30)
    assert host.ask(FPGA_4LANE) == "5aa503000000aaee"
    assert card.fpga.lanes == 4
    assert host.ask(RECORD_25US) == "5aa50b000000aaee"
    assert card.record.delay == pytest.approx(25e-6)
    assert host.ask(START) == "5aa505000000aaee"
    assert card.recording
    assert host.ask(STOP) == "5aa506000000aaee"
    assert not card.recording
    assert host.ask(RESET_RADAR) == "5aa502000000aaee"
    for code in ("07", "08", "0c", "0d"):
        assert host.ask(f"5aa5{code}000000aaee") == f"5aa5{code}000100aaee"


def test_refuses_a_configuration_that_is_none(bench):
    host, card = bench(habits=Habits(deaf=0.0))
    assert host.ask("5aa503000600be05350c0000aaee") == "5aa503000100aaee"  # CONFIG_RECORD's payload: a known bug
    assert host.ask("5aa50b000500be05350c00aaee") == "5aa50b000100aaee"
    assert card.fpga is None and card.record is None


@pytest.mark.parametrize("junk", ["", "5aa5", "5aa509000000aaef", "5aa409000000aaee", "5aa509000100aaee", "00" * 600])
def test_junk_is_not_answered(bench, junk):
    host, card = bench()
    assert host.silent(junk, 0.05)
    assert host.ask(ALIVE) == "5aa509000000aaee"
    assert len(card.requests) == 2


def test_answers_go_to_the_configured_port_from_1024(bench, addresses):
    host, _ = bench()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((addresses[0], 0))
        other.sendto(bytes.fromhex(ALIVE), host.card)
    datagram, sender = host.config.recvfrom(100)
    assert datagram.hex() == ALIVE
    assert sender == (addresses[1], 1024)


def test_deaf_after_configuration_and_after_reset(bench):
    host, _ = bench(habits=Habits(deaf=0.3, reset_time=0.3))
    for request in (FPGA_2LANE, RESET_FPGA):
        assert host.ask(request)[4:8] == request[4:8]
        tries = 1
        while host.silent(ALIVE, 0.1):
            tries += 1
        assert 3 <= tries <= 30


def test_stops_answering(bench):
    host, _ = bench(faults=FaultPlan(mute_after=2))
    assert host.ask(ALIVE) == ALIVE
    assert host.ask(ALIVE) == ALIVE
    assert host.silent(ALIVE)


def test_status_between_request_and_answer(bench):
    host, _ = bench(faults=FaultPlan(async_before_reply=1.0))
    assert host.ask(ALIVE)[:8] == "5aa50a00"
    assert host.config.recv(100).hex() == ALIVE


def test_sixteen_kilobytes_are_twelve_packets_and_a_tail(bench):
    """The recorded capture of the specification: 16,384 bytes, sequence 1 to 12, the last at 16,016 with 368 bytes."""
    host, card = bench(source=CountingSource(16384, n_frames=1), flush=2.0)
    host.ask(START)
    began = time.monotonic()
    card.start_stream()
    got = host.packets(16384)
    assert [p[0] for p in got] == list(range(1, 13))
    assert [p[1] for p in got] == [1456 * k for k in range(12)]
    assert [len(p[2]) for p in got] == [1456] * 11 + [368]
    assert b"".join(p[2] for p in got) == counting_bytes(0, 16384)
    assert got[-1][3] - got[-2][3] > 1.0
    assert got[-1][3] - began >= 2.0
    assert host.config.recv(100).hex() == COMPLETED
    assert (card.log.packed, card.log.sent, card.log.tails, card.log.dropped) == (12, 12, 1, 0)


def test_no_data_before_start_and_misaligned_when_started_late(bench):
    source = CountingSource(160_000, n_frames=4, period=0.2, active=0.2)
    host, card = bench(source=source)
    card.start_stream()
    assert host.packets(1, timeout=0.3) == []
    host.ask(START)
    got = host.packets(10**9, timeout=0.5)
    data = b"".join(p[2] for p in got)
    assert (got[0][0], got[0][1]) == (1, 0)
    start = 640_000 - len(data)
    assert 160_000 < start < 320_000
    assert start % 16 == 0
    assert data == counting_bytes(start, len(data))


def test_remainder_travels_with_the_next_frame(bench):
    host, card = bench(source=CountingSource(4096, n_frames=2, period=0.3), flush=1.0)
    host.ask(START)
    card.start_stream()
    got = host.packets(8192)
    assert [len(p[2]) for p in got] == [1456] * 5 + [912]
    assert got[5][3] - got[4][3] > 0.3


@pytest.mark.parametrize("goes_on", [True, False])
def test_pause_longer_than_the_flush(bench, goes_on):
    host, card = bench(source=CountingSource(4096, n_frames=2, period=0.5), habits=Habits(goes_on=goes_on))
    host.ask(START)
    card.start_stream()
    got = host.packets(8192 if goes_on else 4096)
    assert [len(p[2]) for p in got] == [1456, 1456, 1184] * (2 if goes_on else 1)
    assert [p[1] for p in got][:4] == [0, 1456, 2912, 4096][: len(got)]
    assert b"".join(p[2] for p in got) == counting_bytes(0, len(got) // 3 * 4096)
    assert host.config.recv(100).hex() == COMPLETED
    assert card.wait(5)
    assert len(card.statuses) == (2 if goes_on else 1)


def test_start_begins_anew(bench):
    host, card = bench(source=CountingSource(1456, n_frames=2))
    for _ in range(2):
        host.ask(START)
        card.start_stream()
        assert [p[:2] for p in host.packets(2912)] == [(1, 0), (2, 1456)]
        assert card.wait(5)
        assert host.config.recv(100).hex() == COMPLETED
    assert [log.sent for log in card.logs] == [2, 2]


def test_stop_stream_ends_an_endless_radar_with_a_whole_frame(bench):
    host, card = bench(source=CountingSource(2000, period=0.01))
    host.ask(START)
    card.start_stream()
    assert host.packets(10_000)
    card.stop_stream()
    assert card.wait(5)
    assert card.log.packed_bytes % 2000 == 0
    assert len(card.log.frame_times) == card.log.packed_bytes // 2000


def test_stop_record_silences_at_once(bench):
    host, card = bench(source=CountingSource(1456 * 50, period=0.001), pace=1e-4)
    host.ask(START)
    card.start_stream()
    host.packets(1456 * 100)
    host.ask(STOP)
    time.sleep(0.05)  # what was on its way
    sent = card.log.sent
    time.sleep(0.1)
    assert card.log.sent == sent
    assert card.statuses == []


def test_pace_follows_the_configured_delay(bench):
    n = 2000
    host, card = bench(source=CountingSource(1456 * n, n_frames=1))
    for request, step in ((RECORD_25US, 36.728e-6), (RECORD_5US, 16.728e-6)):
        host.ask(request)
        host.ask(START)
        began = time.monotonic()
        card.start_stream()
        got = host.packets(1456 * n)
        assert len(got) == n
        assert got[-1][3] - began >= 0.98 * (n - 1) * step
        assert card.wait(5)
        assert host.config.recv(100).hex() == COMPLETED


def test_frames_come_at_their_times_and_the_log_knows_them(bench):
    host, card = bench(source=CountingSource(2912, n_frames=20, period=0.02, active=0.01, ahead=0.005))
    host.ask(START)
    card.start_stream()
    got = host.packets(2912 * 20)
    times = np.array(card.log.frame_times)
    assert len(times) == 20
    np.testing.assert_allclose(np.diff(times) * 1e-9, 0.02, atol=1e-6)
    unix = time.time() - time.monotonic()
    arrived = np.array([p[3] for p in got[::2]]) + unix
    assert np.all(arrived - times * 1e-9 >= 0.005 - 2e-4)  # half a frame fills its first packet


def test_hardware_trigger(bench):
    host, card = bench(source=CountingSource(1456, period=0.01, active=0.005))
    host.ask(START)
    card.start_stream(hardware_trigger=True)
    assert host.packets(1, timeout=0.2) == []
    stamps = [time.time_ns() + k * 20_000_000 for k in range(3)]
    for stamp in (*stamps[:2], stamps[1] + 1_000_000, stamps[2]):
        card.trigger(stamp)
    assert len(host.packets(3 * 1456)) == 3
    assert card.triggers_lost == 1
    np.testing.assert_allclose(card.log.frame_times, stamps, atol=2000)


def test_memory_full(bench):
    source = CountingSource(1456 * 100, n_frames=50, period=0.001, active=0.001)
    host, card = bench(source=source, pace=1e-4, habits=Habits(memory=1456 * 1000))
    host.ask(START)
    card.start_stream()
    got = host.packets(10**9, timeout=1.0)
    assert card.wait(5)
    assert [hex(s) for _, s in card.statuses] == ["0x80", "0x100"]
    assert host.config.recv(100).hex() == "5aa50a008000aaee"
    data = b"".join(p[2] for p in got)
    assert data == counting_bytes(0, len(data))
    assert len(data) + card.log.lost_bytes == 50 * 145_600


def test_wrong_number_of_lanes_gives_no_data(bench):
    source = CountingSource(1456, n_frames=3)
    source.lanes = 4
    host, card = bench(source=source, habits=Habits(deaf=0.0))
    host.ask(FPGA_2LANE)
    host.ask(START)
    card.start_stream()
    assert host.packets(1, timeout=0.3) == []
    assert card.log.notes == ["the card is set to 2 lanes, the radar sends on 4: no data"]


def test_radar_reset_stops_the_stream(bench):
    host, card = bench(source=CountingSource(1456, period=0.01))
    reset = []
    card.on_reset_radar = lambda: reset.append(True)
    host.ask(START)
    card.start_stream()
    host.packets(1456)
    assert host.ask(RESET_RADAR) == RESET_RADAR
    assert card.wait(5) and reset == [True]


def test_an_error_of_the_source_comes_out_of_close(addresses):
    source = CountingSource(1456)
    source.frame = lambda k, time_ns: 1 / 0
    card = DcaEmulator(addresses[1], addresses[0], source=source)
    card.start_stream()
    card.wait(5)
    with pytest.raises(ZeroDivisionError):
        card.close()
    card.close()


def test_address_in_use_is_explained(addresses):
    with (
        DcaEmulator(addresses[1], addresses[0]),
        pytest.raises(CaptureError, match="already in use; wanted a free port"),
    ):
        DcaEmulator(addresses[1], addresses[0])
    with pytest.raises(CaptureError, match=r"203\.0\.113\.9:4096"):
        DcaEmulator("203.0.113.9", addresses[0])


def test_file_source_sends_a_file(bench, tmp_path):
    path = tmp_path / "raw.bin"
    path.write_bytes(counting_bytes(0, 30_000))
    host, card = bench(source=FileSource(path, 10_000))
    host.ask(START)
    card.start_stream()
    assert b"".join(p[2] for p in host.packets(30_000)) == counting_bytes(0, 30_000)


def test_card_in_a_process_of_its_own(addresses):
    host_ip, card_ip = addresses
    with ExitStack() as stack:
        host = Host(host_ip, card_ip, stack)
        source = CountingSource(5000, n_frames=40, period=0.001)
        card = stack.enter_context(CardProcess(card_ip, host_ip, source=source, flush=0.1))
        assert host.ask(START) == START
        card.start_stream()
        got = host.packets(200_000)
        assert card.wait(10)
        assert b"".join(p[2] for p in got) == counting_bytes(0, 200_000)
        log = card.log()
        assert (log.packed, log.sent, len(log.frame_times)) == (138, 138, 40)
        with pytest.raises(CaptureError, match="in use"):
            CardProcess(card_ip, host_ip, source=source)


def test_card_and_host_have_an_address_each(addresses):
    with pytest.raises(GeometryError, match="an address for each"):
        DcaEmulator(addresses[0], addresses[0])
