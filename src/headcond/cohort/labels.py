"""Label maps of real heads into the package's schemes, with counts of what was changed."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.affines import from_matvec
from scipy import ndimage

from headcond.checks import InputError, check_affine, check_positive, check_shape, voxel_sizes
from headcond.files.results import read_volume
from headcond.mri.resampling import resample, to_ras
from headcond.tissues import EIT_TISSUES, SOFT_TISSUE, label_scheme, tissue_id, to_tissues

logger = logging.getLogger(__name__)

SKIN_DEPTH_MM = 2.5
"""Undivided soft tissue up to this far from the air becomes skin where a map labels none; ours."""
FAT_DEPTH_MM = 4.0
"""Undivided soft tissue up to this far from the skin becomes fat where a map labels none; ours."""
BUBBLE_MM3 = 200.0
"""Air enclosed on all sides and smaller than this is a labelling hole and is filled."""
FLAT_FACE_MM2 = 1000.0
"""A head was cut where its area, extrapolated to the end, is larger than this: the slices of a
round end grow linearly from 0 (2 pi R h)."""
NECK_MARGIN_MM = 10.0
"""Height above the plane in which labels end that is excluded from comparisons; ours."""
FACES = ("left", "right", "posterior", "anterior", "inferior", "superior")
"""Ends of the R, A and S axes, low end first."""

_SCALP, _COMPACT, _SPONGY, _CSF, _GM, _WM = range(1, len(EIT_TISSUES) + 1)
_ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class PreparedLabels:
    """A head ready for the solvers.

    Attributes
    ----------
    labels13 : (nx, ny, nz) uint8, headcond13, RAS order, air on every border.
    affine : (4, 4) voxel -> RAS world, mm.
    cut : names among `FACES` where the head was cut off by the image -> voxels of the
        source image on the cut, see `cut_faces`. It is insulated: outside is air.
    counts : voxels of the source image that were changed, by step.
    """

    labels13: np.ndarray
    affine: np.ndarray
    cut: dict[str, int]
    counts: dict[str, int]


def read_labels(path: str | Path, scheme: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a label map and check that its ids belong to a scheme.

    Parameters
    ----------
    path : NIfTI file.
    scheme : name of `headcond.tissues.label_scheme`.

    Returns
    -------
    labels : (nx, ny, nz) int16, the file's own ids and voxel order.
    affine : (4, 4) voxel -> RAS world, mm.

    Raises
    ------
    InputError
        If the file is not a volume of whole numbers, or an id is not in the scheme.
    """
    values, affine = read_volume(path)
    try:
        to_tissues(values, scheme)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not values.any():
        raise InputError(f"{path}: every voxel is 0, the label map is empty.")
    return values.astype(np.int16), affine


def prepare_labels(
    labels: np.ndarray, affine: np.ndarray, scheme: str, voxel_size: float = 1.0, margin: int = 4
) -> PreparedLabels:
    """Turn a real head's label map into headcond13 on a grid that the solvers can use.

    In the source's own voxels: axes to RAS; ids translated; only the largest connected
    piece kept; enclosed air below `BUBBLE_MM3` given its nearest tissue's id; undivided
    soft tissue divided by depth into what the map labels nowhere else: skin up to
    `SKIN_DEPTH_MM` from the air around the head, fat up to `FAT_DEPTH_MM` from the skin, the
    rest muscle (so the fat behind the eyes becomes muscle in a map without fat); and, where
    the map has no dura, a stand-in for it: CSF and brain voxels that share a face with bone
    become dura, a shell of one voxel inside the skull and the spinal canal. Then the map is
    brought to `voxel_size` (majority of whole blocks, else the nearest voxel), cropped to
    the head and padded with air.

    Parameters
    ----------
    labels : (nx, ny, nz) whole numbers, any orientation.
    affine : (4, 4) voxel -> RAS world, mm.
    scheme : name of `headcond.tissues.label_scheme`.
    voxel_size : edge of the result's voxels, mm.
    margin : voxels of air on every side, at least 1.

    Raises
    ------
    InputError
        If the ids do not fit the scheme, the map is empty, or `margin` is below 1.
    """
    affine = check_affine("affine", affine)
    size = check_positive("voxel_size", voxel_size)
    if margin != int(margin) or margin < 1:
        raise InputError(f"margin must be a whole number of voxels from 1 on, got {margin!r}.")
    labels, affine = to_ras(check_shape("labels", labels, (None, None, None)), affine)
    sizes = voxel_sizes(affine)
    if not np.allclose(affine[:3, :3], np.diag(sizes), atol=1e-3):
        labels, affine = _along_world_axes(labels, affine)
    tissues = to_tissues(labels, scheme)
    if not tissues.any():
        raise InputError("The label map holds only air.")
    volume = float(np.prod(sizes))

    head = largest_component(tissues != 0)
    counts = {"specks_removed": int(np.count_nonzero(tissues) - np.count_nonzero(head))}
    tissues[~head] = 0
    cut = cut_faces(tissues, sizes)
    box = ndimage.find_objects(head.view(np.uint8))[0]
    head, labels = np.pad(head[box], 1), np.pad(labels[box], 1)
    tissues = np.pad(tissues[box], 1)
    affine = affine @ from_matvec(np.eye(3), [side.start - 1 for side in box])

    bubbles = _small_enclosed(~head, BUBBLE_MM3 / volume)
    counts["bubbles_filled"] = int(np.count_nonzero(bubbles))
    _fill_from_nearest(tissues, bubbles, tissues != 0)

    soft = [number for number, name in label_scheme(scheme).items() if name == SOFT_TISSUE]
    if soft:
        outside = largest_component(tissues == 0)
        for face in cut:  # the air laid over a cut borders on no skin
            axis, end = divmod(FACES.index(face), 2)
            outside[(slice(None),) * axis + (-end,)] = False
        counts |= _divide_soft_tissue(tissues, np.isin(labels, soft) & head, outside, sizes)
    if not (tissues == tissue_id("dura")).any():
        counts["dura_shell"] = _add_dura(tissues)

    out, out_affine = _at_voxel_size(tissues, affine, size, int(margin))
    if cut:
        logger.warning("The head is cut at its %s end: insulated there.", ", ".join(cut))
    return PreparedLabels(out, out_affine, cut, counts)


def check_cut(cut: Mapping[str, int], declared: Collection[str]) -> None:
    """Raise `InputError` if the image cuts a head off at a face that is not declared.

    No current leaves through a cut face, so voltages near it are wrong.

    Parameters
    ----------
    cut : voxels of the cut by face, as of `cut_faces`.
    declared : names among `FACES` where a cut is known and accepted.
    """
    undeclared = [f"{f} ({cut[f]} voxels)" for f in FACES if f in cut and f not in declared]
    if undeclared:
        raise InputError(
            f"head.cut: the image cuts the head off at its {', '.join(undeclared)} end, which is "
            "insulated. Take an image that holds the head, or name every such end in head.cut."
        )


def cut_faces(labels: np.ndarray, sizes: np.ndarray) -> dict[str, int]:
    """Ends (`FACES`) where a head in RAS order was cut, with the voxels of the cut.

    An end counts as cut if the head reaches the image's border there, or if it ends flat:
    the area of its slices, extrapolated linearly to the end from those 2 and 4 mm inside
    (the last one of a cut may be ragged), is above `FLAT_FACE_MM2`. The voxels are those
    of the larger of the slices within 2 mm.

    Parameters
    ----------
    labels : (nx, ny, nz), 0 is air.
    sizes : (3,) edges of a voxel, mm.
    """
    body = np.asarray(labels) != 0
    cut = {}
    for axis in range(3):
        per_slice = np.count_nonzero(body, axis=tuple(a for a in range(3) if a != axis))
        filled = np.flatnonzero(per_slice)
        if filled.size == 0:
            continue
        area = float(np.prod(sizes) / sizes[axis])
        near = max(1, round(2.0 / sizes[axis])) - 1
        far = 2 * near + 1
        ends = per_slice[filled[0] : filled[-1] + 1]
        for name, inwards, at_border in (
            (FACES[2 * axis], ends, filled[0] == 0),
            (FACES[2 * axis + 1], ends[::-1], filled[-1] == body.shape[axis] - 1),
        ):
            flat = 0.0
            if len(inwards) > far:
                slope = (int(inwards[far]) - int(inwards[near])) / (far - near)
                flat = float(inwards[near] - slope * (near + 0.5)) * area
            if at_border or flat > FLAT_FACE_MM2:
                cut[name] = int(inwards[: near + 1].max())
    return cut


def labelled_region(
    labels: np.ndarray,
    affine: np.ndarray,
    cut: Collection[str],
    fields: Collection[tuple[tuple[int, ...], np.ndarray]] = (),
    margin: float = NECK_MARGIN_MM,
) -> np.ndarray:
    """Voxels where labels and images both exist, so that maps can be compared there.

    Below the plane in which the labels end (the neck) there is no reference, and next to it
    the labels are ragged and the anatomy that a network needs is missing; outside an image's
    field of view a map is a guess (Yokota et al. 2019 say so of their Fig. 6). So a voxel
    counts if its centre is in all `fields` and, where the labels were cut at their inferior
    end, `margin` or more above it.

    Parameters
    ----------
    labels : (nx, ny, nz) ids on a grid in RAS order, 0 is air.
    affine : (4, 4) voxel -> RAS world, mm.
    cut : names among `FACES` where the head was cut (`PreparedLabels.cut`).
    fields : fields of view as (shape, affine to the same world) of the images.
    margin : distance from the cut, mm.

    Returns
    -------
    (nx, ny, nz) bool.

    Raises
    ------
    InputError
        If the labels hold only air, or their third axis does not run upwards.
    """
    labels = check_shape("labels", labels, (None, None, None))
    affine = check_affine("affine", affine)
    filled = np.flatnonzero(labels.any(axis=(0, 1)))
    if filled.size == 0:
        raise InputError("The label map holds only air.")
    if affine[2, 2] <= 0 or abs(affine[2, :2]).max() > 1e-3 * affine[2, 2]:
        raise InputError("The third axis of the labels' grid must run upwards: conform it first.")
    region = np.ones(labels.shape, bool)
    if "inferior" in cut:
        region[..., : filled[0] + math.ceil(margin / voxel_sizes(affine)[2] - 1e-6)] = False
    for shape, image_affine in fields:
        # An image of ones has the same field of view.
        inside = resample(np.ones(shape, np.uint8), image_affine, affine, labels.shape, order=0)
        region &= inside > 0
    return region


def close_skull(labels_eit6: np.ndarray) -> tuple[np.ndarray, int]:
    """Close the skull: CSF and brain touch neither scalp nor air, not even at a corner.

    Pieces of CSF or brain apart from the largest one are not inside the skull and take the
    id of their nearest scalp or bone. Then scalp and air voxels that touch CSF or brain
    (26 neighbours, because tetrahedra leak through a shared node) become compact bone, and
    the bone grown into air is covered by scalp, so that bone is no nearer to the surface.

    Parameters
    ----------
    labels_eit6 : (nx, ny, nz) ids of the scheme eit6.

    Returns
    -------
    labels : (nx, ny, nz) uint8, a new array.
    leaks_filled : voxels of scalp and air that became bone.

    Raises
    ------
    InputError
        If an id is not in eit6, or there is no bone or no CSF or brain.
    """
    labels = check_shape("labels_eit6", labels_eit6, (None, None, None))
    ids = np.unique(labels)
    if not np.isin(ids, list(label_scheme("eit6"))).all():
        raise InputError(f"labels_eit6 holds ids {ids.tolist()}, not those of the scheme eit6.")
    out = labels.astype(np.uint8)
    inside = out >= _CSF
    if not inside.any() or not np.isin(out, (_COMPACT, _SPONGY)).any():
        raise InputError("labels_eit6 has no bone, or no CSF or brain: no skull to close.")
    stray = inside & ~largest_component(inside)
    _fill_from_nearest(out, stray, (out >= _SCALP) & (out <= _SPONGY))
    inside &= ~stray
    outside = out <= _SCALP
    leak = outside & ndimage.binary_dilation(inside, _ALL_NEIGHBOURS)
    into_air = leak & (out == 0)
    out[leak] = _COMPACT
    out[ndimage.binary_dilation(into_air, _ALL_NEIGHBOURS) & (out == 0)] = _SCALP
    if leak.any() or stray.any():
        counts = leak.sum(), into_air.sum(), stray.sum()
        logger.info("Skull closed: %d voxels to bone, %d of them air; %d stray voxels.", *counts)
    return out, int(np.count_nonzero(leak))


def spongy_bone(skull: np.ndarray, sizes: np.ndarray, table_thickness: float) -> np.ndarray:
    """Voxels (bool) of a skull whose centre is `table_thickness` mm or more below its surface."""
    padded = np.pad(skull, 1)
    # From a voxel's centre to that of the nearest voxel outside is half a voxel too far.
    depth = ndimage.distance_transform_edt(padded, sampling=sizes)[1:-1, 1:-1, 1:-1]
    return skull & (depth - min(sizes) / 2 >= table_thickness)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest face-connected piece (bool) of a mask."""
    pieces, number = ndimage.label(mask)
    if number <= 1:
        return mask.copy()
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()


def _small_enclosed(air: np.ndarray, limit: float) -> np.ndarray:
    """Pieces of air smaller than `limit` voxels that do not reach the image's border."""
    pieces, _ = ndimage.label(air)
    sizes = np.bincount(pieces.ravel())
    small = sizes < limit
    small[0] = False
    for axis in range(3):
        for end in (0, -1):
            small[np.unique(np.take(pieces, end, axis))] = False
    return small[pieces]


def _fill_from_nearest(labels: np.ndarray, where: np.ndarray, source: np.ndarray) -> None:
    """Give the voxels `where` the label of their nearest `source` voxel, in place."""
    if where.any():
        nearest = ndimage.distance_transform_edt(
            ~source, return_distances=False, return_indices=True
        )
        labels[where] = labels[tuple(axis[where] for axis in nearest)]


def _divide_soft_tissue(
    tissues: np.ndarray, undivided: np.ndarray, outside: np.ndarray, sizes: np.ndarray
) -> dict[str, int]:
    """Turn `undivided` muscle near the surface into the skin and fat that a map lacks, in place."""
    counts, surface = {}, outside
    for name, reach in (("skin", SKIN_DEPTH_MM), ("fat", FAT_DEPTH_MM)):
        if not (tissues == tissue_id(name)).any():
            near = undivided & (ndimage.distance_transform_edt(~surface, sampling=sizes) <= reach)
            tissues[near] = tissue_id(name)
            undivided = undivided & ~near
            counts[f"soft_tissue_to_{name}"] = int(np.count_nonzero(near))
        surface = tissues == tissue_id(name)  # fat lines the skin
    return counts | {"soft_tissue_to_muscle": int(np.count_nonzero(undivided))}


def _add_dura(tissues: np.ndarray) -> int:
    bone = np.isin(tissues, [tissue_id(name) for name in ("bone_cortical", "bone_cancellous")])
    inner = np.isin(tissues, [tissue_id(name) for name in ("csf", "gm", "wm", "cerebellum")])
    shell = inner & ndimage.binary_dilation(bone)
    tissues[shell] = tissue_id("dura")
    return int(np.count_nonzero(shell))


def _at_voxel_size(
    tissues: np.ndarray, affine: np.ndarray, size: float, margin: int
) -> tuple[np.ndarray, np.ndarray]:
    sizes = voxel_sizes(affine)
    index = np.nonzero(tissues)
    low = np.array([axis.min() for axis in index])
    length = np.array([axis.max() for axis in index]) + 1 - low
    shape = np.ceil(length * sizes / size - 1e-6).astype(int) + 2 * margin
    # The outer corner of the head's first voxel is the corner of the first voxel past the margin.
    corner = affine[:3, 3] + (low - 0.5) * sizes
    target = from_matvec(size * np.eye(3), corner + (0.5 - margin) * size)
    return resample(tissues, affine, target, tuple(int(n) for n in shape), order=0), target


def _along_world_axes(labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest labels on a grid along the world's axes that contains the whole oblique one."""
    sizes = voxel_sizes(affine)
    ends = np.stack(np.meshgrid(*((0, side - 1) for side in labels.shape)), axis=-1).reshape(-1, 3)
    corners = ends @ affine[:3, :3].T + affine[:3, 3]
    target = from_matvec(np.diag(sizes), corners.min(axis=0))
    shape = np.ceil(np.ptp(corners, axis=0) / sizes - 1e-6).astype(int) + 1
    return resample(labels, affine, target, tuple(int(side) for side in shape), order=0), target
