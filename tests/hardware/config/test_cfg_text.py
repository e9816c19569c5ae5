"""Command lines: nothing is lost, whatever the text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsar.errors import FormatError
from mmsar.hardware.config.cfg_text import CfgText, Command, read_text

TEXTS = sorted((Path(__file__).parent / "texts").glob("*.cfg"))
FOREIGN = Path(__file__).resolve().parents[4] / "shared" / "data" / "fixtures" / "configs"


def test_there_are_enough_texts():
    assert len(TEXTS) >= 60


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_round_trip_of_own_texts(path):
    raw = path.read_bytes()
    assert str(CfgText.parse(read_text(path))).encode() == raw


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="measured data ../shared/data is not there")
def test_round_trip_of_foreign_texts():
    files = sorted(FOREIGN.glob("*.cfg"))
    assert len(files) == 6
    for path in files:
        assert str(CfgText.parse(read_text(path))).encode() == path.read_bytes()


@given(st.text() | st.text(alphabet="profileCfg 0123\t\r\n%#\x0b\x0c\x85\u2028", max_size=80))
def test_round_trip_of_any_text(text):
    parsed = CfgText.parse(text)
    assert str(parsed) == text
    for command in parsed.commands:
        assert command.name in parsed.lines[command.line_no - 1]
        assert command.name[0] not in "%#"


def test_commands_have_line_numbers_and_words():
    text = "% top\r\n\r\nsensorStop\r\n  adcCfg  2 1 \r\n# own\n\t\nx"
    parsed = CfgText.parse(text)
    assert parsed.commands == (Command(3, "sensorStop", ()), Command(4, "adcCfg", ("2", "1")), Command(7, "x", ()))
    assert parsed.comments == ((1, "top"), (5, "own"))
    assert parsed.named("adcCfg") == (Command(4, "adcCfg", ("2", "1")),)


@pytest.mark.parametrize("path", [p for p in TEXTS if p.name.startswith("ok_")], ids=lambda path: path.stem)
def test_an_edit_changes_one_word(path):
    parsed = CfgText.parse(read_text(path))
    for command in parsed.commands:
        for index, word in enumerate(command.args):
            edited = parsed.with_word(command.line_no, index, "EDIT")
            assert len(str(edited)) == len(str(parsed)) + 4 - len(word)
            assert edited.with_word(command.line_no, index, word) == parsed
            changed = edited.commands[[c.line_no for c in parsed.commands].index(command.line_no)]
            assert changed.args == (*command.args[:index], "EDIT", *command.args[index + 1 :])


def test_edit_of_a_word_that_is_not_there():
    with pytest.raises(FormatError, match="line 1: got 1 values, wanted at least 2"):
        CfgText.parse("adcCfg 2").with_word(1, 1, "1")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\xef\xbb\xbfsensorStop\n", "byte order mark"),
        ("sensorStop\n".encode("utf-16"), "byte order mark"),
        (b"% 25 \xb0C\n", "byte 0xb0 on line 1, wanted UTF-8"),
        (b"sensorStop\n\xff", "line 2"),
        (b"sensorStop\0\n", "zero bytes"),
    ],
)
def test_files_that_are_no_plain_text(tmp_path, raw, message):
    path = tmp_path / "x.cfg"
    path.write_bytes(raw)
    with pytest.raises(FormatError, match=message):
        read_text(path)
