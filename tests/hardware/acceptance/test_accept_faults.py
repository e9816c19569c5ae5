"""Lost, late and doubled packets: every number of the report against the sender's log, every sample by its bytes."""

import random
import socket
import time

import numpy as np
import pytest
from card import CONFIG_PORT, DATA_PORT, Card, as_emitted, shuffle, split
from customer import KEYS, Recording, account
from wirelayouts import Radar

RADAR = Radar(samples=128, loops=16, tx=(1, 4, 2), frames=0)
SMALL = Radar(samples=60, loops=4, tx=(1, 4))


def record(
    tmp_path, addresses, radar, frames, order_of, *, during=lambda card: None, rate=8000, tail=0.3, **card_options
):
    """Record frames whose packets are emitted as `order_of(count)` says; returns run, samples, wanted, present."""
    samples, wire = radar.measure(frames, seed=3)
    datagrams = split(wire)
    order = as_emitted(datagrams, order_of(len(datagrams)))
    with Card(*addresses, **card_options) as card:
        with Recording(tmp_path / "r", radar, frames, addresses) as run:
            run.wait_armed()
            during(card)
            card.emit(datagrams, order, tail=tail)
            assert run.finish() == 0, run.said
    wanted, present = account(order, len(datagrams), len(wire), radar.frame_bytes)
    return run, samples, wanted, present


def check(run, radar, samples, wanted, present):
    said = run.report()
    assert {key: said[key] for key in KEYS} == wanted
    got = run.cube()
    valid = radar.valid(len(samples), present)
    assert np.array_equal(got["valid"], valid)
    assert np.array_equal(got["signal"][valid], samples[valid])
    assert not got["signal"][~valid].any()


def test_seeded_faults(tmp_path, addresses):
    def order(n):
        return shuffle(n, 11, loss=0.01, reorder=0.01, double=0.005)

    run, samples, wanted, present = record(tmp_path, addresses, RADAR, 60, order)
    assert wanted["upstream_lost"] > 20 and wanted["late"] > 20 and wanted["duplicates"] > 10
    check(run, RADAR, samples, wanted, present)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_heavier_faults(tmp_path, addresses, seed):
    rng = random.Random(seed)
    radar = rng.choice([RADAR, SMALL, Radar(device="xWR1443", order="4lane", samples=90, loops=7, tx=(4, 1))])

    def order(n):
        return shuffle(n, seed, loss=0.05, reorder=0.1, double=0.05, depth=rng.choice([2, 32, 100]))

    run, samples, wanted, present = record(tmp_path, addresses, radar, 40, order)
    check(run, radar, samples, wanted, present)


def test_first_and_last_packet_lost(tmp_path, addresses):
    run, samples, wanted, present = record(tmp_path, addresses, SMALL, 9, lambda n: range(1, n - 1))
    assert wanted["upstream_lost"] == 2 and wanted["frames_damaged"] == 2
    check(run, SMALL, samples, wanted, present)


def test_noise_on_both_ports(tmp_path, addresses):
    """Rubbish from the card's own address and packets of another sender are no data, and change no number."""
    host = addresses[0]
    rng = random.Random(2)
    base, last = host.rsplit(".", 1)
    stranger = f"{base}.{(int(last) + 120) % 250 + 1}"

    def noise(card):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((stranger, 0))
            forged = split(bytes(5 * 1456))
            for _ in range(100):
                for datagram in forged:
                    other.sendto(datagram, (host, DATA_PORT))
                other.sendto(rng.randbytes(8), (host, CONFIG_PORT))
                card.raw(rng.randbytes(rng.randint(0, 9)), DATA_PORT)
                card.raw(rng.randbytes(rng.randint(0, 600)), CONFIG_PORT)

    run, samples, wanted, present = record(
        tmp_path, addresses, SMALL, 9, range, during=noise, chatter=True, source_port=0, deaf=0.3
    )
    check(run, SMALL, samples, wanted, present)


def test_card_falls_silent(tmp_path, addresses):
    """A cable pulled in mid-capture: ended promptly, said, and what came is a valid recording."""
    radar = RADAR
    samples, wire = radar.measure(40, seed=3)
    datagrams = split(wire)
    order = range(len(datagrams) // 2)
    with Card(*addresses) as card, Recording(tmp_path / "r", radar, 40, addresses) as run:
        run.wait_armed()
        for index in order:
            card.raw(datagrams[index])
            if not index % 50:
                time.sleep(0.005)
        end = time.monotonic()
        code = run.finish()
        took = run.ended - end
    assert code in (0, 4), run.said
    assert took < 6
    wanted, present = account(order, len(datagrams), len(wire), radar.frame_bytes)
    check(run, radar, samples, wanted, present)
    assert "silent" in run.said or "no packet" in run.said or "stopped" in run.said, run.said
