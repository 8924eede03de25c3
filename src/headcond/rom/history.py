"""How the greedy searches of a reduced model went."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from headcond.rom.model import ReducedModel


def greedy_table(model: ReducedModel) -> pd.DataFrame:
    """Greedy history of every pair: a row per snapshot.

    Returns
    -------
    `relative_bound` and `mean_relative_bound` over the training sample, `iterations` of the
    solver, `orthogonality` of the basis, and the snapshot's parameters by name (S/m).
    """
    rows = []
    for pair in model.pairs:
        history = pair.history
        for number in range(pair.snapshots):
            row: dict[str, Any] = {"pair": f"{pair.source}-{pair.sink}", "snapshots": number + 1}
            row["relative_bound"] = history["maximum"][number]
            row["mean_relative_bound"] = history["mean"][number]
            row["iterations"] = int(np.sum(history["iterations"][number]))
            row["orthogonality"] = history["orthogonality"][number]
            rows.append(row | dict(zip(model.box.names, history["mu"][number], strict=True)))
    return pd.DataFrame(rows)
