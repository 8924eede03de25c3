"""Simulated spin-echo MRI of a label map: tissue parameters, water content, bias, noise.

Every image of this module is simulated and must be called so wherever it appears.

Classes are the ids of headcond13 and `LENS`: the lens of the eye has a contrast of its own
but is none of the thirteen tissues.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from headcond.checks import InputError, check_positive, check_shape
from headcond.cohort.shapes import cosine_field
from headcond.mri.resampling import block_mean
from headcond.tissues import AIR, TISSUES

LENS = len(TISSUES) + 1
"""Class id of the eye's lens, the first id after the thirteen tissues."""

CLASSES = (AIR, *TISSUES, "lens")


class Protocol(NamedTuple):
    """Repetition and echo time of a spin-echo image, in seconds."""

    tr: float
    te: float


# Short TR against T1 of 0.5-0.9 s and the shortest practical echo: white above grey above fluid.
T1W = Protocol(tr=0.500, te=0.010)
# TR beyond four T1 of brain tissue and an echo near its T2: fluid above grey above white.
T2W = Protocol(tr=4.000, te=0.100)


class Relaxation(NamedTuple):
    """MR parameters of a class: T1 and T2 (s), proton density, water fraction and its spread.

    `spread` is the standard deviation of the log odds of the water content, log(w / (1 - w)).
    """

    t1: float
    t2: float
    pd: float
    water: float
    spread: float


# T1, T2, PD of csf, gm, wm, fat and muscle: BrainWeb, 1.5 T. The others are our choice:
# - skin: muscle's T1 with the shorter T2 and lower density of a collagen-rich dermis;
# - cortical bone: its little water decays within a millisecond, which leaves no signal;
# - cancellous bone: marrow like fat, its density halved by the trabeculae;
# - dura: collagen, dark in both images by its short T2;
# - cerebellum: grey and white in equal parts, finer than a voxel;
# - vitreous humour: as csf; the lens: little water, short T2;
# - blood: flowing blood leaves the slice between the pulses, a flow void of low density;
# - mucous tissue: oedematous, long T2.
# Mean water contents: grey 0.85 and white matter 0.72 as the CondNet paper cites them, the
# others typical of the tissues; fluids vary less than tissues.
RELAXATION: dict[str, Relaxation] = {
    "skin": Relaxation(0.900, 0.040, 0.90, 0.65, 0.12),
    "fat": Relaxation(0.350, 0.070, 1.00, 0.20, 0.12),
    "muscle": Relaxation(0.900, 0.047, 1.00, 0.76, 0.12),
    "bone_cortical": Relaxation(0.250, 0.001, 0.20, 0.20, 0.12),
    "bone_cancellous": Relaxation(0.400, 0.065, 0.50, 0.35, 0.12),
    "dura": Relaxation(1.000, 0.025, 0.70, 0.70, 0.12),
    "csf": Relaxation(2.569, 0.329, 1.00, 0.99, 0.04),
    "gm": Relaxation(0.833, 0.083, 0.86, 0.85, 0.12),
    "wm": Relaxation(0.500, 0.070, 0.77, 0.72, 0.12),
    "cerebellum": Relaxation(0.680, 0.077, 0.82, 0.80, 0.12),
    "vitreous_humour": Relaxation(2.569, 0.329, 1.00, 0.99, 0.04),
    "blood": Relaxation(1.400, 0.150, 0.25, 0.83, 0.04),
    "mucous": Relaxation(1.200, 0.110, 0.95, 0.83, 0.12),
    "lens": Relaxation(1.000, 0.028, 0.65, 0.65, 0.04),
}

WATER_LENGTH = 10.0
"""Standard deviation of the Gaussian that smooths the water content, mm."""

# Pure water at body temperature, s: the limit that the rates approach as solids vanish.
_FREE_T1, _FREE_T2 = 4.3, 2.2


def spin_echo(pd: ArrayLike, t1: ArrayLike, t2: ArrayLike, tr: float, te: float) -> np.ndarray:
    """Spin-echo signal PD (1 - exp(-TR/T1)) exp(-TE/T2); all times in one unit, above zero."""
    t1, t2 = np.asarray(t1), np.asarray(t2)
    if np.any(t1 <= 0) or np.any(t2 <= 0):
        raise InputError("Relaxation times T1 and T2 must be above 0.")
    return np.asarray(pd) * -np.expm1(-tr / t1) * np.exp(-te / t2)


def water_field(
    classes: np.ndarray, voxel_size: float, generator: np.random.Generator
) -> np.ndarray:
    """Random water content, smooth inside each class, each class with a field of its own.

    log odds(w) = log odds(w_n) + spread_n z, where z is Gaussian noise of unit variance
    smoothed over `WATER_LENGTH` millimetres; w_n and spread_n are those of `RELAXATION`.

    Parameters
    ----------
    classes : (nx, ny, nz) ids of headcond13 or `LENS`.
    voxel_size : edge of a voxel of this grid, mm.
    generator : source of the noise; the field is the same on finer grids of the same box.

    Returns
    -------
    (nx, ny, nz) float32, mass fraction of water; 0 in air.
    """
    classes = _check_classes(classes)
    voxel_size = check_positive("voxel_size", voxel_size)
    water = np.zeros(classes.shape, np.float32)
    margin = 3 * WATER_LENGTH  # the variance of the series is not unity at its box's faces
    extent = [count * voxel_size + 2 * margin for count in classes.shape]
    streams = generator.spawn(LENS)  # one per class: the presence of one moves no other
    for number, box in enumerate(ndimage.find_objects(classes, LENS), start=1):
        if box is None:
            continue
        axes = [margin + (np.arange(part.start, part.stop) + 0.5) * voxel_size for part in box]
        field = cosine_field(axes, extent, WATER_LENGTH, streams[number - 1])
        here = classes[box] == number
        tissue = RELAXATION[CLASSES[number]]
        odds = tissue.water / (1 - tissue.water) * np.exp(tissue.spread * field[here])
        water[box][here] = odds / (1 + odds)
    return water


def odds_ratio(classes: np.ndarray, water: np.ndarray) -> np.ndarray:
    """Odds of the water content over the odds of its class's mean: 1 at the mean; 1 in air.

    Parameters
    ----------
    classes : ids of headcond13 or `LENS`, any shape.
    water : mass fraction of water, same shape, strictly between 0 and 1 outside air.
    """
    classes = _check_classes(classes)
    water = check_shape("water", water, classes.shape)
    solid = classes > 0
    inside = water[solid]
    if np.any(~(inside > 0) | (inside >= 1)):
        raise InputError("The water content must be strictly between 0 and 1 in every tissue.")
    mean = np.array([0.5] + [RELAXATION[name].water for name in CLASSES[1:]], np.float32)
    ratio = np.ones(classes.shape, np.float32)
    ratio[solid] = inside / (1 - inside) * ((1 - mean) / mean)[classes[solid]]
    return ratio


def signal(classes: np.ndarray, water: np.ndarray | None, tr: float, te: float) -> np.ndarray:
    """Noise-free spin-echo signal of every voxel, before partial volume, bias and noise.

    With a water content w, the odds ratio r = odds(w) / odds(w_n) shifts the parameters of
    the class as two-site fast exchange between free and bound water does, where the bound
    part grows with solids per water, 1 / r:

        1/T = 1/T_free + (1/T_n - 1/T_free) / r      for T1 and T2,
        PD  = PD_n w / w_n.

    Parameters
    ----------
    classes : ids of headcond13 or `LENS`, any shape.
    water : mass fraction of water (see `water_field`), or None for the table's values.
    tr, te : repetition and echo time, s.

    Returns
    -------
    float32 array of the shape of `classes`, arbitrary unit; air 0.
    """
    classes = _check_classes(classes)
    tr, te = check_positive("tr", tr), check_positive("te", te)
    table = np.array([RELAXATION[name] for name in CLASSES[1:]], np.float32)
    if water is None:
        values = spin_echo(table[:, 2], table[:, 0], table[:, 1], tr, te)
        return np.concatenate([[0], values]).astype(np.float32)[classes]
    ratio = odds_ratio(classes, water)
    image = np.zeros(classes.shape, np.float32)
    solid = classes > 0
    index = classes[solid] - 1
    bound = 1 / ratio[solid]
    rates = [
        1 / free + (1 / times - 1 / free)[index] * bound
        for times, free in ((table[:, 0], _FREE_T1), (table[:, 1], _FREE_T2))
    ]
    density = (table[:, 2] / table[:, 3])[index] * water[solid]
    image[solid] = spin_echo(density, 1 / rates[0], 1 / rates[1], tr, te)
    return image


def simulate(
    labels13_fine: np.ndarray,
    water: np.ndarray | None,
    generator: np.random.Generator,
    tr: float,
    te: float,
    factor: int,
    bias_strength: float,
    noise: float,
) -> np.ndarray:
    """Simulated spin-echo image of a label map, on a grid `factor` times coarser.

    Parameters
    ----------
    labels13_fine : (nx, ny, nz) ids of headcond13 or `LENS`, sides divisible by `factor`.
    water : mass fraction of water on the same grid, or None for uniform tissues.
    generator : source of bias field and noise.
    tr, te : repetition and echo time, s (see `T1W`, `T2W`).
    factor : sub-voxels per voxel along each axis; 1 for no partial volume.
    bias_strength : largest |log| of the multiplicative bias field, see `bias_field`.
    noise : standard deviation of the noise of either channel as a share of the signal of
        white matter under this protocol.

    Returns
    -------
    (nx, ny, nz) / factor, float32.
    """
    fine = signal(labels13_fine, water, tr, te)
    return acquire(fine, generator, tr, te, factor, bias_strength, noise)


def acquire(
    fine: np.ndarray,
    generator: np.random.Generator,
    tr: float,
    te: float,
    factor: int,
    bias_strength: float,
    noise: float,
) -> np.ndarray:
    """Image of a noise-free signal: partial volume, then bias field, then Rician noise.

    Parameters are those of `simulate`, with `fine` the signal on the fine grid.
    """
    white = RELAXATION["wm"]
    level = float(spin_echo(white.pd, white.t1, white.t2, tr, te))
    image = block_mean(fine, factor, np.float32)
    image = image * bias_field(image.shape, generator, bias_strength)
    return add_rician_noise(image, generator, noise * level)


def bias_field(
    shape: tuple[int, int, int], generator: np.random.Generator, strength: float
) -> np.ndarray:
    """Smooth positive field whose logarithm is within +-`strength` and averages to zero.

    A random cosine series smoothed over 0.3 of each side, as receive coils give.
    """
    if not 0 <= strength < np.inf:
        raise InputError(f"The strength of the bias field must be 0 or more, got {strength!r}.")
    axes = [(np.arange(count) + 0.5) / count for count in shape]
    field = cosine_field(axes, (1.0, 1.0, 1.0), 0.3, generator)
    field -= field.mean()
    return np.exp(field * np.float32(strength / max(np.abs(field).max(), 1e-6)))


def add_rician_noise(image: np.ndarray, generator: np.random.Generator, std: float) -> np.ndarray:
    """Magnitude of `image` plus complex Gaussian noise of deviation `std` in either channel."""
    if not 0 <= std < np.inf:
        raise InputError(f"The standard deviation of the noise must be 0 or more, got {std!r}.")
    noise = generator.standard_normal((2, *np.shape(image)), dtype=np.float32)
    noise *= np.float32(std)
    return np.hypot(image + noise[0], noise[1]).astype(np.float32)


def _check_classes(classes: np.ndarray) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.dtype.kind not in "iu":
        raise InputError(f"Classes must be whole numbers, got an array of {classes.dtype}.")
    if classes.size and (classes.min() < 0 or classes.max() > LENS):
        raise InputError(
            f"Classes must be ids of headcond13 or {LENS} (lens), got "
            f"{classes.min()}..{classes.max()}. Translate them with tissues.to_tissues first."
        )
    return classes.astype(np.uint8, copy=False)
