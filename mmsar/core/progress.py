"""Progress on stderr: silent when it is not a terminal, or when not wanted."""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 1.0
"""Work that is done in less time shows no bar, unless it is forced to [s]."""


def progress(items: Iterable[T], label: str, *, total: int | None = None, show: bool | None = None) -> Iterator[T]:
    """Iterate over `items` with a progress bar named `label`.

    Parameters
    ----------
    show : bool, optional
        True or False to force the bar on or off; default: only on a terminal.
    """
    return iter(_bar(items, desc=label, total=total, show=show))


@contextmanager
def counter(label: str | None, total: int | None, show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar for work counted elsewhere: yields a function that takes how many of `total` are done.

    No bar without a label, no time left without a total; `show` is as for `progress`.
    """
    if label is None or show is False:
        yield lambda done: None
        return
    with _bar(desc=label, total=total, show=show) as bar:
        yield lambda done: bar.update(done - bar.n)


def _bar(*items: Iterable, show: bool | None, **options: Any) -> Any:
    """A bar of tqdm: a notebook's own where it is forced there, without ipywidgets the plain one without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm
    wait = PATIENCE if show is None else 0.0
    seen = sys.stderr.isatty() if show is None else show
    return tqdm(*items, disable=not seen, delay=wait, leave=False, **options)
