"""The grey matter's outer surface, and fields sampled on it from inside the grey matter."""

from __future__ import annotations

import nibabel
import numpy as np
from nibabel import gifti as nifti_surface
from numpy.typing import ArrayLike
from scipy import ndimage
from skimage.measure import marching_cubes

from headcond import tissues
from headcond.checks import InputError, check_affine, check_shape, voxel_sizes

_CEREBRUM = ("gm", "wm")
_SMOOTHING = 1.0  # mm, standard deviation of the blur that takes the steps off the voxels


def grey_surface(labels13: ArrayLike, affine: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Outer surface of the cerebrum's grey matter by marching cubes.

    Parameters
    ----------
    labels13 : (nx, ny, nz) headcond13 labels.
    affine : (4, 4) voxel-to-world, mm.

    Returns
    -------
    points : (N, 3) world mm.
    triangles : (M, 3) corners, oriented outward.
    """
    labels = check_shape("labels13", labels13, (None, None, None))
    affine = check_affine("affine", affine)
    mask = np.isin(labels, [tissues.tissue_id(name) for name in _CEREBRUM])
    if not mask.any():
        raise InputError("The labels hold no grey or white matter.")
    blurred = ndimage.gaussian_filter(
        np.pad(mask, 3).astype(np.float32), _SMOOTHING / voxel_sizes(affine)
    )
    # "ascent" makes the corners run counter-clockwise as seen from outside the mask.
    points, triangles, _, _ = marching_cubes(blurred, 0.5, gradient_direction="ascent")
    if np.linalg.det(affine[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    return (points - 3) @ affine[:3, :3].T + affine[:3, 3], triangles


def sample_inside(
    field: ArrayLike, mask: ArrayLike, affine: ArrayLike, points: ArrayLike
) -> np.ndarray:
    """Values of a field at points on the border of a mask, from its inside only.

    E jumps where conductivity does, so voxels outside the mask must not enter: trilinear
    weights are taken over voxels of the mask and renormalised; where none of the eight is in
    it, the nearest voxel of the mask counts.

    Parameters
    ----------
    field : (nx, ny, nz, k).
    mask : (nx, ny, nz) bool.
    affine : (4, 4) voxel-to-world, mm.
    points : (N, 3) world mm.

    Returns
    -------
    (N, k) float64.
    """
    mask = check_shape("mask", np.asarray(mask, bool), (None, None, None))
    field = check_shape("field", field, (*mask.shape, None))
    if not mask.any():
        raise InputError("The mask is empty.")
    affine = check_affine("affine", affine)
    index = (np.asarray(points, float) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    index = np.clip(index, 0, np.array(mask.shape) - 1)
    low = np.minimum(np.floor(index).astype(int), np.array(mask.shape) - 2).clip(min=0)
    part = index - low
    total, weights = np.zeros((len(index), field.shape[3])), np.zeros(len(index))
    for corner in np.ndindex(2, 2, 2):
        at = tuple(np.minimum(low + corner, np.array(mask.shape) - 1).T)
        weight = np.prod(np.where(corner, part, 1 - part), axis=1) * mask[at]
        total += weight[:, None] * field[at]
        weights += weight
    lost = weights < 1e-6
    if lost.any():
        nearest = ndimage.distance_transform_edt(
            ~mask, voxel_sizes(affine), return_distances=False, return_indices=True
        )
        at = tuple(np.round(index[lost]).astype(int).T)
        total[lost] = field[tuple(nearest[(slice(None), *at)])]
        weights[lost] = 1
    return total / weights[:, None]


def gifti(
    points: ArrayLike, triangles: ArrayLike, vector: ArrayLike
) -> tuple[nibabel.GiftiImage, nibabel.GiftiImage]:
    """Make GIFTI images of a surface and of the field on it, for viewers of surfaces.

    Parameters
    ----------
    points : (N, 3) world mm, RAS+.
    triangles : (M, 3) corners.
    vector : (N, 3) E, V/m, world axes.

    Returns
    -------
    surface : point set (scanner coordinates) and triangles.
    values : four arrays over the points, named |E|, Ex, Ey, Ez.
    """
    points = check_shape("points", np.asarray(points, np.float32), (None, 3))
    vector = check_shape("vector", np.asarray(vector, np.float32), (len(points), 3))
    triangles = check_shape("triangles", np.asarray(triangles, np.int32), (None, 3))
    scanner = nifti_surface.GiftiCoordSystem("NIFTI_XFORM_SCANNER_ANAT", "NIFTI_XFORM_SCANNER_ANAT")
    surface = nifti_surface.GiftiImage(darrays=[
        nifti_surface.GiftiDataArray(points, "NIFTI_INTENT_POINTSET", coordsys=scanner),
        nifti_surface.GiftiDataArray(triangles, "NIFTI_INTENT_TRIANGLE"),
    ])  # fmt: skip
    columns = {"|E|": np.linalg.norm(vector, axis=1)}
    columns |= {f"E{axis}": vector[:, i].copy() for i, axis in enumerate("xyz")}
    values = nifti_surface.GiftiImage(darrays=[
        nifti_surface.GiftiDataArray(column, "NIFTI_INTENT_NONE", meta={"Name": name})
        for name, column in columns.items()
    ])  # fmt: skip
    return surface, values


def head_surface(head: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coarse, smoothed surface of a head for drawings.

    Parameters
    ----------
    head : (nx, ny, nz) bool.
    affine : (4, 4) voxel to world, mm.

    Returns
    -------
    nodes : (n, 3) m.
    faces : (m, 3) int, turned outwards.
    """
    smooth = ndimage.gaussian_filter(np.pad(head, 2).astype(np.float32), 1.0)
    corners, faces, _, _ = marching_cubes(smooth, 0.5, step_size=2)
    nodes = ((corners - 2) @ affine[:3, :3].T + affine[:3, 3]) / 1e3
    outward = np.cross(*(nodes[faces[:, k]] - nodes[faces[:, 0]] for k in (1, 2)))
    volume = np.einsum("ij,ij->", nodes[faces].mean(axis=1), outward)
    return nodes, faces if volume > 0 else faces[:, ::-1]
