"""Tissue names, label schemes and conductivity tables that every other module shares.

The internal scheme `headcond13` numbers the thirteen conducting tissues of the CondNet
paper (Table I); id 0 is air. `to_tissues` translates labels of other programs, so that no
other module uses their ids.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import InputError, check_option, check_positive, check_shape

AIR = "air"
TISSUES = (
    *("skin", "fat", "muscle", "bone_cortical", "bone_cancellous", "dura", "csf", "gm", "wm"),
    *("cerebellum", "vitreous_humour", "blood", "mucous"),
)
EIT_TISSUES = ("scalp", "compact_bone", "spongy_bone", "csf", "gm", "wm")

# A name of `label_scheme` that is no tissue: skin, fat or muscle under one id.
SOFT_TISSUE = "soft_tissue"


def _by_tissue(**ids: tuple[int, ...]) -> dict[int, str]:
    return {number: name for name, numbers in ids.items() for number in numbers}


# charm (SimNIBS 4): FreeSurfer's ids inside the brain, its own from 501 outside.
_CHARM = _by_tissue(
    air=(0, 501, 517),
    wm=(2, 41, 16, 28, 60, 77, 85, 512, 530),
    gm=(3, 42, 10, 11, 12, 13, 17, 18, 26, 49, 50, 51, 52, 53, 54, 58, 80),
    cerebellum=(7, 8, 46, 47),
    csf=(4, 5, 14, 15, 24, 29, 31, 43, 44, 63, 72, 520),
    blood=(30, 62, 502, 514),
    vitreous_humour=(506,),
    soft_tissue=(507,),
    muscle=(508,),
    mucous=(509,),
    skin=(511,),
    bone_cortical=(515,),
    bone_cancellous=(516,),
    fat=(525,),
)

# SynthSeg's training maps use charm's ids and more of FreeSurfer's.
_SYNTHSEG = _CHARM | _by_tissue(
    wm=(25, 57, 78, 79, *range(251, 256)),
    gm=(81, 82, *range(1000, 1036), *range(2000, 2036)),
    csf=(136, 137, 163, 164),
)

_SIMNIBS = _by_tissue(
    air=(0,),
    wm=(1,),
    gm=(2,),
    csf=(3,),
    bone_cortical=(4, 7),
    skin=(5,),
    vitreous_humour=(6,),
    bone_cancellous=(8,),
    blood=(9,),
    muscle=(10, 11),
    fat=(12,),
)

_BRAINWEB = _by_tissue(
    air=(0,), csf=(1,), gm=(2, 8), wm=(3,), fat=(4,), muscle=(5, 9), skin=(6,), bone_cortical=(7,)
)
_BRAINWEB20 = _by_tissue(
    air=(0,), csf=(1,), gm=(2,), wm=(3,), fat=(4,), muscle=(5, 9), soft_tissue=(6,),
    bone_cortical=(7,), blood=(8,), dura=(10,), bone_cancellous=(11,),
)  # fmt: skip

_SCHEMES: dict[str, dict[int, str]] = {
    "headcond13": dict(enumerate((AIR, *TISSUES))),
    "charm": _CHARM,
    "synthseg": _SYNTHSEG,
    "simnibs": _SIMNIBS,
    "brainweb": _BRAINWEB,
    "brainweb20": _BRAINWEB20,
    "eit6": dict(enumerate((AIR, *EIT_TISSUES))),
}

# The tissues that each of the six merges; `to_tissues` takes the first.
_EIT_MEMBERS = {
    "scalp": ("skin", "fat", "muscle", "mucous", "vitreous_humour", "blood"),
    "compact_bone": ("bone_cortical",),
    "spongy_bone": ("bone_cancellous",),
    "csf": ("csf", "dura"),
    "gm": ("gm", "cerebellum"),
    "wm": ("wm",),
}
_INSIDE_SKULL = ("dura", "csf", "gm", "wm", "cerebellum")
_OUTSIDE_SKULL = ("skin", "fat", "muscle", "vitreous_humour", "mucous")

# Table I of the CondNet paper: columns A and B, S/m.
_TABLE_I = {
    "skin": (0.100, 0.456),
    "fat": (0.040, 0.040),
    "muscle": (0.340, 0.400),
    "bone_cortical": (0.020, 0.007),
    "bone_cancellous": (0.080, 0.025),
    "dura": (0.500, 0.500),
    "csf": (2.000, 1.654),
    "gm": (0.100, 0.276),
    "wm": (0.070, 0.126),
    "cerebellum": (0.130, 0.276),
    "vitreous_humour": (1.500, 1.500),
    "blood": (0.700, 0.700),
    "mucous": (0.070, 0.070),
}

# Four-term Cole-Cole parameters (Gabriel, Lau & Gabriel 1996): eps_inf, static ionic
# conductivity (S/m), then strength, relaxation time and broadening of each dispersion;
# the times in ps, ns, us and ms.
_COLE_COLE = {
    name: tuple(float(number) for number in numbers)
    for name, *numbers in map(
        str.split,
        """\
fat             2.5 .035    9  7.958 .2     35  15.915 .1   3.3e4 159.155 .05    1e7 15.915 .01
muscle          4   .2     50  7.234 .1   7000 353.678 .1   1.2e6 318.31  .1   2.5e7  2.274 0
bone_cortical   2.5 .02    10 13.263 .2    180  79.577 .2     5e3 159.155 .2     1e5 15.915 0
bone_cancellous 2.5 .07    18 13.263 .22   300  79.577 .25    2e4 159.155 .2     2e7 15.915 0
dura            4   .5     40  7.958 .15   200   7.958 .1     1e4 159.155 .2     1e6 15.915 0
csf             4  2       65  7.958 .1     40   1.592 0
gm              4   .02    45  7.958 .1    400  15.915 .15    2e5 106.103 .22  4.5e7  5.305 0
wm              4   .02    32  7.958 .1    100   7.958 .1     4e4  53.052 .3   3.5e7  7.958 .02
cerebellum      4   .04    40  7.958 .1    700  15.915 .15    2e5 106.103 .22  4.5e7  5.305 0
vitreous_humour 4  1.5     65  7.234 0      30 159.155 .1
blood           4   .7     56  8.377 .1   5200 132.629 .1""".splitlines(),
    )
}
_TIME_UNITS = (1e-12, 1e-9, 1e-6, 1e-3)  # s

COLE_COLE_OVERRIDDEN = ("skin", "mucous")
"""Tissues whose "cole-cole" conductivity is table A's at every frequency: the model's dry
and wet skin are far below the paper's values, and no parameters give those."""

EIT_RANGES: dict[str, dict[str, float]] = {
    name: dict(zip(("min", "lq", "uq", "max"), row, strict=True))
    for name, row in {
        "scalp": (0.136, 0.303, 0.444, 0.620),
        "compact_bone": (0.0008, 0.002, 0.009, 0.0131),
        "spongy_bone": (0.001, 0.013, 0.043, 0.088),
        "csf": (1.388, 1.450, 1.794, 1.794),
        "gm": (0.060, 0.268, 0.508, 0.739),
        "wm": (0.065, 0.092, 0.177, 0.228),
    }.items()
}
"""Literature range of each EIT tissue, S/m: minimum, lower and upper quartile, maximum
(ROM-pEIT paper, Table 1, after McCann et al. 2019)."""

_VACUUM_PERMITTIVITY = 8.8541878128e-12  # F/m
_UNKNOWN = 255


def tissue_id(name: str) -> int:
    """Id of a tissue (or of air) in the scheme headcond13."""
    check_option("tissue", name, (AIR, *TISSUES))
    return 0 if name == AIR else TISSUES.index(name) + 1


def label_scheme(name: str) -> dict[int, str]:
    """Ids of a label scheme and the tissue of each. Assumptions are marked with *.

    headcond13
        Air 0 and `TISSUES` from 1 on.
    charm
        SimNIBS 4's labelling before its tissues are merged. Cerebral white matter, brain stem,
        ventral diencephalon*, optic nerve and chiasm*, spinal cord* and white hypointensities*
        (77) are wm; cortex, deep nuclei, hippocampus, amygdala and other hypointensities* (80)
        gm; both layers of the cerebellum cerebellum; ventricles, cortical CSF (520), choroid
        plexus* (31, 63) and what is undetermined* (29; its 16 voxels in SimNIBS's example head
        border mostly on CSF) csf; vessels (30, 62), arteries (502) and veins (514) blood; eyes
        (506) vitreous_humour*; other tissues (507) soft_tissue; rectus muscles (508) muscle;
        mucosa (509) mucous; 511 skin, 515 bone_cortical, 516 bone_cancellous, 525 fat;
        internal air (501) and background (0, 517) air.
    synthseg
        SynthSeg's training maps: charm's ids, and lesions* (25, 57), further white
        hypointensities* (78, 79) and callosum (251 to 255) as wm; further hypointensities*
        (81, 82) and parcels of the cortex (1000 to 1035, 2000 to 2035) as gm; 136, 137, 163
        and 164 as csf.
    simnibs
        SimNIBS's final_tissues: scalp* (5) is skin, undivided bone* (4) bone_cortical, eyes* (6)
        vitreous_humour, cartilage* (11) muscle: it conducts like muscle rather than like bone.
    brainweb
        The nine discrete classes of BrainWeb's normal brain (Colin27): muscle/skin* (5) and
        connective tissue* (9: between muscle, vessels and meninges) are muscle, glial matter*
        (8, around the ventricles) gm.
    brainweb20
        BrainWeb's twenty anatomical models (Aubert-Broche et al., NeuroImage 2006): vessels (8)
        are blood, marrow (11) bone_cancellous, muscle/skin (6), which is also the outermost
        layer, soft_tissue, around fat* (9) muscle: 85 % of the voxels around it are muscle or
        muscle/skin (model 04). Grey and white matter include the cerebellum's.
    eit6
        Air 0 and `EIT_TISSUES` from 1 on.

    Returns
    -------
    dict from id to a name of `TISSUES` or "air" ("eit6": of `EIT_TISSUES`). The name
    "soft_tissue" is skin, fat or muscle: `to_tissues` takes one of them, and
    `headcond.cohort.labels.prepare_labels` divides it by depth.
    """
    return dict(_SCHEMES[str(check_option("scheme", name, tuple(_SCHEMES)))])


def to_tissues(labels: ArrayLike, scheme: str, soft_tissue: str = "muscle") -> np.ndarray:
    """Translate a label map of any scheme into headcond13.

    Parameters
    ----------
    labels : array of whole numbers of any shape and dtype.
    scheme : name of a scheme, see `label_scheme`.
    soft_tissue : tissue that undivided soft tissue becomes (507 of charm and synthseg, 6 of
        brainweb20).

    Returns
    -------
    uint8 array of the same shape, ids of headcond13. "eit6" maps back to skin, cortical and
    cancellous bone, csf, gm and wm.

    Raises
    ------
    InputError
        If a label is not a whole number, or an id is not in the scheme (the ids and their
        voxel counts are listed).
    """
    check_option("soft_tissue", soft_tissue, TISSUES)
    names = label_scheme(scheme)
    labels = np.asarray(labels)
    whole = _whole_numbers(labels)
    table = np.full(max(names) + 1, _UNKNOWN, np.uint8)
    for number, name in names.items():
        if name == SOFT_TISSUE:
            name = soft_tissue
        elif scheme == "eit6" and number:
            name = _EIT_MEMBERS[name][0]
        table[number] = tissue_id(name)
    beyond = (whole < 0) | (whole >= len(table))
    translated = table[np.where(beyond, 0, whole)]
    unknown = beyond | (translated == _UNKNOWN)
    if unknown.any():
        ids, counts = np.unique(whole[unknown], return_counts=True)
        listed = [f"{i} ({n} voxels)" for i, n in zip(ids, counts, strict=True)]
        if len(listed) > 20:
            listed[20:] = [f"{len(listed) - 20} more"]
        raise InputError(
            f"The label ids {', '.join(listed)} are not in the scheme {scheme!r}. Name the scheme "
            "that they come from, or relabel these voxels."
        )
    return translated


def to_eit6(labels13: ArrayLike) -> np.ndarray:
    """Merge the thirteen tissues into the six of the EIT papers.

    Skin, fat, muscle, mucous tissue and vitreous humour become scalp, whatever their depth;
    dura becomes csf, cerebellum gm. Blood is on both sides of the skull: a blood voxel
    becomes csf if the nearest voxel (in voxel units) other than bone, air and blood is dura,
    csf or brain, and scalp if it is skin, fat, muscle, mucous tissue or vitreous humour.

    Parameters
    ----------
    labels13 : (nx, ny, nz) ids of headcond13.

    Returns
    -------
    (nx, ny, nz) uint8, 0 air and 1..6 in the order of `EIT_TISSUES`.
    """
    labels13 = to_tissues(check_shape("labels13", labels13, (None, None, None)), "headcond13")
    table = np.zeros(len(TISSUES) + 1, np.uint8)
    for number, eit in enumerate(EIT_TISSUES, start=1):
        table[[tissue_id(name) for name in _EIT_MEMBERS[eit]]] = number
    merged = table[labels13]
    blood = labels13 == tissue_id("blood")
    inside = np.isin(labels13, [tissue_id(name) for name in _INSIDE_SKULL])
    if blood.any() and inside.any():
        outside = np.isin(labels13, [tissue_id(name) for name in _OUTSIDE_SKULL])
        box = ndimage.find_objects((inside | outside | blood).view(np.uint8))[0]  # where they are
        nearest = ndimage.distance_transform_edt(
            ~(inside | outside)[box], return_distances=False, return_indices=True
        )
        within = blood[box]
        at = tuple(axis[within] for axis in nearest)
        merged[box][within] = np.where(
            inside[box][at], table[tissue_id("csf")], merged[box][within]
        )
    return merged


def conductivity_table(name: str, frequency: float = 10e3) -> dict[str, float]:
    """Conductivity of each of the thirteen tissues, S/m.

    Parameters
    ----------
    name : "A" or "B", the columns of Table I of the CondNet paper, or "cole-cole", the
        four-term Cole-Cole model at `frequency`, with the tissues of
        `COLE_COLE_OVERRIDDEN` taken from table A.
    frequency : Hz; tables A and B hold at 10 kHz only.

    Raises
    ------
    InputError
        If there is no such table, or none for this frequency.
    """
    check_option("conductivity table", name, ("A", "B", "cole-cole"))
    frequency = check_positive("frequency", frequency)
    if name == "cole-cole":
        omega = 2 * np.pi * frequency
        return {
            tissue: _TABLE_I[tissue][0]
            if tissue in COLE_COLE_OVERRIDDEN
            else float(-omega * _VACUUM_PERMITTIVITY * cole_cole(tissue, frequency).imag)
            for tissue in TISSUES
        }
    if frequency != 10e3:
        raise InputError(
            f"Table {name!r} holds fixed values (10 kHz), but frequency is {frequency:g} Hz. "
            "Use the table 'cole-cole' for other frequencies."
        )
    return {tissue: values["AB".index(name)] for tissue, values in _TABLE_I.items()}


def cole_cole(tissue: str, frequency: ArrayLike) -> complex | np.ndarray:
    """Complex relative permittivity of a tissue, four-term Cole-Cole model.

    eps(w) = eps_inf + sum_n d_n / (1 + (j w tau_n)^(1 - a_n)) + sigma_i / (j w eps_0)

    Parameters
    ----------
    tissue : one of `TISSUES` that is not in `COLE_COLE_OVERRIDDEN`.
    frequency : Hz, any shape.
    """
    check_option("tissue of the Cole-Cole model", tissue, tuple(_COLE_COLE))
    high, ionic, *terms = _COLE_COLE[tissue]
    omega = 2j * np.pi * np.asarray(frequency, float)
    eps = high + ionic / (omega * _VACUUM_PERMITTIVITY)
    for term, unit in zip(range(0, len(terms), 3), _TIME_UNITS, strict=False):
        strength, time, broadening = terms[term : term + 3]
        eps = eps + strength / (1 + (omega * time * unit) ** (1 - broadening))
    return eps[()]


def conduction_to_displacement(frequency: float = 10e3) -> dict[str, float]:
    """Ratio sigma / (omega eps) of conduction to displacement current for each tissue.

    Both come from the Cole-Cole model. The quasi-static field equations neglect the
    displacement current, which needs a ratio well above one; the CondNet paper demands ten,
    and grey matter at 10 kHz reaches 9.3. Tissues of `COLE_COLE_OVERRIDDEN` have no
    permittivity here and are left out.
    """
    frequency = check_positive("frequency", frequency)
    eps = {tissue: cole_cole(tissue, frequency) for tissue in _COLE_COLE}
    return {tissue: float(-value.imag / value.real) for tissue, value in eps.items()}


def conductivity_map(labels13: ArrayLike, table: Mapping[str, float]) -> np.ndarray:
    """Uniform conductivity map: one value per tissue, air exactly 0.

    Parameters
    ----------
    labels13 : ids of headcond13, any shape.
    table : S/m of each of `TISSUES`, as from `conductivity_table`.

    Returns
    -------
    float32 array of the shape of `labels13`, S/m.
    """
    missing = [name for name in TISSUES if name not in table]
    if missing:
        raise InputError(f"The conductivity table lacks {', '.join(missing)}.")
    values = np.array([0.0] + [check_positive(f"sigma of {n}", table[n]) for n in TISSUES])
    return values.astype(np.float32)[to_tissues(labels13, "headcond13")]


def _whole_numbers(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind in "iub":
        return labels
    if labels.dtype.kind != "f":
        raise InputError(f"Labels must be whole numbers, got an array of {labels.dtype}.")
    bad = ~np.isfinite(labels) | (labels != np.round(labels))
    if bad.any():
        raise InputError(
            f"{np.count_nonzero(bad)} labels are no whole numbers (first {labels[bad][0]!r}): was "
            "the map interpolated?"
        )
    return labels.astype(np.int64)
