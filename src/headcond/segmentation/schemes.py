"""The thirteen tissues in the ids of the programs that come next."""

from __future__ import annotations

import numpy as np

from headcond.checks import check_shape
from headcond.cohort.labels import close_skull
from headcond.tissues import label_scheme, to_eit6, to_tissues

# SimNIBS's final_tissues. It has no dura (fluid by its place), no cerebellum and no mucous tissue.
_SIMNIBS = {
    "air": 0, "wm": 1, "gm": 2, "csf": 3, "skin": 5, "vitreous_humour": 6, "bone_cortical": 7,
    "bone_cancellous": 8, "blood": 9, "muscle": 10, "fat": 12, "dura": 3, "cerebellum": 2,
    "mucous": 10,
}  # fmt: skip


def to_simnibs(labels13: np.ndarray) -> np.ndarray:
    """Labels in the ids of SimNIBS's `final_tissues`.

    Dura becomes csf, cerebellum gm, mucous tissue muscle; what SimNIBS calls scalp (5) is skin
    alone, with the fat below it in its own class (12).

    Parameters
    ----------
    labels13 : ids of headcond13, any shape.

    Returns
    -------
    uint8 array of the same shape.
    """
    labels13 = to_tissues(labels13, "headcond13")
    names = label_scheme("headcond13")
    table = np.array([_SIMNIBS[names[number]] for number in range(len(names))], np.uint8)
    return table[labels13]


def to_closed_eit6(labels13: np.ndarray) -> np.ndarray:
    """The six tissues of the EIT head, the skull closed as the mesher asks.

    Parameters
    ----------
    labels13 : (nx, ny, nz) ids of headcond13.

    Returns
    -------
    (nx, ny, nz) uint8, 0 air and 1 to 6 in the order of `headcond.tissues.EIT_TISSUES`.

    Raises
    ------
    InputError
        If there is no bone, or nothing inside it.
    """
    labels13 = check_shape("labels13", labels13, (None, None, None))
    return close_skull(to_eit6(labels13))[0]
