"""The process that writes: it takes records from the ring, keeps the accounts and appends blocks to the journal.

A thread beside it asks the disk twice a second to keep what was written (fdatasync), so that a slow disk delays nothing
but that. The process ends when the receiver has ended and the ring is empty; it then waits for one line of JSON on its
standard input that says why the recording ended. End of file without a line means that the program that recorded is
gone: the recording is finished all the same.
"""

import errno
import fcntl
import gc
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmsar.errors import FormatError
from mmsar.hardware.dca1000.index import IndexBuilder
from mmsar.hardware.dca1000.journal import (
    BLOCK,
    BLOCK_AGE,
    EVENTS,
    MANIFEST,
    REPORT,
    RESERVE,
    JournalWriter,
    write_json,
)
from mmsar.hardware.dca1000.ledger import Ledger
from mmsar.hardware.dca1000.records import boundaries, parse
from mmsar.hardware.dca1000.report import Report, make_report
from mmsar.hardware.dca1000.ring import Ring, Slot

RESERVED = 1 << 18
"""Bytes kept free for the report of a recording that fills the disk."""
POLL = 0.005
SYNC = 0.5
ORPHAN_PATIENCE = 3.0
"""Time without records after which a writer without recorder takes the receiver for dead too [s]."""
KILLED = "the recording program was killed"


class RingWriter:
    """Moves records from a ring to the journal of a folder and accounts for them."""

    def __init__(self, ring: Ring, folder: Path, *, frame_bytes: int, n_frames: int, parent: int) -> None:
        self.ring, self.folder, self.parent = ring, folder, parent
        self.ledger = Ledger(frame_bytes, n_frames)
        self.index = IndexBuilder()
        self.slowest = 0.0
        """Longest time the disk took for a block [s]."""
        self.error: OSError | None = None
        """What ended the writing, if something did."""
        (folder / RESERVE).write_bytes(bytes(RESERVED))
        self.journal = JournalWriter(folder)
        self._stop = threading.Event()
        self._syncer = threading.Thread(target=self._sync, name="sync", daemon=True)

    def run(self) -> None:
        """Move records until the receiver is done and the ring empty, or until the disk refuses."""
        slots = self.ring.slots
        self._syncer.start()
        slots[Slot.WRITER_READY] = 1
        waiting_since, moved = 0.0, time.monotonic()
        while self.error is None:
            done = slots[Slot.RECEIVER_DONE]  # before the head is read: what came until then is in the ring
            waiting = slots[Slot.HEAD] - slots[Slot.TAIL]
            now = time.monotonic()
            if not waiting:
                if done or (os.getppid() != self.parent and now - moved > ORPHAN_PATIENCE):
                    return
                waiting_since = 0.0
            else:
                waiting_since = waiting_since or now
                if waiting >= BLOCK or done or now - waiting_since >= BLOCK_AGE:
                    self._move()
                    waiting_since, moved = 0.0, now
                    continue
            time.sleep(POLL)

    def _move(self) -> None:
        span, begin = self.ring.take()
        try:
            with span:
                for a, b in pairwise(boundaries(span, BLOCK)):
                    with span[a:b] as part:
                        self._write(part)
                    self.ring.slots[Slot.TAIL] = begin + b  # block by block: a backlog keeps no receiver waiting
        except OSError as error:
            self.error = error.with_traceback(None)  # its frames hold pieces of the ring, which could not be closed
            self.ring.slots[Slot.ERRNO] = error.errno or errno.EIO

    def _write(self, part: memoryview) -> None:
        slots, ledger = self.ring.slots, self.ledger
        dropped, foreign = slots[Slot.KERNEL_DROPPED], slots[Slot.FOREIGN]
        records = parse(part)
        begin = time.monotonic()
        block = self.journal.append(part, len(records), kernel_dropped=dropped, foreign=foreign)
        self.slowest = max(self.slowest, time.monotonic() - begin)
        verdicts = ledger.add_records(records)
        self.index.add(block, records, verdicts)
        del records
        slots[Slot.BYTES] = ledger.bytes_received
        slots[Slot.REACHED] = ledger.reached
        slots[Slot.LOST] = max(0, ledger.packets_expected(whole=False) - ledger.received)
        slots[Slot.RESTARTED] = ledger.restart_ns is not None
        slots[Slot.FRAMES] = ledger.complete

    def _sync(self) -> None:
        events = os.open(self.folder / EVENTS, os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            while not self._stop.wait(SYNC):
                with suppress(OSError):  # what the disk refuses, the next write meets too
                    while self.journal.finished:
                        fd = self.journal.finished.pop()
                        os.fdatasync(fd)
                        os.close(fd)
                    os.fdatasync(self.journal.fd)
                    os.fdatasync(events)
        finally:
            os.close(events)

    def finish(self, why: dict[str, Any]) -> Report:
        """Close the journal and write report and index; `why` holds what `Recorder.finish` was told."""
        slots, ledger = self.ring.slots, self.ledger
        self._stop.set()
        self._syncer.join()
        (self.folder / RESERVE).unlink(missing_ok=True)
        messages = list(why.get("messages", ()))
        ended, interrupted = why.get("ended", KILLED), bool(why.get("interrupted", True))
        if slots[Slot.RING_FULL]:
            messages.append(
                f"the disk took up to {self.slowest:.1f} s for a block, too long for the ring: the receiver had to "
                f"wait {slots[Slot.RING_FULL]} times; record to a faster or idle disk"
            )
        if self.error is not None:
            ended, interrupted = f"the disk refused: {(self.error.strerror or str(self.error)).lower()}", True
        with suppress(OSError):
            self.journal.close()
        report = make_report(
            ledger,
            ended=ended,
            interrupted=interrupted and ledger.complete < ledger.n_frames,
            early=bool(why.get("early", False)),
            kernel_dropped=slots[Slot.KERNEL_DROPPED],
            foreign=slots[Slot.FOREIGN],
            ring_full=slots[Slot.RING_FULL],
            messages=tuple(messages),
        )
        write_json(self.folder / REPORT, report.to_json())
        with suppress(OSError, FormatError):  # it can be built again
            self.index.build(ledger).save(self.folder)
        return report


def main(text: str) -> None:
    """Entry of the process: `text` is JSON with the ring's descriptor, the folder and the size of the recording."""
    given = json.loads(text)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the recorder decides what an interruption means
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ring, folder = Ring(given["ring"]), Path(given["folder"])
    with suppress(OSError):
        os.nice(-5)
    lock = os.open(folder / MANIFEST, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        writer = RingWriter(ring, folder, **{name: given[name] for name in ("frame_bytes", "n_frames", "parent")})
        gc.freeze()
        writer.run()
    except OSError as error:  # the recorder says it
        ring.slots[Slot.ERRNO] = error.errno or errno.EIO
        sys.exit(1)
    finally:
        ring.slots[Slot.WRITER_DONE] = 1
    line = sys.stdin.readline()
    with suppress(OSError, FormatError):  # without a report the recorder makes it from the journal
        writer.finish(json.loads(line) if line.strip() else {})
    ring.close()
    os.close(lock)


if __name__ == "__main__":
    main(sys.argv[1])
