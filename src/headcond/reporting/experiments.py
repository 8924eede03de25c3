"""Sections of the report on Experiments 2 to 5 of ROM-pEIT, and on wrong heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from headcond.experiments import published
from headcond.experiments.estimation import spongy_correlation
from headcond.experiments.measured import clearest_frequency
from headcond.experiments.published import TABLE_2_TRUTH
from headcond.experiments.wrong_heads import change_name
from headcond.figures.names import MODE_NAMES, tissue_name
from headcond.inverse.priors import PUBLISHED_MEANS
from headcond.reporting.estimates import AT_LIMIT
from headcond.reporting.page import Part, Section


def inversion_section(
    study: Mapping[str, Any],
    figures: Mapping[str, str],
    sweeps: Mapping[str, pd.DataFrame],
    baselines: Mapping[str, pd.DataFrame],
) -> Section:
    """Experiments 2 and 3: errors of estimates, their bounds, and the traditional method.

    Parameters
    ----------
    study, figures : settings of the study, paths of its figures by name.
    sweeps : rows of `experiments.estimation.sweep`, by subject.
    baselines : rows of `experiments.estimation.baseline`, by subject; empty without baseline.
    """
    noise = study["inverse"]["noise"]
    parts = []
    for subject, table in sweeps.items():
        table = table.dropna(subset=["parameter"])
        last = table[(table["noise"] == noise) & (table["snapshots"] == table["snapshots"].max())]
        rows = [
            {
                "estimated": f"{MODE_NAMES[row.mode]}, {row.free} tissues",
                "tissue": tissue_name(row.parameter),
                "mean RE (%)": row.mean,
                "largest RE (%)": row.largest,
                "median bound (%)": row.bound,
                "variation over pairs (%)": row.variation,
                AT_LIMIT: 100 * row.at_wall,
                "chi-square / dof": row.misfit,
                "RMS error / bound": row.rms_over_bound,
                "± standard error": row.sampling_error,
                "estimates compared": row.judged,
                "mean RE in the paper (%)": published.EXPERIMENT_2.get(row.parameter, "–")
                if row.mode == "each" and not study["head"]["anisotropic"]
                else "–",
            }
            for row in last.itertuples()
        ]
        texts = [
            f"Relative errors (RE) with {1e6 * noise:.2g} µV of noise per electrode and "
            f"{last['snapshots'].iloc[0]} snapshots per pair. The Cramér-Rao bound is the smallest "
            "standard deviation of an unbiased estimate without limits. Errors are compared with "
            "it where no estimate is at a limit of the parameter box and the bound is below a "
            "tenth of the box. There the RMS error is at most 1.1 bounds, up to its standard "
            "error; a larger one means that the reduced model is too coarse."
        ]
        whole = last[last["free"] == "all"].groupby("mode", sort=False)["mean"].mean()
        means = ", ".join(f"{value:.2g} % ({MODE_NAMES[mode]})" for mode, value in whole.items())
        texts.append(f"Mean relative error of all tissues: {means}.")
        runs = baselines.get(subject)
        if runs is not None:
            each = runs.groupby(["sample", "pair"])
            lost = runs[~runs["kept"]].drop_duplicates(["sample", "pair"])["reason"].value_counts()
            why = "; ".join(f"{count} {reason}" for reason, count in lost.items()) or "none"
            texts.append(
                f"Traditional method (quasi-Newton): {each.ngroups} runs with "
                f"{each['systems'].max().mean():.0f} linear systems each on average. Removed "
                "because they did not converge or left a hundred times the parameter box: "
                f"{why}."
            )
        parts.append(Part(f"Estimates of {subject}", tuple(texts), pd.DataFrame(rows)))
        if table["noise"].nunique() > 1:
            parts.append(Part("", (_NOISES,), _by_noise(table, noise)))
        captions = {
            "inversion": "Relative errors (%) of the outer tissues against the linear systems "
            "solved per injection pair: snapshots for the reduced model (its certified bound takes "
            "more), iterations' solves for the traditional method.",
            "noises": "Relative errors (%) of all tissues against snapshots and noise; errors and "
            "Cramér-Rao bounds per tissue; RMS error divided by the bound, which is 1 for noise "
            "alone.",
        }
        for name, caption in captions.items():
            parts.append(Part(figure=figures[f"{name}_{subject}"], caption=caption))
    return Section("inversion", "Errors of estimates (Experiments 2 and 3)", tuple(parts))


_NOISES = (
    "RMS error / Cramér-Rao bound at other noise levels, with the paper's number of snapshots (–: "
    "no estimate to compare). Where it exceeds 1 by more than its standard error, the error of the "
    "reduced model is as large as the noise; with more snapshots it returns to 1."
)


def _by_noise(table: pd.DataFrame, noise: float) -> pd.DataFrame:
    """RMS error by bound of every tissue, a row per noise and estimation mode."""
    count = table[table["noise"] != noise]["snapshots"].max()
    rows = table[(table["snapshots"] == count) & (table["free"] == "all")]
    wide = rows.pivot(index=["mode", "noise"], columns="parameter", values="rms_over_bound")
    wide = wide[list(dict.fromkeys(rows["parameter"]))].rename(columns=tissue_name).reset_index()
    wide.insert(2, "snapshots", count)
    wide["noise"] = [f"{1e6 * value:.2g} µV" for value in wide["noise"]]
    return wide.replace({"mode": MODE_NAMES}).rename(columns={"mode": "estimated"})


def references_section(
    figures: Mapping[str, str],
    references: Mapping[str, pd.DataFrame],
    places: Mapping[str, pd.DataFrame],
) -> Section:
    """Experiment 4: scatter of the skull's conductivity by the reference electrode.

    Parameters
    ----------
    figures : paths of the figures by name.
    references : rows of `experiments.estimation.compare_references`, by subject.
    places : electrodes with the fraction of spongy bone below them, by subject.
    """
    parts = []
    for subject, table in references.items():
        rows = []
        for weighting, part in table.groupby("weighting", sort=False):
            single = part[part["asked"] & (part["reference"] != "average")]
            worst = single.loc[single["std"].idxmax(), "reference"]
            for where in (worst, "average"):
                for row in part[part["reference"] == where].itertuples():
                    rows.append(_reference_row(weighting, where, where == worst, row))
        plain = table[table["asked"] & (table["weighting"] == "plain")]
        scatter, mean = (
            " and ".join(
                f"{value:.2f} ({_WEIGHTS[weighting]})"
                for weighting, value in spongy_correlation(table, places[subject], key).items()
            )
            for key in ("std", "mean")
        )
        text = (
            "Voltages from a skull of compact and spongy bone, estimates on a model with one "
            f"skull tissue: {int(plain['patterns'].sum())} estimates of up to "
            f"{plain['patterns'].max()} patterns for each of {len(plain) - 1} reference electrodes "
            "and the average reference, with either weighting; "
            f"{int(table.loc[table['asked'], 'failed'].sum())} did not converge and are left out. "
            "The table has the reference with the largest standard deviation of the skull's "
            "conductivity over patterns, and the average. Over the references this deviation and "
            f"the fraction of spongy bone below have a Spearman correlation of {scatter}; the mean "
            f"and that fraction one of {mean}."
        )
        caption = (
            "Fraction of spongy bone in the skull within 30 mm of each electrode, and standard "
            "deviation over patterns of the skull's conductivity (mS/m) with readings against that "
            "electrode: plain least squares, as in the paper, and weighted by the covariance of "
            "re-referenced readings."
        )
        figure, title = figures[f"references_{subject}"], f"References of {subject}"
        parts.append(Part(title, (text,), pd.DataFrame(rows), figure, caption))
    return Section("references", "Choice of the reference (Experiment 4)", tuple(parts))


_WEIGHTS = {"plain": "plain least squares", "covariance": "covariance weights"}


def _reference_row(weighting: str, where: str, worst: bool, row: Any) -> dict[str, Any]:
    truth = TABLE_2_TRUTH.get(row.parameter)
    skull = f"{TABLE_2_TRUTH['compact_bone']} and {TABLE_2_TRUTH['spongy_bone']}"
    paper = published.TABLE_2.get(row.parameter) if worst and weighting == "plain" else None
    return {
        "weighting": _WEIGHTS[weighting],
        "reference": f"{where} (largest deviation)" if worst else where,
        "tissue": tissue_name(row.parameter),
        "truth (S/m)": skull if truth is None else truth,
        "mean (S/m)": row.mean,
        "deviation (S/m)": row.std,
        "patterns": row.patterns,
        "at a limit of the box": row.at_wall,
        "paper (S/m)": f"{paper[0]} ± {paper[1]}" if paper else "–",
    }


def disturbances_section(
    figures: Mapping[str, str], disturbances: Mapping[str, pd.DataFrame]
) -> Section:
    """Errors of estimates from the voltages of heads that differ from the model's.

    Parameters
    ----------
    figures : paths of the figures by name.
    disturbances : rows of `experiments.wrong_heads.compare_disturbances`, by subject.
    """
    parts = []
    for subject, table in disturbances.items():
        table = table.dropna(subset=["parameter"])
        modes = list(dict.fromkeys(table["mode"]))
        groups = table.groupby(["mode", "change"], sort=False)
        rows = [
            {
                "estimated": MODE_NAMES[mode],
                "head of the voltages": change_name(change),
                "electrodes": part["electrodes"].iloc[0],
                "pairs": part["pairs"].iloc[0],
                **{
                    f"{tissue_name(name)} (%)": value
                    for name, value in part.set_index("parameter")["mean"].items()
                },
                "chi-square / dof": part["misfit"].iloc[0],
                AT_LIMIT: 100 * part["at_wall"].mean(),
            }
            for (mode, change), part in sorted(groups, key=lambda group: modes.index(group[0][0]))
        ]
        text = (
            "Mean relative error of every tissue when the voltages come from a head that differs "
            "from the model's in one property. Chi-square / degrees of freedom is 1 where only the "
            "noise disturbs the data: above 1 the data themselves show the difference. Moved "
            "electrodes are one random draw of directions; benchmarks.displaced_electrodes "
            "repeats it."
        )
        caption = (
            "Mean relative errors (%; dots) and median Cramér-Rao bounds of the noise alone (bars) "
            "by the difference between the heads. The first row has the same mesh and electrodes."
        )
        figure, title = figures[f"disturbances_{subject}"], f"Wrong heads for {subject}"
        parts.append(Part(title, (text,), pd.DataFrame(rows), figure, caption))
    return Section("disturbances", "Errors from a wrong head", tuple(parts))


def measured_section(
    figures: Mapping[str, str],
    summaries: Mapping[str, pd.DataFrame],
    records: Mapping[str, Mapping[str, Any]],
    estimates: Mapping[str, pd.DataFrame],
) -> Section:
    """Experiment 5: conductivities from measured voltages, next to the paper's.

    Parameters
    ----------
    figures : paths of the figures by name.
    summaries : rows of `inverse.fit.summary` with `variant`, by subject.
    records : facts of every fit, with the data that were left out and why, by subject.
    estimates : rows of `inverse.fit.fit` with frequency and variant, by subject.
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
        noise = facts["reciprocity_noise"]
        text = (
            f"{facts['description']}; {facts['patterns']} patterns, {facts['readings']} readings, "
            f"{table['frequency'].nunique()} frequencies. The table is for {shown:g} Hz, "
            "the frequency with the smallest reciprocity error. Noise of one electrode by "
            f"reciprocity: {'unknown' if noise is None else f'{1e6 * noise:.2g} µV'}. Left out: "
            + ("; ".join(f"{name} ({why})" for name, why in left.items()) or "nothing")
            + ". Scaled deviations are those of the noise that would explain the misfit. Published "
            "means are McCann's (2019)."
        )
        caption = (
            "Conductivities (S/m) with all tissues free. Dots: one estimate per injection pattern; "
            "line and band: all patterns together ± one standard deviation of the noise that would "
            "explain the misfit. Dotted: limits of the parameter box."
        )
        figure, title = figures[f"measured_{subject}"], f"Estimates of {subject}"
        parts.append(Part(title, (text,), pd.DataFrame(rows), figure, caption))
        misfit = _misfits(every, shown)
        text = _misfit_text(misfit, facts["noise"], [f for f in fits if f["frequency"] == shown])
        caption = "Conductivities (S/m) against frequency (Hz)."
        parts.append(Part("", (text,), misfit, figures[f"spectrum_{subject}"], caption))
        caption = (
            "Residuals of the joint estimate: measured against fitted voltages (mV), and residuals "
            "by injection pattern and electrode."
        )
        parts.append(Part(figure=figures[f"residuals_{subject}"], caption=caption))
    return Section("measured", "Measured voltages (Experiment 5)", tuple(parts))


def _measured_row(row: Any, free: bool) -> dict[str, Any]:
    mean = PUBLISHED_MEANS.get(row.parameter)
    return {
        "variant": row.variant,
        "tissue": tissue_name(row.parameter),
        "mean (mS/m)": 1e3 * row.mean if free else f"fixed at {1e3 * row.mean:.4g}",
        "deviation over patterns (mS/m)": 1e3 * row.std if free else "–",
        "patterns": row.patterns if free else "–",
        "patterns at a limit of the box": row.at_wall if free else "–",
        "all patterns together (mS/m)": 1e3 * row.joint if free else "fixed",
        "± scaled deviation (mS/m)": 1e3 * row.joint_scaled_std
        if free and not row.joint_at_wall
        else "–",
        "together at a limit": ("yes" if row.joint_at_wall else "no") if free else "–",
        "published mean (mS/m)": 1e3 * mean if mean else "–",
        "the paper, other people (mS/m)": published.experiment_5(row.variant, row.parameter) or "–",
    }


def _misfit_text(misfit: pd.DataFrame, noise: float, fits: Sequence[Mapping[str, Any]]) -> str:
    """Misfit compared with the noise and with the certified error of the reduced model."""
    worst = misfit["RMS misfit, all patterns together (µV)"].max()
    text = (
        f"The RMS misfit of the joint estimates is up to {worst:.3g} µV, "
        f"{worst / (1e6 * noise):.2g} times the noise of {1e6 * noise:.2g} µV. "
    )
    if worst > 2e6 * noise:
        text += (
            "The model does not explain the data: errors of head, electrodes or instrument exceed "
            "the noise, and the deviations above do not include them. "
        )
    certified = [fit["certified_error"] for fit in fits if fit.get("certified_error") is not None]
    if not certified:
        return text + "The reduced model's own error is not certified for these readings."
    matters = any(fit["model_error_matters"] for fit in fits)
    return text + (
        f"The reduced model's own error is certified to be at most {1e6 * max(certified):.3g} µV, "
        f"which is {'not ' if matters else ''}small compared with the noise."
    )


def _misfits(table: pd.DataFrame, frequency: float) -> pd.DataFrame:
    """Misfit of the joint estimate and of single patterns, by variant, at one frequency."""
    table = table[table["frequency"] == frequency]
    one = table.drop_duplicates(["variant", "mode", "pattern"])
    rows = []
    for variant, part in one.groupby("variant", sort=False):
        joint, each = part[part["mode"] == "joint"], part[part["mode"] == "each"]
        rows.append(
            {
                "variant": variant,
                "RMS misfit, all patterns together (µV)": 1e6 * joint["misfit"].iloc[0],
                "RMS misfit, median of single patterns (µV)": 1e6 * np.median(each["misfit"]),
                "chi-square / dof, together": (joint["chi_square"] / joint["dof"]).iloc[0],
            }
        )
    return pd.DataFrame(rows)
