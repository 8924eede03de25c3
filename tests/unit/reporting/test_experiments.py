"""Sections of the report on Experiments 2 to 5: what they say of their tables."""

import collections

import numpy as np
import pandas as pd
import pytest

from headcond.experiments import published
from headcond.reporting import experiments

FIGURES = collections.defaultdict(lambda: "figure.png")
STUDY = {"inverse": {"noise": 8.2e-7}, "head": {"anisotropic": []}}


@pytest.fixture
def sweep():
    rows = [
        {"snapshots": count, "noise": noise, "mode": mode, "free": free, "parameter": name,
         "estimates": 4, "failed": 0, "misfit": 1.0, "mean": 2.0 + count, "median": 1.5,
         "largest": 5.0, "bound": 2.5, "at_wall": 0.25, "variation": 3.0, "judged": 3,
         "rms_over_bound": 0.9, "sampling_error": 0.4}
        for count, noise in ((5, 8.2e-7), (15, 8.2e-7), (15, 8.2e-6))
        for mode, free in (("each", "all"), ("each", "outer"), ("joint", "all"))
        for name in ("scalp", "spongy_bone")
    ]  # fmt: skip
    return pd.DataFrame([*rows, {"snapshots": 1, "noise": 8.2e-7, "mode": "joint", "free": "all",
                                 "estimates": 0}])  # fmt: skip


def test_errors_are_compared_with_bound_and_paper_at_the_most_snapshots(sweep):
    section = experiments.inversion_section(STUDY, FIGURES, {"sub-01": sweep}, {})
    table = section.parts[0].table
    assert len(table) == 6 and set(table["mean RE (%)"]) == {17.0}
    assert section.parts[0].texts[1] == (
        "Mean relative error of all tissues: 17 % (per pair), 17 % (all pairs together)."
    )
    paper = table.set_index(["estimated", "tissue"])["mean RE in the paper (%)"]
    assert paper["per pair, all tissues", "spongy bone"] == published.EXPERIMENT_2["spongy_bone"]
    assert paper["all pairs together, all tissues", "spongy bone"] == "–", (
        "the paper estimates per pair"
    )
    swept = section.parts[1].table
    assert list(swept["noise"]) == ["0.82 µV", "8.2 µV"] * 2 and set(swept["snapshots"]) == {15}
    assert list(swept.columns[-2:]) == ["scalp", "spongy bone"] and set(swept["scalp"]) == {0.9}
    assert len(section.parts) == 4 and "Traditional" not in " ".join(section.parts[0].texts)
    turned = {**STUDY, "head": {"anisotropic": ["compact_bone"]}}
    table = experiments.inversion_section(turned, FIGURES, {"sub-01": sweep}, {}).parts[0].table
    assert set(table["mean RE in the paper (%)"]) == {"–"}


def test_removed_runs_are_counted_with_their_reason(sweep):
    runs = pd.DataFrame([
        {"sample": sample, "pair": pair, "iteration": step, "systems": 4 * (step + 1),
         "parameter": "scalp", "relative_error": 1.0, "kept": pair != "C-Cz",
         "reason": "" if pair != "C-Cz" else "unrealistic scalp"}
        for sample in (0, 1) for pair in ("A-Cz", "B-Cz", "C-Cz") for step in (0, 1)
    ])  # fmt: skip
    section = experiments.inversion_section(STUDY, FIGURES, {"sub-01": sweep}, {"sub-01": runs})
    text = section.parts[0].texts[-1]
    assert "6 runs with 8 linear systems each" in text and "2 unrealistic scalp" in text
    kept = runs.assign(kept=True, reason="")
    section = experiments.inversion_section(STUDY, FIGURES, {"sub-01": sweep}, {"sub-01": kept})
    assert section.parts[0].texts[-1].endswith("none.")


def test_the_worst_reference_is_compared_with_table_2():
    rows = [
        {"reference": reference, "weighting": weighting, "parameter": name,
         "asked": name == "skull", "mean": 0.009 if reference == "B" else 0.01,
         "std": 0.001 if reference == "A" else 0.002, "patterns": 20, "failed": 0, "at_wall": 1}
        for reference in ("A", "B", "average") for weighting in ("plain", "covariance")
        for name in ("scalp", "skull")
    ]  # fmt: skip
    places = pd.DataFrame({"electrode": ["A", "B"], "spongy": [0.1, 0.4]})
    section = experiments.references_section(
        FIGURES, {"sub-01": pd.DataFrame(rows)}, {"sub-01": places}
    )
    table = section.parts[0].table.set_index(["weighting", "reference", "tissue"])
    assert (
        table.loc[("plain least squares", "B (largest deviation)", "skull"), "paper (S/m)"]
        == "0.0087 ± 0.0012"
    )
    assert (
        table.loc[("plain least squares", "B (largest deviation)", "skull"), "truth (S/m)"]
        == "0.0059 and 0.038"
    )
    assert table.loc[("covariance weights", "B (largest deviation)", "scalp"), "paper (S/m)"] == "–"
    text = section.parts[0].texts[0]
    assert "60 estimates of up to 20 patterns for each of 2 reference electrodes" in text
    assert "with either weighting; 0 did not converge" in text
    assert "correlation of 1.00 (plain least squares) and 1.00 (covariance weights);" in text
    assert text.endswith(
        "fraction one of -1.00 (plain least squares) and -1.00 (covariance weights)."
    )


def test_a_wrong_head_is_named_in_words():
    rows = [
        {"change": change, "electrodes": count, "pairs": 4, "mode": mode, "parameter": name,
         "mean": 3.0, "misfit": 7.0, "at_wall": 0.5, "bound": 1.0}
        for change, count in (("same", 133), ("moved5", 133), ("fewer32", 32))
        for mode in ("each", "joint") for name in ("scalp", "wm")
    ]  # fmt: skip
    table = pd.DataFrame([*rows, {"change": "finer", "mode": "each", "estimates": 0}])
    table = experiments.disturbances_section(FIGURES, {"sub-01": table}).parts[0].table
    assert len(table) == 6 and list(table["scalp (%)"]) == [3.0] * 6
    assert table["head of the voltages"].iloc[1] == "electrodes moved by 5 mm"
    assert table["head of the voltages"].iloc[2].startswith("32 electrodes")
    assert set(table["at a limit of the box (%)"]) == {50.0}


def test_measured_conductivities_are_compared_with_tables_3_and_4():
    variants = ("outer tissues, spongy bone to 0.088 S/m", "all tissues, spongy bone to 0.088 S/m")
    summary = pd.DataFrame([
        {"frequency": frequency, "parameter": name, "mean": 0.2, "std": 0.1, "patterns": 31,
         "at_wall": 4, "joint": 0.25, "joint_scaled_std": 0.01, "joint_at_wall": name == "wm",
         "variant": variant}
        for frequency in (5.0, 100.0) for variant in variants for name in ("scalp", "wm")
    ])  # fmt: skip
    estimates = pd.DataFrame([
        {"frequency": 5.0, "variant": variant, "mode": mode, "pattern": pattern, "misfit": misfit,
         "chi_square": 50.0, "dof": 25, "parameter": name,
         "free": name == "scalp" or variant == variants[1]}
        for variant in variants for name in ("scalp", "wm")
        for mode, pattern, misfit in (("joint", "all", 3e-4), ("each", "A-B", 1e-4),
                                      ("each", "B-C", 2e-4))
    ])  # fmt: skip
    facts = {"description": "mean of ten", "patterns": 31, "readings": 930,
             "frequency": 5.0, "bad_electrodes": {"Fz": "named by hand"}, "bad_patterns": {},
             "reciprocity_noise": 4e-5, "noise": 4e-5, "certified_error": 3e-4,
             "model_error_matters": True}  # fmt: skip
    noisy = {**facts, "frequency": 100.0, "reciprocity_noise": 9e-5}
    section = experiments.measured_section(
        FIGURES, {"sub-01": summary}, {"sub-01": {"fits": [facts, noisy]}}, {"sub-01": estimates}
    )
    table = section.parts[0].table.set_index(["variant", "tissue"])
    assert len(table) == 4, "the clearest frequency alone"
    paper = table["the paper, other people (mS/m)"]
    assert paper[variants[0], "scalp"].startswith("AM 243 ± 45; CA 287 ± 62")
    assert paper[variants[0], "WM"] == "–", "fixed there"
    assert "AM 118 ± 72" in paper[variants[1], "WM"]
    assert table["together at a limit"][variants[1], "WM"] == "yes"
    assert table["± scaled deviation (mS/m)"][variants[1], "WM"] == "–", "a limit has no deviation"
    assert table["mean (mS/m)"][variants[0], "WM"].startswith("fixed at ")
    assert table["all patterns together (mS/m)"][variants[0], "WM"] == "fixed"
    assert table["published mean (mS/m)"][variants[0], "scalp"] == pytest.approx(410)
    text = section.parts[0].texts[0]
    assert "Fz (named by hand)" in text and "reciprocity: 40 µV" in text
    misfit_text = section.parts[1].texts[0]
    assert "up to 300 µV, 7.5 times" in misfit_text and "does not explain the data" in misfit_text
    assert "at most 300 µV" in misfit_text and "not small compared with the noise" in misfit_text
    misfit = section.parts[1].table
    np.testing.assert_allclose(misfit["RMS misfit, median of single patterns (µV)"], 150)
    np.testing.assert_allclose(misfit["chi-square / dof, together"], 2)


def test_experiment_5_of_a_variant_that_the_paper_lacks():
    assert published.experiment_5("all tissues, spongy bone to 0.3 S/m", "scalp") == ""
    assert "AM 195 ± 128" in published.experiment_5("outer tissues, spongy bone to 0.3 S/m",
                                                  "spongy_bone")  # fmt: skip
