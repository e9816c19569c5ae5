"""The argument parser of the command and all its parts: a usage error is one line, as every other error."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser, also of sub-commands, that names the help instead of printing the usage."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As usual, but what is left over is refused here, where the name of the sub-command is known."""
        known, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line on stderr and exit with code 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see `{self.prog} --help`\n")


def add_part(parts: Any, name: str, module: Any, common: argparse.ArgumentParser) -> Parser:
    """Add the sub-command `name` to `parts`, with the help and the options of its module."""
    part = parts.add_parser(
        name,
        help=module.HELP,
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    part.set_defaults(fail=part.error)
    module.configure(part)
    return part


def script_parser(name: str, description: str | None) -> Parser:
    """The parser of a script of its own: `description` as it stands, `--debug`, and `args.fail` for usage errors."""
    parser = Parser(prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(fail=parser.error)
    return parser
