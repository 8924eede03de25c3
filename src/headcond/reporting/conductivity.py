"""Section of the report on conductivity from MRI: scores over the test heads, and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from headcond.condnet.domain import LEAST_HEADS, STATISTICS
from headcond.condnet.scores import ALL
from headcond.reporting.page import Part, Section
from headcond.reporting.stimulation import SHOWN_NAMES

_ORIGIN = {
    "phantom": "Generated heads, simulated T1w and T2w. ",
    "labels": "Real label maps, simulated T1w and T2w. ",
    "bids": "Real scans and label maps. ",
}
MAPS = ("uniform", "blurred", "condnet")
LENS_REFERENCE = "0.35"  # S/m
SCORE_NAMES = {
    "median_percent": "median error (%)", "log10_mae": "log10 error", "dice": "Dice",
}  # fmt: skip

_LOSS_COLUMNS = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "train_floor": "training floor",
    "validation_floor": "validation floor",
    "unseen_loss": "loss on an unseen head",
    "unseen_floor": "floor of the unseen head",
    "seconds": "time of the last epoch (s)",
    "loading_seconds": "of it fetching slices (s)",
}


def conductivity_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    losses: Mapping[str, pd.DataFrame],
    scores: pd.DataFrame,
    lens: pd.DataFrame | None = None,
) -> Section:
    """Training losses, scores of the maps, and the figures of the CondNet paper.

    Parameters
    ----------
    study, figures : as for `stimulation.cohort_section`.
    losses : loss table of each slicing axis.
    scores : `condnet.summary.summarise_heads` of the test heads.
    lens : `condnet.summary.value_ranges` in the lenses of the test heads, with subject.
    """
    parts = [training_part(study, figures, losses), *_score_parts(scores)]
    if lens is not None:
        parts.append(_lens_part(lens))
    caption = _ORIGIN[study["cohort"]["source"]] + _VOLUMES
    parts.append(Part("Volume renders", figure=figures["volumes"], caption=caption))
    for subject in [*study["cohort"]["test"], *study["cohort"]["scans"]]:
        parts += _subject_parts(study, figures, subject)
    return Section("conductivity", "Conductivity from MRI", tuple(parts))


def score_table(scores: pd.DataFrame, table: str, reference: str) -> pd.DataFrame:
    """Scores of one table's maps against one reference: a row per tissue, a column per map.

    Parameters
    ----------
    scores : `condnet.summary.summarise_heads`.
    table : conductivity table of the maps.
    reference : "uniform" or "true".

    Returns
    -------
    Columns tissue and "SCORE, MAP"; cells "mean ± standard deviation" over the heads, or the
    one head's value.
    """
    rows = scores[(scores["table"] == table) & (scores["reference"] == reference)]
    names = {ALL: "all tissues"}
    found = {"tissue": [names.get(n, n.replace("_", " ")) for n in rows["tissue"].unique()]}
    for score, title in SCORE_NAMES.items():
        for name in (name for name in MAPS if (rows["map"] == name).any()):
            part = rows[rows["map"] == name]
            part = part.set_index("tissue").reindex(rows["tissue"].unique())
            found[f"{title}, {SHOWN_NAMES.get(name, name)}"] = [
                _mean_and_std(mean, std)
                for mean, std in zip(part[f"{score}_mean"], part[f"{score}_std"], strict=True)
            ]
    return pd.DataFrame(found)


def judged(scores: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Every table and reference that scores hold, and in words whose errors they are."""
    against = {
        "uniform": "the uniform conductivity of the labels",
        "true": "the true, non-uniform conductivity of the generated heads",
    }
    pairs = scores[["table", "reference"]].drop_duplicates().itertuples(index=False)
    return [
        (table, name, f"the maps of table {table} against {against[name]}") for table, name in pairs
    ]


def lens_table(lens: pd.DataFrame) -> pd.DataFrame:
    """What the maps hold in the lens, as text: a row per head, a column per map."""
    named = lens.assign(map=[SHOWN_NAMES.get(name, name) for name in lens["map"]])
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


_VOLUMES = (
    "The first test heads with the octant towards the viewer (the person's left, front and upper "
    "part) cut out. Cut faces show single voxels, inner air dark; the skin shows the mean of "
    "its outermost 4 mm and is shaded. One logarithmic colour scale for all."
)


def _score_parts(scores: pd.DataFrame) -> list[Part]:
    heads = int(scores["heads"].max())
    about = (
        f"{heads} test head{'s' * (heads > 1)}"
        + ("; mean ± standard deviation over the heads. " if heads > 1 else ". ")
        + "Median over a tissue's voxels of |map - reference| / reference; mean of "
        "|log10(map / reference)|; Dice overlap of the labels with the voxels whose nearest tissue "
        "in log conductivity is this one (tissues of one conductivity share it). The blurred map "
        "is the control: the uniform one under the Gaussian that brings it nearest to the "
        "estimated one."
    )
    return [
        Part(f"Error of {text}", (about,), score_table(scores, table, reference))
        for table, reference, text in judged(scores)
    ]


def _lens_part(lens: pd.DataFrame) -> Part:
    text = (
        "Median (5th to 95th percentile) of the conductivity in the eye's lens, S/m. The lens is "
        "labelled vitreous humour in training, so the uniform map gives it the value of that. The "
        "generated heads give it a contrast and a conductivity of its own, about "
        f"{LENS_REFERENCE} S/m, which voxels at its rim share with their neighbours; the paper "
        f"reports 0.31 to 0.55 against {LENS_REFERENCE} in people."
    )
    return Part("The lens of the eye", (text,), lens_table(lens))


def _subject_parts(
    study: Mapping[str, Any], figures: Mapping[str, str], subject: str
) -> list[Part]:
    tables = study["condnet"]["tables"]
    real = subject in study["cohort"]["scans"]
    origin = "Real scans. " if real else _ORIGIN[study["cohort"]["source"]]
    captions = {
        "conductivity": f"T1w, T2w and conductivity (table {tables[0]}) in three planes, all maps "
        "on one logarithmic colour scale, from half of the table's lowest to its highest value. "
        "Blurred: the uniform map under the Gaussian that brings it nearest to the "
        "estimated one.",
        "profile": "Conductivity along the dashed left-right line.",
        "patches": "Conductivity in homogeneous patches, one per tissue, where the tissue is "
        "thickest in the axial slice nearest to the middle that has them all. Boxes: quartiles, "
        "whiskers: 5 to 95 %. What a map takes for air stands at half of the table's lowest value.",
        "tables": f"The {len(tables)} conductivity tables {', '.join(tables)}, estimated at once "
        "by one network per axis, beside uniform and blurred maps, on one colour scale; the "
        "framed squares are magnified.",
        "spread": "How far the three slicing axes lie apart: standard deviation of their "
        "predictions, in S/m and in % of their mean.",
    }
    shown = [(name, f"{name}_{subject}") for name in captions if f"{name}_{subject}" in figures]
    return [
        Part(
            f"Conductivity of {subject}" if number == 0 else "",
            figure=figures[key],
            caption=origin + captions[name],
        )
        for number, (name, key) in enumerate(shown)
    ]


_MARK = {True: "OUTSIDE", False: "inside", None: "not judged"}


def domain_section(judgements: Mapping[str, Mapping[str, Any]], level: float) -> Section:
    """Tell which predicted heads lie outside the training domain, and by how much.

    Parameters
    ----------
    judgements : of `condnet.domain.compare_head`, with `axis_spread`, of each predicted head, by
        subject.
    level : of the limits.
    """
    rows = []
    for subject, found in judgements.items():
        row = {"subject": subject, "training domain": _MARK[found["outside"]]}
        for name in STATISTICS:
            entry = found["statistics"][name]
            limit = entry.get("limit")
            about = f"{entry['distance']:.3g}" + (f" ({limit:.3g})" if limit else "")
            row[f"{name}: distance (limit)"] = about
        row["spread between the axes"] = found["axis_spread"]
        rows.append(row)
    texts = [
        "How far the images of each predicted head lie from those of the training heads, by the "
        "joint histogram of the normalised T1w and T2w inside the head (intensity, Hellinger "
        "distance) and by the fine detail along each axis (detail). A head beyond a limit is "
        "marked OUTSIDE: the errors told of test heads say nothing of it. The limits stand at the "
        f"level {level:g} and come from the training heads alone, each left out in turn.",
        "Inside is no proof: lesions, a missing face and other local changes leave both "
        "statistics nearly alone. The spread between the axes is the mean over the head of their "
        "standard deviation, as a share of the scale of the networks' output; it is not judged.",
    ]
    outside = [subject for subject, found in judgements.items() if found["outside"]]
    if outside:
        texts.insert(0, f"Outside the training domain: {', '.join(outside)}.")
    if any(found["outside"] is None for found in judgements.values()):
        texts.append(f"Nothing is judged with fewer than {LEAST_HEADS} training heads.")
    part = Part(texts=tuple(texts), table=pd.DataFrame(rows))
    return Section("domain", "Training domain", (part,))


def training_part(
    study: Mapping[str, Any], figures: Mapping[str, str], losses: Mapping[str, pd.DataFrame]
) -> Part:
    """Training losses of every slicing axis after the last epoch, and their course (Fig. 4)."""
    last = [{"axis": axis, **rows.iloc[-1].to_dict()} for axis, rows in losses.items()]
    text = (
        "Binary cross-entropy with soft targets, after the last epoch. Its least value is not 0 "
        "but the entropy of the targets (floor)."
    )
    taken = study["condnet"].get("networks")
    notes = (f"The networks were trained by another study ({taken}) and are used as they are.",)
    return Part(
        "Training",
        (*(notes if taken else ()), text),
        pd.DataFrame(last).rename(columns=_LOSS_COLUMNS),
        figures["losses"],
        "Loss per epoch: training solid, validation dashed, floor of the training set dotted, "
        "one colour per slicing axis; dash-dotted, where validation is by slices, whose heads "
        "training has seen, the loss on a head that it has not.",
    )
