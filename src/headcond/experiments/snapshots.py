"""Experiment 1 for a batch of pairs: bounds and true errors of its models by snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headcond.experiments.convergence import concave_ratio, history_table, snapshot_counts
from headcond.fem.operator import AffineOperator
from headcond.rom.basis import load_basis
from headcond.rom.model import ReducedModel
from headcond.rom.pair_training import pair_folder
from headcond.rom.settings import Settings
from headcond.rom.training import train_pairs
from headcond.rom.validation import compare


def measure(
    operator: AffineOperator,
    pairs: Sequence[tuple[str, str]],
    trained: ReducedModel,
    bases: str | Path,
    points: np.ndarray,
    norms: Sequence[str],
    euclidean: Settings,
    state: str | Path,
    *,
    mode: str,
    solver_factory: Callable[..., Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare reduced models in the energy and the Euclidean norm with full solutions.

    Parameters
    ----------
    operator : affine operator of the head.
    pairs : (source, sink) labels of the batch.
    trained : model of the batch in the energy norm, its bases in the folder `bases`.
    points : (points, parameters) S/m.
    norms : of "energy" and "euclidean"; a model in the second is trained here.
    euclidean : settings of that training, with its stability factors; see `paper_settings`.
    state : folder of its finished pairs and bases.
    mode, solver_factory : see `train_pairs`.

    Returns
    -------
    errors : rows of `compare` per norm, pair, point and number of snapshots; for the Euclidean
        norm also `concave_bound`, the bound with the proven stability factor.
    histories : rows of `history_table`.
    """
    box, models = trained.box, []
    for norm in norms:
        model, folder = trained, Path(bases)
        if norm != "energy":
            folder = Path(state)
            model = train_pairs(
                operator, pairs, box, euclidean, solver_factory=solver_factory, state=folder,
                mode=mode, keep_bases=True,
            )  # fmt: skip
        vectors = {name: load_basis(folder / pair_folder(operator, name)) for name, _ in pairs}
        models.append((model, vectors))
    counts = snapshot_counts(euclidean.max_snapshots)
    tables = compare(models, operator, solver_factory, points, snapshots=counts)
    for (model, _), table in zip(models, tables, strict=True):
        table.insert(0, "norm", model.norm)
        if model.norm == "euclidean":
            ratio = concave_ratio(euclidean.stability, box, points)
            table["concave_bound"] = table["bound"] * ratio[table["point"]]
    histories = [history_table(model) for model, _ in models]
    return pd.concat(tables, ignore_index=True), pd.concat(histories, ignore_index=True)
