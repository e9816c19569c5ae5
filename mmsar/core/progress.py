"""Progress on stderr: silent when it is not a terminal, or when not wanted."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], label: str, *, total: int | None = None, show: bool | None = None) -> Iterator[T]:
    """Iterate over `items` with a progress bar named `label`.

    Parameters
    ----------
    show : bool, optional
        True or False to force the bar on or off; default: only on a terminal.
    """
    from tqdm.auto import tqdm

    return iter(tqdm(items, desc=label, total=total, disable=None if show is None else not show, leave=False))


@contextmanager
def counter(label: str | None, total: int | None, show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar for work counted elsewhere: yields a function that takes how many of `total` are done.

    No bar without a label, no time left without a total; `show` is as for `progress`.
    """
    if label is None or show is False:
        yield lambda done: None
        return
    from tqdm.auto import tqdm

    with tqdm(desc=label, total=total, disable=None if show is None else not show, leave=False) as bar:
        yield lambda done: bar.update(done - bar.n)
