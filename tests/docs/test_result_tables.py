"""Tables of the results: each has a writer, and a page takes only those of its study."""

import pandas as pd
import pytest

from benchmarks import results as command
from headcond.files import results

MADE = {"provenance": {"parameters": {"noise": 8.2e-7}, "versions": {"headcond": "0.1.0"}}}


@pytest.fixture
def study(tmp_path):
    """Results of an experiment of one head: what the command reads, in small numbers."""
    folder = tmp_path / "experiment-2" / "sub-01"
    base = {"estimates": 4, "failed": 0, "misfit": 1.04, "median": 1.5, "judged": 3,
            "sampling_error": 0.04, "variation": 3.0}  # fmt: skip
    sweep = [
        {**base, "snapshots": count, "noise": noise, "mode": mode, "free": free,
         "parameter": name, "mean": 0.917 * count, "largest": 5.0, "bound": 2.5,
         "at_wall": 0.25, "rms_over_bound": 0.96}
        for count, noise in ((1, 8.2e-7), (2, 8.2e-7), (2, 8.2e-6))
        for mode, free in (("each", "all"), ("each", "outer"), ("joint", "all"))
        for name in ("scalp", "spongy_bone")
    ]  # fmt: skip
    wrong = [
        {**base, "change": change, "electrodes": 32, "pairs": 31, "mode": mode,
         "parameter": "scalp", "mean": 0.0071 if mode == "joint" else 0.071}
        for change in ("same", "moved5") for mode in ("each", "joint")
    ]  # fmt: skip
    references = [
        {"reference": reference, "weighting": weighting, "parameter": name,
         "asked": name == "skull", "mean": 0.0221, "std": 0.0087 if reference == "B" else 0.001,
         "patterns": 20, "failed": 0, "at_wall": 1}
        for reference in ("A", "B", "average") for weighting in ("plain", "covariance")
        for name in ("scalp", "skull")
    ]  # fmt: skip
    for kind, rows in (("inversion", sweep), ("disturbances", wrong), ("references", references)):
        table = pd.DataFrame(rows)
        results.write_table(folder / "eit" / f"sub-01_{kind}.tsv", table, units={}, **MADE)
    measured = [
        {"frequency": 100.0, "variant": variant, "parameter": name, "mean": 0.217, "std": std,
         "patterns": 31, "at_wall": 3 * (std > 0), "joint": 0.2184, "joint_scaled_std": 0.009,
         "joint_at_wall": name == "csf"}
        for variant, name, std in (("outer tissues", "csf", 0.0), ("all tissues", "csf", 0.047),
                                   ("outer tissues", "scalp", 0.047),
                                   ("all tissues", "scalp", 0.047))
    ]  # fmt: skip
    path = folder / "measured" / "sub-01_summary.tsv"
    results.write_table(path, pd.DataFrame(measured), units={}, **MADE)
    fits = [{"frequency": 100.0, "reciprocity_noise": 1e-6}]
    results.write_json(folder / "measured" / "sub-01_record.json", {"fits": fits})
    return tmp_path / "experiment-2"


def test_tables_of_the_experiments(study):
    found = command.tables(study)
    assert set(found) == {"estimates", "wrong head", "references", "measured"}
    sweep = found["estimates"][1].set_index("tissue")
    assert sweep.loc["spongy bone", "per pair: mean"] == "1.8", "the most snapshots"
    assert sweep.loc["scalp", "all pairs together: at a limit"] == "25 %"
    assert sweep.loc["spongy bone", "the paper, per pair"] == 1.0
    wrong = found["wrong head"][1]
    assert list(wrong["scalp"]) == ["0.0071 (0.071)"] * 2
    assert wrong["voltages from"][1] == "electrodes moved by 5 mm"
    reference = found["references"][1].set_index("tissue")
    assert reference.loc["skull", "B (largest scatter), plain"] == "22.1 ± 8.7"
    assert reference.loc["skull", "truth"] == "5.9 and 38"
    measured = found["measured"][1].set_index("tissue")
    assert measured.loc["scalp", "all tissues, per pattern"] == "217 ± 47, 3 at a limit"
    assert measured.loc["scalp", "all tissues, together"] == "218 ± 9"
    assert measured.loc["csf", "outer tissues, together"] == "held"
    assert measured.loc["csf", "all tissues, together"] == "218, at a limit"


def test_a_page_takes_the_tables_of_its_study_and_keeps_the_rest(study):
    old = "\n\n| old |\n| --- |\n| 1 |\n"
    text = "".join(
        f"# Title\n\n<!-- table: {name} -->{old}\nAfter.\n"
        for name in ("experiment-2 wrong head", "experiment-3 wrong head", "experiment-2 lens")
    )
    new = command.renewed(text, study)
    first, *rest = new.split("# Title")[1:]
    assert "electrodes moved by 5 mm" in first and "old" not in first
    assert first.endswith("|\n\nAfter.\n")
    assert all(old in part for part in rest)


def test_everything_is_printed_with_its_name(study):
    text = command.page(study)
    assert text.count("\n| --- |") == 4 and "(`wrong head`):" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00714, "0.0071"), (12.4, "12"), (628.7, "629"), (5812.0, "5800"), (float("nan"), "–")],
)
def test_digits(value, text):
    assert command.digits(value) == text
