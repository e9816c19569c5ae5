"""`mmsar doctor` reports, whatever it finds, and exits 0."""

import json
import sys

import pytest

from mmsar.cli import doctor, main


@pytest.fixture
def installed(monkeypatch):
    """Change what doctor takes for installed: installed({"pyvista": "0.49", "numba": None})."""
    real = doctor._version

    def change(versions):
        monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, real(name)))

    return change


def found(name, examination):
    return [f for f in examination() if f.name == name]


def test_report_has_a_line_for_everything(capsys, installed):
    installed({"pyvista": None})
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    names = {line[9:23].strip() for line in lines[:-2]}
    wanted = {"mmsar", "python", "cpu", "cores", "memory", *doctor.CORE, "pyvista", "cupy", "gpu", "rendering"}
    assert wanted <= names
    assert {line.split()[0] for line in lines[:-2]} <= {"ok", "missing", "hint"}
    assert lines[-1].startswith("Everything mmsar needs is here")
    assert err == ""


def test_json_is_the_same_report(capsys, installed):
    installed({"pyvista": None})
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["mmsar"] == doctor._version("mmsar")
    states = {f["name"]: f["state"] for f in report["findings"]}
    assert states["numpy"] == "ok"
    assert states["threading"] == "ok"
    assert states["pyvista"] == "missing"


def test_missing_dependency_is_named_in_the_verdict(capsys, installed, monkeypatch):
    installed({"finufft": None, "pyvista": None})
    monkeypatch.setattr(doctor, "EXAMINATIONS", {"libraries": doctor._libraries})
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("mmsar needs finufft: run in its environment")


def test_library_that_does_not_load_is_reported(monkeypatch):
    def load(name):
        if name == "pyfftw":
            raise OSError("libfftw3f.so.3: cannot open shared object file")

    monkeypatch.setattr(doctor.importlib, "import_module", load)
    (finding,) = found("pyfftw", doctor._libraries)
    assert finding.state == "missing"
    assert "does not load (OSError: libfftw3f.so.3" in finding.text


def test_two_cupys_are_pointed_out(installed):
    installed({"cupy-cuda12x": "13.6", "cupy-cuda13x": "14.2"})
    (finding,) = found("cupy", doctor._gpu)
    assert finding.state == "hint"
    assert "cupy-cuda12x 13.6 and cupy-cuda13x 14.2 overwrite each other" in finding.text


def test_no_gpu_is_a_hint_not_an_exception(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    (finding,) = found("gpu", doctor._gpu)
    assert finding.state == "hint"
    assert "cupy is not installed" in finding.text


@pytest.mark.parametrize(
    ("probe", "state", "text"),
    [
        ("print('vtkEGLRenderWindow')", "ok", "by vtkEGLRenderWindow"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "hint", "ended by signal 9"),
        ("raise RuntimeError('bad X server')", "hint", "RuntimeError: bad X server"),
    ],
)
def test_rendering_probe_survives_a_crash(installed, monkeypatch, probe, state, text):
    installed({"pyvista": "0.49"})
    monkeypatch.setattr(doctor, "SPHERE", probe)
    (finding,) = doctor._rendering()
    assert finding.state == state
    assert text in finding.text
    if state == "hint":
        assert "libegl1 libgl1-mesa-dri" in finding.text


def test_examination_that_fails_is_a_finding(monkeypatch):
    def ill():
        raise ValueError("two\nlines")
        yield

    monkeypatch.setattr(doctor, "EXAMINATIONS", {"memory": ill})
    assert list(doctor.examine()) == [doctor.Finding("memory", "hint", "could not be examined: ValueError: two lines")]


def test_wisdom_is_found_where_fft_keeps_it(monkeypatch, tmp_path):
    fft = pytest.importorskip("mmsar.core.fft")
    monkeypatch.setattr(fft, "wisdom_path", lambda: tmp_path / "wisdom.json")
    (finding,) = doctor._wisdom()
    assert finding.state == "hint"
    (tmp_path / "wisdom.json").write_text("{}")
    (finding,) = doctor._wisdom()
    assert finding.state == "ok"
