"""TMS coils: wire segments, magnetic dipoles, sampled fields, and the potential they make.

A coil lives in its own frame until `Coil.transformed` puts it into the world. The frame of
the coils made here is SimNIBS': x to the right wing, y along the handle, z into the head, so
that a coil file and a placement matrix of that program fit without a turn. Lengths are metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numba
import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import InputError, check_affine, check_finite, check_positive, check_shape

MU0_OVER_4PI = 1e-7  # V s / (A m)
_NONE = np.zeros((0, 3))


@dataclass(frozen=True)
class Coil:
    """Current sources of one coil per ampere of coil current.

    Attributes
    ----------
    starts, ends : (S, 3) end points of straight wire segments, m; the current runs from start
        to end.
    positions : (D, 3) positions of magnetic dipoles, m.
    moments : (D, 3) their moments per ampere of coil current, A m^2 / A.
    grids : vector potentials sampled on grids.
    name : of the coil, for tables.
    """

    starts: np.ndarray = field(default_factory=_NONE.copy)
    ends: np.ndarray = field(default_factory=_NONE.copy)
    positions: np.ndarray = field(default_factory=_NONE.copy)
    moments: np.ndarray = field(default_factory=_NONE.copy)
    grids: tuple[PotentialGrid, ...] = ()
    name: str = "coil"

    def __post_init__(self) -> None:
        for key in ("starts", "ends", "positions", "moments"):
            values = check_shape(f"coil {key}", np.asarray(getattr(self, key), float), (None, 3))
            values = np.ascontiguousarray(check_finite(f"coil {key}", values))
            values.setflags(write=False)
            object.__setattr__(self, key, values)
        if len(self.starts) != len(self.ends):
            raise InputError(f"{len(self.starts)} segment starts but {len(self.ends)} ends.")
        if len(self.positions) != len(self.moments):
            raise InputError(f"{len(self.positions)} dipoles but {len(self.moments)} moments.")
        if not len(self.starts) + len(self.positions) + len(self.grids):
            raise InputError("The coil holds neither segments nor dipoles nor grids.")

    def dadt(self, points: ArrayLike, didt: float) -> np.ndarray:
        """Rate of change of the vector potential at `points`, summed over all sources.

        Segment with unit direction e, length L and distances R1, R2 from its ends:
        A = mu0 I/(4 pi) e ln[(R1+R2+L)/(R1+R2-L)]. Dipole: A = mu0/(4 pi) m x d/|d|^3.

        Parameters
        ----------
        points : (..., 3) world positions, m.
        didt : rate of change of the coil current, A/s.

        Returns
        -------
        (..., 3) dA/dt, V/m. Not finite on the wire itself.
        """
        points = np.asarray(points, float)
        if points.shape[-1:] != (3,):
            raise InputError(f"points must have shape (..., 3), got {points.shape}.")
        flat = np.ascontiguousarray(points.reshape(-1, 3))
        out = np.empty_like(flat)
        starts, vectors = self.starts.T, (self.ends - self.starts).T
        lengths = np.linalg.norm(vectors, axis=0)
        keep = lengths > 0
        wires = starts[:, keep], vectors[:, keep] / lengths[keep], lengths[keep]
        sources = map(np.ascontiguousarray, (*wires, self.positions.T, self.moments.T))
        _sum_sources(flat, *sources, float(didt) * MU0_OVER_4PI, out)
        for grid in self.grids:
            out += float(didt) * grid.potential(flat)
        return out.reshape(points.shape)

    def transformed(self, matrix: ArrayLike) -> Coil:
        """Return the coil moved by a proper rigid motion.

        Parameters
        ----------
        matrix : (4, 4) from the coil's frame to the world, metres.

        Raises
        ------
        InputError
            If the matrix is not a proper rotation with a translation (a mirror image would turn
            the moments of dipoles against those of wires).
        """
        matrix = check_finite("placement", check_shape("placement", matrix, (4, 4))).astype(float)
        rotation, shift = matrix[:3, :3], matrix[:3, 3]
        if not np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-5):
            raise InputError("The placement's axes are not orthonormal (is it in millimetres?).")
        if np.linalg.det(rotation) < 0 or not np.allclose(matrix[3], [0, 0, 0, 1]):
            raise InputError("The placement is a mirror image or not affine: x, y, z of the coil "
                             "must be right-handed.")  # fmt: skip
        if np.abs(shift).max() > 10:
            raise InputError(f"The placement is {np.abs(shift).max():.0f} m away: give metres "
                             "(placement.from_simnibs converts millimetres).")  # fmt: skip
        return replace(
            self,
            starts=self.starts @ rotation.T + shift,
            ends=self.ends @ rotation.T + shift,
            positions=self.positions @ rotation.T + shift,
            moments=self.moments @ rotation.T,
            grids=tuple(grid.moved(matrix) for grid in self.grids),
        )

    def source_points(self, spacing: float = 2e-3) -> np.ndarray:
        """Points (N, 3) along the wires, at most `spacing` m apart, and the dipoles' positions.

        Sampled fields have none: the positions of their windings are unknown.
        """
        lengths = np.linalg.norm(self.ends - self.starts, axis=1)
        pieces = [self.positions]
        counts = np.maximum(1, np.ceil(lengths / spacing)).astype(int)
        for count in np.unique(counts):
            chosen = counts == count
            weights = (np.arange(count + 1) / count)[:, None, None]
            along = self.starts[chosen] * (1 - weights) + self.ends[chosen] * weights
            pieces.append(along.reshape(-1, 3))
        return np.concatenate(pieces)


def combine(*coils: Coil, name: str = "coils") -> Coil:
    """Superpose coils that carry the same current."""
    joined = {
        key: np.concatenate([getattr(coil, key) for coil in coils])
        for key in ("starts", "ends", "positions", "moments")
    }
    grids = tuple(grid for coil in coils for grid in coil.grids)
    return Coil(**joined, grids=grids, name=name)


def from_dipoles(positions: ArrayLike, moments: ArrayLike, name: str = "dipoles") -> Coil:
    """Coil of magnetic dipoles.

    Parameters
    ----------
    positions : (D, 3) or (3,) m.
    moments : (D, 3) or (3,) per ampere of coil current, A m^2 / A.
    """
    return Coil(
        positions=np.atleast_2d(np.asarray(positions, float)),
        moments=np.atleast_2d(np.asarray(moments, float)),
        name=name,
    )


def circular(diameter: float = 0.09, turns: int = 1, inner: float | None = None,
             corners: int = 72, name: str = "circular") -> Coil:  # fmt: skip
    """Flat circular coil in its plane z = 0, its moment along +z.

    Parameters
    ----------
    diameter : of the outermost turn, m.
    turns : concentric turns, evenly spaced from `inner` to `diameter`.
    inner : diameter of the innermost turn, m; needed for more than one turn.
    corners : straight segments per turn. The polygon has the area of the circle, so that its
        moment is exact and the field differs only close to the wire.
    """
    outer = check_positive("diameter", diameter)
    inner = outer if inner is None else check_positive("inner", inner)
    if turns < 1 or corners < 3:
        raise InputError("A coil needs at least 1 turn and 3 corners per turn.")
    if inner > outer or (turns > 1 and inner == outer):
        raise InputError(f"inner ({inner} m) must be below the outer diameter ({outer} m).")
    angle = 2 * np.pi * np.arange(corners + 1) / corners
    stretch = np.sqrt(2 * np.pi / corners / np.sin(2 * np.pi / corners))
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
    circle[-1] = circle[0]
    rings = [stretch * radius * circle for radius in np.linspace(outer, inner, turns) / 2]
    return Coil(
        starts=np.concatenate([ring[:-1] for ring in rings]),
        ends=np.concatenate([ring[1:] for ring in rings]),
        name=name,
    )


def figure_of_eight(outer: float = 0.097, inner: float = 0.047, turns: int = 9,
                    wing_distance: float = 0.097, corners: int = 72) -> Coil:  # fmt: skip
    """Thin-wire figure-of-eight coil: two flat wings in z = 0 with opposite moments.

    The diameters are those of the CondNet paper (9.7 and 4.7 cm). The number of turns and the
    distance of the wings are ours: nine turns give the moment of a Magstim D70 (0.038 m^2),
    and at 97 mm the wings touch without crossing. As in the D70 file of SimNIBS the right wing
    (x > 0) has its moment along +z, into the head.

    Parameters
    ----------
    outer, inner : diameters of the outermost and innermost turn, m.
    turns : turns per wing.
    wing_distance : distance between the wings' centres, m.
    corners : straight segments per turn.
    """
    check_positive("wing_distance", wing_distance)
    wing = circular(outer, turns, inner if turns > 1 else None, corners)
    shift = np.array([wing_distance / 2, 0, 0])
    mirror = np.array([-1, 1, 1])  # the left wing is the mirror image: its moment is along -z
    starts, ends = wing.starts + shift, wing.ends + shift
    return Coil(
        starts=np.concatenate([starts, mirror * starts]),
        ends=np.concatenate([ends, mirror * ends]),
        name="figure-of-eight",
    )


@numba.njit(parallel=True, cache=True, fastmath=True)
def _sum_sources(points, starts, directions, lengths, positions, moments, scale, out):  # noqa: ANN001
    for n in numba.prange(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        ax = ay = az = 0.0
        for s in range(positions.shape[1]):
            dx, dy, dz = x - positions[0, s], y - positions[1, s], z - positions[2, s]
            square = dx * dx + dy * dy + dz * dz
            w = 1.0 / (square * np.sqrt(square))
            ax += w * (moments[1, s] * dz - moments[2, s] * dy)
            ay += w * (moments[2, s] * dx - moments[0, s] * dz)
            az += w * (moments[0, s] * dy - moments[1, s] * dx)
        # ln((1+u)/(1-u)) by its series while u = L/(R1+R2) is small: no logarithm, so the loop
        # runs in vector registers, and no cancellation far away (error below u^17/8.5).
        wx = wy = wz = 0.0
        largest = 0.0
        for s in range(lengths.shape[0]):
            dx, dy, dz = x - starts[0, s], y - starts[1, s], z - starts[2, s]
            ex, ey, ez, length = directions[0, s], directions[1, s], directions[2, s], lengths[s]
            near = np.sqrt(dx * dx + dy * dy + dz * dz)
            dx -= length * ex
            dy -= length * ey
            dz -= length * ez
            u = length / (near + np.sqrt(dx * dx + dy * dy + dz * dz))
            largest = max(largest, u)
            v = u * u
            w = 2 * u * (1 + v * (1 / 3 + v * (1 / 5 + v * (1 / 7 + v * (
                1 / 9 + v * (1 / 11 + v * (1 / 13 + v * (1 / 15))))))))  # fmt: skip
            wx += w * ex
            wy += w * ey
            wz += w * ez
        if largest > 0.25:
            wx = wy = wz = 0.0
            for s in range(lengths.shape[0]):
                dx, dy, dz = x - starts[0, s], y - starts[1, s], z - starts[2, s]
                ex, ey, ez = directions[0, s], directions[1, s], directions[2, s]
                length = lengths[s]
                near = np.sqrt(dx * dx + dy * dy + dz * dz)
                dx -= length * ex
                dy -= length * ey
                dz -= length * ez
                u = length / (near + np.sqrt(dx * dx + dy * dy + dz * dz))
                w = np.log((1 + u) / (1 - u)) if u > 1e-3 else 2 * u * (1 + u * u / 3)
                wx += w * ex
                wy += w * ey
                wz += w * ez
        out[n, 0] = scale * (ax + wx)
        out[n, 1] = scale * (ay + wy)
        out[n, 2] = scale * (az + wz)


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
            raise InputError(
                f"The A-field grid has {values.shape[:3]} points: two or more per axis are needed."
            )
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
            If a point lies outside the grid, where the field is unknown.
        """
        points = np.asarray(points, float)
        rotation, shift = self.placement[:3, :3], self.placement[:3, 3]
        own = (points - shift) @ rotation * 1e3
        index = (own - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T
        last = np.array(self.values.shape[:3]) - 1.0
        # Half a step past the outermost points is rounding in the caller's choice of grid.
        outside = np.any((index < -0.5) | (index > last + 0.5), axis=1)
        if outside.any():
            raise InputError(f"{np.count_nonzero(outside)} of {len(points)} points are outside the "
                             "coil's A-field grid: it does not reach over the head.")  # fmt: skip
        place = np.clip(index, 0, last).T
        potential = np.stack([
            ndimage.map_coordinates(self.values[..., k], place, order=1, output=float)
            for k in range(3)
        ], axis=1)  # fmt: skip
        return potential @ rotation.T
