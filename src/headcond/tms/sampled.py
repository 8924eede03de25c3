"""A vector potential sampled on a grid: coils that were measured or computed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import InputError, check_affine, check_finite, check_shape


@dataclass(frozen=True)
class PotentialGrid:
    """A per ampere of coil current on a grid, interpolated linearly between its points.

    Attributes
    ----------
    values : (nx, ny, nz, 3) A per ampere along the axes of the coil's frame, T m / A (V s/(A m)).
    affine : (4, 4) grid index -> coil's frame, mm, as coil files give it.
    placement : (4, 4) coil's frame -> world, m.
    """

    values: np.ndarray
    affine: np.ndarray
    placement: np.ndarray

    def __post_init__(self) -> None:
        values = check_shape("A-field grid", self.values, (None, None, None, 3))
        values = np.ascontiguousarray(check_finite("A-field grid", values), np.float32)
        if min(values.shape[:3]) < 2:
            raise InputError(f"The A-field grid has {values.shape[:3]} points: two or more per "
                             "axis are needed.")  # fmt: skip
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "affine", check_affine("A-field grid's affine", self.affine))
        object.__setattr__(self, "placement", np.asarray(self.placement, float))

    def moved(self, matrix: np.ndarray) -> PotentialGrid:
        """Return the grid after a rigid motion `matrix` (4, 4), m."""
        return PotentialGrid(self.values, self.affine, matrix @ self.placement)

    def potential(self, points: ArrayLike) -> np.ndarray:
        """A per ampere (N, 3), T m / A, in world axes at world points (N, 3), m.

        Raises
        ------
        InputError
            If a point lies outside the grid: nothing is known of the field there.
        """
        points = np.asarray(points, float)
        rotation, shift = self.placement[:3, :3], self.placement[:3, 3]
        own = (points - shift) @ rotation * 1e3
        index = (own - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T
        last = np.array(self.values.shape[:3]) - 1.0
        # Half a step past the outermost points is rounding in the caller's choice of grid.
        outside = np.any((index < -0.5) | (index > last + 0.5), axis=1)
        if outside.any():
            raise InputError(f"{np.count_nonzero(outside)} of {len(points)} points lie outside the "
                             "coil's A-field grid: it does not reach over the head.")  # fmt: skip
        place = np.clip(index, 0, last).T
        found = np.stack([
            ndimage.map_coordinates(self.values[..., k], place, order=1, output=float)
            for k in range(3)
        ], axis=1)  # fmt: skip
        return found @ rotation.T
