"""Section of the report on reduced models: certified bounds against true errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.reporting.page import Part, Section, quantities

_EXPERIMENT = {
    "convergence": "Experiment 1 of ROM-pEIT: relative bounds and true errors over all pairs and "
    "test points, effectivities, and orthogonality of the basis, against the number of snapshots. "
    "The energy bound is certified. The Euclidean bound is not: it uses interpolated stability "
    "factors.",
    "measures": "The same true errors in the norm of the training, in the energy within the head, "
    "and as potentials (µV) at electrodes that carry no current.",
    "basis": "Reduced basis of one pair in the order of the greedy search (Figs. 3c-f of "
    "ROM-pEIT). Vector 1 is the solution at the centre of the box; each later one adds the part of "
    "its snapshot that the earlier ones cannot represent.",
    "stopping": "Bounds at the training points and errors at the test points (Fig. 4 of ROM-pEIT); "
    "below, the error at electrodes that carry no current, divided by the noise.",
}


def rom_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    validations: Mapping[str, pd.DataFrame],
    convergences: Mapping[str, pd.DataFrame],
) -> Section:
    """Certified bounds and true errors of the reduced model, and Experiment 1 of ROM-pEIT.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    validations : table of `rom.validation.validate`, by subject.
    convergences : `experiments.convergence.summary` where Experiment 1 was run, by subject.
    """
    parts = []
    for subject, table in validations.items():
        judged = table[table["judged"].astype(bool)]
        summary = {
            "injection pairs": table["source"].nunique(),
            "test points": table["point"].nunique(),
            "snapshots per pair, at most": table["snapshots"].max(),
            "bounds compared with errors": len(judged),
            "bounds below the error": int(table["violated"].sum()),
            "mean effectivity": judged["effectivity"].mean(),
            "largest effectivity": judged["effectivity"].max(),
            "mean relative bound": judged["relative_bound"].mean(),
            "mean relative error": judged["relative_error"].mean(),
            "largest relative error": table["relative_error"].max(),
            "largest error at a passive electrode (µV)": 1e6 * table["passive_error"].max(),
        }
        if "reading_bound" in table:
            error, bound = table["corrected_passive_error"].max(), table["reading_bound"].max()
            summary |= {
                "largest error corrected by dual solutions (µV)": 1e6 * error,
                "largest bound of a corrected error (µV)": 1e6 * bound,
                "corrected errors above their bound": int(table["reading_violated"].sum()),
            }
        text = (
            "The bound is certified in the energy norm: the true error is below it at every "
            "conductivity of the parameter box. Effectivity is bound / error. Passive electrodes "
            "carry no current; compare the errors there with the noise of one electrode, "
            f"{1e6 * study['inverse']['noise']:g} µV."
        )
        caption = (
            "Largest certified relative error over the training set against the number of "
            "snapshots, one line per injection pair."
        )
        figure, title = figures[f"greedy_{subject}"], f"Reduced model of {subject}"
        parts.append(Part(title, (text,), quantities(summary), figure, caption))
        caption = (
            "Certified bound against true error at random conductivities, all pairs. No point is "
            "below the diagonal."
        )
        parts.append(Part(figure=figures[f"bound_{subject}"], caption=caption))
        if study["rom"]["experiment"]["norms"]:
            parts.append(Part("Experiment 1", table=convergence_table(convergences[subject])))
            parts += [
                Part(figure=figures[f"{name}_{subject}"], caption=caption)
                for name, caption in _EXPERIMENT.items()
            ]
    return Section("rom", "Reduced model", tuple(parts))


def convergence_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Experiment 1 as a table to read: a row per norm and number of snapshots.

    Parameters
    ----------
    summary : of `experiments.convergence.summary`.
    """
    columns = {
        "relative_bound_max": ("largest relative bound (%)", 100.0),
        "relative_error_mean": ("mean relative error (%)", 100.0),
        "relative_error_max": ("largest relative error (%)", 100.0),
        "relative_head_error_max": ("largest relative error, energy in the head (%)", 100.0),
        "passive_error_max": ("largest error at a passive electrode (µV)", 1e6),
        "effectivity_mean": ("mean effectivity", 1.0),
        "effectivity_max": ("largest effectivity", 1.0),
        "violated": ("bounds below the error", 1),
        "judged": ("bounds compared", 1),
        "orthogonality_max": ("orthogonality, |V'XV - I|", 1.0),
    }
    certified = summary["norm"].map({"energy": "yes", "euclidean": "no"})
    table = {"norm": summary["norm"], "certified": certified, "snapshots": summary["snapshots"]}
    table |= {label: scale * summary[name] for name, (label, scale) in columns.items()}
    return pd.DataFrame(table)
