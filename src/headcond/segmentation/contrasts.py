"""Grey values of the classes in a synthetic T1- and T2-weighted image, drawn at random.

Two recipes. One follows the physics: relaxation times jittered around the literature's, a spin
echo, spoiled gradient echo or MPRAGE with parameters drawn from what scanners use. The other
draws every grey value alone, whatever it means, as SynthSeg does (Billot et al. 2023): a network
that has seen both leans on shapes and needs no contrast of a certain kind.
"""

from __future__ import annotations

import numpy as np

from headcond.cohort.contrast import RELAXATION
from headcond.segmentation.classes import CLASSES, class_id
from headcond.tissues import AIR

_BRAIN = ("gm", "wm", "csf", "cerebellum")
_JITTER = {True: 0.10, False: 0.30}
"""Standard deviation of the logarithm of T1, T2 and density, inside the brain and outside."""
_PART_JITTER = 0.08  # of a part against its parent
_BETWEEN = {"thalamus": "wm", "pallidum": "wm", "diencephalon": "gm"}
"""Parts that lie between grey and white matter: what they are mixed with."""


def random_contrasts(generator: np.random.Generator) -> np.ndarray:
    """Draw grey values without any physics.

    Returns
    -------
    (2, number of classes): means of the T1- and of the T2-weighted image, 0 to 1.2.
    """
    means = generator.uniform(0.05, 1.0, (2, len(CLASSES)))
    for number, entry in enumerate(CLASSES):
        if entry.name != entry.parent and generator.random() < 0.6:
            near = means[:, class_id(entry.parent)] * np.exp(generator.normal(0, 0.1, 2))
            means[:, number] = np.clip(near, 0, 1.2)
    means[:, 0] = 0 if generator.random() < 0.85 else generator.uniform(0, 0.4, 2)
    if generator.random() < 0.7:
        means[:, class_id("bone_cortical")] = generator.uniform(0, 0.15, 2)
    return means


def physical_contrasts(generator: np.random.Generator) -> np.ndarray:
    """Draw grey values from relaxation times and sequences.

    Returns
    -------
    (2, number of classes): the T1-weighted image in units of white matter's signal, the
    T2-weighted one in units of grey matter's.
    """
    t1, t2, density = _relaxation(generator).T
    kind = generator.random()
    if kind < 0.4:
        first = _spin_echo(t1, t2, generator.uniform(0.3, 0.8), generator.uniform(0.005, 0.02))
    elif kind < 0.65:
        first = _gradient_echo(
            t1, t2, generator.uniform(0.01, 0.03), generator.uniform(0.002, 0.008),
            np.deg2rad(generator.uniform(15, 40)),
        )  # fmt: skip
    else:
        first = _mprage(t1, t2, generator.uniform(0.7, 1.1), generator.uniform(1.8, 2.5), 0.003)
    second = _spin_echo(t1, t2, generator.uniform(2.5, 6), generator.uniform(0.06, 0.15))
    means = np.stack([first, second]) * density
    means[:, 0] = 0
    means /= means[[0, 1], [class_id("wm"), class_id("gm")]][:, None]
    if generator.random() < 0.25:  # fat suppressed, or stronger than its relaxation times say
        means[:, class_id("fat")] *= generator.uniform(0.15, 1.8, 2)
        means[:, class_id("bone_cancellous")] *= generator.uniform(0.3, 1.5, 2)
    return means


def _relaxation(generator: np.random.Generator) -> np.ndarray:
    """T1 (s), T2 (s) and proton density of every class, (number of classes, 3)."""
    values = np.ones((len(CLASSES), 3))
    jitter: dict[str, np.ndarray] = {}
    for number, entry in enumerate(CLASSES):
        if entry.name == AIR:
            continue
        base = entry.parent
        if base not in jitter:
            jitter[base] = np.exp(generator.normal(0, _JITTER[base in _BRAIN], 3))
        mean = RELAXATION[base]
        values[number] = np.array([mean.t1, mean.t2, mean.pd]) * jitter[base]
        if entry.name != base:
            values[number] *= np.exp(generator.normal(0, _PART_JITTER, 3))
    grey, white, fluid = (class_id(name) for name in ("gm", "wm", "csf"))
    cerebellum, core = class_id("cerebellum"), class_id("cerebellar_core")
    kind = generator.random()
    if kind < 0.3:  # cortex and core too fine to tell apart
        values[core] = values[cerebellum]
    elif kind < 0.8:
        values[cerebellum] = values[grey] * np.exp(generator.normal(0, 0.05, 3))
    for name, other in _BETWEEN.items():
        values[class_id(name)] = _mix(
            values[class_id(name)], values[class_id(other)], generator.uniform(0, 0.8)
        )
    if generator.random() < 0.4:  # parts no different from the tissue they belong to
        for number, entry in enumerate(CLASSES):
            if entry.name not in (entry.parent, "cerebellar_core", "connective"):
                values[number] = values[class_id(entry.parent)]
    values[class_id("lesion")] = _mix(values[white], values[fluid], generator.uniform(0.1, 0.7))
    if generator.random() < 0.3:  # slow flow or contrast agent
        values[class_id("blood"), 2] *= generator.uniform(2, 5)
    if generator.random() < 0.3:  # enhancing dura, or fluid that a voxel of it holds
        values[class_id("dura"), 1] *= generator.uniform(1, 4)
    return values


def _mix(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return one ** (1 - share) * other**share


def _spin_echo(t1: np.ndarray, t2: np.ndarray, tr: float, te: float) -> np.ndarray:
    return -np.expm1(-tr / t1) * np.exp(-te / t2)


def _gradient_echo(t1: np.ndarray, t2: np.ndarray, tr: float, te: float, flip: float) -> np.ndarray:
    """Spoiled gradient echo; T2* as 0.6 T2."""
    left = np.exp(-tr / t1)
    return np.sin(flip) * (1 - left) / (1 - np.cos(flip) * left) * np.exp(-te / (0.6 * t2))


def _mprage(t1: np.ndarray, t2: np.ndarray, ti: float, tr: float, te: float) -> np.ndarray:
    """Inversion recovery with perfect inversion, read at `ti`; magnitude."""
    return np.abs(1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / t2)
