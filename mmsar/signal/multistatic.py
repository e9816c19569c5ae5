"""Multistatic to monostatic compensation, and projection to one aperture plane.

A pair with phase centre v and separation d sees a voxel at R_T + R_R; imagers of the Fourier family want 2 R0, the way
to and from the point of the plane z = z_ref above v. The path difference phi = R_T + R_R - 2 R0 is taken out by
exp(-j k phi) (EMPM paper, section II; Yanik and Torlak 2019):

    taylor      phi = 2 (z_ref - v_z) + (d_x^2 + d_y^2) / (4 Z),   Z = distance of the scene's centre from the plane
    reference   phi = |c - x_T| + |c - x_R| - 2 |c - v0|           exact for the point c, the scene's centre

The factor of the second term is that of the Taylor series (the paper's text prints twice as much, its code does not).
"""

import numpy as np

from mmsar.core.checks import one_of
from mmsar.errors import GeometryError
from mmsar.model.scan import Geometry

PHASES = ("reference", "taylor")


def path_difference(
    geometry: Geometry, *, centre: tuple[float, float, float], z_ref: float | None, phase: str = "reference"
) -> np.ndarray:
    """phi of every channel [m], (n_pose, n_tx, n_rx).

    Parameters
    ----------
    geometry : Geometry
        Positions of the pairs.
    centre : (x, y, z)
        Centre of the scene c [m].
    z_ref : float or None
        Plane the phase centres are projected to [m]; None keeps each at its own height (no projection, only
        multistatic compensation).
    phase : "reference" or "taylor"
        Which formula.

    Raises
    ------
    GeometryError
        Unknown phase, or a scene centre that is not in front of the plane (taylor).
    """
    one_of("phase", phase, PHASES)
    virtual = geometry.virtual_position
    if phase == "taylor":
        plane = virtual[..., 2] if z_ref is None else z_ref
        depth = centre[2] - float(np.mean(plane))
        if depth <= 0:
            raise GeometryError(f"z_ref: got a plane {-depth:g} m behind the scene's centre, wanted it in front")
        separation = geometry.tx_position - geometry.rx_position
        lateral = separation[..., 0] ** 2 + separation[..., 1] ** 2
        return 2 * (plane - virtual[..., 2]) + lateral / (4 * depth)
    point = np.asarray(centre, dtype=float)
    legs = np.linalg.norm(point - geometry.tx_position, axis=-1) + np.linalg.norm(point - geometry.rx_position, axis=-1)
    if z_ref is not None:
        virtual = virtual.copy()
        virtual[..., 2] = z_ref
    return legs - 2 * np.linalg.norm(point - virtual, axis=-1)
