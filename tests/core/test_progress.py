"""Progress goes to standard error, passes items through, and keeps silent away from a terminal."""

import subprocess
import sys

from mmsar.core.progress import progress


def test_items_pass_through_unseen_away_from_a_terminal(capsys):
    assert list(progress(range(3), "bpa")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_forced_bar_is_on_stderr_with_its_label(capsys):
    assert list(progress(iter("ab"), "bpa", total=2, show=True)) == ["a", "b"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "bpa" in err


def test_forced_off_is_silent(capsys):
    assert list(progress([1], "bpa", show=False)) == [1]
    assert capsys.readouterr() == ("", "")


def test_a_notebook_without_widgets_is_not_warned():
    """tqdm warns there, once, when it is imported; mmsar falls back to the plain bar without a word."""
    code = """
import sys, types
sys.modules["ipykernel.zmqshell"] = sys.modules["IPython.html.widgets"] = types.ModuleType("there")
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: None)
sys.modules["ipywidgets"] = None
from mmsar.core.progress import progress
assert list(progress([1], "bpa")) == [1]
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
