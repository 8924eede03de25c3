"""Disk demand of a study: above what was measured, not many times as much, and a warning."""

import shutil
from types import SimpleNamespace

import pytest
import yaml

from headcond.study import config, preflight

MEASURED = {  # MB of one subject, from the runs of these studies (docs/explanation/resources.md)
    "config.yaml": {"sub-01": 56, "sub-04": 117},
    "studies/condnet-heads.yaml": {"sub-01": 54, "sub-12": 171, "sub-patient12": 78},
    "studies/tms-heads.yaml": {"sub-12": 597, "sub-14": 599},
    "studies/experiment-1.yaml": {"sub-colin27": 4652},
    "studies/experiment-2.yaml": {"sub-colin27": 261},
}


@pytest.mark.parametrize("name", MEASURED)
def test_the_estimate_is_above_what_was_measured(name):
    default, chosen = (
        yaml.safe_load((config.REPOSITORY / file).read_text()) for file in ("config.yaml", name)
    )
    need = preflight.disk_demand(config.merge(default, chosen))
    for subject, taken in MEASURED[name].items():
        assert taken < need[subject] / 1e6 < 2.5 * taken, subject


def test_missing_disk_space_is_reported_with_the_folder_and_what_to_do(tmp_path, monkeypatch):
    chosen = config.read(config.REPOSITORY / "config.yaml") | {"results": str(tmp_path / "x")}
    usage = SimpleNamespace(free=10**12)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    assert preflight.shortage(chosen) == ""
    usage.free = 10**8
    told = preflight.shortage(chosen)
    assert str(tmp_path / "x" / "default") in told and "0.1 GB left" in told
    assert "name another folder" in told
    present = tmp_path / "x" / "default" / "sub-01"
    present.mkdir(parents=True)
    with open(present / "big", "wb") as file:
        file.truncate(10**9)  # results that are there already need no more room
    assert preflight.shortage(chosen) == ""


def test_too_many_batches_are_reported_with_what_to_do():
    chosen = config.read(config.REPOSITORY / "config.yaml")
    assert preflight.crowd(chosen) == ""
    chosen["head"]["subjects"] = [f"sub-{n:03d}" for n in range(200)]
    chosen["rom"]["pairs"] = 132
    told = preflight.crowd(chosen)
    assert (
        told.startswith("rom.batch: batches of 4 pairs are 6600 jobs")
        and "Set rom.batch to 33, which makes 800" in told
    )
    chosen["head"]["subjects"] = [f"sub-{n:04d}" for n in range(1000)]
    assert "to 132, which makes 1000." in preflight.crowd(chosen)
    chosen["head"]["subjects"] = [f"sub-{n:04d}" for n in range(4000)]
    assert "Split head.subjects into several studies" in preflight.crowd(chosen)
    chosen["head"]["subjects"] = [f"sub-{n:03d}" for n in range(200)]
    chosen["rom"]["batch"] = 9
    assert preflight.crowd(chosen) == ""
    chosen["rom"]["experiment"]["norms"] = ["energy"]
    assert "are 6000 jobs" in preflight.crowd(chosen)
    chosen["rom"]["batch"] = 33
    assert preflight.crowd(chosen) == ""
