"""The bench's doctor: on an emulated bench everything is well, and each thing taken away is named."""

import json
import socket

import pytest

from mmsar.cli import main
from mmsar.errors import GeometryError
from mmsar.hardware import doctor
from mmsar.hardware.dca1000 import diagnose, protocol
from mmsar.hardware.dca1000.receiver import Buffer
from mmsar.hardware.doctor import Bench, examine
from mmsar.hardware.emulate.dca import DcaEmulator, Habits
from mmsar.hardware.emulate.pty_port import PtyPort


class Board(PtyPort):
    """A radar that knows `version`."""

    def receive(self, data):
        if b"version" in data:
            self.write(b"version\nPlatform                : xWR18xx\n\rDone\n\r")
        self.write(b"mmwDemo:/>")


@pytest.fixture
def card(addresses):
    host_ip, card_ip = addresses
    with DcaEmulator(card_ip, host_ip, habits=Habits(source_port=0)) as emulator:
        yield emulator


def verdicts(bench):
    return {check.name: check.verdict for check in examine(bench)}


def of(bench, name):
    (found,) = (check for check in examine(bench) if check.name == name)
    return found


def test_a_whole_bench_is_well(card, addresses, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "WRITTEN", 1 << 20)
    host_ip, card_ip = addresses
    with Board() as board:
        options = ["--host-ip", host_ip, "--card-ip", card_ip, "--port", board.port, "--folder", str(tmp_path)]
        assert main(["hw", "doctor", *options]) == 0
        text = capsys.readouterr().out
        assert f"ok    card           {card_ip} answers, firmware 2.8" in text
        assert f"ok    radar          {board.port} answers: Platform : xWR18xx" in text
        assert "Ready for a capture." in text
        assert main(["hw", "doctor", "--json", *options]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ready"] is True
    names = ["host address", "socket buffer", "kernel", "config port", "data port", "card", "radar", "disk"]
    assert [check["name"] for check in report["checks"]] == names
    assert list(tmp_path.iterdir()) == []


def test_a_laptop_with_nothing_attached(capsys):
    assert main(["hw", "doctor", "--host-ip", "198.51.100.7", "--card-ip", "198.51.100.8", "--port", "/dev/none"]) == 4
    text = capsys.readouterr().out
    assert "fail  host address   this machine has no 198.51.100.7" in text
    assert "-> it has 127.0.0.1 on lo" in text
    assert "fail  card           not asked" in text
    assert "fail  radar          port /dev/none: not there" in text
    assert "Not ready for a capture: host address, card, radar." in text


def test_a_silent_card_fails_with_what_to_look_at(addresses):
    found = of(Bench(host_ip=addresses[0], card_ip=addresses[1], radar=False), "card")
    assert found.verdict == "fail"
    assert "no answer to ALIVENESS after 4 tries; look at: 5 V supply" in found.text


def test_a_busy_port_names_its_holder(card, addresses):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((addresses[0], protocol.DATA_PORT))
        found = of(Bench(host_ip=addresses[0], card_ip=addresses[1], radar=False), "data port")
    assert found.verdict == "fail"
    assert "held by process" in found.text


@pytest.mark.parametrize(
    ("carrier", "speed", "verdict", "words"),
    [
        ("1", "1000", None, ""),
        ("1", "-1", None, ""),
        ("1", "100", "warn", "runs at 100 Mb/s, wanted 1000"),
        ("0", "-1", "fail", "no link: cable out"),
        (None, "-1", "fail", "sudo ip link set lo up"),
    ],
)
def test_the_link_is_judged(tmp_path, monkeypatch, carrier, speed, verdict, words):
    monkeypatch.setattr(diagnose, "NET", tmp_path)
    (tmp_path / "lo").mkdir()
    (tmp_path / "lo" / "speed").write_text(f"{speed}\n")
    if carrier is None:
        (tmp_path / "lo" / "carrier").mkdir()  # reading fails, as of an interface that is down
    else:
        (tmp_path / "lo" / "carrier").write_text(f"{carrier}\n")
    found = [check for check in doctor.CHECKS["host address"](Bench(host_ip="127.0.0.1", card_ip="127.0.0.2"))]
    assert [check.verdict for check in found] == ["ok"] + ([verdict] if verdict else [])
    assert words in found[-1].text


def test_a_playback_image_is_a_warning(addresses):
    version = protocol.Version(major=2, minor=9, playback=True)
    with DcaEmulator(addresses[1], addresses[0], habits=Habits(source_port=0, version=version)):
        found = of(Bench(host_ip=addresses[0], card_ip=addresses[1], radar=False), "card")
    assert found.verdict == "warn"
    assert found.text.endswith("firmware 2.9 (playback image)")


def test_a_port_that_is_no_radar_fails(card, addresses):
    class Other(PtyPort):
        def receive(self, data):
            self.write(b"ok\r\n")

    with Other() as other:
        found = of(Bench(host_ip=addresses[0], card_ip=addresses[1], port=other.port), "radar")
    assert found.verdict == "fail"
    assert "no prompt, but 'ok" in found.text


def test_without_a_radar_none_is_looked_for(card, addresses):
    assert "radar" not in verdicts(Bench(host_ip=addresses[0], card_ip=addresses[1], radar=False))


@pytest.mark.parametrize(
    ("granted", "verdict", "words"),
    [
        (128 << 20, "ok", ""),
        (8 << 20, "warn", "sudo sysctl -w net.core.rmem_max=67108864"),
        (425984, "warn", "until then packets get lost"),
    ],
)
def test_the_socket_buffer_is_judged_by_what_was_granted(monkeypatch, granted, verdict, words):
    real = doctor.open_data_socket

    def opened(host_ip, port):
        return real(host_ip, port)[0], Buffer(requested=64 << 20, granted=granted, forced=False)

    monkeypatch.setattr(doctor, "open_data_socket", opened)
    found = of(Bench(host_ip="198.51.100.7", radar=False), "socket buffer")
    assert found.verdict == verdict
    assert words in found.advice
    assert f"{granted // 2304} packets" in found.text


def test_a_folder_that_is_not_there(addresses, tmp_path):
    bench = Bench(host_ip="198.51.100.7", radar=False, folder=str(tmp_path / "none"))
    assert of(bench, "disk").verdict == "fail"


def test_the_disk_is_judged_by_its_rate(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "write_rate", lambda folder: 20e6)
    found = of(Bench(host_ip="198.51.100.7", radar=False, folder=str(tmp_path)), "disk")
    assert found.verdict == "warn"
    assert "20 MB/s" in found.text
    assert "keep the radar under 128 Mb/s" in found.advice


def test_write_rate_leaves_nothing(tmp_path):
    assert doctor.write_rate(tmp_path, size=1 << 20) > 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_address_is_refused(capsys):
    with pytest.raises(GeometryError, match="host address: got 'card', wanted an IPv4 address"):
        Bench(host_ip="card")
    for given, message in (("192.168.33", "got '192.168.33', wanted an IPv4"), ("192.168.33.30", "this machine's own")):
        with pytest.raises(SystemExit) as stop:
            main(["hw", "doctor", "--card-ip", given])
        err = capsys.readouterr().err
        assert stop.value.code == 2 and message in err and err.count("\n") == 1


def test_a_check_that_breaks_is_a_line_of_the_report(monkeypatch):
    def broken(bench):
        raise OSError("no such thing")
        yield

    monkeypatch.setattr(doctor, "CHECKS", {"one": broken})
    (check,) = examine(Bench())
    assert (check.name, check.verdict, check.text) == ("one", "warn", "could not be examined: no such thing")
