"""Section of the report on conductivities estimated from simulated voltages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from headcond.figures.names import MODE_NAMES, tissue_name
from headcond.reporting.page import Part, Section

AT_LIMIT = "at a limit of the box (%)"


def estimate_section(
    study: Mapping[str, Any], figures: Mapping[str, str], errors: Mapping[str, pd.DataFrame]
) -> Section:
    """Relative errors of estimated conductivities and their Cramér-Rao bounds.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    errors : table with a row per estimate and tissue (mode, parameter,
        relative_error_percent, cramer_rao_percent, at_wall), by subject.
    """
    parts = []
    for subject, table in errors.items():
        rows = []
        for (mode, name), group in table.groupby(["mode", "parameter"], sort=False):
            error = group["relative_error_percent"]
            rows.append(
                {
                    "estimated": MODE_NAMES[mode],
                    "tissue": tissue_name(name),
                    "mean RE (%)": error.mean(),
                    "median RE (%)": error.median(),
                    "largest RE (%)": error.max(),
                    "RMS RE (%)": float(np.sqrt(np.mean(error**2))),
                    "median Cramér-Rao bound (%)": group["cramer_rao_percent"].median(),
                    AT_LIMIT: 100 * float(group["at_wall"].astype(bool).mean()),
                }
            )
        text = (
            f"Relative error (RE) of estimates for {table['sample'].nunique()} random "
            "conductivities. The voltages come from full solves with "
            f"{1e6 * study['inverse']['noise']:g} µV of noise per electrode; estimates use one "
            "injection pair, or all pairs together. The Cramér-Rao bound is the smallest standard "
            "deviation of an unbiased estimate without limits. Where it exceeds the parameter box, "
            "estimates end at the limits of the box."
        )
        caption = (
            "Relative error (%) per tissue. Boxes: quartiles; whiskers: 5th to 95th percentile; "
            "dots: estimates beyond. Errors below 1e-4 % are drawn at 1e-4 %."
        )
        figure, title = figures[f"estimates_{subject}"], f"Estimates of {subject}"
        parts.append(Part(title, (text,), pd.DataFrame(rows), figure, caption))
    return Section("estimates", "Conductivity from voltages", tuple(parts))
