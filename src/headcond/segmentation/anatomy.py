"""Label maps of whole heads as anatomies: what training images are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from headcond.checks import InputError, check_option
from headcond.cohort.labels import prepare_labels, read_labels
from headcond.segmentation.classes import CLASSES, NOT_JUDGED, class_id
from headcond.tissues import tissue_id

SOURCES = ("synthseg", "brainweb20")
DIVIDED = 255
"""Depth of a voxel whose soft tissue the label map itself divides into fat and muscle."""
DEPTH_UNIT = 0.25  # mm
_UNDIVIDED = 507  # SynthSeg's fat and muscle in one

# BrainWeb's twenty normal models; 6 is muscle and skin in one, see `_brainweb`.
_BRAINWEB = {
    0: "air", 1: "csf", 2: "gm", 3: "wm", 4: "fat", 5: "connective", 6: "muscle",
    7: "bone_cortical", 8: "blood", 9: "connective", 10: "dura", 11: "bone_cancellous",
}  # fmt: skip
_SKIN_MM = (2.25, 4.0)
"""Muscle-and-skin up to the first depth below the air is skin, beyond the second muscle."""
_MNI_BRAIN_MM = (-105.0, 72.0, 80.0)  # posterior, anterior, superior end of the MNI152 brain


@dataclass(frozen=True)
class Anatomy:
    """One head, in RAS order.

    Attributes
    ----------
    name : what the head is called.
    classes : (nx, ny, nz) uint8, index in `CLASSES`, plus `NOT_JUDGED` where it is a guess.
    depth : (nx, ny, nz) uint8, distance to the skin in quarters of a millimetre where the label
        map does not divide fat from muscle, else `DIVIDED`; (1, 1, 1) where it always does.
    affine : (4, 4) voxel -> RAS world, mm; cubic voxels along the world's axes.
    beyond_judged : whether what lies outside the map is air for certain.
    """

    name: str
    classes: np.ndarray
    depth: np.ndarray
    affine: np.ndarray
    beyond_judged: bool

    @property
    def voxel_size(self) -> float:
        """Edge of a voxel, mm."""
        return float(self.affine[0, 0])


def read_anatomy(path: str | Path, source: str) -> Anatomy:
    """Read a label map of a whole head.

    Parameters
    ----------
    path : NIfTI file.
    source : "synthseg" (FreeSurfer and charm ids, 1 mm) or "brainweb20" (BrainWeb's normal
        models, twelve ids at 0.5 mm).

    Raises
    ------
    InputError
        If the file cannot be read or its ids are not those of the source.

    Notes
    -----
    SynthSeg's maps go through `headcond.cohort.labels.prepare_labels`, which closes holes and puts
    the missing dura inside the skull. The depth of its undivided soft tissue is kept, so that every
    synthetic image may draw the border between fat and muscle anew.

    BrainWeb's models call thalamus, brain stem and cerebellum grey or white by their brightness,
    know no eye and no mucous tissue, and end at the skull base. So nothing is judged below
    10 mm under the commissures, nor in the posterior fossa, and grey and white matter are not
    judged around the ventricles.
    """
    check_option("source", source, SOURCES)
    return _synthseg(Path(path)) if source == "synthseg" else _brainweb(Path(path))


def save_anatomy(path: str | Path, anatomy: Anatomy) -> None:
    """Write an anatomy as an array file, which is read much faster than the label map."""
    with open(path, "wb") as stream:
        np.savez_compressed(
            stream,
            name=np.array(anatomy.name),
            classes=anatomy.classes,
            depth=anatomy.depth,
            affine=anatomy.affine,
            beyond_judged=np.array(anatomy.beyond_judged),
        )


def load_anatomy(path: str | Path) -> Anatomy:
    """Read what `save_anatomy` wrote; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as file:
        return Anatomy(
            str(file["name"]), file["classes"], file["depth"], file["affine"],
            bool(file["beyond_judged"]),
        )  # fmt: skip


def _synthseg(path: Path) -> Anatomy:
    ids, affine = read_labels(path, "synthseg")
    head = prepare_labels(ids, affine, "synthseg", 1.0, margin=8)
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(ids, affine))
    ids = _onto(np.asarray(image.dataobj), image.affine, head.affine, head.labels13.shape)
    classes = np.zeros(head.labels13.shape, np.uint8)
    for number, entry in enumerate(CLASSES):
        here = head.labels13 == tissue_id(entry.tissue)
        if entry.source:
            here &= np.isin(ids, entry.source)
        elif entry.name != entry.parent:
            continue  # a part that only other sources tell apart
        classes[here] = number
    soft = (ids == _UNDIVIDED) & np.isin(classes, (class_id("fat"), class_id("muscle")))
    distance = ndimage.distance_transform_edt(head.labels13 != tissue_id("skin"))
    quarters = np.minimum(np.ceil(distance / DEPTH_UNIT), DIVIDED - 1)
    depth = np.where(soft, quarters, DIVIDED).astype(np.uint8)
    return Anatomy(path.name.split(".")[0], classes, depth, head.affine, True)


def _onto(
    values: np.ndarray, affine: np.ndarray, target: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Values on a grid that is the old one shifted by whole voxels; 0 outside."""
    first = np.linalg.solve(affine, target @ [0, 0, 0, 1])[:3]
    shift = np.rint(first).astype(int)
    if np.abs(first - shift).max() > 0.01:
        raise InputError(f"The label map's voxels are not of 1 mm: its affine is {affine}.")
    out = np.zeros(shape, values.dtype)
    low = np.maximum(shift, 0)
    high = np.minimum(shift + shape, values.shape)
    inner = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, shift, strict=True))
    out[inner] = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return out


def _brainweb(path: Path) -> Anatomy:
    image = nibabel.as_closest_canonical(nibabel.load(path))
    ids = np.asarray(image.dataobj)
    foreign = [int(i) for i in np.unique(ids) if i not in _BRAINWEB]
    if foreign:
        raise InputError(f"{path}: ids {foreign} are not those of BrainWeb's normal models.")
    table = np.zeros(max(_BRAINWEB) + 1, np.uint8)
    for number, name in _BRAINWEB.items():
        table[number] = class_id(name)
    classes = table[ids.astype(np.uint8)]
    affine = np.asarray(image.affine, float)
    size = float(affine[0, 0])

    # Depth below the air at half the resolution is exact enough for a skin of 2 mm.
    head = np.pad(ids[::2, ::2, ::2] != 0, 1, mode="edge")
    coarse = ndimage.distance_transform_edt(head)[1:-1, 1:-1, 1:-1] * (2 * size)
    below = np.repeat(np.repeat(np.repeat(coarse, 2, 0), 2, 1), 2, 2)
    below = below[: ids.shape[0], : ids.shape[1], : ids.shape[2]]
    both = (ids == 6) & (below < _SKIN_MM[1])
    classes[both & (below <= sum(_SKIN_MM) / 2)] = class_id("skin")
    guess = (both & (below > _SKIN_MM[0])) | (classes == class_id("connective"))
    guess |= _unreliable(ids, size)
    classes[guess] += NOT_JUDGED
    return Anatomy(
        path.name.split(".")[0].removesuffix("_crisp"), classes, np.full((1, 1, 1), DIVIDED, "u1"),
        affine, False,
    )  # fmt: skip


def _unreliable(ids: np.ndarray, size: float) -> np.ndarray:
    """Where BrainWeb's ids are not those of the tissues, from the box of the brain."""
    brain = (ids == 2) | (ids == 3)
    sides = [np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    posterior, anterior, superior = _MNI_BRAIN_MM
    scale = (anterior - posterior) / ((sides[1][-1] - sides[1][0]) * size)  # MNI mm per mm
    x = (np.arange(ids.shape[0]) - (sides[0][0] + sides[0][-1]) / 2) * size * scale
    y = anterior + (np.arange(ids.shape[1]) - sides[1][-1]) * size * scale
    z = superior + (np.arange(ids.shape[2]) - sides[2][-1]) * size * scale
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    fossa = (y < -22) & (z < 10) & np.isin(ids, (1, 2, 3, 8, 10))
    deep = (x / 42) ** 2 + ((y + 5) / 48) ** 2 + ((z - 2) / 28) ** 2 < 1
    return (z < -10) | fossa | (deep & np.isin(ids, (2, 3)))
