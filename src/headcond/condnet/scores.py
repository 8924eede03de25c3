"""How near a conductivity map comes to a table or a truth, tissue by tissue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from headcond.checks import InputError, check_finite, check_shape
from headcond.metrics import nearest_tissue_dice
from headcond.tissues import TISSUES, conductivity_map

METRICS = ("median_percent", "log10_mae", "air_percent", "dice")
SCORE_COLUMNS = ("tissue", "voxels", *METRICS, "dice_tissues")
ALL = "all"
"""Tissue in rows that weigh every tissue of a head the same."""


def tissue_scores(
    estimated: np.ndarray,
    labels: np.ndarray,
    table: Mapping[str, float],
    truth: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score a conductivity map on the voxels of each tissue of a label map.

    Only labelled voxels count. A map is exactly 0 where it takes tissue for air
    (`fusion.mask_air`, below half of the table's lowest conductivity). Such voxels are counted
    (`air_percent`); in the logarithm that threshold replaces them, so that one of them does not
    make a mean infinite, and in Dice they count as the tissue of least conductivity.

    Parameters
    ----------
    estimated : (nx, ny, nz) S/m, not negative.
    labels : (nx, ny, nz) ids of headcond13, 0 outside the head.
    table : conductivity of every tissue, name -> S/m.
    truth : (nx, ny, nz) S/m, above 0 in every labelled voxel; the uniform map of `table` if
        none is given.

    Returns
    -------
    A row per tissue of `labels` with the columns `SCORE_COLUMNS`: `voxels`; `median_percent`,
    the median of 100 |estimated - truth| / truth; `log10_mae`, the mean of
    |log10(estimated / truth)|; `air_percent` of the voxels; `dice`, the overlap of the label with
    the voxels whose nearest tissue in log conductivity is this one
    (`metrics.nearest_tissue_dice`). Tissues of equal conductivity in the table share one Dice,
    of their union, and `dice_tissues` names them, joined by "+".

    Raises
    ------
    InputError
        If shapes differ, labels hold no tissue or an unknown id, or a value is invalid.
    """
    labels = np.asarray(labels)
    estimated = check_shape("estimated", np.asarray(estimated, float), labels.shape)
    inside = labels > 0
    if truth is None:
        truth = conductivity_map(labels, table)
    truth = check_shape("truth", np.asarray(truth, float), labels.shape)
    if not np.any(inside):
        raise InputError("labels hold no tissue.")
    if check_finite("estimated", estimated[inside]).min() < 0:
        raise InputError("estimated must not be negative.")
    if check_finite("truth", truth[inside]).min() <= 0:
        raise InputError("truth must be above 0 S/m in every labelled voxel.")
    names = dict(enumerate(TISSUES, 1))
    overlap = nearest_tissue_dice(estimated, labels, table, names)
    group = {name: joined for joined in overlap for name in joined.split("+")}
    threshold = min(table.values()) / 2
    rows = []
    for number, name in names.items():
        chosen = labels == number
        if not np.any(chosen):
            continue
        sigma, true = estimated[chosen], truth[chosen]
        median = float(100 * np.median(np.abs(sigma - true) / true))
        log_error = float(np.abs(np.log10(np.maximum(sigma, threshold) / true)).mean())
        air = float(100 * np.mean(sigma < threshold))
        rows.append((name, sigma.size, median, log_error, air, overlap[group[name]], group[name]))
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def head_scores(scores: pd.DataFrame) -> dict[str, float]:
    """Summarise `tissue_scores` of one head, every tissue with the same weight.

    Returns
    -------
    Means over the tissues of `median_percent` and `log10_mae`, and over the distinguishable
    tissues of `dice`.
    """
    distinct = scores.drop_duplicates("dice_tissues")
    means = {name: float(scores[name].mean()) for name in ("median_percent", "log10_mae")}
    return means | {"dice": float(distinct["dice"].mean())}


def summarise_heads(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over the heads of every score.

    Parameters
    ----------
    scores : rows of `tissue_scores` of several heads, with the columns subject, table, map
        and reference before them.

    Returns
    -------
    A row per table, reference, map and tissue, and one with the tissue `ALL`
    (`head_scores`): heads, the number of heads that have the tissue; voxels, their mean
    number; dice_tissues; and, for every name in `METRICS`, NAME_mean and NAME_std (n - 1 in the
    denominator, so undefined for a single head).
    """
    keys = ["table", "reference", "map"]
    whole = [
        dict(zip(["subject", *keys], key, strict=True))
        | {"tissue": ALL, "voxels": rows["voxels"].sum(), "dice_tissues": ALL}
        | {"air_percent": np.average(rows["air_percent"], weights=rows["voxels"])}
        | head_scores(rows)
        for key, rows in scores.groupby(["subject", *keys], sort=False)
    ]
    every = pd.concat([scores, pd.DataFrame(whole)], ignore_index=True)
    every["tissue"] = pd.Categorical(every["tissue"], [*TISSUES, ALL], ordered=True)
    for key in keys:  # in the order of their first rows
        every[key] = pd.Categorical(every[key], list(dict.fromkeys(every[key])), ordered=True)
    groups = every.groupby([*keys, "tissue"], observed=True)
    found = groups.agg(
        heads=("subject", "nunique"),
        voxels=("voxels", "mean"),
        dice_tissues=("dice_tissues", "first"),
    )
    for name in METRICS:
        found[f"{name}_mean"] = groups[name].mean()
        found[f"{name}_std"] = groups[name].std()
    return found.reset_index().astype({name: str for name in (*keys, "tissue")})


def value_ranges(maps: Mapping[str, np.ndarray], mask: np.ndarray) -> pd.DataFrame:
    """Values of every map inside a mask, such as the lens of the eye.

    Parameters
    ----------
    maps : name -> (nx, ny, nz) S/m.
    mask : (nx, ny, nz) bool.

    Returns
    -------
    A row per map: map, voxels, and median, p5, p95, least and largest value, S/m.

    Raises
    ------
    InputError
        If the mask is empty or its shape another one.
    """
    mask = np.asarray(mask, bool)
    if not mask.any():
        raise InputError("The mask is empty: it holds no value.")
    rows = []
    for name, volume in maps.items():
        inside = check_shape(name, volume, mask.shape)[mask]
        low, median, high = np.percentile(inside, (5, 50, 95))
        rows.append((name, inside.size, median, low, high, inside.min(), inside.max()))
    columns = ["map", "voxels", "median", "p5", "p95", "least", "largest"]
    return pd.DataFrame(rows, columns=columns)


def compare_maps(
    maps: Mapping[str, np.ndarray],
    references: Mapping[str, np.ndarray],
    labels13: np.ndarray,
    table: Mapping[str, float],
) -> pd.DataFrame:
    """`tissue_scores` of every map against every reference, which columns of that name state.

    Parameters
    ----------
    maps, references : (nx, ny, nz) S/m by name; a map is not compared with itself.
    labels13, table : see `tissue_scores`.
    """
    scores = [
        tissue_scores(volume, labels13, table, against).assign(map=name, reference=reference)
        for reference, against in references.items()
        for name, volume in maps.items()
        if name != reference
    ]
    return pd.concat(scores, ignore_index=True)
