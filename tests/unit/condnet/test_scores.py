"""Scores of conductivity maps per tissue, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from headcond.checks import InputError
from headcond.condnet.scores import SCORE_COLUMNS, head_scores, tissue_scores
from headcond.files import results
from headcond.tissues import TISSUES, conductivity_map, conductivity_table
from scripts.condnet import compare_conductivity

TABLE = dict.fromkeys(TISSUES, 0.5) | {"skin": 0.1, "fat": 0.1, "csf": 2.0, "bone_cortical": 0.02}
SKIN, FAT, CORTICAL, CSF = (TISSUES.index(n) + 1 for n in ("skin", "fat", "bone_cortical", "csf"))


def volume(*values):
    return np.array(values).reshape(-1, 1, 1)


def test_scores_of_a_few_voxels_by_hand():
    labels = volume(0, SKIN, SKIN, FAT, CSF, CSF, CSF, CORTICAL, CORTICAL)
    estimated = volume(3.0, 0.11, 0.13, 0.3, 2.0, 20.0, 0.2, 0.0, 0.02)
    found = tissue_scores(estimated, labels, TABLE).set_index("tissue")
    assert list(found.reset_index().columns) == list(SCORE_COLUMNS)
    assert list(found.index) == ["skin", "fat", "bone_cortical", "csf"]
    assert found.loc["skin", "median_percent"] == pytest.approx(20)
    assert found.loc["csf", "median_percent"] == pytest.approx(90)
    assert found.loc["csf", "log10_mae"] == pytest.approx(2 / 3)
    # air: counted at half the least conductivity of the table, 0.01 against 0.02
    assert found.loc["bone_cortical", "air_percent"] == 50
    assert found.loc["bone_cortical", "log10_mae"] == pytest.approx(np.log10(2) / 2)
    # 0.13 is nearest to 0.1, 0.3 to 0.5 and 0.2 to 0.1, in the logarithm
    assert found.loc["skin", "dice_tissues"] == found.loc["fat", "dice_tissues"] == "skin+fat"
    assert found.loc["skin", "dice"] == found.loc["fat", "dice"] == pytest.approx(2 * 2 / (3 + 3))
    assert found.loc["csf", "dice"] == pytest.approx(2 * 2 / (2 + 3))
    assert found.loc["bone_cortical", "dice"] == 1
    whole = head_scores(found.reset_index())
    assert whole["dice"] == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert whole["median_percent"] == pytest.approx(found["median_percent"].mean())


def test_the_uniform_map_is_perfect_and_another_truth_is_taken_where_given():
    table = conductivity_table("A")
    labels = volume(*range(14)).astype(np.uint8)
    uniform = conductivity_map(labels, table)
    found = tissue_scores(uniform, labels, table)
    assert len(found) == 13
    np.testing.assert_allclose(found[["median_percent", "log10_mae", "air_percent"]], 0, atol=1e-5)
    assert (found["dice"] == 1).all()
    truth = uniform * 1.25
    found = tissue_scores(uniform, labels, table, truth)
    np.testing.assert_allclose(found["median_percent"], 20, rtol=1e-5)
    np.testing.assert_allclose(found["log10_mae"], np.log10(1.25), rtol=1e-5)
    assert (found["dice"] == 1).all()


def test_unusable_maps_are_refused():
    labels = volume(0, SKIN)
    with pytest.raises(InputError, match="estimated must have shape"):
        tissue_scores(np.zeros(3), labels, TABLE)
    with pytest.raises(InputError, match="no tissue"):
        tissue_scores(volume(0.1, 0.1), volume(0, 0), TABLE)
    with pytest.raises(InputError, match="not be negative"):
        tissue_scores(volume(0.1, -0.1), labels, TABLE)
    with pytest.raises(InputError, match="estimated holds 1 values that are NaN"):
        tissue_scores(volume(0.1, np.nan), labels, TABLE)
    with pytest.raises(InputError, match="truth must be above 0"):
        tissue_scores(volume(0.1, 0.1), labels, TABLE, volume(0.0, 0.0))


def test_every_table_is_judged_and_the_truth_holds_for_the_first(tmp_path):
    labels = np.repeat(volume(0, SKIN, CSF), 3, axis=1).astype(np.uint8)
    lens = np.zeros_like(labels)
    lens[2, 2] = 1  # of three CSF voxels
    given = {"labels": labels, "region": labels > 0, "lens": lens}
    maps = {"uniform": [], "blurred": [], "condnet": []}
    for table in ("A", "B"):
        uniform = conductivity_map(labels, conductivity_table(table))
        given["true"] = given.get("true", 2 * uniform)
        for name, factor in (("uniform", 1.0), ("blurred", 1.1), ("condnet", 1.2)):
            maps[name].append(f"{name}-{table}")
            given[f"{name}-{table}"] = factor * uniform
    for name, data in given.items():
        results.write_volume(tmp_path / f"{name}.nii.gz", data.astype(np.float32), np.eye(4))
    path = {name: tmp_path / f"{name}.nii.gz" for name in given}
    compare_conductivity.main(
        **{name: path[name] for name in ("labels", "region", "true", "lens")},
        **{name: [path[each] for each in found] for name, found in maps.items()},
        errors=tmp_path / "errors.tsv", lens_values=tmp_path / "lens.tsv", subject="sub-1",
        tables=["A", "B"], frequency=10e3, provenance={},
    )  # fmt: skip
    found = results.read_table(tmp_path / "errors.tsv").set_index(["table", "reference", "map"])
    assert list(dict.fromkeys(found.index)) == [
        ("A", "uniform", "blurred"), ("A", "uniform", "condnet"),
        ("A", "true", "uniform"), ("A", "true", "blurred"), ("A", "true", "condnet"),
        ("B", "uniform", "blurred"), ("B", "uniform", "condnet"),
    ]  # fmt: skip
    for table in ("A", "B"):
        rows = found.loc[(table, "uniform", "condnet")]
        assert rows["median_percent"].tolist() == pytest.approx([20, 20], rel=1e-4)
        assert rows["voxels"].tolist() == [3, 2], "the lens is judged apart"
    assert found.loc[("A", "true", "uniform"), "median_percent"].tolist() == pytest.approx([50, 50])
    held = results.read_table(tmp_path / "lens.tsv").set_index("map")["median"]
    assert held.to_dict() == pytest.approx(
        {"uniform": 2, "blurred": 2.2, "condnet": 2.4, "true": 4}
    )
