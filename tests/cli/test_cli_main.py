"""The command as a whole: exit codes, and one line for every kind of bad input to every verb."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import h5py
import numpy as np
import pytest

from mmsar._version import __version__
from mmsar.cli import VERBS, explain_error, main
from mmsar.errors import CaptureError, DeviceError, FormatError, GeometryError, MmsarError

READING = {
    "simulate": ["{input}", "-o", "{output}.h5"],
    "capture": ["{input}", "-o", "{output}.h5"],
    "import": ["{input}", "-o", "{output}.h5"],
    "calibrate": ["{input}", "--target-mm", "0,0,300", "-o", "{output}.h5"],
    "align": ["{input}", "--rotation", "-o", "{output}.h5"],
    "info": ["{input}"],
    "reconstruct": ["{input}", "-o", "{output}.h5"],
    "enhance": ["{input}", "-o", "{output}.h5"],
    "make-pairs": ["{input}", "-o", "{output}.h5"],
    "train-sr": ["{input}", "-o", "{output}"],
    "metrics": ["{input}"],
    "export": ["{input}", "{output}.vti"],
    "view": ["{input}", "--save", "{output}.png"],
}
"""Verbs that read a file -> their usual arguments."""

SUFFIX = {"simulate": ".toml", "capture": ".toml", "import": ".bin", "make-pairs": ".toml", "train-sr": ".toml"}

BAD_VALUES = {
    "demo": [["--nonsense"]],
    "simulate": [["{input}"], ["{input}", "-o", "x.h5", "--seed", "-1"], ["{input}", "-o", "x.h5", "--snr", "loud"]],
    "import": [["{input}"], []],
    "capture": [[], ["{input}", "--speed", "3"]],
    "hw": [[], ["nonsense"], ["record", "{input}"], ["report"], ["poses", "{input}", "--kind", "magic"]],
    "calibrate": [[], ["{input}", "--target-mm", "1,2", "-o", "x.h5"], ["{input}", "--target-mm", "0,0,300"]],
    "align": [
        [],
        ["{input}", "-o", "x.h5"],
        ["{input}", "--rotation", "--pin", "1,2", "-o", "x.h5"],
        ["{input}", "--autofocus", "--rotation"],
    ],
    "info": [[], ["{input}", "--xml"]],
    "reconstruct": [["{input}", "-o", "x.h5", "--method", "magic"], ["{input}"], []],
    "enhance": [
        ["{input}"],
        ["{input}", "-o", "x.h5", "--blend", "2"],
        ["{input}", "-o", "x.h5", "--picture", "x.gif"],
    ],
    "make-pairs": [["{input}"], ["{input}", "-o", "x.h5", "--count", "0"], ["{input}", "-o", "x.h5", "--count", "few"]],
    "evaluate-sr": [["extra"], ["--sigma-mm", "a"], ["--sigma-mm", "1,1"], ["--images", "0"], ["--keep", "k"]],
    "train-sr": [[], ["{input}"], ["{input}", "-o", "run", "--device", "tpu"]],
    "metrics": [[], ["{input}", "--point", "1,2"], ["{input}", "--point", "a,b,c"]],
    "export": [["{input}"], []],
    "view": [["{input}", "--save", "x.png", "--kind", "hologram"], ["{input}", "--save", "x.png", "--floor", "low"]],
    "doctor": [["--xml"], ["extra"]],
    "bench": [["--size", "huge"], ["--repeat", "0"]],
}
"""Usage errors of every verb."""


def run(capsys, *argv: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command."""
    try:
        code = main(list(argv))
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def filled(arguments: list[str], **values: object) -> list[str]:
    return [argument.format(**values) for argument in arguments]


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """Wrong inputs by name, for a file suffix."""

    def make(kind: str, suffix: str):
        folder = tmp_path_factory.mktemp("wrong")
        path = folder / f"input{suffix}"
        if kind == "text":
            path.write_text("this is = = not what you want\n")
        elif kind == "empty":
            path.write_bytes(b"")
        elif kind == "noise":
            path.write_bytes(np.random.default_rng(0).bytes(1000))
        elif kind == "foreign hdf5":
            with h5py.File(path, "w") as file:
                file["signal"] = np.zeros(3)
        elif kind == "folder":
            path.mkdir()
        return path

    return make


NO_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="training needs torch: pip install 'mmsar[train]'")
VERBS_READING = [pytest.param(verb, marks=NO_TORCH if verb == "train-sr" else ()) for verb in READING]
KINDS = ["missing", "text", "empty", "noise", "foreign hdf5", "folder"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS_READING)
def test_wrong_input_is_one_line_and_exit_code_3(verb, kind, wrong, tmp_path, capsys):
    path = wrong(kind, SUFFIX.get(verb, ".h5"))
    code, out, err = run(capsys, verb, *filled(READING[verb], input=path, output=tmp_path / "result"))
    assert code == 3, err
    assert out == ""
    assert err.startswith(f"mmsar {verb}: ")
    assert err.count("\n") == 1
    assert path.name in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS_READING)
def test_debug_shows_the_traceback(verb, wrong, tmp_path):
    path = wrong("missing", SUFFIX.get(verb, ".h5"))
    arguments = filled(READING[verb], input=path, output=tmp_path / "result")
    with pytest.raises((MmsarError, OSError)):
        main([verb, *arguments, "--debug"])


@pytest.mark.parametrize(
    ("verb", "arguments"), [(v, a) for v, several in BAD_VALUES.items() for a in (*several, ["--nonsense"])]
)
def test_bad_usage_is_exit_code_2(verb, arguments, wrong, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = wrong("text", SUFFIX.get(verb, ".h5"))
    code, out, err = run(capsys, verb, *filled(arguments, input=path))
    assert code == 2, err
    assert out == ""
    assert re.fullmatch(f"mmsar {verb}( \\w+)?: .*; see `mmsar {verb}( \\w+)? --help`\n", err)
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    code, out, err = run(capsys, verb, "--help")
    assert code == 0
    assert err == ""
    assert f"mmsar {verb}" in out.split("options:")[0].split("usage:")[1].partition("\n\n")[2], "wanted an example"
    assert "--debug" in out


def test_tables_above_cover_every_verb():
    assert set(BAD_VALUES) == set(VERBS)
    assert set(VERBS) - set(READING) == {"demo", "hw", "doctor", "bench", "evaluate-sr"}


def test_help_lists_every_verb(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert re.findall(r"^    ([\w-]+)\s", out, re.M) == list(VERBS)


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"mmsar {__version__}\n", "")


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["--nonsense"]])
def test_no_verb_is_a_usage_error(argv, capsys):
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"mmsar: .*; see `mmsar --help`\n", err)


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (GeometryError("a: got 1, wanted 2"), "a: got 1, wanted 2", 3),
        (FormatError("scan.h5: truncated"), "scan.h5: truncated", 3),
        (MmsarError("too large"), "too large", 3),
        (DeviceError("no GPU"), "no GPU", 4),
        (CaptureError("no radar"), "no radar", 4),
        (FileNotFoundError(2, "No such file", "x.h5"), "x.h5: no such file or folder; check the path", 3),
        (PermissionError(13, "Permission denied", "x"), "x: permission denied; check the path and its permissions", 3),
        (OSError("disk on fire"), "disk on fire", 3),
        (
            MemoryError("Unable to allocate 32 MiB"),
            "the system gave no more memory (unable to allocate 32 MiB); nothing half-written was left behind; "
            "take a smaller grid, or a smaller --memory where there is one",
            3,
        ),
    ],
)
def test_errors_become_a_line_and_a_code(error, line, code):
    assert explain_error(error) == (line, code)


@pytest.fixture
def failing(monkeypatch):
    """Let `mmsar doctor` raise something."""
    from mmsar.cli import doctor

    def install(error):
        def run(args):
            raise error

        monkeypatch.setattr(doctor, "run", run)

    return install


def test_message_of_several_lines_is_printed_as_one(failing, capsys):
    failing(FormatError("first\n  second"))
    assert run(capsys, "doctor") == (3, "", "mmsar doctor: first second\n")


def test_cancelling_is_exit_code_130(failing, capsys):
    failing(KeyboardInterrupt())
    code, out, err = run(capsys, "doctor")
    assert (code, out) == (130, "")
    assert err == "mmsar doctor: cancelled; nothing half-written was left behind\n"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process at once there")
def test_the_end_of_a_batch_job_cancels_too(monkeypatch, tmp_path, capsys):
    """By SIGTERM: files that are being written go, as after Ctrl-C."""
    from mmsar.cli import doctor
    from mmsar.io.atomic import atomic_path

    def ended(args):
        with atomic_path(tmp_path / "image.h5") as part:
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(doctor, "run", ended)
    assert run(capsys, "doctor") == (143, "", "mmsar doctor: cancelled; nothing half-written was left behind\n")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_bug_is_not_dressed_up_as_a_user_error(failing):
    failing(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


@pytest.mark.skipif(os.name == "nt", reason="pipes close differently on Windows")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_closed_pipe_is_quiet(unbuffered):
    command = f"{sys.executable} -m mmsar doctor --json | true; exit ${{PIPESTATUS[0]}}"
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("address", ["10.0.0.3", "localhost", "127.0.0", "::1"])
def test_emulated_instruments_stay_on_this_machine(address, capsys):
    for arguments in (["emulate", "dca", "--host-ip", address], ["replay", "x", "--card-ip", address]):
        code, _, err = run(capsys, "hw", *arguments)
        assert code == 2
        assert f"got {address}" in err.replace("'", "")
