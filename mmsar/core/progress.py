"""Progress on stderr: silent when it is not a terminal, or when not wanted."""

from collections.abc import Iterable, Iterator
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
