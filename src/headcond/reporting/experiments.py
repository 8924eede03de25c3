"""Sections of the report on Experiments 2 to 5: errors, references, wrong heads, measurements."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from headcond.experiments import published
from headcond.experiments.estimation import spongy_correlation
from headcond.experiments.measured import clearest_frequency
from headcond.experiments.published import TABLE_2_TRUTH
from headcond.figures.inversion import told
from headcond.inverse.priors import PUBLISHED_MEANS
from headcond.reporting.page import Part, Section


def inversion_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    sweeps: Mapping[str, pd.DataFrame],
    baselines: Mapping[str, pd.DataFrame],
) -> Section:
    """Experiments 2 and 3.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    sweeps : rows of `inverse.experiment.sweep`, by subject.
    baselines : rows of `inverse.experiment.baseline`, by subject; empty where there is none.
    """
    noise = study["inverse"]["noise"]
    parts = []
    for subject, table in sweeps.items():
        table = table.dropna(subset=["parameter"])
        last = table[(table["noise"] == noise) & (table["snapshots"] == table["snapshots"].max())]
        rows = [
            {
                "estimated": f"{row.mode}, {row.free} tissues",
                "tissue": _spaced(row.parameter),
                "mean RE (%)": row.mean,
                "largest RE (%)": row.largest,
                "median bound (%)": row.bound,
                "variation over pairs (%)": row.variation,
                "at a wall (%)": 100 * row.at_wall,
                "chi-square / dof": row.misfit,
                "RMS error / bound": row.rms_over_bound,
                "± sampling": row.sampling_error,
                "judged": row.judged,
                "the paper: mean RE (%)": published.EXPERIMENT_2.get(row.parameter, "–")
                if row.mode == "each" and not study["head"]["anisotropic"]
                else "–",
            }
            for row in last.itertuples()
        ]
        texts = [
            f"{1e6 * noise:.2g} µV of noise per electrode, {last['snapshots'].iloc[0]} snapshots. "
            "The bound (Cramér-Rao) is the least deviation of any unbiased estimate without walls. "
            "Errors are judged against it where no wall is active and it lies below a tenth of the "
            "box: the RMS error is then at most 1.1 bounds, up to the sampling error, or the "
            "reduced model is too coarse."
        ]
        whole = last[last["free"] == "all"].groupby("mode", sort=False)["mean"].mean()
        means = ", ".join(f"{value:.2g} % ({mode})" for mode, value in whole.items())
        texts.append(f"Mean over all tissues: {means}.")
        runs = baselines.get(subject)
        if runs is not None:
            each = runs.groupby(["sample", "pair"])
            lost = runs[~runs["kept"]].drop_duplicates(["sample", "pair"])["reason"].value_counts()
            why = "; ".join(f"{count} {reason}" for reason, count in lost.items()) or "none"
            texts.append(
                f"Traditional method: {each.ngroups} runs, {each['systems'].max().mean():.0f} "
                f"systems each on average; removed by the stated rule (not converged, or a "
                f"conductivity beyond a hundred times the box): {why}."
            )
        parts.append(Part(subject, tuple(texts), pd.DataFrame(rows)))
        if table["noise"].nunique() > 1:
            parts.append(Part(texts=(_SWEPT,), table=_by_noise(table, noise)))
        for name, caption in (
            ("inversion", "Errors of the outer tissues against systems solved per pair."),
            ("noises", "Errors of all tissues against snapshots and noise, and by their bound."),
        ):
            parts.append(Part(figure=figures[f"{name}_{subject}"], caption=caption))
    return Section("inversion", "Errors of estimates (Experiments 2 and 3)", tuple(parts))


_SWEPT = (
    "RMS error by bound at other noises, with the paper's snapshots (dashes: nothing to judge). "
    "Where it is above 1 by more than its sampling error the reduced model is as wrong as the data "
    "are noisy: with more snapshots it comes back to 1."
)


def _by_noise(table: pd.DataFrame, noise: float) -> pd.DataFrame:
    """RMS error by bound of every tissue, a row per noise and way of estimating."""
    count = table[table["noise"] != noise]["snapshots"].max()
    rows = table[(table["snapshots"] == count) & (table["free"] == "all")]
    wide = rows.pivot(index=["mode", "noise"], columns="parameter", values="rms_over_bound")
    names = list(dict.fromkeys(rows["parameter"]))
    found = wide[names].rename(columns=_spaced).reset_index()
    found.insert(2, "snapshots", count)
    found["noise"] = [f"{1e6 * value:.2g} µV" for value in found["noise"]]
    return found.rename(columns={"mode": "estimated"})


def references_section(
    figures: Mapping[str, str],
    references: Mapping[str, pd.DataFrame],
    places: Mapping[str, pd.DataFrame],
) -> Section:
    """Experiment 4.

    Parameters
    ----------
    figures : paths of the figures by name.
    references : rows of `inverse.experiment.compare_references`, by subject.
    places : electrodes with the spongy bone below them, by subject.
    """
    parts = []
    for subject, table in references.items():
        rows = []
        for weighting, part in table.groupby("weighting", sort=False):
            asked = part[part["asked"] & (part["reference"] != "average")]
            worst = asked.loc[asked["std"].idxmax(), "reference"]
            for where in (worst, "average"):
                for row in part[part["reference"] == where].itertuples():
                    rows.append(_reference_row(weighting, where, where == worst, row))
        plain = table[table["asked"] & (table["weighting"] == "plain")]
        text = (
            f"Voltages from a skull of compact and spongy bone, estimates with one skull: "
            f"{int(plain['patterns'].sum())} estimates with {plain['patterns'].max()} patterns at "
            f"most and {len(plain) - 1} references, and the average, with either weights; "
            f"{int(table.loc[table['asked'], 'failed'].sum())} did not converge and are left out. "
            "Below: the reference with the largest scatter of the skull, and the average, in S/m."
        )
        scatter, middle = (
            " and ".join(
                f"{value:.2f} ({weighting} weights)"
                for weighting, value in spongy_correlation(table, places[subject], key).items()
            )
            for key in ("std", "mean")
        )
        text += (
            " Over the references the scatter and the spongy bone below have a rank correlation "
            f"(Spearman) of {scatter}, the mean and the bone one of {middle}."
        )
        caption = "Deviation of the skull's conductivity over patterns, by the reference electrode."
        parts.append(
            Part(subject, (text,), pd.DataFrame(rows), figures[f"references_{subject}"], caption)
        )
    return Section("references", "Choice of the reference (Experiment 4)", tuple(parts))


def _reference_row(weighting: str, where: str, worst: bool, row: Any) -> dict[str, Any]:
    truth = TABLE_2_TRUTH.get(row.parameter)
    paper = published.TABLE_2.get(row.parameter) if worst and weighting == "plain" else None
    return {
        "weights": weighting,
        "reference": f"{where} (worst)" if worst else where,
        "tissue": _spaced(row.parameter),
        "truth": truth
        if truth is not None
        else f"{TABLE_2_TRUTH['compact_bone']} and {TABLE_2_TRUTH['spongy_bone']}",
        "mean": row.mean,
        "deviation": row.std,
        "patterns": row.patterns,
        "at a wall": row.at_wall,
        "the paper": f"{paper[0]} ± {paper[1]}" if paper else "–",
    }


def disturbances_section(
    figures: Mapping[str, str], disturbances: Mapping[str, pd.DataFrame]
) -> Section:
    """What a wrong head costs.

    Parameters
    ----------
    figures : paths of the figures by name.
    disturbances : rows of `inverse.disturbance.compare_disturbances`, by subject.
    """
    parts = []
    for subject, table in disturbances.items():
        table = table.dropna(subset=["parameter"])
        rows = []
        modes, changes = (list(dict.fromkeys(table[key])) for key in ("mode", "change"))
        for mode, change in itertools.product(modes, changes):
            part = table[(table["mode"] == mode) & (table["change"] == change)]
            if not len(part):
                continue
            errors = part.set_index("parameter")["mean"]
            rows.append({
                "estimated": mode, "head of the voltages": told(change),
                "electrodes": part["electrodes"].iloc[0], "pairs": part["pairs"].iloc[0],
                **{f"{_spaced(name)} (%)": value for name, value in errors.items()},
                "chi-square / dof": part["misfit"].iloc[0],
                "at a wall (%)": 100 * part["at_wall"].mean(),
            })  # fmt: skip
        text = (
            "Mean relative error of every tissue when the voltages come from a head that differs "
            "from the model's in one thing. Chi-square over degrees of freedom is 1 where nothing "
            "but the noise is wrong: it says whether the data themselves would tell. Moved "
            "electrodes are one draw of directions each; benchmarks/displaced.py has several."
        )
        caption = "Mean relative errors by what is wrong; bars: median Cramér-Rao bounds."
        parts.append(
            Part(subject, (text,), pd.DataFrame(rows), figures[f"disturbances_{subject}"], caption)
        )
    return Section("disturbances", "What a wrong head costs", tuple(parts))


def measured_section(
    figures: Mapping[str, str],
    summaries: Mapping[str, pd.DataFrame],
    records: Mapping[str, Mapping[str, Any]],
    estimates: Mapping[str, pd.DataFrame],
) -> Section:
    """Experiment 5: conductivities from measured voltages, beside the paper's.

    Parameters
    ----------
    figures : paths of the figures by name.
    summaries : rows of `inverse.measured.summary` with `variant`, by subject.
    records : what was left out and why, by subject.
    estimates : rows of `inverse.measured.fit` with frequency and variant, by subject.
    """
    parts = []
    for subject, table in summaries.items():
        fits = records[subject]["fits"]
        shown = clearest_frequency(fits)
        facts = next(one for one in fits if one["frequency"] == shown)
        every = estimates[subject]
        free = every[every["free"]].groupby("variant")["parameter"].agg(set)
        rows = [
            _measured_row(row, row.parameter in free.get(row.variant, ()))
            for row in table[table["frequency"] == shown].itertuples()
        ]
        left = {**facts["bad_electrodes"], **facts["bad_patterns"]}
        text = (
            f"{facts['description']}; {facts['patterns']} patterns, {facts['readings']} readings, "
            f"{table['frequency'].nunique()} frequencies; the table is for {shown:g} Hz, "
            "where reciprocity holds best. "
            f"Noise of one electrode {_reciprocal(facts['reciprocity_noise'])}. Left out: "
            + ("; ".join(f"{k} ({v})" for k, v in left.items()) or "nothing")
            + ". "
            "Scaled deviations are those of the noise that would explain the misfit. Published "
            "means are McCann's (2019)."
        )
        caption = "Estimates per pattern and from all patterns together, all tissues free."
        parts.append(
            Part(subject, (text,), pd.DataFrame(rows), figures[f"measured_{subject}"], caption)
        )
        misfit = _misfits(every, shown)
        caption = "Against frequency, where there are several."
        told = _unexplained(misfit, facts["noise"], [f for f in fits if f["frequency"] == shown])
        parts.append(Part("", (told,), misfit, figures[f"spectrum_{subject}"], caption))
        caption = "What the joint estimate leaves, by pattern and electrode."
        parts.append(Part(figure=figures[f"residuals_{subject}"], caption=caption))
    return Section("measured", "Measured voltages (Experiment 5)", tuple(parts))


def _measured_row(row: Any, free: bool) -> dict[str, Any]:
    mean = PUBLISHED_MEANS.get(row.parameter)
    return {
        "variant": row.variant,
        "tissue": _spaced(row.parameter),
        "mean (mS/m)": 1e3 * row.mean if free else f"held at {1e3 * row.mean:.4g}",
        "deviation over patterns": 1e3 * row.std if free else "–",
        "patterns": row.patterns if free else "–",
        "at a wall": row.at_wall if free else "–",
        "joint (mS/m)": 1e3 * row.joint if free else "held",
        "± scaled": 1e3 * row.joint_scaled_std if free and not row.joint_at_wall else "–",
        "joint at a wall": ("yes" if row.joint_at_wall else "no") if free else "–",
        "published mean": 1e3 * mean if mean else "–",
        "the paper, other people (mS/m)": published.experiment_5(row.variant, row.parameter) or "–",
    }


def _unexplained(misfit: pd.DataFrame, noise: float, fits: Sequence[Mapping[str, Any]]) -> str:
    """What the fits leave: beside the noise, and whether the reduced model itself is at fault."""
    worst = misfit["rms misfit, joint (µV)"].max()
    text = (
        f"The joint estimates leave {worst:.3g} µV, {worst / (1e6 * noise):.2g} times the noise of "
        f"{1e6 * noise:.2g} µV. "
    )
    if worst > 2e6 * noise:
        text += (
            "So the data are not explained: head, electrodes or instrument are wrong by more than "
            "the noise, and conductivities carry that error, which no deviation above states. "
        )
    certified = [fit["certified_error"] for fit in fits if fit.get("certified_error") is not None]
    if not certified:
        return text + "The reduced model's own error has no certificate at these readings."
    matters = any(fit["model_error_matters"] for fit in fits)
    return text + (
        f"The reduced model is certified to {1e6 * max(certified):.3g} µV at the worst estimate, "
        + ("which is not small beside the noise." if matters else "small beside the noise.")
    )


def _reciprocal(noise: float | None) -> str:
    return "unknown to reciprocity" if noise is None else f"{1e6 * noise:.2g} µV by reciprocity"


def _misfits(table: pd.DataFrame, frequency: float) -> pd.DataFrame:
    """Misfit of the joint estimate and of single patterns, by variant, at one frequency."""
    table = table[table["frequency"] == frequency]
    one = table.drop_duplicates(["variant", "mode", "pattern"])
    rows = []
    for variant, part in one.groupby("variant", sort=False):
        joint, each = part[part["mode"] == "joint"], part[part["mode"] == "each"]
        rows.append({
            "variant": variant,
            "rms misfit, joint (µV)": 1e6 * joint["misfit"].iloc[0],
            "rms misfit, median pattern alone (µV)": 1e6 * np.median(each["misfit"]),
            "chi-square / dof, joint": (joint["chi_square"] / joint["dof"]).iloc[0],
        })  # fmt: skip
    return pd.DataFrame(rows)


def _spaced(name: str) -> str:
    return name.replace("_", " ")
