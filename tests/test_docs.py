"""The documentation says what is true: its commands parse, its code runs or compiles, its links and tables hold."""

import ast
import errno
import os
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import mmsar
from mmsar.cli import VERBS, build_parser

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = [p for p in sorted((ROOT / "docs").rglob("*.md")) if "generated" not in p.parts]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *WRITTEN]
PAGES += [ROOT / folder / "README.md" for folder in ("data", "examples")]


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
    made = set(re.findall(r"^make ([\w-]+)", block, flags=re.M))
    assert made <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.M))
    assert lines or made or "pip install" in block or "python examples/" in block  # those are parsed in tests/examples


def test_commands_of_dask_parse():
    """Scheduler and workers are started by its own command lines: options that it has, in the cluster's page."""
    pytest.importorskip("distributed")
    from distributed.cli import dask_scheduler, dask_worker

    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:ssh \w+ )?dask (scheduler|worker) (.*)$", text, re.M)
    assert {name for name, _ in lines} == {"scheduler", "worker"}
    for name, options in lines:
        command = {"scheduler": dask_scheduler, "worker": dask_worker}[name].main
        assert command.make_context(name, shlex.split(options)).params


def test_messages_of_the_cluster_page_are_those_of_the_program():
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    table = text[text.index("| what it says |") :]
    known = messages()
    rows = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    assert len(rows) == 7
    for piece in (piece.strip() for row in rows for piece in row.split("...")):
        assert any(says(message, piece, set()) for message in known), piece


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
    elif "kind" in tables.get("scan", {}):
        from mmsar.hardware.session.check import errors, findings
        from mmsar.hardware.session.setup import read_session

        for file in (ROOT / "data" / "sessions").glob("*.cfg"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / "session.toml").write_text(block)
        assert not errors(findings(read_session(tmp_path / "session.toml")))
    elif "trajectory" in tables:
        from mmsar.simulate.setup import load_setup

        (tmp_path / "scene.toml").write_text(block)
        assert len(load_setup(tmp_path / "scene.toml").trajectory) > 1
    else:
        from mmsar.io.importers.description import KEYS

        assert all(set(keys) <= set(KEYS[table]) for table, keys in tables.items())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target} is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_sections_lead_to_one(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            text = ((page.parent / target) if target else page).read_text(encoding="utf-8")
            heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, anchor


def test_commands_within_the_text_have_these_options():
    verbs = build_parser()._subparsers._group_actions[0].choices
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for span in re.findall(r"`mmsar ([^`]+)`", text):
            verb, *rest = span.split()
            if verb == "hw" or verb.startswith(("-", "VERB")):
                continue
            assert verb in verbs, f"{page.name}: {span}"
            for option in (word.split("=")[0] for word in rest if word.startswith("--")):
                assert option in verbs[verb]._option_string_actions, f"{page.name}: {span}"


def test_every_verb_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.M)) == set(VERBS)


def test_every_dataset_is_documented():
    from mmsar.io import schema

    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    for name, field in schema.SCAN_FIELDS.items():
        (row,) = re.findall(rf"^\| `/{re.escape(name)}` \| (.*?) \| .*? \| (.*?) \|", text, re.M)
        assert row == (", ".join(field.axes), field.units), name
    for attribute in (*schema.CHIRP_UNITS, *schema.RASTER_UNITS, *schema.GRID_UNITS, schema.SCHEMA_ATTR):
        assert f"`{attribute}`" in text
    assert f"(integer, now {schema.SCHEMA})" in text


def test_every_part_of_the_bench_is_documented():
    from mmsar.cli.hw import PARTS

    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `hw (\w+)` \|", text, re.M)) == set(PARTS)


def capture_page(section: str) -> str:
    """A section of docs/capture.md, its subsections included."""
    text = (ROOT / "docs" / "capture.md").read_text(encoding="utf-8")
    return re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]


def asked_for(source: str) -> set[str]:
    """The keys that a reader of TOML tables asks for: literals of its calls, units filled in."""
    calls = "text|flag|number|numbers|positive|whole|choice|has|table"
    found = set(re.findall(rf'\b(?:t|top|scan)\.(?:{calls})\(f?"([^"]+)"', source))
    found |= set(re.findall(r'_file\(t, folder, "([^"]+)"', source)) | set(re.findall(r'\bkey = f"([^"]+)"', source))
    for group in re.findall(r"for key in \(([^)]*)\)", source):
        found |= set(re.findall(r'"([^"]+)"', group))
    return {key.replace("{unit}", unit) for key in found for unit in ("mm", "deg")}


def test_every_key_of_a_session_file_is_documented():
    from mmsar.hardware.session import setup

    asked = asked_for(Path(setup.__file__).read_text(encoding="utf-8")) | set(setup.TOLD)
    assert {"limits_mm", "speed_deg_s", "offset_guess_ms", "calibration", "speed_scale", "dwell_ms", "topic"} <= asked
    rows = re.findall(r"^\|(.*?)\|", capture_page("Keys of session files"), re.M)
    documented = {key for row in rows for key in re.findall(r"`\[*([\w.]+)\]*`", row)}
    tables = {"radar", "card", "stage", "scan", "tracker", "output", "stage.x", "stage.y", "stage.angle"}
    assert asked - tables <= documented
    assert documented - tables <= asked


def test_every_key_of_a_report_and_of_a_board_is_documented():
    from dataclasses import fields

    from mmsar.hardware import board
    from mmsar.hardware.dca1000.report import Report

    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    documented = {key for row in re.findall(r"^\|(.*?)\|", text, re.M) for key in re.findall(r"`(\w+)`", row)}
    assert {field.name for field in fields(Report)} <= documented
    assert set(board.KEYS) <= documented


def test_every_status_of_the_card_is_explained():
    from mmsar.hardware.dca1000.diagnose import ADVICE

    text = capture_page("Troubleshooting")
    for said in ADVICE.values():
        assert re.split("[:(]", said)[0].strip() in text


def test_every_finding_of_the_checker_is_explained():
    from mmsar.hardware.config import bench_findings, cfg_hints, limits

    text = capture_page("Troubleshooting")
    said = set()
    for module in (bench_findings, cfg_hints, limits):
        source = Path(module.__file__).read_text(encoding="utf-8")
        said |= set(re.findall(r'(?:_finding|say)\(\s*"(?:error|warning|note)",\s*"([^"]+)"', source))
    assert {"sweep", "network link", "board", "lvdsStreamCfg"} <= said
    assert {limit for limit in said if f"`{limit}`" not in text} == set()


@cache
def messages() -> set[str]:
    """Every text of the program, with HOLE for what is filled in."""
    found = set()
    for path in (*(ROOT / "hardware").rglob("*.py"), *(ROOT / "mmsar").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            if all(isinstance(part, ast.FormattedValue | ast.Constant) for part in parts):
                texts = [part.value if isinstance(part, ast.Constant) else HOLE for part in parts]
                if all(isinstance(text, str) for text in texts):
                    found.add("".join(texts))
    return found


HOLE = "\0"


def says(message: str, quoted: str, names: set[str]) -> bool:
    """Whether a message can read so: at least half of it as written, the rest filled in, capitals with a known name."""
    parts = message.split(HOLE)

    def filled(k: int, rest: str, written: int) -> bool:
        for end in range(len(rest) + 1):
            value, after = rest[:end], rest[end:]
            if re.fullmatch("[A-Z_]{3,}", value) and value not in names:
                continue
            if not after and 2 * written >= len(quoted):
                return True
            if after and k < len(parts):
                part = parts[k]
                if part.startswith(after) and 2 * (written + len(after)) >= len(quoted):
                    return True
                if part and k + 1 < len(parts) and after.startswith(part):
                    if filled(k + 1, after[len(part) :], written + len(part)):
                        return True
        return False

    if any(quoted in part for part in parts):
        return True
    for k, part in enumerate(parts[:-1], 1):
        ends = (part[cut:] for cut in range(len(part) + 1))
        if any(quoted.startswith(end) and filled(k, quoted[len(end) :], len(end)) for end in ends):
            return True
    return False


def symptoms() -> list[str]:
    """The sections with tables of symptoms: of the bench, and of everything else."""
    bench = re.split(r"^### ", capture_page("Troubleshooting"), flags=re.M)[1:]
    rest = re.split(r"^## ", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), flags=re.M)[1:]
    return bench + rest


def test_messages_of_the_tables_of_symptoms_are_those_of_the_program():
    from mmsar.hardware.dca1000.protocol import Command

    names = {command.name for command in Command}
    known = messages() | {os.strerror(number).lower() for number in errno.errorcode}
    card = f"card {HOLE}: no answer to {HOLE} after"
    assert says(card, ": no answer to ALIVENESS", names) and not says(card, ": no answer to SYSTEM_ALIVENESS", names)
    strange = []
    for section in symptoms():
        if section.startswith(("Configuration", "Installing")):  # names of limits, see above; messages of others
            continue
        for quoted in re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\|(.*?) \|", section, re.M))):
            for piece in filter(None, (piece.strip() for piece in quoted.split("..."))):
                verbatim = any(piece in message for message in known)
                if not verbatim and not any(says(message, piece, names) for message in known):
                    strange.append(piece)
    assert strange == []


def test_tables_of_symptoms_have_a_cause_and_a_cure():
    sections = symptoms()
    assert len(sections) >= 12
    for section in sections:
        rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
        assert len(rows) > 3, section[:30]
        assert all(cell.strip() for row in rows for cell in (row[0], row[-1]))
