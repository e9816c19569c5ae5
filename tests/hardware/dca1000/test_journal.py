"""The journal on disk: what is written is read back, and any damage costs only the block it is in."""

import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import FormatError
from mmsar.hardware.dca1000 import journal, records
from mmsar.hardware.dca1000.journal import Damage, JournalWriter, read_blocks


def write(folder, spans, **options):
    writer = JournalWriter(folder, **options)
    blocks = [writer.append(span, 1, kernel_dropped=k, foreign=2 * k) for k, span in enumerate(spans)]
    writer.close()
    return blocks


def spans(n, size=1000):
    return [records.pack(bytes([k % 256]) * size, k) for k in range(n)]


def test_blocks_come_back_from_chunks_of_limited_size(tmp_path):
    written = write(tmp_path, spans(50), chunk_size=5000)
    found = list(read_blocks(tmp_path))
    assert [block for block, _ in found] == written
    assert [data for _, data in found] == spans(50)
    paths = journal.chunk_paths(tmp_path)
    assert len(paths) > 5 and all(path.stat().st_size <= 5000 for path in paths)
    assert written[7].kernel_dropped == 7 and written[7].foreign == 14 and written[49].number == 49


def test_a_block_larger_than_a_chunk_gets_one_of_its_own(tmp_path):
    write(tmp_path, spans(3, size=9000), chunk_size=5000)
    assert [len(data) for _, data in read_blocks(tmp_path)] == [9010] * 3


@given(cut=st.integers(0, 60_000))
def test_a_file_cut_anywhere_yields_every_whole_block(cut, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    blocks = write(folder, spans(50))
    path = journal.chunk_path(folder, 0)
    data = path.read_bytes()
    cut = min(cut, len(data))
    path.write_bytes(data[:cut])
    found = list(read_blocks(folder))
    whole = [b for b in blocks if b.at + b.size + 4 <= cut]
    assert [f[0] for f in found if not isinstance(f, Damage)] == whole
    lost = [f for f in found if isinstance(f, Damage)]
    end = whole[-1].at + whole[-1].size + 4 if whole else 16
    assert sum(d.size for d in lost) == (cut - end if cut > 16 else cut if cut < 16 else 0)
    assert all(d.tail for d in lost)
    assert path.read_bytes() == data[:cut]


@given(at=st.integers(16, 50_000), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_one_block(at, bit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flip")
    blocks = write(folder, spans(50))
    path = journal.chunk_path(folder, 0)
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)
    found = list(read_blocks(folder))
    hit = [b for b in blocks if b.at - 32 <= at < b.at + b.size + 4]
    assert [f[0] for f in found if not isinstance(f, Damage)] == [b for b in blocks if b not in hit]
    assert len([f for f in found if isinstance(f, Damage)]) == len(hit) == 1


def test_what_the_disk_refuses_leaves_whole_blocks(tmp_path, monkeypatch):
    writer = JournalWriter(tmp_path)
    real = os.writev
    for k, span in enumerate(spans(5)):
        writer.append(span, 1)
        assert k < 5

    def part(fd, parts):
        return real(fd, [b"".join(parts)[:100]])

    def full(fd, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "writev", part)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        writer.append(spans(1)[0], 1)
    monkeypatch.undo()
    writer.close()
    assert [type(f) for f in read_blocks(tmp_path)] == [tuple] * 5


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: real(fd, [b"".join(parts)[:7]]))
    write(tmp_path, spans(5))
    monkeypatch.undo()
    assert [data for _, data in read_blocks(tmp_path)] == spans(5)


def test_another_schema_is_refused(tmp_path):
    write(tmp_path, spans(1))
    path = journal.chunk_path(tmp_path, 0)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    with pytest.raises(FormatError, match="got journal schema 9, wanted 1"):
        list(read_blocks(tmp_path))


def test_a_folder_that_is_no_recording_is_told(tmp_path):
    with pytest.raises(FormatError, match=r"got no manifest\.json"):
        journal.read_manifest(tmp_path)
    for text, complaint in (("{", "no JSON"), ("[]", "another kind"), ('{"mmsar_recording": 7}', "schema 7")):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(FormatError, match=complaint):
            journal.read_manifest(tmp_path)


def test_events_survive_a_partial_line(tmp_path):
    log = journal.EventLog(tmp_path)
    log.add("clocks", realtime_ns=5)
    log.add("end", ended="complete")
    log.close()
    with open(tmp_path / journal.EVENTS, "a") as file:
        file.write('{"event": "clo')
    assert journal.read_events(tmp_path) == [
        {"event": "clocks", "realtime_ns": 5},
        {"event": "end", "ended": "complete"},
    ]
    assert journal.read_events(tmp_path / "nowhere") == []


def test_json_is_written_whole(tmp_path):
    journal.write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(TypeError):
        journal.write_json(tmp_path / "a.json", {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
