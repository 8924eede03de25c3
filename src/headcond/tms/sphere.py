"""The field of a coil in a sphere of concentric layers, in closed form (Heller & van Hulsteyn)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_finite, check_shape
from headcond.tms.coil import MU0_OVER_4PI


def dipole_efield(
    points: ArrayLike, position: ArrayLike, moment: ArrayLike, didt: float
) -> np.ndarray:
    """E induced in a conducting sphere centred at the origin by magnetic dipoles outside it.

    It holds for any conductivities of concentric layers and has no radial part. With r the
    point, r2 the dipole and a = r2 - r:
    F = |a| (|r2||a| + r2.a),
    grad F = (|a|^2/|r2| + 2|a| + 2|r2| + r2.a/|a|) r2 - (|a| + 2|r2| + r2.a/|a|) r,
    E = -(dI/dt) mu0/(4 pi F^2) [F (r x m) - (m.grad F)(r x r2)].

    Parameters
    ----------
    points : (N, 3) inside the sphere, m.
    position : (3,) or (D, 3) dipoles outside the sphere, m.
    moment : (3,) or (D, 3) moments per ampere, A m^2 / A.
    didt : rate of change of the current, A/s.

    Returns
    -------
    (N, 3) E, V/m, summed over the dipoles.

    References
    ----------
    Heller and van Hulsteyn, Biophys. J. 63 (1992) 129-138.
    """
    points = check_finite("points", check_shape("points", np.asarray(points, float), (None, 3)))
    positions = np.atleast_2d(np.asarray(position, float))
    moments = np.atleast_2d(np.asarray(moment, float))
    check_finite("position", check_shape("position", positions, (None, 3)))
    check_finite("moment", check_shape("moment", moments, (len(positions), 3)))
    reach = np.linalg.norm(points, axis=1).max(initial=0)
    if np.linalg.norm(positions, axis=1).min() <= reach:
        raise InputError("A dipole is no farther from the origin than the outermost point: the "
                         "formula holds outside the sphere only.")  # fmt: skip
    total = np.zeros_like(points)
    for r2, m in zip(positions, moments, strict=True):
        a = r2 - points
        length = np.linalg.norm(a, axis=1)
        far = np.linalg.norm(r2)
        dot = a @ r2
        f = length * (far * length + dot)
        slope = length + 2 * far + dot / length
        gradient_m = (length**2 / far + length + slope) * (m @ r2) - slope * (points @ m)
        total += np.cross(points, m) / f[:, None]
        total -= np.cross(points, r2) * (gradient_m / f**2)[:, None]
    return -didt * MU0_OVER_4PI * total
