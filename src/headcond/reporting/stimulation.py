"""Sections of the report on the MRI and TMS pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.reporting import field_tables
from headcond.reporting.page import Part, Section
from headcond.tissues import conduction_to_displacement

ORIGIN = {
    "phantom": "The heads of this study are generated, not people: procedural anatomy, "
    "simulated T1w and T2w, and a known true conductivity.",
    "labels": "The label maps are of real people; their T1w and T2w are simulated.",
    "bids": "The scans and label maps are of real people.",
}
_BRAIN = ("gm", "wm", "cerebellum")
SHOWN_NAMES = field_tables.SHOWN_NAMES


def cohort_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    facts: Mapping[str, Mapping[str, Any]],
    alignments: Mapping[str, Mapping[str, Any]],
) -> Section:
    """Who is in the study, what the images cut off, and how T2w was aligned.

    Parameters
    ----------
    study : the study's settings.
    figures : paths of the figures by name.
    facts : what is known of each labelled head (`head.json`), by subject.
    alignments : what alignment found (`desc-alignment.json`), by subject.
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
    table = pd.DataFrame(rows)
    for subject in cohort["scans"]:
        row = {"subject": subject, "role": "prediction only", "origin": "real scans"}
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
    texts = [ORIGIN[cohort["source"]]]
    if any(record["cut_voxels"] for record in facts.values()):
        texts.append(
            "Where the image cuts a head off, air is laid beside the cut face, "
            "which stays insulated."
        )
    quality = [
        {
            "subject": subject,
            "mutual information before (nats)": found["quality"]["mutual_information_before"],
            "after (nats)": found["quality"]["mutual_information_after"],
            "translation (mm)": found["quality"]["translation_mm"],
            "rotation (degrees)": found["quality"]["rotation_degrees"],
            "outside the grid (%)": found["outside_grid_percent"],
        }
        for subject, found in alignments.items()
    ]
    unconverged = tuple(
        f"WARNING: {subject}: {text}. Check the squares below."
        for subject, found in alignments.items()
        for text in found["quality"].get("warnings", ())
    )
    parts = [
        Part(texts=tuple(texts), table=table.fillna("–")),
        Part("Alignment of T2w to T1w", unconverged, pd.DataFrame(quality)),
    ]
    for subject in [*cohort["test"], *cohort["scans"]]:
        caption = (
            f"{subject}: T1w and T2w in alternate squares before and after alignment. Outlines "
            "run on from square to square where the two agree."
        )
        parts.append(Part(figure=figures[f"alignment_{subject}"], caption=caption))
    for subject in [*cohort["test"], *cohort["scans"]]:
        caption = (
            "T1w and T2w on the study's grid after bias correction, "
            "and the tissues where there are labels."
        )
        parts.append(Part(subject, figure=figures[f"anatomy_{subject}"], caption=caption))
    return Section("cohort", "Cohort", tuple(parts))


def field_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    errors: pd.DataFrame,
    peaks: pd.DataFrame,
    solves: Mapping[str, Mapping[str, Any]],
    tissue_fields: pd.DataFrame | None = None,
    positions: pd.DataFrame | None = None,
    placements: Mapping[str, Mapping[str, Any]] | None = None,
    registrations: Mapping[str, Mapping[str, Any]] | None = None,
    warps: Mapping[str, Mapping[str, Any]] | None = None,
) -> Section:
    """Global errors as Table III of CondNet, peaks, the solver's certificates, and pictures.

    Parameters
    ----------
    study, figures : as for `cohort_section`.
    errors : `metrics.global_error_table` of all test heads, with `metrics.average_errors`.
    peaks : percentiles of the field magnitude by subject, model and region.
    solves : sidecar of every field, by file name.
    tissue_fields : `tms.regions.tissue_table` of every field, with subject and model.
    positions : table of the further positions of the coil.
    placements : where the coil stands, by subject.
    registrations, warps : records of the way to MNI space, affine and deformable, by subject.
    """
    tms = study["tms"]
    parts = [field_tables.grid_part(study), *field_tables.error_parts(errors)]
    parts += field_tables.peak_parts(peaks)
    if tissue_fields is not None:
        parts.append(_tissue_part(tissue_fields))
    if positions is not None:
        parts.append(_position_part(positions))
    ratio = conduction_to_displacement(study["condnet"]["frequency"]).items()
    about = (
        f"sigma/(omega eps) at {study['condnet']['frequency']:g} Hz by the Cole-Cole model. The "
        "fields are quasi-static: they drop the displacement current, for which the CondNet paper "
        "asks for a ratio of ten or more. Skin and mucous membrane have no permittivity here."
    )
    ratios = [{"tissue": name.replace("_", " "), "ratio": value} for name, value in ratio]
    parts.append(Part("Conduction over displacement", (about,), pd.DataFrame(ratios)))
    rows = [
        {
            "field": name,
            "iterations": side["iterations"],
            "true relative residual": side["residual"],
            "time (s)": sum(side["seconds"].values()),
            "peak memory (MiB)": side.get("peak_memory_mib"),
            "tissue taken for air (%)": 100
            * side.get("insulated_tissue_voxels", 0)
            / max(side.get("tissue_voxels", 1), 1),
        }
        for name, side in solves.items()
    ]
    parts.append(Part("Solver", table=pd.DataFrame(rows)))
    if registrations:
        parts.append(field_tables.registration_part(registrations, warps or {}))
    if placements:
        parts.append(field_tables.placement_part(placements))
    x, y, z = tms["hand_knob"]["centre_mni_mm"]
    for subject in study["cohort"]["test"]:
        caption = f"Coil over {tms['position']}; the line is its handle, towards {tms['handle']}."
        parts.append(
            Part(f"Field in {subject}", figure=figures[f"coil_{subject}"], caption=caption)
        )
        caption = (
            "|E| in the planes through the hand knob (outlined): a ball of "
            f"{tms['hand_knob']['radius_mm']:g} mm at MNI ({x:g}, {y:g}, {z:g}) mm. "
            "The paper prints x = +42, the side away from C3; -42 is our reading."
        )
        parts.append(Part(figure=figures[f"efield_{subject}"], caption=caption))
        if f"difference_{subject}" in figures:
            caption = (
                "Difference of |E| from the uniform map's, in % of the largest |E| in the head."
            )
            parts.append(Part(figure=figures[f"difference_{subject}"], caption=caption))
    if "sagittal" in figures:
        caption = (
            "|E| around the hand knob (outlined) in the sagittal plane, one row per test head."
        )
        parts.append(Part("Hand knobs close up", figure=figures["sagittal"], caption=caption))
    return Section("tms", "TMS field", tuple(parts))


def _tissue_part(table: pd.DataFrame) -> Part:
    """Mean and 99th percentile of |E| per head, tissue and model."""
    shown = table.replace({"model": SHOWN_NAMES})
    shown["tissue"] = shown["tissue"].str.replace("_", " ")
    shown["mean, 99 %"] = [
        f"{mean:.3g}, {high:.3g}" for mean, high in zip(shown["mean"], shown["p99"], strict=True)
    ]
    wide = shown.pivot_table(
        index=["subject", "tissue"],
        columns="model",
        values="mean, 99 %",
        aggfunc="first",
        sort=False,
    )
    text = "Mean and 99th percentile of |E| over the tissue's voxels, V/m."
    return Part("Field per tissue", (text,), wide.reset_index())


def _position_part(table: pd.DataFrame) -> Part:
    """Global error and peaks of the further positions."""
    shown = table.replace({"model": SHOWN_NAMES})
    shown["region"] = shown["region"].str.replace("_", " ")
    keys = ["subject", "position", "handle", "angle", "across", "along", "region"]
    turns = ("angle", "across", "along")  # shown where they differ
    keys = [key for key in keys if key not in turns or (key in shown and shown[key].nunique() > 1)]
    peaks = shown.pivot_table(index=keys, columns="model", values="field", sort=False)
    peaks.columns = [f"{name}, {table['percentile'].iloc[0]:g} % (V/m)" for name in peaks.columns]
    errors = shown.groupby(keys, sort=False)["mean_percent"]
    peaks["global error (%)"] = errors.first()
    text = (
        "Global error of the estimated against the uniform map (denominator: the region) and peak "
        "fields at further positions; each map was set up once. Angle: turn of the coil in "
        "degrees, counter-clockwise from outside; across and along: mm along the coil's x and y."
    )
    return Part("Further positions", (text,), peaks.reset_index())
