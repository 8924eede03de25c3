"""The six-tissue EIT head of Colin27, from FieldTrip's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.affines import from_matvec
from scipy import ndimage

from headcond.checks import (
    InputError,
    check_affine,
    check_option,
    check_shape,
    voxel_sizes,
)
from headcond.cohort.labels import close_skull, cut_faces, largest_component, spongy_bone
from headcond.files import matlab
from headcond.tissues import EIT_TISSUES, label_scheme

TABLE_THICKNESS = 1.5
"""Thickness of the compact tables, mm, at the voxels' centres."""

_SCALP, _COMPACT, _SPONGY, _CSF, _GM, _WM = range(1, len(EIT_TISSUES) + 1)
_ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


def read_colin27(folder: str | Path) -> tuple[np.ndarray, np.ndarray, dict]:
    """Read the six-tissue EIT head of Colin27 (Holmes et al. 1998) from FieldTrip's files.

    `standard_seg.mat` gives the shells (scalp, skull, inside of the skull),
    `brainweb_discrete.mat` (BrainWeb; Collins et al. 1998) the tissues in them. Both have
    the same voxels: the agreement of tissue and shell falls when one is shifted by a
    voxel along y, although their transforms differ by 1 mm there. World coordinates are
    those of BrainWeb's transform, which is MINC's (y starts at -126 mm); FieldTrip counts
    voxels from 1.

    - inside of the skull: CSF as labelled; grey and glial matter are GM; white matter WM;
      meninges and sinuses (labelled as soft tissue there) become CSF; bone labelled
      within 2 mm of the skull shell is inner table and joins the skull.
    - skull: compact bone, and spongy bone at `TABLE_THICKNESS` or more below its surface
      on both sides. Neither file separates bone from the air of sinuses: they are bone.
    - scalp: everything else in the head by the shells, or by BrainWeb where the T1 volume is
      not 0 (next to the head its labels are wrong), opened with a ball of 2 mm; air enclosed
      in the head is filled.
    - the skull is closed (`close_skull`) and covered by at least one voxel of scalp.

    Parameters
    ----------
    folder : with standard_seg.mat, brainweb_discrete.mat and standard_mri.mat.

    Returns
    -------
    labels_eit6 : (181, 217, 181) uint8, 1 mm.
    affine : (4, 4) voxel -> MNI mm, RAS.
    details : `t1` (the T1 volume, float32, same grid), `leaks_filled`, `air_filled`,
        `meninges_to_csf`, `volumes_ml` per tissue, `cut` (as `cut_faces`),
        `mri_offset_mm` (origin of standard_mri's transform less the affine's).

    Raises
    ------
    InputError
        If a file or field is missing or the grids differ.
    """
    folder = Path(folder)
    shells, _ = _matlab(folder / "standard_seg.mat", "mri", "seg")
    classes, affine = _matlab(folder / "brainweb_discrete.mat", "atlas", "tissue")
    t1, mri_affine = _matlab(folder / "standard_mri.mat", "mri", "anatomy")
    if not shells.shape == classes.shape == t1.shape:
        raise InputError(f"{folder}: the three volumes of Colin27 differ in shape.")
    sizes = voxel_sizes(affine)
    names = label_scheme("brainweb")
    tissue = {
        name: np.isin(classes, [i for i, n in names.items() if n == name])
        for name in ("csf", "gm", "wm", "bone_cortical")
    }

    skull = shells == 2
    near = ndimage.distance_transform_edt(~skull, sampling=sizes) <= 2.0
    skull |= near & tissue["bone_cortical"] & (shells == 3)
    inside = largest_component((shells == 3) & ~skull)
    body = (shells > 0) | ((classes > 0) & (t1 > 0))
    # Background voxels beyond the border, so that opening does not eat the cut faces.
    ball = _ball(2)
    body = ndimage.binary_opening(np.pad(body, 4, mode="edge"), ball)[4:-4, 4:-4, 4:-4]
    body = largest_component(body | skull | inside)
    filled = ndimage.binary_fill_holes(body)
    details = {"air_filled": int(np.count_nonzero(filled & ~body))}

    labels = np.where(filled, _SCALP, 0).astype(np.uint8)
    labels[skull & filled] = _COMPACT
    labels[inside] = _CSF
    meninges = inside & ~tissue["csf"] & ~tissue["gm"] & ~tissue["wm"]
    details["meninges_to_csf"] = int(np.count_nonzero(meninges))
    labels[inside & tissue["gm"]] = _GM
    labels[inside & tissue["wm"]] = _WM
    labels, details["leaks_filled"] = close_skull(labels)
    skull = labels == _COMPACT
    labels[spongy_bone(skull, sizes, TABLE_THICKNESS)] = _SPONGY
    cover = ndimage.binary_dilation(skull, _ALL_NEIGHBOURS) & (labels == 0)
    labels[cover] = _SCALP
    volumes = {
        name: float(np.count_nonzero(labels == i) * np.prod(sizes) / 1e3)
        for i, name in enumerate(EIT_TISSUES, 1)
    }
    details |= {
        "scalp_cover_added": int(np.count_nonzero(cover)),
        "volumes_ml": volumes,
        "cut": cut_faces(labels, sizes),
        "mri_offset_mm": (mri_affine[:3, 3] - affine[:3, 3]).tolist(),
        "t1": t1.astype(np.float32),
    }
    return labels, affine, details


def _matlab(path: Path, variable: str, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Volume and 0-based RAS affine of a FieldTrip volume; FieldTrip counts voxels from 1."""
    content = matlab.load(path, variable_names=[variable])
    if variable not in content:
        raise InputError(f"{path}: holds no variable {variable!r}.")
    record = content[variable][0, 0]
    for name in (field, "transform", "unit"):
        check_option(f"{path}: field of {variable}", name, record.dtype.names)
    if record["unit"].item() != "mm":
        raise InputError(f"{path}: its unit is {record['unit'].item()!r}, expected 'mm'.")
    one = from_matvec(np.eye(3), [1, 1, 1])
    affine = check_affine(f"{path}: transform", record["transform"].astype(float) @ one)
    return check_shape(f"{path}: {field}", record[field], (None, None, None)), affine


def _ball(radius: int) -> np.ndarray:
    axis = np.arange(-radius, radius + 1)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    return x**2 + y**2 + z**2 <= radius**2
