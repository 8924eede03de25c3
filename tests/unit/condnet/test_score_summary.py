"""Scores over heads against numbers worked out by hand, and ranges inside a mask."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.results import page
from headcond.checks import InputError
from headcond.condnet.scores import ALL, METRICS, summarise_heads, tissue_scores, value_ranges
from headcond.files import results
from headcond.study.paths import REPOSITORY
from headcond.tissues import TISSUES, conductivity_map, conductivity_table

ROOT = REPOSITORY


def scores(subject, factor, tissues, name="condnet", which="A"):
    """Scores of a map that is `factor` times the uniform one of a table, everywhere."""
    table = conductivity_table(which)
    labels = np.array([TISSUES.index(tissue) + 1 for tissue in tissues]).reshape(-1, 1, 1)
    found = tissue_scores(factor * conductivity_map(labels, table), labels, table)
    return found.assign(subject=subject, table=which, map=name, reference="uniform")


def test_mean_and_spread_over_heads_by_hand():
    both = ["wm", "wm", "csf"]
    table = summarise_heads(
        pd.concat([
            scores("sub-1", 1.1, both, "blurred"), scores("sub-1", 1.1, both),
            scores("sub-2", 1.3, both), scores("sub-3", 1.5, ["csf"]),
        ])
    )  # fmt: skip
    assert table["map"].unique().tolist() == ["blurred", "condnet"], "as they come"
    rows = table[table["map"] == "condnet"].set_index("tissue")
    assert list(rows.index) == ["csf", "wm", ALL], "tissues in the house's order, then all"
    assert rows["heads"].tolist() == [3, 2, 3]
    assert rows.loc["wm", "voxels"] == 2
    assert rows.loc["wm", "median_percent_mean"] == pytest.approx(20, rel=1e-5)
    assert rows.loc["wm", "median_percent_std"] == pytest.approx(np.sqrt(200), rel=1e-4)
    assert rows.loc["csf", "log10_mae_mean"] == pytest.approx(np.log10(1.1 * 1.3 * 1.5) / 3)
    assert rows.loc[ALL, "median_percent_mean"] == pytest.approx(30, rel=1e-5)
    single = table[table["map"] == "blurred"]
    assert single[[f"{name}_std" for name in METRICS]].isna().all().all(), "one head, no spread"


def test_tables_are_summed_up_apart():
    parts = [scores("sub-1", factor, ["wm"], which=name) for name, factor in (("B", 1.2), ("A", 2))]
    found = summarise_heads(pd.concat(parts))
    assert found["table"].tolist() == ["B", "B", "A", "A"], "as they come"
    assert found["median_percent_mean"].tolist() == pytest.approx([20, 20, 100, 100], rel=1e-5)
    assert (found["heads"] == 1).all()


def test_order_of_heads_does_not_matter():
    heads = [scores(f"sub-{n}", 1 + n / 10, ["gm", "fat"]) for n in (1, 2, 3)]
    first, second = summarise_heads(pd.concat(heads)), summarise_heads(pd.concat(heads[::-1]))
    pd.testing.assert_frame_equal(first, second)


def test_ranges_inside_a_mask():
    mask = np.zeros((5, 5, 5), bool)
    mask[1] = True
    ramp = np.full((5, 5, 5), 99.0)
    ramp[1] = np.arange(25).reshape(5, 5)
    found = value_ranges({"condnet": ramp, "uniform": np.full_like(ramp, 1.5)}, mask)
    expected = ["condnet", 25, 12.0, 1.2, 22.8, 0.0, 24.0]
    assert found.iloc[0].tolist() == pytest.approx(expected)
    assert found.iloc[1, 2:].tolist() == [1.5] * 5
    with pytest.raises(InputError, match="empty"):
        value_ranges({"condnet": ramp}, ~np.ones_like(mask))
    with pytest.raises(InputError, match="condnet"):
        value_ranges({"condnet": ramp[1:]}, mask)


def test_the_page_of_results_holds_what_the_tables_hold(tmp_path):
    heads = [scores(f"sub-{n}", 1 + n / 10, ["gm", "bone_cortical"]) for n in (1, 3)]
    heads += [scores("sub-1", 3, ["csf"], which="B")]
    made = {"versions": {"headcond": "7"}}
    path = tmp_path / "tables" / "condnet_errors.tsv"
    results.write_table(path, summarise_heads(pd.concat(heads)), provenance=made)
    text = page(tmp_path)
    text, other = text.split("Errors of the maps of table B against the uniform")
    assert "Errors of the maps of table A against the uniform" in text
    assert "| CSF | 200 |" in other and "bone" not in other
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[0][:2] == ["tissue", "median error (%), estimated"]
    assert cells[2][:2] == ["cortical bone", "20 ± 14"] and cells[-1][0] == "all tissues"
    assert len({len(row) for row in cells}) == 1 and "lens" not in text
    ranges = value_ranges({"condnet": np.full((2, 2, 2), 0.4)}, np.ones((2, 2, 2), bool))
    ranges.insert(0, "subject", "sub-1")
    results.write_table(tmp_path / "tables" / "condnet_lens.tsv", ranges)
    assert "| sub-1 | 8 | 0.40 (0.40 to 0.40) |" in page(tmp_path)
