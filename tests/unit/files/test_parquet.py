"""Tables as Parquet: values, units and origin survive; nothing is overwritten."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from headcond.checks import InputError
from headcond.files import results
from headcond.files.parquet import export_table, export_tables

ROOT = Path(__file__).resolve().parents[3]
TABLE = pd.DataFrame({
    "subject": ["01", "02"], "tissue": ["csf", None], "estimate": [1.79, np.nan], "patterns": [3, 4]
})  # fmt: skip


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    made = {"rule": "invert_voltages"}
    results.write_table(
        folder / "01" / "eit.tsv", TABLE, units={"estimate": "S/m"}, provenance=made
    )
    results.write_table(folder / "all.tsv", TABLE[["estimate"]], units="V")
    (folder / "benchmark.tsv").write_text("s\n1\n")  # Snakemake's own has no sidecar
    return folder


def test_values_units_and_origin_survive(study, tmp_path):
    written = export_tables(study, tmp_path / "out")
    names = [str(path.relative_to(tmp_path / "out")) for path in written]
    assert names == ["01/eit.parquet", "all.parquet"]
    back = pd.read_parquet(written[0])
    pd.testing.assert_frame_equal(back, results.read_table(study / "01" / "eit.tsv"))
    assert back["subject"].tolist() == ["01", "02"] and back["patterns"].dtype == np.int64
    schema = pyarrow.parquet.read_schema(written[0])
    units = {field.name: (field.metadata or {}).get(b"unit") for field in schema}
    assert units == {"subject": None, "tissue": None, "estimate": b"S/m", "patterns": None}
    assert json.loads(schema.metadata[b"headcond"])["provenance"]["rule"] == "invert_voltages"
    assert pyarrow.parquet.read_schema(written[1]).field("estimate").metadata == {b"unit": b"V"}


def test_a_damaged_table_and_a_full_folder_are_refused(study, tmp_path):
    table = study / "all.tsv"
    export_table(table, tmp_path / "one.parquet")
    with pytest.raises(InputError, match=r"one\.parquet: exists"):
        export_table(table, tmp_path / "one.parquet")
    with pytest.raises(InputError, match="not an empty folder"):
        export_tables(study, tmp_path)
    with pytest.raises(InputError, match="no table"):
        export_tables(study / "benchmark.tsv", tmp_path / "none")
    with pytest.raises(InputError, match="no table"):
        export_tables(study / "all.json", tmp_path / "none")
    with pytest.raises(InputError, match="no table"):
        export_tables(study / "absent", tmp_path / "none")
    table.write_text(table.read_text().replace("1.79", "1.78"))
    with pytest.raises(InputError, match=r"all\.tsv: its content is not what was written"):
        export_table(table, tmp_path / "two.parquet")
    assert not (tmp_path / "two.parquet").exists()


def test_a_table_that_parquet_cannot_hold_leaves_nothing_behind(study, tmp_path):
    (study / "all.json").unlink()
    huge = pd.DataFrame({"count": [2**70, 1], "name": ["a", "b"]})
    results.write_table(study / "huge.tsv", huge, units={"count": None, "name": ["x"]})
    with pytest.raises(InputError, match=r"huge\.tsv: cannot be written as Parquet"):
        export_tables(study, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]
    results.write_table(study / "huge.tsv", huge.head(0), units={"count": None, "name": ["x"]})
    written = export_tables(study, tmp_path / "out")
    assert [path.name for path in written] == ["eit.parquet", "huge.parquet"]
    assert pyarrow.parquet.read_schema(written[1]).field("name").metadata is None


def test_the_command_takes_one_table_and_refuses_in_words(study, tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "report" / "to_parquet.py")]
    one = [*command, str(study / "01" / "eit.tsv"), str(tmp_path / "one")]
    done = subprocess.run(one, capture_output=True, text=True, check=True)
    assert "eit.parquet" in done.stdout and (tmp_path / "one" / "eit.parquet").exists()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    here = [*one[:-1], "."]
    done = subprocess.run(here, cwd=tmp_path / "empty", capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "link" / "eit.parquet").exists(), done.stderr
    again = subprocess.run(one, capture_output=True, text=True)
    assert again.returncode == 1 and "nothing is overwritten" in again.stderr
    assert "Traceback" not in again.stderr
    below = subprocess.run(
        [*one[:-1], str(study / "all.tsv" / "x")], capture_output=True, text=True
    )
    assert below.returncode == 1 and "A file has the name of a folder" in below.stderr
    assert "Traceback" not in below.stderr
