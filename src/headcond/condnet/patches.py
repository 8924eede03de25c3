"""Homogeneous patches of tissue in one axial slice, where maps are compared (Fig. 7 of CondNet)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from headcond.checks import InputError, check_option, check_positive, check_shape, voxel_sizes
from headcond.tissues import TISSUES

PATCH_TISSUES = ("wm", "gm", "fat", "bone_cancellous", "bone_cortical", "muscle", "csf")
"""The paper's seven, in its order."""
AREA = 100.0
"""Area of a patch, mm^2."""
FEWEST = 9
"""Fewest voxels of a patch, however coarse the grid."""


class Patch(NamedTuple):
    """Voxels (n, 3) of one tissue in one axial slice, and how far (mm) their centre is inside."""

    tissue: str
    voxels: np.ndarray
    depth: float


def find_patches(
    labels: np.ndarray,
    affine: np.ndarray,
    tissues: Sequence[str] = PATCH_TISSUES,
    area: float = AREA,
) -> list[Patch]:
    """Find one homogeneous patch of every tissue, all in one axial slice near the middle.

    A patch is where its tissue is thickest: its centre is the voxel of the slice that is
    farthest, in three dimensions, from the nearest voxel that is not of the tissue. The patch is
    the voxels of that tissue in the slice that are nearest to the centre and connected with it
    through the tissue, as many as fill `area` (and `FEWEST` at least), so it is a disc in the
    depth of a tissue and a strip along a thin layer. All of its voxels have one label.

    The slice is the one in the middle of the head along the third axis, or else the nearest
    slice (the upper of two) in which every tissue of the head has a connected part that is large
    enough. If no slice has all of them, it is the slice with the most.

    Parameters
    ----------
    labels : (nx, ny, nz) ids of headcond13 on a RAS+ grid.
    affine : (4, 4) voxel to world, mm.
    tissues : names, in the order of the result.
    area : mm^2.

    Returns
    -------
    A patch per tissue that fits into the slice, in the order of `tissues`.

    Raises
    ------
    InputError
        If a name is unknown, or no tissue fits into any slice.
    """
    labels = check_shape("labels", labels, (None, None, None))
    for name in tissues:
        check_option("tissue of a patch", name, TISSUES)
    sizes = voxel_sizes(affine)
    count = max(FEWEST, int(np.ceil(check_positive("area", area) / (sizes[0] * sizes[1]))))
    filled = np.flatnonzero((labels > 0).any(axis=(0, 1)))
    if not filled.size:
        raise InputError("labels hold no tissue.")
    ids = {name: TISSUES.index(name) + 1 for name in tissues}
    middle = (filled[0] + filled[-1]) / 2
    order = sorted(filled, key=lambda k: (abs(k - middle), -k))
    wanted = sum(bool(np.any(labels == number)) for number in ids.values())
    best, most = order[0], 0
    for k in order:
        fitting = sum(_largest(labels[:, :, k] == number) >= count for number in ids.values())
        if fitting > most:
            best, most = k, fitting
        if fitting == wanted:
            break
    if not most:
        raise InputError(
            f"No axial slice has {count} connected voxels of any of {', '.join(tissues)}."
        )
    patches = []
    for name, number in ids.items():
        patch = _grow(labels == number, int(best), sizes, count)
        if patch is not None:
            patches.append(Patch(name, *patch))
    return patches


def sample_patches(patches: Sequence[Patch], maps: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Values of every map in the voxels of the patches.

    Parameters
    ----------
    patches : of `find_patches`.
    maps : name -> (nx, ny, nz) S/m.

    Returns
    -------
    A row per voxel: patch (from 1), tissue, i, j, k, depth_mm of the patch's centre, and the
    value of each map, S/m.
    """
    rows = []
    for number, patch in enumerate(patches, 1):
        i, j, k = patch.voxels.T
        place = {"patch": number, "tissue": patch.tissue, "i": i, "j": j, "k": k}
        values = {name: volume[i, j, k] for name, volume in maps.items()}
        rows.append(pd.DataFrame({**place, "depth_mm": patch.depth, **values}))
    return pd.concat(rows, ignore_index=True)


def _largest(plane: np.ndarray) -> int:
    """Voxels of the largest connected part."""
    parts, count = ndimage.label(plane)
    return int(np.bincount(parts.ravel())[1:].max()) if count else 0


def _grow(
    mask: np.ndarray, k: int, sizes: np.ndarray, count: int
) -> tuple[np.ndarray, float] | None:
    """Voxels of the patch in slice k and the depth of its centre; None if it does not fit."""
    parts, _ = ndimage.label(mask[:, :, k])
    large = np.isin(parts, np.flatnonzero(np.bincount(parts.ravel()) >= count)) & (parts > 0)
    if not large.any():
        return None
    # No voxel is deeper in three dimensions than in two, so a slab will do; with a border of
    # air, because beyond the image there is no tissue.
    flat = ndimage.distance_transform_edt(np.pad(mask[:, :, k], 1), sampling=sizes[:2])
    reach = 1 + int(np.ceil(flat.max() / sizes[2]))
    slab = slice(max(k - reach, 0), k + reach + 1)
    padded = np.pad(mask[:, :, slab], 1)
    depth = ndimage.distance_transform_edt(padded, sampling=sizes)[1:-1, 1:-1, 1 + k - slab.start]
    centre = np.unravel_index(np.argmax(np.where(large, depth, 0)), depth.shape)
    places = np.argwhere(parts == parts[centre])
    distance = np.linalg.norm((places - centre) * sizes[:2], axis=1)
    # The nearest voxels may be across a fold: widen until enough of them are connected.
    for radius in np.unique(distance):
        near = np.zeros_like(large)
        near[tuple(places[distance <= radius].T)] = True
        joined, _ = ndimage.label(near)
        chosen = joined[tuple(places.T)] == joined[centre]
        if np.count_nonzero(chosen) >= count:
            break
    order = np.argsort(distance[chosen], kind="stable")
    inside = places[chosen][order]
    return np.column_stack([inside, np.full(len(inside), k)]), float(depth[centre])
