"""Sections of the report on the EIT pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from headcond.reporting.page import Part, Section

_EXPERIMENT = {
    "convergence": "Experiment 1: bounds and true errors against snapshots. The energy bound is a "
    "certificate; the Euclidean one rests on interpolated stability factors and is none.",
    "measures": "The same errors in the training's norm, in the head's energy and in passive "
    "potentials.",
    "basis": "Basis vectors of one pair as the search added them (the paper's Figs. 3c-f).",
    "stopping": "Bound over the training sample and error at the test points (the paper's Fig. 4).",
}


def head_section(figures: Mapping[str, str], qualities: Mapping[str, Mapping[str, Any]]) -> Section:
    """Quality of every head's mesh, and its pictures.

    Parameters
    ----------
    figures : paths of the figures by name.
    qualities : report of `head.quality`, by subject.
    """
    parts = []
    for subject, record in qualities.items():
        angles, leaks = record["dihedral_deg"], record["leaks"]
        areas = record["electrode_area_mm2"]
        cut = [f"{face} ({count} voxels)" for face, count in record["cut_voxels"].items()]
        facts = {
            "nodes": record["nodes"],
            "tetrahedra": record["tetrahedra"],
            "inverted tetrahedra": record["inverted"],
            "connected components": record["components"],
            "dihedral angles, least to largest (degrees)": f"{angles['min']:.1f} to "
            f"{angles['max']:.1f}, median of each element's least {angles['p50']:.1f}",
            "faces through which the skull leaks": leaks["faces"],
            "nodes through which the skull leaks": leaks["nodes"],
            "faces between spongy bone and anything but compact bone": leaks["diploe_faces"],
            "electrode areas (mm²)": f"{areas['least']:.1f} to {areas['largest']:.1f}"
            + (f", nominally {areas['nominal']:.1f}" if "nominal" in areas else ""),
            "cut by the image, insulated there": ", ".join(cut) or "no",
        }
        table = pd.DataFrame(list(facts.items()), columns=["quantity", "value"], dtype=object)
        parts.append(Part(subject, table=table))
        volumes = [
            {
                "tissue": name.replace("_", " "),
                "volume (ml)": 1e6 * volume,
                "mesh / voxels": record.get("voxel_volume_ratio", {}).get(name, "no voxels"),
            }
            for name, volume in record["volume_m3"].items()
        ]
        caption = "Cuts through the tetrahedral mesh, coloured by tissue."
        parts.append(Part("", (), pd.DataFrame(volumes), figures[f"mesh_{subject}"], caption))
        caption = "Electrodes as discs of surface triangles (dark)."
        parts.append(Part(figure=figures[f"electrodes_{subject}"], caption=caption))
    return Section("head", "Head model", tuple(parts))


def forward_section(
    study: Mapping[str, Any], figures: Mapping[str, str], residuals: Mapping[str, pd.DataFrame]
) -> Section:
    """Residuals and reciprocity of the forward solves, and a solution on the scalp.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    residuals : row per injection pair, as `scripts/forward/solve_forward.py` writes it, by subject.
    """
    parts = []
    for subject, table in residuals.items():
        text = (
            "Complete electrode model at the centre of the conductivities' "
            f"{study['forward']['box']} range, solved to a true residual of "
            f"{study['forward']['tolerance']:g}. Reciprocity: the largest difference (V) "
            "of the voltage of one pair under another's current and its mirror. The drive voltage "
            "(V) holds the drops at both contacts."
        )
        parts.append(Part(subject, (text,), table))
        caption = (
            "Potential on the scalp for the first pair; the scale ends at its 98th percentile."
        )
        parts.append(Part(figure=figures[f"potential_{subject}"], caption=caption))
        caption = "Thickness of the skull: from its outer surface to the nearest of its inner one."
        parts.append(Part(figure=figures[f"thickness_{subject}"], caption=caption))
    return Section("forward", "Forward problem", tuple(parts))


def rom_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    validations: Mapping[str, pd.DataFrame],
    convergences: Mapping[str, pd.DataFrame],
) -> Section:
    """Certified bounds against true errors.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    validations : table of `rom.validation.validate`, by subject.
    convergences : `rom.experiment.summary` where Experiment 1 was run, by subject.
    """
    parts = []
    for subject, table in validations.items():
        judged = table[table["judged"].astype(bool)]
        summary = {
            "pairs": table["source"].nunique(),
            "points": table["point"].nunique(),
            "snapshots": table["snapshots"].max(),
            "comparisons": len(judged),
            "bounds below the error": int(table["violated"].sum()),
            "mean effectivity": judged["effectivity"].mean(),
            "largest effectivity": judged["effectivity"].max(),
            "mean relative bound": judged["relative_bound"].mean(),
            "mean relative error": judged["relative_error"].mean(),
            "largest relative error": table["relative_error"].max(),
            "largest error of a passive reading (µV)": 1e6 * table["passive_error"].max(),
        }
        if "reading_bound" in table:
            summary |= {
                "the same, corrected by the dual solutions (µV)": (
                    1e6 * table["corrected_passive_error"].max()
                ),
                "largest bound of a corrected passive reading (µV)": (
                    1e6 * table["reading_bound"].max()
                ),
                "corrected readings outside their bound": int(table["reading_violated"].sum()),
            }
        text = (
            "The bound is a certificate in the energy norm: at every conductivity of the box the "
            "true error lies below it. Effectivity is bound over error. Compare the error of a "
            f"reading with the study's noise, {1e6 * study['inverse']['noise']:g} µV."
        )
        parts.append(
            Part(
                subject,
                (text,),
                pd.DataFrame(list(summary.items()), columns=["quantity", "value"], dtype=object),
                figures[f"greedy_{subject}"],
                "Largest certified relative error over the training set while snapshots are added.",
            )
        )
        caption = "Bound against true error at random conductivities, all pairs."
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
    summary : of `rom.experiment.summary`.
    """
    columns = {
        "relative_bound_max": ("largest relative bound (%)", 100.0),
        "relative_error_mean": ("mean relative error (%)", 100.0),
        "relative_error_max": ("largest (%)", 100.0),
        "relative_head_error_max": ("largest in the head's energy (%)", 100.0),
        "passive_error_max": ("largest of a passive potential (µV)", 1e6),
        "effectivity_mean": ("mean effectivity", 1.0),
        "effectivity_max": ("largest effectivity", 1.0),
        "violated": ("bounds below the error", 1),
        "judged": ("of", 1),
        "orthogonality_max": ("orthogonality, V'MV - I", 1.0),
    }
    table = {
        "norm": summary["norm"],
        "certificate": summary["norm"].map({"energy": "yes", "euclidean": "no"}),
        "snapshots": summary["snapshots"],
    }
    table |= {label: scale * summary[name] for name, (label, scale) in columns.items()}
    return pd.DataFrame(table)


def estimate_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    errors: Mapping[str, pd.DataFrame],
) -> Section:
    """Relative errors of estimated conductivities, beside what the noise allows.

    Parameters
    ----------
    study, figures : as for `rom_section`.
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
                    "from": mode,
                    "tissue": name.replace("_", " "),
                    "mean RE (%)": error.mean(),
                    "median RE (%)": error.median(),
                    "largest RE (%)": error.max(),
                    "RMS RE (%)": float(np.sqrt(np.mean(error**2))),
                    "Cramér-Rao bound (%)": group["cramer_rao_percent"].median(),
                    "at a wall (%)": 100 * float(group["at_wall"].astype(bool).mean()),
                }
            )
        text = (
            f"{table['sample'].nunique()} random conductivities, voltages from full solves with "
            f"{1e6 * study['inverse']['noise']:g} µV of noise per electrode. Each: from one "
            "injection pair alone; joint: from all pairs together. The Cramér-Rao bound "
            "(median) is the least spread that an unbiased estimate without walls can have; where "
            "it exceeds the box, the box decides, and estimates end at its walls."
        )
        caption = "Relative error per tissue; boxes are quartiles, whiskers 5th to 95th percentile."
        parts.append(
            Part(subject, (text,), pd.DataFrame(rows), figures[f"estimates_{subject}"], caption)
        )
    return Section("estimates", "Conductivity from voltages", tuple(parts))
