"""What lies where labels or images end is left out of the tables, from labels to the table."""

import numpy as np
import pytest

from headcond.files import results
from headcond.tissues import conductivity_map, conductivity_table
from scripts.condnet import compare_conductivity
from scripts.mri import conform_labels

SHAPE = (16, 16, 24)
GRID = np.diag([4.0, 4.0, 4.0, 1.0])
GM, MUSCLE = 8, 3


@pytest.fixture
def head(tmp_path):
    """Labels that end at slice 4, muscle up to slice 9 and grey matter above it, and its scans."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:13, 3:13, 4:10] = MUSCLE
    labels[3:13, 3:13, 10:20] = GM
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("labels", "grid_t1", "t1", "t2")}
    results.write_volume(paths["labels"], labels, GRID)
    image = (labels > 0).astype(np.float32)
    results.write_volume(paths["grid_t1"], image, GRID)
    results.write_volume(paths["t1"], image, GRID)
    # T2w stands 40 mm too high in the world, and ends at slice 17 of the grid once aligned.
    moved = GRID.copy()
    moved[2, 3] = 40.0
    results.write_volume(paths["t2"], image[..., :18], moved)
    lift = np.eye(4)
    lift[2, 3] = 40.0
    paths["alignment"], paths["facts"] = tmp_path / "alignment.json", tmp_path / "facts.json"
    results.write_json(paths["alignment"], {"transform": lift})
    results.write_json(paths["facts"], {"cut_voxels": {"inferior": 100}})
    return labels, paths


def region_of(paths, folder, neck):
    out = [folder / "dseg.nii.gz", folder / f"{neck}.nii.gz"]
    conform_labels.main(**paths, grid_labels=out[0], region=out[1], neck=neck, provenance={})
    return results.read_volume(out[1], dtype="uint8")[0].astype(bool), results.read_json(
        results.sidecar_path(out[1])
    )


def test_the_mask_follows_cut_and_fields_of_view(head, tmp_path):
    labels, paths = head
    masked, told = region_of(paths, tmp_path, "masked")
    expected = np.zeros(SHAPE, bool)
    expected[..., 4 + 3 : 18] = True  # 10 mm are 3 voxels of 4 mm; T2w ends after slice 17
    assert np.array_equal(masked, expected)
    assert told["tissue_voxels_left_out"] == np.count_nonzero(labels[~expected])
    kept, told = region_of(paths, tmp_path, "kept")
    assert kept.all() and told["neck"] == "kept" and told["tissue_voxels_left_out"] == 0


def test_the_table_counts_what_the_mask_leaves(head, tmp_path):
    labels, paths = head
    uniform = conductivity_map(labels, conductivity_table("A"))
    wrong = np.where(np.arange(SHAPE[2]) < 7, 5 * uniform, 1.1 * uniform).astype(np.float32)
    maps = {}
    for name, volume in (("uniform", uniform), ("blurred", wrong), ("condnet", wrong)):
        maps[name] = tmp_path / f"{name}.nii.gz"
        results.write_volume(maps[name], volume, GRID)
    found = {}
    for neck in ("masked", "kept"):
        region_of(paths, tmp_path, neck)
        compare_conductivity.main(
            labels=tmp_path / "dseg.nii.gz", region=tmp_path / f"{neck}.nii.gz", true=[], lens=[],
            **{name: [path] for name, path in maps.items()}, errors=tmp_path / "errors.tsv",
            subject="sub-01", tables=["A"], frequency=10e3, provenance={},
        )  # fmt: skip
        table = results.read_table(tmp_path / "errors.tsv")
        found[neck] = table[table["map"] == "condnet"].set_index("tissue")
    assert found["masked"].loc["muscle", "voxels"] == 3 * 100
    assert found["masked"].loc["muscle", "log10_mae"] == pytest.approx(np.log10(1.1), rel=1e-4)
    assert found["masked"].loc["gm", "voxels"] == 8 * 100
    assert found["kept"].loc["muscle", "voxels"] == 6 * 100
    assert found["kept"].loc["muscle", "log10_mae"] > 0.2
