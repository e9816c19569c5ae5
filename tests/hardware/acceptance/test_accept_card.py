"""The config port: when the card does not answer, refuses, or is not there; and two cards side by side."""

import socket
import time

import pytest
from card import CONFIG_FPGA, DATA_PORT, START, VERSION, Card, split
from customer import Recording, mmsar
from wirelayouts import Radar

RADAR = Radar(samples=60, loops=4, tx=(1,))


def refused(tmp_path, addresses, *more, said, **card_options):
    """A recording that must end with exit code 4 and one line, in less than 10 s, with nothing that looks whole."""
    with Card(*addresses, **card_options), Recording(tmp_path / "r", RADAR, 3, addresses, *more) as run:
        code = run.finish()
        assert code == 4, run.said
        assert run.ended - run.started < 10
    errors = [line for line in run.lines if "warning" not in line]
    assert len(errors) == 1 and "Traceback" not in run.said, run.said
    assert said in errors[0], errors[0]
    assert "recording armed" not in run.said


@pytest.mark.slow
def test_nobody_at_the_address(tmp_path, addresses):
    with Recording(tmp_path / "r", RADAR, 3, addresses) as run:
        assert run.finish() == 4
        assert run.ended - run.started < 10
    assert addresses[1] in run.said and len(run.lines) == 1, run.said


def test_card_that_never_answers(tmp_path, addresses):
    refused(tmp_path, addresses, mute=range(256), said=addresses[1])


@pytest.mark.slow
def test_card_that_goes_deaf_for_good(tmp_path, addresses):
    refused(tmp_path, addresses, deaf=1e9, said=addresses[1])


@pytest.mark.slow
def test_record_not_answered(tmp_path, addresses):
    refused(tmp_path, addresses, mute=[START], said=addresses[1])


@pytest.mark.parametrize("command", [CONFIG_FPGA, START])
def test_card_that_refuses(tmp_path, addresses, command):
    refused(tmp_path, addresses, refuse=[command], said="status 1")


def test_host_address_not_on_this_machine(tmp_path, addresses):
    with Recording(tmp_path / "r", RADAR, 3, ("192.0.2.17", addresses[1])) as run:
        assert run.finish() == 4
    assert len(run.lines) == 1 and "192.0.2.17" in run.said, run.said


@pytest.mark.parametrize("port", [4096, DATA_PORT])
def test_port_busy(tmp_path, addresses, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, Card(*addresses):
        other.bind((addresses[0], port))
        with Recording(tmp_path / "r", RADAR, 3, addresses) as run:
            assert run.finish() == 4
    assert len(run.lines) == 1 and str(port) in run.said, run.said


def test_radar_that_never_starts(tmp_path, addresses):
    with Card(*addresses) as card:
        with Recording(tmp_path / "r", RADAR, 3, addresses, "--start-timeout", 1) as run:
            run.wait_armed()
            assert run.finish() == 4
        assert card.stopped.is_set()
    assert "Traceback" not in run.said
    done = mmsar("hw", "report", run.folder, "--json")
    assert done.returncode in (0, 3) and "Traceback" not in done.stderr


def test_deaf_after_configuration_and_chatter(tmp_path, addresses):
    """A card deaf for a moment after 0x03 that puts statuses before and after every reply, from any port."""
    samples, wire = RADAR.measure(5)
    with Card(*addresses, deaf=0.7, chatter=True, source_port=0) as card:
        with Recording(tmp_path / "r", RADAR, 5, addresses) as run:
            run.wait_armed()
            card.emit(split(wire), tail=0.2)
            assert run.finish() == 0, run.said
        assert card.commands.index(START) > card.commands.index(CONFIG_FPGA)
        assert VERSION in card.commands
    assert (run.cube()["signal"] == samples).all()


def test_two_cards_side_by_side(tmp_path, addresses):
    host, card = addresses
    base, last = host.rsplit(".", 1)
    second = (f"{base}.{(int(last) + 100) % 250}", f"{base}.{(int(last) + 101) % 250}")
    other = Radar(device="xWR1443", order="4lane", tx=(1,), samples=50)
    (one, one_wire), (two, two_wire) = RADAR.measure(5, seed=1), other.measure(6, seed=2)
    with (
        Card(host, card) as first_card,
        Card(*second) as second_card,
        Recording(tmp_path / "one", RADAR, 5, (host, card)) as run,
        Recording(tmp_path / "two", other, 6, second) as run_two,
    ):
        run.wait_armed()
        run_two.wait_armed()
        first_card.stream(split(one_wire), rate=500, tail=0.5)
        second_card.stream(split(two_wire), rate=500, tail=0.5)
        assert run.finish() == 0 and run_two.finish() == 0, run.said + run_two.said
        time.sleep(0.1)
    assert (run.cube()["signal"] == one).all() and (run_two.cube()["signal"] == two).all()


@pytest.mark.parametrize(
    ("more", "code"), [(("--buffer", 99999999), 3), (("--card-ip", "HOST"), 2), (("--buffer", 1e-9), 3)]
)
def test_senseless_links(tmp_path, addresses, more, code):
    more = [addresses[0] if word == "HOST" else word for word in more]
    with Recording(tmp_path / "r", RADAR, 3, addresses, *more) as run:
        assert run.finish() == code, run.said
    assert len(run.lines) == 1 and "wanted" in run.said, run.said
    assert not run.folder.exists()
