"""Where which part of the stream lies in a journal: made while writing, or again by reading the journal."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmsar.errors import FormatError
from mmsar.hardware.dca1000.journal import INDEX, Block
from mmsar.hardware.dca1000.ledger import Ledger, Verdict
from mmsar.hardware.dca1000.records import Records
from mmsar.io.atomic import atomic_path

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Index:
    """Blocks that hold packets of the wanted frames, in the order they were written, and the state of every frame."""

    chunk: np.ndarray
    """Number of the chunk, int64, (n,)."""
    at: np.ndarray
    """Where the records begin in it [bytes], int64, (n,)."""
    size: np.ndarray
    """Bytes of the records, int64, (n,)."""
    begin: np.ndarray
    """First byte of the stream in it, int64, (n,)."""
    end: np.ndarray
    """Last byte of the stream in it + 1, int64, (n,)."""
    skip: np.ndarray
    """(block, packet) of packets that are not used, int64, (m, 2)."""
    covered: np.ndarray
    """Bytes received of every frame, int64, (n_frames,)."""
    stamps: np.ndarray
    """Kernel time of every frame's first packet [ns], -1 without, int64, (n_frames,)."""

    def save(self, folder: Path) -> None:
        """Write the index of a recording, whole or not at all."""
        with atomic_path(folder / INDEX) as part:
            np.savez(part, schema=SCHEMA, **{name: getattr(self, name) for name in _NAMES})

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """The index of a recording.

        Raises
        ------
        FormatError
            No index, or not one of this schema; `recover` makes it again.
        """
        path = folder / INDEX
        try:
            with np.load(path) as values:
                if int(values["schema"]) != SCHEMA:
                    got = int(values["schema"])
                    raise FormatError(f"{path}: got index schema {got}, wanted {SCHEMA}; run mmsar hw recover {folder}")
                return cls(**{name: values[name] for name in _NAMES})
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError):
            raise FormatError(f"{path}: got no index, wanted one; run mmsar hw recover {folder}") from None

    def blocks(self, begin: int, end: int) -> np.ndarray:
        """Which blocks hold bytes of the stream's part [begin, end)."""
        return np.flatnonzero((self.begin < end) & (self.end > begin))

    def place(self, block: int) -> tuple[int, int, int]:
        """Chunk, beginning in it and size of a block's records."""
        return int(self.chunk[block]), int(self.at[block]), int(self.size[block])

    def skipped(self, block: int) -> np.ndarray:
        """Packets of a block that are not used."""
        return self.skip[self.skip[:, 0] == block, 1]


_NAMES = ("chunk", "at", "size", "begin", "end", "skip", "covered", "stamps")


@dataclass(kw_only=True)
class IndexBuilder:
    """Collects the index block by block."""

    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    skip: list[tuple[int, int]] = field(default_factory=list)

    def add(self, block: Block, records: Records, verdicts: np.ndarray) -> None:
        """Take a block with what the ledger made of its packets."""
        new = verdicts == Verdict.NEW
        if not new.any():
            return
        begin, end = records.offset[new].min(), (records.offset + records.length)[new].max()
        self.skip += [(len(self.rows), int(k)) for k in np.flatnonzero(~new)]
        self.rows.append((block.chunk, block.at, block.size, int(begin), int(end)))

    def build(self, ledger: Ledger) -> Index:
        """The index so far."""
        columns = np.array(self.rows, dtype=np.int64).reshape(-1, 5).T
        return Index(
            **dict(zip(_NAMES[:5], columns, strict=True)),
            skip=np.array(self.skip, dtype=np.int64).reshape(-1, 2),
            covered=ledger.covered.copy(),
            stamps=ledger.stamps.copy(),
        )
