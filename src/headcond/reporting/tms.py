"""Section of the report on the electric field of the TMS coil."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.figures.names import MAP_NAMES, map_name, tissue_name
from headcond.metrics import AVERAGE
from headcond.reporting.page import Part, Section
from headcond.tissues import conduction_to_displacement

_REFERENCES = ("true", "subvoxel")


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
    """Global errors, peak fields, accuracy of the solves, placement of the coil, and figures.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    errors : `metrics.global_error_table` of all test heads, with `metrics.average_errors`.
    peaks : percentiles of the field magnitude (V/m) by subject, model and region.
    solves : sidecar of every field, by file name.
    tissue_fields : `tms.regions.tissue_table` of every field, with subject and model.
    positions : table of the further positions of the coil.
    placements : record of the coil's position and distance to the scalp, by subject.
    registrations, warps : records of the affine and the deformable registration to MNI space,
        by subject.
    """
    tms = study["tms"]
    current = f"at dI/dt = {1e-6 * tms['didt']:.4g} A/µs"
    if errors["subject"].nunique() == 2:  # one head and its own average
        errors = errors[errors["subject"] != AVERAGE]
    parts = [_grid_part(study), *error_parts(errors), *_peak_parts(peaks, current)]
    if tissue_fields is not None:
        parts.append(_tissue_part(tissue_fields))
    if positions is not None:
        parts.append(_position_part(positions))
    parts += [_ratio_part(study["condnet"]["frequency"]), _solver_part(solves)]
    if registrations:
        parts.append(_registration_part(registrations, warps or {}))
    if placements:
        parts.append(_placement_part(placements))
    x, y, z = tms["hand_knob"]["centre_mni_mm"]
    captions = {
        "coil": f"Windings of the coil over {tms['position']} (orange dots) from three sides; the "
        f"line is its handle, towards {tms['handle']}.",
        "efield": f"|E| (V/m) {current} in the planes through the hand knob (outlined): a ball of "
        f"{tms['hand_knob']['radius_mm']:g} mm radius at MNI ({x:g}, {y:g}, {z:g}) mm. "
        "The CondNet paper prints x = +42 mm, which is on the side away from C3; headcond takes "
        "-42 mm.",
        "difference": "Difference of |E| from that of the uniform map, in % of the largest |E| in "
        "the head.",
    }
    for subject in study["cohort"]["test"]:
        title = f"Field in {subject}"
        for name, caption in captions.items():
            if f"{name}_{subject}" in figures:
                parts.append(Part(title, (), None, figures[f"{name}_{subject}"], caption))
                title = ""
    if "sagittal" in figures:
        caption = (
            "|E| (V/m) around the hand knob (outlined) in the sagittal plane, one row and one "
            "colour scale per test head."
        )
        parts.append(Part("Field at the hand knob", (), None, figures["sagittal"], caption))
    return Section("tms", "TMS field", tuple(parts))


def _grid_part(study: Mapping[str, Any]) -> Part:
    """Voxel sizes of the networks and of the fields."""
    coarse = study["cohort"]["voxel_size_mm"]
    size = study["tms"].get("voxel_size_mm", coarse)
    text = f"Networks and fields use the same voxels of {coarse:g} mm."
    if size < coarse:
        text = (
            f"The networks use voxels of {coarse:g} mm, the field solver {size:g} mm. Uniform maps "
            f"come from labels of {size:g} mm. For the estimated map the mean of the three "
            "networks is interpolated linearly before it is scaled to S/m."
        )
    return Part("Voxels", (text,))


def error_parts(errors: pd.DataFrame) -> list[Part]:
    """Global errors as in Table III of CondNet, one part per kind and denominator.

    Parameters
    ----------
    errors : `metrics.global_error_table` of all test heads, with `metrics.average_errors`.
    """
    shown = errors.replace(MAP_NAMES)
    # In other regions the mask of the head changes the denominator alone.
    shown = shown[(shown["region"] == "head") | (shown["head_mask"] == "conductive")].copy()
    whole = shown["head_mask"] == "grid"
    shown["region"] = shown["region"].map(tissue_name).where(~whole, "head with its air")
    pairs = zip(shown["mean_percent"], shown["std_percent"], strict=True)
    shown["GE"] = [f"{mean:.3g} ± {std:.2g}" for mean, std in pairs]
    regions = list(dict.fromkeys(shown["region"]))
    parts = []
    for (kind, denominator), group in shown.groupby(["kind", "denominator"], sort=False):
        keys = ["subject", "reference", "estimate"]
        wide = group.pivot_table("GE", keys, "region", aggfunc="first", sort=False)
        difference = {"magnitude": "|E|", "vector": "the length of the vector difference"}[kind]
        text = (
            f"Global error (GE, eq. 6 of the CondNet paper) of {difference}, in % of the largest "
            f"|E| of the {denominator}; mean ± standard deviation over voxels."
        )
        if not parts:
            text += (
                " The paper's value for the head is below those of its parts, which is possible "
                "only if its average includes the air of the whole grid: the last column is "
                "computed that way."
            )
            if (group["subject"] == AVERAGE).any():
                text += " Average: mean over the heads of both numbers."
        title = f"Global error relative to the largest field of the {denominator}"
        title += ", vector difference" if kind == "vector" else ""
        parts.append(Part(title, (text,), wide.reindex(columns=regions).reset_index()))
    return parts


def _peak_parts(peaks: pd.DataFrame, current: str) -> list[Part]:
    """Percentiles of |E|, and their differences from those of a reference map."""

    def wide(table: pd.DataFrame, index: list[str], values: str) -> pd.DataFrame:
        table = table.replace(MAP_NAMES).pivot_table(values, index, "region", sort=False)
        return table.rename(columns=tissue_name).reset_index()

    top = wide(peaks, ["subject", "model", "percentile"], "field")
    text = f"Percentiles of |E| (V/m) over the voxels of a region, {current}."
    parts = [Part("Peak fields", (text,), top)]
    for reference in _REFERENCES:
        keys = ["subject", "region", "percentile"]
        base = peaks[peaks["model"] == reference].set_index(keys)["field"]
        # Maps of other conductivity tables ("condnet-B") are not compared.
        others = peaks[~peaks["model"].isin(_REFERENCES) & ~peaks["model"].str.contains("-")].copy()
        if base.empty or others.empty:
            continue
        expected = base.reindex(pd.MultiIndex.from_frame(others[keys])).to_numpy()
        others["difference"] = 100 * (others["field"].to_numpy() / expected - 1)
        name = map_name(reference)
        text = (
            f"Difference of the percentiles of |E| from those of the {name} map in %, mean over "
            "the heads. Staircase borders of whole voxels raise the peaks."
        )
        table = wide(others, ["model", "percentile"], "difference")
        parts.append(Part(f"Peak fields against the {name} map", (text,), table))
    return parts


def _tissue_part(table: pd.DataFrame) -> Part:
    """Mean and 99th percentile of |E| per head, tissue and model."""
    # A file whose only model is "true" is read as booleans.
    models = table["model"].replace(True, "true").map(map_name)
    shown = table.assign(model=models, tissue=table["tissue"].map(tissue_name))
    shown["mean, p99"] = [
        f"{mean:.3g}, {high:.3g}" for mean, high in zip(shown["mean"], shown["p99"], strict=True)
    ]
    keys = ["subject", "tissue"]
    wide = shown.pivot_table("mean, p99", keys, "model", aggfunc="first", sort=False)
    text = "Mean and 99th percentile of |E| over the voxels of a tissue, V/m, per conductivity map."
    return Part("Field per tissue", (text,), wide.reset_index())


def _position_part(table: pd.DataFrame) -> Part:
    """Global error and peaks of the further positions."""
    shown = table.assign(
        model=table["model"].map(map_name), region=table["region"].map(tissue_name)
    )
    keys = ["subject", "position", "handle", "angle", "across", "along", "region"]
    turns = ("angle", "across", "along")  # shown where they differ
    keys = [key for key in keys if key not in turns or (key in shown and shown[key].nunique() > 1)]
    peaks = shown.pivot_table("field", keys, "model", sort=False)
    percentile = f"percentile {table['percentile'].iloc[0]:g} (V/m)"
    peaks.columns = [f"{name}, {percentile}" for name in peaks.columns]
    peaks["global error (%)"] = shown.groupby(keys, sort=False)["mean_percent"].first()
    units = {"angle": "angle (degrees)", "across": "across (mm)", "along": "along (mm)"}
    text = (
        "Global error of the field of the estimated map against that of the uniform one, in % of "
        "the largest field of the region, and percentiles of |E|, with the coil at further "
        "positions. Angle: rotation of the coil, counter-clockwise seen from outside; across and "
        "along: shift along the coil's x and y axes."
    )
    return Part("Further positions", (text,), peaks.reset_index().rename(columns=units))


def _ratio_part(frequency: float) -> Part:
    """Conduction over displacement current of every tissue."""
    ratios = conduction_to_displacement(frequency)
    text = (
        f"Ratio sigma / (omega epsilon) at {frequency:g} Hz by the Cole-Cole model. The fields are "
        "quasi-static: they neglect the displacement current. The CondNet paper requires a ratio "
        "of at least 10. Skin and mucous membrane have no permittivity in this table."
    )
    rows = {"tissue": [tissue_name(name) for name in ratios], "ratio": list(ratios.values())}
    return Part("Conduction and displacement currents", (text,), pd.DataFrame(rows))


def _solver_part(solves: Mapping[str, Mapping[str, Any]]) -> Part:
    """Iterations, true residual, time and memory of every field."""
    rows = [
        {
            "field": name,
            "iterations": side["iterations"],
            "true relative residual": side["residual"],
            "time (s)": sum(side["seconds"].values()),
            "peak memory (MiB)": side.get("peak_memory_mib"),
            "tissue treated as air (% of voxels)": 100
            * side.get("insulated_tissue_voxels", 0)
            / max(side.get("tissue_voxels", 1), 1),
        }
        for name, side in solves.items()
    ]
    return Part("Field solver", table=pd.DataFrame(rows))


def _registration_part(
    registrations: Mapping[str, Mapping[str, Any]], warps: Mapping[str, Mapping[str, Any]]
) -> Part:
    """Quality of each head's registration to MNI space, with its warnings."""
    rows, texts = [], []
    for subject, record in registrations.items():
        quality = record["quality"]
        row = {"subject": subject}
        if "dice" in quality:
            row |= {
                "Dice of the brain, affine": quality["dice"],
                "correlation, affine": quality["correlation"],
                "mutual information, affine (nats)": quality["mutual_information"],
            }
        else:
            row["source"] = quality["source"]
        if subject in warps:
            finer = warps[subject]["quality"]
            row |= {
                "Dice of the brain, deformable": finer["dice"],
                "correlation, deformable": finer["correlation"],
                "largest displacement (mm)": finer["displacement_max_mm"],
                "smallest Jacobian determinant": finer["least_jacobian"],
            }
        rows.append(row)
        texts += [
            f"WARNING: {subject}: {text}. Check the hand knob and the coil in the figures."
            for text in quality.get("warnings", ())
        ]
    about = (
        "The affine registration of the brain to MNI152 places the electrode cap and the coil. "
        "The deformable one, if there is one, places the hand knob. Correlation: of T1w "
        "intensities over both brains."
    )
    return Part("Registration to MNI space", (about, *texts), pd.DataFrame(rows))


def _placement_part(placements: Mapping[str, Mapping[str, Any]]) -> Part:
    """Distance of the coil from every scalp."""
    rows = [
        {
            "subject": subject,
            "coil": record["coil"],
            "placed by": record["placed_by"],
            "centre to scalp along the coil's axis (mm)": record["centre_to_scalp_mm"],
            "nearest winding to scalp (mm)": record["nearest_to_scalp_mm"],
        }
        for subject, record in placements.items()
    ]
    return Part("Position of the coil", table=pd.DataFrame(rows))
