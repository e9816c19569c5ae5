"""mmsar make-pairs: a small file, continued, described, interrupted, refused in one line."""

import json
from pathlib import Path

import pytest

from mmsar.cli import main
from mmsar.io.pairs_h5 import PairFile

RECIPE = (Path(__file__).resolve().parents[1] / "enhance" / "tiny.toml").read_text()


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)
    return str(tmp_path / "r.toml")


def test_make_continue_and_describe(recipe, tmp_path, capsys):
    out = str(tmp_path / "p.h5")
    assert main(["make-pairs", recipe, "-o", out, "--count", "3"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == out and "3 pairs in" in said.err and "an hour" in said.err
    assert main(["make-pairs", recipe, "-o", out, "--count", "2"]) == 3
    assert "is there already" in capsys.readouterr().err
    assert main(["make-pairs", recipe, "-o", out, "--resume"]) == 0
    assert "0 pairs in" in capsys.readouterr().err
    assert main(["make-pairs", recipe, "-o", out, "--resume", "--count", "5"]) == 0
    assert "2 pairs in" in capsys.readouterr().err
    assert main(["info", out, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["done"] == report["samples"] == sum(report["family"].values()) == 5
    assert main(["info", out]) == 0
    assert "5 of 5 training pairs of 32 x 32 pixels" in capsys.readouterr().out


def test_interruption_leaves_a_file_to_go_on_with(recipe, tmp_path, capsys, monkeypatch):
    from mmsar.enhance.dataset import PairMaker

    out, whole = str(tmp_path / "p.h5"), PairMaker.pair

    def pair(self, index):
        if index == 2:
            raise KeyboardInterrupt
        return whole(self, index)

    monkeypatch.setattr(PairMaker, "pair", pair)
    assert main(["make-pairs", recipe, "-o", out, "--count", "4"]) == 130
    assert capsys.readouterr().err.strip() == "mmsar make-pairs: stopped; 2 of 4 are in the file, go on with --resume"
    monkeypatch.undo()
    assert main(["make-pairs", recipe, "-o", out, "--resume"]) == 0
    assert len(PairFile(out)) == 4


def test_errors_are_one_line(recipe, tmp_path, capsys):
    bad = tmp_path / "bad.toml"
    bad.write_text("seed = 1\n[image]\nsize = 3\n")
    for argv, word in (
        ([str(bad), "-o", str(tmp_path / "q.h5")], "unknown key `size`"),
        ([recipe, "-o", recipe], "the file that is read"),
        ([recipe, "-o", str(tmp_path / "none" / "q.h5")], "its folder does not exist"),
        ([str(tmp_path / "no.toml"), "-o", str(tmp_path / "q.h5")], "no such file"),
    ):
        assert main(["make-pairs", *argv]) == 3
        said = capsys.readouterr().err
        assert word in said and said.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["make-pairs", recipe, "-o", str(tmp_path / "q.h5"), "--count", "0"])
    assert "wanted a whole number >= 1" in capsys.readouterr().err
    assert not (tmp_path / "q.h5").exists()
