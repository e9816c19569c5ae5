"""Tables of TOML files: every mistake gets one line with file, table and key."""

import pytest

from mmsar.core.toml_table import Table, load_table, read_table
from mmsar.errors import FormatError, GeometryError


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda t: t.number("n"), "file n: got 'one', wanted a number"),
        (lambda t: t.number("absent"), "file absent: missing, wanted a number"),
        (lambda t: t.whole("x"), "file x: got 1.5, wanted a whole number"),
        (lambda t: t.positive("zero"), "file zero: got 0, wanted a number above 0"),
        (lambda t: t.flag("x", True), "file x: got 1.5, wanted true or false"),
        (lambda t: t.text("x"), "file x: got 1.5, wanted a text in quotes"),
        (lambda t: t.numbers("n"), "file n: got 'one', wanted a list of numbers"),
        (lambda t: t.table("n"), r"file n: got 'one', wanted a table \[n\]"),
        (lambda t: t.tables("n"), r"wanted one or more tables \[\[n\]\]"),
        (lambda t: t.choice("n", {"ones": 1}), "file n: got 'one', wanted one of ones; did you mean ones"),
        (lambda t: t.table("part").number("lengt"), r"file \[part\] lengt: missing.* is `length` a misspelling"),
    ],
)
def test_mistakes_are_named(read, message):
    content = {"n": "one", "x": 1.5, "zero": 0, "part": {"length": 2}}
    with pytest.raises(FormatError, match=message):
        read(Table(content, "file"))


def test_unknown_keys_are_refused_with_the_nearest_known_one():
    table = Table({"speed_mm_s": 3, "sped_mm_s": 4}, "file [scan]")
    assert table.positive("speed_mm_s") == 3
    with pytest.raises(FormatError, match=r"file \[scan\]: unknown key `sped_mm_s`; did you mean `speed_mm_s`"):
        table.finish()


def test_read_table_names_the_place_of_a_models_complaint():
    def reader(table):
        raise GeometryError("radius: got 0")

    with pytest.raises(FormatError, match=r"file \[scan\]: radius: got 0"):
        read_table(Table({}, "file [scan]"), reader)


def test_a_file_that_is_not_toml(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("= 3")
    with pytest.raises(FormatError, match=r"not a TOML file .* wanted a session"):
        load_table(path, "a session")


def test_a_byte_order_mark_and_endless_nesting(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfname = 'x'\r\n")
    assert load_table(path, "a session").content == {"name": "x"}
    path.write_text("a = " + "[" * 5000)
    with pytest.raises(FormatError, match="not a TOML file"):
        load_table(path, "a session")
