"""Placement of a coil: a position on the scalp, the handle's direction, a distance.

A placement is a 4x4 matrix from the coil's frame to the world, RAS+, **in metres**. Its columns
are the axes of `coil`: x to the right wing, y along the handle, z into the head (towards the
scalp, against the outward normal); its translation is the coil's centre. SimNIBS' matrices
(`matsimnibs`) have the same axes, z into the head, with a translation in millimetres: see
`from_simnibs` and `from_matrix`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from scipy.spatial import cKDTree

from headcond.checks import (
    InputError,
    check_affine,
    check_finite,
    check_positive,
    check_shape,
    voxel_sizes,
)
from headcond.tms.coil import Coil

_FARTHEST = 50.0  # mm that an approximate position may be off the scalp
_SMOOTHING = 4.0  # mm, standard deviation of the blur that gives the normal
_PROJECTIONS = 4  # the foot of the normal settles within a fraction of a voxel
_PATCH = 10.0  # mm, radius of the patch of scalp over which normals are averaged
_REACH = 100.0  # mm, along z, within which a coil must meet the head that it points at


def place(head: ArrayLike, affine: ArrayLike, position: ArrayLike, handle_towards: ArrayLike,
          distance: float = 0.004, coil: Coil | None = None) -> np.ndarray:  # fmt: skip
    """Place a coil tangentially over the scalp point below a position.

    The position is projected onto the scalp along the outward normal: the gradient of the
    blurred, filled head, averaged over the patch of scalp around the projected point. The
    coil's centre is `distance` off the scalp along it, and the handle is the direction to
    `handle_towards` within the tangent plane.

    Parameters
    ----------
    head : (nx, ny, nz) labels or mask, nonzero where the head conducts.
    affine : (4, 4) voxel-to-world, mm.
    position : (3,) approximate world position, mm (C3 of a cap).
    handle_towards : (3,) world position that the handle points to, mm (CP3).
    distance : from the scalp to the coil's centre, m.
    coil : if given, it must not reach into the head when placed.

    Returns
    -------
    (4, 4) coil-to-world matrix, metres.

    Raises
    ------
    InputError
        If the position is more than 50 mm off the scalp, the handle's direction is along
        the normal, or the coil or its centre is inside the head.
    """
    return place_all(head, affine, [(position, handle_towards)], distance, coil)[0]


def place_all(head: ArrayLike, affine: ArrayLike, places: Sequence[tuple[ArrayLike, ArrayLike]],
              distance: float = 0.004, coil: Coil | None = None) -> list[np.ndarray]:  # fmt: skip
    """Place a coil at several (position, handle_towards), the head prepared once; see `place`."""
    filled, affine = _prepare(head, affine)
    distance = check_positive("distance", distance)
    return [_place(filled, affine, *pair, distance, coil) for pair in places]


def scalp_grid(head: ArrayLike, affine: ArrayLike, matrix: ArrayLike, spacing: float, steps: int,
           distance: float = 0.004,
           coil: Coil | None = None) -> list[tuple[tuple[float, float], np.ndarray]]:  # fmt: skip
    """Place a coil on a square grid over the scalp around a placement, its own one included.

    The points are `spacing` apart in the plane of the coil, along its x and y; each is projected
    onto the scalp as in `place`, and the handle keeps its direction within the new tangent plane.

    Parameters
    ----------
    matrix : (4, 4) placement in the middle, m.
    spacing : mm.
    steps : points on either side, so that there are (2 steps + 1)^2.
    head, affine, distance, coil : as for `place`.

    Returns
    -------
    list of ((across, along), (4, 4) placement): mm along the middle one's x and y.
    """
    matrix = check_shape("matrix", np.asarray(matrix, float), (4, 4))
    spacing = check_positive("spacing", spacing)
    if steps != int(steps) or steps < 0:
        raise InputError(f"steps must be a whole number from 0 on, got {steps!r}.")
    offsets = spacing * np.arange(-int(steps), int(steps) + 1)
    middle = matrix[:3, 3] * 1e3
    grid = [(float(a), float(b)) for a in offsets for b in offsets]
    points = [middle + a * matrix[:3, 0] + b * matrix[:3, 1] for a, b in grid]
    places = [(point, point + 40 * matrix[:3, 1]) for point in points]
    return list(zip(grid, place_all(head, affine, places, distance, coil), strict=True))


def rotated(matrix: ArrayLike, degrees: float) -> np.ndarray:
    """Turn a placement about the coil's z, counter-clockwise as seen from outside the head."""
    angle = np.radians(float(check_finite("degrees", degrees)))
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    return check_shape("matrix", np.asarray(matrix, float), (4, 4)) @ turn


def from_matrix(
    head: ArrayLike, affine: ArrayLike, matsimnibs: ArrayLike, coil: Coil | None = None
) -> np.ndarray:
    """Take a placement from a SimNIBS matrix (mm), after checking that it fits the head.

    Returns
    -------
    (4, 4) coil-to-world matrix, metres.

    Raises
    ------
    InputError
        If the axes are not orthonormal and right-handed, z does not lead from the coil's centre
        into the head within 100 mm, or the coil is inside the head.
    """
    filled, affine = _prepare(head, affine)
    matrix = from_simnibs(matsimnibs)
    points = (Coil(positions=np.zeros((1, 3)), moments=np.zeros((1, 3))) if coil is None
              else coil).transformed(matrix).source_points()  # fmt: skip
    check_outside(filled, affine, np.concatenate([matrix[None, :3, 3], points]))
    if _to_scalp(filled, affine, matrix) is None:
        raise InputError("The placement's z does not lead into the head: the columns of a matrix "
                         "are x to the right wing, y along the handle and z towards the head, "
                         "then the coil's centre in mm.")  # fmt: skip
    return matrix


def distances(
    head: ArrayLike, affine: ArrayLike, matrix: ArrayLike, coil: Coil
) -> dict[str, float | None]:
    """Distances of a placed coil from the scalp.

    Returns
    -------
    centre_to_scalp_mm : from the coil's centre along its z, None if that misses the head.
    nearest_to_scalp_mm : from the nearest winding or dipole to the nearest voxel of the scalp,
        less half its edge; None for a coil given as a sampled field only.
    """
    filled, affine = _prepare(head, affine)
    matrix = check_shape("matrix", np.asarray(matrix, float), (4, 4))
    points = coil.transformed(matrix).source_points() * 1e3
    nearest = None
    if len(points):
        scalp = np.argwhere(filled & ~ndimage.binary_erosion(filled))
        tree = cKDTree(scalp @ affine[:3, :3].T + affine[:3, 3])
        nearest = float(tree.query(points)[0].min() - voxel_sizes(affine).min() / 2)
    return {"centre_to_scalp_mm": _to_scalp(filled, affine, matrix), "nearest_to_scalp_mm": nearest}


def from_simnibs(matrix: ArrayLike) -> np.ndarray:
    """Turn a SimNIBS `matsimnibs` (mm; x, y handle, z into the head) into a placement, metres."""
    result = np.array(check_finite("matsimnibs", check_shape("matsimnibs", matrix, (4, 4))), float)
    result[:3, 3] *= 1e-3
    return result


def to_simnibs(matrix: ArrayLike) -> np.ndarray:
    """Turn a placement (metres) into a SimNIBS `matsimnibs` (millimetres)."""
    result = np.array(check_finite("matrix", check_shape("matrix", matrix, (4, 4))), float)
    result[:3, 3] *= 1e3
    return result


def check_outside(head: ArrayLike, affine: ArrayLike, points: ArrayLike) -> None:
    """Raise `InputError` if any of the world points (N, 3), m, is in a voxel of the head."""
    head = np.asarray(head) != 0
    index = _to_voxels(np.asarray(points, float) * 1e3, affine)
    index = index[np.all((index >= 0) & (index < head.shape), axis=1)]
    inside = int(np.count_nonzero(head[tuple(index.T)]))
    if inside:
        raise InputError(f"{inside} points of the coil are inside the head: raise the distance or "
                         "move the position.")  # fmt: skip


def _prepare(head: ArrayLike, affine: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Checked head, filled and cut to its box, and its affine."""
    head = check_shape("head", head, (None, None, None)) != 0
    affine = check_affine("affine", affine)
    axes = affine[:3, :3] / voxel_sizes(affine)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise InputError(
            "The affine is sheared: voxel axes must be orthogonal; resample the head first."
        )
    if not head.any():
        raise InputError("The head mask is empty.")
    return _fill(head, affine)


def _place(filled: np.ndarray, affine: np.ndarray, position: ArrayLike, handle_towards: ArrayLike,
           distance: float, coil: Coil | None) -> np.ndarray:  # fmt: skip
    position = check_finite("position", check_shape("position", np.asarray(position, float), (3,)))
    towards = np.asarray(handle_towards, float)
    towards = check_finite("handle_towards", check_shape("handle_towards", towards, (3,)))
    scalp, normals = _scalp(filled, affine, position)
    gap = np.linalg.norm(scalp - position, axis=1)
    nearest = int(gap.argmin())
    if gap[nearest] > _FARTHEST:
        raise InputError(f"The position {position} mm is {gap[nearest]:.0f} mm off the scalp "
                         f"(at most {_FARTHEST:.0f}): is it in the same world?")  # fmt: skip
    surface = scalp[nearest]
    for _ in range(_PROJECTIONS):
        patch = np.linalg.norm(scalp - surface, axis=1) <= _PATCH
        if not patch.any():
            raise InputError(f"No scalp below {position} mm along its normal: the position is "
                             "over a fold or an edge of the head.")  # fmt: skip
        outward = normals[patch].sum(axis=0)
        outward /= np.linalg.norm(outward)
        foot = position + ((surface - position) @ outward) * outward
        surface = _outermost(filled, affine, foot, outward)

    matrix = np.eye(4)
    matrix[:3, 2] = -outward
    handle = towards - surface
    flat = handle - (handle @ outward) * outward
    if np.linalg.norm(flat) < 0.05 * np.linalg.norm(handle) or not np.linalg.norm(handle):
        raise InputError("handle_towards is above or below the position: the direction of the "
                         "handle is undetermined.")  # fmt: skip
    matrix[:3, 1] = flat / np.linalg.norm(flat)
    matrix[:3, 0] = np.cross(matrix[:3, 1], matrix[:3, 2])
    matrix[:3, 3] = surface * 1e-3 + distance * outward
    centre = matrix[None, :3, 3]
    points = centre if coil is None else np.concatenate(
        [centre, coil.transformed(matrix).source_points()])  # fmt: skip
    check_outside(filled, affine, points)
    return matrix


def _to_scalp(filled: np.ndarray, affine: np.ndarray, matrix: np.ndarray) -> float | None:
    """Millimetres from the coil's centre along its z to the head, or None if it is missed."""
    along = np.arange(0, _REACH, 0.05)
    index = _to_voxels(matrix[:3, 3] * 1e3 + along[:, None] * matrix[:3, 2], affine)
    valid = np.all((index >= 0) & (index < filled.shape), axis=1)
    hit = along[valid][filled[tuple(index[valid].T)]]
    return float(hit[0]) if hit.size else None


def _fill(head: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Head with its inner air filled, cut to its box, with a border of air; and its affine."""
    box = ndimage.find_objects(head.astype(np.uint8))[0]
    filled = np.pad(ndimage.binary_fill_holes(head[box]), 1)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ (np.array([part.start for part in box]) - 1.0)
    return filled, moved


def _scalp(
    filled: np.ndarray, affine: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 3) of the scalp's voxels around a position, mm, and their outward normals."""
    voxel = voxel_sizes(affine)
    scalp = np.argwhere(filled & ~ndimage.binary_erosion(filled))
    world = scalp @ affine[:3, :3].T + affine[:3, 3]
    gap = np.linalg.norm(world - position, axis=1)
    chosen = gap <= gap.min() + 2 * _PATCH + 2 * voxel.max()
    scalp, world = scalp[chosen], world[chosen]
    margin = np.ceil(4 * _SMOOTHING / voxel).astype(int) + 1
    low = np.maximum(scalp.min(axis=0) - margin, 0)
    high = scalp.max(axis=0) + margin + 1
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    # Beyond the top of the image there is air, beyond a cut neck there is none: 'nearest'
    # keeps the head going there, and the border of air is only one voxel wide.
    blurred = ndimage.gaussian_filter(
        filled[window].astype(np.float32), _SMOOTHING / voxel, mode="nearest"
    )
    slopes = np.stack(np.gradient(blurred), axis=-1)[tuple((scalp - low).T)]
    normals = -slopes @ np.linalg.inv(affine[:3, :3])
    return world, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _outermost(
    filled: np.ndarray, affine: np.ndarray, point: np.ndarray, outward: np.ndarray
) -> np.ndarray:
    """Where the line through `point` along `outward` leaves the head last, within 20 mm."""
    step = 0.05
    along = np.arange(-20.0, 20.0, step)
    index = _to_voxels(point + along[:, None] * outward, affine)
    inside = np.zeros(len(along), bool)
    valid = np.all((index >= 0) & (index < filled.shape), axis=1)
    inside[valid] = filled[tuple(index[valid].T)]
    if not inside.any():
        raise InputError(f"No scalp within 20 mm of {point} mm along its normal: the position is "
                         "over a fold or an edge of the head.")  # fmt: skip
    return point + (along[np.flatnonzero(inside)[-1]] + step / 2) * outward


def _to_voxels(world: np.ndarray, affine: ArrayLike) -> np.ndarray:
    affine = np.asarray(affine, float)
    return np.round((world - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
