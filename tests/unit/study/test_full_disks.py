"""Full and read-only disks: a message says so, and no half-written file is left."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from headcond.checks import InputError
from headcond.fem.operator import AffineOperator
from headcond.files import results
from headcond.study import preflight, step

SIZE = 1 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte and a half; a skip where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def noise(count):
    return np.random.default_rng(0).standard_normal(count)


def operator(count):
    pattern = np.arange(4, dtype=np.int32), np.zeros(3, np.int32)
    return AffineOperator(("gm", "contact"), *pattern, np.ones((2, 3)), ("A", "B"), 1, {
        "filling": noise(count).tolist(),
    })  # fmt: skip


# A step as Snakemake runs it, its log on the disk that becomes full.
STEP = """
import sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from headcond.files import results
from headcond.study import step

class Named(dict):
    __getattr__ = dict.__getitem__

def main(image, provenance):
    values = np.random.default_rng(0).standard_normal((128, 64, 64))
    results.write_volume(image, values, np.eye(4), provenance=provenance)

disk = Path(sys.argv[1])
step.run(main, SimpleNamespace(
    input=Named(), output=Named(image=str(disk / "a.nii.gz")), params=Named(source="x"),
    log=[str(disk / "step.log")], rule="r", wildcards={}, threads=1,
))
"""

WRITERS = {
    "map.nii.gz": lambda path, n: results.write_volume(path, noise(n).reshape(8, 8, -1), np.eye(4)),
    "table.tsv": lambda path, n: results.write_table(path, pd.DataFrame({"value": noise(n)})),
    "operators.h5": lambda path, n: operator(n).write(path),
    "record.json": lambda path, n: results.write_json(path, {"values": noise(n)}),
}


@pytest.mark.parametrize(("name", "write"), WRITERS.items(), ids=WRITERS)
def test_a_full_disk(small_disk, caplog, name, write):
    """The step ends with what to do; the files from before are unchanged."""
    path = small_disk / name
    write(path, 64)
    before = {entry.name: entry.read_bytes() for entry in small_disk.iterdir()}
    with pytest.raises(SystemExit) as ended:
        step.refuse_politely(lambda: write(path, 4 * SIZE // 8))
    assert ended.value.code == 1
    assert "The disk is full. Free some space and run again" in caplog.text
    assert {entry.name: entry.read_bytes() for entry in small_disk.iterdir()} == before


def test_a_full_disk_is_reported_though_the_log_is_on_it(small_disk, tmp_path):
    """The file that failed is removed, but may be open still; and there is the terminal."""
    program = tmp_path / "program.py"
    program.write_text(STEP)
    done = subprocess.run(
        [sys.executable, program, str(small_disk)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    told = "The disk is full. Free some space and run again: finished steps are kept."
    assert told in done.stderr and told in (small_disk / "step.log").read_text()
    assert [path.name for path in small_disk.iterdir()] == ["step.log"]


def test_a_read_only_disk(small_disk, caplog):
    (small_disk / "earlier.tsv").write_text("kept")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(SystemExit):
        step.refuse_politely(lambda: WRITERS["table.tsv"](small_disk / "table.tsv", 64))
    assert "The disk is read-only. Make it writable, or change the key 'results'" in caplog.text
    with pytest.raises(InputError, match="results: nothing can be written into .*Read-only"):
        preflight.check_output({"results": str(small_disk), "study": "new"})
    assert (small_disk / "earlier.tsv").read_text() == "kept"


def test_other_failures_are_not_reported_as_those_of_a_disk():
    def fails():
        raise OSError(2, "No such file or directory")

    with pytest.raises(OSError, match="No such file"):
        step.refuse_politely(fails)
