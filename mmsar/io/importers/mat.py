"""MATLAB files, v5 to v7 (scipy) and v7.3 (HDF5): variables by dotted name (`data.measurements`: a field)."""

from pathlib import Path
from typing import Any

import numpy as np

from mmsar.errors import FormatError


def read_mat(path: Path, name: str) -> np.ndarray:
    """One numeric variable with the axes MATLAB shows, as numpy (trailing axes of length 1 are kept).

    Raises
    ------
    FormatError
        Not a MATLAB file, damaged, no such variable, or one that is not numeric.
    """
    import h5py

    value = _read_v73(path, name) if h5py.is_hdf5(path) else _read_v5(path, name)
    array = np.asarray(value)
    if array.dtype.names is not None and set(array.dtype.names) == {"real", "imag"}:
        array = array["real"] + 1j * array["imag"]
    if array.dtype.kind not in "fciub":
        raise FormatError(f"{path.name}: {name}: got {_kind(array)}, wanted a numeric array; name a field as a.b")
    return array


def _read_v5(path: Path, name: str) -> Any:
    from scipy.io import loadmat

    root, *fields = name.split(".")
    try:
        content = loadmat(path, squeeze_me=False, struct_as_record=True)
    except Exception as error:  # a damaged file makes scipy raise almost anything
        text = " ".join(str(error).split()) or type(error).__name__
        raise FormatError(
            f"{path}: cannot be read as a MATLAB file ({text}); save it again, or copy it again"
        ) from error
    value = content.get(root)
    if value is None:
        raise _missing(path, name, [key for key in content if not key.startswith("__")])
    for field in fields:
        if value.dtype.names is None or field not in value.dtype.names:
            raise _missing(path, name, list(value.dtype.names or ()))
        if value.size != 1:
            raise FormatError(f"{path.name}: {name}: got a struct array of {value.size}, wanted a single struct")
        value = value[field].reshape(-1)[0]
    return value


def _read_v73(path: Path, name: str) -> Any:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            item: Any = file
            for field in name.split("."):
                if not isinstance(item, h5py.Group) or field not in item:
                    names = [key for key in item if not key.startswith("#")] if isinstance(item, h5py.Group) else []
                    raise _missing(path, name, names)
                item = item[field]
            if not isinstance(item, h5py.Dataset):
                raise FormatError(f"{path.name}: {name}: got a struct, wanted a numeric array; name a field as a.b")
            return item[()].T
    except OSError as error:
        raise FormatError(f"{path}: cannot be read as MATLAB v7.3 ({error}); copy it again") from error


def _missing(path: Path, name: str, known: list[str]) -> FormatError:
    return FormatError(f"{path.name}: no variable {name}; there is {', '.join(known) if known else 'none'}")


def _kind(array: np.ndarray) -> str:
    return f"a struct ({', '.join(array.dtype.names)})" if array.dtype.names else f"{array.dtype}"
