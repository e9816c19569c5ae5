"""What all lab scripts have in common: help, one-line refusals, a place in the README, no private names."""

import ast
import re
import shlex

import pytest

from .conftest import EXAMPLES, script

SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """The words of every command of the README and of the docstrings that runs a script."""
    texts = [README, *(ast.get_docstring(ast.parse((EXAMPLES / f"{n}.py").read_text("utf-8"))) for n in SCRIPTS)]
    text = "\n".join(texts)
    lines = re.findall(r"^(?: {2})?(python examples/.*)$", text, re.M)
    return [shlex.split(line.partition(" 2>")[0], comments=True) for line in lines]


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_says_what_it_does_and_what_a_lab_would_change(name, capsys):
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 200, "short enough to be read and changed"
    with pytest.raises(SystemExit) as stop:
        script(name).main(["--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and said.startswith(f"usage: {name}.py")
    assert "What a lab would change:" in said and f"python examples/{name}.py" in said
    assert f"{name}.py" in README


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_uses_public_names_only(name):
    for node in ast.walk(ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 and not any(alias.name.startswith("_") for alias in node.names), ast.unparse(node)


@pytest.mark.parametrize("name", SCRIPTS)
def test_unknown_option_is_one_line(name, capsys):
    with pytest.raises(SystemExit) as stop:
        script(name).main(["--nonsense"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{name}.py: ")


def test_commands_of_the_readme_and_the_docstrings_parse():
    found = commands()
    assert {words[1] for words in found} == {f"examples/{name}.py" for name in SCRIPTS}
    for _, path, *options in found:
        script(path.removeprefix("examples/").removesuffix(".py")).build_parser().parse_args(options)
