"""The receiver and its ring: every datagram once and whole, stamps and drop counts from the kernel, orderly ends."""

import os
import socket
import subprocess
import threading
import time

import pytest

from mmsar.hardware.dca1000 import records
from mmsar.hardware.dca1000.receiver import drain, kernel_drops, open_data_socket, receive
from mmsar.hardware.dca1000.ring import PAGE, Ring, Slot


@pytest.fixture
def ring():
    made = Ring.create(1 << 20)
    yield made
    made.close()


@pytest.fixture
def pair(addresses):
    """(receiving socket, its buffer, sending socket of the card, where to)."""
    host_ip, card_ip = addresses
    sock, buffer = open_data_socket(host_ip, 4098, buffer=4 << 20)
    with sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((card_ip, 0))
        yield sock, buffer, sender, (host_ip, 4098)


def take_all(ring):
    found = []
    while True:
        span, begin = ring.take()
        with span:
            if not len(span):
                return found
            parsed = records.parse(bytes(span))
            assert parsed.end == len(span)
            found += [bytes(parsed.payload(k)) for k in range(len(parsed))]
            ring.slots[Slot.TAIL] = begin + len(span)


def test_datagrams_of_all_sizes_go_round_the_ring(pair, ring, addresses):
    sock, _, sender, to = pair
    thread = threading.Thread(target=receive, args=(sock, ring, addresses[1]))
    thread.start()
    sent, got = [], []
    for k in range(4000):
        size = (1466, 1466, 1466, 11, 1472, 300)[k % 6] if k % 500 else 60_000
        sent.append(bytes([k % 251]) * 10 + k.to_bytes(4, "little") * (size // 4))
        sender.sendto(sent[-1], to)
        while k - len(got) > 20:
            got += take_all(ring)
    while len(got) < len(sent):
        got += take_all(ring)
    ring.slots[Slot.STOP] = 1
    thread.join()
    assert got == [d[10:] for d in sent]
    assert ring.slots[Slot.PACKETS] == 4000 and ring.slots[Slot.KERNEL_DROPPED] == 0
    assert ring.slots[Slot.HEAD] > 3 * ring.size  # more than three laps
    assert ring.slots[Slot.RECEIVER_DONE] == 1


def test_what_waits_when_told_to_stop_is_still_taken(pair, ring, addresses):
    sock, _, sender, to = pair
    for k in range(100):
        sender.sendto(bytes(10) + k.to_bytes(4, "little"), to)
    ring.slots[Slot.STOP] = 1
    receive(sock, ring, addresses[1])
    assert take_all(ring) == [k.to_bytes(4, "little") for k in range(100)]


def test_it_ends_when_its_parent_is_gone(pair, ring, addresses):
    started = time.monotonic()
    receive(pair[0], ring, addresses[1], parent=os.getppid() + 1)
    assert time.monotonic() - started < 5 and ring.slots[Slot.RECEIVER_DONE] == 1


def test_kernel_stamps_are_near_now(pair, ring, addresses):
    sock, _, sender, to = pair
    before = time.time_ns()
    sender.sendto(b"0123456789payload", to)
    after = time.time_ns()
    ring.slots[Slot.STOP] = 1
    receive(sock, ring, addresses[1])
    span, _ = ring.take()
    with span:
        (stamp,) = records.parse(bytes(span)).time_ns
    assert before - 10**6 <= stamp <= after + 10**6


def test_kernel_drops_are_counted_to_the_last_datagram(addresses, ring):
    host_ip, card_ip = addresses
    sock, buffer = open_data_socket(host_ip, 4098, buffer=64 << 10)
    with sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((card_ip, 0))
        for _ in range(500):
            sender.sendto(bytes(1466), (host_ip, 4098))
        assert kernel_drops(sock) > 300
        ring.slots[Slot.STOP] = 1
        kept_before = kernel_drops(sock)
        receive(sock, ring, card_ip)
        kept = len(take_all(ring))
        assert kept + kept_before == 500 and ring.slots[Slot.KERNEL_DROPPED] == 0  # drops from before do not count
        assert abs(kept - buffer.packets) <= 2


def test_a_full_ring_makes_the_receiver_wait_and_the_kernel_count(pair, ring, addresses):
    sock, _, sender, to = pair
    sent = []
    thread = threading.Thread(target=_flood, args=(sender, to, ring, sent))
    thread.start()
    receive(sock, ring, addresses[1])
    thread.join()
    assert ring.slots[Slot.PACKETS] + ring.slots[Slot.KERNEL_DROPPED] == len(sent)
    assert ring.slots[Slot.KERNEL_DROPPED] > 0 and ring.slots[Slot.RING_FULL] >= 1


def _flood(sender, to, ring, sent):
    """Packets until the ring is full, which nobody empties; then more than the socket holds; then there is room."""
    while not ring.slots[Slot.RECEIVER_READY]:
        time.sleep(0.001)
    more = 6000
    while more:
        sender.sendto(bytes(1466), to)
        sent.append(1)
        more -= ring.slots[Slot.RING_FULL] > 0
    while not ring.slots[Slot.STOP]:
        ring.slots[Slot.TAIL] = ring.slots[Slot.HEAD]
        time.sleep(0.01)
        quiet = ring.slots[Slot.HEAD] == ring.slots[Slot.TAIL]
        ring.slots[Slot.STOP] = quiet


def test_others_are_counted_not_kept(pair, ring, addresses):
    sock, _, sender, to = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for _ in range(3):
            other.sendto(bytes(1466), to)
        sender.sendto(b"0123456789right", to)
    ring.slots[Slot.STOP] = 1
    receive(sock, ring, addresses[1])
    assert take_all(ring) == [b"right"] and ring.slots[Slot.FOREIGN] == 3
    assert int(ring.slots[Slot.FOREIGN_IP]).to_bytes(4, "big") == bytes([127, 0, 0, 1])


def test_the_buffer_granted_is_read_back(pair):
    _, buffer, _, _ = pair
    assert buffer.requested == 4 << 20 and buffer.granted >= 212_992
    assert buffer.packets == buffer.granted // 2304
    assert buffer.seconds(buffer.packets / 2) == pytest.approx(2) and buffer.seconds(0) == float("inf")


def test_drain_empties_the_socket(pair):
    sock, _, sender, to = pair
    for _ in range(12):
        sender.sendto(b"x", to)
    assert drain(sock) == 12 and drain(sock) == 0


def test_a_ring_leaves_nothing_behind():
    ring = Ring.create(100_000)
    assert ring.size % PAGE == 0 and ring.size >= 100_000
    ring.close()
    ring.close()
    held = subprocess.run(["ls", "-l", f"/proc/{os.getpid()}/fd"], capture_output=True, text=True).stdout
    assert "mmsar-ring" not in held
