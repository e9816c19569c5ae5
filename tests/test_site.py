"""The documentation site: what its pages show is true, its reference is whole, its pictures are made by scripts."""

import ast
import re
import shlex
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import mmsar
from mmsar.cli import main

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GALLERY = DOCS / "images" / "gallery"


def extension(name: str) -> ModuleType:
    """An extension of the site; without Sphinx it cannot be loaded."""
    pytest.importorskip("sphinx")
    spec = spec_from_file_location(name, DOCS / "extensions" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NEED_PYVISTA = ("mmsar.view.volume",)
"""Modules that cannot be loaded without it."""


def documented() -> list[tuple[str, str]]:
    """(kind, name) of everything that the reference is made of."""
    pages = sorted((DOCS / "api").glob("*.md"))
    return [found for p in pages for found in re.findall(r"^\.\. auto(\w+):: (\S+)", p.read_text("utf-8"), re.M)]


def test_names_of_the_reference_are_there():
    found = documented()
    assert len(found) > 100
    assert len(set(found)) == len(found)
    for kind, name in found:
        if name.startswith(NEED_PYVISTA) and find_spec("pyvista") is None:
            continue  # the tests of the viewer say that they are skipped
        if kind == "module":
            assert import_module(name).__doc__
        else:
            module, _, last = name.rpartition(".")
            assert getattr(import_module(module), last).__doc__, name


def test_the_reference_has_every_public_name():
    names = {name for _, name in documented()}
    elsewhere = {"__version__", "metrics"}
    assert {f"mmsar.{n}" for n in mmsar.__all__ if n not in elsewhere} - names == {"mmsar.simulate"}
    assert "mmsar.simulate.forward.simulate" in names  # the callable package of that name
    from mmsar.view import plot

    assert {f"mmsar.view.plot.{n}" for n in plot.__all__ if callable(getattr(plot, n))} <= names


def test_modules_that_the_pages_use_are_in_the_reference():
    names = {name for _, name in documented()} | {"mmsar.metrics", "mmsar.view", "mmsar.recon", "mmsar.enhance"}
    for page in (ROOT / "README.md", *(p for p in DOCS.rglob("*.md") if "generated" not in p.parts)):
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("mmsar."):
                    assert node.module in names, f"{page.name}: {node.module}"


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", text)]


def test_tutorial_prints_what_it_shows(tmp_path, monkeypatch, capsys):
    text = (DOCS / "tutorial.md").read_text("utf-8")
    blocks = re.findall(r"^```(sh|toml|text)\n(.*?)^```", text, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    said, shown = "", 0
    for language, block in blocks:
        if language == "toml":
            Path("first.toml").write_text(block)
        elif language == "sh":
            for line in block.splitlines():
                words = shlex.split(line, comments=True)[1:]
                if words[0] != "doctor" and "--3d" not in words:
                    assert main(words) == 0, line
            said += "".join(capsys.readouterr())
        else:
            for line in block.splitlines():
                label = re.match(r"[^\d-]+", line)[0].strip()
                known = [s for s in said.splitlines() if s.startswith(label)]
                got = numbers(known[-1].removeprefix(label))
                assert got[: len(numbers(line))] == pytest.approx(numbers(line), rel=0.03, abs=0.05), line
                shown += 1
    assert shown == 9
    assert Path("image.png").stat().st_size > 5000


def described(page: Path, first_line: str) -> str:
    """The TOML block of a page that begins with this line."""
    (block,) = re.findall(rf"^```toml\n({re.escape(first_line)}\n.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return block


@pytest.mark.parametrize(
    ("page", "first_line"), [("README.md", "# raw/scan.toml"), ("docs/howto/own-scan.md", "# scan.toml")]
)
def test_rows_of_a_capture_card_are_imported_as_the_pages_say(page, first_line, tmp_path, capsys):
    from mmsar.hardware.adc import cube_shape, encode_frames
    from mmsar.hardware.config.radar import parse_cfg

    raw = tmp_path / "raw"
    raw.mkdir()
    text = (ROOT / "data" / "sessions" / "iwr1642.cfg").read_text("utf-8")
    (raw / "profile.cfg").write_text(text)
    (raw / "scan.toml").write_text(described(ROOT / page, first_line))
    config = parse_cfg(text, device="xWR1642")
    shape = cube_shape(config, 5)
    phase = np.random.default_rng(0).uniform(0, 1, shape[:-1])[..., None] + 0.1 * np.arange(shape[-1])
    for row in range(3):
        cube = np.round(900 * np.exp(2j * np.pi * phase)).astype(np.complex64)
        encode_frames(cube, config).tofile(raw / f"row_{row + 1:02d}.bin")
    assert main(["import", str(raw), "-o", str(tmp_path / "plate.h5"), "--check-sign"]) == 0
    scan = mmsar.load_scan(tmp_path / "plate.h5")
    assert (scan.raster.n_y, scan.raster.n_x, scan.raster.serpentine) == (3, 5, True)
    assert scan.trajectory.position[0, 1] == pytest.approx(7.589e-3)  # the first row is the top one


def test_matlab_cubes_are_imported_as_the_page_says(tmp_path):
    from scipy.io import savemat

    (tmp_path / "cube.toml").write_text(described(DOCS / "howto" / "own-scan.md", "# cube.toml"))
    tones = np.exp(-2j * np.pi * 0.1 * np.arange(64))  # the phase falls with range
    savemat(tmp_path / "cube.mat", {"s": np.broadcast_to(tones, (2, 4, 3, 5, 64))})
    scan = mmsar.import_scan(tmp_path / "cube.mat")
    assert scan.shape == (15, 2, 4, 64)
    assert np.allclose(scan.read()[0, 0, 0], tones.conj(), atol=1e-6)


def test_pictures_are_small_drawn_by_scripts_and_shown():
    drawn = set()
    for script in (DOCS / "figures").glob("*.py"):
        tree = ast.parse(script.read_text("utf-8"))
        drawn |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} | {script.stem}
    shown = "".join(p.read_text("utf-8") for p in DOCS.rglob("*.md"))
    pictures = sorted(GALLERY.glob("*.png"))
    assert len(pictures) >= 12
    for picture in pictures:
        assert picture.stat().st_size <= 150_000, picture.name
        assert picture.stem in drawn, picture.name
        assert f"images/gallery/{picture.name})" in shown, picture.name


def test_readme_stays_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 210


def test_speeds_of_the_readme_are_those_of_the_benchmarks():
    bench = re.split(r"^## ", (DOCS / "benchmarks.md").read_text("utf-8"), flags=re.M)[1:]
    sections = {re.sub(r"[^\w\- ]", "", s.splitlines()[0].lower()).replace(" ", "-"): s for s in bench}
    rows = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if "docs/benchmarks.md#" in line]
    assert len(rows) >= 5
    for row in rows:
        anchor = re.search(r"benchmarks\.md#([^)]+)\)", row)[1]
        told = re.findall(r"[\d.,]*\d", re.sub(r"\]\([^)]*\)", "", row))
        there = re.findall(r"[\d.,]*\d", sections[anchor])
        assert set(told) <= set(there), f"{row}: {sorted(set(told) - set(there))} not there; make bench changes both"


def test_notebooks_become_pages():
    header = "# ---\n# jupyter: {}\n# ---\n\n"
    source = header + "# %% [markdown]\n# # A title\n#\n# Text.\n\n# %%\n# %matplotlib inline\nx = 1  # %% no cell\n"
    page = extension("percent_notebooks").page(source)
    assert page == "# A title\n\nText.\n\n```python\nx = 1  # %% no cell\n```\n"


def test_links_to_files_outside_lead_to_their_pages(tmp_path):
    lead = extension("outside_links").lead_inside
    pages = {"data/README.md": "data.md", "README.md": None}
    text = "[a](../data/README.md#keys) [b](../README.md) [c](cli.md#x) [d](https://x.org/a.md)"
    assert lead(text, tmp_path / "docs", tmp_path, pages) == (
        "[a](/data.md#keys) [b](/index.md) [c](cli.md#x) [d](https://x.org/a.md)"
    )
    assert lead("[n](102_b.ipynb)", tmp_path / "notebooks", tmp_path, pages) == "[n](/generated/notebooks/102_b.md)"
    assert lead("[e](docs/cli.md)", tmp_path, tmp_path, pages) == "[e](/cli.md)"


def test_docstrings_keep_their_bars_and_equations():
    plain = extension("plain_docstrings").plain
    assert plain(["|I|^2 of `a | b`"], False) == [r"\|I\|^2 of `a \| b`"]
    assert plain(["Text:", "", "    s = |a|", "", "More |b|."], True) == [
        "Text:", "", "::", "", "    s = |a|", "", r"More \|b\|.",
    ]  # fmt: skip
