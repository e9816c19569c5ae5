"""What a user must know beside the error itself, as lines on stderr."""

import sys


def warn(command: str, text: str) -> None:
    """One warning of a command."""
    print(f"{command}: warning: {' '.join(text.split())}", file=sys.stderr, flush=True)


def say_notes(command: str, error: BaseException, *, said: str = "") -> None:
    """A warning for every note on an error, as what could not be stopped, unless `said` has it already."""
    for note in getattr(error, "__notes__", ()):
        if note not in said:
            warn(command, note)
