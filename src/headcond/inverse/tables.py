"""Tables of a fit: estimates, their summary over patterns, residuals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from headcond.inverse.estimates import scaled_std
from headcond.inverse.matching import Data
from headcond.inverse.multistart import MultiStart
from headcond.inverse.reduced import ReducedForward, certified_error
from headcond.rom.model import ReducedModel


def estimate_table(
    by_mode: Mapping[str, MultiStart],
    forward: ReducedForward,
    model: ReducedModel,
    data: Data,
    prior: Mapping[str, tuple[float, float]] | None,
) -> pd.DataFrame:
    """Table of estimates.

    Parameters
    ----------
    by_mode : estimates by mode, "each" (one per pattern) or "joint".
    forward, model : forward model of the patterns, and the reduced model behind it.
    data : readings.
    prior : of the estimates, see `optimise.estimate`.

    Returns
    -------
    A row per mode, pattern ("all" if joint) and parameter: `estimate`, `std` (of the stated
    noise), `scaled_std` (of the noise that would explain the misfit, if that is larger) and
    `cramer_rao` in S/m; `free`, `at_wall`, `converged`; `agreeing` starts; `chi_square`, `dof`,
    `p_value`; `misfit` and `certified_error` in V at the measurement's current.
    """
    rows: list[dict[str, Any]] = []
    protocol = data.protocol
    counts = protocol.mask.sum(axis=1)
    for mode, starts in by_mode.items():
        best = starts.best
        if mode == "each":
            potentials = forward.voltages_each(best.sigma, np.arange(len(protocol.pairs)))
            problems = [(name, (m,), slice(m, m + 1)) for m, name in enumerate(protocol.names)]
        else:
            potentials = forward.voltages(best.sigma)
            problems = [("all", (), slice(None))]
        certified = certified_error(model, protocol, best.sigma) / data.scale
        difference = (data.predicted(potentials) - data.readings) / data.scale[:, None]
        square = np.where(protocol.mask, difference, 0.0) ** 2
        for name, index, part in problems:
            scaled = scaled_std(best, index, prior)
            worst = certified[part].max()
            rows += [{
                "mode": mode, "pattern": name, "parameter": parameter,
                "free": bool(best.free[k]), "estimate": best.sigma[(*index, k)],
                "std": best.std[(*index, k)], "scaled_std": scaled[k],
                "cramer_rao": best.cramer_rao[(*index, k)],
                "at_wall": bool(best.at_wall[(*index, k)]),
                "chi_square": best.chi_square[index], "dof": int(best.dof[index]),
                "p_value": best.p_value[index],
                "misfit": np.sqrt(square[part].sum() / counts[part].sum()),
                "certified_error": float(worst) if np.isfinite(worst) else np.nan,
                "converged": bool(best.converged[index]),
                "agreeing": int(starts.agreeing[index]),
                "iterations": int(best.iterations[index]),
            } for k, parameter in enumerate(best.names)]  # fmt: skip
    return pd.DataFrame(rows)


def summary_table(estimates: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over patterns, and the joint estimate, per parameter.

    Parameters
    ----------
    estimates : as of `estimate_table`, with a column `frequency`.

    Returns
    -------
    A row per frequency and parameter: `mean` and `std` over the converged patterns, their number
    `patterns`, and how many are `at_wall`; `joint`, `joint_scaled_std`, `joint_at_wall`. S/m.
    """
    rows = []
    for (frequency, name), part in estimates.groupby(["frequency", "parameter"], sort=False):
        each = part[(part["mode"] == "each") & part["converged"]]
        row: dict[str, Any] = {"frequency": frequency, "parameter": name}
        row["mean"], row["std"] = each["estimate"].mean(), each["estimate"].std(ddof=1)
        row["patterns"], row["at_wall"] = len(each), int(each["at_wall"].sum())
        joint = part[part["mode"] == "joint"]
        if len(joint):
            one = joint.iloc[0]
            row["joint"], row["joint_scaled_std"] = one["estimate"], one["scaled_std"]
            row["joint_at_wall"] = bool(one["at_wall"])
        rows.append(row)
    return pd.DataFrame(rows)


def residual_table(joint: Any, forward: ReducedForward, data: Data) -> pd.DataFrame:
    """Residuals of the joint estimate, a row per reading: `measured`, `fitted`, `residual`, V."""
    predicted = data.predicted(forward.voltages(joint.sigma)) / data.scale[:, None]
    measured = data.readings / data.scale[:, None]
    m, column = np.nonzero(data.protocol.mask)
    return pd.DataFrame({
        "pattern": np.array(data.protocol.names)[m],
        "electrode": np.array(forward.electrodes)[column],
        "measured": measured[m, column], "fitted": predicted[m, column],
        "residual": measured[m, column] - predicted[m, column],
    })  # fmt: skip
