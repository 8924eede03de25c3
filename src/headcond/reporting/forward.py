"""Section of the report on the forward problem of EIT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.reporting.page import Part, Section


def forward_section(
    study: Mapping[str, Any], figures: Mapping[str, str], residuals: Mapping[str, pd.DataFrame]
) -> Section:
    """Residuals and reciprocity of the forward solves, potential on the scalp, skull thickness.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    residuals : row per injection pair, as `scripts/forward/solve_forward.py` writes it, by subject.
    """
    columns = {
        "pair": "injection pair",
        "residual": "true relative residual",
        "reciprocity": "reciprocity error (V)",
        "drive_voltage": "drive voltage (V)",
    }
    text = (
        "Complete electrode model at the centre of the conductivities' "
        f"{study['forward']['box']} range, solved to a true relative residual of "
        f"{study['forward']['tolerance']:g}. Reciprocity error: the largest difference between the "
        "voltage of one pair under the current of another and the same with both exchanged. The "
        "drive voltage includes both contacts."
    )
    parts = []
    for subject, table in residuals.items():
        parts.append(Part(f"Solves of {subject}", (text,), table.rename(columns=columns)))
        caption = (
            "Potential on the scalp for the first injection pair; colours end at the 98th "
            "percentile of its absolute value."
        )
        parts.append(Part(figure=figures[f"potential_{subject}"], caption=caption))
        caption = "Thickness of the skull: distance from its outer to its inner surface, to 20 mm."
        parts.append(Part(figure=figures[f"thickness_{subject}"], caption=caption))
    return Section("forward", "Forward problem", tuple(parts))
