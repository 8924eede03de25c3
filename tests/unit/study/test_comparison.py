"""Two results are the same if they hold the same, whenever and wherever they were made."""

import h5py
import numpy as np
import pandas as pd
import pytest

from headcond.checks import InputError
from headcond.files import results
from headcond.study.comparison import differences


def tables(folder, **changes):
    base = {"subject": ["01", "02"], "value": [1.0, np.nan], "seconds": [3.0, 4.0]}
    for name, content in (("one", base), ("two", base | changes)):
        results.write_table(folder / f"{name}.tsv", pd.DataFrame(content))
    return folder / "one.tsv", folder / "two.tsv"


def test_tables(tmp_path):
    assert differences(*tables(tmp_path)) == []
    assert differences(*tables(tmp_path, seconds=[9.0, 9.0])) == []
    assert differences(*tables(tmp_path, subject=["01", "03"])) == ["subject differs"]
    assert "NaN in other places" in differences(*tables(tmp_path, value=[1.0, 2.0]))[0]
    changed = tables(tmp_path, value=[1.0 + 1e-7, np.nan])
    assert "value differs by up to 1e-07" in differences(*changed)[0]
    assert differences(*changed, tolerance=1e-6) == []
    assert len(differences(*tables(tmp_path, more=[1, 2]))) == 2  # the column, and its name


def test_volumes_and_records(tmp_path):
    for name, value, place in (("one", 1.0, "/a"), ("two", 1.0, "/b"), ("other", 2.0, "/a")):
        results.write_volume(
            tmp_path / f"{name}.nii.gz", np.full((2, 3, 4), value, np.float32), np.eye(4),
            provenance={"inputs": {"t1": place}}, residual=value,
        )  # fmt: skip
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("one", "two", "other")}
    assert differences(paths["one"], paths["two"]) == []
    assert differences(paths["one"], paths["other"]) == [
        "the values differs by up to 1 (values up to 1)"
    ]
    sides = {name: results.sidecar_path(path) for name, path in paths.items()}
    assert differences(sides["one"], sides["two"]) == []
    assert differences(sides["one"], sides["other"])[0].startswith("residual differs by up to 1")


def test_hdf5(tmp_path):
    paths = [tmp_path / "one.h5", tmp_path / "two.h5"]
    for number, path in enumerate(paths):
        with h5py.File(path, "w") as file:
            file["pairs/E1/b_N"] = np.arange(3.0)
            file["pairs/E1/history/seconds_solve"] = [float(number)]
            file.attrs["electrodes"] = ["E1", "E2"]
    assert differences(*paths) == []
    with h5py.File(paths[1], "r+") as file:
        file["pairs/E1/b_N"][2] = 2.5
        file.attrs["electrodes"] = ["E1", "E3"]
        file["more"] = 1
    assert differences(*paths) == [
        "more is in one of them only",
        "/, electrodes differs",
        "pairs/E1/b_N differs by up to 0.5 (values up to 2)",
    ]


def test_other_kinds(tmp_path):
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    assert differences(one, two) == ["the bytes differ"]
    with pytest.raises(InputError, match="different kinds"):
        differences(one, tmp_path / "a.tsv")
