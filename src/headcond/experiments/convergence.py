"""Experiment 1: bounds and true errors by snapshots, in both norms (ROM-pEIT, section 2.3.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from headcond.inverse.reduced import NEGLIGIBLE
from headcond.rom.model import ReducedModel
from headcond.rom.parameters import Box
from headcond.rom.settings import Settings
from headcond.rom.stability import Stability


def paper_settings(
    training_points: int, snapshots: int, current: float, seed: int, stability: Stability
) -> Settings:
    """Settings of a training as in the paper, with a fixed number of snapshots; current in A.

    Euclidean norm, interpolated stability factors, one pass of classical Gram-Schmidt.
    """
    return Settings(
        current=current, training=training_points, seed=seed, max_snapshots=snapshots,
        norm="euclidean", stability=stability, orthogonalisation="classical",
    )  # fmt: skip


def snapshot_counts(most: int, rows: int = 14) -> list[int]:
    """Numbers of snapshots at which errors are computed: every one up to 5, then spread out."""
    few = np.arange(1, min(5, most) + 1)
    return sorted({*few.tolist(), *np.linspace(1, most, rows).round().astype(int).tolist()})


def concave_ratio(stability: Stability, box: Box, points: np.ndarray) -> np.ndarray:
    """Interpolated over certified stability factor (S,) at points (S, P).

    A Euclidean bound times this ratio is certified; where it is above 1 the interpolated factor
    may be too large.
    """
    lower = replace(stability, method="concave")
    return stability.evaluate(box, points) / lower.evaluate(box, points)


def history_table(model: ReducedModel) -> pd.DataFrame:
    """Bounds over the training sample and orthogonality, a row per pair and snapshot."""
    names = ("maximum", "mean", "absolute", "orthogonality", "iterations")
    rows = (
        {"norm": model.norm, "source": pair.source, "snapshots": number + 1}
        | {name: pair.history[name][number] for name in names}
        for pair in model.pairs
        for number in range(pair.snapshots)
    )
    return pd.DataFrame(rows)


def summarise_errors(errors: pd.DataFrame, histories: pd.DataFrame) -> pd.DataFrame:
    """Mean and maximum over pairs and points, a row per norm and number of snapshots.

    Parameters
    ----------
    errors : rows of `validation.validate` with the column `norm`.
    histories : rows of `history_table`.

    Returns
    -------
    Columns `<quantity>_mean` and `<quantity>_max` for relative_error, relative_bound,
    relative_head_error, passive_error (V) and effectivity (of judged points);
    `effectivity_min`; `judged` and `violated` counts; `sample_bound_mean`, `sample_bound_max`
    over the training sample; `orthogonality_max`.
    """
    rows = []
    for (norm, count), part in errors.groupby(["norm", "snapshots"]):
        row: dict[str, Any] = {"norm": norm, "snapshots": count}
        for name in ("relative_error", "relative_bound", "relative_head_error", "passive_error"):
            row[f"{name}_mean"], row[f"{name}_max"] = part[name].mean(), part[name].max()
        judged = part[part["judged"]]
        for name in ("mean", "max", "min"):
            row[f"effectivity_{name}"] = judged["effectivity"].agg(name)
        row["judged"], row["violated"] = int(part["judged"].sum()), int(part["violated"].sum())
        row["points"] = len(part)
        steps = histories[(histories["norm"] == norm) & (histories["snapshots"] == count)]
        row["sample_bound_mean"] = steps["mean"].mean()
        row["sample_bound_max"] = steps["maximum"].max()
        row["orthogonality_max"] = steps["orthogonality"].max()
        rows.append(row)
    return pd.DataFrame(rows)


def certificates(errors: pd.DataFrame) -> pd.DataFrame:
    """Reliability of the bounds over all pairs, points and numbers of snapshots, a row per norm.

    Parameters
    ----------
    errors : rows of `validation.validate` with the column `norm`, and for the Euclidean norm
        `concave_bound`, the bound with the proven stability factor.

    Returns
    -------
    Numbers of errors that are `judged`, and of bounds `violated` by them; mean and largest
    effectivity; `of_limit`, the largest ratio of an effectivity to its limit (energy);
    `lower_violated`, lower bounds above the error (energy); `proven_violated`, proven bounds below
    it (Euclidean). Over points: `above_proven`, the share at which the interpolated factor is
    above the proven one, and the mean and largest ratio of the two (Euclidean).
    """
    rows = []
    for norm, part in errors.groupby("norm"):
        judged = part[part["judged"].astype(bool)]
        row = {
            "norm": norm, "judged": len(judged), "violated": int(part["violated"].sum()),
            "effectivity_mean": judged["effectivity"].mean(),
            "effectivity_max": judged["effectivity"].max(),
        }  # fmt: skip
        if norm == "energy":
            row["of_limit"] = (judged["effectivity"] / judged["limit"]).max()
            row["lower_violated"] = int(
                (judged["lower"] > judged["error"] + judged["accuracy"]).sum()
            )
        if norm == "euclidean":
            too_low = judged["error"] > judged["concave_bound"] + judged["accuracy"]
            points = part.drop_duplicates("point")
            ratio = points["concave_bound"] / points["bound"]
            row |= {
                "proven_violated": int(too_low.sum()), "above_proven": (ratio > 1).mean(),
                "ratio_mean": ratio.mean(), "ratio_max": ratio.max(),
            }  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def enough_snapshots(table: pd.DataFrame, noise: float) -> int | None:
    """The paper's stopping rule: fewest snapshots whose error is far below the noise.

    Parameters
    ----------
    table : `summarise_errors` of one norm.
    noise : standard deviation at one electrode, V.

    Returns
    -------
    Number of snapshots from which on the rule holds, None if it never does.
    """
    table = table.sort_values("snapshots", ascending=False)
    holds = (table["passive_error_max"] <= NEGLIGIBLE * noise).cumprod().astype(bool)
    return int(table["snapshots"][holds].min()) if holds.any() else None
