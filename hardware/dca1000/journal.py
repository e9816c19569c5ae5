"""A recording on disk: a folder that is valid at every moment, whatever ends the recording.

    manifest.json      what is recorded and how; written first, never changed
    events.jsonl       what happened: clock pairs, status messages of the card, start and stop of the radar
    packets-00000.bin  the datagrams as they came, in chunks of at most 64 MiB
    index.npz          where which part of the stream lies; can be built again
    report.json        the accounts; written when the recording ends, or by `recover`

A chunk is a head of 16 bytes (b"MMSARPKT", u32 schema, u32 number) and blocks:

    b"MSBK", u32 size, u32 records, u32 number, u64 kernel drops, u64 foreign datagrams   (32 bytes; totals so far)
    records (size bytes; see `records`)
    u32 CRC-32 of all of the above

A block is written in one go and closed at least every `BLOCK_AGE`; a process that is killed leaves at most one partial
block at the end, which its checksum gives away. Chunks are only ever appended to.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsar.errors import FormatError
from mmsar.io.atomic import atomic_path, write_fault

SCHEMA = 1
CHUNK = 64 << 20
"""Most bytes of a chunk."""
BLOCK = 1 << 20
"""Most bytes of records in a block, or one record."""
BLOCK_AGE = 0.02
"""Longest time records wait for their block to be written [s]."""

MANIFEST, EVENTS, REPORT, INDEX = "manifest.json", "events.jsonl", "report.json", "index.npz"
FORMER = "report.former.json"
"""Report of a recording of which parts were lost after it had been written."""
RESERVE = ".reserve"
"""Room for the report while a recording is made."""
CHUNK_MAGIC, BLOCK_MAGIC = b"MMSARPKT", b"MSBK"
CHUNK_HEAD = struct.Struct("<8sII")
BLOCK_HEAD = struct.Struct("<4sIIIQQ")
FOOT = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of a journal: where it is and what it says of itself."""

    chunk: int
    """Number of the chunk."""
    at: int
    """Where its records begin in the chunk [bytes]."""
    size: int
    """Bytes of its records."""
    records: int
    number: int
    """Position in the recording, from 0."""
    kernel_dropped: int
    """Datagrams the kernel had dropped by then."""
    foreign: int
    """Datagrams of other senders by then."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A part of a chunk that is no block."""

    chunk: int
    at: int
    size: int
    tail: bool
    """Whether it is the end of the last chunk: what a killed process was writing."""


def chunk_path(folder: Path, number: int) -> Path:
    """File of a chunk."""
    return folder / f"packets-{number:05d}.bin"


def chunk_number(path: Path) -> int:
    """Number of a chunk's file."""
    return int(path.stem.split("-")[1])


def chunk_paths(folder: Path) -> list[Path]:
    """The chunks there are, in order."""
    return sorted(folder.glob("packets-[0-9][0-9][0-9][0-9][0-9].bin"))


def check_folder(folder: Path) -> None:
    """Raise FormatError unless a recording can be made in `folder`: new or empty, and where files may be written."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise FormatError(f"{folder}: got a folder that is not empty, wanted a new or empty one; give another -o")
    elif folder.exists():
        raise FormatError(f"{folder}: got a file, wanted a folder to make")
    elif not folder.absolute().parent.is_dir():
        raise FormatError(f"{folder}: its folder does not exist; create {folder.absolute().parent} first")
    if fault := write_fault(place := folder if folder.is_dir() else folder.absolute().parent):
        raise FormatError(f"{folder}: {place} cannot be written to ({fault}); give another -o")


def remove(folder: Path) -> None:
    """Delete what a recording that could not be started has left in a folder."""
    for path in (*(folder / name for name in (MANIFEST, EVENTS, RESERVE, REPORT, INDEX)), *chunk_paths(folder)):
        path.unlink(missing_ok=True)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all, and down to the disk."""
    with atomic_path(path) as part:
        with open(part, "w", encoding="utf-8") as file:
            json.dump(values, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises
    ------
    FormatError
        Not JSON, or not an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path}: got no JSON ({error}), wanted a file of a recording") from None
    if not isinstance(values, dict):
        raise FormatError(f"{path}: got JSON of another kind, wanted an object")
    return values


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a recording.

    Raises
    ------
    FormatError
        No recording, or one of another schema.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FormatError(f"{folder}: got no {MANIFEST}, wanted the folder of a recording (mmsar hw record -o)")
    manifest = read_json(path)
    if manifest.get("mmsar_recording") != SCHEMA:
        got = manifest.get("mmsar_recording")
        raise FormatError(f"{path}: got recording schema {got!r}, wanted {SCHEMA}; it was made by another version")
    return manifest


class EventLog:
    """The file of what happened; every line is whole or recognisably not."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def add(self, event: str, **values: Any) -> None:
        """Append a line; a full disk does not stop a recording from ending."""
        line = json.dumps({"event": event, **values}) + "\n"
        try:
            os.write(self._fd, line.encode())
        except OSError:  # the writer of the packets meets the same disk and says so
            return

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The events of a recording, in order; a partial last line is left out."""
    path = folder / EVENTS
    if not path.exists():
        return []
    events = []
    for line in path.read_bytes().splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return [event for event in events if isinstance(event, dict)]


class JournalWriter:
    """Appends blocks to the chunks of a new recording.

    Parameters
    ----------
    folder : Path
        Folder of the recording, without chunks.
    chunk_size : int
        Most bytes of a chunk.
    """

    def __init__(self, folder: Path, *, chunk_size: int = CHUNK) -> None:
        self.folder, self.chunk_size = folder, chunk_size
        self.blocks = 0
        self.finished: list[int] = []
        """Descriptors of chunks that are full: whoever syncs them closes them."""
        self.fd = -1
        self._chunk = -1
        self._size = 0
        self._open_next()

    def _open_next(self) -> None:
        if self.fd >= 0:
            self.finished.append(self.fd)
            self.fd = -1
        self._chunk += 1
        path = chunk_path(self.folder, self._chunk)
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._size = 0
        self._write([CHUNK_HEAD.pack(CHUNK_MAGIC, SCHEMA, self._chunk)])

    def append(self, span: memoryview | bytes, records: int, *, kernel_dropped: int = 0, foreign: int = 0) -> Block:
        """Write a block of whole records and return it.

        Raises
        ------
        OSError
            What could not be written; the chunk ends with its last whole block then.
        """
        total = BLOCK_HEAD.size + len(span) + FOOT.size
        if self._size + total > self.chunk_size and self._size > CHUNK_HEAD.size:
            self._open_next()
        head = BLOCK_HEAD.pack(BLOCK_MAGIC, len(span), records, self.blocks, kernel_dropped, foreign)
        at = self._size + BLOCK_HEAD.size
        self._write([head, span, FOOT.pack(zlib.crc32(span, zlib.crc32(head)))])
        block = Block(
            chunk=self._chunk,
            at=at,
            size=len(span),
            records=records,
            number=self.blocks,
            kernel_dropped=kernel_dropped,
            foreign=foreign,
        )
        self.blocks += 1
        return block

    def _write(self, parts: list[bytes | memoryview]) -> None:
        wanted = sum(map(len, parts))
        done = 0
        try:
            done = os.writev(self.fd, parts)
            while done < wanted:  # a disk that fills takes a part first, then says why not more
                done += os.write(self.fd, b"".join(parts)[done:])
        except OSError:
            os.ftruncate(self.fd, self._size)
            raise
        self._size += wanted

    def close(self) -> None:
        """Down to the disk, and close."""
        for fd in (*self.finished, *([self.fd] if self.fd >= 0 else [])):
            os.fdatasync(fd)
            os.close(fd)
        self.finished, self.fd = [], -1


def read_blocks(folder: Path) -> Iterator[tuple[Block, bytes] | Damage]:
    """Every whole block with its records, in order, and the parts of the chunks that are none.

    After a damaged part it goes on with the next block whose checksum holds. Nothing is changed.

    Raises
    ------
    FormatError
        A chunk of another schema.
    """
    paths = chunk_paths(folder)
    for path in paths:
        number = chunk_number(path)
        last = path == paths[-1]
        data = path.read_bytes()
        if len(data) < CHUNK_HEAD.size or data[:8] != CHUNK_MAGIC:
            yield Damage(chunk=number, at=0, size=len(data), tail=last and len(data) < CHUNK_HEAD.size)
            continue
        _, schema, _ = CHUNK_HEAD.unpack_from(data)
        if schema != SCHEMA:
            raise FormatError(f"{path}: got journal schema {schema}, wanted {SCHEMA}; another version made it")
        yield from _blocks_of(data, number, last)


def _blocks_of(data: bytes, chunk: int, last: bool) -> Iterator[tuple[Block, bytes] | Damage]:
    at = CHUNK_HEAD.size
    view = memoryview(data)
    while at < len(data):
        found = at
        while (block := _block_at(view, chunk, found)) is None:
            found = data.find(BLOCK_MAGIC, found + 1)
            if found < 0:
                yield Damage(chunk=chunk, at=at, size=len(data) - at, tail=last)
                return
        if found > at:
            yield Damage(chunk=chunk, at=at, size=found - at, tail=False)
        yield block, data[block.at : block.at + block.size]
        at = block.at + block.size + FOOT.size


def _block_at(view: memoryview, chunk: int, at: int) -> Block | None:
    """The block that begins at `at`, or None when there is none or its checksum does not hold."""
    if at + BLOCK_HEAD.size > len(view):
        return None
    magic, size, records, number, kernel_dropped, foreign = BLOCK_HEAD.unpack_from(view, at)
    end = at + BLOCK_HEAD.size + size
    if magic != BLOCK_MAGIC or end + FOOT.size > len(view):
        return None
    if FOOT.unpack_from(view, end)[0] != zlib.crc32(view[at:end]):
        return None
    return Block(
        chunk=chunk,
        at=at + BLOCK_HEAD.size,
        size=size,
        records=records,
        number=number,
        kernel_dropped=kernel_dropped,
        foreign=foreign,
    )


def read_block(folder: Path, chunk: int, at: int, size: int) -> bytes:
    """The records of a block that begin `at` bytes into a chunk; FormatError when they are not what was written."""
    path = chunk_path(folder, chunk)
    with open(path, "rb") as file:
        file.seek(at - BLOCK_HEAD.size)
        data = file.read(BLOCK_HEAD.size + size + FOOT.size)
    if len(data) < BLOCK_HEAD.size + size + FOOT.size:
        what = "the chunk was cut"
    elif zlib.crc32(memoryview(data)[: -FOOT.size]) != FOOT.unpack_from(data, len(data) - FOOT.size)[0]:
        what = f"the block at byte {at} changed"
    else:
        return data[BLOCK_HEAD.size : -FOOT.size]
    raise FormatError(f"{path}: {what} after recording; mmsar hw recover {folder} leaves out what is damaged")
