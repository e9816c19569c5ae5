"""Files of pairs: round trips, resuming, being killed, refusals."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from mmsar.errors import FormatError, GeometryError
from mmsar.io import pairs_h5, schema
from mmsar.io.h5file import file_kind
from mmsar.io.pairs_h5 import PairFile, open_pairs
from mmsar.model.pair import Pair

RECIPE = {"seed": 3, "depths": (0.2, 0.3)}
SHAPE = (6, 5)


def make_pair(index: int, **changes) -> Pair:
    rng = np.random.default_rng(index)
    values = {
        "input": (rng.standard_normal((2, *SHAPE)) / 4).astype(np.float16).astype(np.float32).view(),
        "ideal": rng.random(SHAPE).astype(np.float16),
        "physical": rng.random(SHAPE).astype(np.float16),
        "seed": 2**64 - 1 - index,
        "family": "points" if index % 2 else "letters",
        "split": "train" if index % 3 else "test",
        "method": "empm",
        "error_kind": "rail",
        "depth": 0.3,
        "track": index,
        "gain": 0.25,
        "snr_db": -3.5,
        "position_error": 1e-3,
        "missing": 0.1,
        "empty": False,
        "ghost": bool(index % 2),
        "clutter": True,
        "rough": False,
    }
    values["input"] = values["input"][0] + 1j * values["input"][1]
    return Pair(**values | changes)


def write(path: Path, indices, *, count: int = 4, **changes) -> None:
    options = {"count": count, "shape": SHAPE, "spacing": 1e-3} | changes
    with open_pairs(path, RECIPE, **options) as writer:
        for i in indices:
            writer.write(i, make_pair(i))


def assert_equal(a: Pair, b: Pair) -> None:
    for field in fields(Pair):
        got, want = getattr(a, field.name), getattr(b, field.name)
        assert type(got) is type(want), field.name
        np.testing.assert_array_equal(got, want, err_msg=field.name)


def test_round_trip(tmp_path):
    write(tmp_path / "p.h5", range(4))
    assert file_kind(tmp_path / "p.h5") == "pairs"
    with PairFile(tmp_path / "p.h5") as file:
        assert len(file) == 4 and file.shape == (4, *SHAPE) and file.spacing == 1e-3
        assert file.recipe == {"seed": 3, "depths": [0.2, 0.3]}
        for i in range(4):
            assert_equal(file[i], make_pair(i))
        assert file.select(split="test").tolist() == [0, 3]
        assert file.select(split="train", family="points", ghost=True).tolist() == [1]
        assert file.column("track").tolist() == [0, 1, 2, 3]


def test_every_dataset_has_units_axes_and_a_place_in_the_docs(tmp_path):
    write(tmp_path / "p.h5", [])
    text = (Path(__file__).resolve().parents[2] / "docs/files.md").read_text()
    with h5py.File(tmp_path / "p.h5") as file:
        for name, field in {**schema.PAIR_IMAGES, **schema.PAIR_COLUMNS, "done": schema.PAIR_DONE}.items():
            assert (file[name].attrs["units"], file[name].attrs["axes"]) == (field.units, ",".join(field.axes))
            (row,) = (line for line in text.splitlines() if line.startswith(f"| `/{name}` | sample"))
            assert row.split("|")[2].strip() == ", ".join(field.axes) and row.split("|")[4].strip() == field.units
        assert set(file) == {*schema.PAIR_IMAGES, *schema.PAIR_COLUMNS, "done"}
    images = {"input", "ideal", "physical"}
    assert {f.name for f in fields(Pair)} == {*schema.PAIR_COLUMNS, *images}


def test_resume_does_what_is_missing_and_grows(tmp_path):
    path = tmp_path / "p.h5"
    write(path, [0, 2])
    with PairFile(path) as file, pytest.raises(FormatError, match="got sample 1, wanted a finished one"):
        file[1]
    with open_pairs(path, RECIPE, count=4, shape=SHAPE, spacing=1e-3, resume=True) as writer:
        assert writer.todo(4) == [1, 3] and writer.todo(2) == [1]
    write(path, [1, 3, 1500], count=2000, resume=True)
    with PairFile(path) as file:
        assert file.shape[0] == 2000 and file.select().tolist() == [0, 1, 2, 3, 1500]
        for i in (0, 3, 1500):
            assert_equal(file[i], make_pair(i))


def test_a_killed_writer_leaves_whole_samples(tmp_path):
    """Killed while a sample's images are written: the ones before it read, that one is to do, and resuming works."""
    path = tmp_path / "p.h5"
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2])\n"
        "import h5py, test_pairs_h5 as t\n"
        "from mmsar.io.pairs_h5 import open_pairs\n"
        "with open_pairs(sys.argv[1], t.RECIPE, count=4, shape=t.SHAPE, spacing=1e-3) as w:\n"
        "    w.write(0, t.make_pair(0)); w.write(1, t.make_pair(1))\n"
        "    w._file['input'][2] = 1; w._file.flush(); w._file['ideal'][2] = 1\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(Path(__file__).parent)])
    assert done.returncode == -signal.SIGKILL
    with PairFile(path) as file:
        assert file.select().tolist() == [0, 1]
        assert_equal(file[1], make_pair(1))
    write(path, [2, 3], resume=True)
    with PairFile(path) as file:
        for i in range(4):
            assert_equal(file[i], make_pair(i))


def test_reader_goes_to_other_processes(tmp_path):
    write(tmp_path / "p.h5", range(2))
    file = PairFile(tmp_path / "p.h5")
    assert_equal(file[0], make_pair(0))
    other = pickle.loads(pickle.dumps(file))
    assert_equal(other[1], make_pair(1))
    for reader in (file, other):
        reader.close()
    assert_equal(file[0], make_pair(0))
    file.close()


def test_refusals(tmp_path, monkeypatch):
    path = tmp_path / "p.h5"
    write(path, [0])
    before = path.read_bytes()
    with pytest.raises(FormatError, match="is there already; continue it with --resume"):
        write(path, [1])
    with pytest.raises(FormatError, match=r"another recipe \(seed\)"):
        with open_pairs(path, RECIPE | {"seed": 4}, count=4, shape=SHAPE, spacing=1e-3, resume=True):
            pass
    with pytest.raises(FormatError, match=r"got slices of \(6, 5\), wanted \(7, 5\)"):
        write(path, [1], shape=(7, 5), resume=True)
    monkeypatch.setattr(pairs_h5, "__version__", "99")
    with pytest.raises(FormatError, match="begun by mmsar"):
        write(path, [1], resume=True)
    monkeypatch.undo()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**30, 2**29, 2**20))
    with pytest.raises(FormatError, match=r"got 1.0 MiB free there"):
        write(tmp_path / "q.h5", [0])
    with pytest.raises(FormatError, match="free there"):
        write(path, [1], count=9, resume=True)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["p.h5"]
    with PairFile(path) as file, pytest.raises(FormatError, match="got column 'size'"):
        file.column("size")


def test_wrong_images_are_not_written(tmp_path):
    with open_pairs(tmp_path / "p.h5", RECIPE, count=1, shape=SHAPE, spacing=1e-3) as writer:
        wide = {"input": np.ones((6, 6), np.complex64), "ideal": np.ones((6, 6)), "physical": np.ones((6, 6))}
        with pytest.raises(FormatError, match="/input: got shape"):
            writer.write(0, make_pair(0, **wide))
        with pytest.raises(FormatError, match=r"/physical: got shape .* largest 1e\+06"), np.errstate(over="ignore"):
            writer.write(0, make_pair(0, physical=np.full(SHAPE, 1e6)))
        assert writer.todo(1) == [0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ideal": np.full(SHAPE, np.nan)}, "Pair.ideal: got values that are not finite"),
        ({"input": np.full(SHAPE, np.inf, complex)}, "Pair.input: got values that are not finite"),
        ({"ideal": np.full(SHAPE, 1.5)}, "wanted ideal in"),
        ({"physical": np.full(SHAPE, -0.1)}, "physical >= 0"),
        ({"physical": np.zeros((2, 2))}, "Pair.physical: got shape"),
        ({"gain": 0.0}, "Pair.gain"),
    ],
)
def test_pairs_check_themselves(change, complaint):
    with pytest.raises(GeometryError, match=complaint):
        make_pair(0, **change)


def test_a_file_that_lacks_something_is_refused(tmp_path):
    write(tmp_path / "p.h5", [0])
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        del file["snr_db"]
    with pytest.raises(FormatError, match="/snr_db: missing"):
        PairFile(tmp_path / "p.h5")
