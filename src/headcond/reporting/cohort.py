"""Section of the report on the subjects and their images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.reporting.page import Part, Section

ORIGIN = {
    "phantom": "The heads of this study are generated, not people: procedural anatomy, "
    "simulated T1w and T2w, and a known true conductivity.",
    "labels": "The label maps are of real people; their T1w and T2w are simulated.",
    "bids": "The scans and label maps are of real people.",
}
_BRAIN = ("gm", "wm", "cerebellum")


def cohort_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    facts: Mapping[str, Mapping[str, Any]],
    alignments: Mapping[str, Mapping[str, Any]],
) -> Section:
    """Subjects and their roles, faces cut by the image, and the alignment of T2w to T1w.

    Parameters
    ----------
    study : the study's settings.
    figures : paths of the figures by name.
    facts : record of each labelled head (`head.json`), by subject.
    alignments : record of each alignment (`desc-alignment.json`), by subject.
    """
    cohort = study["cohort"]
    rows = []
    for role in ("train", "test"):
        for subject in cohort[role]:
            record = facts[subject]
            volumes = record["tissue_ml"]
            cut = [f"{face} ({count})" for face, count in record["cut_voxels"].items()]
            rows.append(
                {
                    "subject": subject,
                    "role": role,
                    "origin": record["origin"],
                    "brain (ml)": str(round(sum(volumes[name] for name in _BRAIN))),
                    "head (ml)": str(round(sum(volumes.values()))),
                    "cut by the image (voxels)": ", ".join(cut) or "no",
                }
            )
    for subject in cohort["scans"]:
        rows.append({"subject": subject, "role": "prediction only", "origin": "real scans"})
    texts = [ORIGIN[cohort["source"]]]
    if any(record["cut_voxels"] for record in facts.values()):
        texts.append("Where the image cuts a head off, no current leaves through the cut face.")
    parts = [Part(texts=tuple(texts), table=pd.DataFrame(rows)), _alignment_part(alignments)]
    subjects = [*cohort["test"], *cohort["scans"]]
    for subject in subjects:
        caption = (
            f"{subject}: T1w and T2w in alternate squares before and after alignment. Outlines "
            "continue from square to square where the two agree."
        )
        parts.append(Part(figure=figures[f"alignment_{subject}"], caption=caption))
    for subject in subjects:
        caption = (
            f"{subject}: T1w and T2w on the study's grid after bias correction (arbitrary units), "
            "and the tissues if there is a label map."
        )
        parts.append(Part(f"Images of {subject}", (), None, figures[f"anatomy_{subject}"], caption))
    return Section("cohort", "Cohort", tuple(parts))


def _alignment_part(alignments: Mapping[str, Mapping[str, Any]]) -> Part:
    """Quality of every alignment; the text names those that stopped at their iteration limit."""
    rows, texts = [], []
    for subject, record in alignments.items():
        quality = record["quality"]
        warnings = quality.get("warnings", ())
        texts += [f"WARNING: {subject}: {text}. Check the squares below." for text in warnings]
        rows.append(
            {
                "subject": subject,
                "mutual information before (nats)": quality["mutual_information_before"],
                "mutual information after (nats)": quality["mutual_information_after"],
                "translation (mm)": quality["translation_mm"],
                "rotation (degrees)": quality["rotation_degrees"],
                "head outside the grid (%)": record["outside_grid_percent"],
                "converged": not warnings,
            }
        )
    return Part("Rigid alignment of T2w to T1w", tuple(texts), pd.DataFrame(rows))
