"""Three rotation columns as quaternions, by the kind that was declared.

A helical vector is axis times angle. Euler angles x, y, z about the moving axes make R = Rx Ry Rz ("euler-xyz"), about
the fixed axes R = Rz Ry Rx ("euler-xyz-fixed"). Their magnitudes cannot tell one kind from another, so nothing here
guesses.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from mmsar.core.checks import one_of
from mmsar.hardware.positions.declared import ROTATIONS


def quaternions(columns: np.ndarray, kind: str) -> np.ndarray:
    """Quaternions x, y, z, w (n, 4) of rotation columns (n, 3) [rad]; NaN rows stay NaN.

    Raises
    ------
    GeometryError
        An unknown kind.
    """
    one_of("rotation", kind, ROTATIONS)
    known = np.isfinite(columns).all(axis=1)
    out = np.full((len(columns), 4), np.nan)
    if known.any():
        if kind == "helical":
            turn = Rotation.from_rotvec(columns[known])
        else:
            turn = Rotation.from_euler("XYZ" if kind == "euler-xyz" else "xyz", columns[known])
        out[known] = turn.as_quat()
    return out
