"""Volumes onto isotropic RAS grids and back, exactly where the voxel grids coincide."""

from __future__ import annotations

import logging

import nibabel
import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import (
    InputError,
    check_affine,
    check_option,
    check_positive,
    check_shape,
    voxel_sizes,
)
from headcond.mri import _sitk

logger = logging.getLogger(__name__)

GRID_TOLERANCE = 1e-3
"""Two grids coincide if their voxel centres differ by less than this part of a voxel."""


def conform(
    data: np.ndarray,
    affine: np.ndarray,
    voxel_size: float,
    shape: tuple[int, int, int],
    order: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Bring a volume onto an isotropic RAS grid of a given shape, padded with 0.

    World coordinates are kept. Along an axis where the new field of view contains the old
    one, their centres agree; otherwise the new field is centred on the foreground (Otsu for
    images, non-zero for labels). Foreground that still falls outside is counted and logged
    as a warning.

    Where the old axes are parallel to the world's and the new voxel is a whole multiple
    of the old one, nothing is interpolated: shift, pad, crop, and blocks averaged (images)
    or decided by majority (labels). See `resample` for other grids.

    Parameters
    ----------
    data : (nx, ny, nz) volume; any orientation.
    affine : (4, 4) voxel -> RAS world, mm.
    voxel_size : edge of the new voxels, mm.
    shape : voxels of the new grid along R, A, S.
    order : 0 for labels (dtype kept), 1 to 5 for images (spline order, float32).

    Returns
    -------
    data : `shape` array.
    affine : (4, 4) of the new grid; its 3 x 3 part is `voxel_size` times the identity.

    Raises
    ------
    InputError
        If `data` is not 3-D, or `voxel_size`, `shape` or `order` is invalid.
    """
    data, affine = _check(data, affine, order)
    size = check_positive("voxel_size", voxel_size)
    shape = _check_grid_shape(shape)
    canonical, canonical_affine = to_ras(data, affine)
    target = conformed_affine(canonical, canonical_affine, size, shape, order)
    out = resample(canonical, canonical_affine, target, shape, order)
    lost, _ = lost_foreground(canonical, canonical_affine, target, shape, order)
    if lost:
        logger.warning(
            "%d foreground voxels are outside the grid of %s voxels of %g mm.", lost, shape, size
        )
    return out, target


def resample_conductivity(
    conductivity: np.ndarray,
    affine: np.ndarray,
    target_affine: np.ndarray,
    target_shape: tuple[int, int, int],
) -> np.ndarray:
    """Resample a conductivity map, to its scan's own grid for example, with air exactly 0.

    Only tissue takes part: the mean over the tissue in a voxel if that is half of it or
    more, else air. So nothing fades out at the skin, and a grid that `conform` only padded
    gets back the map voxel by voxel.

    Parameters
    ----------
    conductivity : (nx, ny, nz) S/m, 0 in air.
    affine, target_affine : (4, 4) voxel -> RAS world, mm.
    target_shape : voxels of the target grid.

    Returns
    -------
    `target_shape` float32, S/m; 0 also outside the source grid.
    """
    tissue = (np.asarray(conductivity) > 0).astype(np.float32)
    share = resample(tissue, affine, target_affine, target_shape)
    total = resample(conductivity, affine, target_affine, target_shape)
    return np.divide(total, share, out=np.zeros_like(total), where=share >= 0.5)


def resample(
    data: np.ndarray,
    affine: np.ndarray,
    target_affine: np.ndarray,
    target_shape: tuple[int, int, int],
    order: int = 1,
) -> np.ndarray:
    """Resample a volume onto another grid in world coordinates, 0 outside its field.

    Grids that coincide up to permuted or flipped axes and a shift by whole voxels are
    copied; target voxels that are blocks of whole source voxels are averaged (images) or
    take the most frequent label (ties: tissue before 0, then the lower id). Anything
    else is interpolated: nearest voxel for labels; for images a spline, after a Gaussian
    of the width that matches the coarser voxels where the target is coarser
    (sigma^2 = (s^2 - 1)/(8 ln 2) source voxels at a ratio s; Cardoso et al., MICCAI 2015).

    Parameters
    ----------
    data : (nx, ny, nz) volume.
    affine, target_affine : (4, 4) voxel -> RAS world, mm.
    target_shape : voxels of the target grid.
    order : 0 for labels (dtype kept), 1 to 5 for images (spline order, float32).

    Raises
    ------
    InputError
        If `data` is not 3-D or an affine, the shape or the order is invalid.
    """
    data, affine = _check(data, affine, order)
    target_affine = check_affine("target affine", target_affine)
    target_shape = _check_grid_shape(target_shape)
    matrix = np.linalg.inv(affine) @ target_affine
    blocks = _whole_blocks(matrix, data.shape, target_shape)
    if blocks is not None:
        return _take_blocks(data, *blocks, target_shape, order)
    source = data if order == 0 else data.astype(np.float32)
    if order:
        ratio = np.maximum(np.linalg.norm(matrix[:3, :3], axis=1), 1.0)
        sigma = np.sqrt((ratio**2 - 1) / (8 * np.log(2)))
        if sigma.max() > 0.05:
            source = ndimage.gaussian_filter(source, sigma, mode="constant", truncate=3.0)
    linear = matrix[:3, :3]
    if np.array_equal(linear, np.diag(np.diag(linear))):
        linear = np.diag(linear)  # scipy's separable path
    return ndimage.affine_transform(
        source, linear, matrix[:3, 3], target_shape, order=order, mode="grid-constant", cval=0
    )


def finer_grid(
    shape: tuple[int, int, int], affine: np.ndarray, factor: int
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine (4, 4) of the grid whose blocks of `factor`^3 voxels are those of another.

    Raises
    ------
    InputError
        If `factor` is no whole number from 1 on, or the shape or the affine is invalid.
    """
    if factor != int(factor) or factor < 1:
        raise InputError(f"factor must be a whole number from 1 on, got {factor!r}.")
    shape = _check_grid_shape(shape)
    fine = check_affine("affine", affine).copy()
    fine[:3, :3] /= factor
    fine[:3, 3] -= fine[:3, :3] @ np.full(3, (factor - 1) / 2)
    return tuple(int(factor) * side for side in shape), fine


def to_ras(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Permute and flip axes so that they run nearest to R, A, S; no voxel changes its value."""
    orientation = nibabel.orientations.io_orientation(affine)
    moved = nibabel.orientations.apply_orientation(data, orientation)
    change = nibabel.orientations.inv_ornt_aff(orientation, data.shape)
    return np.ascontiguousarray(moved), np.asarray(affine, float) @ change


def conformed_affine(
    data: np.ndarray,
    affine: np.ndarray,
    voxel_size: float,
    shape: tuple[int, int, int],
    order: int = 1,
) -> np.ndarray:
    """Affine (4, 4) of the grid that `conform` chooses for a volume in RAS orientation."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in data.shape])).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    low, high = world.min(1), world.max(1)
    extent = voxel_size * np.array(shape, float)
    short = extent < high - low - GRID_TOLERANCE * voxel_size
    if short.any():
        mask = np.argwhere(_foreground(data, order))
        points = mask @ affine[:3, :3].T + affine[:3, 3]
        low = np.where(short, points.min(0) - voxel_size / 2, low)
        high = np.where(short, points.max(0) + voxel_size / 2, high)
    target = np.diag([voxel_size] * 3 + [1.0])
    target[:3, 3] = (low + high) / 2 - extent / 2 + voxel_size / 2
    sizes = voxel_sizes(affine)
    aligned = np.allclose(
        affine[:3, :3], np.diag(sizes), atol=GRID_TOLERANCE * sizes.min() / max(data.shape)
    )
    if aligned:
        # Put the first block's first voxel centre on the old grid, at most half an old voxel away.
        first = (target[:3, 3] - (voxel_size - sizes) / 2 - affine[:3, 3]) / sizes
        snapped = np.floor(first + 0.5 + 1e-9)
        target[:3, 3] = affine[:3, 3] + snapped * sizes + (voxel_size - sizes) / 2
    return target


def _foreground(data: np.ndarray, order: int) -> np.ndarray:
    if order and data.min() < data.max():
        return _sitk.otsu(data)
    mask = data != 0
    return mask if mask.any() else np.ones_like(mask)


def lost_foreground(
    data: np.ndarray,
    affine: np.ndarray,
    target: np.ndarray,
    shape: tuple[int, int, int],
    order: int = 1,
) -> tuple[int, int]:
    """Number of a head's voxels outside a grid, and of all its voxels.

    Parameters
    ----------
    data, affine : volume and its (4, 4) voxel to world matrix, mm.
    target, shape : (4, 4) matrix and voxels of the grid.
    order : 0 for labels (all but 0 is head), else an image (Otsu's threshold).
    """
    index = np.argwhere(_foreground(data, order))
    matrix = np.linalg.inv(target) @ affine
    there = index @ matrix[:3, :3].T + matrix[:3, 3]
    slack = 0.5 + GRID_TOLERANCE
    inside = (there >= -slack) & (there <= np.array(shape) - 1 + slack)
    return int(np.count_nonzero(~inside.all(1))), len(index)


def _whole_blocks(
    matrix: np.ndarray, source_shape: tuple[int, ...], target_shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Source axis, sign, block edge and first source voxel per target axis, or None."""
    linear = matrix[:3, :3]
    whole = np.rint(linear)
    # The grids may drift apart by no more than the tolerance from one end to the other.
    reach = GRID_TOLERANCE / max(*target_shape, *source_shape)
    if np.abs(linear - whole).max() > reach:
        return None
    if (np.count_nonzero(whole, axis=0) != 1).any() or (np.count_nonzero(whole, axis=1) != 1).any():
        return None
    axes = np.abs(whole).argmax(0)
    signed = whole[axes, range(3)]
    edge = np.abs(signed).astype(int)
    sign = np.sign(signed).astype(int)
    first = matrix[:3, 3][axes] - sign * (edge - 1) / 2
    start = np.rint(first)
    if np.abs(first - start).max() > GRID_TOLERANCE:
        return None
    return axes, sign, edge, start.astype(int)


def _take_blocks(
    data: np.ndarray,
    axes: np.ndarray,
    sign: np.ndarray,
    edge: np.ndarray,
    start: np.ndarray,
    shape: tuple[int, int, int],
    order: int,
) -> np.ndarray:
    turned = np.transpose(data, axes)
    start = start.copy()
    for axis in range(3):
        if sign[axis] < 0:
            turned = np.flip(turned, axis)
            start[axis] = turned.shape[axis] - 1 - start[axis]
    length = edge * np.array(shape)
    low, high = np.maximum(start, 0), np.minimum(start + length, turned.shape)
    kind = data.dtype if order == 0 else np.float32
    window = np.zeros(length, kind)
    if (high > low).all():
        inner = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        window[inner] = turned[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    if (edge == 1).all():
        return window
    return majority(window, edge) if order == 0 else block_mean(window, edge)


def block_mean(
    values: ArrayLike, factor: ArrayLike, dtype: npt.DTypeLike = np.float64
) -> np.ndarray:
    """Mean over blocks of voxels: sub-voxel conductivity or signal from a finer grid.

    Parameters
    ----------
    values : (nx, ny, nz).
    factor : voxels along the edge of a block, one number or one per axis.
    dtype : in which a block is summed.

    Returns
    -------
    (nx/kx, ny/ky, nz/kz) float32.

    Raises
    ------
    InputError
        If the shape is not a multiple of `factor`.
    """
    blocks, total = _blocks(values, factor, dtype)
    for part in blocks:
        total += part
    return (total / total.dtype.type(len(blocks))).astype(np.float32)


def majority(labels: ArrayLike, factor: ArrayLike, zero_last: bool = True) -> np.ndarray:
    """Most frequent label of each block of voxels; of equals the lowest.

    Parameters
    ----------
    labels : (nx, ny, nz) integers.
    factor : voxels along the edge of a block, one number or one per axis.
    zero_last : whether a tie between 0 and a tissue goes to the tissue.

    Returns
    -------
    (nx/kx, ny/ky, nz/kz) array of the same dtype.
    """
    blocks, most = _blocks(labels, factor, np.int32)
    present = np.unique(labels)
    winner = np.zeros(most.shape, present.dtype)
    if zero_last:
        present = np.concatenate((present[present != 0], present[present == 0]))
    for label in present:
        count = np.zeros_like(most)
        for part in blocks:
            count += part == label
        better = count > most
        winner[better] = label
        most[better] = count[better]
    return winner


def _blocks(
    values: ArrayLike, factor: ArrayLike, dtype: npt.DTypeLike
) -> tuple[list[np.ndarray], np.ndarray]:
    # One view per voxel of a block, each with an entry per block; and zeros of that shape.
    values = check_shape("values", values, (None, None, None))
    edge = np.broadcast_to(factor, 3)
    if edge.min() < 1 or any(np.array(values.shape) % edge):
        raise InputError(f"A grid of {values.shape} cannot be cut into blocks of side {factor}.")
    corners = np.ndindex(*(int(n) for n in edge))
    views = [
        values[tuple(slice(first, None, step) for first, step in zip(corner, edge, strict=True))]
        for corner in corners
    ]
    return views, np.zeros(views[0].shape, dtype)


def _check(data: np.ndarray, affine: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    data = check_shape("data", data, (None, None, None))
    if data.size == 0:
        raise InputError(f"data of shape {data.shape} holds no voxel.")
    if data.dtype == bool:
        raise InputError("data is boolean: pass a mask as uint8 labels with order=0.")
    check_option("order", order, (0, 1, 2, 3, 4, 5))
    return data, check_affine("affine", affine)


def _check_grid_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    numbers = tuple(int(n) for n in shape)
    if len(numbers) != 3 or min(numbers) < 1:
        raise InputError(f"The grid's shape must be three positive integers, got {shape!r}.")
    return numbers
