"""Anatomy of a procedural head, in implicit shapes.

Head coordinates: millimetres, x right, y anterior, z superior, origin where the anterior
commissure would be. A `Person` scales and varies the same plan. Skull and brain coverings
follow the distance to the intracranial cavity, scalp layers follow the distance to the
outer surface. Simplifications: no ears, teeth, cranial nerves or spinal canal; the foramen
magnum is closed by bone; dura, skin and mucous linings are 2 mm and more, so that a 2 mm
grid shows them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headcond.cohort.contrast import LENS
from headcond.cohort.shapes import (
    Axes,
    arch,
    capsule,
    cosine_field,
    ellipsoid,
    folding,
    sheet,
    smooth_min,
    window,
)
from headcond.tissues import TISSUES

SKIN, FAT, MUSCLE, CORTICAL, CANCELLOUS, DURA, CSF, GM, WM = range(1, 10)  # as in TISSUES
CEREBELLUM, VITREOUS, BLOOD, MUCOUS = range(10, len(TISSUES) + 1)

CENTRE = (0.0, -17.0, 12.0)  # of the cerebral part of the cavity
EYE, EYE_RADIUS = (31.0, 56.0, -30.0), 12.2  # of the right eye
DURA_THICKNESS = 2.0
GM_THICKNESS = 3.0
_LARGE = 3.0e4

Point = tuple[float, float, float]
Streams = dict[str, np.random.Generator]


@dataclass(frozen=True)
class Person:
    """What differs between heads besides random fields; lengths in mm."""

    scale: tuple[float, float, float]  # of the whole head along x, y, z (no unit)
    skull: float  # added to the thickness of the skull
    skin: float  # thickness
    fat: float  # added to the thickness of fat
    csf: float  # thickness of the fluid between dura and cortex
    ventricle: float  # radius of the lateral ventricles
    sulcus_depth: float
    sulcus_width: float  # half of it
    fold: float  # wavelength of the folding
    jaw: float  # width of the mandible's arch
    nose: float  # how far the tip protrudes


def draw_person(generator: np.random.Generator) -> Person:
    """Draw a person; all variations are bounded, so that every head fits the field of view."""

    def vary(mean: float, half_range: float) -> float:
        return float(mean + half_range * np.clip(generator.standard_normal() / 2, -1, 1))

    return Person(
        scale=(vary(1, 0.04), vary(1, 0.04), vary(1, 0.03)),
        skull=vary(0, 0.8),
        skin=vary(2.8, 0.4),
        fat=vary(0, 1.2),
        csf=vary(1.7, 0.4),
        ventricle=vary(5.5, 1.5),
        sulcus_depth=vary(19, 2),
        sulcus_width=vary(0.85, 0.15),
        fold=vary(23, 2),
        jaw=vary(43, 3),
        nose=vary(18, 4),
    )


def draw_anatomy(
    axes: Axes, person: Person, floor: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Class of every voxel of a head, and the distance to its outer surface.

    Parameters
    ----------
    axes : open axes of the grid in head coordinates divided by `person.scale`, mm.
    person : the variations.
    floor : z of the closed end of the neck, mm.
    generator : source of the random fields; they do not depend on the grid.

    Returns
    -------
    classes : (nx, ny, nz) uint8, ids of headcond13 and `LENS`.
    surface : (nx, ny, nz) float32, distance to the skin's outer surface, negative inside.
    """
    streams = dict(zip(("shape", "skull", "fold", "depth"), generator.spawn(4), strict=True))
    wobble = _field(axes, 45.0, streams["shape"])
    cavity = _cavity(axes) + 1.6 * wobble
    skull = cavity - _skull_thickness(axes, person, streams["skull"])
    surface = _outer_surface(axes, person, skull, floor) + 0.6 * wobble
    surface = np.minimum(surface, skull - person.skin - 1.5)  # the skull stays covered

    classes = np.zeros(surface.shape, np.uint8)
    _soft_tissue(classes, axes, person, surface, skull)
    _face_and_neck(classes, axes, person, surface, floor)
    _eyes(classes, axes, person, surface)
    _skull(classes, cavity, skull)
    _brain(classes, axes, person, cavity, streams)
    return classes, surface


def _field(axes: Axes, length: float, generator: np.random.Generator) -> np.ndarray:
    # The fields live on a fixed box around the head, so that they do not depend on the grid.
    return cosine_field(
        [axis.ravel() + 150.0 for axis in axes], (300.0, 300.0, 300.0), length, generator
    )


def _cavity(axes: Axes) -> np.ndarray:
    # Superellipsoid of exponent 2.5 with half-axes that differ front/back and up/down and
    # that taper to the front; the posterior fossa is blended in below the back.
    x, y, z = (axis - np.float32(c) for axis, c in zip(axes, CENTRE, strict=True))
    q = np.float32(2.5)
    width = 68.5 * (1 - 0.13 * np.clip(y / 80, -0.3, 1)) * (1 - 0.04 * np.clip(-y / 84 - 0.3, 0, 1))
    depth = np.where(y > 0, np.float32(81.0), np.float32(85.0))
    low = 50.0 - 22.0 / (1 + np.exp(-(y - 28) / 8))  # the floor of the frontal fossa is higher
    height = np.where(z > 0, np.float32(65.0), low.astype(np.float32))
    u, v, w = np.abs(x / width) + 1e-4, np.abs(y / depth) + 1e-4, np.abs(z / height) + 1e-4
    total = (u**q + v**q) + w**q
    slopes = ((u ** (q - 1) / width) ** 2 + (v ** (q - 1) / depth) ** 2) + (
        w ** (q - 1) / height
    ) ** 2
    value = total ** (1 / q)
    cerebral = ((value - 1) * value ** (q - 1) / np.sqrt(slopes)).astype(np.float32)
    fossa = ellipsoid(axes, (0, -59, -31), (51, 40, 32))
    return smooth_min(cerebral, fossa, 12.0)


def _skull_thickness(axes: Axes, person: Person, generator: np.random.Generator) -> np.ndarray:
    x, y, z = axes
    top = 1 / (1 + np.exp(-(z - 25) / 15))
    back = 1 / (1 + np.exp((y + 70) / 12))
    brow = np.exp(-(((y - 64) / 14) ** 2) - ((z - 2) / 16) ** 2) * np.exp(-((x / 22) ** 2))
    base = 5.0 + person.skull + 1.4 * top + 1.4 * back + 2.0 * brow
    return np.maximum(base + 0.5 * _field(axes, 25.0, generator), 4.4).astype(np.float32)


def _outer_surface(axes: Axes, person: Person, skull: np.ndarray, floor: float) -> np.ndarray:
    x, y, z = axes
    temple = np.exp(-(((y - 22) / 26) ** 2) - ((z + 8) / 26) ** 2) * (1 - np.exp(-((x / 45) ** 2)))
    nape = np.exp(-(((z + 40) / 28) ** 2)) / (1 + np.exp((y + 55) / 8))
    scalp = person.skin + 2.6 + 0.7 * person.fat + 4.0 * temple + 3.0 * nape
    surface = skull - scalp.astype(np.float32)
    face = ellipsoid(axes, (0, 24, -48), (61, 57, 56))
    chin = ellipsoid(axes, (0, 44, -84), (person.jaw + 2, 42, 27))
    radius = 52.0
    neck = capsule(axes, (0, -26, -60), (0, -38, floor + radius), radius)
    # Round in front, but cut to a gentler end than a half ball below.
    plug = ellipsoid(axes, (0, -32, floor + 36), (54, 56, 36))
    neck = smooth_min(neck, plug, 10.0)
    surface = smooth_min(surface, smooth_min(face, chin, 14.0), 16.0)
    ears = _pair(axes, (40, -10, -44), (34, 36, 34))  # parotid and mastoid regions
    surface = smooth_min(surface, ears, 14.0)
    surface = smooth_min(surface, neck, 22.0)
    nose = capsule(axes, (0, 76, -26), (0, 78 + person.nose * 0.75, -53), 6.5)
    tip = ellipsoid(axes, (0, 76 + person.nose * 0.5, -54), (14, 9 + person.nose * 0.5, 8.5))
    surface = smooth_min(surface, smooth_min(nose, tip, 6.0), 9.0)
    lids = _pair(axes, EYE, (EYE_RADIUS + person.skin + 0.8,) * 3)
    return smooth_min(surface, lids, 8.0).astype(np.float32)


def _soft_tissue(
    classes: np.ndarray, axes: Axes, person: Person, surface: np.ndarray, skull: np.ndarray
) -> None:
    _, y, z = axes
    cheek = np.exp(-(((y - 55) / 25) ** 2) - ((z + 55) / 25) ** 2)
    fat = (2.6 + person.fat + 4.0 * cheek).astype(np.float32)
    head = surface < 0
    classes[head] = MUSCLE
    # Over the calvaria there is no muscle but the temporal one: fat down to the bone.
    calvaria = (skull < 1.2) | (z > 42)
    classes[head & ((surface > -(person.skin + fat)) | calvaria)] = FAT
    classes[head & (surface > -person.skin)] = SKIN


def _face_and_neck(
    classes: np.ndarray, axes: Axes, person: Person, surface: np.ndarray, floor: float
) -> None:
    cover = person.skin + 1.5
    bones = (
        ((-32, 8, -84), (32, 80, -20), lambda a: ellipsoid(a, (0, 46, -54), (30, 28, 31))),
        ((-60, -30, -112), (60, 90, -70), lambda a: arch(a, (0, 18, -94), (person.jaw, 52), 7.5)),
        (
            (-66, -10, -105),
            (66, 40, -30),
            lambda a: _mirror(a, (person.jaw - 1, 14, -92), (person.jaw + 7, 6, -38), 6.0),
        ),
        ((-70, 0, -60), (70, 70, -20), lambda a: _mirror(a, (32, 62, -46), (60, 22, -38), 5.0)),
        (
            (-22, -70, floor),
            (22, -5, -50),
            lambda a: capsule(a, (0, -36, -60), (0, -44, floor + 24), 13.5),
        ),
    )
    for low, high, shape in bones:
        part, local = window(axes, low, high)
        distance = shape(local)
        allowed = surface[part] < -cover
        classes[part][(distance < 0) & allowed] = CORTICAL
        classes[part][(distance < -2.6) & allowed] = CANCELLOUS

    airways = (
        ((-22, 28, -86), (22, 100, -24), lambda a: ellipsoid(a, (0, 60, -52), (13.5, 30, 23))),
        ((-48, 20, -86), (48, 90, -36), lambda a: _pair(a, (25, 50, -56), (13, 15, 16))),
        ((-20, 0, -54), (20, 50, -24), lambda a: ellipsoid(a, (0, 22, -41), (14, 14, 9))),
        (
            (-16, -20, floor),
            (16, 70, -34),
            lambda a: smooth_min(
                capsule(a, (0, 34, -56), (0, 2, -68), 8.5),
                capsule(a, (0, 2, -68), (0, -6, floor + 26), 9.5),
                6.0,
            ),
        ),
    )
    for number, (low, high, shape) in enumerate(airways):
        part, local = window(axes, low, high)
        distance = shape(local)
        allowed = surface[part] < -cover
        classes[part][(distance < 0) & allowed] = MUCOUS
        hollow = distance < -2.4
        if number == 0:  # septum and turbinates
            x, _, z = local
            hollow = hollow & (np.abs(x) > 1.6) & ~((np.abs(x) > 5.5) & (np.sin(z / 2.3) > 0.35))
        # Two millimetres of mucous tissue or more remain between air and anything else.
        classes[part][hollow & (surface[part] < -cover - 2.4)] = 0

    for side in (-1, 1):
        part, local = window(axes, (side * 30 - 6, -30, floor), (side * 30 + 6, 10, -48))
        vessel = capsule(local, (side * 29, -16, -54), (side * 27, -14, floor + 30), 3.6)
        classes[part][(vessel < 0) & (surface[part] < -cover)] = BLOOD


def _eyes(classes: np.ndarray, axes: Axes, person: Person, surface: np.ndarray) -> None:
    for side in (-1, 1):
        centre = np.array((side * EYE[0], *EYE[1:]))
        part, local = window(axes, centre - 36, centre + 36)
        under = surface[part] < -person.skin
        orbit = capsule(local, centre + np.array((0, 4, 0)), centre - (side * 12, 30, 0), 15.5)
        classes[part][(orbit < 0) & under] = FAT
        # Four straight muscles along the orbit.
        for up, aside in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            offset = np.array((aside * 11.5, -4.0, up * 11.5))
            muscle = capsule(local, centre + offset, centre - (side * 12, 30, 0), 1.9)
            classes[part][(muscle < 0) & under] = MUSCLE
        globe = ellipsoid(local, centre, (EYE_RADIUS,) * 3)
        classes[part][(globe < 0) & under] = VITREOUS
        lens = ellipsoid(local, centre + np.array((0, 8.2, 0)), (4.8, 2.6, 4.8))
        classes[part][(lens < 0) & (globe < 0) & under] = LENS


def _skull(classes: np.ndarray, cavity: np.ndarray, skull: np.ndarray) -> None:
    bone = (cavity >= 0) & (skull < 0)
    classes[bone] = CORTICAL
    # Two tables of 1.9 and 1.7 mm; where the skull is thin they meet and no diploe is left.
    classes[bone & (skull < -1.9) & (cavity > 1.7)] = CANCELLOUS


def _brain(
    classes: np.ndarray, axes: Axes, person: Person, cavity: np.ndarray, streams: Streams
) -> None:
    cuts, local = window(axes, (-90, -130, -90), (90, 90, 100))
    part, depth = classes[cuts], -cavity[cuts]
    x, y, z = local
    inside = depth > 0
    part[inside] = CSF
    part[inside & (depth < DURA_THICKNESS)] = DURA

    # Superior sagittal sinus: along the midline under the bone, from forehead to inion.
    roof = inside & (depth < 6.0) & (depth > 0.8) & (np.abs(x) < 4.6 - 0.45 * depth)
    part[roof & (y < 45) & ((z > 15) | (y < -75)) & (z > -20)] = BLOOD

    pial = depth - DURA_THICKNESS - person.csf  # depth below the outer surface of the brain
    hind = ellipsoid(local, (0, -61, -36), (46, 32, 24.5))
    stem = smooth_min(
        capsule(local, (0, -20, -8), (0, -30, -50), 11.5),
        ellipsoid(local, (0, -22, -28), (16, 13, 15)),
        6.0,
    )
    tentorium = np.minimum(hind, stem) - 2.2  # fluid between cerebrum and hindbrain
    cerebrum = (pial > 0) & (tentorium > 0) & ((z > -36) | (y > -22))
    _cortex(part, local, person, pial, tentorium, cerebrum, streams)

    fluid = pial > 0.3
    fourth = ellipsoid(local, (0, -43, -33), (6, 5, 10))
    folia = 0.9 * np.sin(ellipsoid(local, (0, -36, -28), (30, 30, 30)) * np.float32(1.1))
    part[(hind + np.maximum(folia, 0) < 0) & fluid] = CEREBELLUM
    part[(stem < 0) & fluid] = WM
    part[(fourth < 0) & fluid & (part != DURA)] = CSF


def _cortex(
    part: np.ndarray,
    axes: Axes,
    person: Person,
    pial: np.ndarray,
    tentorium: np.ndarray,
    cerebrum: np.ndarray,
    streams: Streams,
) -> None:
    x, y, z = axes
    # A field that is constant along rays from the centre: its zero set is a labyrinth of
    # sheets that cut into the brain at right angles, the walls of the sulci.
    cells = np.nonzero(cerebrum)
    p = np.stack([axis.ravel()[c] for axis, c in zip(axes, cells, strict=True)], axis=1)
    ray = p - np.asarray(CENTRE, np.float32) + np.array([0, 0, 8], np.float32)
    radius = np.sqrt((ray / np.array([62, 78, 60], np.float32)) ** 2 @ np.ones(3, np.float32))
    foot = ray / np.maximum(radius, 0.15)[:, None]
    distance, sharpness = folding(foot, person.fold, streams["fold"])
    wall = np.full(pial.shape, _LARGE, np.float32)
    wall[cells] = distance * radius - person.sulcus_width * sharpness
    bottom = person.sulcus_depth + 2.5 * _field(axes, 15.0, streams["depth"])
    gap = sheet(wall, pial - bottom)

    # Longitudinal fissure down to the corpus callosum, and the lateral fissures.
    callosum = (np.sqrt(((y + 14) / 44) ** 2 + ((z - 0) / 25) ** 2) - 1) * np.float32(30)
    fissure = sheet(np.abs(x) - 2.2, np.where(z > -12, -callosum, np.float32(8)))
    gap = np.minimum(gap, fissure)
    falx = (np.abs(x) < 1.0) & (callosum > 6) & (z > -12) & (pial > -person.csf - 0.5)
    part[falx & (part == CSF)] = DURA
    lateral = np.abs(z + 6 - 0.35 * (-y + 8)) * np.float32(0.94) - 1.0
    reach = np.maximum(36 - np.abs(x), np.abs(y + 6) - 32)
    gap = np.minimum(gap, sheet(lateral, reach))

    fluid = np.minimum(np.minimum(gap, pial), tentorium)  # distance to fluid around the brain
    part[cerebrum & (fluid > 0)] = GM
    part[cerebrum & (fluid > GM_THICKNESS)] = WM

    deep = cerebrum & (fluid > 1.0)
    for shape in (
        _pair(axes, (11, -16, 6), (8.5, 14, 9)),  # thalamus
        _pair(axes, (26, 2, 2), (6.5, 18, 11)),  # putamen and pallidum
        _pair(axes, (13, 14, 9), (5, 11, 8)),  # head of the caudate nucleus
    ):
        part[deep & (shape < 0)] = GM
    radius = person.ventricle
    ventricles = np.minimum.reduce(
        [
            _mirror(axes, (7, 22, 6), (9, -22, 17), radius),
            _mirror(axes, (9, -22, 17), (24, -46, 6), radius),
            _mirror(axes, (24, -46, 6), (32, -22, -12), 0.55 * radius),
            _mirror(axes, (24, -46, 6), (24, -64, 6), 0.6 * radius),
            np.maximum(ellipsoid(axes, (0, -14, -1), (30, 15, 13)), np.abs(x) - 1.8),
        ]
    )
    part[cerebrum & (pial > 8) & (ventricles < 0)] = CSF


def _mirror(axes: Axes, start: Point, end: Point, radius: float) -> np.ndarray:
    return capsule((np.abs(axes[0]), axes[1], axes[2]), start, end, radius)


def _pair(axes: Axes, centre: Point, radii: Point) -> np.ndarray:
    return ellipsoid((np.abs(axes[0]), axes[1], axes[2]), centre, radii)
