"""Sections of the report on conductivity from MRI: training, errors, maps, training domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.condnet.domain import LEAST_HEADS, STATISTICS
from headcond.condnet.scores import ALL
from headcond.figures.names import map_name, tissue_name
from headcond.reporting.page import Part, Section

_ORIGIN = {
    "phantom": "Generated heads, simulated T1w and T2w. ",
    "labels": "Real label maps, simulated T1w and T2w. ",
    "bids": "Real scans and label maps. ",
}
MAPS = ("uniform", "blurred", "condnet")
LENS_REFERENCE = "0.35"  # S/m
SCORE_NAMES = {"median_percent": "median error (%)", "log10_mae": "log10 error", "dice": "Dice"}

_LOSS_COLUMNS = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "train_floor": "entropy of training targets",
    "validation_floor": "entropy of validation targets",
    "unseen_loss": "loss on an unseen head",
    "unseen_floor": "entropy of its targets",
    "seconds": "time of the last epoch (s)",
    "loading_seconds": "loading of slices (s)",
}
_RENDERING = (
    "The first test heads without the octant towards the viewer (left, front, top). Cut faces show "
    "single voxels, with inner air dark; the skin shows the mean of its outermost 4 mm, shaded. "
    "One logarithmic colour scale for all."
)


def conductivity_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    losses: Mapping[str, pd.DataFrame],
    scores: pd.DataFrame,
    lens: pd.DataFrame | None = None,
) -> Section:
    """Training losses, errors of the maps, and the figures of the CondNet paper.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    losses : loss table of each slicing axis.
    scores : `condnet.scores.summarise_heads` of the test heads.
    lens : `condnet.scores.value_ranges` in the lenses of the test heads, with subject.
    """
    parts = [_training_part(study, figures, losses), *_score_parts(scores)]
    if lens is not None:
        parts.append(_lens_part(lens))
    caption = _ORIGIN[study["cohort"]["source"]] + _RENDERING
    parts.append(Part("Volume rendering", figure=figures["volumes"], caption=caption))
    for subject in [*study["cohort"]["test"], *study["cohort"]["scans"]]:
        parts += _subject_parts(study, figures, subject)
    return Section("conductivity", "Conductivity from MRI", tuple(parts))


def score_table(scores: pd.DataFrame, table: str, reference: str) -> pd.DataFrame:
    """Scores of one table's maps against one reference: a row per tissue, a column per map.

    Parameters
    ----------
    scores : `condnet.scores.summarise_heads`.
    table : conductivity table of the maps.
    reference : "uniform" or "true".

    Returns
    -------
    Columns tissue and "SCORE, MAP"; cells "mean ± standard deviation" over the heads, or the
    one head's value.
    """
    rows = scores[(scores["table"] == table) & (scores["reference"] == reference)]
    tissues = rows["tissue"].unique()
    columns = {"tissue": ["all tissues" if name == ALL else tissue_name(name) for name in tissues]}
    for score, title in SCORE_NAMES.items():
        for name in (name for name in MAPS if (rows["map"] == name).any()):
            part = rows[rows["map"] == name].set_index("tissue").reindex(tissues)
            columns[f"{title}, {map_name(name)}"] = [
                _mean_and_std(mean, std)
                for mean, std in zip(part[f"{score}_mean"], part[f"{score}_std"], strict=True)
            ]
    return pd.DataFrame(columns)


def error_titles(scores: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Conductivity tables and references of the scores, each with a title of its error table."""
    against = {
        "uniform": "the uniform conductivity of the label map",
        "true": "the true, non-uniform conductivity of the generated heads",
    }
    pairs = scores[["table", "reference"]].drop_duplicates().itertuples(index=False)
    return [
        (table, name, f"the maps of table {table} against {against[name]}") for table, name in pairs
    ]


def lens_table(lens: pd.DataFrame) -> pd.DataFrame:
    """Conductivity in the eye's lens (S/m) as text: a row per head, a column per map."""
    named = lens.assign(map=lens["map"].map(map_name))
    named["value"] = [
        f"{row.median:.2f} ({row.p5:.2f} to {row.p95:.2f})"
        for row in named[["median", "p5", "p95"]].itertuples(index=False)
    ]
    wide = named.pivot(index=["subject", "voxels"], columns="map", values="value")
    return wide[list(dict.fromkeys(named["map"]))].reset_index()


def _mean_and_std(mean: float, std: float) -> str:
    if pd.isna(mean):
        return "–"
    # Twice, so that 150 is not written as 1.5e+02.
    rounded = f"{float(f'{mean:.3g}'):g}"
    return rounded if pd.isna(std) else f"{rounded} ± {float(f'{std:.2g}'):g}"


def _score_parts(scores: pd.DataFrame) -> list[Part]:
    heads = int(scores["heads"].max())
    about = (
        f"{heads} test head{'s' * (heads > 1)}"
        + ("; mean ± standard deviation over the heads. " if heads > 1 else ". ")
        + "Median error: median over a tissue's voxels of |map - reference| / reference. log10 "
        "error: mean of |log10(map / reference)|. Dice: overlap of the tissue's labels with the "
        "voxels whose conductivity is nearest to this tissue's on a log scale (tissues of one "
        "conductivity count as one). Blurred is the control: the uniform map under the Gaussian "
        "that brings it nearest to the estimated one."
    )
    return [
        Part(f"Error of {title}", () if n else (about,), score_table(scores, table, reference))
        for n, (table, reference, title) in enumerate(error_titles(scores))
    ]


def _lens_part(lens: pd.DataFrame) -> Part:
    text = (
        "Conductivity in the eye's lens, S/m: median (5th to 95th percentile). The training labels "
        "count the lens as vitreous humour, whose value the uniform map has. In the generated "
        f"heads the lens has its own contrast and about {LENS_REFERENCE} S/m, mixed with its "
        "surroundings in voxels at its border. The CondNet paper reports 0.31 to 0.55 S/m in "
        f"people, where {LENS_REFERENCE} S/m is expected."
    )
    return Part("The lens of the eye", (text,), lens_table(lens))


def _subject_parts(
    study: Mapping[str, Any], figures: Mapping[str, str], subject: str
) -> list[Part]:
    tables = study["condnet"]["tables"]
    real = subject in study["cohort"]["scans"]
    origin = "Real scans. " if real else _ORIGIN[study["cohort"]["source"]]
    captions = {
        "conductivity": f"T1w, T2w and conductivity (table {tables[0]}) in three planes, with one "
        "logarithmic colour scale for all maps, from half of the table's lowest value to its "
        "highest. Blurred: the uniform map under the Gaussian that brings it nearest to the "
        "estimated one.",
        "profile": "Conductivity along the dashed left-right line.",
        "patches": "Conductivity in one homogeneous patch per tissue, where the tissue is "
        "thickest, in the axial slice nearest to the head's centre that contains all tissues. "
        "Boxes: quartiles; whiskers: 5th to 95th percentile. Air in a map is drawn at half of the "
        "table's lowest value.",
        "tables": f"Maps of {len(tables)} conductivity tables ({', '.join(tables)}), estimated by "
        "the same network of each axis, with the uniform and blurred maps, on one colour scale. "
        "Framed squares are magnified.",
        "spread": "Standard deviation of the predictions of the three slicing axes, in S/m and in "
        "% of their mean.",
    }
    parts, title = [], f"Conductivity of {subject}"
    for name, caption in captions.items():
        if f"{name}_{subject}" in figures:
            parts.append(Part(title, (), None, figures[f"{name}_{subject}"], origin + caption))
            title = ""
    return parts


_VERDICT = {True: "OUTSIDE", False: "inside", None: "not tested"}


def domain_section(judgements: Mapping[str, Mapping[str, Any]], level: float) -> Section:
    """Distances of the predicted heads from the training heads, and which exceed the limits.

    Parameters
    ----------
    judgements : `condnet.domain.compare_head` of each predicted head, with `axis_spread`, by
        subject.
    level : probability that a training head is inside its limit.
    """
    rows = []
    for subject, found in judgements.items():
        row = {"subject": subject, "training domain": _VERDICT[found["outside"]]}
        for name in STATISTICS:
            entry = found["statistics"][name]
            limit = f" ({entry['limit']:.3g})" if entry.get("limit") else ""
            row[f"{name}: distance (limit)"] = f"{entry['distance']:.3g}{limit}"
        row["spread between the axes"] = found["axis_spread"]
        rows.append(row)
    texts = [
        "Distance of each predicted head's images from those of the training heads: of the joint "
        "histogram of normalised T1w and T2w in the head (intensity; Hellinger distance) and of "
        "the fine detail along each axis (detail). A head above a limit is marked OUTSIDE; the "
        "errors of the test heads do not hold for it. The limits come from the training heads "
        f"alone, each left out in turn, at the level {level:g}.",
        "A head inside the limits may still be wrong: lesions, a removed face and other local "
        "changes hardly change both distances. The spread between the axes is the standard "
        "deviation of their predictions, averaged over the head, as a fraction of the full scale "
        "of the networks' output. It has no limit.",
    ]
    outside = [subject for subject, found in judgements.items() if found["outside"]]
    if outside:
        texts.insert(0, f"WARNING: outside the training domain: {', '.join(outside)}.")
    if any(found["outside"] is None for found in judgements.values()):
        texts.append(f"There are no limits with fewer than {LEAST_HEADS} training heads.")
    return Section("domain", "Training domain", (Part("", tuple(texts), pd.DataFrame(rows)),))


def _training_part(
    study: Mapping[str, Any], figures: Mapping[str, str], losses: Mapping[str, pd.DataFrame]
) -> Part:
    """Losses of every slicing axis after the last epoch, and per epoch (Fig. 4 of CondNet)."""
    last = [{"axis": axis, **rows.iloc[-1].to_dict()} for axis, rows in losses.items()]
    texts = [
        "Binary cross-entropy with soft targets (nats per voxel) after the last epoch. Its lower "
        "bound is the entropy of the targets."
    ]
    source = study["condnet"].get("networks")
    if source:
        texts.insert(0, f"The networks come from another study ({source}) and were not retrained.")
    caption = (
        "Loss per epoch, one colour per slicing axis: training solid, validation dashed, entropy "
        "of the training targets dotted. Dash-dotted, where the validation slices come from "
        "training heads: the loss on an unseen head."
    )
    table = pd.DataFrame(last).rename(columns=_LOSS_COLUMNS)
    return Part("Training", tuple(texts), table, figures["losses"], caption)
