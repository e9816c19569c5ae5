"""Control of the card against a small UDP responder: demultiplexing, retries, stale answers, and every diagnosis."""

import selectors
import socket
import threading
import time

import pytest

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.dca1000 import diagnose, protocol
from mmsar.hardware.dca1000.card import Card
from mmsar.hardware.dca1000.protocol import AsyncStatus, Command
from mmsar.hardware.emulate.dca import DcaEmulator, Habits
from mmsar.hardware.emulate.faults import FaultPlan
from mmsar.hardware.emulate.source import CountingSource

TIMEOUT = 0.15
"""Of the commands here [s]: short, since most tests wait for it."""


class Responder:
    """Something at the card's address: `plan(request, number)` gives [(delay [s], datagram)] for each request."""

    def __init__(self, host_ip, card_ip, plan):
        self.host_ip, self.plan, self.requests = host_ip, plan, []
        self.listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.listening.bind((card_ip, protocol.CONFIG_PORT))
        self.sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sending.bind((card_ip, 0))  # answers leave from another port, as on the card
        self.wake, self.waker = socket.socketpair()
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.wake.close()
        self.thread.join()
        for held in (self.listening, self.sending, self.waker):
            held.close()

    def serve(self):
        pending = []
        with selectors.DefaultSelector() as selector:
            selector.register(self.listening, selectors.EVENT_READ)
            selector.register(self.waker, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                for entry in [p for p in pending if p[0] <= now]:
                    pending.remove(entry)
                    self.say(entry[1])
                wait = min((p[0] for p in pending), default=now + 60) - now
                ready = [key.fileobj for key, _ in selector.select(max(wait, 0))]
                if self.waker in ready:
                    return
                if self.listening in ready:
                    request = protocol.decode_request(self.listening.recv(2048))
                    self.requests.append(request)
                    now = time.monotonic()
                    for delay, datagram in self.plan(request, len(self.requests)):
                        if delay:
                            pending.append((now + delay, datagram))
                        else:
                            self.say(datagram)

    def say(self, datagram):
        self.sending.sendto(datagram, (self.host_ip, protocol.CONFIG_PORT))

    @property
    def commands(self):
        return [request.command for request in self.requests]


def obedient(request, _=0):
    """The answer of a healthy card."""
    status = 0x0402 if request.command == Command.READ_VERSION else 0
    return [(0, protocol.encode_response(request.command, status))]


@pytest.fixture
def bench(addresses):
    """bench(plan) -> (card, responder), both running; closed after the test."""
    opened = []

    def start(plan=obedient, **options):
        responder = Responder(*addresses, plan).__enter__()
        opened.append(responder)
        card = Card(*addresses, timeout=TIMEOUT, reset_wait=0.0, **options).__enter__()
        opened.append(card)
        return card, responder

    yield start
    for one in reversed(opened):
        one.__exit__()


def test_prepares_in_the_order_that_works(bench):
    card, responder = bench()
    version = card.prepare(lanes=4, packet_delay=10e-6)
    card.start_record()
    assert card.stop_record() is True
    assert str(version) == "2.8"
    assert responder.commands == [
        Command.STOP_RECORD,
        Command.RESET_RADAR,
        Command.ALIVENESS,
        Command.READ_VERSION,
        Command.CONFIG_FPGA,
        Command.ALIVENESS,
        Command.CONFIG_RECORD,
        Command.START_RECORD,
        Command.STOP_RECORD,
    ]
    assert responder.requests[4].payload == bytes.fromhex("01010102031e")
    assert responder.requests[6].payload == bytes.fromhex("be05e2040000")
    assert card.stale == card.garbage == 0


def test_leaves_a_radar_alone_that_others_control(bench):
    card, responder = bench()
    card.prepare(lanes=2, reset_radar=False)
    assert Command.RESET_RADAR not in responder.commands


def test_status_between_request_and_answer_is_no_answer(bench):
    def plan(request, _):
        return [(0, bytes.fromhex("5aa50a000001aaee")), *obedient(request), (0, bytes.fromhex("5aa50a008000aaee"))]

    card, _ = bench(plan)
    heard = []
    card.on_status(heard.append)
    before = time.time_ns()
    assert str(card.version()) == "2.8"
    full = card.wait_status(AsyncStatus.DDR_FULL, timeout=5)
    assert full.status == AsyncStatus.DDR_FULL
    assert [s.status for s in card.statuses] == [AsyncStatus.RECORD_COMPLETED, AsyncStatus.DDR_FULL]
    assert before - 10**9 < card.statuses[0].time_ns <= card.statuses[1].time_ns <= time.time_ns()
    assert "memory is full" in str(full)
    card.close()
    assert heard == list(card.statuses)


def test_waiting_for_a_status_ends(bench):
    card, _ = bench()
    assert card.wait_status(AsyncStatus.RECORD_COMPLETED, timeout=0.01) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failing_callback_does_not_stop_the_receiving(bench):
    card, responder = bench()
    card.on_status(lambda status: 1 / 0)
    responder.say(bytes.fromhex("5aa50a000001aaee"))
    assert card.wait_status(AsyncStatus.RECORD_COMPLETED, timeout=5)
    card.aliveness()


def test_repeats_what_may_be_repeated(bench):
    card, responder = bench(lambda request, number: obedient(request) if number == 4 else [])
    assert str(card.version()) == "2.8"
    assert responder.commands == [Command.READ_VERSION] * 4


@pytest.mark.parametrize(
    ("name", "command"),
    [("start_record", Command.START_RECORD), ("reset_radar", Command.RESET_RADAR)],
)
def test_sends_once_what_may_not_be_repeated(bench, name, command):
    card, responder = bench(lambda request, number: [])
    with pytest.raises(CaptureError, match=f"no answer to {command.name} after 1 try"):
        getattr(card, name)()
    time.sleep(2 * TIMEOUT)
    assert responder.commands == [command]


def test_late_answers_of_repetitions_are_not_taken_for_later_commands(bench):
    """The first CONFIG_FPGA is answered late with 'done'; the second fails, and says so."""

    def plan(request, number):
        if request.command != Command.CONFIG_FPGA:
            return obedient(request)
        if number <= 2:  # the answer to the first comes when the second is already out
            return [((1.2 if number == 1 else 0.8) * TIMEOUT, protocol.encode_response(request.command, 0))]
        return [(0, protocol.encode_response(request.command, 1))]

    card, responder = bench(plan)
    card.configure(lanes=2)
    with pytest.raises(CaptureError, match="CONFIG_FPGA failed, status 1"):
        card.configure(lanes=4)
    assert card.stale >= 1
    assert responder.commands.count(Command.CONFIG_FPGA) == 3


def test_an_answer_after_giving_up_is_not_taken_for_the_next_try(bench):
    def plan(request, number):
        late = protocol.encode_response(request.command, 0)
        return [(1.3 * TIMEOUT, late)] if number == 1 else [(0, protocol.encode_response(request.command, 1))]

    card, _ = bench(plan)
    with pytest.raises(CaptureError, match="no answer to START_RECORD"):
        card.start_record()
    with pytest.raises(CaptureError, match="START_RECORD failed, status 1"):
        card.start_record()
    assert card.stale == 1


def test_answers_of_other_codes_are_passed_over(bench):
    card, _ = bench(lambda r, _: [(0, protocol.encode_response(Command.STOP_RECORD, 1)), *obedient(r)])
    assert str(card.version()) == "2.8"
    assert card.stale == 1


def test_garbage_and_strangers_are_counted_and_passed_over(bench, addresses):
    card, responder = bench(lambda r, _: [(0, b"garbage"), (0, b""), *obedient(r)])
    stranger = addresses[1].rsplit(".", 1)[0] + ".253"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((stranger, 0))
        other.sendto(protocol.encode_response(Command.ASYNC_STATUS, 0x80), (addresses[0], protocol.CONFIG_PORT))
    card.aliveness()
    assert card.garbage == 2
    assert card.foreign == {stranger: 1}
    assert card.statuses == ()
    responder.plan = lambda request, number: []
    with pytest.raises(CaptureError, match=f"1 datagrams came from {stranger}, which is not the card; 2 datagrams"):
        card.version()


def test_waits_while_the_card_is_deaf(bench):
    deaf = [7]

    def plan(request, _):
        if request.command == Command.ALIVENESS and deaf[0]:
            deaf[0] -= 1
            return []
        return obedient(request)

    card, responder = bench(plan)
    card.configure(lanes=2)
    assert responder.commands == [Command.CONFIG_FPGA] + [Command.ALIVENESS] * 8


def test_reset_waits_and_asks_whether_the_card_is_back(bench):
    def plan(request, _):
        return [] if request.command == Command.RESET_FPGA else obedient(request)

    card, responder = bench(plan)
    card.reset_wait = 0.2
    start = time.monotonic()
    card.reset()
    assert time.monotonic() - start >= 0.2
    assert responder.commands == [Command.RESET_FPGA, Command.ALIVENESS]
    assert Card().reset_wait >= 1.0


def test_stop_says_when_there_was_nothing_to_stop(bench):
    card, _ = bench(lambda r, _: [(0, protocol.encode_response(r.command, 1))])
    assert card.stop_record() is False
    with pytest.raises(CaptureError, match="START_RECORD failed, status 1, wanted 0; is a recording still running"):
        card.start_record()


def test_silence_is_a_diagnosis_on_one_line(bench):
    card, responder = bench(lambda request, number: [])
    with pytest.raises(CaptureError) as caught:
        card.aliveness()
    message = str(caught.value)
    assert f"card {card.card_ip}: no answer to ALIVENESS after 4 tries" in message
    for part in ("power LED", "Ethernet cable", "SW2.6", "SW2.5", "firewall"):
        assert part in message
    assert "\n" not in message
    assert responder.commands == [Command.ALIVENESS] * 4


def test_missing_host_address_names_those_there_are():
    with pytest.raises(CaptureError) as caught, Card("198.51.100.7", "198.51.100.8"):
        pass
    message = str(caught.value)
    assert "this machine has no 198.51.100.7; it has 127.0.0.1 on lo" in message
    assert "sudo ip address add 198.51.100.7/24 dev" in message


def test_busy_port_names_its_holder(addresses):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((addresses[0], protocol.CONFIG_PORT))
        with pytest.raises(CaptureError, match=rf"port 4096 of {addresses[0]}: held by process \d+ \(.+\)"):
            Card(*addresses).connect()
    with Card(*addresses):
        pass


def test_port_held_for_all_addresses_is_found(addresses):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("", 0))
        assert "process" in diagnose.port_holder(addresses[0], holder.getsockname()[1])
    assert diagnose.port_holder(addresses[0], protocol.DATA_PORT) is None


def test_commands_need_a_connection(addresses):
    card = Card(*addresses)
    with pytest.raises(CaptureError, match=r"ALIVENESS before connect\(\)"):
        card.aliveness()
    card.close()
    assert card.connect() is card.connect()
    card.close()
    card.close()


def test_wrong_values_are_refused_before_anything_is_sent(bench):
    card, responder = bench()
    with pytest.raises(GeometryError, match="lanes"):
        card.configure(lanes=3)
    with pytest.raises(GeometryError, match="packet delay"):
        card.set_packet_delay(25)
    assert responder.requests == []


def test_addresses_for_the_eeprom_are_sent_once(bench):
    card, responder = bench()
    card.write_eeprom(host_ip="10.0.0.1", card_ip="10.0.0.2", mac="12-34-56-78-90-12", config_port=4096, data_port=4098)
    assert responder.requests[0].payload.hex() == "0100000a0200000a1290785634120010" + "0210"


def test_commands_of_several_threads_take_turns(bench):
    card, _ = bench(lambda r, _: [(0.01, datagram) for _, datagram in obedient(r)])
    versions = []
    threads = [threading.Thread(target=lambda: versions.append(str(card.version()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == ["2.8"] * 8
    assert card.stale == 0


def test_two_cards_side_by_side(bench, addresses):
    first, _ = bench()
    base = addresses[0].rsplit(".", 1)[0]
    with Responder(f"{base}.251", f"{base}.252", obedient) as other, Card(f"{base}.251", f"{base}.252") as second:
        first.aliveness()
        second.aliveness()
        assert other.commands == [Command.ALIVENESS]


@pytest.mark.parametrize(
    ("status", "failure", "words"),
    [
        (0x001, True, "lvdsStreamCfg"),
        (0x080, True, "memory is full"),
        (0x100, False, "recording is complete"),
        (0x108, False, "SD card was put in; the recording is complete"),
        (0x8000, True, "unknown status bits 0x8000"),
        (0, False, "nothing to report"),
    ],
)
def test_status_bits_in_words(status, failure, words):
    assert words in diagnose.explain_status(status)
    assert diagnose.is_failure(status) is failure


def test_every_status_bit_has_words():
    assert set(diagnose.ADVICE) == set(AsyncStatus)


def test_a_recording_with_the_emulated_card(addresses):
    """Deaf moments, a status before every answer, the tail's status at the end; the card is left idle."""
    host_ip, card_ip = addresses
    source = CountingSource(frame_bytes=4096, n_frames=3, period=0.01)
    faults = FaultPlan(async_before_reply=1.0)
    habits = Habits(source_port=0, deaf=0.3)
    with (
        DcaEmulator(card_ip, host_ip, source=source, flush=0.2, faults=faults, habits=habits) as emulator,
        Card(host_ip, card_ip) as card,
    ):
        assert str(card.prepare(lanes=2, packet_delay=10e-6)) == "2.8"
        assert emulator.fpga.lanes == 2
        assert emulator.record.delay == pytest.approx(10e-6)
        card.start_record()
        emulator.start_stream()
        assert card.wait_status(AsyncStatus.RECORD_COMPLETED, timeout=10)
        assert card.stop_record()
        assert not emulator.recording
        assert {s.status for s in card.statuses} == {AsyncStatus.SD_DETECTED, AsyncStatus.RECORD_COMPLETED}


def test_reset_of_the_emulated_card(addresses):
    host_ip, card_ip = addresses
    with DcaEmulator(card_ip, host_ip, habits=Habits(source_port=0, reset_time=1.1)) as emulator:
        with Card(host_ip, card_ip) as card:
            card.configure(lanes=4)
            card.reset()
            assert emulator.fpga is None
