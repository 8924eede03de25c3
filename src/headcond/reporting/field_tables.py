"""Tables of the report's TMS section: errors, peaks, the way to MNI space, the coil's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.metrics import AVERAGE
from headcond.reporting.page import Part

# How the report calls the maps, in text and figures alike.
SHOWN_NAMES = {"condnet": "estimated", "subvoxel": "sub-voxel"} | {
    f"{key}-{table}": f"{name} ({table})"
    for key, name in (("condnet", "estimated"), ("uniform", "uniform"))
    for table in ("A", "B", "cole-cole")
}
_GE = "GE (%)"
_REFERENCES = ("true", "subvoxel")


def grid_part(study: Mapping[str, Any]) -> Part:
    """On which voxels networks and fields stand, and how the maps came there."""
    coarse = study["cohort"]["voxel_size_mm"]
    size = study["tms"].get("voxel_size_mm", coarse)
    text = f"Networks and fields share voxels of {coarse:g} mm."
    if size < coarse:
        text = (
            f"The networks see voxels of {coarse:g} mm, the fields are solved on {size:g} mm. "
            f"Uniform maps are made from labels of {size:g} mm; of the estimated map, the mean of "
            "the three networks was interpolated linearly before it was scaled to S/m."
        )
    return Part("Voxels", (text,))


def error_parts(errors: pd.DataFrame) -> list[Part]:
    """Global errors as Table III of CondNet, one part per kind and denominator.

    Parameters
    ----------
    errors : `metrics.global_error_table` of all test heads, with `metrics.average_errors`.
    """
    shown = errors.replace(SHOWN_NAMES)
    # Outside the head only the conductive reading differs from the other in the denominator.
    shown = shown[(shown["region"] == "head") | (shown["head_mask"] == "conductive")].copy()
    whole = shown["head_mask"] == "grid"
    shown["region"] = shown["region"].str.replace("_", " ").where(~whole, "head with its air")
    pairs = zip(shown["mean_percent"], shown["std_percent"], strict=True)
    shown[_GE] = [f"{mean:.3g} ± {std:.2g}" for mean, std in pairs]
    regions = list(dict.fromkeys(shown["region"]))
    parts = []
    for (kind, denominator), group in shown.groupby(["kind", "denominator"], sort=False):
        wide = group.pivot_table(
            index=["subject", "reference", "estimate"],
            columns="region",
            values=_GE,
            aggfunc="first",
            sort=False,
        )
        what = {"magnitude": "field magnitude", "vector": "length of the vectors' difference"}
        text = (
            f"Global error in % of the largest field of the {denominator} (eq. 6 of the CondNet "
            f"paper), {what[kind]}, mean ± standard deviation over voxels. The published value "
            "of the head lies below those of its parts, as it does only if its average takes in "
            "the air of the whole grid: the last column reads it so."
        )
        if (group["subject"] == AVERAGE).any():
            text += " Average: means over the heads of both numbers."
        title = f"Global error, denominator: {denominator}"
        title += ", vector" if kind == "vector" else ""
        parts.append(Part(title, (text,), wide.reindex(columns=regions).reset_index()))
    return parts


def peak_parts(peaks: pd.DataFrame) -> list[Part]:
    """Percentiles of |E|, and how far they lie from those of a reference."""
    top = peaks.replace(SHOWN_NAMES).pivot_table(
        index=["subject", "model", "percentile"], columns="region", values="field", sort=False
    )
    top = top.rename(columns=lambda name: name.replace("_", " ")).reset_index()
    parts = [Part("Peak fields", ("Percentiles of |E| in V/m.",), top)]
    for reference in _REFERENCES:
        keys = ["subject", "region", "percentile"]
        base = peaks[peaks["model"] == reference].set_index(keys)["field"]
        # Another conductivity table is another question.
        others = peaks[~peaks["model"].isin(_REFERENCES) & ~peaks["model"].str.contains("-")].copy()
        if base.empty or others.empty:
            continue
        found = base.reindex(pd.MultiIndex.from_frame(others[keys])).to_numpy()
        others["difference"] = 100 * (others["field"].to_numpy() / found - 1)
        wide = others.replace(SHOWN_NAMES).pivot_table(
            index=["model", "percentile"], columns="region", values="difference", sort=False
        )
        wide = wide.rename(columns=lambda name: name.replace("_", " ")).reset_index()
        text = (
            f"Peaks of |E| against those of the {SHOWN_NAMES.get(reference, reference)} map, in "
            "%, mean over the heads. Staircases of whole voxels show as peaks that are too high."
        )
        name = SHOWN_NAMES.get(reference, reference)
        parts.append(Part(f"Peaks against the {name} map", (text,), wide))
    return parts


def registration_part(
    registrations: Mapping[str, Mapping[str, Any]], warps: Mapping[str, Mapping[str, Any]]
) -> Part:
    """How well each head lies in MNI space, with a warning where it does not look like it."""
    rows, texts = [], []
    for subject, record in registrations.items():
        quality = record["quality"]
        row = {"subject": subject}
        if "dice" in quality:
            row |= {
                "Dice of the brains": quality["dice"],
                "correlation": quality["correlation"],
                "mutual information (nats)": quality["mutual_information"],
            }
        else:
            row["source"] = quality["source"]
        if subject in warps:
            finer = warps[subject]["quality"]
            row |= {
                "Dice, deformed": finer["dice"],
                "correlation, deformed": finer["correlation"],
                "largest displacement (mm)": finer["displacement_max_mm"],
                "least Jacobian": finer["least_jacobian"],
            }
        rows.append(row)
        texts += [
            f"WARNING: {subject}: {text}. Check the hand knob and the coil in its pictures."
            for text in quality.get("warnings", ())
        ]
    about = (
        "Affine registration of the brain to MNI152, which places cap and coil; where there is a "
        "deformable one too, it places the hand knob. Correlation is that of the T1w intensities "
        "over both brains."
    )
    table = pd.DataFrame(rows).astype(object)
    return Part("Way to MNI space", (about, *texts), table.where(table.notna(), "–"))


def placement_part(placements: Mapping[str, Mapping[str, Any]]) -> Part:
    """How far the coil stands off every scalp."""
    rows = [
        {
            "subject": subject,
            "coil": record["coil"],
            "placed by": record["placed_by"],
            "centre to scalp (mm)": record["centre_to_scalp_mm"],
            "nearest winding to scalp (mm)": record["nearest_to_scalp_mm"],
        }
        for subject, record in placements.items()
    ]
    table = pd.DataFrame(rows).astype(object)
    about = "Measured after placing: the centre's distance along the coil's axis."
    return Part("Coil on the head", (about,), table.where(table.notna(), "–"))
