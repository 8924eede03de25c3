"""Affine registration of a brain to MNI space, for coil positions and regions of interest."""

from __future__ import annotations

import logging
from collections.abc import Callable

import nilearn.datasets
import numpy as np
import SimpleITK
from nibabel.affines import from_matvec
from scipy import ndimage

from headcond.checks import InputError, check_affine, check_shape
from headcond.mri import _sitk

logger = logging.getLogger(__name__)

MINIMUM_DICE = 0.7
"""Least overlap (Dice) of the two brains after a successful registration."""

LIKENESS = {"dice": 0.9, "correlation": 0.35}
"""Below these a brain counts as unlike MNI's and a warning is given. In real heads the Dice
is 0.92 or more and the correlation 0.44 to 0.67 after the affine registration."""

_LARGEST_BRAIN = 2.5e6  # mm^3: a template that fills more shows the head, not the brain alone
_CLOSING = 4.0  # mm, over which sulci count as brain, as in the template


class RegistrationError(RuntimeError):
    """A brain could not be registered to the template; the message gives the reason."""


def to_mni(
    t1: np.ndarray,
    affine: np.ndarray,
    brain_mask: np.ndarray,
    template: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, dict]:
    """Find the 12-parameter affine map from a person's world to MNI space.

    The masked brain and the skull-stripped template are first matched by the centroids and
    volumes of their masks (sulci and ventricles filled, as in the template) and the best of
    seven pitches of the head, then registered by Mattes mutual information with all 12
    parameters, coarse to fine.

    Parameters
    ----------
    t1 : (nx, ny, nz) T1-weighted volume.
    affine : (4, 4) voxel -> RAS world, mm.
    brain_mask : (nx, ny, nz) bool, the brain (cerebellum included).
    template : T1 template (array, affine); of one with scalp, the brain is taken by
        nilearn's mask. nilearn's own copy of MNI152 (ICBM 2009a, 2 mm) if None.
    seed : seed of the metric's voxel sample.

    Returns
    -------
    transform : (4, 4) subject world mm -> MNI mm, RAS.
    quality : Dice overlap of the brains, correlation and mutual information (nats) of the
        intensities within their union, before (centroids only) and after; `warnings`, sentences
        on what is unlike MNI's brain (`LIKENESS`).

    Raises
    ------
    InputError
        If a volume is invalid or the brain mask is empty or below 200 ml.
    RegistrationError
        If mutual information fell, the Dice overlap is below `MINIMUM_DICE`, or the map
        mirrors.
    """
    t1, affine = _sitk.check_image("t1", t1, affine)
    mask = check_shape("brain_mask", brain_mask, t1.shape).astype(bool)
    volume = float(mask.sum() * abs(np.linalg.det(affine[:3, :3])))
    if volume < 2e5:
        raise InputError(f"brain_mask holds {volume / 1e3:.0f} ml, too little for a brain.")
    target, target_affine = brain_template(template)
    target_mask = target > 0
    mask = fill_brain_mask(mask, affine)
    brain = np.where(mask, t1, 0).astype(np.float32)

    def quality(matrix: np.ndarray) -> dict:
        there = _sitk.resample(brain, affine, target.shape, target_affine, matrix)
        held = _sitk.resample(mask.astype(np.float32), affine, target.shape, target_affine, matrix)
        return brain_agreement(there, held > 0.5, target, target_mask)

    start, plain = _start(mask, affine, target_mask, target_affine, quality)
    before = quality(plain)
    matrix = _optimise(brain, affine, target, target_affine, target_mask, start, seed)
    after = quality(matrix)
    report = {f"{key}_before": value for key, value in before.items()} | after
    logger.info("Registration to MNI: %s", report)
    if np.linalg.det(matrix[:3, :3]) <= 0:
        raise RegistrationError("The map to MNI mirrors the head: check the affine's orientation.")
    lost = after["mutual_information"] < before["mutual_information"] - 0.01
    if after["dice"] < MINIMUM_DICE or lost:
        raise RegistrationError(
            f"The brain was not registered: Dice {after['dice']:.3f} (at least {MINIMUM_DICE}), "
            f"mutual information {before['mutual_information']:.3f} before, "
            f"{after['mutual_information']:.3f} after. Check brain_mask and the affine."
        )
    report["warnings"] = [
        f"{name} with MNI's brain is {after[name]:.2f}, below {least:g}"
        for name, least in LIKENESS.items()
        if after[name] < least
    ]
    for text in report["warnings"]:
        logger.warning("The brain is unlike MNI's: %s.", text)
    return np.linalg.inv(matrix), report


def brain_template(template: tuple[np.ndarray, np.ndarray] | None) -> tuple[np.ndarray, np.ndarray]:
    """Template (array, affine), 0 outside the brain; nilearn's MNI152 if None is given.

    Raises
    ------
    InputError
        If it is no volume, or too little of it is in the MNI brain.
    """
    target, affine = _mni152() if template is None else template
    target, affine = _sitk.check_image("template", target, affine)
    mask = target > 1e-3 * target.max()
    if mask.sum() * abs(np.linalg.det(affine[:3, :3])) > _LARGEST_BRAIN:
        image = nilearn.datasets.load_mni152_brain_mask(resolution=2)
        brain = image.get_fdata(dtype=np.float32)
        mask &= _sitk.resample(brain, image.affine, target.shape, affine, np.eye(4)) > 0.5
    if mask.sum() * abs(np.linalg.det(affine[:3, :3])) < 2e5:
        raise InputError("The template holds no brain in MNI space: check mri.template.")
    return np.where(mask, target, 0).astype(np.float32), affine


def fill_brain_mask(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Brain mask with its sulci and ventricles: closed by a ball of 4 mm, holes filled."""
    sizes = np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)
    mask = np.asarray(mask, bool)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    margin = int(np.ceil(_CLOSING / sizes.min())) + 1
    part = np.pad(mask[box], margin)
    grown = ndimage.distance_transform_edt(~part, sampling=sizes) <= _CLOSING
    closed = ndimage.distance_transform_edt(ndimage.binary_fill_holes(grown), sampling=sizes)
    out = mask.copy()
    inner = (slice(margin, -margin),) * 3
    out[box] |= (closed > _CLOSING)[inner]
    return out


def brain_agreement(
    first: np.ndarray, first_mask: np.ndarray, second: np.ndarray, second_mask: np.ndarray
) -> dict[str, float]:
    """Dice overlap of two brains; correlation and mutual information (nats) in their union."""
    union = first_mask | second_mask
    overlap = 2 * np.sum(first_mask & second_mask) / (first_mask.sum() + second_mask.sum())
    return {
        "dice": float(overlap),
        "correlation": float(np.corrcoef(first[union], second[union])[0, 1]),
        "mutual_information": _sitk.mutual_information(first[union], second[union]),
    }


def _mni152() -> tuple[np.ndarray, np.ndarray]:
    image = nilearn.datasets.load_mni152_template(resolution=2)
    return image.get_fdata(dtype=np.float32), check_affine("template affine", image.affine)


def _start(
    mask: np.ndarray,
    affine: np.ndarray,
    target_mask: np.ndarray,
    target_affine: np.ndarray,
    quality: Callable[[np.ndarray], dict],
) -> tuple[np.ndarray, np.ndarray]:
    """Template world -> subject world from the masks: the best pitch, and the plain shift."""
    here = _sitk.centre_of_mass(mask, affine)
    there = _sitk.centre_of_mass(target_mask, target_affine)
    ratio = mask.sum() * abs(np.linalg.det(affine[:3, :3]))
    ratio /= target_mask.sum() * abs(np.linalg.det(target_affine[:3, :3]))
    plain = from_matvec(np.eye(3), here - there)
    starts = []
    for pitch in np.radians((-30, -20, -10, 0, 10, 20, 30)):
        linear = np.eye(3)
        cosine, sine = np.cos(pitch), np.sin(pitch)
        linear[1:, 1:] = [[cosine, -sine], [sine, cosine]]
        linear *= np.cbrt(ratio)
        matrix = from_matvec(linear, here - linear @ there)
        starts.append((quality(matrix)["correlation"], matrix))
    return max(starts, key=lambda start: start[0])[1], plain


def _optimise(
    brain: np.ndarray,
    affine: np.ndarray,
    target: np.ndarray,
    target_affine: np.ndarray,
    target_mask: np.ndarray,
    start: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Template world -> subject world, by mutual information from `start`."""
    fixed = _sitk.image_from_array(target, target_affine)
    moving = _sitk.image_from_array(brain, affine)
    # The rim around the brain carries its outline into the metric.
    rim = ndimage.binary_dilation(target_mask, iterations=4)
    region = _sitk.image_from_array(rim.astype(np.uint8), target_affine)
    transform = SimpleITK.AffineTransform(3)
    transform.SetCenter(_sitk.to_lps(_sitk.centre_of_mass(target_mask, target_affine)))
    lps = _sitk.transform_from_matrix(start)
    transform.SetMatrix(lps.GetMatrix())
    centre = transform.GetCenter()
    moved = np.array(lps.TransformPoint(centre)) - np.array(centre)
    transform.SetTranslation(moved.tolist())
    sampling = float(min(1.0, 1e5 / rim.sum()))
    for levels, step in (((4,), 2.0), ((2, 1), 0.5)):
        method = _sitk.registration(step, 200, sampling, seed, levels)
        method.SetMetricFixedMask(region)
        method.SetInitialTransform(transform, inPlace=True)
        _sitk.execute(method, fixed, moving, RegistrationError)
    return _sitk.matrix_from_transform(transform)
