"""Where the coil stands: a position on the scalp, the handle's direction, a distance.

A placement is a 4x4 matrix from the coil's frame to the world, RAS+, **in metres**. Its columns
are the axes of `coil`: x to the right wing, y along the handle, z into the head (towards the
scalp, against the outward normal); its translation is the coil's centre. SimNIBS' matrices
have the same axes with a translation in millimetres: see `from_simnibs`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import (
    InputError,
    check_affine,
    check_finite,
    check_positive,
    check_shape,
    voxel_sizes,
)
from headcond.tms.coil import Coil

_FARTHEST = 50.0  # mm that an approximate position may lie off the scalp
_SMOOTHING = 4.0  # mm, standard deviation of the blur that gives the normal
_PROJECTIONS = 4  # the foot of the normal settles within a fraction of a voxel
_PATCH = 10.0  # mm, radius of the patch of scalp over which normals are averaged


def place(head: ArrayLike, affine: ArrayLike, position: ArrayLike, handle_towards: ArrayLike,
          distance: float = 0.004, coil: Coil | None = None) -> np.ndarray:  # fmt: skip
    """Place a coil tangentially over the scalp point below a position.

    The position is projected onto the scalp along the outward normal: the gradient of the
    blurred, filled head, averaged over the patch of scalp around the projected point. The
    coil's centre stands `distance` off the scalp along it, and the handle is the direction to
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
        If the position lies more than 50 mm off the scalp, the handle's direction is along
        the normal, or the coil or its centre comes to lie inside the head.
    """
    head = check_shape("head", head, (None, None, None)) != 0
    affine = check_affine("affine", affine)
    position = check_finite("position", check_shape("position", np.asarray(position, float), (3,)))
    towards = np.asarray(handle_towards, float)
    towards = check_finite("handle_towards", check_shape("handle_towards", towards, (3,)))
    distance = check_positive("distance", distance)
    if not head.any():
        raise InputError("The head mask is empty.")

    filled, affine = _fill(head, affine)
    scalp, normals = _scalp(filled, affine, position)
    gap = np.linalg.norm(scalp - position, axis=1)
    nearest = int(gap.argmin())
    if gap[nearest] > _FARTHEST:
        raise InputError(f"The position {position} mm lies {gap[nearest]:.0f} mm off the scalp "
                         f"(at most {_FARTHEST:.0f}): is it in the same world?")  # fmt: skip
    surface = scalp[nearest]
    for _ in range(_PROJECTIONS):
        patch = np.linalg.norm(scalp - surface, axis=1) <= _PATCH
        if not patch.any():
            raise InputError(f"No scalp below {position} mm along its normal: the position lies "
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
        raise InputError("handle_towards lies above or below the position: the direction of the "
                         "handle is undetermined.")  # fmt: skip
    matrix[:3, 1] = flat / np.linalg.norm(flat)
    matrix[:3, 0] = np.cross(matrix[:3, 1], matrix[:3, 2])
    matrix[:3, 3] = surface * 1e-3 + distance * outward
    centre = matrix[None, :3, 3]
    points = centre if coil is None else np.concatenate(
        [centre, coil.transformed(matrix).source_points()])  # fmt: skip
    check_outside(filled, affine, points)
    return matrix


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
    """Raise `InputError` if any of the world points (N, 3), m, lies in a voxel of the head."""
    head = np.asarray(head) != 0
    index = _to_voxels(np.asarray(points, float) * 1e3, affine)
    index = index[np.all((index >= 0) & (index < head.shape), axis=1)]
    inside = int(np.count_nonzero(head[tuple(index.T)]))
    if inside:
        raise InputError(f"{inside} points of the coil lie inside the head: raise the distance or "
                         "move the position.")  # fmt: skip


def _fill(head: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Head with its inner air filled, cut to its box, with a border of air; and its affine."""
    box = ndimage.find_objects(head.astype(np.uint8))[0]
    filled = np.pad(ndimage.binary_fill_holes(head[box]), 1)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ (np.array([part.start for part in box]) - 1.0)
    return filled, moved


def _scalp(filled: np.ndarray, affine: np.ndarray,
           position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
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
    blurred = ndimage.gaussian_filter(filled[window].astype(np.float32), _SMOOTHING / voxel,
                                      mode="nearest")  # fmt: skip
    slopes = np.stack(np.gradient(blurred), axis=-1)[tuple((scalp - low).T)]
    normals = -slopes @ np.linalg.inv(affine[:3, :3])
    return world, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _outermost(filled: np.ndarray, affine: np.ndarray, point: np.ndarray,
               outward: np.ndarray) -> np.ndarray:  # fmt: skip
    """Where the line through `point` along `outward` leaves the head last, within 20 mm."""
    step = 0.05
    along = np.arange(-20.0, 20.0, step)
    index = _to_voxels(point + along[:, None] * outward, affine)
    inside = np.zeros(len(along), bool)
    valid = np.all((index >= 0) & (index < filled.shape), axis=1)
    inside[valid] = filled[tuple(index[valid].T)]
    if not inside.any():
        raise InputError(f"No scalp within 20 mm of {point} mm along its normal: the position lies "
                         "over a fold or an edge of the head.")  # fmt: skip
    return point + (along[np.flatnonzero(inside)[-1]] + step / 2) * outward


def _to_voxels(world: np.ndarray, affine: ArrayLike) -> np.ndarray:
    affine = np.asarray(affine, float)
    return np.round((world - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
