"""How near a conductivity map comes to a table or a truth, tissue by tissue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from headcond.checks import InputError, check_finite, check_shape
from headcond.metrics import nearest_tissue_dice
from headcond.tissues import TISSUES, conductivity_map

SCORE_COLUMNS = (
    "tissue", "voxels", "median_percent", "log10_mae", "air_percent", "dice", "dice_tissues",
)  # fmt: skip


def tissue_scores(
    estimated: np.ndarray,
    labels: np.ndarray,
    table: Mapping[str, float],
    truth: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score a conductivity map on the voxels of each tissue of a label map.

    Only labelled voxels are judged. A map is exactly 0 where it takes tissue for air
    (`fusion.mask_air`, below half of the table's lowest conductivity). Such voxels are counted
    (`air_percent`); in the logarithm they stand at that threshold, so that one of them does not
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
    (`metrics.nearest_tissue_dice`). Tissues to which the table gives one value cannot be told
    apart: they share one Dice, of their union, and `dice_tissues` names them, joined by "+".

    Raises
    ------
    InputError
        If shapes differ, labels hold no tissue or an unknown id, or a value is unusable.
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
        raise InputError("truth must lie above 0 S/m in every labelled voxel.")
    names = dict(enumerate(TISSUES, 1))
    overlap = nearest_tissue_dice(estimated, labels, table, names)
    group = {name: joined for joined in overlap for name in joined.split("+")}
    threshold = min(table.values()) / 2
    rows = []
    for number, name in names.items():
        chosen = labels == number
        if not np.any(chosen):
            continue
        found, wanted = estimated[chosen], truth[chosen]
        logs = np.log10(np.maximum(found, threshold) / wanted)
        rows.append(
            (
                name,
                found.size,
                float(100 * np.median(np.abs(found - wanted) / wanted)),
                float(np.abs(logs).mean()),
                float(100 * np.mean(found < threshold)),
                overlap[group[name]],
                group[name],
            )
        )
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def head_scores(scores: pd.DataFrame) -> dict[str, float]:
    """Summarise `tissue_scores` of one head: each tissue counts the same, however large it is.

    Returns
    -------
    Means over the tissues of `median_percent` and `log10_mae`, and over the distinguishable
    tissues of `dice`.
    """
    distinct = scores.drop_duplicates("dice_tissues")
    return {
        "median_percent": float(scores["median_percent"].mean()),
        "log10_mae": float(scores["log10_mae"].mean()),
        "dice": float(distinct["dice"].mean()),
    }
