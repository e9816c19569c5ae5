"""The `mmsar` command: one verb per step, one file in and one file out.

Each verb is a module of this package with `HELP`, `configure(parser)` and `run(args)`; they import what they need when
they run. Exit codes: 0 done, 2 usage, 3 bad file or geometry, 4 device or hardware.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from mmsar._version import __version__
from mmsar.cli.interruptions import terminable
from mmsar.cli.notices import say_notes
from mmsar.cli.parser import Parser, add_part
from mmsar.core.control_groups import cpu_quota
from mmsar.errors import CaptureError, DeviceError, MmsarError
from mmsar.io.atomic import DISK_ADVICE

VERBS = (
    "demo",
    "simulate",
    "capture",
    "hw",
    "import",
    "calibrate",
    "align",
    "info",
    "reconstruct",
    "enhance",
    "make-pairs",
    "train-sr",
    "evaluate-sr",
    "metrics",
    "export",
    "view",
    "doctor",
    "bench",
)


def build_parser() -> Parser:
    """The parser of all verbs."""
    parser = Parser(prog="mmsar", description="Near-field mmWave MIMO-SAR imaging, from capture to volume.")
    parser.add_argument("--version", action="version", version=f"mmsar {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        module = import_module("mmsar.cli.import_" if verb == "import" else f"mmsar.cli.{verb.replace('-', '_')}")
        add_part(verbs, verb, module, common).set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; errors are one line on stderr, and what else went wrong on the way out a warning each."""
    args = build_parser().parse_args(argv)
    _keep_to_quota()
    name = " ".join(["mmsar", args.verb, *([args.part] if "part" in args else [])])
    return guarded(name, lambda: args.run(args), debug=args.debug)


def _keep_to_quota() -> None:
    """Have numba, which counts cores when it is loaded, keep to a container's quota of processor time too."""
    quota = cpu_quota()
    if quota and quota < (os.cpu_count() or 1) and "numba" not in sys.modules:
        os.environ.setdefault("NUMBA_NUM_THREADS", str(quota))


def guarded(name: str, run: Callable[[], int | None], *, debug: bool = False) -> int:
    """Run a command and return its exit code; errors are one line on stderr that begins with its name.

    Parameters
    ----------
    name : str
        Of the command.
    run : callable
        Does the work and returns an exit code, None for 0.
    debug : bool
        Let errors through, with their traceback.
    """
    terminated: list[int] = []
    try:
        with terminable() as terminated:
            code = run() or 0
            sys.stdout.flush()
            return code
    except KeyboardInterrupt as error:
        say_notes(name, error)
        print(f"{name}: cancelled; nothing half-written was left behind", file=sys.stderr)
        return 143 if terminated else 130
    except BrokenPipeError:  # the reader has gone (`| head`): what is still to be flushed at exit goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MmsarError, OSError, MemoryError) as error:
        if debug:
            raise
        message, code = explain_error(error)
        print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
        say_notes(name, error)
        return code


def explain_error(error: Exception) -> tuple[str, int]:
    """One line and the exit code for an error."""
    if isinstance(error, DeviceError | CaptureError):
        return str(error), 4
    if isinstance(error, MemoryError):
        said = f" ({str(error)[0].lower()}{str(error)[1:]})" if str(error) else ""
        advice = "nothing half-written was left behind; take a smaller grid, or a smaller --memory where there is one"
        return f"the system gave no more memory{said}; {advice}", 3
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename}: no such file or folder; check the path", 3
    if isinstance(error, OSError) and error.filename:
        advice = DISK_ADVICE.get(error.errno, "check the path and its permissions")
        return f"{error.filename}: {(error.strerror or str(error)).lower()}; {advice}", 3
    return str(error), 3
