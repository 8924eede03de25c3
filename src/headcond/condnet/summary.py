"""Scores of conductivity maps over the test heads, and what maps say of the eye's lens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from headcond.checks import InputError, check_shape
from headcond.condnet.scores import head_scores
from headcond.tissues import TISSUES

METRICS = ("median_percent", "log10_mae", "air_percent", "dice")
ALL = "all"
"""Name of the row that counts every tissue of a head the same."""


def over_heads(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over the heads of every score.

    Parameters
    ----------
    scores : rows of `scores.tissue_scores` of several heads, with the columns subject, table, map
        and reference before them.

    Returns
    -------
    A row per table, reference, map and tissue, and one with the tissue `ALL`
    (`scores.head_scores`): heads, the number of heads that have the tissue; voxels, their mean
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
    for key in keys:  # in the order in which they come
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
    found = found.reset_index()
    return found.astype({name: str for name in (*keys, "tissue")})


def value_ranges(maps: Mapping[str, np.ndarray], mask: np.ndarray) -> pd.DataFrame:
    """What every map holds inside a mask: the lens of the eye, say.

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
        raise InputError("The mask is empty: there is nothing to sum up.")
    rows = []
    for name, volume in maps.items():
        inside = check_shape(name, volume, mask.shape)[mask]
        low, median, high = np.percentile(inside, (5, 50, 95))
        rows.append((name, inside.size, median, low, high, inside.min(), inside.max()))
    return pd.DataFrame(
        rows, columns=["map", "voxels", "median", "p5", "p95", "least", "largest"]
    )  # fmt: skip
