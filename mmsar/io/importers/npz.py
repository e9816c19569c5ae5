"""numpy .npz files: variables by name; pickled objects are refused."""

from pathlib import Path

import numpy as np

from mmsar.errors import FormatError


def read_npz(path: Path, name: str) -> np.ndarray:
    """One variable of an .npz file.

    Raises
    ------
    FormatError
        Not an .npz file, damaged, no such variable, or pickled objects.
    """
    try:
        data = np.load(path, allow_pickle=False)
    except Exception as error:
        raise FormatError(f"{path}: cannot be read as .npz ({error}); save it with numpy.savez") from error
    if not isinstance(data, np.lib.npyio.NpzFile):
        raise FormatError(f"{path}: got a single array (.npy), wanted an .npz file with named variables")
    with data:
        if name not in data.files:
            raise FormatError(f"{path.name}: no variable {name}; there is {', '.join(data.files) or 'none'}")
        try:
            value = data[name]
        except Exception as error:
            raise FormatError(f"{path.name}: {name}: cannot be read ({error}); wanted a plain numeric array") from error
    if value.dtype.kind not in "fciub":
        raise FormatError(f"{path.name}: {name}: got {value.dtype}, wanted a numeric array")
    return value
