"""Tiles kept beside an image: what a kill at any moment leaves, what is refused, and what a full disk leaves."""

import json
import os
import resource

import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.io.tile_store import TileStore, read_manifest, tiles_folder

SHAPE = (4, 3, 5)
MANIFEST = {"scan": "ab" * 32, "grid": {"shape": list(SHAPE)}, "options": {"window": "none"}}
HALVES = [(slice(a, a + 2), slice(0, 3), slice(0, 5)) for a in (0, 2)]
WHOLE = tuple(slice(0, n) for n in SHAPE)


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return (rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)).astype(np.complex64)


def store_of(folder, adds=False, **changes):
    return TileStore(folder / "image.h5", MANIFEST | changes, SHAPE, adds=adds)


def test_slabs_come_back_from_their_file(tmp_path, values):
    store = store_of(tmp_path)
    store.put(1, HALVES[1], values[2:])
    assert read_manifest(tmp_path / "image.h5") == MANIFEST
    store.close()
    again = store_of(tmp_path)
    assert again.done == {1} and again.resumed == 1
    again.put(0, HALVES[0], values[:2])
    assert isinstance(again.voxels(), np.memmap)
    np.testing.assert_array_equal(again.voxels(), values)
    again.remove()
    assert os.listdir(tmp_path) == []


def test_sums_add_what_is_new(tmp_path, values):
    store = store_of(tmp_path, adds=True)
    store.put(2, WHOLE, values)
    store.close()
    again = store_of(tmp_path, adds=True)
    assert again.done == {2}
    again.put(0, WHOLE, 2 * values)
    np.testing.assert_allclose(again.voxels(), 3 * values, rtol=1e-6)
    again.close()


def test_a_half_written_line_is_a_tile_to_be_made_again(tmp_path, values):
    store = store_of(tmp_path)
    store.put(1, HALVES[1], values[2:])
    store.close()
    with open(tiles_folder(tmp_path / "image.h5") / "done", "a") as file:
        file.write("0")
    again = store_of(tmp_path)
    assert again.done == {1}
    again.close()


def test_a_folder_killed_while_it_was_set_up_is_taken_over(tmp_path):
    folder = tiles_folder(tmp_path / "image.h5")
    folder.mkdir()
    (folder / "voxels").write_bytes(b"half")
    (folder / "done").write_text("0\n1\n")
    store = store_of(tmp_path)
    assert store.done == set()
    store.close()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    folder = tiles_folder(tmp_path / "image.h5")
    folder.mkdir()
    (folder / "thesis.tex").write_text("42")
    with pytest.raises(FormatError, match=r"image\.h5\.tiles: is in the way, wanted no such file or folder; move it"):
        store_of(tmp_path)
    assert (folder / "thesis.tex").read_text() == "42"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scan": "cd" * 32}, 'scan: got "' + "ab" * 18),
        ({"options": {"window": "hann"}}, 'options.window: got "none", wanted "hann"'),
        ({"grid": {"shape": [1, 1, 1]}}, "grid.shape: got [4, 3, 5], wanted [1, 1, 1]"),
        ({"reference": "ef"}, 'reference: got null, wanted "ef"'),
    ],
)
def test_tiles_of_another_run_are_refused_with_the_difference(tmp_path, changes, said):
    store_of(tmp_path).close()
    with pytest.raises(FormatError) as caught:
        store_of(tmp_path, **changes)
    assert f"tiles of another run ({said}" in str(caught.value) and "\n" not in str(caught.value)


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    store = store_of(tmp_path)
    with pytest.raises(FormatError, match="another run writes to it; wait for its end or stop it"):
        store_of(tmp_path)
    store.close()
    store_of(tmp_path).close()


@pytest.mark.parametrize(
    ("name", "content", "adds", "said"),
    [
        ("manifest.json", b"{", False, "its manifest.json cannot be read"),
        ("voxels", b"short", False, "voxels: got 5 bytes, wanted 480; remove the folder"),
        ("sum.npz", b"nonsense", True, "sum.npz: damaged"),
    ],
)
def test_damage_is_one_line(tmp_path, name, content, adds, said):
    store_of(tmp_path, adds=adds).close()
    (tiles_folder(tmp_path / "image.h5") / name).write_bytes(content)
    with pytest.raises(FormatError, match=said):
        store_of(tmp_path, adds=adds)


@pytest.fixture
def small_files():
    """Files of this process may not grow beyond 400 bytes until the test ends."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_is_told_at_the_start_and_leaves_nothing(tmp_path, small_files):
    with pytest.raises(OSError) as caught:
        store_of(tmp_path)
    assert caught.value.filename == str(tiles_folder(tmp_path / "image.h5"))
    assert os.listdir(tmp_path) == []


def test_no_room_for_a_sum_keeps_the_one_before(tmp_path, values):
    store = store_of(tmp_path, adds=True)
    store.put(0, WHOLE, values)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            store.put(1, WHOLE, values)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path / "image.h5.tiles") in str(caught.value.filename)
    store.close()
    again = store_of(tmp_path, adds=True)
    assert again.done == {0}
    np.testing.assert_array_equal(again.voxels(), values)
    again.close()
    assert sorted(os.listdir(tiles_folder(tmp_path / "image.h5"))) == ["manifest.json", "sum.npz"]
    assert json.loads((tiles_folder(tmp_path / "image.h5") / "manifest.json").read_text()) == MANIFEST
