"""The wheel: complete, importable from anywhere, and without a top-level `hardware`.

A package of that name exists on PyPI; two projects installing it overwrite each other without a word.
"""

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import mmsar

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path | str = "/") -> str:
    """Standard output of a command that must succeed, run away from the checkout and its settings."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def configuration() -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def packages_in_the_tree() -> set[str]:
    """Every folder with Python files under mmsar/ and hardware/, as the package it is installed as."""
    found = set()
    for top, prefix in (("mmsar", ()), ("hardware", ("mmsar",))):
        for path in (ROOT / top).rglob("*.py"):
            found.add(".".join([*prefix, *path.parent.relative_to(ROOT).parts]))
    return found


def copy_of_the_sources(target: Path) -> Path:
    """A copy of what git would ship: tracked and new files, nothing ignored; without git, the packaged files."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        files = [p for top in ("mmsar", "hardware") for p in (ROOT / top).rglob("*") if "__pycache__" not in p.parts]
        files += [ROOT / name for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")]
        names = [str(p.relative_to(ROOT)) for p in files if p.is_file()]
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy of the sources, by the declared backend, in this environment (no download)."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    copy_of_the_sources(source)
    backend = "import sys, setuptools.build_meta as b; b.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", backend, folder, cwd=source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory) -> Path:
    """The python of a new virtual environment that holds the wheel and borrows the dependencies of this one."""
    venv = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", venv)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel)
    return python


def test_packages_equal_the_tree():
    listed = configuration()["options"]["packages"].split()
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == packages_in_the_tree()


def test_every_package_has_an_init():
    for package in packages_in_the_tree():
        folder = package.replace("mmsar.hardware", "hardware").replace(".", "/")
        assert (ROOT / folder / "__init__.py").is_file(), f"{folder}: wanted an __init__.py"


def test_only_mmsar_is_installed_at_the_top(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mmsar"}
    assert "mmsar/hardware/__init__.py" in names
    assert "mmsar/py.typed" in names


def test_wheel_holds_every_module(wheel):
    sources = {str(p.relative_to(ROOT)) for top in ("mmsar", "hardware") for p in (ROOT / top).rglob("*.py")}
    expected = {name if name.startswith("mmsar/") else f"mmsar/{name}" for name in sources}
    assert expected == {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}


def test_wheel_holds_the_page_of_the_viewer(wheel):
    files = {f"mmsar/view/page/{path.name}" for path in (ROOT / "mmsar" / "view" / "page").iterdir()}
    assert len(files) == 4
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_the_cuda_sources(wheel):
    sources = {p.relative_to(ROOT).as_posix() for p in (ROOT / "mmsar" / "core" / "cuda").iterdir()}
    assert sources
    assert sources <= set(zipfile.ZipFile(wheel).namelist())


def test_wheel_carries_licence_and_readme(wheel):
    archive = zipfile.ZipFile(wheel)
    (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    assert "BSD 3-Clause" in archive.read(licence).decode()
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    text = archive.read(metadata).decode()
    assert "Description-Content-Type: text/markdown" in text
    assert "Requires-Python: >=3.11" in text


def test_installed_wheel_imports_from_the_root(clean_python):
    code = (
        "import mmsar, mmsar.hardware, mmsar.cli, numpy; print(mmsar.__file__); print(mmsar.hardware.__file__);"
        "print(mmsar.__version__); mmsar.Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=8)"
    )
    package, hardware, version = run(clean_python, "-c", code).splitlines()
    home = str(clean_python.parents[1])
    assert package.startswith(home)
    assert hardware.startswith(home)
    assert version == mmsar.__version__


def test_installed_command_runs(clean_python):
    command = clean_python.with_name("mmsar.exe" if os.name == "nt" else "mmsar")
    version = mmsar.__version__
    assert run(command, "--version").strip() == f"mmsar {version}"
    assert run(clean_python, "-m", "mmsar", "--version").strip() == f"mmsar {version}"
    assert "usage: mmsar" in run(command, "--help")


def test_installed_wheel_has_no_top_level_hardware(clean_python):
    code = "import importlib.util; print(importlib.util.find_spec('hardware'))"
    assert run(clean_python, "-c", code).strip() == "None"


def test_hardware_of_the_checkout_refuses_its_bare_name():
    done = subprocess.run([sys.executable, "-c", "import hardware"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: this package is imported as mmsar.hardware, not 'hardware'" in done.stderr


def test_hardware_imports_in_this_environment():
    run(sys.executable, "-c", "import mmsar.hardware, mmsar.hardware as h; assert h.__name__ == 'mmsar.hardware'")
