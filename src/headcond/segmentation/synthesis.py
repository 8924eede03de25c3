"""Training images with their targets, drawn anew from an anatomy for every step.

What a scanner, a protocol or an anonymiser may do to an image happens here at random: any
contrast, texture, thick slices, bias field, noise, ghosts around the head, lesions, a defaced
front, a field of view that ends in the head, a T2-weighted image that is shifted, cut or absent.
The recipe is that of domain randomisation (Billot et al. 2023) with physical contrasts added.
An example follows from the generator alone, bit by bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from headcond.segmentation.anatomy import DEPTH_UNIT, Anatomy
from headcond.segmentation.classes import CLASSES, NOT_JUDGED, TISSUE_OF_CLASS, UNKNOWN, class_id
from headcond.segmentation.contrasts import physical_contrasts, random_contrasts
from headcond.segmentation.kernels import acquire, blur, deform, paint
from headcond.segmentation.scale import normalise

NODE_SPACING = 16
"""Voxels between the nodes of a deformation."""
GAIN_NODES = 12
"""Nodes along each axis of the fields that multiply or haze an image."""

RANDOM_CONTRAST = 0.3  # share of images without physics
T2_MISSING, T1_MISSING, T2_CUT = 0.30, 0.06, 0.04
SHIFTED = 0.30  # T2 against T1
DEFACED = 0.20
TRUNCATED = 0.25
HAZY = 0.30
LESIONS = 0.25
QUANTISED = 0.10
ZEROED = 0.20  # background set to 0 by a threshold

_TARGET = np.full(256, UNKNOWN, np.uint8)
_TARGET[: len(CLASSES)] = TISSUE_OF_CLASS
_LESION, _WHITE = class_id("lesion"), class_id("wm")


class Example(NamedTuple):
    """A pair of images and what a network should say of them.

    Attributes
    ----------
    scans : (2, D, H, W) float32, T1- and T2-weighted, 0 to 1; a missing one is 0 everywhere.
    target : (D, H, W) uint8, ids of headcond13, `UNKNOWN` where nothing is judged.
    """

    scans: np.ndarray
    target: np.ndarray


def draw(anatomy: Anatomy, generator: np.random.Generator, shape: tuple[int, int, int]) -> Example:
    """Draw a training example with voxels of about 1 mm.

    Parameters
    ----------
    anatomy : the head to image.
    generator : source of everything random.
    shape : voxels of the example; it shows a random part of the head.
    """
    pose = _pose(anatomy, generator, shape)
    fields = _fields(generator, shape, anatomy.voxel_size)
    outside = 0 if anatomy.beyond_judged else NOT_JUDGED
    classes = np.empty(shape, np.uint8)
    _deform(anatomy, pose, fields, outside, classes)
    shifted = classes
    if generator.random() < SHIFTED:
        shift = generator.normal(0, 1.0, 3) / anatomy.voxel_size
        shifted = np.empty(shape, np.uint8)
        _deform(anatomy, (pose[0], pose[1] + shift), fields, outside, shifted)
    if generator.random() < LESIONS:
        _add_lesions(classes, generator)
    target = _TARGET[classes]
    if generator.random() < DEFACED:
        face = _face(anatomy, pose, generator, shape)
        classes[face] = 0
        if shifted is not classes:
            shifted[face] = 0
        target[face] = 0

    random = generator.random() < RANDOM_CONTRAST
    means = (random_contrasts if random else physical_contrasts)(generator)
    scans = np.zeros((2, *shape), np.float32)
    view = _slab(generator, shape, 0.05, 0.35) if generator.random() < TRUNCATED else None
    missing = generator.random()
    one_missing = T2_MISSING + T1_MISSING
    present = (not T2_MISSING <= missing < one_missing, missing >= T2_MISSING)
    for number, content in enumerate((classes, shifted)):
        if present[number]:
            scans[number] = _image(content, means[number], generator, view)
    if view is not None:
        target[view] = UNKNOWN
    if one_missing <= missing < one_missing + T2_CUT:
        scans[1][_slab(generator, shape, 0.05, 0.3)] = 0
    return Example(scans, target)


def _pose(
    anatomy: Anatomy, generator: np.random.Generator, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset from voxels of the example to voxels of the anatomy."""
    angles = np.clip(generator.normal(0, 8, 3), -25, 25)
    shear = np.eye(3) + generator.normal(0, 0.03, (3, 3)) * (1 - np.eye(3))
    scale = np.exp(generator.normal(0, 0.07) + generator.normal(0, 0.04, 3))
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ shear @ np.diag(scale)
    matrix /= anatomy.voxel_size
    if generator.random() < 0.5:
        matrix[:, 0] *= -1
    size = np.array(anatomy.classes.shape)
    # Most of the example lies in the head: its box leaves the map by a sixth at most.
    reach = 0.85 * np.abs(matrix) @ np.array(shape) / 2
    centre = generator.uniform(np.minimum(reach, size / 2), np.maximum(size - reach, size / 2))
    return matrix, centre - matrix @ ((np.array(shape) - 1) / 2)


def _fields(
    generator: np.random.Generator, shape: tuple[int, ...], voxel_size: float
) -> np.ndarray:
    """Displacement (voxels of the anatomy) and depth of fat at the nodes, (4, d, h, w) float32."""
    nodes = tuple(-(-side // NODE_SPACING) + 2 for side in shape)
    fields = np.empty((4, *nodes), np.float32)
    amplitude = generator.uniform(0, 4.0)  # mm
    for axis in range(3):
        smooth, rough = _smooth(generator, nodes, 4), generator.standard_normal(nodes)
        fields[axis] = amplitude * (0.7 * smooth + 0.28 * rough) / voxel_size
    varied = 0 if generator.random() < 0.4 else 1
    fat = 4.0 + varied * (generator.normal(0, 1.2) + 1.5 * _smooth(generator, nodes, 4))
    fields[3] = np.clip(fat, 1.0, 10.0) / DEPTH_UNIT
    return fields


def _deform(
    anatomy: Anatomy,
    pose: tuple[np.ndarray, np.ndarray],
    fields: np.ndarray,
    outside: int,
    out: np.ndarray,
) -> None:
    deform(
        anatomy.classes, anatomy.depth, pose[0].astype(np.float32), pose[1].astype(np.float32),
        fields, NODE_SPACING, outside, out,
    )  # fmt: skip


def _smooth(generator: np.random.Generator, shape: tuple[int, ...], nodes: int) -> np.ndarray:
    """Random field of about unit variance, cubic between `nodes` along each axis."""
    values = generator.standard_normal((nodes,) * 3)
    zoom = [side / nodes for side in shape]
    return ndimage.zoom(values, zoom, order=3, mode="nearest", grid_mode=True).astype(np.float32)


def _add_lesions(classes: np.ndarray, generator: np.random.Generator) -> None:
    """Turn spots of white matter into lesions, in place."""
    white = np.argwhere(classes[::4, ::4, ::4] == _WHITE) * 4
    if not len(white):
        return
    for centre in white[generator.integers(len(white), size=generator.integers(1, 25))]:
        radii = np.exp(generator.normal(np.log(2.5), 0.5)) * np.exp(generator.normal(0, 0.25, 3))
        low = np.maximum(centre - np.ceil(radii).astype(int), 0)
        high = np.minimum(centre + np.ceil(radii).astype(int) + 1, classes.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = [
            ((np.arange(a, b) - c) / r) ** 2
            for a, b, c, r in zip(low, high, centre, radii, strict=True)
        ]
        spot = axes[0][:, None, None] + axes[1][:, None] + axes[2] < 1
        classes[box][spot & (classes[box] == _WHITE)] = _LESION


def _face(
    anatomy: Anatomy,
    pose: tuple[np.ndarray, np.ndarray],
    generator: np.random.Generator,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Voxels in front of and below a plane through the face, bool."""
    normal = np.array([generator.normal(0, 0.05), 1.0, -generator.uniform(0.2, 1.5)])
    share = np.array([0.5, generator.uniform(0.72, 0.95), generator.uniform(0.2, 0.45)])
    slope = normal @ pose[0]
    start = normal @ (pose[1] - share * anatomy.classes.shape)
    first, second, third = (slope[axis] * np.arange(side) for axis, side in enumerate(shape))
    return (first + start)[:, None, None] + second[:, None] + third > 0


def _slab(
    generator: np.random.Generator, shape: tuple[int, ...], least: float, most: float
) -> tuple[slice, ...]:
    """A slab at a random end of a random axis, of a share of the volume."""
    axis = int(generator.integers(3))
    thickness = int(generator.uniform(least, most) * shape[axis])
    low = generator.random() < 0.5
    slab = [slice(None)] * len(shape)
    slab[axis] = slice(0, thickness) if low else slice(shape[axis] - thickness, None)
    return tuple(slab)


def _image(
    classes: np.ndarray,
    means: np.ndarray,
    generator: np.random.Generator,
    unseen: tuple[slice, ...] | None,
) -> np.ndarray:
    """One normalised image (D, H, W) float32 of a map of classes with these mean grey values."""
    level = generator.uniform(0, 0.15)
    base = means if generator.random() < 0.5 else np.full(len(CLASSES), means[1:].mean())
    deviation = level * generator.uniform(0.3, 1.7, len(CLASSES)) * base
    deviation[0] = 0
    image = np.empty(classes.shape, np.float32)
    coarse = bool(generator.random() < 0.4)
    key = generator.integers(2**62)
    paint(classes, means.astype(np.float32), deviation.astype(np.float32), key, coarse, image)
    image = _sample(image, generator)

    top = float(np.percentile(image[::4, ::4, ::4], 95)) + 1e-6
    haze_level = generator.uniform(0, 0.25) * top if generator.random() < HAZY else 0.0
    nodes = (GAIN_NODES,) * 3
    haze = _smooth(generator, nodes, int(generator.integers(2, 6)))
    gain = np.exp(generator.uniform(0, 0.45) * _smooth(generator, nodes, 3)).astype(np.float32)
    noise = generator.uniform(0, 0.05) * top
    key = generator.integers(2**62)
    acquire(image, classes, gain, haze, np.float32(haze_level), np.float32(noise), key)
    if generator.random() < ZEROED:
        image[image < generator.uniform(1, 4) * noise] = 0
    if unseen is not None:
        image[unseen] = 0
    image = normalise(image)
    np.power(image, np.float32(np.exp(generator.normal(0, 0.25))), out=image)
    if generator.random() < QUANTISED:
        levels = np.float32(np.rint(np.exp(generator.uniform(np.log(24), np.log(256)))))
        np.rint(image * levels, out=image)
        image /= levels
    return image


def _sample(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Blur an image as its voxels do: sharp, soft, or in thick slices along one axis."""
    kind = generator.random()
    sharp = generator.uniform(0.3, 0.65, 3)
    if kind < 0.5:
        return blur(image, tuple(sharp))
    if kind < 0.7:
        return blur(image, tuple(sharp + generator.uniform(0.1, 1.0)))
    axis = int(generator.integers(3)) if generator.random() < 0.4 else 2
    thickness = generator.uniform(1.6, 4.4)
    spacing = thickness * (generator.uniform(1.0, 1.2) if generator.random() < 0.3 else 1.0)
    # A slice's profile is about as wide at half its height as the slice is thick.
    sharp[axis] = thickness / 2.355 * generator.uniform(0.7, 1.1)
    return _slices(blur(image, tuple(sharp)), axis, spacing, generator.uniform(0, 1))


def _slices(image: np.ndarray, axis: int, spacing: float, phase: float) -> np.ndarray:
    """Keep slices `spacing` voxels apart and interpolate between them linearly."""
    size = image.shape[axis]
    places = np.arange(phase * spacing, size - 1, spacing)
    moved = np.moveaxis(image, axis, 0)
    low = places.astype(int)
    share = (places - low).astype(np.float32)[:, None, None]
    slices = moved[low] * (1 - share) + moved[low + 1] * share
    back = np.clip((np.arange(size) - places[0]) / spacing, 0, len(places) - 1.001)
    low = back.astype(int)
    share = (back - low).astype(np.float32)[:, None, None]
    filled = slices[low] * (1 - share) + slices[np.minimum(low + 1, len(places) - 1)] * share
    return np.ascontiguousarray(np.moveaxis(filled, 0, axis))
