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
    CHUNK_HEAD,
    FOOT,
    FORMER,
    MANIFEST,
    REPORT,
    RESERVE,
    Damage,
    chunk_number,
    chunk_path,
    chunk_paths,
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
from mmsar.hardware.dca1000.writer import KILLED

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


def survey(folder: Path, *, ended: str | None = None, counted: bool = False) -> Survey:
    """Read a whole journal and account for it; nothing is changed.

    Parameters
    ----------
    ended : str, optional
        Why the recording ended; default: what its events say, or that it was killed.
    counted : bool
        Whether it is known to have held packets.

    Raises
    ------
    FormatError
        No recording, or one of another schema.
    """
    manifest = read_manifest(folder)
    gone = missing_parts(folder, counted=counted)
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
    end = _end(folder) if ended is None else End(ended=ended)
    if not end.interrupted and (gone or tail or (end.ended == "complete" and ledger.complete < ledger.n_frames)):
        end = End(ended=f"the journal lacks {'parts' if gone else 'its end'}")
    report = make_report(
        ledger,
        ended=end.ended,
        interrupted=end.interrupted and ledger.complete < ledger.n_frames,
        early=end.early,
        kernel_dropped=kernel_dropped,
        foreign=foreign,
        damaged_blocks=damaged,
        tail_bytes=tail,
        messages=tuple(gone),
    )
    return Survey(report=report, index=index.build(ledger))


@dataclass(frozen=True, kw_only=True)
class End:
    """How a recording ended."""

    ended: str
    interrupted: bool = True
    early: bool = False


def _end(folder: Path) -> End:
    """How a recording ended, from its events."""
    for event in reversed(read_events(folder)):
        if event.get("event") == "end":
            interrupted, early = bool(event.get("interrupted", True)), bool(event.get("early", False))
            return End(ended=str(event.get("ended")), interrupted=interrupted, early=early)
    return End(ended=KILLED)


def missing_parts(folder: Path, *, counted: bool = False) -> list[str]:
    """What of the journal is gone, one line a chunk, by its numbering and its index; `counted`: it held packets.

    Without an index the end of the last chunk may be missing unnoticed: it is what a killed process was writing.
    """
    sizes = {chunk_number(path): path.stat().st_size for path in chunk_paths(folder)}
    needed: dict[int, int] = {}
    with suppress(FormatError):
        index = Index.load(folder)
        for chunk, end in zip(index.chunk.tolist(), (index.at + index.size + FOOT.size).tolist(), strict=True):
            needed[chunk] = max(end, needed.get(chunk, 0))
    if counted:
        needed.setdefault(0, CHUNK_HEAD.size)
    last = max([*sizes, *needed], default=-1)
    gone = []
    for number in range(last + 1):
        name, size = chunk_path(folder, number).name, sizes.get(number)
        least = needed.get(number, CHUNK_HEAD.size if number < last else 0)
        if size is None:
            gone.append(f"{name} is missing: the packets in it are lost")
        elif size < least:
            gone.append(f"{name} was cut after recording: the packets at its end are lost")
    return gone


def _unsaid(folder: Path, report: Report) -> list[str]:
    """The parts that are gone and that a report does not know of."""
    return [text for text in missing_parts(folder, counted=report.packets_received > 0) if text not in report.messages]


def read_report(folder: Path) -> Report:
    """The report of a recording; made from the journal when it was interrupted (nothing is written).

    Raises
    ------
    FormatError
        No recording, or one whose report counts packets that are gone from the folder.
    """
    read_manifest(folder)
    path = folder / REPORT
    if path.exists() and not in_progress(folder):
        try:
            report = Report.from_json(read_json(path), str(path))
        except FormatError as error:
            raise FormatError(f"{error}; run mmsar hw recover {folder}") from error
        if gone := _unsaid(folder, report):
            more = f" (and {len(gone) - 1} more)" if gone[1:] else ""
            raise FormatError(
                f"{folder}: {gone[0]}{more}; restore it, or let mmsar hw recover {folder} account for what is left"
            )
        return report
    return survey(folder, ended="is being recorded" if in_progress(folder) else None).report


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What `recover` has done."""

    report: Report
    done: bool
    """Whether anything had to be done."""
    former: Path | None = None
    """Where a report is kept that counted more than is left."""
    lost: int = 0
    """Packets that it counted and that are gone."""


def recover(folder: Path) -> Recovered:
    """Write report and index of a recording that lacks them.

    Whole ones are held against the journal: what changed on the disk since then, or is gone, is left out and counted. A
    report that counted more than is left is kept as `FORMER`; the first one, if it comes to that again.

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
            if report is not None and not _unsaid(folder, report):
                return Recovered(report=report, done=False)
        found = survey(folder, counted=report is not None and report.packets_received > 0)
        (folder / RESERVE).unlink(missing_ok=True)
        former, before = None, report
        lost = report is not None and (
            found.report.packets_received < report.packets_received or _unsaid(folder, report)
        )
        if lost:
            former = folder / FORMER
            if not former.exists():
                write_json(former, report.to_json())
        found.index.save(folder)
        if report is None or lost:  # else only the index was missing
            report = found.report
            write_json(folder / REPORT, report.to_json())
        gone = before.packets_received - report.packets_received if lost else 0
        return Recovered(report=report, done=True, former=former, lost=gone)
