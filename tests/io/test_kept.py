"""What took long is found once, and what was kept is checked."""

import numpy as np
import pytest

from mmsar.errors import FormatError
from mmsar.io import kept
from mmsar.io.kept import Kept

OF = (np.arange(3.0), "how")


def found(calls: list[int]) -> np.ndarray:
    calls.append(1)
    return np.full((2, 3), 0.5)


def test_found_once_and_by_what_it_is_found_from(tmp_path, monkeypatch):
    calls: list[int] = []
    store = Kept(tmp_path / "new" / "folder")
    for _ in range(2):
        np.testing.assert_array_equal(store.get(OF, lambda: found(calls), shape=(2, 3)), 0.5)
    np.testing.assert_array_equal(Kept(store.folder).get(OF, lambda: found(calls), shape=(2, 3)), 0.5)
    assert len(calls) == 1
    others = [
        (np.arange(3.0), "else"),
        (np.arange(3.0) + 1e-12, "how"),
        ("how", np.arange(3.0)),
        (np.arange(3.0), "h", "ow"),
    ]
    assert len({store.path(of) for of in (OF, *others)}) == 5
    monkeypatch.setattr(kept, "__version__", "another")
    assert not store.path(OF).exists()


def test_nothing_is_kept_of_what_fails(tmp_path):
    store = Kept(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.get(OF, lambda: (_ for _ in ()).throw(KeyboardInterrupt), shape=(2, 3))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [b"", b"no array", np.zeros((2, 2)), np.full((2, 3), np.nan), np.zeros((2, 3), int)]
)
def test_files_that_hold_something_else_are_named(tmp_path, content):
    store = Kept(tmp_path)
    path = store.path(OF)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(FormatError, match=rf"{path.name}: got something else, wanted an array of \(2, 3\).*delete"):
        store.get(OF, lambda: np.zeros((2, 3)), shape=(2, 3))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(FormatError, match="wanted a folder to keep results in"):
        Kept(tmp_path / "file")
