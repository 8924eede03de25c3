"""Procedural heads with a ground truth: labels, conductivity, simulated T1 and T2 images.

A head is drawn on a grid finer than the model's. A smooth water content inside each tissue
determines both the images (T1, T2, proton density) and the true conductivity, so that a
conductivity estimated from the images can be compared with more than uniform tissues.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from nibabel.affines import from_matvec
from scipy import ndimage

from headcond.checks import InputError, check_positive
from headcond.cohort import anatomy
from headcond.cohort.contrast import LENS, T1W, T2W, acquire, odds_ratio, signal, water_field
from headcond.cohort.shapes import open_axes
from headcond.mri.resampling import block_mean, majority
from headcond.random import generator
from headcond.tissues import TISSUES, conductivity_table, tissue_id

FIELD_OF_VIEW = (192.0, 240.0, 240.0)
"""Size of the image along x, y and z, mm (rounded up to whole pairs of voxels)."""

LENS_CONDUCTIVITY = 0.35  # S/m, mean over the lens
BIAS_STRENGTH = 0.2  # largest |log| of the bias field
NOISE = 0.02  # of the signal of white matter
_FIELD_CENTRE = (0.0, -8.0, -22.0)  # mm: the head is not centred on the commissure
_MNI_BRAIN = ((-72.0, -106.0, -64.0), (72.0, 72.0, 80.0))  # box of the MNI152 brain, mm
_BRAIN = ("gm", "wm", "cerebellum")


@dataclass(frozen=True)
class Head:
    """A generated head. World coordinates are RAS+ millimetres.

    Attributes
    ----------
    labels : (nx, ny, nz) uint8, headcond13, majority of the sub-voxels (the lens counts as
        vitreous humour).
    affine : (4, 4) voxel to world, of labels, conductivity, lens and t1.
    conductivity : (nx, ny, nz) float32, S/m, the truth: mean over the sub-voxels.
    lens : (nx, ny, nz) bool, at least half of the voxel belongs to a lens.
    t1 : (nx, ny, nz) float32, simulated T1-weighted image.
    t2 : (nx', ny', nz') float32, simulated T2-weighted image on its own grid.
    t2_affine : (4, 4) voxel to world of t2, as its header says.
    t2_motion : (4, 4) rigid, world to world: the point x of the T1 image is at
        t2_motion @ x in the world of the T2 image, because the head moved in between. This
        is the transform that alignment estimates.
    mni : (4, 4) world mm to MNI mm: maps the brain's own box to that of the MNI152 brain.
    fiducials : nasion, inion, lpa, rpa, each (3,) world mm on the outer surface.
    """

    labels: np.ndarray
    affine: np.ndarray
    conductivity: np.ndarray
    lens: np.ndarray
    t1: np.ndarray
    t2: np.ndarray
    t2_affine: np.ndarray
    t2_motion: np.ndarray
    mni: np.ndarray
    fiducials: dict[str, np.ndarray]


def generate_head(seed: int, subject: str, voxel_size: float = 2.0, subdivisions: int = 2) -> Head:
    """Generate the head of a subject, with its images and its true conductivity.

    Parameters
    ----------
    seed : the study's seed.
    subject : name of the subject; another name gives another head.
    voxel_size : edge of the model's voxels, mm, at most 2.5 (the skull and the linings are
        thinner than larger voxels).
    subdivisions : sub-voxels per voxel along each axis, on which tissues, images and truth
        are drawn before they are averaged.

    Returns
    -------
    Head
        The same arguments give the same head, bit by bit. Anatomy and random fields do not
        depend on `voxel_size`, image noise does.
    """
    voxel_size = check_positive("voxel_size", voxel_size)
    if voxel_size > 2.5:
        raise InputError(f"voxel_size is {voxel_size} mm; above 2.5 mm skull and skin have holes.")
    if subdivisions < 1:
        raise InputError(f"subdivisions must be 1 or more, got {subdivisions}.")
    stream = partial(generator, seed, "head", subject)
    person_stream = stream("person")
    person = anatomy.draw_person(person_stream)
    centre = np.array(_FIELD_CENTRE) + person_stream.uniform(-1, 1, 3)

    shape = tuple(2 * int(np.ceil(side / voxel_size / 2)) for side in FIELD_OF_VIEW)
    fine_size = voxel_size / subdivisions
    affine = _grid_affine(shape, voxel_size, centre)
    fine_shape = tuple(count * subdivisions for count in shape)
    fine_affine = _grid_affine(fine_shape, fine_size, centre)
    world = [fine_affine[i, 3] + fine_size * np.arange(fine_shape[i]) for i in range(3)]
    axes = open_axes(*(w / scale for w, scale in zip(world, person.scale, strict=True)))
    floor = (centre[2] - FIELD_OF_VIEW[2] / 2 + 6.0) / person.scale[2]
    classes, surface = anatomy.draw_anatomy(axes, person, floor, stream("shape"))

    water = water_field(classes, fine_size, stream("water"))
    sigma = true_conductivity(classes, water)
    tissues = np.where(classes == LENS, tissue_id("vitreous_humour"), classes)
    labels = majority(tissues, subdivisions, zero_last=False)
    scanner = subdivisions, BIAS_STRENGTH, NOISE
    t1 = acquire(signal(classes, water, *T1W), stream("t1"), *T1W, *scanner)
    motion, t2_affine = _second_scan(shape, affine, stream("motion"))
    fine_t2_affine = t2_affine @ _subdivide(subdivisions)
    to_fine = np.linalg.inv(motion @ fine_affine) @ fine_t2_affine
    moved = ndimage.affine_transform(
        signal(classes, water, *T2W), to_fine[:3, :3], to_fine[:3, 3], order=1, prefilter=False
    )
    t2 = acquire(moved, stream("t2"), *T2W, *scanner)
    return Head(
        labels=labels,
        affine=affine,
        conductivity=block_mean(sigma, subdivisions, np.float32),
        lens=block_mean(classes == LENS, subdivisions, np.float32) >= 0.5,
        t1=t1,
        t2=t2,
        t2_affine=t2_affine,
        t2_motion=motion,
        mni=brain_to_mni(labels, affine),
        fiducials=_fiducials(surface, world, person),
    )


def true_conductivity(classes: np.ndarray, water: np.ndarray) -> np.ndarray:
    """Conductivity that the water content implies: sigma = sigma_n odds(w) / odds(w_n), S/m.

    sigma_n is table A's value (lens: `LENS_CONDUCTIVITY`), w_n the mean water content of the
    tissue. Current flows in the water, past the solids: the ratio of the two volumes, the
    odds, rises with water content and equals one at the mean. The form is ours; it only has
    to be monotone and given.

    Parameters
    ----------
    classes : ids of headcond13 or `contrast.LENS`, any shape.
    water : mass fraction of water, same shape.
    """
    table = conductivity_table("A")
    values = [0.0, *(table[name] for name in TISSUES), LENS_CONDUCTIVITY]
    return np.array(values, np.float32)[classes] * odds_ratio(classes, water)


def brain_to_mni(labels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Scaling and shift (4, 4) that map the box of a brain (world mm) to the MNI152 brain's.

    Parameters
    ----------
    labels : (nx, ny, nz) headcond13.
    affine : (4, 4) voxel to world, RAS+ mm; the head is taken to be upright in the world.
    """
    brain = np.argwhere(np.isin(labels, [tissue_id(name) for name in _BRAIN]))
    if not len(brain):
        raise InputError("Labels hold no brain (gm, wm, cerebellum) to map to MNI.")
    world = brain @ affine[:3, :3].T + affine[:3, 3]
    half = np.abs(affine[:3, :3]).sum(axis=1) / 2
    low, high = world.min(axis=0) - half, world.max(axis=0) + half
    target_low, target_high = np.array(_MNI_BRAIN)
    scale = (target_high - target_low) / (high - low)
    return from_matvec(np.diag(scale), target_low - scale * low)


def _grid_affine(shape: tuple, size: float, centre: np.ndarray) -> np.ndarray:
    return from_matvec(size * np.eye(3), centre - size * (np.array(shape) - 1) / 2)


def _subdivide(factor: int) -> np.ndarray:
    # Index of a sub-voxel to (fractional) index of its voxel.
    return from_matvec(np.eye(3) / factor, 3 * [(1 / factor - 1) / 2])


def _second_scan(shape: tuple, affine: np.ndarray, stream: np.random.Generator) -> tuple:
    # The head moves by up to 3 mm and 2 degrees about its middle; the second grid is also
    # placed a little differently, as its header states.
    middle = (affine @ [*(np.array(shape) - 1) / 2, 1.0])[:3]
    motion = _rigid(stream, middle, degrees=2.0, millimetres=3.0)
    placing = _rigid(stream, middle, degrees=1.0, millimetres=1.0)
    return motion, placing @ affine


def _rigid(
    stream: np.random.Generator, middle: np.ndarray, degrees: float, millimetres: float
) -> np.ndarray:
    axis, shift = (v / np.linalg.norm(v) for v in stream.standard_normal((2, 3)))
    angle = np.deg2rad(degrees) * stream.uniform(0.5, 1)
    cross = np.cross(np.eye(3), -axis)
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    shift = shift * millimetres * stream.uniform(0.5, 1)
    return from_matvec(rotation, middle - rotation @ middle + shift)


def _fiducials(
    surface: np.ndarray, world: list[np.ndarray], person: anatomy.Person
) -> dict[str, np.ndarray]:
    # Where rays along the grid's axes leave the head: (axis, direction, fixed coordinates).
    rays = {
        "nasion": (1, 1, (0.0, None, -22.0)),
        "inion": (1, -1, (0.0, None, -26.0)),
        "lpa": (0, -1, (None, -12.0, -40.0)),
        "rpa": (0, 1, (None, -12.0, -40.0)),
    }
    points = {}
    for name, (axis, direction, fixed) in rays.items():
        index: list = [
            slice(None)
            if value is None
            else int(np.argmin(np.abs(world[i] - value * person.scale[i])))
            for i, value in enumerate(fixed)
        ]
        line = surface[tuple(index)]
        inside = np.flatnonzero(line < 0)
        last = inside[-1] if direction > 0 else inside[0]
        here, beyond = line[last], line[last + direction]
        step = direction * here / (here - beyond)
        point = [0.0 if i == axis else world[i][index[i]] for i in range(3)]
        size = world[axis][1] - world[axis][0]
        point[axis] = world[axis][last] + step * size
        points[name] = np.array(point)
    return points
