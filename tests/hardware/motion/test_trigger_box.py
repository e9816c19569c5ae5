"""The trigger box's driver, and the whole chain: stage, pulses, triggers at true positions."""

import threading
import time

import numpy as np
import pytest

from mmsar.errors import CaptureError, GeometryError
from mmsar.hardware.emulate.esp32 import LATENCY_NS, Esp32Pty
from mmsar.hardware.emulate.grbl import GrblPty
from mmsar.hardware.emulate.pty_port import PtyFaults
from mmsar.hardware.motion.esp32 import SyncTrigger
from mmsar.hardware.motion.stage import Axis, open_stage


def sent(box):
    return b"".join(data for _, way, data in box.transcript if way == "in")


def test_commands_are_byte_exact():
    with Esp32Pty() as box, SyncTrigger(box.port) as trigger:
        trigger.set_pulses(25)
        trigger.set_wanted(400)
        trigger.set_measurements(3)
        trigger.pause()
        trigger.resume()
        trigger.reset()
        trigger.trigger()
        assert len(box.triggers) == 1
        trigger.clear_count()
        assert box.triggers == []
        assert sent(box) == b"$PLS25#$DTG400#$MSR3#$PAU#$RES#$RST#$RTG#$CTG#"
        assert (box.threshold, box.wanted, trigger.pulses) == (25, 400, 25)


@pytest.mark.parametrize("count", [0, -1, 2.5, 100_000, True])
def test_numbers_that_do_not_fit_are_refused(count):
    with Esp32Pty() as box, SyncTrigger(box.port) as trigger:
        with pytest.raises(GeometryError):
            trigger.set_pulses(count)
        assert sent(box) == b""


def test_silence_refusal_and_a_wrong_threshold_are_found(monkeypatch):
    monkeypatch.setattr("mmsar.hardware.motion.esp32.ANSWER", 0.1)
    with Esp32Pty() as box, SyncTrigger(box.port) as trigger:
        box.log = False
        with pytest.raises(CaptureError, match=r"got no answer to \$PLS20#"):
            trigger.set_pulses(20)
        assert trigger.pulses is None
        box.log = True
        with pytest.raises(CaptureError, match="Invalid command"):
            trigger._command("XYZ")
        said = box._say
        box._say = lambda text: said(text.replace("to 20", "to 207"))
        with pytest.raises(CaptureError, match="threshold of 207 pulses, wanted 20"):
            trigger.set_pulses(20)
        box.faults = PtyFaults(mute_after=0)
        with pytest.raises(CaptureError, match="no answer"):
            trigger.trigger()
        box.close()
        with pytest.raises(CaptureError, match="check the cable"):
            trigger.trigger()


def test_a_box_that_still_boots_is_waited_for():
    with Esp32Pty() as box:
        threading.Timer(0.05, box.write, [b"ets Jun  8 2016 00:22:57\r\n"]).start()
        threading.Timer(0.15, box.write, [b"I (29) boot: ESP-IDF v5.0\r\n"]).start()
        begun = time.monotonic()
        with SyncTrigger(box.port) as trigger:
            assert time.monotonic() - begun > 0.3
            trigger.set_pulses(20)


def test_firmware_without_a_log_on_the_users_word():
    with Esp32Pty() as box, SyncTrigger(box.port, confirm=False) as trigger:
        box.log = False
        trigger.set_pulses(20)
        trigger.trigger()
        assert box.threshold == 20
        assert len(box.triggers) == 1


def test_counting_pauses_and_resets():
    with Esp32Pty() as box, SyncTrigger(box.port) as trigger:
        trigger.set_pulses(3)
        for k in range(7):
            box.pulse(1000 * k)
        assert box.triggers == [2000 + LATENCY_NS, 5000 + LATENCY_NS]
        trigger.pause()
        for k in range(10):
            box.pulse(k)
        trigger.resume()
        assert (box.count, len(box.triggers)) == (1, 2)
        trigger.reset()
        assert box.count == 0


def test_triggers_come_at_equal_distances_of_the_table():
    fired = []
    x = Axis(name="x", low=-0.399, high=0.0)
    with GrblPty(speedup=20) as grbl, Esp32Pty(on_trigger=fired.append) as box:
        grbl.on_pulse("X", 5, box.pulse)  # every 0.02 mm
        with open_stage("grbl", grbl.port, axes=[x]) as stage, SyncTrigger(box.port) as trigger:
            stage.home()
            stage.move_to({"x": -0.05}, speed=0.1)
            stage.wait_idle(timeout=10)
            time.sleep(0.02)
            trigger.set_pulses(50)
            fired.clear()
            stage.move_to({"x": -0.15}, speed=0.1)
            stage.wait_idle(timeout=10)
            time.sleep(0.05)
    assert len(fired) == 100
    places = np.array([grbl.position_at(t - LATENCY_NS)[0] for t in fired])
    np.testing.assert_allclose(places, -0.05 - 1e-3 * np.arange(1, 101), atol=1e-8)
