"""Classes that images are synthesised from: finer than the tissues that a network tells apart.

A tissue is rarely one grey value. The thalamus is darker than the cortex, choroid and ventricles
differ from the fluid between the gyri, the core of the cerebellum is white. Every class has an
intensity of its own in a synthetic image, and a tissue that a network is taught.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headcond.tissues import AIR, tissue_id


class ImageClass(NamedTuple):
    """A class of synthetic images.

    `tissue` is what it is called in headcond13; `parent` the class whose relaxation times it
    takes, changed a little (itself for a class of its own); `source` its ids in SynthSeg's
    label maps, where they are finer than the tissue's.
    """

    name: str
    tissue: str
    parent: str
    source: tuple[int, ...] = ()


CLASSES: tuple[ImageClass, ...] = (
    ImageClass(AIR, AIR, AIR),
    *(
        ImageClass(name, name, name)
        for name in (
            *("skin", "fat", "muscle", "bone_cortical", "bone_cancellous", "dura", "csf", "gm"),
            *("wm", "cerebellum", "vitreous_humour", "blood", "mucous"),
        )
    ),
    ImageClass("ventricle", "csf", "csf", (4, 5, 14, 15, 31, 43, 44, 63, 72)),
    ImageClass("thalamus", "gm", "gm", (10, 49)),
    ImageClass("caudate", "gm", "gm", (11, 50, 26, 58)),
    ImageClass("putamen", "gm", "gm", (12, 51)),
    ImageClass("pallidum", "gm", "gm", (13, 52)),
    ImageClass("hippocampus", "gm", "gm", (17, 53, 18, 54)),
    ImageClass("brainstem", "wm", "wm", (16,)),
    ImageClass("diencephalon", "wm", "wm", (28, 60)),
    ImageClass("nerve", "wm", "wm", (85, 512, 530)),
    ImageClass("cerebellar_core", "cerebellum", "wm", (7, 46)),
    ImageClass("eye_muscle", "muscle", "muscle", (508,)),
    ImageClass("connective", "muscle", "muscle"),
    ImageClass("lesion", "wm", "wm", (25, 57)),
)
"""Air first, so that class 0 is air as tissue 0 is; the thirteen tissues, then their parts."""

NAMES = tuple(entry.name for entry in CLASSES)
TISSUE_OF_CLASS = np.array([tissue_id(entry.tissue) for entry in CLASSES], np.uint8)
"""(number of classes,) id in headcond13 of every class."""

NOT_JUDGED = 128
"""Added to a class where the label map does not say what the tissue is: the class paints the
image, and no loss and no score counts the voxel."""
UNKNOWN = 255
"""Target of a voxel that is not judged."""


def class_id(name: str) -> int:
    """Index of a class in `CLASSES`."""
    return NAMES.index(name)
