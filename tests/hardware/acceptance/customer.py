"""The commands as a customer runs them: each in a process of its own, judged by what it prints and writes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

KEYS = (
    "frames_expected frames_complete frames_damaged packets_received duplicates late kernel_dropped upstream_lost "
    "zero_filled_bytes"
).split()


def mmsar(*words: object, timeout: float = 60, **options) -> subprocess.CompletedProcess:
    """Run one command to its end."""
    line = [sys.executable, "-m", "mmsar", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=timeout, **options)


class Recording:
    """`mmsar hw record` under way; leaving the block kills what is left of it."""

    def __init__(self, folder: Path, radar, frames: int, addresses: tuple[str, str], *more: object, **options) -> None:
        self.folder = folder
        config = folder.with_name(folder.name + ".cfg")
        config.write_text(radar.text)
        host, card = addresses
        line = [sys.executable, "-m", "mmsar", "hw", "record", config, "-o", folder, "--frames", frames, "--no-radar"]
        line += ["--host-ip", host, "--card-ip", card, "--device", radar.device, *more]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in line],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
            **options,
        )
        self.lines: list[str] = []
        self.armed = threading.Event()
        self.ended = 0.0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)
            if line.rstrip() == "recording armed":
                self.armed.set()
        self.armed.set()

    @property
    def said(self) -> str:
        """What it wrote to stderr so far."""
        return "".join(self.lines)

    def wait_armed(self, timeout: float = 30) -> "Recording":
        """Wait for the line that says so."""
        assert self.armed.wait(timeout), self.said
        assert "recording armed\n" in self.lines, self.said
        return self

    def finish(self, timeout: float = 60) -> int:
        """Its exit code, once it ended by itself."""
        code = self.process.wait(timeout)
        self.ended = time.monotonic()
        self._reader.join(10)
        return code

    def report(self) -> dict:
        return report(self.folder)

    def cube(self) -> dict[str, np.ndarray]:
        return cube(self.folder)


def report(folder: Path) -> dict:
    """What `mmsar hw report --json` says."""
    done = mmsar("hw", "report", folder, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cube(folder: Path) -> dict[str, np.ndarray]:
    """What `mmsar hw decode` writes."""
    target = folder.with_name(folder.name + ".npz")
    done = mmsar("hw", "decode", folder, "-o", target)
    assert done.returncode == 0, done.stderr
    with np.load(target) as values:
        return {name: values[name] for name in values}


def account(order, count: int, total: int, frame_bytes: int) -> tuple[dict, np.ndarray]:
    """What the report must say of packets emitted in `order`, of `count` for `total` bytes; and which bytes came."""
    seen: set[int] = set()
    highest, late = -1, 0
    for index in order:
        if index not in seen and index < highest:
            late += 1
        seen.add(index)
        highest = max(highest, index)
    present = np.zeros(total, bool)
    for index in seen:
        present[index * 1456 : index * 1456 + 1456] = True
    whole = present.reshape(-1, frame_bytes).all(axis=1)
    return {
        "frames_expected": len(whole),
        "frames_complete": int(whole.sum()),
        "frames_damaged": int((~whole).sum()),
        "packets_received": len(seen),
        "duplicates": len(order) - len(seen),
        "late": late,
        "kernel_dropped": 0,
        "upstream_lost": count - len(seen),
        "zero_filled_bytes": int((~present).sum()),
    }, present
