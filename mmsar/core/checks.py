"""One wording for input errors: `name: got what, wanted what`."""

from collections.abc import Sequence

import numpy as np

from mmsar.errors import GeometryError


def finite_number(name: str, value: object, unit: str, *, above: float | None = None) -> float:
    """Return `value` as a finite float, greater than `above` if given.

    Raises
    ------
    GeometryError
        When it is not a number, not finite, or not above the bound; the message carries the unit.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
        if isinstance(value, str):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise GeometryError(f"{name}: got {value!r}, wanted a number [{unit}]") from None
    if not np.isfinite(number):
        raise GeometryError(f"{name}: got {number}, wanted a finite number [{unit}]")
    if above is not None and not number > above:
        raise GeometryError(f"{name}: got {number:g}, wanted more than {above:g} [{unit}]")
    return number


def instance(name: str, value: object, kind: type, hint: str) -> None:
    """Raise GeometryError unless `value` is of this type; `hint` says how one is made."""
    if not isinstance(value, kind):
        raise GeometryError(f"{name}: got {type(value).__name__}, wanted {kind.__name__} ({hint})")


def positive_int(name: str, value: object) -> int:
    """Return `value` as an int >= 1; raises GeometryError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise GeometryError(f"{name}: got {value!r}, wanted a whole number >= 1")
    return int(value)


def real_array(name: str, value: object, shape: Sequence[int | None], unit: str) -> np.ndarray:
    """Return a read-only, C-contiguous float64 copy of `value`, checked for shape and finiteness.

    Parameters
    ----------
    shape : sequence of int or None
        Expected shape; None stands for any length >= 1.
    unit : str
        Unit named in the message.

    Raises
    ------
    GeometryError
        Wrong shape, not numeric, or a value that is not finite.
    """
    try:
        array = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        raise GeometryError(f"{name}: got {type(value).__name__}, wanted numbers [{unit}]") from None
    check_shape(name, array.shape, shape)
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise GeometryError(f"{name}: got {bad} of {array.size} values not finite, wanted finite numbers [{unit}]")
    array.flags.writeable = False
    return array


def check_shape(name: str, got: Sequence[int], wanted: Sequence[int | None]) -> None:
    """Raise GeometryError unless `got` matches `wanted` (None: any length >= 1)."""
    ok = len(got) == len(wanted) and all((w is None and g >= 1) or g == w for g, w in zip(got, wanted, strict=False))
    if not ok:
        text = ", ".join("n" if w is None else str(w) for w in wanted)
        raise GeometryError(f"{name}: got shape {tuple(got)}, wanted ({text})")


def one_of(name: str, value: object, choices: Sequence[str]) -> str:
    """Return `value` when it is one of `choices`; raises GeometryError naming them otherwise."""
    if value not in choices:
        raise GeometryError(f"{name}: got {value!r}, wanted one of {', '.join(choices)}")
    return str(value)
