"""One person through trained networks: the study that is written, and what is refused."""

import numpy as np
import pytest
import torch
import yaml

from headcond.checks import InputError
from headcond.condnet.checkpoint import Checkpoint, save_checkpoint
from headcond.condnet.network import CondNet
from headcond.condnet.slices import AXES
from headcond.files import results
from headcond.study import config, paths, prediction
from headcond.study.paths import REPOSITORY
from headcond.tissues import conductivity_table

GRID = {"shape": [64, 128, 64], "voxel_size": [3.0, 3.0, 3.0], "orientation": "RAS"}
FACTS = {"method": "minmax", "bias_shrink": 3, "images": ["T1w", "T2w"]}


def checkpoint(axis, table="B", frequency=10e3, **changes):
    torch.manual_seed(0)
    content = {
        "network": CondNet(2, 1), "axis": axis, "tau": 0.2, "grid": GRID, "normalisation": FACTS,
        "tables": {table: conductivity_table(table, frequency)}, "training": {},
    }  # fmt: skip
    return Checkpoint(**(content | changes))


@pytest.fixture
def person(tmp_path):
    """Networks of three axes, two scans, and a folder that is not there yet."""
    networks = tmp_path / "networks"
    networks.mkdir()
    for axis in AXES:
        save_checkpoint(networks / f"axis-{axis}_network.ckpt", checkpoint(axis))
    (networks / "domain.json").touch()
    rng = np.random.default_rng(0)
    for name in ("t1", "t2"):
        scan = rng.uniform(1, 100, (12, 14, 13)).astype(np.float32)
        results.write_volume(tmp_path / f"{name}.nii.gz", scan, np.diag([2.0, 2, 2, 1]))
    return [networks, tmp_path / "t1.nii.gz", tmp_path / "t2.nii.gz", tmp_path / "anna"]


def test_the_study_prepares_scans_as_the_training_did(person, monkeypatch):
    networks, t1, t2, out = person
    monkeypatch.chdir(t1.parent)
    found = prediction.describe("networks", "t1.nii.gz", "t2.nii.gz", out, "anna1")
    assert found["pipelines"] == ["predict"] and found["study"] == "anna"
    assert found["cohort"]["scans"] == {"sub-anna1": {"t1": str(t1), "t2": str(t2)}}
    assert found["cohort"]["train"] == found["cohort"]["test"] == []
    assert found["cohort"]["voxel_size_mm"] == 3.0
    assert found["mri"] == {
        "shape": [64, 128, 64], "normalisation": "minmax", "bias_shrink": 3
    }  # fmt: skip
    assert found["condnet"] == {"networks": str(networks), "tables": ["B"], "tau": 0.2}
    path = prediction.write(found, out)
    assert yaml.safe_load(path.read_text()) == found
    whole = config.read(REPOSITORY / "config.yaml", path)
    assert paths.folder(whole) == out and whole["cohort"]["neck"]
    assert config.report_path(whole) == out / "figures", "there is no report"


def test_the_frequency_comes_from_the_sidecar_of_a_cole_cole_network(person):
    for axis in AXES:
        path = person[0] / f"axis-{axis}_network.ckpt"
        save_checkpoint(path, checkpoint(axis, "cole-cole", 2500.0))
        record = {"parameters": {"settings": {"frequency": 2500.0}}}
        results.write_sidecar(path, provenance=record)
    assert prediction.describe(*person)["condnet"]["frequency"] == 2500.0


def test_a_folder_of_results_is_continued_but_never_overwritten(person, tmp_path):
    networks, t1, t2, out = person
    path = prediction.write(prediction.describe(*person), out)
    (out / "sub-new").mkdir()
    before = path.stat().st_mtime_ns
    assert prediction.write(prediction.describe(*person), out) == path
    assert path.stat().st_mtime_ns == before
    other = prediction.describe(networks, t2, t1, out)
    with pytest.raises(InputError, match="anna exists already: name another folder"):
        prediction.write(other, out)
    assert yaml.safe_load(path.read_text())["cohort"]["scans"]["sub-new"]["t1"] == str(t1)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file exists already"):
        prediction.write(
            prediction.describe(networks, t1, t2, tmp_path / "file"), tmp_path / "file"
        )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: (p[0] / "axis-axial_network.ckpt").unlink(), "axis-axial_network.ckpt does not"),
        (lambda p: save_checkpoint(p[0] / "axis-axial_network.ckpt", checkpoint("coronal")),
         "axis-axial_network.ckpt does not match: axis is 'coronal'"),
        (lambda p: save_checkpoint(p[0] / "axis-axial_network.ckpt", checkpoint("axial", tau=0.1)),
         "tau is 0.1.*of one study"),
        (lambda p: save_checkpoint(
            p[0] / "axis-axial_network.ckpt",
            checkpoint("axial", normalisation=FACTS | {"bias_shrink": 4}),
        ), "bias_shrink"),
        (lambda p: (p[0] / "axis-axial_network.ckpt").write_bytes(b"x"), "cannot be read as a net"),
        (lambda p: p[2].unlink(), r"t2\.nii\.gz: cannot be read"),
        (lambda p: results.write_volume(p[2], np.zeros((9, 9, 9), np.float32), np.eye(4)), "empty"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_anything_is_written(person, capsys, spoil, message):
    spoil(person)
    with pytest.raises(InputError, match=message):
        prediction.describe(*person)
    assert prediction.main([str(part) for part in person]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert not person[3].exists()


def test_missing_arguments_and_bad_names_are_told(person, capsys):
    arguments = [str(part) for part in person]
    for bad in (arguments[:3], [*arguments[:3], ""], ["", *arguments[1:]]):
        assert prediction.main(bad) == 1
        assert "make predict needs NETWORKS=folder" in capsys.readouterr().err
    assert prediction.main([*arguments, "../x"]) == 1
    assert "not a participant id" in capsys.readouterr().err
    for bad in ("a b", "a;b/out", "."):
        folder = bad if bad == "." else str(person[3].parent / bad)
        assert prediction.main([*arguments[:3], folder]) == 1
        assert capsys.readouterr().err.startswith("OUT: ")
    assert prediction.main([*arguments[:3], str(person[3].with_name("my.out"))]) == 0
    assert capsys.readouterr().out.strip() == str(person[3].with_name("my.out") / "study.yaml")
    assert prediction.main([*arguments, "sub-anna"]) == 0
    assert capsys.readouterr().out.strip() == str(person[3] / "study.yaml")


def test_a_study_that_predicts_needs_networks_and_people(person):
    default = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    whole = config.merge(default, prediction.describe(*person))
    config.check(whole)
    for key, value, message in (
        ("networks", None, "condnet.networks: the pipeline predict needs trained networks"),
        ("networks", "/nowhere", "condnet.networks: the folder /nowhere does not exist"),
    ):
        spoilt = config.merge(whole, {})
        spoilt["condnet"] = {k: v for k, v in whole["condnet"].items() if k != key}
        if value:
            spoilt["condnet"][key] = value
        with pytest.raises(InputError, match=message):
            config.check(spoilt)
    nobody = config.merge(whole, {})
    nobody["cohort"] = whole["cohort"] | {"scans": {}}
    with pytest.raises(InputError, match=r"cohort\.scans: the pipeline predict needs"):
        config.check(nobody)
    # With networks the TMS pipeline needs nobody to train on, but still somebody to judge.
    tms = config.merge(default, {"condnet": whole["condnet"], "cohort": {"train": []}})
    tms["condnet"] |= {"tables": ["A"]}
    with pytest.raises(InputError, match=r"axis-sagittal_history\.tsv does not exist"):
        config.check(tms)
    for axis in AXES:  # the page shows them
        (person[0] / f"axis-{axis}_history.tsv").touch()
    config.check(tms)
