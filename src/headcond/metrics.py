"""Errors of fields, conductivity maps and estimates, as the two papers define them.

`global_error` is the global error GE of a field (eq. 6 of CondNet), `relative_error` the
relative error RE of a conductivity (eq. 12 of ROM-pEIT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.ndimage
import scipy.optimize
from numpy.typing import ArrayLike

from headcond.checks import InputError, check_finite, check_option, check_positive, check_shape

GLOBAL_ERROR_COLUMNS = (
    *("subject", "coil", "region", "reference", "estimate", "kind", "denominator", "head_mask"),
    *("mean_percent", "std_percent", "voxels"),
)
HEAD = "head"
AVERAGE = "average"  # in place of the subject, in rows over all of them


class GlobalError(NamedTuple):
    """Mean and standard deviation over a region's voxels, in percent."""

    mean: float
    std: float


def global_error(
    reference: np.ndarray,
    estimate: np.ndarray,
    region: np.ndarray,
    *,
    denominator: str = "region",
    head: np.ndarray | None = None,
    kind: str = "magnitude",
) -> GlobalError:
    """Global error GE of a field in percent (eq. 6 of CondNet).

        GE_i = 100 |E_i - F_i| / max(E, F)

    over the voxels i of a region, with the reference E and the estimate F; mean and standard
    deviation. The paper leaves open whether the maximum is over the region or the head.

    Parameters
    ----------
    reference, estimate : (nx, ny, nz) magnitudes or (nx, ny, nz, 3) vectors, V/m.
    region : (nx, ny, nz) bool.
    denominator : "region" or "head", over which the maximum of both magnitudes is taken.
    head : (nx, ny, nz) bool, needed for the denominator "head".
    kind : "magnitude" compares |E| and |F|, "vector" takes the length of E - F.

    Raises
    ------
    InputError
        If shapes differ, the region is empty, a field in it is not finite, both fields
        vanish, or the kind "vector" is used with magnitudes.
    """
    check_option("kind", kind, ("magnitude", "vector"))
    check_option("denominator", denominator, ("region", "head"))
    reference, estimate = np.asarray(reference), np.asarray(estimate)
    if reference.shape != estimate.shape or reference.ndim not in (3, 4):
        raise InputError(
            f"reference {reference.shape} and estimate {estimate.shape} must both be "
            "(nx, ny, nz) or (nx, ny, nz, 3)."
        )
    if kind == "vector" and reference.shape[3:] != (3,):
        raise InputError("The kind 'vector' needs fields of shape (nx, ny, nz, 3).")
    if denominator == "head" and head is None:
        raise InputError("The denominator 'head' needs the mask `head`.")
    region = where = _mask("region", region, reference.shape[:3])
    if denominator == "head":
        where = _mask("head", head, reference.shape[:3])
    largest = max(float(_magnitude(field[where]).max()) for field in (reference, estimate))
    _check_maximum(denominator, largest)
    e = check_finite("reference", np.asarray(reference[region], float))
    f = check_finite("estimate", np.asarray(estimate[region], float))
    difference = _magnitude(e - f) if kind == "vector" else np.abs(_magnitude(e) - _magnitude(f))
    percent = 100.0 * difference / largest
    return GlobalError(float(percent.mean()), float(percent.std()))


def global_error_table(
    fields: Mapping[str, np.ndarray],
    regions: Mapping[str, np.ndarray],
    conductive: np.ndarray,
    *,
    subject: str,
    coil: str,
    comparisons: Sequence[tuple[str, str]],
) -> pd.DataFrame:
    """Global errors of every comparison, region, kind, denominator and head mask (Table III).

    The head is a region too: all conducting voxels, or the whole grid with its air, as the
    published values of the head suggest.

    Parameters
    ----------
    fields : (nx, ny, nz, 3) V/m by conductivity model.
    regions : (nx, ny, nz) bool by name, without the head.
    conductive : (nx, ny, nz) bool, voxels that conduct.
    subject, coil : written to the rows.
    comparisons : (reference, estimate) names of fields.

    Returns
    -------
    Table with the columns `GLOBAL_ERROR_COLUMNS`.
    """
    if HEAD in regions:
        raise InputError("The head comes from `conductive`: leave it out of the regions.")
    for pair in comparisons:
        for name in pair:
            check_option("field", name, list(fields))
    conductive = np.asarray(conductive, bool)
    heads = {"conductive": conductive, "grid": np.ones_like(conductive)}
    for name, field in fields.items():
        check_shape(f"field {name}", field, (*conductive.shape, 3))
    masks = {name: _mask(name, region, conductive.shape) for name, region in regions.items()}
    sizes = {name: np.linalg.norm(field, axis=-1) for name, field in fields.items()}
    rows = []
    for first, second in comparisons:
        # What `global_error` takes from whole volumes is taken once for all regions here.
        gaps = {
            "magnitude": np.abs(sizes[first] - sizes[second]),
            "vector": np.linalg.norm(fields[first] - fields[second], axis=-1),
        }
        larger = np.maximum(sizes[first], sizes[second])
        for label, head in heads.items():
            for name, region in {**masks, HEAD: head}.items():
                largest = {"region": larger[region].max(), "head": larger[head].max()}
                count = int(np.count_nonzero(region))
                for kind, gap in gaps.items():
                    inside = check_finite(f"{first} or {second}", gap[region]).astype(float)
                    mean, std = inside.mean(), inside.std()
                    for denominator, top in largest.items():
                        _check_maximum(denominator, top)
                        key = (subject, coil, name, first, second, kind, denominator, label)
                        rows.append((*key, 100 * mean / top, 100 * std / top, count))
    return pd.DataFrame(rows, columns=list(GLOBAL_ERROR_COLUMNS))


def average_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Average of global errors over subjects: the last row of every block of Table III.

    Parameters
    ----------
    table : `global_error_table` of several subjects, one below the other; further columns are
        kept if they are the same for all.

    Returns
    -------
    The same columns with the subject `AVERAGE`: mean_percent and std_percent are the means over
    subjects of their own, voxels their sum; and between_percent, the standard deviation of the
    subjects' means (n - 1; missing for one subject), and subjects, their number.
    """
    values = {"mean_percent", "std_percent", "voxels", "subject"}
    keys = [name for name in table.columns if name not in values]
    groups = table.groupby(keys, sort=False)
    average = groups.agg(
        mean_percent=("mean_percent", "mean"),
        std_percent=("std_percent", "mean"),
        voxels=("voxels", "sum"),
        between_percent=("mean_percent", "std"),
        subjects=("subject", "nunique"),
    ).reset_index()
    average["subject"] = AVERAGE
    return average[[*table.columns, "between_percent", "subjects"]]


def peak_percentiles(
    field: np.ndarray, mask: np.ndarray, percentiles: Sequence[float] = (99.0, 99.9)
) -> np.ndarray:
    """Percentiles of a field's magnitude inside a mask: peaks that do not hang on one voxel.

    Parameters
    ----------
    field : (nx, ny, nz) or (nx, ny, nz, 3).
    mask : (nx, ny, nz) bool.
    percentiles : each in 0..100.

    Returns
    -------
    (len(percentiles),) in the field's unit.
    """
    mask = _mask("mask", mask, np.shape(field)[:3])
    inside = check_finite("field", np.asarray(field)[mask])
    return np.percentile(_magnitude(inside), percentiles)


def relative_error(estimated: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """Relative error RE in percent, 100 |estimated - truth| / truth (eq. 12 of ROM-pEIT).

    Parameters
    ----------
    estimated, truth : conductivities in S/m, broadcast against each other; truth above 0.
    """
    truth = check_finite("truth", np.asarray(truth, float))
    if np.any(truth <= 0):
        raise InputError("truth must be above 0 S/m everywhere.")
    return 100.0 * np.abs(np.asarray(estimated, float) - truth) / truth


def nearest_tissue_dice(
    estimate: np.ndarray, labels: np.ndarray, table: Mapping[str, float], names: Mapping[int, str]
) -> dict[str, float]:
    """Dice overlap of the labels with the tissue whose conductivity is nearest, by tissue.

    Nearness is in log conductivity. Tissues of equal conductivity count as one, their names
    joined by "+".

    Parameters
    ----------
    estimate : (nx, ny, nz) S/m.
    labels : (nx, ny, nz) tissue ids, 0 outside; only labelled voxels are judged.
    table : conductivity in S/m by tissue name.
    names : tissue names by id.

    Returns
    -------
    2 |A and B| / (|A| + |B|) by tissue; tissues absent from the labels and the estimate
    are left out.
    """
    inside = np.asarray(labels) > 0
    check_shape("estimate", estimate, inside.shape)
    if not np.any(inside):
        raise InputError("labels hold no tissue.")
    unknown = set(np.unique(labels[inside]).tolist()) - set(names)
    if unknown:
        raise InputError(f"labels hold the id {min(unknown)}, which has no name.")
    groups: dict[float, list[str]] = {}
    for name in names.values():
        if name in table:
            groups.setdefault(check_positive(f"table[{name!r}]", table[name]), []).append(name)
    values = np.array(sorted(groups))
    place = {name: i for i, value in enumerate(values) for name in groups[value]}
    lookup = np.full(max(names) + 1, -1)
    for number, name in names.items():
        lookup[number] = place.get(name, -1)
    wanted = lookup[np.asarray(labels)[inside].astype(int)]
    if np.any(wanted < 0):
        raise InputError("The conductivity table lacks a tissue that the labels hold.")
    found = np.asarray(estimate, float)[inside]
    # Thresholds half-way in the logarithm; what is not above zero goes to the least one.
    nearest = np.searchsorted(np.sqrt(values[1:] * values[:-1]), found)
    dice = {}
    for i, value in enumerate(values):
        ours, theirs = nearest == i, wanted == i
        total = int(ours.sum() + theirs.sum())
        if total:
            dice["+".join(groups[value])] = 2.0 * float(np.sum(ours & theirs)) / total
    return dice


def blur_inside(uniform: np.ndarray, width: float, mask: np.ndarray) -> np.ndarray:
    """Gaussian-blurred conductivity map, normalised so that air does not bleed in.

    CondNet's authors say that its maps resemble Gaussian convolutions of uniform ones; this
    control shows how much of a map such a convolution explains.

    Parameters
    ----------
    uniform : (nx, ny, nz) S/m.
    width : standard deviation in voxels.
    mask : (nx, ny, nz) bool, conducting voxels: only they contribute.

    Returns
    -------
    (nx, ny, nz) float64 S/m, G*(sigma m) / G*m inside the mask and 0 outside.
    """
    check_positive("width", width)
    uniform = check_finite("uniform", np.asarray(uniform, float))
    mask = _mask("mask", mask, uniform.shape)
    box = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    held = mask[box]
    weight = scipy.ndimage.gaussian_filter(held.astype(float), width, mode="constant")
    total = scipy.ndimage.gaussian_filter(np.where(held, uniform[box], 0.0), width, mode="constant")
    result = np.zeros(uniform.shape)
    result[box] = np.where(held, total / np.where(held, weight, 1.0), 0.0)
    return result


def fit_blur(
    uniform: np.ndarray, estimated: np.ndarray, mask: np.ndarray, largest: float = 6.0
) -> float:
    """Width in voxels of the Gaussian that makes a uniform map most like an estimated one.

    Parameters
    ----------
    uniform, estimated : (nx, ny, nz) S/m.
    mask : (nx, ny, nz) bool, conducting voxels, over which the squared difference counts.
    largest : widths from 0.05 to this are tried.

    Raises
    ------
    InputError
        If shapes differ or the best width is the largest one: no Gaussian fits.
    """
    estimated = check_finite("estimated", np.asarray(estimated, float))
    check_shape("uniform", uniform, estimated.shape)
    mask = _mask("mask", mask, estimated.shape)
    smallest = 0.05  # below this a sampled Gaussian is the identity
    # Outside the mask nothing contributes, so its bounding box is enough.
    box = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    sharp, soft, inside = (part[box] for part in (np.asarray(uniform), estimated, mask))

    def difference(width: float) -> float:
        return float(np.mean((blur_inside(sharp, width, inside) - soft)[inside] ** 2))

    grid = np.linspace(smallest, largest, 13)
    errors: list[float] = []
    for width in grid:  # wide Gaussians cost most and are skipped once the error only rises
        errors.append(difference(width))
        if len(errors) > 3 and errors[-1] > errors[-2] > errors[-3]:
            break
    best = int(np.argmin(errors))
    if best == len(grid) - 1:
        raise InputError(
            f"No Gaussian up to {largest} voxels makes the uniform map resemble the estimated one: "
            "the networks give hardly any anatomy. Train them for longer (condnet.epochs)."
        )
    ends = grid[max(best - 1, 0)], grid[best + 1]
    result = scipy.optimize.minimize_scalar(
        difference, bounds=ends, method="bounded", options={"xatol": 1e-4}
    )
    return float(result.x)


def _magnitude(values: np.ndarray) -> np.ndarray:
    """Magnitude (n,) of the field in n voxels, from magnitudes (n,) or vectors (n, 3)."""
    return np.linalg.norm(values, axis=-1) if values.ndim == 2 else np.abs(values)


def _check_maximum(region: str, largest: float) -> None:
    if not np.isfinite(largest) or largest <= 0:
        raise InputError(f"The fields' maximum over the {region} is {largest} V/m.")


def _mask(name: str, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = check_shape(name, np.asarray(mask, bool), tuple(shape))
    if not np.any(mask):
        raise InputError(f"The mask {name!r} is empty.")
    return mask
