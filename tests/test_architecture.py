"""The shape of the house, checked by reading the source: floors, only-here rules, light import, docstrings, sizes.

`violations(module, source)` is the checker; it is itself tested on bad examples at the end, so that it can fail.
"""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import mmsar

ROOT = Path(__file__).resolve().parents[1]

FLOORS = {
    "mmsar": 7,
    "mmsar.__main__": 7,
    "mmsar.cli": 7,
    "mmsar.view": 6,
    "mmsar.enhance": 6,
    "mmsar.focus": 6,
    "mmsar.hardware": 6,
    "mmsar.recon": 5,
    "mmsar.signal": 4,
    "mmsar.simulate": 4,
    "mmsar.io": 4,
    "mmsar.metrics": 4,
    "mmsar.model": 3,
    "mmsar.core": 2,
    "mmsar.constants": 1,
    "mmsar.errors": 1,
    "mmsar._version": 1,
}
"""Imports go down: to a lower floor, or within the same part; the parts of the top floor make one command."""

TOP = 7

FORBIDDEN = {"mmsar.hardware": ("mmsar.recon",)}
"""Lower floors that a part may not use all the same."""

CUDA = ("mmsar.core.backend", "mmsar.core.fft", "mmsar.core.nufft", "mmsar.*_cuda")
ONLY_HERE = {
    "cupy": CUDA,
    "cupyx": CUDA,
    "cufinufft": ("mmsar.core.nufft",),
    "finufft": ("mmsar.core.nufft",),
    "pyfftw": ("mmsar.core.fft",),
    "matplotlib": ("mmsar.view.*",),
    "pyvista": ("mmsar.view.*",),
    "vtk": ("mmsar.view.*",),
    "vtkmodules": ("mmsar.view.*",),
    "trame": ("mmsar.view.*",),
    "trame_vtk": ("mmsar.view.*",),
    "aiohttp": ("mmsar.view.*",),
    "h5py": ("mmsar.io.*", "mmsar.hardware.recorder"),
    "socket": ("mmsar.hardware.*",),
    "serial": ("mmsar.hardware.*",),
    "torch": ("mmsar.enhance.model", "mmsar.enhance.train", "mmsar.enhance.dataset"),
    "onnxruntime": ("mmsar.enhance.infer",),
    "trimesh": ("mmsar.simulate.mesh",),
    "dask": ("mmsar.recon.cluster",),
    "distributed": ("mmsar.recon.cluster",),
}
"""Foreign package -> the modules that may import it."""

HEAVY = "cupy torch onnxruntime pyvista vtk matplotlib numba h5py finufft pyfftw scipy tqdm trimesh dask distributed"
HEAVY = HEAVY.split()
"""What `import mmsar` must not load."""

MAX_LINES = 450


def tree() -> dict[str, Path]:
    """Every module of the package: dotted name -> file; hardware/ is mmsar.hardware."""
    found = {}
    for top, prefix in (("mmsar", ()), ("hardware", ("mmsar",))):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = [*prefix, *path.relative_to(ROOT).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = tree()


def part_of(module: str) -> str | None:
    """The entry of FLOORS that a module belongs to; None when it has no floor."""
    if module == "mmsar":
        return module
    part = ".".join(module.split(".")[:2])
    return part if part in FLOORS else None


def imports(module: str, syntax: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything a module imports: TYPE_CHECKING blocks and literal import_module too."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom):
            if node.module == "mmsar":
                subs = [f"mmsar.{alias.name}" for alias in node.names]
                yield from ((node.lineno, sub if part_of(sub) else "mmsar") for sub in subs)
            else:
                yield node.lineno, node.module
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def import_fault(module: str, name: str) -> str | None:
    """Why `module` may not import `name`, or None."""
    if name.startswith("."):
        return "relative import; wanted an absolute one"
    top = name.split(".")[0]
    if top == "hardware":
        return "imports hardware; wanted mmsar.hardware"
    if top != "mmsar":
        allowed = ONLY_HERE.get(top)
        if allowed is None or any(fnmatchcase(f"{module}.", f"{a.removesuffix('.*')}.*") for a in allowed):
            return None
        return f"imports {top}; wanted only in {', '.join(allowed)}"
    mine, other = part_of(module), part_of(name)
    if other is None:
        return f"imports {name}, which has no floor"
    if mine == other or FLOORS[mine] == FLOORS[other] == TOP:
        return None
    if FLOORS[other] >= FLOORS[mine]:
        return f"imports {name} (floor {FLOORS[other]}) from floor {FLOORS[mine]}; wanted a lower floor"
    if other == "mmsar.hardware" and mine != "mmsar.cli":
        return "imports mmsar.hardware; wanted only in mmsar.cli"
    if name.startswith(FORBIDDEN.get(mine, ())):
        return f"imports {name}; {mine} may not"
    return None


def violations(module: str, source: str) -> list[str]:
    """Everything a module does that the architecture does not allow, one line each."""
    if part_of(module) is None:
        return [f"{module}: has no floor; add its part to the architecture first"]
    syntax = ast.parse(source)
    found = []
    if not (ast.get_docstring(syntax) or "").strip():
        found.append(f"{module}: no module docstring")
    if module.endswith((".utils", ".util", ".helpers", ".misc")):
        found.append(f"{module}: name says nothing; wanted a name for what is in it")
    for line, name in imports(module, syntax):
        fault = import_fault(module, name)
        if fault:
            found.append(f"{module}:{line}: {fault}")
    for node in ast.walk(syntax):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            found.append(f"{module}:{node.lineno}: star import; wanted names")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print" and part_of(module) != "mmsar.cli":
            found.append(f"{module}:{node.lineno}: print; wanted only in mmsar.cli")
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_keeps_the_rules(module):
    assert violations(module, MODULES[module].read_text(encoding="utf-8")) == []


def test_tree_is_read():
    assert {"mmsar", "mmsar.cli", "mmsar.core.backend", "mmsar.hardware", "mmsar.model.scan"} <= set(MODULES)


def test_no_file_is_too_long():
    files = [*MODULES.values(), *sorted((ROOT / "tests").rglob("*.py"))]
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


def test_import_is_light():
    code = f"import sys, mmsar; dir(mmsar); print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_and_version_are_light():
    code = (
        "import sys, mmsar.cli\n"
        "for option in ('--version', '--help'):\n"
        "    try: mmsar.cli.main([option])\n"
        "    except SystemExit as stop: assert not stop.code\n"
        f"print('loaded', *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded"


@pytest.mark.parametrize("name", mmsar.__all__)
def test_public_name_resolves(name):
    value = getattr(mmsar, name)
    assert value is not None
    if inspect.isfunction(value):
        parameters = list(inspect.signature(value).parameters.values())
        positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        assert len(parameters) <= 5, f"{name}: {len(parameters)} parameters, wanted at most five"
        assert len(positional) <= 2, f"{name}: {positional} are positional, wanted at most the first two"


def test_unknown_public_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = mmsar.nonsense


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("mmsar.core.fft", "from mmsar.model.scan import Scan", "floor 3"),
        ("mmsar.signal.window", "import mmsar.io.scan_h5", "floor 4"),
        ("mmsar.recon.rma", "from mmsar import load_scan", "floor 7"),
        ("mmsar.recon.rma", "from mmsar import view", "floor 6"),
        ("mmsar.model.scan", "def f():\n    from importlib import import_module\n    import_module('mmsar.io')", "4"),
        ("mmsar.view.plot", "from mmsar.focus.timing import offset", "floor 6"),
        ("mmsar.enhance.infer", "from mmsar.view import plot", "floor 6"),
        ("mmsar.hardware.session", "from mmsar.recon.rma import plan", "may not"),
        ("mmsar.__main__", "import mmsar.hardware.dca1000", "only in mmsar.cli"),
        ("mmsar.cli.capture", "import hardware", "mmsar.hardware"),
        ("mmsar.recon.bpa", "def f():\n    import cupy as cp", "imports cupy"),
        ("mmsar.recon.bpa", "from cupyx.scipy import fft", "imports cupyx"),
        ("mmsar.cli.view", "import matplotlib.pyplot", "imports matplotlib"),
        ("mmsar.viewer", "import mmsar.core", "no floor"),
        ("mmsar.recon.rma", "import mmsar.nonsense", "no floor"),
        ("mmsar.simulate.scene", "import h5py", "imports h5py"),
        ("mmsar.io.scan_h5", "import socket", "imports socket"),
        ("mmsar.enhance.infer", "import torch", "imports torch"),
        ("mmsar.recon.tiled", "def f():\n    import distributed", "imports distributed"),
        ("mmsar.cli.reconstruct_tiled", "from dask import delayed", "imports dask"),
        ("mmsar.core.fft", "from . import backend", "relative"),
        ("mmsar.core.fft", "from numpy import *", "star import"),
        ("mmsar.core.fft", "print(1)", "print"),
        ("mmsar.core.utils", "x = 1", "says nothing"),
    ],
)
def test_checker_finds(module, source, complaint):
    found = violations(module, f'"""Docstring."""\n{source}\n')
    assert len(found) == 1
    assert complaint in found[0]


def test_checker_finds_a_missing_docstring():
    assert violations("mmsar.core.fft", "x = 1\n") == ["mmsar.core.fft: no module docstring"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mmsar.cli.capture", "from mmsar.hardware import dca1000"),
        ("mmsar.core.kernels_cuda", "import cupy"),
        ("mmsar.core.backend", "import cupy"),
        ("mmsar.view.plot", "from matplotlib.figure import Figure"),
        ("mmsar.hardware.recorder", "import h5py, socket"),
        ("mmsar.focus.autofocus", "from mmsar.recon.bpa import plan"),
        (
            "mmsar.model.grid",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mmsar.model.scan import Scan",
        ),
        ("mmsar.cli.doctor", "print(1)"),
    ],
)
def test_checker_allows(module, source):
    assert violations(module, f'"""Docstring."""\n{source}\n') == []
