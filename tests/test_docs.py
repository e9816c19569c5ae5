"""The documentation says what is true: its commands parse, its code runs or compiles, its links and tables hold."""

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

import mmsar
from mmsar.cli import VERBS, build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "data" / "README.md"]


def blocks(language: str) -> list:
    """Every fenced block of a language in the documentation, as pytest parameters named page:number."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, block in enumerate(re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)):
            found.append(pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}"))
    return found


@pytest.mark.parametrize("block", blocks("sh"))
def test_commands_parse(block):
    lines = [line for line in block.splitlines() if line.startswith("mmsar ")]
    for line in lines:
        build_parser().parse_args(shlex.split(line, comments=True)[1:])
    assert lines or "pip install" in block


@pytest.mark.parametrize("block", blocks("python"))
def test_python_compiles_and_uses_public_names(block):
    compile(block, "block", "exec")
    used = set(re.findall(r"(?<!from )\bmmsar\.([A-Za-z_]+)\b(?!\.)", block))
    assert used <= {*mmsar.__all__, "simulate"}


def test_scan_built_in_the_readme_is_a_scan():
    (block,) = (p.values[0] for p in blocks("python") if "Trajectory.freehand" in p.values[0])
    names = {}
    exec(block.replace("(16, 100)", "(2, 5)"), names)
    assert names["scan"].shape == (10, 2, 4, 256)


def test_quick_start_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    from mmsar.simulate.scene import Scene

    first, _, plan = (p.values[0] for p in blocks("python") if p.id.startswith("README"))
    chirp = mmsar.Chirp(f0=77e9, slope=70e12, fs=5e6, n_samples=16)
    path = mmsar.Trajectory.raster((4, 24), (1e-3, 8 * mmsar.AntennaArray.iwr1443().uniform_pitch()))
    target = Scene.points([[0.0, 0.0, 0.3]])
    monkeypatch.chdir(tmp_path)
    mmsar.save_scan(mmsar.simulate(target, chirp=chirp, array=mmsar.AntennaArray.iwr1443(), trajectory=path), "scan.h5")
    names = {}
    exec(f"{first}\n{plan}", names)
    image = mmsar.load_image("image.h5")
    z, y, x = (int(i) for i in np.unravel_index(np.argmax(image.magnitude()), image.data.shape))
    found = (image.grid.x[x], image.grid.y[y], image.grid.z[z])
    assert np.abs(np.array(found) - (0, 0, 0.3)).max() <= 5e-3
    assert image.magnitude().max() == pytest.approx(1, abs=0.1)
    assert str(image.data.shape) in capsys.readouterr().out
    assert names["data"].shape == image.data.shape


@pytest.mark.parametrize("block", blocks("toml"))
def test_descriptions_are_valid(block, tmp_path):
    from mmsar.io.importers.description import read_description

    tables = tomllib.loads(block)
    if tables.get("format"):
        assert read_description(tables, tmp_path).format == tables["format"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target} is not there"


def test_every_verb_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == set(VERBS)


def test_every_dataset_is_documented():
    from mmsar.io import schema

    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    for name, field in schema.SCAN_FIELDS.items():
        (row,) = re.findall(rf"^\| `/{re.escape(name)}` \| (.*?) \| .*? \| (.*?) \|", text, re.M)
        assert row == (", ".join(field.axes), field.units), name
    for attribute in (*schema.CHIRP_UNITS, *schema.RASTER_UNITS, *schema.GRID_UNITS, schema.SCHEMA_ATTR):
        assert f"`{attribute}`" in text
    assert f"(integer, now {schema.SCHEMA})" in text
