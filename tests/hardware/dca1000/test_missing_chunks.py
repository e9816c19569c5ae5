"""A journal of which a chunk is missing, empty or cut after the recording: named, counted, never taken for whole."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest

from mmsar.cli import main
from mmsar.hardware.dca1000 import journal
from mmsar.hardware.dca1000.records import boundaries, parse
from mmsar.hardware.dca1000.recover import missing_parts, recover
from mmsar.hardware.dca1000.replay import Recorded

FRAMES = 60


@pytest.fixture
def in_chunks(bench, tmp_path):
    """(bench, folder): a good recording of 60 frames, its journal written again in three chunks."""
    made = bench(frames=FRAMES)
    made.record(tmp_path / "whole", FRAMES)
    folder = tmp_path / "r"
    folder.mkdir()
    for name in (journal.MANIFEST, journal.EVENTS):
        shutil.copy(tmp_path / "whole" / name, folder)
    span = b"".join(data for _, data in journal.read_blocks(tmp_path / "whole"))
    writer = journal.JournalWriter(folder, chunk_size=900_000)
    for a, b in pairwise(boundaries(span, 400_000)):
        writer.append(span[a:b], len(parse(span[a:b])))
    writer.close()
    report = recover(folder).report
    assert len(journal.chunk_paths(folder)) == 3
    assert report.lossless and report.ended == "complete" and not report.interrupted and report.messages == ()
    return made, folder


def spoil(folder, number: int, how: str) -> str:
    """Remove, empty or cut a chunk; what has to be said of it."""
    path = journal.chunk_path(folder, number)
    if how == "missing":
        path.unlink()
        return f"{path.name} is missing"
    path.write_bytes(path.read_bytes()[: 0 if how == "empty" else -1000])
    return f"{path.name} was cut after recording"


def run(capsys, *command) -> tuple[int, str, str]:
    code = main(["hw", *map(str, command)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("how", ["missing", "empty", "cut"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_chunk_that_is_gone_is_named_and_accounted_for(in_chunks, tmp_path, capsys, number, how):
    made, folder = in_chunks
    complaint = spoil(folder, number, how)
    good = (folder / journal.REPORT).read_bytes()
    for command in (("report", folder), ("report", folder, "--json"), ("decode", folder, "-o", tmp_path / "c.npz")):
        code, out, err = run(capsys, *command)
        assert (code, out) == (3, "") and complaint in err and f"mmsar hw recover {folder}" in err
        assert err.count("\n") == 1
    assert not (tmp_path / "c.npz").exists()
    assert (folder / journal.REPORT).read_bytes() == good

    code, out, _ = run(capsys, "recover", folder)
    assert code == 0 and complaint in out and "recovered, the journal lacks parts" in out
    assert (folder / journal.FORMER).read_bytes() == good
    report = json.loads((folder / journal.REPORT).read_text())
    lost = json.loads(good)["packets_received"] - report["packets_received"]
    assert f"{lost:,} packets are lost that were there before; the report of then is kept in {folder}" in out and lost
    assert 0 < report["frames_complete"] < FRAMES and report["interrupted"]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, out, _ = run(capsys, "recover", folder)
    assert code == 0 and "nothing to do" in out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    code, out, _ = run(capsys, "report", folder)
    assert code == 0 and complaint in out and f"{report['frames_complete']} complete of {FRAMES}" in out
    code, _, err = run(capsys, "decode", folder, "-o", tmp_path / "c.npz")
    assert code == 0 and complaint in err
    with np.load(tmp_path / "c.npz") as cube:
        signal, valid = cube["signal"], cube["valid"]
    truth = made.truth(len(valid))
    assert (signal[valid] == truth[valid]).all() and not signal[~valid].any()
    assert valid.reshape(len(valid), -1).all(axis=1).sum() == report["frames_complete"]


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_of_a_journal_of_one_chunk_nothing_is_left(bench, tmp_path, capsys, how):
    """Also without the index: the report alone says that there was something."""
    made = bench(frames=20)
    for with_index in (True, False):
        folder = tmp_path / str(with_index)
        made.record(folder, 20)
        complaint = spoil(folder, 0, how)
        if not with_index:
            (folder / journal.INDEX).unlink()
        assert complaint in run(capsys, "report", folder)[2]
        code, out, _ = run(capsys, "recover", folder)
        assert code == 0 and complaint in out and "0 of 20 frames complete" in out
        assert json.loads((folder / journal.FORMER).read_text())["frames_complete"] == 20
        assert run(capsys, "report", folder)[0] == 0
        code, _, err = run(capsys, "decode", folder, "-o", tmp_path / "c.npz")
        assert code == 3 and "got a recording without packets" in err and "the journal lacks parts" in err


def test_a_lost_end_of_a_lossy_recording_is_no_end_of_stream(in_chunks, capsys):
    """Its events say how it ended; that does not hold for what is left, index or not."""
    _, folder = in_chunks
    (folder / journal.INDEX).unlink()
    (folder / journal.REPORT).unlink()
    events = (folder / journal.EVENTS).read_text().replace('"ended": "complete"', '"ended": "end of stream"')
    (folder / journal.EVENTS).write_text(events)
    spoil(folder, 2, "cut")
    code, out, _ = run(capsys, "report", folder)
    assert code == 0 and "the journal lacks its end" in out and "(interrupted)" not in out


def test_chunks_that_are_there_are_not_missed_and_a_replay_says_which_are(in_chunks):
    _, folder = in_chunks
    assert missing_parts(folder) == []
    complaint = spoil(folder, 1, "missing")
    recorded = Recorded(folder)
    count = sum(1 for _ in recorded)
    assert 0 < count < FRAMES * 32768 // 1456 and complaint in recorded.notes[0]
