"""Accounts of a recording from its journal alone: after a crash, or to check what was written.

The chunks are read and never changed; a block that was being written when the recorder was killed does not match its
checksum and is left out, and said. Doing it again gives the same result.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mmsar.errors import CaptureError, FormatError
from mmsar.hardware.dca1000.index import Index, IndexBuilder
from mmsar.hardware.dca1000.journal import (
    MANIFEST,
    REPORT,
    Damage,
    read_block,
    read_blocks,
    read_events,
    read_json,
    read_manifest,
    write_json,
)
from mmsar.hardware.dca1000.ledger import Ledger
from mmsar.hardware.dca1000.records import parse
from mmsar.hardware.dca1000.report import Report, make_report
from mmsar.hardware.dca1000.writer import KILLED, RESERVE

PATIENCE = 10.0
"""How long a recording that is being finished is waited for [s]."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a journal holds."""

    report: Report
    index: Index


def in_progress(folder: Path) -> bool:
    """Whether a recorder is writing to this folder."""
    lock = os.open(folder / MANIFEST, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = os.open(folder / MANIFEST, os.O_RDONLY)
    deadline = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CaptureError(f"{folder}: is being recorded; wait for its end or stop it") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(lock)


def survey(folder: Path, *, ended: str | None = None) -> Survey:
    """Read a whole journal and account for it; nothing is changed.

    Parameters
    ----------
    ended : str, optional
        Why the recording ended; default: what its events say, or that it was killed.

    Raises
    ------
    FormatError
        No recording, or one of another schema.
    """
    manifest = read_manifest(folder)
    ledger = Ledger(int(manifest["frame_bytes"]), int(manifest["frames"]))
    index = IndexBuilder()
    damaged = tail = kernel_dropped = foreign = 0
    for found in read_blocks(folder):
        if isinstance(found, Damage):
            damaged += not found.tail
            tail += found.size if found.tail else 0
            continue
        block, data = found
        records = parse(data)
        index.add(block, records, ledger.add_records(records))
        kernel_dropped, foreign = block.kernel_dropped, block.foreign
    interrupted = True
    if ended is None:
        ended, interrupted = _end(folder)
        if ended == "complete" and ledger.complete < ledger.n_frames:
            ended, interrupted = "the journal lacks its end", True
    report = make_report(
        ledger,
        ended=ended,
        interrupted=(interrupted or tail > 0) and ledger.complete < ledger.n_frames,
        kernel_dropped=kernel_dropped,
        foreign=foreign,
        damaged_blocks=damaged,
        tail_bytes=tail,
    )
    return Survey(report=report, index=index.build(ledger))


def _end(folder: Path) -> tuple[str, bool]:
    """Why a recording ended and whether it was interrupted, from its events."""
    for event in reversed(read_events(folder)):
        if event.get("event") == "end":
            return str(event.get("ended")), bool(event.get("interrupted", True))
    return KILLED, True


def read_report(folder: Path) -> Report:
    """The report of a recording; made from the journal when it was interrupted (nothing is written)."""
    read_manifest(folder)
    path = folder / REPORT
    if path.exists() and not in_progress(folder):
        try:
            return Report.from_json(read_json(path), str(path))
        except FormatError as error:
            raise FormatError(f"{error}; run mmsar hw recover {folder}") from error
    return survey(folder, ended="is being recorded" if in_progress(folder) else None).report


def recover(folder: Path) -> tuple[Report, bool]:
    """Write report and index of a recording that lacks them; the report, and whether anything had to be done.

    Whole ones are held against the journal's checksums: what changed on the disk since then is left out and counted.

    Raises
    ------
    FormatError, CaptureError
        No recording; one that is still being made.
    """
    read_manifest(folder)
    with _alone(folder):
        report = index = None
        with suppress(FormatError, OSError):
            report = Report.from_json(read_json(folder / REPORT), str(folder / REPORT))
        with suppress(FormatError, OSError):
            index = Index.load(folder)
            for block in range(len(index.at)):
                read_block(folder, *index.place(block))
            if report is not None:
                return report, False
        found = survey(folder)
        (folder / RESERVE).unlink(missing_ok=True)
        found.index.save(folder)
        if report is None or found.report.frames_complete != report.frames_complete:  # else only the index was missing
            report = found.report
            write_json(folder / REPORT, report.to_json())
        return report, True
